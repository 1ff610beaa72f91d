"""clip-interrogator around our encoder, with its own lists of phrases, as a peer to measure beside."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from ..encoders.open_clip.encoder import OpenClipEncoder
from ..errors import CaptionError, RequestError
from ..models import Encoder

if TYPE_CHECKING:
    from PIL import Image

_METHODS = {"classic": "interrogate_classic", "fast": "interrogate_fast", "best": "interrogate"}


class Reference:
    """clip-interrogator (github.com/pharmapsychotic/clip-interrogator) with our weights and our captions.

    Weights are passed in, so that both sides embed alike; the lists of phrases are its own. It embeds all of them when
    it is built, which on a CPU takes hours with a large encoder, and keeps the tables in `cache`.
    """

    name = "clip-interrogator"
    modes: Sequence[str] = tuple(_METHODS)

    def __init__(self, encoder: Encoder, cache: Path | None = None, lists: Path | None = None) -> None:
        """Build it.

        Args:
            cache: folder of its tables; None keeps them in memory.
            lists: folder of lists of phrases by its names; None are those that it comes with.

        Raises:
            RequestError: it is not installed, or the encoder is none that it can use.
        """
        if find_spec("clip_interrogator") is None:
            raise RequestError(f"{self.name} is not installed here: pip install clip-interrogator==0.6.0")
        if not isinstance(encoder, OpenClipEncoder):
            raise RequestError(f"{self.name} runs with encoders of open_clip only, and {encoder.name} is none")
        if encoder.device.type != "cuda" and encoder.weights_dtype is not torch.float32:
            raise RequestError(f"{self.name} needs float32 on {encoder.device}: say --dtype fp32")
        import clip_interrogator

        # At every step it asks for CUDA's autocast by its old name, wherever it runs.
        warnings.filterwarnings("ignore", message=".*autocast.*")
        config = clip_interrogator.Config(
            caption_model_name=None, clip_model_name=f"{_file_name(encoder)}/weights", download_cache=False,
            cache_path=None if cache is None else str(cache), device=str(encoder.device), quiet=True,
            **({} if lists is None else {"data_path": str(lists)}),
        )  # fmt: skip
        config.clip_model, config.clip_preprocess = encoder.model, encoder.preprocess
        # It looks its tokenizer up by the name of a model, which for one that was passed in says nothing.
        with mock.patch("open_clip.get_tokenizer", lambda name: encoder.tokenizer):
            self._theirs: Any = clip_interrogator.Interrogator(config)

    def prompt(self, image: Image.Image, mode: str, caption: str) -> str:
        """Its prompt for an image with this caption. Raises CaptionError: the caption is empty."""
        if not caption:
            raise CaptionError("the captioner wrote nothing about this image, and clip-interrogator needs a caption")
        return str(getattr(self._theirs, _METHODS[mode])(image, caption=caption))


def _file_name(encoder: OpenClipEncoder) -> str:
    """The encoder's name for files, with what tells its weights from others of the name: its answers, rounded."""
    name = "".join(each if each.isalnum() or each in "-_." else "_" for each in encoder.name)[-60:]
    answers = (encoder.identity().probes * 50).round().to(torch.int8).numpy().tobytes()
    return f"{name}-{hashlib.sha256(answers).hexdigest()[:12]}"
