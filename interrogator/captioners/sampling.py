"""Several different captions of an image, by any captioner that supports sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ..models import Captioner, Samples
from ..progress import Progress
from .abilities import check
from .sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions

if TYPE_CHECKING:
    from PIL import Image


def sample_captions(
    captioner: Captioner,
    images: Sequence[Image.Image],
    keys: Sequence[str],
    options: SamplingOptions = DEFAULT_SAMPLING,
    progress: Progress | None = None,
) -> list[list[Sampled]]:
    """`options.count` captions per image, in the order of the images; see `Samples.sample`.

    Raises RequestError: the captioner does not support the options, or there is not one key per image.
    """
    check(captioner, options)
    prepared = [captioner.prepare(image) for image in images]
    return cast(Samples, captioner).sample(prepared, keys, options, progress)
