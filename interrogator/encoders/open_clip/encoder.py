"""OpenClipEncoder: any open_clip model as an Encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from os import PathLike
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ...batches import in_batches
from ...embeddings import PROBE_PHRASES, EncoderIdentity
from ...images import to_rgb
from ...models import Located
from ...progress import Progress, watched
from ...registry import LoadOptions, load_as
from ...text_tower import CausalTower
from ...threads import Lazy
from ..projections import FlatProjections
from ..tokens import Ints32, Ints64, Tokens
from .builder import build_model, build_tokenizer
from .text_features import TextFeatures, padding_is_idle
from .trial import proven_tower

logger = logging.getLogger("interrogator")

_IMAGE_BATCH = 16
_WORKING_BYTES = 1_500_000_000

# Token positions in one forward pass: some 100 texts of a few dozen tokens, 50 MB of activations at ViT-L width.
_POSITIONS = 4096


class OpenClipEncoder:
    """A loaded open_clip model with its image preprocessing and tokenizer.

    Weights are used where they are (`module`), so a host may move the model between calls. Several threads may use
    one encoder from the start: no call changes the model, and what is found out at first use is found out once.
    """

    def __init__(
        self, model: Any, preprocess: Callable[[Image.Image], Tensor], tokenizer: Any, name: str,
        dtype: torch.dtype | None = None, *, origin: Located | None = None,
    ) -> None:  # fmt: skip
        """Wrap a loaded model.

        Args:
            model: an open_clip model; switched to evaluation, without gradients.
            preprocess: its image transform: PIL image -> float [3, H, W].
            tokenizer: its tokenizer, as `open_clip.get_tokenizer` gives it.
            name: for messages and the name of the cache folder.
            dtype: what to compute in. None is the dtype of the weights; bfloat16 or float16 over float32 weights
                runs under autocast, so that the weights as loaded stay at hand.
            origin: where the model was found.
        """
        self.model = model.eval().requires_grad_(False)
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.name = name
        self.origin = origin or Located("encoder", name)
        self.family = "open_clip"
        self.weights_dtype = _weights_dtype(model)
        self.dtype = dtype or self.weights_dtype
        length = getattr(tokenizer, "context_length", None) or model.context_length
        self.context_length = int(length)
        self._tokens = Tokens(tokenizer, self.context_length)
        self._trims: Lazy[bool] = Lazy()
        self._tower: Lazy[CausalTower | None] = Lazy()
        self._identity: Lazy[EncoderIdentity] = Lazy()

    @classmethod
    def load(cls, name: str | PathLike[str], **options: Unpack[LoadOptions]) -> OpenClipEncoder:
        """Load a model by name.

        Args:
            name: `ARCH/TAG` as open_clip lists them, a folder or hub id with an `open_clip_config.json`,
                `hf-hub:ORG/REPO`, `local-dir:FOLDER`, or `ARCH` with a checkpoint. The activation is the one the
                weights were trained with (`ViT-L-14/openai` is QuickGELU); for a bare `ARCH` it is the architecture's,
                so name `ViT-L-14-quickgelu` for such a checkpoint.
            options: device, dtype, checkpoint, download, progress, revision; see `registry.load_model`.

        Raises:
            UnknownModelError, ModelNotFoundError, ModelLoadError, DeviceError.
        """
        return load_as(cls, "encoder", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> OpenClipEncoder:
        """Build the model that was located. Raises ModelLoadError: its files are damaged, or of another model."""
        model, preprocess = build_model(located.parts)
        tokenizer = build_tokenizer(located.parts)
        return cls(model.to(device), preprocess, tokenizer, located.name, dtype, origin=located)

    @property
    def module(self) -> nn.Module:
        return self.model  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def working_bytes(self) -> int:
        """The largest chunk of texts under search, or a batch of images, at ViT-L width in float32."""
        return _WORKING_BYTES

    def prepare(self, image: Image.Image) -> Tensor:
        """An image as `embed` takes it: float32 [3, H, W]. Images of any mode and size."""
        return self.preprocess(to_rgb(image))

    def embed(self, prepared: Sequence[Tensor], progress: Progress | None = None) -> Tensor:
        """Embeddings of prepared images: float32 [B, D], rows of unit length.

        Where memory runs out, it goes on with half as many images at a time.
        """
        count = len(prepared)
        model, tell = watched(self.model, progress)
        with self._computing():

            def embed(start: int, stop: int) -> Tensor:
                tell(start, count)
                pixels = torch.stack(list(prepared[start:stop]))  # [B, 3, H, W]
                features = model.encode_image(pixels.to(self.device, self.weights_dtype))  # [B, D]
                return F.normalize(features.float(), dim=-1)

            batches = list(in_batches(count, _IMAGE_BATCH, embed, self.device))
            tell(count, count)
        return torch.cat(batches) if batches else self._no_rows()

    def encode_texts(
        self, texts: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings of texts: float32 [N, D], rows of unit length.

        Texts of the same tokens get the same row to the bit; what texts have in common at their beginnings is
        computed once where the text tower is causal (see `text_tower`). What exceeds the context is cut off, and
        said in the log.

        Args:
            progress: called with (texts done, N), also between layers; may raise to cancel.
            dtype: what to compute in; None is the encoder's own. float32 uses the weights as loaded, raised.
        """
        ids = self._tokens.continuations("", texts)  # [N, L]
        for text in self._cut(texts, ids):
            message = "a text of %d tokens was cut to the %d that %s reads: %.80s"
            logger.warning(message, self.count(text), self.context_length, self.name, text)
        return self._rows(ids, progress, dtype)

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings [N, D] of `f"{prompt}, {phrase}"` for each phrase, of the phrase alone after an empty prompt.

        The prompt is computed once for all phrases, and each phrase is tokenised once for all prompts. Arguments as
        in `encode_texts`.
        """
        return self._rows(self._tokens.continuations(prompt, phrases), progress, dtype)

    def token_ids(self, texts: Sequence[str]) -> tuple[Ints32, Ints64]:
        """Ids of texts, to be kept and given to `remember_tokens`: int32 [T], and where each text ends int64 [N]."""
        return self._tokens.contents(texts)

    def remember_tokens(self, texts: Sequence[str], ids: Ints32, ends: Ints64) -> None:
        """Take over what `token_ids` gave for texts, so that they are not tokenised again."""
        self._tokens.remember(texts, ids, ends)

    def count(self, text: str) -> int:
        """How many tokens a text has, start and end tokens included, were there no limit."""
        return self._tokens.count(text)

    def fits(self, text: str) -> bool:
        """Whether all of a text is within the context."""
        return self._tokens.count(text) <= self.context_length

    def identity(self) -> EncoderIdentity:
        """Name, dtype, tokenizer and the model's float32 answers to fixed phrases; computed once."""
        return self._identity.get(self._identify)

    def _identify(self) -> EncoderIdentity:
        probes = F.normalize(self._answers(PROBE_PHRASES), dim=-1)  # [P, D]
        dtype = str(self.dtype).removeprefix("torch.")
        return EncoderIdentity(self.name, dtype, self._tokens.digest(), probes.cpu())

    def _rows(self, ids: Tensor, progress: Progress | None, dtype: torch.dtype | None) -> Tensor:
        """Unit rows [N, D] of token ids [N, L]."""
        if not len(ids):
            return self._no_rows()
        in_float32 = dtype == torch.float32
        tower = self.text_tower
        with self._computing(dtype):
            if tower is not None:
                features = tower.features(ids, in_float32, progress)
            else:
                features = self._forward(ids, in_float32, progress)
            if progress:
                progress(len(ids), len(ids))
            return F.normalize(features.float(), dim=-1)

    def _forward(self, ids: Tensor, in_float32: bool, progress: Progress | None) -> Tensor:
        """Features [N, D] by the model's own forward, each text once, with the shortest padding that is exact."""
        model, tell = watched(self.model, progress)
        features_of = TextFeatures(model)
        ids, where = torch.unique(ids, dim=0, return_inverse=True)  # [M, L], [N]
        lengths = self._tokens.lengths(ids) if self._trims_padding() else torch.full((len(ids),), ids.shape[1])
        order = torch.argsort(lengths, stable=True)  # [M]: neighbours share a length, so little padding is left
        sizes: list[int] = lengths[order].tolist()

        def encode(start: int, stop: int) -> Tensor:
            tell(start, len(where))
            cut = ids[order[start:stop], : sizes[stop - 1]]  # [B, L']
            return features_of(cut.to(self.device), in_float32)

        features = list(in_batches(len(order), _POSITIONS, encode, self.device, partial(_stop, sizes)))
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        return torch.cat(features)[place[where].to(features[0].device)]

    @property
    def text_tower(self) -> CausalTower | None:
        """What encodes texts where the text tower is causal; None where texts go through the model's own forward.

        Built and tried at first use. A tower whose answers are not the model's own steps aside, with a warning; where
        memory runs out in the trial, that comes out and the next use tries again.
        """
        return self._tower.get(lambda: proven_tower(self.model, self.name, self._tokens, self._answers))

    def _answers(self, texts: Sequence[str]) -> Tensor:
        """The model's own features [N, D] of fully padded texts, in float32."""
        ids = self._tokens.ids(texts).to(self.device)
        with self._computing(torch.float32):
            return TextFeatures(self.model)(ids, in_float32=True).float()

    def _cut(self, texts: Sequence[str], ids: Tensor) -> list[str]:
        """The texts that exceed the context, each once."""
        full = torch.nonzero(ids[:, -1] != self._tokens.pad_id).flatten().tolist() if len(ids) else []
        return [text for text in dict.fromkeys(texts[place] for place in full) if not self.fits(text)]

    def _trims_padding(self) -> bool:
        return self._trims.get(self._try_trimming)

    def _try_trimming(self) -> bool:
        ids = self._tokens.ids(PROBE_PHRASES)
        lengths = self._tokens.lengths(ids)
        with self._computing(torch.float32):
            trims = padding_is_idle(TextFeatures(self.model), ids.to(self.device), lengths)
        if not trims:
            logger.debug("%s sees padding, so its texts are padded to %d", self.name, self.context_length)
        return trims

    @contextmanager
    def _computing(self, dtype: torch.dtype | None = None) -> Iterator[None]:
        """In which every forward runs: without gradients, in a dtype (None is the encoder's own), fast for batches."""
        with torch.inference_mode(), self._autocast(dtype), FlatProjections():
            yield

    def _autocast(self, dtype: torch.dtype | None = None) -> AbstractContextManager[Any]:
        if dtype == torch.float32:
            return torch.autocast(self.device.type, enabled=False)
        if self.dtype == self.weights_dtype:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def _no_rows(self) -> Tensor:
        return torch.empty(0, self.identity().probes.shape[1], dtype=torch.float32)


def _weights_dtype(model: nn.Module) -> torch.dtype:
    """What the bulk of the weights is held in; open_clip keeps LayerNorm and embeddings of a half model in float32."""
    numbers: dict[torch.dtype, int] = {}
    for name, parameter in model.named_parameters():
        if "embedding" not in name:
            numbers[parameter.dtype] = numbers.get(parameter.dtype, 0) + parameter.numel()
    return max(numbers, key=lambda dtype: numbers[dtype])


def _stop(lengths: Sequence[int], start: int, positions: int) -> int:
    """Where a batch of texts stops that begins at `start` and has at most `positions` token positions, padding counted.

    lengths: of all texts, the shortest first.
    """
    stop = start + 1
    while stop < len(lengths) and (stop + 1 - start) * lengths[stop] <= positions:
        stop += 1
    return stop
