"""Whether a text belongs to an image, by BLIP's image-text matching (ITM) and contrastive (ITC) heads.

Li et al., "BLIP", arXiv 2201.12086. ITM reads image and text together and gives a probability; CapFilt, the paper's
filter of captions, drops a text below 0.5 (the author in salesforce/BLIP#46 and #54). ITC compares two embeddings.
ITM saturates near 1 (salesforce/LAVIS#672): filter by it, order by ITC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from ..batches import in_batches
from ..devices import choose_device, choose_dtype
from ..errors import ModelError, RequestError
from ..images import to_rgb
from ..progress import Progress, watched
from ..threads import Lock
from .loading import find_blip, load_blip_matcher
from .text_layers import KeysValues, embed, image_keys_values, text_layers
from .vision import read_images, shrunk

MAX_TEXT_TOKENS = 35
"""Texts are cut to so many tokens, first and last token among them: `max_txt_len` of LAVIS and BLIP's retrieval."""

_ENC = "[ENC]"
_IMAGES_AT_ONCE = 8
_TEXTS_AT_ONCE = 64  # about one image

Found = TypeVar("Found")


@dataclass(frozen=True)
class Match:
    """How a text fits an image.

    Attributes:
        probability: that it belongs to the image, 0 to 1 (ITM).
        similarity: cosine of the two embeddings, -1 to 1 (ITC).
    """

    probability: float
    similarity: float


class BlipMatcher:
    """Judges texts about images with a BLIP retrieval model of transformers; in several threads if they like.

    Attributes:
        module: the model, `transformers.BlipForImageTextRetrieval`; it may be moved between devices at any time.
        processor: `transformers.BlipProcessor`: image processor and tokenizer.
        name: hub id, folder, or whatever it was called.
    """

    def __init__(self, model: Any, processor: Any, name: str = "blip-itm") -> None:
        """Wrap a loaded model and its processor, in that model's dtype and wherever it is.

        Raises ModelError: it is not built as a BLIP for retrieval.
        """
        lacking = [part for part in ("vision_proj", "text_proj", "itm_head") if not hasattr(model, part)]
        if lacking:
            raise ModelError(f"{name} is no BLIP for matching: it has no {', '.join(lacking)}")
        text_layers(model.text_encoder)
        self.module: torch.nn.Module = model.eval()
        self.processor = processor
        self.name = name
        self._tokenizing = Lock()  # a tokenizer of Hugging Face refuses to be set while another thread reads with it

    @classmethod
    def load(
        cls,
        name: str = "Salesforce/blip-itm-base-coco",
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        download: bool = False,
        progress: Progress | None = None,
        revision: str | None = None,
    ) -> BlipMatcher:
        """Load a matcher.

        Args:
            name: hub id or folder.
            device, dtype: see `choose_device` and `choose_dtype`.
            download: whether missing files may be fetched from the Hugging Face hub.
            progress: called with bytes done and bytes in all while downloading; may raise to cancel.
            revision: branch, tag or commit on the hub.

        Raises:
            ModelNotFoundError: files are missing and may not be downloaded; names them and the folder for them.
            ModelLoadError: the files are no BLIP for retrieval, damaged or incomplete. No layer is ever left random.
            DeviceError: no such device or dtype here.
        """
        place = choose_device(device)
        compute = choose_dtype(dtype, place)
        model, processor = load_blip_matcher(find_blip(str(name), download, progress, revision))
        return cls(model.to(device=place, dtype=compute), processor, str(name))

    def match(
        self,
        images: Sequence[Image.Image],
        texts: Sequence[Sequence[str]],
        enc_token: bool = True,
        progress: Progress | None = None,
    ) -> list[list[float]]:
        """For each image the probability that each of its texts belongs to it, 0 to 1, by the matching head.

        texts: for each image its own, any number of them, cut to `MAX_TEXT_TOKENS` tokens.  enc_token: begin texts with
        the token [ENC], as in training (LAVIS, BLIP's `train_retrieval.py`); False begins with [CLS], as transformers'
        own `BlipForImageTextRetrieval` is used.  progress(done, total): images finished and in all; may raise to
        cancel.

        Where memory runs out, it goes on with fewer texts at a time, then with fewer images. Raises RequestError (not a
        list of texts for each image, or [ENC] asked of a model that has none) and ImageReadError.
        """
        first = self._enc() if enc_token else None
        return self._each_image(images, texts, partial(self._probabilities, first=first), progress)

    def similarity(
        self, images: Sequence[Image.Image], texts: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> list[list[float]]:
        """For each image the cosine of its embedding and that of each of its texts, by the contrastive heads.

        Arguments and errors as of `match`; these texts always begin with [CLS].
        """
        return self._each_image(images, texts, self._cosines, progress)

    def compare(
        self,
        images: Sequence[Image.Image],
        texts: Sequence[Sequence[str]],
        enc_token: bool = True,
        progress: Progress | None = None,
    ) -> list[list[Match]]:
        """`match` and `similarity` at once: each image is read once for both."""
        first = self._enc() if enc_token else None

        def both(model: Any, states: Tensor, some: Sequence[Sequence[str]]) -> list[list[Match]]:
            probabilities = self._probabilities(model, states, some, first)
            pairs = zip(probabilities, self._cosines(model, states, some), strict=True)
            return [[Match(*pair) for pair in zip(*of_image, strict=True)] for of_image in pairs]

        return self._each_image(images, texts, both, progress)

    def shrunk(self, image: Image.Image) -> Image.Image:
        """A picture at the size that the model reads it in; answers about it are those about the picture itself."""
        return shrunk(self.processor, image)

    def _each_image(
        self,
        images: Sequence[Image.Image],
        texts: Sequence[Sequence[str]],
        judge: Callable[[Any, Tensor, Sequence[Sequence[str]]], list[list[Found]]],
        progress: Progress | None,
    ) -> list[list[Found]]:
        """What `judge` says of batches of images, given as states [B, P, width], and their texts.

        judge: also given the model to ask, which is a view of `module` where somebody watches.
        """
        _check(images, texts)

        def work(start: int, stop: int) -> list[list[Found]]:
            batch = [to_rgb(images[place], f"image {place}") for place in range(start, stop)]
            model, tell = watched(self.module, progress)
            with torch.inference_mode():
                tell(start, len(images))
                if not any(texts[start:stop]):
                    return [[] for _ in batch]
                return judge(model, read_images(model, self.processor, batch), texts[start:stop])

        results: list[list[Found]] = []
        for found in in_batches(len(images), _IMAGES_AT_ONCE, work, self._device):
            results += found
        if progress is not None and results:
            progress(len(results), len(results))
        return results

    def _probabilities(
        self, model: Any, states: Tensor, texts: Sequence[Sequence[str]], first: int | None
    ) -> list[list[float]]:
        """For each image, [P, width] of states [B, P, width], the probability of each of its texts."""
        keys_values = image_keys_values(text_layers(model.text_encoder), states)
        found: list[list[float]] = [[] for _ in texts]

        def work(start: int, stop: int) -> None:
            some = [of_image[start:stop] for of_image in texts]
            logits = self._logits(model, keys_values, some, first)  # [B, n, 2]
            for kept, row, of_image in zip(found, logits.float().softmax(-1)[..., 1].tolist(), some, strict=True):
                kept += row[: len(of_image)]

        for _ in in_batches(max(map(len, texts)), _TEXTS_AT_ONCE, work, self._device):
            pass
        return found

    def _logits(self, model: Any, image: list[KeysValues], texts: Sequence[Sequence[str]], first: int | None) -> Tensor:
        """Logits of "no" and "yes", [B, n, 2], of up to n texts an image; places without a text hold anything."""
        most = max(map(len, texts))
        ids, there = self._tokens([text for some in texts for text in [*some, *[""] * (most - len(some))]])  # [B n, L]
        if first is not None:
            ids[:, 0] = first
        hidden = embed(model.text_encoder, ids.view(len(texts), most, -1))  # [B, n, L, D]
        mask = there[:, None, None, :]  # [B n, 1, 1, L]
        for layer, image_part in zip(text_layers(model.text_encoder), image, strict=True):
            hidden = layer.forward(hidden, layer.own.keys_values(hidden.flatten(0, 1)), image_part, mask)
        logits: Tensor = model.itm_head(hidden[:, :, 0])
        return logits

    def _cosines(self, model: Any, states: Tensor, texts: Sequence[Sequence[str]]) -> list[list[float]]:
        """For each image, [P, width] of states [B, P, width], the cosine with each of its texts."""
        images = normalize(model.vision_proj(states[:, 0]).float(), dim=-1)  # [B, E]
        distinct = list(dict.fromkeys(text for some in texts for text in some))
        rows = in_batches(
            len(distinct), _TEXTS_AT_ONCE, lambda start, stop: self._embedded(model, distinct[start:stop]), self._device
        )
        cosines = (images @ torch.cat(list(rows)).T).tolist()  # [B, texts]
        place = {text: number for number, text in enumerate(distinct)}
        return [[row[place[text]] for text in some] for row, some in zip(cosines, texts, strict=True)]

    def _embedded(self, model: Any, texts: list[str]) -> Tensor:
        """Unit embeddings of texts, float32 [n, E]; they are read without an image."""
        ids, there = self._tokens(texts)  # [n, L]
        states = model.text_encoder(input_ids=ids, attention_mask=there.long())[0]  # [n, L, D]
        return normalize(model.text_proj(states[:, 0]).float(), dim=-1)

    def _tokens(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Token ids [n, L], padded to the longest, and where they are no padding, bool."""
        with self._tokenizing:
            given = self.processor.tokenizer(
                texts, padding="longest", truncation=True, max_length=MAX_TEXT_TOKENS, padding_side="right",
                return_tensors="pt",
            )  # fmt: skip
        return given["input_ids"].to(self._device), given["attention_mask"].bool().to(self._device)

    def _enc(self) -> int:
        """The id of [ENC]: the tokenizer's, or the row after [DEC], where BLIP's training put it."""
        model: Any = self.module
        known = self.processor.tokenizer.get_vocab().get(_ENC)
        found = int(model.config.text_config.bos_token_id) + 1 if known is None else int(known)
        if found >= model.text_encoder.embeddings.word_embeddings.weight.shape[0]:
            raise RequestError(f"{self.name} has no token {_ENC}; ask without it (enc_token=False)")
        return found

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device


def _check(images: Sequence[Image.Image], texts: Sequence[Sequence[str]]) -> None:
    if len(texts) != len(images):
        raise RequestError(f"{len(images)} images need as many lists of texts, not {len(texts)}")
    for number, some in enumerate(texts):
        if isinstance(some, str) or not all(isinstance(text, str) for text in some):
            raise RequestError(f"the texts of image {number} have to be a list of texts, not {some!r:.80}")
