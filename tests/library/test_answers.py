"""Answers of chat models as captions: without thinking, introductions, unfinished ends and loops."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interrogator.captioners.answers import (
    CUT,
    LOOP_WINDOW,
    clean,
    loops,
    whole_sentences,
    without_introduction,
    without_loop,
    without_thinking,
)


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("The image shows a cat on a mat.", "A cat on a mat."),
        ("This image depicts two dogs.", "Two dogs."),
        ("The picture features: a cat", "The picture features: a cat"),
        ("In this image, a cat sits on a mat.", "A cat sits on a mat."),
        ("In the picture, we can see a red boat.", "A red boat."),
        ("The image is a painting of the sea.", "A painting of the sea."),
        ("This is an image of a fox.", "A fox."),
        ("Certainly! Here is a detailed description of the image:\n\nA cat sleeps.", "A cat sleeps."),
        ("Sure, here's a caption: a cat sleeps", "A cat sleeps"),
        ("Sure, the image shows a cat.", "A cat."),
        ("Of course! The image shows “STOP” on a sign.", "“STOP” on a sign."),
        ("**Caption:** A cat sleeps.", "A cat sleeps."),
        ("the image shows a cat", "a cat"),
        # What is no introduction stays: the sentence would be none any more.
        ("The image shows that the cat is asleep.", "The image shows that the cat is asleep."),
        ("The image captures how the light falls.", "The image captures how the light falls."),
        ("The image is dark and grainy.", "The image is dark and grainy."),
        ("The imagery shows a cat.", "The imagery shows a cat."),
        ("A poster; the image shows a cat.", "A poster; the image shows a cat."),
        ("Sure, but it is blurred.", "Sure, but it is blurred."),
        ("Surely a cat.", "Surely a cat."),
        ("Okay", "Okay"),
        ("Sure!", "Sure!"),
        ("Here is a cat: it sleeps.", "Here is a cat: it sleeps."),
        ("Great Danes play on a beach.", "Great Danes play on a beach."),
        ("Description:", "Description:"),
        ("", ""),
    ],
)  # fmt: skip
def test_introductions_are_left_out(answer: str, caption: str) -> None:
    assert clean(answer, finished=True) == (caption, ())


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("<think>It is a cat.</think>\n\nA cat.", "A cat."),
        ("It is a cat.\n</think>\nA cat.", "A cat."),  # the opening tag stood in the prompt
        ("<think>a</think> b <think>c</think> A cat.", "A cat."),
        ("<think>It is a cat, or", ""),
        ("<think>\n\n</think>\n\nThe image shows a cat.", "A cat."),
        ("A cat.", "A cat."),
    ],
)
def test_thinking_is_left_out(answer: str, caption: str) -> None:
    assert clean(answer, finished=True)[0] == caption


@pytest.mark.parametrize(
    ("answer", "caption", "remarks"),
    [
        ("A cat sleeps. The dog is", "A cat sleeps.", (CUT,)),
        ("A cat sleeps. The dog is awake.", "A cat sleeps. The dog is awake.", ()),
        ('It says "Stop!" The dog', 'It says "Stop!"', (CUT,)),
        ("Dr. Smith and Mr. J. Doe walk with", "Dr. Smith and Mr. J. Doe walk with", (CUT,)),
        ("A ruler of 3.5 cm lies", "A ruler of 3.5 cm lies", (CUT,)),
        ("cat, dog, red bo", "cat, dog", (CUT,)),
        ("a cat, asleep", "a cat, asleep", (CUT,)),
        ("猫が寝ている。犬は", "猫が寝ている。", (CUT,)),
        ("", "", ()),
    ],
)
def test_an_unfinished_last_sentence_is_cut(answer: str, caption: str, remarks: tuple[str, ...]) -> None:
    assert clean(answer, finished=False) == (caption, remarks)
    assert clean(answer, finished=True) == (answer, ())


WORDS = st.lists(st.sampled_from("a cat the image shows sure, here is: certainly! . ... <think> </think>".split()))
ANY = st.one_of(st.text(), WORDS.map(" ".join))


@given(ANY, st.booleans())
def test_a_caption_is_the_end_of_what_was_written_but_for_its_first_letter(answer: str, finished: bool) -> None:
    text, remarks = clean(answer, finished)
    assert text.casefold() in answer.casefold()
    assert text == text.strip()
    assert remarks in ((), (CUT,)) and not (finished and remarks)


@given(ANY)
def test_cleaning_leaves_something_of_what_says_something(answer: str) -> None:
    thought = without_thinking(answer)
    for kept in (without_introduction(thought), whole_sentences(thought)):
        assert bool(re.search(r"\w", kept)) == bool(re.search(r"\w", thought))


@given(ANY)
def test_cutting_twice_cuts_once(answer: str) -> None:
    once = whole_sentences(answer)
    assert answer.startswith(once)
    if once != answer and not once.count(","):
        assert whole_sentences(once) == once


# --- loops ------------------------------------------------------------------------------------------------------------


RUNS = st.lists(st.integers(0, 9), min_size=4, max_size=40)


@given(st.lists(st.integers(0, 9), max_size=200), RUNS)
def test_three_runs_are_a_loop_whatever_stands_in_front(before: list[int], run: list[int]) -> None:
    ids = [*before, *run * 3]
    assert loops(ids)
    assert loops(ids[-LOOP_WINDOW:]), "nothing before the window counts"
    rest = without_loop(ids)
    assert ids[: len(rest)] == rest and not loops(rest)
    assert len(rest) <= len(ids) - 8


@given(st.lists(st.integers(), unique=True, max_size=300))
def test_what_does_not_repeat_is_no_loop(ids: list[int]) -> None:
    assert not loops(ids) and without_loop(ids) == ids


@given(RUNS.filter(lambda run: len(set(run)) == len(run)))
def test_two_runs_are_no_loop(run: list[int]) -> None:
    assert not loops([*run, *run]) and without_loop([*run, *run]) == [*run, *run]


def test_short_repetitions_become_a_loop_at_twelve_tokens() -> None:
    assert not loops([7] * 11) and loops([7] * 12)
    assert loops([1, 2] * 6) and not loops([1, 2] * 5)
    assert without_loop([5, *[7] * 12]) == [5, 7, 7, 7, 7]
