"""The kinds of findings, in the order in which a report lists them."""

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
        "These pictures have no caption; each shows the reason. Repair or remove the file, then run again with "
        "--retry-failed.",
    ),
    Kind(
        "same_stem", "Names that differ only in their extension", "error",
        "a.jpg and a.png share the caption file a.txt, so one caption would overwrite the other. Rename one of them, "
        "or write a table instead of caption files.",
    ),
    Kind(
        "same_but_case", "Names that differ only in case", "error",
        "Windows and macOS treat these names as the same, so files would overwrite each other there. Rename them.",
    ),
    Kind(
        "empty_caption", "Empty captions", "error",
        "There is nothing here to train on. Caption these pictures again, or check which words you strip and replace.",
    ),
    Kind(
        "not_utf8", "Not UTF-8", "error",
        "These captions stay as they are, but trainers fail on them or read other letters. Convert them: "
        "interrogator edit --encoding cp1252, or whatever they are in.",
    ),
    Kind(
        "byte_order_mark", "Begins with a byte order mark", "warning",
        "These captions stay as they are, but some trainers take the mark for a part of the first tag. Remove it: "
        "interrogator edit --tidy.",
    ),
    Kind(
        "several_lines", "Several lines", "warning",
        "Some trainers read only the first line of a caption file, others pick one line at random. Check that each "
        "line is a whole caption; --lines says how new words are added to them.",
    ),
    Kind(
        "review", "Needs review", "warning",
        "No candidate clearly matches the picture. Read these captions and write your own where they are wrong.",
    ),
    Kind(
        "low_match", "Poor match", "warning",
        "These captions match their pictures far worse than the rest of this run, or a matching score says that they "
        "do not match at all. Read these first.",
    ),
    Kind(
        "unsupported", "Claims the picture does not support", "warning",
        "These captions say something that the picture does not show, as far as the encoder can tell; the words are "
        "marked, the worst captions come first. Correct them; --drop-unsupported leaves them out of new "
        "captions.",
    ),
    Kind(
        "missing_trigger", "Trigger word missing", "warning",
        "Training cannot link these pictures to the trigger word. Check that the token limit leaves room for it, then "
        "caption them again.",
    ),
    Kind(
        "missing_word", "Required word missing", "warning",
        "No candidate contained all the required words. Sample more candidates, or add the words by hand.",
    ),
    Kind(
        "forbidden_word", "Forbidden word present", "warning",
        "The caption contains a forbidden word, perhaps from the template or from existing text. Strip or replace it.",
    ),
    Kind(
        "repeats", "Repeated words", "warning",
        "The captioner got stuck and repeats itself. Caption these pictures with beam search or a higher repetition "
        "penalty.",
    ),
    Kind(
        "over_limit", "Over the token limit", "warning",
        "A text encoder ignores whatever is past its limit; if the run used one, the caption was cut there. Ask for "
        "shorter captions.",
    ),
    Kind(
        "same_picture", "Identical files", "warning",
        "These files are the same byte for byte, so training sees this picture more often than others. Keep only one.",
    ),
    Kind(
        "blank", "Blank pictures", "warning",
        "These pictures are of one color all over, so whatever their caption says is made up. Remove them.",
    ),
    Kind(
        "hidden_pixels", "Transparent pictures that hide pixels", "warning",
        "They were captioned on white, but trainers that ignore transparency see what lies under it, often black or "
        "leftovers. Save them without transparency, on the background that you want.",
    ),
    Kind(
        "near_pictures", "Pictures that look alike", "note",
        "Resized copies, crops and neighboring frames give one picture more weight in training. Keep the best of each "
        "group, unless you want that.",
    ),
    Kind(
        "duplicate_captions", "Identical captions", "note",
        "A model learns less from different pictures with the same caption. Try longer or sampled captions for them.",
    ),
    Kind(
        "looped", "Captioner repeated itself", "note",
        "The captioner got into a loop and was asked once more. Read these captions; if many are bad, try another "
        "model or a temperature.",
    ),
    Kind(
        "cut", "Unfinished sentences removed", "note",
        "The caption reached its length limit, so its unfinished last sentence was removed. Allow more tokens if you "
        "miss something.",
    ),
    Kind(
        "no_phrases", "No phrase certain enough", "note",
        "No phrase of the banks is likely enough to be true of these pictures, so mode precise added none. A higher "
        "--strictness accepts more, other banks may have more to say.",
    ),
    Kind(
        "uncalibrated", "Phrases chosen without a calibration", "note",
        "Nothing is known of what the encoder's similarities are worth, so the caption of each picture showed which "
        "phrases are true of it. Calibrate the encoder once with pictures and captions: interrogator calibrate.",
    ),
    Kind(
        "no_mask", "Pictures without a mask", "note",
        "These pictures have neither a mask nor transparency, so they were captioned whole. Add masks for them.",
    ),
    Kind(
        "animated", "Animated pictures", "note",
        "Only the first frame was captioned. Check that it shows what the picture is about.",
    ),
)  # fmt: skip
