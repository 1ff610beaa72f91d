"""What a caption goes through before it is written."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interrogator.dataset.records import Item
from interrogator.dataset.text import (
    FLAGS,
    CaptionRules,
    apply_policy,
    choose,
    holds,
    render,
    repeated,
    split_words,
    tidy,
)
from interrogator.dataset.text.tags import tag_key, tags_of
from interrogator.errors import RequestError
from interrogator.pipeline import RankedPhrase

ITEM = Item("10_cats/red.v2.png")
MEDIUM = RankedPhrase("oil on canvas", "mediums", 0.3)
# Captions as they come: words, commas and spaces in any order, and characters nobody thought of.
CAPTIONS = st.one_of(
    st.text(alphabet="ab1, ,.-'\n", max_size=60), st.text(alphabet="a,\t\x1c\x1f\x85\xa0\u3000", max_size=5),
    st.text(max_size=40),
)  # fmt: skip
POLICIES = st.sampled_from(["skip", "overwrite", "append", "prepend", "if-empty"])


def count(text: str) -> int:
    return len(text.split())


def text_of(caption: str, phrases: tuple[RankedPhrase, ...] = (), **options: Any) -> str:
    return render(caption, ITEM, CaptionRules(**options), count, (640, 480), phrases=phrases).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 1,000 well-lit cats, OK?", ["it's", "1,000", "well-lit", "cats", "ok"]),
        ("ohwx_man 3.5mm f/2", ["ohwx_man", "3", "5mm", "f", "2"]),
        ("\u4e00\u53ea\u72d7 dog", ["\u4e00", "\u53ea", "\u72d7", "dog"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940.", ["\u0939\u093f\u0928\u094d\u0926\u0940"]),
        ("cafe\u0301 STRASSE", ["caf\u00e9", "strasse"]),
        ("\U0001f98a -- ...", []),
    ],
)  # fmt: skip
def test_words_of_any_script(text: str, words: list[str]) -> None:
    assert list(split_words(text)) == words


def test_a_phrase_is_found_as_whole_words() -> None:
    assert (
        holds("a Red  FOX's den", "red fox")
        and holds("\u4e00\u53ea\u72d7", "\u72d7")
        and holds("\U0001f98a!", "\U0001f98a")
    )
    assert not holds("a category", "cat") and not holds("red, fox", "red fox") and not holds("sksdog", "sks")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a bald bald bald man", "bald"),
        ("a dog and a dog and a dog", "a dog and"),
        ("a red cat red cat", "red cat"),
        ("a man in a hat and a man in a coat", ""),
        ("very very good", ""),
        ("1,000,000,000 stars", ""),
        ("\u770b\u770b\u5929\u5929", ""),
        ("", ""),
    ],
)
def test_what_a_broken_captioner_repeats(text: str, said: str) -> None:
    assert repeated(text) == said


@given(CAPTIONS)
def test_tidying_is_done_once(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert "  " not in once and ", ," not in once and "\n" not in once and once == once.strip(" ,")
    assert not re.search(r",,|\s,", once)
    once.encode()


def test_the_order_of_things() -> None:
    assert (
        text_of("an arafed woman , in Paris", strip=("arafed",), replace=(("woman", "person"),)) == "a person, in Paris"
    )
    assert text_of("a b c", replace=(("a", "b"), ("b", "x"))) == "x x c"
    assert text_of("category cat", replace=(("Cat", r"\1 dog"),)) == r"category \1 dog"
    assert text_of("photo of a cat", replace_regex=(("^photo of (a)", r"\1 black"),)) == "a black cat"
    assert text_of("a cat", prefix="photo,", suffix=", 4k") == "photo, a cat, 4k"
    assert text_of("a cat", prefix="a photo of", suffix="in Rome") == "a photo of a cat in Rome"


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "whole"),
    [
        ("a cat", "", ".", "a cat."), ("a cat.", "", ".", "a cat."), ("a cat!", "", ".", "a cat!"),
        ("a cat", "", "!", "a cat!"), ("a cat", "", ",", "a cat"), ("a cat", "", ", 4k.", "a cat, 4k."),
        ("a cat", "", "; in oil", "a cat; in oil"), ("a cat", "", ": oil", "a cat: oil"),
        ("a cat", "", "...", "a cat..."),
        ("a cat.", "", ". Best quality", "a cat. Best quality"), ("a cat", "", "(oil)", "a cat (oil)"),
        ("a cat", "", ":3", "a cat :3"), ("a cat", "", ".5 mm", "a cat .5 mm"), ("猫", "", "。", "猫。"),
        ("猫", "", "。犬", "猫。犬"), ("a cat", "(", ")", "(a cat)"), ("a cat", "photo:", "", "photo: a cat"),
        ("a cat", "In oil;", "", "In oil; a cat"), ("a cat", "Look!", ".", "Look! a cat."), ("", "Look!", ".", "Look!"),
    ],
)  # fmt: skip
def test_punctuation_around_a_text_takes_the_spaces_that_it_takes(
    text: str, prefix: str, suffix: str, whole: str
) -> None:
    assert text_of(text, prefix=prefix, suffix=suffix) == whole


def test_templates() -> None:
    assert text_of("a cat", trigger="sks") == "sks, a cat"
    assert text_of("a sks cat", trigger="sks") == "a sks cat"
    assert text_of("a cat", trigger="sks", template="{caption} by {trigger}") == "a cat by sks"
    template = "{trigger}, {caption}, {mediums}, {stem} in {folder}, {width}x{height}, {{{key}}}"
    full = "sks, a cat, oil on canvas, red.v2 in 10_cats, 640x480, {10_cats/red.v2.png}"
    assert text_of("a cat", (MEDIUM,), trigger="sks", template=template) == full
    assert text_of("a cat", template="{caption}, {mediums}, {mine}", banks=("mine",)) == "a cat"
    assert text_of("a {braced} cat", template="{caption}!") == "a {braced} cat!"
    nothing = render("", ITEM, CaptionRules(template="{caption}, {mediums}"), count)
    assert nothing.text == "" and nothing.flags == ("empty_caption",)


def test_names_that_are_no_text_can_be_written() -> None:
    odd = render("a cat", Item("a\udcff.png"), CaptionRules(template="{stem}, {caption}"), count)
    assert odd.text == "a?, a cat"


def test_what_is_too_long_is_cut() -> None:
    cut = render(
        "one two, three four", ITEM, CaptionRules(trigger="sks", prefix="art,", suffix="end", token_limit=4), count
    )
    assert cut.text == "art, sks, one two" and cut.flags == ("over_limit",) and cut.tokens == 4
    behind = CaptionRules(trigger="sks dog", template="{caption}, {trigger}", token_limit=3)
    assert render("one two three", ITEM, behind, count).text == "one, sks dog"
    tight = render("a", ITEM, CaptionRules(trigger="x y z", token_limit=1), count)
    assert tight.text == "x y z" and tight.tokens == 3


def test_flags() -> None:
    rules = CaptionRules(trigger="sks", template="{trigger}x {caption}", required=("cat",), forbidden=("dog",))
    flags = render("a dog dog dog", ITEM, rules, count).flags
    assert flags == ("missing_trigger", "missing_word", "forbidden_word", "repeats")
    assert set(flags) <= set(FLAGS)


@given(
    CAPTIONS, st.sampled_from(["", "sks", "ohwx man"]), st.sampled_from(["", "art,", "a photo of"]), st.integers(0, 12)
)
def test_laws_of_a_caption(caption: str, trigger: str, prefix: str, limit: int) -> None:
    rules = CaptionRules(trigger=trigger, prefix=prefix, suffix=", 4k", token_limit=limit)
    made = render(caption, ITEM, rules, count)
    assert made.text == tidy(made.text) and made.tokens == count(made.text)
    assert not trigger or holds(made.text, trigger)
    assert made.text.startswith(prefix.rstrip(","))
    if limit:
        assert made.tokens <= max(limit, count(f"{prefix} {trigger}"))
    without_limit = render(caption, ITEM, CaptionRules(trigger=trigger, prefix=prefix, suffix=", 4k"), count)
    assert ("over_limit" in made.flags) == (0 < limit < without_limit.tokens)
    if "over_limit" not in made.flags:
        assert made.text == without_limit.text


@given(CAPTIONS, st.integers(0, 12))
def test_rules_applied_twice_change_nothing(caption: str, limit: int) -> None:
    rules = CaptionRules(trigger="sks", token_limit=limit)
    once = render(caption, ITEM, rules, count).text
    assert render(once, ITEM, rules, count).text == once


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "{captoin}"}, "captoin"),
        ({"template": "{caption"}, "unmatched"),
        ({"template": " , "}, "empty"),
        ({"trigger": ","}, "trigger"),
        ({"token_limit": -1}, "at least 0"),
        ({"strip": "arafed"}, "tuple"),
        ({"prefix": None}, "text"),
        ({"forbidden": ("",)}, "empty"),
        ({"replace": (("", "x"),)}, "pair"),
        ({"replace": ("ab",)}, "pair"),
        ({"replace_regex": (("(", "x"),)}, "cannot replace"),
        ({"replace_regex": (("a", r"\1"),)}, "cannot replace"),
        ({"forbidden": ("red",), "required": ("red fox",)}, "forbidden"),
        ({"forbidden": ("sks",), "trigger": "sks"}, "trigger"),
    ],
)
def test_rules_are_checked_when_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        CaptionRules(**options)


def test_choosing_among_candidates() -> None:
    rules = CaptionRules(required=("cat", "photo"), forbidden=("dog",), prefix="a photo of", strip=("hairy",))
    candidates = ["a cat and a dog", "a bird", "a hairy cat", "a red cat"]
    assert choose(candidates, [0.9, 0.8, 0.5, 0.5], rules) == 2
    assert choose(candidates, [0.9, 0.8, float("nan"), -9.0], rules) == 3
    assert choose(["a dog"], [1.0], rules) is None and choose([], [], rules) is None
    with pytest.raises(RequestError, match="2 captions"):
        choose(["a", "b"], [1.0], rules)


@pytest.mark.parametrize(
    ("before", "policy", "after"),
    [
        (None, "skip", "new"),
        ("old", "skip", None),
        (" \n", "skip", None),
        ("old", "if-empty", None),
        (" \n", "if-empty", "new"),
        ("old", "overwrite", "new"),
        ("new", "overwrite", None),
        ("old, \n", "append", "old, new"),
        ("old", "prepend", "new, old"),
        ("old, new", "append", None),
        ("new", "append", None),
        ("renew", "append", "renew, new"),
        ("newt", "prepend", "new, newt"),
        ("", "append", "new"),
    ],
)
def test_captions_that_are_there_already(before: str | None, policy: Any, after: str | None) -> None:
    assert apply_policy(before, "new", policy) == after


SEPARATORS = st.sampled_from([", ", "\n", " ", " | ", " and ", ""])


@given(st.none() | CAPTIONS, CAPTIONS, POLICIES, SEPARATORS)
def test_nothing_blank_is_ever_written(before: str | None, new: str, policy: Any, separator: str) -> None:
    after = apply_policy(before, new, policy, separator)
    assert after is None or after.strip()


@given(CAPTIONS, POLICIES, SEPARATORS)
def test_where_nothing_stands_the_caption_itself_is_written(caption: str, policy: Any, separator: str) -> None:
    clean = tidy(caption)
    assert apply_policy(None, clean, policy, separator) == (clean or None)


def test_a_separator_that_is_a_word_is_cut_off_as_a_word_only() -> None:
    assert apply_policy("a sand dune", "an android", "append", " and ") == "a sand dune and an android"
    assert apply_policy("a dune and\n", "and a cat", "append", " and ") == "a dune and a cat"
    assert apply_policy("a dune | ", "|| a cat", "prepend", " | ") == "a cat | a dune"


@given(st.none() | CAPTIONS, CAPTIONS, POLICIES, st.sampled_from([", ", "\n", " "]))
def test_merging_twice_changes_nothing(before: str | None, new: str, policy: Any, separator: str) -> None:
    after = apply_policy(before, new, policy, separator)
    if after is None:
        return
    assert apply_policy(after, new, policy, separator) is None
    assert after.strip() and holds_words(after, new, separator)
    if policy in ("append", "prepend") and before:
        assert bare(before, separator) in after


def holds_words(after: str, text: str, separator: str) -> bool:
    """Whether a text stands in another, or its tags do: of these only those are added that were not there."""
    tags, there = ({tag_key(tag) for tag in tags_of(each)} for each in (text, after))
    return bare(text, separator) in after or separator == ", " and tags <= there


def bare(text: str, separator: str) -> str:
    """A text without white space and separators, one character each, at its ends."""
    while text and (text[0].isspace() or text[0] == separator[0]):
        text = text[1:]
    while text and (text[-1].isspace() or text[-1] == separator[0]):
        text = text[:-1]
    return text


def test_an_unknown_policy_and_an_empty_caption() -> None:
    with pytest.raises(RequestError, match="if-empty"):
        apply_policy("a", "b", "replace")  # type: ignore[arg-type]
    assert apply_policy("a", " ", "overwrite") is None and apply_policy(None, "", "skip") is None
