"""OpenClipEncoder: any open_clip model as an Encoder."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..devices import choose_device, choose_dtype
from ..embeddings import PROBE_PHRASES, EncoderIdentity
from ..errors import ModelLoadError
from ..images import to_rgb
from ..progress import Progress, told_between_layers
from ..prompts import join
from .sources import Sources, locate
from .text_features import TextFeatures, padding_is_idle
from .tokens import Tokens

logger = logging.getLogger("interrogator")

# What open_clip and torch raise for files that are cut short, something else, or of another model.
_UNREADABLE = (
    RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError,
    StopIteration, AssertionError,
)  # fmt: skip

_IMAGE_BATCH = 16
# Token positions in one forward pass: some 100 texts of a few dozen tokens, 50 MB of activations at ViT-L width.
_POSITIONS = 4096


class OpenClipEncoder:
    """A loaded open_clip model with its image preprocessing and tokenizer.

    Weights are used where they are (`module`), so a host may move the model between calls.
    """

    def __init__(
        self, model: Any, preprocess: Callable[[Image.Image], Tensor], tokenizer: Any, name: str,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        """Wrap a loaded model.

        Args:
            model: an open_clip model; switched to evaluation, without gradients.
            preprocess: its image transform: PIL image -> float [3, H, W].
            tokenizer: its tokenizer, as `open_clip.get_tokenizer` gives it.
            name: for messages and the name of the cache folder.
            dtype: what to compute in. None is the dtype of the weights; bfloat16 or float16 over float32 weights
                runs under autocast, so that the weights as loaded stay at hand.
        """
        self.model = model.eval().requires_grad_(False)
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.name = name
        self.weights_dtype = _weights_dtype(model)
        self.dtype = dtype or self.weights_dtype
        length = getattr(tokenizer, "context_length", None) or model.context_length
        self.context_length = int(length)
        self._tokens = Tokens(tokenizer, self.context_length)
        self._features = TextFeatures(model)
        self._trims: bool | None = None
        self._identity: EncoderIdentity | None = None

    @classmethod
    def load(
        cls,
        name: str,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        checkpoint: str | PathLike[str] | None = None,
        download: bool = False,
        progress: Progress | None = None,
    ) -> OpenClipEncoder:
        """Load a model by name.

        Args:
            name: `ARCH/TAG` as open_clip lists them, `hf-hub:ORG/REPO`, `local-dir:FOLDER`, or `ARCH` with a
                checkpoint. The activation is the one the weights were trained with (`ViT-L-14/openai` is QuickGELU);
                for a bare `ARCH` it is the architecture's, so name `ViT-L-14-quickgelu` for such a checkpoint.
            device: auto, cpu, cuda, cuda:1, mps ...
            dtype: auto, fp32, bf16 or fp16; see `devices.choose_dtype`.
            checkpoint: a weights file (safetensors, or a pickle that loads with `weights_only`).
            download: whether missing files may be fetched from the Hugging Face hub.
            progress: called with (bytes done, bytes in all) while downloading; may raise to cancel.

        Raises:
            UnknownModelError, ModelNotFoundError, ModelLoadError, DeviceError.
        """
        place = choose_device(device)
        compute = choose_dtype(dtype, place)
        sources = locate(name, checkpoint, download, progress)
        model, preprocess = _build(sources)
        return cls(model.to(place), preprocess, _tokenizer(sources), name, compute)

    @property
    def module(self) -> nn.Module:
        return self.model  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def embed_images(self, images: Sequence[Image.Image], progress: Progress | None = None) -> Tensor:
        """Embeddings of images: float32 [N, D], rows of unit length. Images of any mode and size."""
        batches: list[Tensor] = []
        with torch.inference_mode(), self._autocast(), told_between_layers(self.module, progress) as tell:
            for start in range(0, len(images), _IMAGE_BATCH):
                tell(start, len(images))
                pixels = torch.stack([self.preprocess(to_rgb(image)) for image in images[start : start + _IMAGE_BATCH]])
                features = self.model.encode_image(pixels.to(self.device, self.weights_dtype))  # [B, D]
                batches.append(F.normalize(features.float(), dim=-1))
            tell(len(images), len(images))
        return torch.cat(batches) if batches else self._no_rows()

    def encode_texts(self, texts: Sequence[str], progress: Progress | None = None) -> Tensor:
        """Embeddings of texts: float32 [N, D], rows of unit length.

        Texts of the same tokens are encoded once and get the same row to the bit. Padding is left out where the
        tower does not see it; see `padding_is_idle`.
        """
        if not texts:
            return self._no_rows()
        ids, where = torch.unique(self._tokens.ids(texts), dim=0, return_inverse=True)  # [M, L], [N]
        lengths = self._tokens.lengths(ids) if self._trims_padding() else torch.full((len(ids),), ids.shape[1])
        rows: list[Tensor] = []
        order = torch.argsort(lengths, stable=True)  # [M]: neighbours share a length, so little padding is left
        with torch.inference_mode(), self._autocast(), told_between_layers(self.module, progress) as tell:
            for batch in _batches(order, lengths):
                tell(sum(map(len, rows)), len(ids))
                cut = ids[batch, : int(lengths[batch].max())]  # [B, L']
                rows.append(F.normalize(self._features(cut.to(self.device)).float(), dim=-1))
            tell(len(ids), len(ids))
        sorted_rows = torch.cat(rows)  # [M, D] in the order of `order`
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        return sorted_rows[place[where].to(sorted_rows.device)]

    def encode_continuations(self, prompt: str, phrases: Sequence[str], progress: Progress | None = None) -> Tensor:
        """Embeddings [N, D] of `f"{prompt}, {phrase}"` for each phrase, of the phrase alone after an empty prompt."""
        return self.encode_texts([join(prompt, phrase) for phrase in phrases], progress)

    def count(self, text: str) -> int:
        """How many tokens a text has, start and end tokens included, were there no limit."""
        return self._tokens.count(text)

    def fits(self, text: str) -> bool:
        """Whether all of a text is within the context."""
        return self._tokens.count(text) <= self.context_length

    def identity(self) -> EncoderIdentity:
        """Name, dtype, tokenizer and the model's float32 answers to fixed phrases; computed once."""
        if self._identity is None:
            ids = self._tokens.ids(PROBE_PHRASES).to(self.device)
            with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
                probes = F.normalize(self._features(ids, in_float32=True).float(), dim=-1)  # [P, D]
            dtype = str(self.dtype).removeprefix("torch.")
            self._identity = EncoderIdentity(self.name, dtype, self._tokens.digest(), probes.cpu())
        return self._identity

    def _trims_padding(self) -> bool:
        if self._trims is None:
            ids = self._tokens.ids(PROBE_PHRASES)
            lengths = self._tokens.lengths(ids)
            with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
                self._trims = padding_is_idle(self._features, ids.to(self.device), lengths)
            if not self._trims:
                logger.debug("%s sees padding, so its texts are padded to %d", self.name, self.context_length)
        return self._trims

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == self.weights_dtype:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def _no_rows(self) -> Tensor:
        return torch.empty(0, self.identity().probes.shape[1])


def _build(sources: Sources) -> tuple[Any, Callable[[Image.Image], Tensor]]:
    """The model with its weights, on the CPU in float32, and its image transform."""
    import open_clip
    from safetensors import SafetensorError

    overrides: dict[str, Any] = {}
    if sources.quick_gelu is not None:
        overrides["quick_gelu"] = sources.quick_gelu
    if sources.text_config is not None:
        text_cfg = sources.model_cfg["text_cfg"]
        overrides["text_cfg"] = {**text_cfg, "hf_model_name": str(sources.text_config), "hf_model_pretrained": False}
    settings = {
        "image_mean": sources.preprocess.get("mean"),
        "image_std": sources.preprocess.get("std"),
        "image_interpolation": sources.preprocess.get("interpolation"),
        "image_resize_mode": sources.preprocess.get("resize_mode"),
    }
    pretrained = None if sources.model_name.startswith("local-dir:") else str(sources.checkpoint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model, _, preprocess = open_clip.create_model_and_transforms(
                sources.model_name, pretrained=pretrained, pretrained_text=False, weights_only=True,
                **settings, **overrides,
            )  # fmt: skip
    except (SafetensorError, pickle.UnpicklingError, *_UNREADABLE) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelLoadError(
            f"{sources.checkpoint} does not hold the weights of {sources.model_name}: {reason[:300]}"
        ) from error
    return model, preprocess


def _tokenizer(sources: Sources) -> Any:
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    if sources.tokenizer is None:
        return open_clip.get_tokenizer(sources.model_name)
    text_cfg = sources.model_cfg["text_cfg"]
    try:
        return HFTokenizer(
            str(sources.tokenizer),
            context_length=text_cfg.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text_cfg.get("tokenizer_mode"),
            **text_cfg.get("tokenizer_kwargs", {}),
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelLoadError(f"{sources.tokenizer} does not hold a tokenizer: {error}") from error


def _weights_dtype(model: nn.Module) -> torch.dtype:
    """What the bulk of the weights is held in; open_clip keeps LayerNorm and embeddings of a half model in float32."""
    numbers: dict[torch.dtype, int] = {}
    for name, parameter in model.named_parameters():
        if "embedding" not in name:
            numbers[parameter.dtype] = numbers.get(parameter.dtype, 0) + parameter.numel()
    return max(numbers, key=lambda dtype: numbers[dtype])


def _batches(order: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    """Cut `order` [M], which sorts by length, into batches of at most `_POSITIONS` padded token positions."""
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * int(lengths[order[stop]]) <= _POSITIONS:
            stop += 1
        yield order[start:stop]
        start = stop
