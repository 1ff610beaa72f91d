"""Several different captions of an image, by any captioner that samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import RequestError
from ..models import Samples
from ..progress import Progress
from .sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions

if TYPE_CHECKING:
    from PIL import Image


def sample_captions(
    captioner: Any,
    images: Sequence[Image.Image],
    keys: Sequence[str],
    options: SamplingOptions = DEFAULT_SAMPLING,
    progress: Progress | None = None,
) -> list[list[Sampled]]:
    """`options.count` captions an image, in the order of the images; see `Samples.sample`.

    Raises RequestError: the captioner does not sample, or the keys do not fit the images.
    """
    if not isinstance(captioner, Samples):
        raise RequestError(f"{captioner.name} writes one caption an image; it cannot sample several")
    return captioner.sample([captioner.prepare(image) for image in images], keys, options, progress)  # type: ignore[attr-defined]
