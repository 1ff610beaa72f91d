"""Captions checked against their images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..evidence import MAX_REFERENCES, Claim, ClaimChecker
from ..images import ImageSource, as_image
from ..progress import Progress, StickyProgress, share_of
from ..reading import Reading
from .image_reader import GROUP, one_each

Read = Callable[[Sequence[ImageSource], Progress | None], list[Reading]]
"""Embeds images."""


def check_images(
    images: Sequence[ImageSource], captions: Sequence[str], checker: ClaimChecker, read: Read, progress: Progress | None
) -> list[list[Claim]]:
    """The claims of each caption, judged by its image. Raises RequestError: not one caption for each image."""
    one_each(captions, images)
    steps = StickyProgress(progress) if progress else None
    inside = steps.again if steps else None
    found: list[list[Claim]] = []
    for start in range(0, len(images), GROUP):
        group = slice(start, start + GROUP)
        opened = [as_image(image) for image in images[group]]
        readings = read(opened, share_of(steps, start, len(images)))
        prepared: list[Any] | None = None
        if checker.matcher is not None:
            prepared = [checker.matcher.prepare(image) for image in opened]
        found += checker.check([reading.embedding for reading in readings], captions[group], prepared, inside)
    return found


def learned_checker(
    checker: ClaimChecker, images: Sequence[ImageSource], captions: Sequence[str], read: Read, progress: Progress | None
) -> ClaimChecker:
    """The checker calibrated on these images and captions, where it has no calibration and they are enough for one."""
    if len(captions) != len(images) or not checker.can_learn_from(captions):
        return checker
    readings = read(images[:MAX_REFERENCES], progress)
    return checker.learned([reading.embedding for reading in readings], captions[:MAX_REFERENCES])
