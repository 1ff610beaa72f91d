"""Named prompts: questions and instructions for captioners that follow them, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from ..errors import RequestError
from .options import CaptionOptions
from .sampling_options import SamplingOptions

_DIRECTLY = "Begin with the subject itself, without words such as 'this image shows'."

NAMED_PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        "short": f"Describe this image in one short sentence. {_DIRECTLY}",
        "detailed": f"Describe this image in detail: the subject, the setting, colors, light and style. {_DIRECTLY}",
        "sd-prompt": (
            "Write a Stable Diffusion prompt for this image: phrases separated by commas, first the subject and its "
            "details, then the setting, the medium, the style and the light. Write nothing but the prompt."
        ),
        "tags": "List what is in this image as short lowercase tags separated by commas. Write nothing but the tags.",
        "training": (
            "Write a caption of one or two sentences for training an image generator on this image. Call its main "
            f"subject {{trigger}}, and say how it looks here, what it does and where it is. {_DIRECTLY}"
        ),
        "tag-grounded": (
            "A tagger found these tags in this image: {tags}. Describe the image in detail, and use the tags where "
            f"they are right. {_DIRECTLY}"
        ),
    }
)
"""By name what is asked. `{trigger}` and `{tags}` are replaced: by the trigger word, and by the tags of the image."""

_TAGS, _TRIGGER = "{tags}", "{trigger}"
_ONE_WORD = re.compile(r"[a-z][a-z-]*")


def text_of(ask: str, prompts: Mapping[str, str] = NAMED_PROMPTS) -> str:
    """What is asked: the text of a named prompt, or the words themselves.

    Raises RequestError: one word that is nearly the name of a prompt.
    """
    ask = ask.strip()
    if ask in prompts:
        return prompts[ask]
    if _ONE_WORD.fullmatch(ask) and get_close_matches(ask, prompts, n=1, cutoff=0.75):
        raise RequestError(f"unknown named prompt {ask!r}; choose from {', '.join(prompts)}, or ask in a sentence")
    return ask


def asks_for_tags(ask: str) -> bool:
    """Whether a tagger's tags belong in the question."""
    return _TAGS in text_of(ask)


def questions(
    options: CaptionOptions | SamplingOptions,
    count: int,
    prompts: Mapping[str, str] = NAMED_PROMPTS,
    default: str = "",
) -> list[str]:
    """What is asked of each of `count` images.

    Args:
        prompts: named prompts of the family.
        default: the text where nothing is asked.

    Raises RequestError: the question needs a trigger or tags, and there are none.
    """
    text = text_of(options.ask, prompts) if options.ask.strip() else default
    if _TRIGGER in text:
        if not options.trigger:
            raise RequestError("the question names {trigger}: give a trigger word, or ask something else")
        text = text.replace(_TRIGGER, options.trigger)
    if _TAGS not in text:
        return [text] * count
    if len(options.tags) != count:
        raise RequestError("the question names {tags}: give the tags of each image, or a tagger that finds them")
    return [text.replace(_TAGS, tags) for tags in options.tags]
