"""Reading: what the models say of one image, before any text is composed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .captioners.abilities import check
from .captioners.named_prompts import asks_for_tags
from .captioners.options import DEFAULT_OPTIONS, CaptionOptions
from .errors import CaptionError, RequestError
from .models import Answers, Captioner, Encoder, Matcher, Tag, Tagger
from .needs import Needs
from .progress import Progress
from .taggers import DEFAULT_RULES, TagRules, join_tags, select_tags

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


@dataclass(frozen=True)
class Candidate:
    """One caption of an image.

    Attributes:
        scores: what is known of it by name: `clip`, `itm`, `log_probability`.
        remarks: of the captioner; see `Answer.remarks`.
        error: why there is no caption, one sentence; "" where there is one.
    """

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    error: str = ""

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

    @property
    def error(self) -> str:
        """Why the captioner wrote none, one sentence; "" where it did or was not asked."""
        return self.captions[0].error if self.captions else ""


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
    tag_rules: TagRules = DEFAULT_RULES,
    progress: Progress | None = None,
) -> list[Reading]:
    """Run each model that is needed once over all images, whatever is composed of the answers later.

    Args:
        needs: roles; see `needs.needs_of`.
        captions: one for each image where they are given; None for an image is written if a captioner is needed.
        tag_rules: which tags `{tags}` in a question stands for.
        progress: called with (done, total) images of the model at work; may raise to cancel.

    Raises:
        RequestError: a role that is needed has no model, or the captioner cannot do what its options ask for.
        ImageReadError: not a picture.
    """
    given = list(captions) if captions is not None else [None] * len(images)
    if all(caption is not None for caption in given):
        needs = needs - {"captioner"}
    models.check(needs)
    tags: list[list[Tag]] | None = None
    if "tagger" in needs and models.tagger is not None:
        tags = models.tagger.tag(_prepared(models.tagger, images), progress)
    written = [None if text is None else Candidate(text) for text in given]
    if "captioner" in needs and models.captioner is not None:
        options = with_tags(caption_options, tags, tag_rules)
        written = _captioned(models.captioner, images, written, options, progress)
    rows: Tensor | None = None
    if "encoder" in needs and models.encoder is not None:
        rows = embedded(models.encoder, _prepared(models.encoder, images), progress)  # [B, D]
    return [
        Reading(
            captions=() if caption is None else (caption,),
            tags=None if tags is None else tuple(tags[index]),
            embedding=None if rows is None else rows[index],
        )
        for index, caption in enumerate(written)
    ]


def embedded(encoder: Encoder, prepared: Sequence[Any], progress: Progress | None) -> Tensor:
    """Embeddings [B, D] of prepared images.

    Raises CaptionError: one is not finite; embedded one by one, the others have theirs.
    """
    rows = encoder.embed(prepared, progress)
    if not bool(rows.isfinite().all()):  # our encoders say so themselves
        raise CaptionError(f"{encoder.name} computes NaN for an image; use dtype fp32, or fetch its weights again")
    return rows


def _captioned(
    captioner: Captioner,
    images: Sequence[Image.Image],
    given: Sequence[Candidate | None],
    options: CaptionOptions,
    progress: Progress | None,
) -> list[Candidate | None]:
    """The captions given, with those written that are missing."""
    check(captioner, options)
    missing = [index for index, caption in enumerate(given) if caption is None]
    prepared = _prepared(captioner, [images[index] for index in missing])
    if options.tags:
        options = replace(options, tags=tuple(options.tags[index] for index in missing))
    captions = list(given)
    for index, caption in zip(missing, captions_of(captioner, prepared, options, progress), strict=True):
        captions[index] = caption
    return captions


def captions_of(
    captioner: Captioner, prepared: Sequence[Any], options: CaptionOptions, progress: Progress | None
) -> list[Candidate]:
    """The one caption of each prepared image, with remarks, or with an error, where the captioner tells them."""
    if isinstance(captioner, Answers):
        answers = captioner.answer(prepared, options, progress)
        return [Candidate(each.text, remarks=each.remarks, error=each.error) for each in answers]
    return [Candidate(text) for text in captioner.caption(prepared, options, progress)]


def with_tags(options: CaptionOptions, tags: Sequence[Sequence[Tag] | None] | None, rules: TagRules) -> CaptionOptions:
    """Options for a batch, with the tags of its images where the question names them."""
    if tags is None or not asks_for_tags(options.ask):
        return options
    return replace(options, tags=tuple(join_tags(select_tags(each or (), rules)) for each in tags))


def _prepared(model: Any, images: Sequence[Image.Image]) -> list[Any]:
    return [model.prepare(image) for image in images]
