"""The chain, over scorers simple enough to know the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interrogator.chain import Candidate, Chain, grow

Score = Callable[[str], float]


def scorer(score: Score) -> Callable[[str, Sequence[str], int], torch.Tensor]:
    def of(prompt: str, phrases: Sequence[str], best: int) -> torch.Tensor:
        return torch.tensor([score(f"{prompt}, {phrase}" if prompt else phrase) for phrase in phrases])

    return of


def named(*texts: str, bank: str = "b", quota: int | None = None) -> list[Candidate]:
    return [Candidate(text, bank, quota) for text in texts]


def worth(values: dict[str, float]) -> Score:
    return lambda text: sum(values.get(part, 0.0) for part in text.split(", "))


def always(text: str) -> bool:
    return True


def test_the_chain_takes_the_best_phrase_at_each_step() -> None:
    score = worth({"cat": 0.5, "a": 0.1, "b": 0.3, "c": 0.2})
    chain = grow(Chain("cat", 0.5), named("a", "b", "c"), scorer(score), always)
    assert chain.prompt == "cat, b, c, a"
    assert [candidate.text for candidate in chain.taken] == ["b", "c", "a"]
    assert chain.score == pytest.approx(1.1)


def test_a_start_that_nothing_beats_is_returned() -> None:
    chain = grow(Chain("cat", 0.5), named("a", "b"), scorer(worth({"cat": 0.5, "a": -1.0, "b": -2.0})), always)
    assert (chain.prompt, chain.taken) == ("cat", ())


def test_the_first_steps_may_go_downhill_to_a_higher_place() -> None:
    def score(text: str) -> float:
        return {"cat": 0.5, "cat, a": 0.4, "cat, a, b": 0.9}.get(text, 0.0)

    assert grow(Chain("cat", 0.5), named("a", "b"), scorer(score), always, min_phrases=2).prompt == "cat, a, b"
    assert grow(Chain("cat", 0.5), named("a", "b"), scorer(score), always, min_phrases=0).prompt == "cat"


def test_an_empty_start_takes_its_first_phrase_even_where_all_scores_are_negative() -> None:
    chain = grow(Chain("", 0.0), named("a", "b"), scorer(worth({"a": -2.0, "b": -1.0})), always, min_phrases=0)
    assert chain.prompt == "b"


def test_negated_scores_look_for_the_least_similar_prompt() -> None:
    similarity = worth({"a": 0.3, "b": -0.2, "c": -0.4})
    chain = grow(Chain("", 0.0), named("a", "b", "c"), scorer(lambda text: -similarity(text)), always)
    assert chain.prompt == "c, b"


def test_a_prompt_never_exceeds_the_budget() -> None:
    chain = grow(Chain("x", 0.0), named("aa", "bb"), scorer(lambda t: float(len(t))), lambda t: len(t) <= 6)
    assert chain.prompt == "x, aa"


def test_ties_are_broken_by_the_order_of_the_candidates() -> None:
    flat = scorer(lambda text: 0.5)
    assert grow(Chain("", 0.0), named("z", "a", "m"), flat, always, 0, 1).prompt == "z"


def test_a_quota_limits_the_phrases_of_one_bank() -> None:
    candidates = named("a", "b", "c", bank="one", quota=1) + named("d", bank="two")
    chain = grow(Chain("x", 0.0), candidates, scorer(lambda text: float(len(text))), always)
    assert [candidate.bank for candidate in chain.taken] == ["one", "two"]


def test_progress_is_told_before_each_step_and_may_cancel() -> None:
    class Stop(Exception):
        pass

    steps = []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        grow(Chain("x", 0.0), named(*"abcdef"), scorer(lambda t: float(len(t))), always, progress=progress)
    assert steps == [(0, 32), (1, 32), (2, 32)]


@given(
    st.dictionaries(st.text(alphabet="abcdef", min_size=1, max_size=2), st.floats(-1, 1), max_size=10),
    st.integers(0, 6), st.integers(0, 6),
)  # fmt: skip
def test_the_result_is_never_worse_than_the_start_and_takes_each_phrase_once(
    values: dict[str, float], min_phrases: int, max_phrases: int
) -> None:
    score = worth(values)
    chain = grow(Chain("cat", 0.0), named(*values), scorer(score), always, min_phrases, max_phrases)
    assert chain.score >= 0.0
    assert len(chain.taken) <= max_phrases
    assert len(set(chain.taken)) == len(chain.taken)
    assert chain.prompt == ", ".join(["cat", *(candidate.text for candidate in chain.taken)])
