"""Whether a text belongs to an image, by BLIP's image-text matching (ITM) and contrastive (ITC) heads.

Li et al., "BLIP", arXiv 2201.12086. ITM processes image and text together and gives a probability; CapFilt, the paper's
caption filter, drops texts below 0.5 (according to the author in salesforce/BLIP#46 and #54). ITC compares two
embeddings. ITM saturates near 1 (salesforce/LAVIS#672): filter by ITM, sort by ITC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, TypeVar, Unpack

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..batches import in_batches
from ..captioners.blip.checkpoint import load_blip_matcher
from ..captioners.blip.model import BlipModel
from ..captioners.blip.text_layers import embed, image_keys_values, text_layers
from ..captioners.blip.vision import Pixels, read_images
from ..captioners.decoding.text_model import KeysValues
from ..errors import CaptionError, ModelError, RequestError
from ..models import Located
from ..progress import Progress, watched
from ..registry import LoadOptions, load_as

MAX_TEXT_TOKENS = 35
"""Texts are truncated to this many tokens, including first and last: `max_txt_len` of LAVIS and BLIP's retrieval."""

_ENC = "[ENC]"
_IMAGES_AT_ONCE = 8
_TEXTS_AT_ONCE = 64  # per image

Judgement = TypeVar("Judgement")


@dataclass(frozen=True)
class Match:
    """How well a text matches an image.

    Attributes:
        probability: probability that the text belongs to the image, 0 to 1 (ITM).
        similarity: cosine of the two embeddings, -1 to 1 (ITC).
    """

    probability: float
    similarity: float


class BlipMatcher(BlipModel):
    """Judges texts about images with transformers' `BlipForImageTextRetrieval`."""

    def __init__(self, model: Any, processor: Any, name: str = "blip-itm", *, origin: Located | None = None) -> None:
        """Wrap a loaded model and its processor, in the model's dtype and on its device.

        Raises ModelError: the model is not a BLIP for retrieval.
        """
        lacking = [part for part in ("vision_proj", "text_proj", "itm_head") if not hasattr(model, part)]
        if lacking:
            raise ModelError(f"{name} is not a BLIP for matching: it lacks {', '.join(lacking)}")
        text_layers(model.text_encoder)
        super().__init__(model, processor, origin or Located("matcher", name, self.family))

    @classmethod
    def load(
        cls, name: str | PathLike[str] = "Salesforce/blip-itm-base-coco", **options: Unpack[LoadOptions]
    ) -> BlipMatcher:
        """Load a matcher by hub id or folder.

        options: device, dtype, download, progress, revision; see `registry.load_model`, also for the errors. No layer
        is ever left with random weights.
        """
        return load_as(cls, "matcher", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> BlipMatcher:
        """Build a located model. Raises ModelLoadError: its files are damaged or lack a tensor."""
        assert located.folder is not None
        model, processor = load_blip_matcher(located.folder)
        return cls(model.to(device=device, dtype=dtype), processor, located.name, origin=located)

    def match(
        self,
        prepared: Sequence[Pixels],
        texts: Sequence[Sequence[str]],
        progress: Progress | None = None,
        *,
        enc_token: bool = True,
    ) -> Tensor:
        """The probability that a text belongs to an image, by the matching head: float32 [B, N] on the CPU.

        texts: a list for each prepared image, of any length, truncated to `MAX_TEXT_TOKENS` tokens each; rows of
        shorter lists end in NaN. enc_token: begin texts with the token [ENC], as in training (LAVIS, BLIP's
        `train_retrieval.py`); False begins with [CLS], the default of transformers' `BlipForImageTextRetrieval`.
        progress(done, total) counts images; may raise to cancel.

        If memory runs out, it continues with fewer texts at a time, then with fewer images. Raises RequestError: not
        one list of texts per image, or the model has no [ENC] token. Raises CaptionError: it computes NaN.
        """
        first = self._enc() if enc_token else None
        judged = self._each_image(prepared, texts, partial(self._probabilities, first=first), progress)
        rows = torch.full((len(judged), max(map(len, judged), default=0)), float("nan"))  # [B, N]
        for row, probabilities in zip(rows, judged, strict=True):
            row[: len(probabilities)] = torch.tensor(probabilities)
            if bool(row[: len(probabilities)].isnan().any()):  # half precision overflows, or the weights are damaged
                raise CaptionError(f"{self.name} computes NaN for an image; use dtype fp32, or fetch its weights again")
        return rows

    def similarity(
        self, prepared: Sequence[Pixels], texts: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> list[list[float]]:
        """For each image the cosines of its embedding with those of its texts, by the contrastive heads.

        Arguments and errors as for `match`; here texts always begin with [CLS].
        """
        return self._each_image(prepared, texts, self._cosines, progress)

    def compare(
        self,
        prepared: Sequence[Pixels],
        texts: Sequence[Sequence[str]],
        enc_token: bool = True,
        progress: Progress | None = None,
    ) -> list[list[Match]]:
        """`match` and `similarity` at once: each image is encoded once for both."""
        first = self._enc() if enc_token else None

        def both(model: Any, states: Tensor, some: Sequence[Sequence[str]]) -> list[list[Match]]:
            probabilities = self._probabilities(model, states, some, first)
            pairs = zip(probabilities, self._cosines(model, states, some), strict=True)
            return [[Match(*pair) for pair in zip(*of_image, strict=True)] for of_image in pairs]

        return self._each_image(prepared, texts, both, progress)

    def _each_image(
        self,
        prepared: Sequence[Pixels],
        texts: Sequence[Sequence[str]],
        judge: Callable[[Any, Tensor, Sequence[Sequence[str]]], list[list[Judgement]]],
        progress: Progress | None,
    ) -> list[list[Judgement]]:
        """The results of `judge` for batches of images and their texts.

        judge: called with the model (a view of `module` if there is a progress), states [B, P, width] and texts.
        """
        _check(prepared, texts)

        def work(start: int, stop: int) -> list[list[Judgement]]:
            batch = prepared[start:stop]
            model, report = watched(self.module, progress)
            with torch.inference_mode():
                report(start, len(prepared))
                if not any(texts[start:stop]):
                    return [[] for _ in batch]
                return judge(model, read_images(model, self.processor, batch), texts[start:stop])

        results: list[list[Judgement]] = []
        for batch in in_batches(len(prepared), _IMAGES_AT_ONCE, work, self.device):
            results += batch
        if progress is not None and results:
            progress(len(results), len(results))
        return results

    def _probabilities(
        self, model: Any, states: Tensor, texts: Sequence[Sequence[str]], first: int | None
    ) -> list[list[float]]:
        """For each image, given as states [B, P, width], the probability of each of its texts."""
        keys_values = image_keys_values(text_layers(model.text_encoder), states)
        probabilities: list[list[float]] = [[] for _ in texts]

        def work(start: int, stop: int) -> None:
            some = [of_image[start:stop] for of_image in texts]
            logits = self._logits(model, keys_values, some, first)  # [B, n, 2]
            rows = logits.float().softmax(-1)[..., 1].tolist()  # B lists of n
            for own, row, of_image in zip(probabilities, rows, some, strict=True):
                own += row[: len(of_image)]

        for _ in in_batches(max(map(len, texts)), _TEXTS_AT_ONCE, work, self.device):
            pass
        return probabilities

    def _logits(self, model: Any, image: list[KeysValues], texts: Sequence[Sequence[str]], first: int | None) -> Tensor:
        """Logits of "no" and "yes", [B, n, 2], of up to n texts per image; undefined where there is no text."""
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
        """For each image, given as states [B, P, width], the cosine with each of its texts."""
        images = normalize(model.vision_proj(states[:, 0]).float(), dim=-1)  # [B, E]
        distinct = list(dict.fromkeys(text for some in texts for text in some))
        rows = in_batches(
            len(distinct), _TEXTS_AT_ONCE, lambda start, stop: self._embedded(model, distinct[start:stop]), self.device
        )
        cosines = (images @ torch.cat(list(rows)).T).tolist()  # [B, texts]
        column = {text: number for number, text in enumerate(distinct)}
        return [[row[column[text]] for text in some] for row, some in zip(cosines, texts, strict=True)]

    def _embedded(self, model: Any, texts: list[str]) -> Tensor:
        """Unit embeddings of texts without an image: float32 [n, E]."""
        ids, there = self._tokens(texts)  # [n, L]
        states = model.text_encoder(input_ids=ids, attention_mask=there.long())[0]  # [n, L, D]
        return normalize(model.text_proj(states[:, 0]).float(), dim=-1)

    def _tokens(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Token ids [n, L], padded to the longest text, and a bool mask that is False at padding."""
        with self.tokenizing:
            encoded = self.processor.tokenizer(
                texts, padding="longest", truncation=True, max_length=MAX_TEXT_TOKENS, padding_side="right",
                return_tensors="pt",
            )  # fmt: skip
        return encoded["input_ids"].to(self.device), encoded["attention_mask"].bool().to(self.device)

    def _enc(self) -> int:
        """The id of [ENC]: the tokenizer's, or the one after [DEC], as in BLIP's training."""
        model: Any = self.module
        known = self.processor.tokenizer.get_vocab().get(_ENC)
        token_id = int(model.config.text_config.bos_token_id) + 1 if known is None else int(known)
        if token_id >= model.text_encoder.embeddings.word_embeddings.weight.shape[0]:
            raise RequestError(f"{self.name} has no token {_ENC}; use enc_token=False")
        return token_id


def _check(images: Sequence[Pixels], texts: Sequence[Sequence[str]]) -> None:
    if len(texts) != len(images):
        raise RequestError(f"got {len(texts)} lists of texts for {len(images)} images; give one for each")
    for number, some in enumerate(texts):
        if isinstance(some, str) or not all(isinstance(text, str) for text in some):
            raise RequestError(f"the texts of image {number} must be a list of strings, got {some!r:.80}")
