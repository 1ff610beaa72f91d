"""Several chains side by side, over scorers that remember what they were asked."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interrogator.chain import Candidate, Chain, grow
from interrogator.prompts import join
from interrogator.ranking import TIE

Worth = Callable[[str], float]


class Scorer:
    """Scores by the worth of the whole text, and keeps the prompts it was asked about, with `best`."""

    def __init__(self, worth: Worth) -> None:
        self.worth = worth
        self.asked: list[tuple[str, int]] = []

    def __call__(self, prompt: str, phrases: Sequence[str], best: int) -> torch.Tensor:
        self.asked.append((prompt, best))
        return torch.tensor([self.worth(join(prompt, phrase)) for phrase in phrases], dtype=torch.float64)

    def prompts(self, phrases: int) -> list[str]:
        """The prompts of so many parts that it was asked about."""
        return [prompt for prompt, _ in self.asked if len(parts(prompt)) == phrases]


class Hasty(Scorer):
    """Exact about the `best` highest and what ties with them, and too low for the rest, as the contract allows."""

    def __call__(self, prompt: str, phrases: Sequence[str], best: int) -> torch.Tensor:
        exact = super().__call__(prompt, phrases, best)
        threshold = exact.topk(best).values[-1] - TIE
        return torch.where(exact >= threshold, exact, threshold - 1 - torch.arange(len(phrases)))


def parts(prompt: str) -> list[str]:
    return prompt.split(", ") if prompt else []


def named(phrases: Sequence[str]) -> list[Candidate]:
    return [Candidate(phrase, "b") for phrase in phrases]


def table(values: dict[str, float]) -> Worth:
    return lambda text: values.get(text, 0.0)


def always(text: str) -> bool:
    return True


def by_hand(
    start: str, phrases: Sequence[str], worth: Worth, fits: Callable[[str], bool], min_phrases: int, max_phrases: int
) -> list[str]:
    """The prompts of the greedy chain, in order, and behind them the one it answers."""
    path, left, answer = [start], list(phrases), start
    while left and len(path) <= max_phrases:
        prompt = path[-1]
        top = max(worth(join(prompt, phrase)) for phrase in left)
        phrase = next(phrase for phrase in left if worth(join(prompt, phrase)) >= top - TIE)
        longer = join(prompt, phrase)
        if not fits(longer) or (len(path) > min_phrases and prompt and worth(longer) <= worth(prompt)):
            break
        if not answer or worth(longer) > worth(answer):
            answer = longer
        path.append(longer)
        left.remove(phrase)
    return [*path, answer]


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, list[str], Worth, Callable[[str], bool], int, int]:
    """A start, phrases, a worth without any rule to it (often with ties), a budget, and how many phrases."""
    start = draw(st.sampled_from(["", "cat"]))
    phrases = draw(st.permutations("abcdef"))[: draw(st.sampled_from([6, 5, 3, 1, 0]))]
    seed, digits = draw(st.integers(0, 1 << 30)), draw(st.sampled_from([1, 12]))
    budget = draw(st.sampled_from([2, 8, 11, 100]))

    def worth(text: str) -> float:
        return round(random.Random(f"{seed} {text}").uniform(-1, 1), digits)

    return start, phrases, worth, lambda t: len(t) <= budget, draw(st.integers(0, 6)), draw(st.integers(0, 6))


def grown(search: tuple[str, list[str], Worth, Callable[[str], bool], int, int], score: Scorer, beams: int) -> Chain:
    start, phrases, worth, fits, min_phrases, max_phrases = search
    first = Chain(start, worth(start) if start else 0.0)
    return grow(first, named(phrases), score, fits, min_phrases, max_phrases, beams)


@given(searches())
def test_one_beam_is_the_greedy_chain(search: tuple[str, list[str], Worth, Callable[[str], bool], int, int]) -> None:
    score = Scorer(search[2])
    chain = grown(search, score, beams=1)
    *path, answer = by_hand(*search)
    assert chain.prompt == answer
    assert chain.score == (search[2](answer) if answer else 0.0)
    assert [prompt for prompt, _ in score.asked] == path[: len(score.asked)]
    assert len(path) - len(score.asked) in (0, 1)  # nobody asks where nothing more can be taken


@given(searches(), st.integers(1, 5))
def test_beams_keep_the_greedy_path_and_answer_no_worse(
    search: tuple[str, list[str], Worth, Callable[[str], bool], int, int], beams: int
) -> None:
    worth, alone, score = search[2], Scorer(search[2]), Scorer(search[2])
    greedy, chain = grown(search, alone, beams=1), grown(search, score, beams)
    assert {prompt for prompt, _ in alone.asked} <= {prompt for prompt, _ in score.asked}
    for prompt, _ in alone.asked:
        rivals = score.prompts(len(parts(prompt)))
        assert len(rivals) <= beams
        assert len(rivals) == len(set(rivals))
        assert max(map(worth, rivals)) >= worth(prompt)
    assert chain.score >= greedy.score
    assert chain.score == (worth(chain.prompt) if chain.prompt else 0.0)
    assert search[3](chain.prompt) or not chain.taken
    assert len(set(chain.taken)) == len(chain.taken) <= search[5]


@given(searches(), st.integers(1, 5))
def test_only_as_many_scores_as_asked_for_need_be_exact(
    search: tuple[str, list[str], Worth, Callable[[str], bool], int, int], beams: int
) -> None:
    assert grown(search, Hasty(search[2]), beams) == grown(search, Scorer(search[2]), beams)


TRAP = {"x": 0.1, "x, a": 0.5, "x, b": 0.4, "x, a, b": 0.6, "x, b, c": 0.9}


def test_a_second_beam_finds_what_greed_misses() -> None:
    score = table(TRAP)
    assert grow(Chain("x", 0.1), named("abc"), Scorer(score), always, 0).prompt == "x, a, b"
    assert grow(Chain("x", 0.1), named("abc"), Scorer(score), always, 0, beams=2).prompt == "x, b, c"


def test_the_greedy_chain_is_kept_where_others_are_far_above_it() -> None:
    # Greed takes "a" and falls behind, but its late reward is above everything else.
    values = {"a": 0.5, "b": 0.4, "c": 0.3, "b, c": 0.9, "b, d": 0.8, "a, d": 0.1, "a, d, c": 2.0}
    score = Scorer(table(values))
    chain = grow(Chain("", 0.0), named("abcd"), score, always, 8, 3, beams=2)
    assert score.prompts(2) == ["b, c", "a, d"]
    assert (chain.prompt, chain.score) == ("a, d, c", 2.0)


def test_beams_of_the_same_phrases_in_another_order_count_as_one() -> None:
    values = {"a": 0.5, "b": 0.4, "a, b": 0.8, "b, a": 0.9, "b, c": 0.7}
    score = Scorer(table(values))
    grow(Chain("", 0.0), named("abc"), score, always, 8, 3, beams=2)
    assert score.prompts(2) == ["b, a", "a, b"]  # the better order, and the greedy one because it is the greedy one
    score = Scorer(table(values | {"a, c": 0.85}))
    grow(Chain("", 0.0), named("abc"), score, always, 8, 3, beams=3)
    assert score.prompts(2) == ["b, a", "a, c", "b, c"]


@pytest.mark.parametrize("beams", [2, 3, 8])
def test_ties_are_broken_by_the_order_of_the_candidates(beams: int) -> None:
    score = Scorer(lambda text: 0.5)
    assert grow(Chain("", 0.0), named("zam"), score, always, 8, 2, beams).prompt == "z"
    assert [prompt for prompt, _ in score.asked[1:]] == ["z", "a", "m"][:beams]


def test_a_beam_whose_best_phrases_do_not_fit_ends_and_the_others_go_on() -> None:
    values = {"a": 0.5, "b": 0.4, "a, longer": 0.9, "a, c": 0.1, "b, longer": 0.3, "b, c": 0.6, "b, c, a": 0.7}
    candidates = named(["a", "b", "c", "longer"])
    chain = grow(Chain("", 0.0), candidates, Scorer(table(values)), lambda text: len(text) < 8, beams=2)
    assert chain.prompt == "b, c, a"
    assert grow(Chain("", 0.0), candidates, Scorer(table(values)), lambda text: len(text) < 8).prompt == "a"


def test_a_beam_that_cannot_rise_ends_and_the_others_go_on() -> None:
    values = {"a": 0.5, "b": 0.4, "a, b": 0.1, "a, c": 0.2, "b, c": 0.45, "b, c, a": 0.7, "a, c, b": 0.9}
    score = Scorer(table(values))
    assert grow(Chain("", 0.0), named("abc"), score, always, 0, beams=2).prompt == "b, c, a"
    assert score.prompts(2) == ["b, c"]


def test_each_beam_keeps_its_own_quota() -> None:
    candidates = [Candidate("a", "one", 1), Candidate("b", "one", 1), Candidate("c", "two"), Candidate("d", "two", 1)]
    score = Scorer(lambda text: float(len(text)))
    chain = grow(Chain("x", 0.0), candidates, score, always, beams=4)
    for prompt, _ in score.asked:
        assert not {"a", "b"} <= set(parts(prompt))
    assert sorted(candidate.bank for candidate in chain.taken) == ["one", "two", "two"]


def test_the_scorer_is_told_how_many_will_be_picked() -> None:
    score = Scorer(lambda text: float(len(text)))
    grow(Chain("x", 0.0), named("abcd"), score, always, beams=3)
    assert [best for _, best in score.asked] == [3, *[3] * 3, *[2] * 3, *[1] * 3]


def test_what_is_no_longer_fresh_is_kept_from_each_beam() -> None:
    def fresh(chain: Chain, left: Sequence[Candidate]) -> list[Candidate]:
        """No two neighbours of the alphabet."""
        said = {ord(candidate.text) for candidate in chain.taken}
        return [candidate for candidate in left if said.isdisjoint((ord(candidate.text) - 1, ord(candidate.text) + 1))]

    score = Scorer(lambda text: float(len(text)))
    for beams in (1, 4):
        taken = grow(Chain("x", 0.0), named("abcde"), score, always, beams=beams, fresh=fresh).taken
        assert [candidate.text for candidate in taken] == ["a", "c", "e"]


def test_progress_counts_steps_not_beams() -> None:
    steps: list[tuple[int, int]] = []
    score = Scorer(lambda text: float(len(text)))
    grow(
        Chain("x", 0.0), named("abc"), score, always, 8, 3, beams=3,
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_greedy_chain_is_kept_however_often_it_is_the_last() -> None:
    values = {
        "a": 0.5, "b": 0.4, "b, c": 0.9, "b, d": 0.8, "a, c": 0.3, "b, c, d": 0.7, "b, c, e": 0.6, "a, c, e": 0.2,
        "a, c, e, f": 2.0,
    }  # fmt: skip
    score = Scorer(lambda text: values.get(text, -1.0))
    assert grow(Chain("", 0.0), named("abcdef"), score, always, beams=2, max_phrases=4).prompt == "a, c, e, f"


def test_the_first_eight_of_thirty_two_steps_may_fall() -> None:
    def down(count: int) -> float:
        """What a search answers whose score falls for so many steps and is far higher after one more."""
        return grow(
            Chain("x", 0.0),
            named("abcdefghijkl"),
            Scorer(lambda text: 9.0 if len(parts(text)) > count + 1 else -len(text)),
            always,
        ).score

    assert down(8) == 9.0 and down(9) == 0.0
    endless = grow(Chain("", 0.0), named([f"p{n}" for n in range(40)]), Scorer(lambda text: float(len(text))), always)
    assert len(endless.taken) == 32
