"""Joining, fitting and escaping prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interrogator.prompts import count_that_fit, cut_at_word, escape_brackets, join

WORDS = st.lists(st.text(alphabet="abc", min_size=1, max_size=5), max_size=12)


def test_join_leaves_empty_parts_out() -> None:
    assert join("", "a cat", "", "oil on canvas") == "a cat, oil on canvas"


@given(WORDS, st.integers(0, 40))
def test_a_text_is_cut_at_the_last_word_that_fits(words: list[str], budget: int) -> None:
    text = " ".join(words)
    cut = cut_at_word(text, lambda t: len(t) <= budget)
    assert text.startswith(cut) and len(cut) <= budget
    kept = len(cut.split())
    assert cut.split() == words[:kept]
    assert kept == len(words) or len(" ".join(words[: kept + 1])) > budget


def test_a_cut_leaves_no_comma_at_the_end() -> None:
    assert cut_at_word("a cat, a dog", lambda t: len(t) <= 7) == "a cat"


@given(WORDS, st.integers(0, 60))
def test_phrases_are_counted_until_the_first_that_does_not_fit(phrases: list[str], budget: int) -> None:
    count = count_that_fit("head", phrases, lambda t: len(t) <= budget)
    if count:
        assert len(join("head", *phrases[:count])) <= budget
    if count < len(phrases):
        assert len(join("head", *phrases[: count + 1])) > budget


def test_brackets_are_escaped_once() -> None:
    assert escape_brackets(r"a (small) \(cat\) [x] {y}") == r"a \(small\) \(cat\) \[x\] \{y\}"


@given(st.text(alphabet="ab()[]{}\\ "))
def test_escaping_twice_changes_nothing(text: str) -> None:
    assert escape_brackets(escape_brackets(text)) == escape_brackets(text)
