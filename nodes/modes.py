"""The mode input that several nodes share: each mode with the options that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io


@dataclass(frozen=True)
class Asked:
    """A mode, and its options as `Interrogator.interrogate_many` takes them."""

    mode: str
    options: dict[str, Any]

    @classmethod
    def of(cls, value: dict[str, Any] | None) -> Asked:
        """What stands in a mode input: `{"mode": "best", "beams": 1, …}`. ComfyUI leaves out what it does not know.

        Raises:
            ValueError: no mode is chosen; an older or foreign graph may name one that is not there.
        """
        if not value or not value.get("mode"):
            raise ValueError("This mode is not known: choose best, fast, classic, caption or negative.")
        options = dict(value)
        return cls(options.pop("mode"), {name: option for name, option in options.items() if option is not None})


def _min_phrases() -> Any:
    return io.Int.Input(
        "min_phrases", default=8, min=0, max=64, step=1, optional=True,
        tooltip="Steps of the search that may lower the similarity. More than max_phrases: all of them.",
    )  # fmt: skip


def _max_phrases(default: int, tooltip: str) -> Any:
    return io.Int.Input("max_phrases", default=default, min=0, max=64, step=1, optional=True, tooltip=tooltip)


def _beams() -> Any:
    return io.Int.Input(
        "beams", default=1, min=1, max=16, step=1, optional=True,
        tooltip="Prompts grown side by side: 1 is greedy; more take so many times as long and never end less similar.",
    )  # fmt: skip


def _avoid_repeats() -> Any:
    return io.Boolean.Input(
        "avoid_repeats", default=False, optional=True,
        tooltip="Pass over phrases all of whose words are in the prompt already.",
    )  # fmt: skip


def _min_angle() -> Any:
    return io.Float.Input(
        "min_angle", default=0.0, min=0.0, max=90.0, step=0.5, round=0.01, optional=True,
        tooltip="Degrees. Pass over a phrase whose embedding is this near to one already taken. 0 is off.",
    )  # fmt: skip


_MOST = "Phrases at most; the prompt may hold fewer, because it has to fit the CLIP model's context."
_MOST_FLAVORS = "Flavors at most, beside one medium, artist, site and movement."
_TOOLTIP = (
    "best: searches for the prompt most like the image. fast: the caption and the most similar phrases."
    " classic: medium, artist, movement and a few flavors. caption: the caption alone."
    " negative: what the image is least like."
)


def mode_input() -> Any:
    """The mode with the options that most people want."""
    return io.DynamicCombo.Input(
        "mode",
        options=[
            io.DynamicCombo.Option("best", [_min_phrases(), _max_phrases(32, _MOST), _beams(), _avoid_repeats()]),
            io.DynamicCombo.Option("fast", [_max_phrases(32, _MOST), _avoid_repeats()]),
            io.DynamicCombo.Option("classic", [_max_phrases(3, _MOST_FLAVORS)]),
            io.DynamicCombo.Option("caption", []),
            io.DynamicCombo.Option("negative", [_min_phrases(), _max_phrases(32, _MOST)]),
        ],
        tooltip=_TOOLTIP,
    )


def full_mode_input() -> Any:
    """The mode with every option there is."""
    repeats = [_avoid_repeats(), _min_angle()]
    return io.DynamicCombo.Input(
        "mode",
        options=[
            io.DynamicCombo.Option("best", [_min_phrases(), _max_phrases(32, _MOST), _beams(), *repeats]),
            io.DynamicCombo.Option("fast", [_max_phrases(32, _MOST), *repeats]),
            io.DynamicCombo.Option("classic", [_max_phrases(3, _MOST_FLAVORS), *repeats]),
            io.DynamicCombo.Option("caption", []),
            io.DynamicCombo.Option("negative", [_min_phrases(), _max_phrases(32, _MOST), _beams(), *repeats]),
        ],
        tooltip=_TOOLTIP,
    )
