"""The kinds of findings, in the order in which they are told."""

from __future__ import annotations

from typing import NamedTuple

from .finding import Severity


class Kind(NamedTuple):
    """A finding without what it is about."""

    id: str
    title: str
    severity: Severity
    text: str


KINDS = (
    Kind(
        "failed", "Failed", "error",
        "These pictures have no caption; the reason stands beside each: mend or remove the file, then run again with "
        "--retry-failed.",
    ),
    Kind(
        "same_stem", "Names that differ only in their ending", "error",
        "a.jpg and a.png share a.txt, so one caption would overwrite the other: rename one of them, or write a table "
        "instead of sidecar files.",
    ),
    Kind(
        "same_but_case", "Names that differ only in case", "error",
        "Windows and macOS take these names for one, so files would overwrite each other there: rename them.",
    ),
    Kind(
        "empty_caption", "Empty captions", "error",
        "These pictures have no words to be trained with: caption them again, or look at the strip and replace lists.",
    ),
    Kind(
        "review", "Needs review", "warning",
        "No caption was found that surely matches the picture: read these and write your own where they are wrong.",
    ),
    Kind(
        "low_match", "Low match", "warning",
        "Caption and picture match far worse than others of this run, or a matching score says no: read these first.",
    ),
    Kind(
        "missing_trigger", "Trigger word missing", "warning",
        "A trainer cannot tie these pictures to the trigger word: check that there is room for it under the token "
        "limit, and caption them again.",
    ),
    Kind(
        "missing_word", "Required word missing", "warning",
        "None of the captions tried had all required words: sample more candidates, or add the words by hand.",
    ),
    Kind(
        "forbidden_word", "Forbidden word present", "warning",
        "A forbidden word is in the text, perhaps from a template or from what was there before: strip or replace it.",
    ),
    Kind(
        "repeats", "Repeated words", "warning",
        "The captioner got stuck and says the same again: caption these with beams or a higher repetition penalty.",
    ),
    Kind(
        "over_limit", "Over the token limit", "warning",
        "A text encoder does not see what is past the limit; where the run had one, the text was cut: ask for shorter "
        "captions.",
    ),
    Kind(
        "same_picture", "The same file twice", "warning",
        "These files are the same byte for byte, so a trainer sees them more often than others: keep one of each.",
    ),
    Kind(
        "near_pictures", "Pictures that look alike", "note",
        "Sizes, crops or frames of one picture weigh more in training than others: keep the best of each, unless they "
        "are meant.",
    ),
    Kind(
        "duplicate_captions", "The same caption more than once", "note",
        "Different pictures with the same words teach less: use a longer or sampled caption for them.",
    ),
    Kind(
        "animated", "Animated pictures", "note",
        "Only the first frame was captioned: see that it shows what the picture is about.",
    ),
)  # fmt: skip
