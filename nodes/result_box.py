"""What a node shows of a run: a list with one entry per image, read by web/js/results.js and whoever asks /history.

docs/automation.md describes it; what is there keeps its name and meaning.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .. import interrogator
from ..interrogator.modes import Mode
from . import host

if TYPE_CHECKING:
    from PIL import Image

    from ..interrogator import Claim, Interrogation, RankedPhrase, Tag

KEY = "interrogator"

MOST = 64
"""Bars in a result box and in a picture of bars; of more their number is said."""

NO_TAGS = "no_tags"
"""The remark that no tag holds; the others are those of captioners. web/js/words.js has the sentences."""


NO_CLAIMS = "no_claims"
"""The remark that a caption claims nothing that could be checked."""

GUESSED = "guessed"
"""The remark that the verdicts on claims come from an encoder that is not calibrated."""


# Pictures in the box that say which image a page is of: the longer side in pixels, and how many there are at most.
_THUMBNAIL, _MOST_THUMBNAILS = 96, 100


@dataclass(frozen=True)
class Bar:
    """One line with a bar: a text, what it is of, and a number.

    That is a phrase, its bank and its evidence, or its cosine similarity where there is none; a tag, its category and
    its probability; or a claim, the verdict on it and its evidence.
    """

    text: str
    bank: str
    similarity: float


@dataclass(frozen=True)
class Result:
    """What the box shows for one image; empty parts are left out.

    Attributes:
        text: what the copy button copies.
        caption: a line below it, left out if it equals the text.
        negative: a line below it.
        similarity: of the text and the image.
        phrases: the bars; `ui` sends the first `MOST`.
        full: the number whose bar fills the width, 1 for probabilities; None is the largest one.
        remarks: on the text: `cut`, `looped`, `shortened`, `no_phrases`, `uncalibrated`, `NO_TAGS`, `NO_CLAIMS` or
            `GUESSED`.
        is_negative: whether the phrases are those that the image lacks. Then `similarity` of a bar is how likely its
            phrase is false where `full` is 1; otherwise the lowest one fills the width.
        phrase_count: bars before they are cut to the first `MOST`; set by `ui`.
        thumbnail: name of a picture in the subfolder `interrogator` of ComfyUI's temp folder, or ""; set by `ui`.
        title: what it is of, such as the name of a picture.
        failure: why there is no text, one sentence.
        report: address of the report of a dataset run on this server.
    """

    text: str = ""
    caption: str = ""
    negative: str = ""
    similarity: float | None = None
    phrases: Sequence[Bar] = field(default_factory=tuple)
    full: float | None = None
    remarks: Sequence[str] = ()
    is_negative: bool = False
    phrase_count: int = 0
    thumbnail: str = ""
    title: str = ""
    failure: str = ""
    report: str = ""


def bars(phrases: Sequence[Any]) -> list[Bar]:
    """The library's ranked phrases as bars of their similarity."""
    return [Bar(phrase.text, phrase.bank, phrase.similarity) for phrase in phrases]


def evidence_bars(phrases: Sequence[Any], is_negative: bool) -> list[Bar]:
    """The library's phrases with evidence as bars of it; of a negative prompt, as bars of how likely each is false."""
    return [
        Bar(phrase.text, phrase.bank, 1.0 - phrase.evidence if is_negative else phrase.evidence) for phrase in phrases
    ]


def tag_bars(tags: Sequence[Tag]) -> list[Bar]:
    """The library's tags as bars, the most probable first."""
    return [Bar(tag.text, tag.category, tag.probability) for tag in sorted(tags, key=lambda tag: -tag.probability)]


def claim_bars(claims: Sequence[Claim]) -> list[Bar]:
    """The library's claims as bars, in the order of the caption."""
    return [Bar(claim.text, claim.verdict, claim.evidence) for claim in claims]


def as_json(phrases: Sequence[Any]) -> str:
    """The library's ranked phrases as a JSON list of text, bank and similarity: what `from_json` reads."""
    return json.dumps([asdict(phrase) for phrase in phrases], ensure_ascii=False)


def from_json(phrases: str | None) -> list[RankedPhrase]:
    """The phrases of `as_json`; none of nothing. Raises ValueError: it is something else."""
    try:
        entries = json.loads(phrases or "[]")
        ranked = [interrogator.RankedPhrase(**entry) for entry in entries]
        if not isinstance(entries, list) or not all(_is_phrase(each) for each in ranked):
            raise TypeError("not a list of phrases")
    except (ValueError, TypeError) as error:
        raise ValueError(
            "The input phrases is not a list of phrases: connect `phrases` of Interrogate Image or Interrogate"
            " (advanced), or `scores` of Rank Phrases."
        ) from error
    return ranked


def _is_phrase(phrase: RankedPhrase) -> bool:
    return isinstance(phrase.text, str) and isinstance(phrase.bank, str) and isinstance(phrase.similarity, float | int)


def of(results: Sequence[Interrogation], prompts: Sequence[str], negatives: Sequence[str] = ()) -> list[Result]:
    """Interrogations as the box shows them, with the prompts that the node outputs, and negative prompts if any."""
    unlike = list(negatives) or [""] * len(results)
    return [_of(result, prompt, negative) for result, prompt, negative in zip(results, prompts, unlike, strict=True)]


def _of(result: Interrogation, prompt: str, negative: str) -> Result:
    is_negative = result.mode == Mode.NEGATIVE
    known = bool(result.phrases) and all(phrase.evidence is not None for phrase in result.phrases)
    shown = evidence_bars(result.phrases, is_negative) if known else bars(result.phrases)
    full = 1.0 if known else None
    return Result(
        prompt, result.caption, negative, result.similarity, shown, full, result.remarks, is_negative=is_negative
    )


def ui(results: Sequence[Result], images: Sequence[Image.Image] = ()) -> dict[str, list[Any]]:
    """The `ui` of a node's output, which is what /history has of it.

    Args:
        images: those that the results are of; of several the box shows a small picture of each.

    Returns:
        `KEY`: the results. `text`: their texts, which core and other front ends show. `files`: the same as files in
        ComfyUI's temp folder, because App mode shows files only.
    """
    thumbnails = [_thumbnail(image) for image in images[:_MOST_THUMBNAILS]] if len(images) > 1 else []
    names = host.save_temporary("webp", thumbnails) + [""] * len(results)
    sent = [
        replace(result, phrases=result.phrases[:MOST], phrase_count=len(result.phrases), thumbnail=name)
        for result, name in zip(results, names[: len(results)], strict=True)
    ]
    texts = [result.text for result in results]
    files = [text.encode() for result in results for text in (result.text, result.negative) if text]
    return {
        KEY: [asdict(result) for result in sent],
        "text": texts,
        "files": [host.temporary(name) for name in host.save_temporary("txt", files)],
    }


def _thumbnail(image: Image.Image) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    written = io.BytesIO()
    small.save(written, "WEBP", quality=60)
    return written.getvalue()
