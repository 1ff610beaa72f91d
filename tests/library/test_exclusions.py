"""What no picture is at once: pairs of phrases, in words and in the built-in banks."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interrogator import load_banks
from interrogator.banks import role_of
from interrogator.evidence import Held, select
from interrogator.evidence.exclusions import answers_of, excludes

# Of the built-in banks, by eye.
EXCLUDED = (
    ("starry night sky", "high noon"),
    ("sunrise", "dusk"),
    ("misty morning glow", "moonlit clouds"),
    ("blue hour", "midday sun"),
    ("1970s interior", "real estate twilight exterior"),
    ("high summer", "first snow"),
    ("autumn foliage", "winter solstice"),
    ("early spring", "endless summer"),
    ("cloudless blue sky", "overcast"),
    ("black and white", "vibrant palette"),
    ("sepia tone", "grayscale"),
    ("black and white photograph", "canary yellow"),
    ("muted earth tones", "vibrant palette"),
    ("overexposed", "underexposed"),
    ("low-key lighting", "high-key lighting"),
    ("extreme close-up", "extreme wide shot"),
    ("headshot", "full body"),
    ("worm's-eye view", "bird's-eye view"),
    ("eye level", "high angle"),
    ("portrait orientation", "landscape orientation"),
    ("square crop", "landscape orientation"),
    ("symmetrical composition", "asymmetrical balance"),
    ("minimalist composition", "cluttered composition"),
    ("shallow depth of field", "deep focus"),
    ("joyful", "melancholic"),
    ("serene", "turbulent"),
    ("a mosaic", "a watercolor painting"),
    ("a 3D render", "a charcoal drawing"),
    ("documentary photography", "pixel art"),
    ("1920s fashion", "1980s arcade"),
    ("medieval period", "Victorian era"),
)
COMPATIBLE = (
    ("warm interior glow seen from outside", "real estate twilight exterior"),
    ("monochrome except for red accents", "black and white"),
    ("golden hour", "sunset"),
    ("golden hour", "sunrise"),
    ("midnight blue", "high noon"),
    ("first snow", "autumn foliage"),
    ("layered photo collage", "torn-paper collage"),
    ("evening gown", "daylight"),
    ("matte painting", "a 3D render"),
    ("light painting", "night photography"),
    ("lit from above", "eye level"),
    ("aerial perspective", "eye level"),
    ("a bronze sculpture", "museum photograph"),
    ("soft light", "hard shadows"),
)


@pytest.mark.parametrize(("one", "other"), EXCLUDED)
def test_these_exclude_each_other(one: str, other: str) -> None:
    assert excludes(one, other) and excludes(other, one)


@pytest.mark.parametrize(("one", "other"), COMPATIBLE)
def test_these_do_not(one: str, other: str) -> None:
    assert not excludes(one, other) and not excludes(other, one)


def test_words_count_as_wholes_in_any_case() -> None:
    assert answers_of("A Winter NIGHT") == {"time of day": {"night"}, "season": {"winter"}}
    assert answers_of("knight with a rainbowfish") == {} == answers_of("")


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_excludes_itself_and_both_ways_are_one(one: str, other: str) -> None:
    assert not excludes(one, one) and excludes(one, other) == excludes(other, one)


def test_no_two_phrases_of_a_prompt_exclude_each_other() -> None:
    phrases = [(text, bank) for bank in load_banks() if bank.role != "negative" for text in bank.phrases]
    telling = [(text, bank) for text, bank in phrases if answers_of(text) and bank.role not in ("artists", "sites")]
    assert len(telling) > 500
    for seed in range(10):
        rng = np.random.default_rng(seed)
        some = [telling[number] for number in rng.choice(len(telling), 120, replace=False)]
        held = [Held(text, bank.name, bank.role, None, float(rng.random())) for text, bank in some]
        rows = torch.from_numpy(rng.normal(size=(len(held), 64))).float()
        taken = [held[index].text for index in select(held, rows, "", [], torch.zeros(0, 64))]
        assert len(taken) > 5
        assert not [pair for pair in combinations(taken, 2) if excludes(*pair)]


def test_a_name_says_nothing_of_a_picture() -> None:
    held = [
        Held("a black and white photograph", "mediums", "mediums", None, 2.0),
        Held("by Elizabeth Shippen Green", "artists", "artists", None, 1.0),
    ]
    assert role_of("artists") == "artists"
    assert select(held, torch.eye(2, 8), "", [], torch.zeros(0, 8)) == [0, 1]


def test_the_caption_excludes_too() -> None:
    held = [Held("starry night sky", "lighting", "flavors", None, 2.0), Held("high noon", "era", "flavors", None, 1.0)]
    assert select(held, torch.eye(2, 8), "a beach at noon", [], torch.zeros(0, 8)) == [1]
    assert select(held, torch.eye(2, 8), "noon and night side by side", [], torch.zeros(0, 8)) == [0]
