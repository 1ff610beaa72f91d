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
from ..text_tower import CausalTower, NotCausal
from .sources import Sources, locate
from .text_features import TextFeatures, padding_is_idle
from .tokens import Ints32, Ints64, Tokens

logger = logging.getLogger("interrogator")

# What open_clip and torch raise for files that are cut short, something else, or of another model.
_UNREADABLE = (
    RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError,
    StopIteration, AssertionError,
)  # fmt: skip

_IMAGE_BATCH = 16

# What a text tower is tried on before it is used: the cache's probes, and texts in which the rules of masks, padding
# and pooling show: zero ids inside ("!"), repeats, beginnings of one another, more than the context holds.
TOWER_PROBES = (
    *PROBE_PHRASES,
    "!!",
    "!! a cat !!!",
    "a",
    "a cat",
    "a cat cat",
    ", ".join(["a very long text that no context holds"] * 12),
)
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
        self._tower: CausalTower | None = None
        self._tower_tried = False
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
        if self._identity is None:
            probes = F.normalize(self._answers(PROBE_PHRASES), dim=-1)  # [P, D]
            dtype = str(self.dtype).removeprefix("torch.")
            self._identity = EncoderIdentity(self.name, dtype, self._tokens.digest(), probes.cpu())
        return self._identity

    def _rows(self, ids: Tensor, progress: Progress | None, dtype: torch.dtype | None) -> Tensor:
        """Unit rows [N, D] of token ids [N, L]."""
        if not len(ids):
            return self._no_rows()
        in_float32 = dtype == torch.float32
        tower = self.text_tower
        with torch.inference_mode(), self._autocast(dtype), told_between_layers(self.module, progress) as tell:
            if tower is not None:
                features = tower.features(ids, in_float32, tell)
            else:
                features = self._forward(ids, in_float32, tell)
            tell(len(ids), len(ids))
            return F.normalize(features.float(), dim=-1)

    def _forward(self, ids: Tensor, in_float32: bool, tell: Progress) -> Tensor:
        """Features [N, D] by the model's own forward, each text once, with the shortest padding that is exact."""
        ids, where = torch.unique(ids, dim=0, return_inverse=True)  # [M, L], [N]
        lengths = self._tokens.lengths(ids) if self._trims_padding() else torch.full((len(ids),), ids.shape[1])
        order = torch.argsort(lengths, stable=True)  # [M]: neighbours share a length, so little padding is left
        features: list[Tensor] = []
        for batch in _batches(order, lengths):
            tell(sum(map(len, features)), len(where))
            cut = ids[batch, : int(lengths[batch].max())]  # [B, L']
            features.append(self._features(cut.to(self.device), in_float32))
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        return torch.cat(features)[place[where].to(features[0].device)]

    @property
    def text_tower(self) -> CausalTower | None:
        """What encodes texts where the text tower is causal; None where texts go through the model's own forward.

        Built and tried at first use. A tower whose answers are not the model's own steps aside, with a warning.
        """
        if not self._tower_tried:
            self._tower = self._proven_tower()
            self._tower_tried = True
        return self._tower

    def _proven_tower(self) -> CausalTower | None:
        try:
            tower = CausalTower(self.model)
        except NotCausal as reason:
            logger.debug("%s: %s, so its texts go through its own forward", self.name, reason)
            return None
        expected = F.normalize(self._answers(TOWER_PROBES), dim=-1)  # [P, D]
        try:
            with torch.inference_mode(), self._autocast(torch.float32):
                got = F.normalize(tower.features(self._tokens.ids(TOWER_PROBES), in_float32=True), dim=-1)
            difference = float((got - expected).abs().max())
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
            difference, reason_in_words = float("inf"), f"{type(error).__name__}: {error}"
        else:
            reason_in_words = f"its answers differ by {difference:.1e}"
        if difference <= _tower_tolerance():
            tower.nodes = 0
            return tower
        logger.warning(
            "%s: texts go through the model's own forward, which is slower; sharing their beginnings failed on trial"
            " (%s)", self.name, reason_in_words,
        )  # fmt: skip
        return None

    def _answers(self, texts: Sequence[str]) -> Tensor:
        """The model's own features [N, D] of fully padded texts, in float32."""
        ids = self._tokens.ids(texts).to(self.device)
        with torch.inference_mode(), self._autocast(torch.float32):
            return self._features(ids, in_float32=True).float()

    def _cut(self, texts: Sequence[str], ids: Tensor) -> list[str]:
        """The texts that exceed the context, each once."""
        full = torch.nonzero(ids[:, -1] != self._tokens.pad_id).flatten().tolist() if len(ids) else []
        return [text for text in dict.fromkeys(texts[place] for place in full) if not self.fits(text)]

    def _trims_padding(self) -> bool:
        if self._trims is None:
            ids = self._tokens.ids(PROBE_PHRASES)
            lengths = self._tokens.lengths(ids)
            with torch.inference_mode(), self._autocast(torch.float32):
                self._trims = padding_is_idle(self._features, ids.to(self.device), lengths)
            if not self._trims:
                logger.debug("%s sees padding, so its texts are padded to %d", self.name, self.context_length)
        return self._trims

    def _autocast(self, dtype: torch.dtype | None = None) -> AbstractContextManager[Any]:
        if dtype == torch.float32:
            return torch.autocast(self.device.type, enabled=False)
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


def _tower_tolerance() -> float:
    """How far unit rows of two exact ways to the same answer may lie apart.

    fp32 noise of a deep tower is some 1e-6, a place masked wrongly moves rows by 1e-3 and more. Where the user lets
    GPUs multiply in TF32 (torch.set_float32_matmul_precision), noise is that large itself.
    """
    return 1e-4 if torch.get_float32_matmul_precision() == "highest" else 3e-3


def _batches(order: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    """Cut `order` [M], which sorts by length, into batches of at most `_POSITIONS` padded token positions."""
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * int(lengths[order[stop]]) <= _POSITIONS:
            stop += 1
        yield order[start:stop]
        start = stop
