"""The mode input that several nodes share: each mode with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

from ..interrogator.modes import MODES, STRICTNESS, Mode


@dataclass(frozen=True)
class ModeChoice:
    """A mode, and its options as `Interrogator.compose` takes them."""

    mode: Mode
    options: dict[str, Any]

    @classmethod
    def of(cls, value: dict[str, Any] | None, offered: Sequence[Mode]) -> ModeChoice:
        """The value of a mode input: `{"mode": "best", "beams": 1, …}`. ComfyUI leaves out what it does not know.

        Raises:
            ValueError: no mode is chosen, as when an older or foreign graph names a mode that does not exist.
        """
        options = dict(value or {})
        name = options.pop("mode", None)
        if not name:
            raise ValueError(f"Unknown mode: choose from {', '.join(mode.value for mode in offered)}.")
        return cls(Mode.of(name), {option: given for option, given in options.items() if given is not None})


# Rare options that Interrogate Image leaves to Interrogate (advanced). None may be taken out of this table: an option
# that appears in a mode moves the widgets of saved graphs.
_LEFT_OUT: Mapping[Mode, frozenset[str]] = {
    Mode.BEST: frozenset({"min_angle"}),
    Mode.FAST: frozenset({"min_angle"}),
    Mode.CLASSIC: frozenset({"avoid_repeats", "min_angle"}),
}
# In the order of the widgets, which saved graphs depend on.
_ORDER = ("min_phrases", "max_phrases", "beams", "avoid_repeats", "min_angle", "strictness")


def mode_input() -> Any:
    """Every mode with the options that most people need."""
    return _mode_input(_LEFT_OUT)


def full_mode_input() -> Any:
    """Every mode with all its options."""
    return _mode_input({})


def _mode_input(left_out: Mapping[Mode, frozenset[str]]) -> Any:
    return io.DynamicCombo.Input(
        "mode",
        options=[io.DynamicCombo.Option(mode.value, _options(mode, left_out.get(mode, frozenset()))) for mode in MODES],
        tooltip=" ".join(f"{mode.value}: {MODES[mode].help}." for mode in MODES),
    )


def _options(mode: Mode, left_out: frozenset[str]) -> list[Any]:
    traits = MODES[mode]
    return [_option(name, mode) for name in _ORDER if name in traits.options and name not in left_out]


def _option(name: str, mode: Mode) -> Any:
    if name == "max_phrases":
        return _max_phrases(mode)
    return _OPTIONS[name]()


def _max_phrases(mode: Mode) -> Any:
    most = "Maximum number of phrases. The prompt may contain fewer, because it must fit the CLIP model's context."
    if mode is Mode.CLASSIC:
        most = "Maximum number of flavors, in addition to one medium, artist, site and movement."
    return io.Int.Input(
        "max_phrases", default=MODES[mode].phrases, min=0, max=64, step=1, optional=True, tooltip=most
    )  # fmt: skip


def _min_phrases() -> Any:
    return io.Int.Input(
        "min_phrases", default=8, min=0, max=64, step=1, optional=True,
        tooltip="How many of the first phrases may lower the similarity. Above max_phrases: all of them.",
    )  # fmt: skip


def _beams() -> Any:
    return io.Int.Input(
        "beams", default=1, min=1, max=16, step=1, optional=True,
        tooltip="Number of prompts grown side by side. 1 is greedy; n beams take n times as long and are never less"
        " similar.",
    )  # fmt: skip


def _avoid_repeats() -> Any:
    return io.Boolean.Input(
        "avoid_repeats", default=False, optional=True,
        tooltip="Skip phrases whose words are all in the prompt already.",
    )  # fmt: skip


def _min_angle() -> Any:
    return io.Float.Input(
        "min_angle", default=0.0, min=0.0, max=90.0, step=0.5, round=0.01, optional=True,
        tooltip="In degrees. Skip phrases whose embedding is within this angle of one already taken. 0 turns this"
        " off.",
    )  # fmt: skip


def _strictness() -> Any:
    return io.Float.Input(
        "strictness", default=STRICTNESS, min=0.001, max=0.5, step=0.01, round=0.001, optional=True,
        tooltip="Share of the accepted phrases that may be false, or in mode negative how likely a style may still be"
        " true.",
    )  # fmt: skip


_OPTIONS = {
    "min_phrases": _min_phrases, "beams": _beams, "avoid_repeats": _avoid_repeats, "min_angle": _min_angle,
    "strictness": _strictness,
}  # fmt: skip
