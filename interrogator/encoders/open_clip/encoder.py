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
from ...errors import CaptionError, ModelError
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

# Token positions per forward pass: about 100 texts of a few dozen tokens, 50 MB of activations at ViT-L width.
_POSITIONS = 4096


class OpenClipEncoder:
    """A loaded open_clip model with its image preprocessing and tokenizer.

    Weights are used on whatever device they are (`module`), so a host may move the model between calls. Several threads
    may share an encoder: no call changes the model, and what is determined on first use is determined once.
    """

    def __init__(
        self, model: Any, preprocess: Callable[[Image.Image], Tensor], tokenizer: Any, name: str,
        dtype: torch.dtype | None = None, *, origin: Located | None = None,
    ) -> None:  # fmt: skip
        """Wrap a loaded model.

        Args:
            model: an open_clip model; switched to evaluation mode, without gradients.
            preprocess: its image transform: PIL image -> float [3, H, W].
            tokenizer: its tokenizer, as returned by `open_clip.get_tokenizer`.
            name: for messages and the name of the cache folder.
            dtype: the dtype to compute in. None is the dtype of the weights; bfloat16 or float16 with float32 weights
                uses autocast, so that the weights as loaded stay available.
            origin: where the model was located.
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
            name: `ARCH/TAG` as listed by open_clip, a folder or hub id with an `open_clip_config.json`,
                `hf-hub:ORG/REPO`, `local-dir:FOLDER`, or `ARCH` with a checkpoint. The activation is the one that the
                weights were trained with (QuickGELU for `ViT-L-14/openai`); for a bare `ARCH` it is the
                architecture's, so use `ViT-L-14-quickgelu` for such a checkpoint.
            options: device, dtype, checkpoint, download, progress, revision; see `registry.load_model`.

        Raises:
            UnknownModelError, ModelNotFoundError, ModelLoadError, DeviceError.
        """
        return load_as(cls, "encoder", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> OpenClipEncoder:
        """Build a located model. Raises ModelLoadError: its files are damaged, or belong to another model."""
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
        """Enough for the largest chunk of texts in a search, or a batch of images, at ViT-L width in float32."""
        return _WORKING_BYTES

    def prepare(self, image: Image.Image) -> Tensor:
        """An image, of any mode and size, prepared for `embed`: float32 [3, H, W]."""
        return self.preprocess(to_rgb(image))

    def embed(self, prepared: Sequence[Tensor], progress: Progress | None = None) -> Tensor:
        """Embeddings of prepared images: float32 [B, D], rows of unit length.

        If memory runs out, it continues with half as many images at a time. Raises CaptionError: it computes NaN.
        """
        count = len(prepared)
        model, report = watched(self.model, progress)
        with self._computing():

            def embed(start: int, stop: int) -> Tensor:
                report(start, count)
                pixels = torch.stack(list(prepared[start:stop]))  # [B, 3, H, W]
                features = model.encode_image(pixels.to(self.device, self.weights_dtype))  # [B, D]
                return F.normalize(features.float(), dim=-1)

            batches = list(in_batches(count, _IMAGE_BATCH, embed, self.device))
            report(count, count)
        rows = torch.cat(batches) if batches else self._no_rows()
        if not bool(torch.isfinite(rows).all()):  # half precision overflows, or the weights are damaged
            raise CaptionError(f"{self.name} computes NaN for an image; use dtype fp32, or fetch its weights again")
        return rows

    def encode_texts(
        self, texts: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings of texts: float32 [N, D], rows of unit length.

        Texts with the same tokens get bit-identical rows; common prefixes of texts are computed once if the text tower
        is causal (see `text_tower`). Texts are truncated to the context, with a warning in the log.

        Args:
            progress: called with (texts done, N), also between layers; may raise to cancel.
            dtype: the dtype to compute in; None is the encoder's own. float32 converts the weights as loaded.
        """
        ids = self._tokens.continuations("", texts)  # [N, L]
        for text in self._cut(texts, ids):
            message = "a text of %d tokens was cut to the %d that %s reads: %.80s"
            logger.warning(message, self.count(text), self.context_length, self.name, text)
        return self._rows(ids, progress, dtype)

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings [N, D] of `f"{prompt}, {phrase}"` for each phrase, or of the phrase alone if the prompt is empty.

        The prompt is computed once for all phrases, and each phrase is tokenised once for all prompts. Arguments as
        in `encode_texts`.
        """
        return self._rows(self._tokens.continuations(prompt, phrases), progress, dtype)

    def token_ids(self, texts: Sequence[str]) -> tuple[Ints32, Ints64]:
        """Ids of texts, to save for `remember_tokens`: int32 [T], and where each text ends, int64 [N]."""
        return self._tokens.contents(texts)

    def remember_tokens(self, texts: Sequence[str], ids: Ints32, ends: Ints64) -> None:
        """Accept ids that `token_ids` returned earlier, so that these texts are not tokenised again."""
        self._tokens.remember(texts, ids, ends)

    def count(self, text: str) -> int:
        """Number of tokens of a text without truncation, including start and end tokens."""
        return self._tokens.count(text)

    def fits(self, text: str) -> bool:
        """Whether the whole text is within the context."""
        return self._tokens.count(text) <= self.context_length

    def identity(self) -> EncoderIdentity:
        """Name, dtype, tokenizer and the model's float32 embeddings of fixed phrases; computed once."""
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
            rows = F.normalize(features.float(), dim=-1)
        if not bool(torch.isfinite(rows).all()):
            raise ModelError(f"{self.name} computes NaN for a text; use dtype fp32, or fetch its weights again")
        return rows

    def _forward(self, ids: Tensor, in_float32: bool, progress: Progress | None) -> Tensor:
        """Features [N, D] by the model's own forward, each distinct text once, with the shortest exact padding."""
        model, report = watched(self.model, progress)
        features_of = TextFeatures(model)
        ids, where = torch.unique(ids, dim=0, return_inverse=True)  # [M, L], [N]
        lengths = self._tokens.lengths(ids) if self._trims_padding() else torch.full((len(ids),), ids.shape[1])
        order = torch.argsort(lengths, stable=True)  # [M]: similar lengths together, so little padding is left
        sizes: list[int] = lengths[order].tolist()

        def encode(start: int, stop: int) -> Tensor:
            report(start, len(where))
            cut = ids[order[start:stop], : sizes[stop - 1]]  # [B, L']
            return features_of(cut.to(self.device), in_float32)

        features = list(in_batches(len(order), _POSITIONS, encode, self.device, partial(_stop, sizes)))
        row = torch.empty_like(order)
        row[order] = torch.arange(len(order))
        return torch.cat(features)[row[where].to(features[0].device)]

    @property
    def text_tower(self) -> CausalTower | None:
        """The prefix-sharing tower if the text tower is causal; None if texts go through the model's own forward.

        Built and verified on first use. If its features differ from the model's own, it is not used, and a warning is
        logged. If memory runs out during verification, the error is raised and the next use tries again.
        """
        return self._tower.get(lambda: proven_tower(self.model, self.name, self._tokens, self._answers))

    def _answers(self, texts: Sequence[str]) -> Tensor:
        """The model's own float32 features [N, D] of fully padded texts."""
        ids = self._tokens.ids(texts).to(self.device)
        with self._computing(torch.float32):
            return TextFeatures(self.model)(ids, in_float32=True).float()

    def _cut(self, texts: Sequence[str], ids: Tensor) -> list[str]:
        """The texts that exceed the context, each once."""
        full = torch.nonzero(ids[:, -1] != self._tokens.pad_id).flatten().tolist() if len(ids) else []
        return [text for text in dict.fromkeys(texts[row] for row in full) if not self.fits(text)]

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
        """The context of every forward: no gradients, the given dtype (None is the encoder's own), fast for batches."""
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
    """The dtype of most weights; open_clip keeps LayerNorm and embeddings of a half-precision model in float32."""
    numbers: dict[torch.dtype, int] = {}
    for name, parameter in model.named_parameters():
        if "embedding" not in name:
            numbers[parameter.dtype] = numbers.get(parameter.dtype, 0) + parameter.numel()
    return max(numbers, key=lambda dtype: numbers[dtype])


def _stop(lengths: Sequence[int], start: int, positions: int) -> int:
    """The end of a batch of texts that begins at `start` and has at most `positions` token positions, with padding.

    lengths: of all texts, shortest first.
    """
    stop = start + 1
    while stop < len(lengths) and (stop + 1 - start) * lengths[stop] <= positions:
        stop += 1
    return stop
