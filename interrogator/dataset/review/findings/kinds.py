"""The kinds of findings, in the order of the report."""

from __future__ import annotations

from typing import NamedTuple

from .finding import Severity


class Kind(NamedTuple):
    """What all findings of a kind have in common."""

    id: str
    title: str
    severity: Severity
    text: str


KINDS = (
    Kind(
        "failed", "Failed", "error",
        "These pictures have no caption; the reason is beside each: repair or remove the file, then run again with "
        "--retry-failed.",
    ),
    Kind(
        "same_stem", "Names that differ only in extension", "error",
        "a.jpg and a.png share a.txt, so one caption would overwrite the other: rename one of them, or write a table "
        "instead of sidecar files.",
    ),
    Kind(
        "same_but_case", "Names that differ only in case", "error",
        "On Windows and macOS these names are the same, so files would overwrite each other: rename them.",
    ),
    Kind(
        "empty_caption", "Empty captions", "error",
        "These pictures have no text to train with: caption them again, or check the strip and replace lists.",
    ),
    Kind(
        "review", "Needs review", "warning",
        "No caption surely matches the picture: read these captions, and write your own where they are wrong.",
    ),
    Kind(
        "low_match", "Low match", "warning",
        "Caption and picture match far worse than the rest of this run, or the matcher rejects them: read these first.",
    ),
    Kind(
        "missing_trigger", "Trigger word missing", "warning",
        "A trainer cannot link these pictures to the trigger word: check that it fits within the token limit, and "
        "caption them again.",
    ),
    Kind(
        "missing_word", "Required word missing", "warning",
        "No candidate contained all required words: sample more candidates, or add the words by hand.",
    ),
    Kind(
        "forbidden_word", "Forbidden word present", "warning",
        "The text contains a forbidden word, perhaps from a template or an existing caption: strip or replace it.",
    ),
    Kind(
        "repeats", "Repeated words", "warning",
        "The captioner got stuck and repeats itself: caption these with beams or a higher repetition penalty.",
    ),
    Kind(
        "over_limit", "Over the token limit", "warning",
        "A text encoder ignores what is past its limit, and a run with a token limit cuts the text there: ask for "
        "shorter captions.",
    ),
    Kind(
        "same_picture", "The same file twice", "warning",
        "These files are identical byte for byte, so a trainer sees them more often than others: keep one of each.",
    ),
    Kind(
        "near_pictures", "Pictures that look alike", "note",
        "Sizes, crops or frames of one picture weigh more in training than other pictures: keep the best of each, "
        "unless you want them all.",
    ),
    Kind(
        "duplicate_captions", "The same caption more than once", "note",
        "Different pictures with the same caption teach less: use longer or sampled captions for them.",
    ),
    Kind(
        "animated", "Animated pictures", "note",
        "Only the first frame was captioned: check that it shows what the picture is about.",
    ),
)  # fmt: skip
