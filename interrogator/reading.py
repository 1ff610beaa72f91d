"""Reading: what the models say of one image, before any text is composed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .captioners.abilities import abilities_for, require
from .captioners.options import DEFAULT_OPTIONS, CaptionOptions
from .errors import RequestError
from .models import Captioner, Encoder, Matcher, Tag, Tagger
from .needs import Needs
from .progress import Progress

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


@dataclass(frozen=True)
class Candidate:
    """One caption of an image, and what is known of it by name of the score: `clip`, `itm`, `log_probability`."""

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)

    def with_score(self, name: str, score: float) -> Candidate:
        """The same with one more score."""
        return replace(self, scores={**self.scores, name: score})


@dataclass(frozen=True, eq=False)
class Reading:
    """What the models of a run said of one image.

    Attributes:
        captions: candidates, the best first; () where no captioner was asked.
        tags: every tag of the tagger's vocabulary; None where no tagger was asked.
        embedding: by the encoder, float32 [D], unit length; None where no encoder was asked.
        flags: remarks on it, such as `review`.
    """

    captions: tuple[Candidate, ...] = ()
    tags: tuple[Tag, ...] | None = None
    embedding: Tensor | None = None
    flags: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """The best caption; "" where there is none."""
        return self.captions[0].text if self.captions else ""


@dataclass(frozen=True)
class Models:
    """The models of a request by role; None where there is none."""

    captioner: Captioner | None = None
    tagger: Tagger | None = None
    encoder: Encoder | None = None
    matcher: Matcher | None = None

    def check(self, needs: Needs) -> None:
        """Raises RequestError: a role that is needed has no model."""
        for role in sorted(needs):
            if getattr(self, role) is None:
                raise RequestError(_MISSING[role])


_MISSING = {
    "captioner": "there is no captioner: load one, or give a caption ('' for a prompt without one)",
    "tagger": "there is no tagger: load one, or use a mode and a template without tags",
    "encoder": "there is no encoder: load one, or use mode caption",
    "matcher": "there is no matcher: load one, or use another quality",
}


def read(
    images: Sequence[Image.Image],
    needs: Needs,
    models: Models,
    *,
    captions: Sequence[str | None] | None = None,
    caption_options: CaptionOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> list[Reading]:
    """Run each model that is needed once over all images, whatever is composed of the answers later.

    Args:
        needs: roles; see `needs.needs_of`.
        captions: one for each image where they are given; None for an image is written if a captioner is needed.
        progress: called with (done, total) images of the model at work; may raise to cancel.

    Raises:
        RequestError: a role that is needed has no model, or the captioner cannot do what its options ask for.
        ImageReadError: not a picture.
    """
    given = list(captions) if captions is not None else [None] * len(images)
    if all(caption is not None for caption in given):
        needs = needs - {"captioner"}
    models.check(needs)
    texts = given
    if "captioner" in needs and models.captioner is not None:
        texts = _captioned(models.captioner, images, given, caption_options, progress)
    tags: list[list[Tag]] | None = None
    if "tagger" in needs and models.tagger is not None:
        tags = models.tagger.tag(_prepared(models.tagger, images), progress)
    rows: Tensor | None = None
    if "encoder" in needs and models.encoder is not None:
        rows = models.encoder.embed(_prepared(models.encoder, images), progress)  # [B, D]
    return [
        Reading(
            captions=() if text is None else (Candidate(text),),
            tags=None if tags is None else tuple(tags[index]),
            embedding=None if rows is None else rows[index],
        )
        for index, text in enumerate(texts)
    ]


def _captioned(
    captioner: Captioner,
    images: Sequence[Image.Image],
    given: Sequence[str | None],
    options: CaptionOptions,
    progress: Progress | None,
) -> list[str | None]:
    """The captions given, with those written that are missing."""
    require(captioner, abilities_for(options))
    missing = [index for index, caption in enumerate(given) if caption is None]
    prepared = _prepared(captioner, [images[index] for index in missing])
    written = captioner.caption(prepared, options, progress)
    texts = list(given)
    for index, caption in zip(missing, written, strict=True):
        texts[index] = caption
    return texts


def _prepared(model: Any, images: Sequence[Image.Image]) -> list[Any]:
    return [model.prepare(image) for image in images]
