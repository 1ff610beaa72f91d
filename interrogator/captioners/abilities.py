"""The abilities that options require, and whether a captioner has them."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import RequestError
from ..models import Ability, Answers, Captioner, Samples
from .options import CaptionOptions
from .sampling_options import SamplingOptions


def abilities_for(options: CaptionOptions | SamplingOptions) -> frozenset[Ability]:
    """The abilities that the options require."""
    asked: dict[Ability, str] = {"prefix": options.prefix, "prompt": options.ask, "system prompt": options.system}
    wanted: set[Ability] = {ability for ability, text in asked.items() if text.strip()}
    if isinstance(options, SamplingOptions):
        wanted.add("sampling")
        if options.forbidden:
            wanted.add("forbidden words")
    elif options.temperature:
        wanted.add("sampling")
    elif options.num_beams > 1:
        wanted.add("beams")
    return frozenset(wanted)


def in_words(ability: str) -> str:
    """An ability for a person: what a captioner that lacks it cannot do."""
    return {"prompt": "questions", "system prompt": "a system prompt"}.get(ability, ability)


def lacks(captioner: Captioner, ability: str) -> bool:
    """Whether a captioner cannot do something; one that says it samples must have the method, too."""
    return ability not in captioner.abilities or (ability == "sampling" and not isinstance(captioner, Samples))


def check(captioner: Captioner, options: CaptionOptions | SamplingOptions) -> None:
    """Raises RequestError: a captioner cannot do what options ask for; called before any work."""
    require(captioner, abilities_for(options))
    if isinstance(captioner, Answers):
        captioner.check(options if isinstance(options, CaptionOptions) else options.caption_options)


def require(captioner: Captioner, wanted: Iterable[Ability]) -> None:
    """Raises RequestError: a captioner lacks an ability; names both."""
    for ability in sorted(wanted):
        if lacks(captioner, ability):
            raise RequestError(f"{captioner.name} cannot do {in_words(ability)}; use another captioner")
