"""ImageReader: what the models of an interrogator say of images, without any phrase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..captioners import CaptionOptions
from ..errors import RequestError
from ..images import ImageSource, as_image
from ..models import Captioner, Encoder, Tag
from ..progress import Progress, share_of
from ..ranking import similarities
from ..reading import Models, Reading, read
from ..taggers import TagRules, select_tags

GROUP = 16
"""Images decoded and held at a time."""
ENCODER = frozenset({"encoder"})
TAGGER = frozenset({"tagger"})

Given = TypeVar("Given")


class ImageReader:
    """Asks models about images.

    Attributes:
        models: by role; any may be missing.
        caption_options: how captions are decoded.
        tag_rules: which tags hold, and how they read.
    """

    def __init__(self, models: Models, caption_options: CaptionOptions, tag_rules: TagRules) -> None:
        self.models = models
        self.caption_options = caption_options
        self.tag_rules = tag_rules

    @property
    def captioner(self) -> Captioner | None:
        """The captioner, or None."""
        return self.models.captioner

    @property
    def encoder(self) -> Encoder:
        """The encoder.

        Raises:
            RequestError: this interrogator has no encoder.
        """
        self.models.check(ENCODER)
        assert self.models.encoder is not None
        return self.models.encoder

    def read(
        self,
        images: Sequence[ImageSource],
        needs: Iterable[str],
        *,
        captions: Sequence[str | None] | None = None,
        progress: Progress | None = None,
    ) -> list[Reading]:
        """Run the models on images, once per image, whatever is composed from the results; see `reading.read`.

        needs: roles, such as {"captioner", "encoder"}; `needs.needs_of` lists those of a mode.

        Images are opened, prepared and read a few at a time, so a call may pass thousands.
        """
        roles = frozenset(needs)
        texts = [None] * len(images) if captions is None else list(captions)
        readings: list[Reading] = []
        for start in range(0, len(images), GROUP):
            group = slice(start, start + GROUP)
            readings += read(
                [as_image(image) for image in images[group]], roles, self.models, captions=texts[group],
                caption_options=_of_images(self.caption_options, group), tag_rules=self.tag_rules,
                progress=share_of(progress, start, len(images)),
            )  # fmt: skip
        return readings

    def tag(
        self, image: ImageSource, progress: Progress | None = None, *, rules: TagRules | None = None
    ) -> list[Tag]:  # fmt: skip
        """The tags that hold for an image, in the order of `select_tags`.

        rules: None are the interrogator's own.

        Raises RequestError: this interrogator has no tagger, or the tagger no category that the rules name.
        """
        return self.tag_many([image], progress, rules=rules)[0]

    def tag_many(
        self, images: Sequence[ImageSource], progress: Progress | None = None, *, rules: TagRules | None = None
    ) -> list[list[Tag]]:
        """`tag` for many images, tagged in batches."""
        readings = self.read(images, TAGGER, progress=progress)
        return [select_tags(reading.tags or (), rules or self.tag_rules) for reading in readings]

    def similarity(self, image: ImageSource, texts: str | Sequence[str]) -> npt.NDArray[np.float32]:
        """Cosine similarity between an image and each text: float32 [n_texts]; a str is one text."""
        row: npt.NDArray[np.float32] = self.similarity_many([image], [texts] if isinstance(texts, str) else texts)[0]
        return row

    def similarity_many(
        self, images: Sequence[ImageSource], texts: Sequence[str], progress: Progress | None = None
    ) -> npt.NDArray[np.float32]:
        """Cosine similarity between images and texts: float32 [n_images, n_texts]."""
        rows = self.encoder.encode_texts(list(texts), progress)  # [N, D]
        readings = self.read(images, ENCODER, progress=progress)
        embeddings = [reading.embedding for reading in readings if reading.embedding is not None]
        matrix: npt.NDArray[np.float32] = np.stack([_numpy(similarities(row, rows)) for row in embeddings])
        return matrix

    def image_embedding(self, image: ImageSource) -> npt.NDArray[np.float32]:
        """The encoder's embedding of an image: float32 [D], unit length."""
        (reading,) = self.read([image], ENCODER)
        assert reading.embedding is not None
        return _numpy(reading.embedding)


def one_each(captions: Sequence[Given], images: Sequence[ImageSource]) -> list[Given]:
    """The captions, one for each image. Raises RequestError: there are more or fewer."""
    if len(captions) != len(images):
        raise RequestError(f"got {len(captions)} captions for {len(images)} images; give one for each")
    return list(captions)


def _of_images(options: CaptionOptions, group: slice) -> CaptionOptions:
    """The options for a part of the images: what they say of each image goes along with it."""
    return replace(options, tags=options.tags[group]) if options.tags else options


def _numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), dtype=np.float32)
