"""Captions, prompts and tag lists split into claims."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interrogator.demo.attributes import feature_phrase
from interrogator.demo.creatures import creature
from interrogator.evidence import split_claims

WORDS = (
    "a the red dragon wings with and on in of is it cat sitting wearing (word:1.2) long_hair , . ; \n ! BREAK"
    ' <lora:x:1> \\( \\) " 猫 。 кот 1girl -'
).split(" ")


def texts_of(caption: str) -> list[str]:
    return [claim.text for claim in split_claims(caption)]


def examples() -> list[tuple[str, str]]:
    """Captions in the styles of many captioners, and their claims as a person would split them."""
    lines = Path(__file__).with_name("captions_with_claims.txt").read_text(encoding="utf-8").splitlines()
    captions = [number for number, line in enumerate(lines) if line and not line.startswith(("#", "    "))]
    return [(lines[number], lines[number + 1].strip()) for number in captions]


def test_captions_of_all_styles_are_split_as_a_person_would() -> None:
    cases = examples()
    wrong = [caption for caption, claims in cases if " / ".join(texts_of(caption)) != claims]
    assert len(cases) >= 200
    assert wrong == [
        "salt and pepper shakers on a table",  # rules know no pairs
        "a photo of rock and roll musicians",
        "The sky appears to be overcast.",  # nor every adjective and verb
        "A sleek silver sports car drives along a coastal road at sunset.",
    ]


def test_a_creatures_caption_has_a_claim_for_each_of_its_facts() -> None:
    for seed in range(40):
        _, truth = creature(seed)
        found = texts_of(truth.caption)
        feature = [feature_phrase(truth.feature, truth.feature_color)] if truth.feature else []
        assert found[1].endswith(f"{truth.color} {truth.kind}")
        assert found[2:] == [*feature, f"on a {truth.background} background"]


@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=200))
def test_claims_are_spans_of_the_caption_in_order(caption: str) -> None:
    end = 0
    for claim in split_claims(caption):
        assert end <= claim.start < claim.end <= len(caption)
        assert claim.text == " ".join(claim.text.split()) != ""
        end = claim.end


@pytest.mark.parametrize("caption", ["", "  \n", "...", "a, the, and", "there is", "<lora:x:1>", "((( )))", "_", "1.5"])
def test_a_text_that_says_nothing_has_no_claims(caption: str) -> None:
    assert split_claims(caption) == []


@pytest.mark.parametrize(
    "piece", ["a red cat with blue wings on a beach, ", "cat ", "(", "猫", '"', "a small, ", "is red and "]
)
def test_a_text_of_thousands_of_words_is_split_whole(piece: str) -> None:
    claims = split_claims(piece * 2000)
    assert piece.strip() in '("' or claims[-1].end >= 2000 * len(piece) - len(piece)
