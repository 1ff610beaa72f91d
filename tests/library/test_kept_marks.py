"""`|||` and `{a|b}`, which trainers read: they survive whatever a run puts to a text, takes from it or cuts."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from interrogator.dataset import CaptionRules, Settings
from interrogator.dataset.existing.joining import written
from interrogator.dataset.existing.texts import ExistingText
from interrogator.dataset.records import Item
from interrogator.dataset.text import render
from interrogator.dataset.text.tags import as_trained, spans
from interrogator.dataset.text.words import tidy

from .stand_in import count

ITEM = Item("10_sks dog/a.png")
words = st.sampled_from(["a cat", "sks", "red hair", "on a mat", "x (y)", "score_9", "1girl"])
wildcards = st.lists(words, min_size=2, max_size=3).map(lambda found: "{" + "|".join(found) + "}")
deep = st.tuples(wildcards, words).map(lambda pair: "{" + "|".join(pair) + "}")
tags = words | wildcards | deep | st.tuples(words, wildcards).map(" ".join) | st.just("{a, b|c}")
sections = st.lists(tags, min_size=1, max_size=4).map(", ".join)
texts = st.lists(sections, min_size=1, max_size=3).map(" ||| ".join)


def marks(text: str) -> tuple[list[str], int]:
    """The wildcards of a text, and how often it is parted."""
    return [text[start:stop] for start, stop in spans(text)], text.count("|||")


def plus(*found: tuple[list[str], int]) -> tuple[list[str], int]:
    return [each for some, _ in found for each in some], sum(count for _, count in found)


@given(texts, texts, st.sampled_from(["", "ohwx"]), st.sampled_from(["", "photo of", "sks |||"]))
@settings(deadline=None)
def test_what_rules_put_around_a_text_leaves_its_marks(text: str, existing: str, trigger: str, prefix: str) -> None:
    rules = CaptionRules(trigger=trigger, prefix=prefix, suffix=".", template="{existing}, {prompt}")
    made = render(text, ITEM, rules, count, existing=existing).text
    assert marks(made) == plus(marks(prefix), marks(existing), marks(text))
    plain = render(text, ITEM, CaptionRules(suffix="{x|y}"), count).text
    assert marks(plain) == plus(marks(text), marks("{x|y}")) and plain.startswith(tidy(text))


@given(
    texts, texts, st.sampled_from(["append", "prepend"]), st.sampled_from(["", "ohwx"]), st.sampled_from([", ", " "])
)
@settings(deadline=None)
def test_joining_old_and_new_loses_no_mark(old: str, new: str, policy: str, trigger: str, separator: str) -> None:
    asked = Settings(separator=separator, rules=CaptionRules(trigger=trigger))
    found = written(ExistingText(old), [new], dataclasses.replace(asked, policy=policy))  # type: ignore[arg-type]
    after = old if found is None else found[0]
    wanted, there = marks(old)[0], marks(after)[0]
    assert there.count("{") == 0 and all(there.count(each) >= wanted.count(each) for each in wanted)
    assert after.count("|||") >= old.count("|||")
    assert after.count("{") == after.count("}")


@given(texts, st.integers(1, 12), st.sampled_from(["", "ohwx"]))
@settings(deadline=None)
def test_a_cut_goes_through_no_wildcard_and_leaves_no_separator_at_the_end(text: str, limit: int, trigger: str) -> None:
    made = render(text, ITEM, CaptionRules(trigger=trigger, token_limit=limit), count).text
    kept, _ = marks(made)
    assert kept == marks(text)[0][: len(kept)]
    assert made.count("{") == made.count("}") == sum(each.count("{") for each in kept)
    assert not made.endswith("|||") and "{" not in as_trained(made)


@given(texts, st.sampled_from(["cat", "red", "mat"]))
@settings(deadline=None)
def test_words_that_are_replaced_or_stripped_leave_as_many_alternatives(text: str, word: str) -> None:
    for rules in (CaptionRules(replace=((word, "dog"),)), CaptionRules(strip=(word,))):
        made = render(text, ITEM, rules, count).text
        shapes = [[each.count(letter) for letter in "{|}"] for each in marks(made)[0]]
        assert shapes == [[each.count(letter) for letter in "{|}"] for each in marks(text)[0]]
        assert made.count("|||") == text.count("|||")
