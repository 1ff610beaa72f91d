"""Phrases that repeat a prompt: what counts as a repeat, and that a chain takes none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from interrogator.chain import Candidate, Chain, grow
from interrogator.duplicates import Repeats, words


def no_rows(places: Sequence[int]) -> torch.Tensor:
    raise AssertionError("the rule of words asks for no embeddings")


def by_words(*texts: str) -> Repeats:
    return Repeats(range(len(texts)), texts, no_rows, by_words=True)


def by_angle(rows: torch.Tensor, min_angle: float) -> Repeats:
    """Phrases with these embeddings [N, D]."""
    return Repeats(range(len(rows)), ["?"] * len(rows), lambda places: rows[list(places)], min_angle=min_angle)


def at_degrees(*degrees: float) -> torch.Tensor:
    """Unit vectors in a plane, [N, 2]."""
    radians = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1).float()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a Red-haired cat", {"a", "red", "haired", "cat"}),
        ("STRASSE, Straße", {"strasse"}),
        ("Édouard Manet's 8k", {"édouard", "manet", "s", "8k"}),
        ("Хокусай 葛飾北斎", {"хокусай", "葛飾北斎"}),
        ("snake_case", {"snake", "case"}),
        ("… (!)", set()),
        ("", set()),
    ],
)
def test_words_are_runs_of_letters_and_digits_without_case(text: str, expected: set[str]) -> None:
    assert words(text) == expected


def test_a_phrase_whose_words_are_all_said_is_a_repeat() -> None:
    repeats = by_words("soft light", "Light, soft", "softer light", "light")
    assert repeats.fresh(range(4), "a cat in SOFT, warm light", []) == [2]
    assert repeats.fresh(range(4), "a cat", []) == [0, 1, 2, 3]


def test_a_phrase_without_a_word_repeats_nothing() -> None:
    assert by_words("★", "cat").fresh([0, 1], "a cat ★", []) == [0]


def test_a_phrase_near_one_taken_is_a_repeat() -> None:
    repeats = by_angle(at_degrees(0, 9, 11, 350.5, 180), min_angle=10)
    assert repeats.fresh([1, 2, 3, 4], "?", [0]) == [2, 4]
    assert repeats.fresh([1, 3, 4], "?", [2]) == [3, 4]
    assert repeats.fresh([1, 3, 4], "?", [0, 2]) == [4]
    assert repeats.fresh([1, 2, 3, 4], "a caption", []) == [1, 2, 3, 4]


def test_the_same_row_is_near_however_coarsely_it_is_kept() -> None:
    row = normalize(torch.randn(1, 768, generator=torch.Generator().manual_seed(0))).half()
    assert by_angle(row.expand(2, -1), min_angle=0.1).fresh([1], "?", [0]) == []
    assert by_angle(row.expand(2, -1) * 0.9, min_angle=0.1).fresh([1], "?", [0]) == []


def test_either_rule_is_enough() -> None:
    rows = at_degrees(0, 1, 90, 45)
    texts = ["a", "b", "c a", "c"]
    repeats = Repeats(range(4), texts, lambda places: rows[list(places)], by_words=True, min_angle=5)
    assert repeats.fresh([1, 2, 3], "c, a", [0]) == []
    assert repeats.fresh([1, 2, 3], "a", [0]) == [2, 3]


def test_with_no_rule_on_nothing_is_a_repeat_and_no_row_is_asked_for() -> None:
    assert Repeats(range(2), ["a", "a"], no_rows).fresh([1, 0], "a", [0]) == [1, 0]


def grown(repeats: Repeats, start: str, worth: dict[str, float], beams: int, on: bool = True) -> Chain:
    """A chain of phrases whose places are those in `worth`; a prompt is worth the sum of them."""
    texts = list(worth)

    def score(prompt: str, phrases: Sequence[str], best: int) -> torch.Tensor:
        said = sum(worth.get(part, 0.0) for part in prompt.split(", "))
        return torch.tensor([said + worth[phrase] for phrase in phrases], dtype=torch.float64)

    def fresh(chain: Chain, left: Sequence[Candidate]) -> list[Candidate]:
        places = [texts.index(candidate.text) for candidate in left]
        taken = [texts.index(candidate.text) for candidate in chain.taken]
        return [Candidate(texts[place], "b") for place in repeats.fresh(places, chain.prompt, taken)]

    candidates = [Candidate(text, "b") for text in texts]
    first = Chain(start, 0.0)
    return grow(first, candidates, score, lambda text: True, beams=beams, fresh=fresh if on else None)


PHRASES = st.lists(
    st.lists(st.sampled_from(["red", "Red", "cat", "soft", "light", "8k"]), min_size=1, max_size=3).map(" ".join),
    min_size=1, max_size=10, unique=True,
)  # fmt: skip


@given(st.data(), PHRASES, st.sampled_from(["", "a soft cat"]), st.integers(1, 3), st.integers(0, 1 << 30))
def test_no_repeat_is_ever_in_the_result(
    data: st.DataObject, phrases: list[str], start: str, beams: int, seed: int
) -> None:
    by_word, angle = data.draw(st.booleans()), data.draw(st.sampled_from([0.0, 30.0, 80.0, 180.0]))
    rows = normalize(torch.randn(len(phrases), 3, generator=torch.Generator().manual_seed(seed)))
    worth = {phrase: data.draw(st.floats(-1, 1)) for phrase in phrases}
    repeats = Repeats(range(len(phrases)), phrases, lambda places: rows[list(places)], by_word, angle)
    chain = grown(repeats, start, worth, beams)
    said = words(start)
    taken = [phrases.index(candidate.text) for candidate in chain.taken]
    for count, place in enumerate(taken):
        if by_word:
            assert not words(phrases[place]) <= said
        said |= words(phrases[place])
        for earlier in taken[:count] if angle else ():
            assert math.degrees(math.acos(max(-1.0, min(1.0, float(rows[place] @ rows[earlier]))))) > angle - 0.1


@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.floats(-1, 1), max_size=8), st.integers(1, 3))
def test_where_nothing_repeats_nothing_changes(worth: dict[str, float], beams: int) -> None:
    rows = torch.eye(max(1, len(worth)))  # right angles
    repeats = Repeats(range(len(worth)), list(worth), lambda places: rows[list(places)], by_words=True, min_angle=89)
    assert grown(repeats, "XX", worth, beams) == grown(repeats, "XX", worth, beams, on=False)
