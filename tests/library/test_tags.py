"""Which tags hold, how they read, and in which order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from interrogator import Interrogator, Tag, TagRules, join_tags, select_tags
from interrogator.captioners import CaptionOptions
from interrogator.errors import CaptionError, RequestError
from interrogator.reading import Models, read
from interrogator.taggers.thresholds import mcut
from interrogator.taggers.wording import KAOMOJI, Patterns, with_spaces

from .bare_models import BareBooruTagger, BareCaptioner, BareEncoder, BareSampler, BareTagger

RED, HALF = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (128, 0, 0))
ALL_OF_RED = ["hatsune miku", "kagamine rin", "vocaloid", "nintendo", "1girl", "long hair", "o_o", "smile", "hat (cap)"]

CATEGORIES = ("general", "character", "copyright", "rating", "quality", "meta")
PROBABILITIES = st.floats(0, 1, width=32)
TAGS = st.builds(
    Tag, st.sampled_from([*"abcdefgh", "a_b", "a b", "A_b", "c_(d)", "o_o", ">_<"]), PROBABILITIES,
    st.sampled_from(CATEGORIES), st.none() | PROBABILITIES, st.lists(st.sampled_from("axyz"), max_size=2).map(tuple),
)  # fmt: skip
VOCABULARIES = st.lists(TAGS, max_size=25)
RULES = st.builds(
    TagRules, threshold=st.none() | PROBABILITIES, character_threshold=st.none() | PROBABILITIES, mcut=st.booleans(),
    max_tags=st.none() | st.integers(1, 6), ratings=st.booleans(), keep_underscores=st.booleans(),
    escape=st.booleans(), character_first=st.booleans(),
    block=st.lists(st.sampled_from(["a*", "*b", "x", "C_*"]), max_size=2).map(tuple),
)  # fmt: skip


def texts(tags: Sequence[Tag]) -> list[str]:
    return [tag.text for tag in tags]


def tag(image: Image.Image = RED, **rules: Any) -> list[str]:
    ci = Interrogator(None, None, (), tagger=BareBooruTagger(), tag_rules=TagRules(**rules))
    return texts(ci.tag(image))


class TestThresholds:
    def test_a_tag_holds_if_it_is_more_probable_than_its_threshold(self) -> None:
        assert tag() == ALL_OF_RED
        assert tag(threshold=0.5, character_threshold=0.9) == [
            "hatsune miku", "vocaloid", "1girl", "long hair", "o_o", "smile", "hat (cap)",
        ]  # fmt: skip

    def test_a_tag_exactly_as_probable_as_its_threshold_does_not_hold(self) -> None:
        """As in huggingface.co/spaces/SmilingWolf/wd-tagger."""
        assert texts(select_tags([Tag("at", 0.5), Tag("above", 0.5001)], TagRules(threshold=0.5))) == ["above"]

    def test_the_models_own_threshold_comes_before_the_general_one_and_after_the_users(self) -> None:
        vocabulary = [Tag("sure", 0.3, threshold=0.2), Tag("unsure", 0.9, threshold=0.95), Tag("plain", 0.4)]
        assert texts(select_tags(vocabulary)) == ["plain", "sure"]
        assert texts(select_tags(vocabulary, TagRules(threshold=0.35))) == ["unsure", "plain"]

    def test_a_threshold_of_a_category_comes_first(self) -> None:
        assert "nintendo" not in tag(category_thresholds={"copyright": 0.5})
        rules = {"character_threshold": 0.99, "category_thresholds": {"character": 0.92, "general": 0.95}}
        assert tag(**rules) == ["hatsune miku", "vocaloid", "nintendo", "1girl"]

    def test_a_general_threshold_leaves_characters_to_theirs(self) -> None:
        vocabulary = [Tag("somebody", 0.8, "character"), Tag("smile", 0.8)]
        assert texts(select_tags(vocabulary, TagRules(threshold=0.1))) == ["smile"]

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"threshold": 1.5}, "threshold must be from 0 to 1"),
            ({"character_threshold": float("nan")}, "character_threshold must be from 0 to 1"),
            ({"category_thresholds": {"copyright": -1}}, "the threshold of copyright must be from 0 to 1"),
            ({"max_tags": 0}, "max_tags must be at least 1"),
            ({"block": ("",)}, "must not be empty"),
            ({"block": "smile"}, "block must be a list of texts"),
            ({"categories": "general"}, "categories must be a list of texts"),
        ],
    )
    def test_rules_that_make_no_sense_are_refused(self, values: Any, words: str) -> None:
        with pytest.raises(RequestError, match=words):
            TagRules(**values)


class TestMcut:
    def test_it_cuts_at_the_widest_gap(self) -> None:
        """The example on which the sign error of `np.diff(s).argmax()` gives .875."""
        assert mcut([0.2, 0.99, 0.3, 0.85, 0.1, 0.9]) == pytest.approx(0.575)

    def test_one_probability_has_no_gap(self) -> None:
        assert mcut([0.9]) is None and mcut([]) is None
        assert texts(select_tags([Tag("alone", 0.9), Tag("who", 0.5, "character")], TagRules(mcut=True))) == ["alone"]

    @given(st.lists(PROBABILITIES, min_size=2, max_size=30))
    def test_it_splits_neighbours_that_are_nowhere_further_apart(self, probabilities: list[float]) -> None:
        threshold = mcut(probabilities)
        assert threshold is not None
        above = [each for each in probabilities if each > threshold]
        below = [each for each in probabilities if each <= threshold]
        ordered = sorted(probabilities)
        widest = max(upper - lower for lower, upper in zip(ordered, ordered[1:], strict=False))
        if widest > 1e-6:
            assert above and below and min(above) - max(below) == widest

    def test_it_is_found_for_each_category_and_in_place_of_the_models_own(self) -> None:
        vocabulary = [Tag("a", 0.9, threshold=0.99), Tag("b", 0.8), Tag("c", 0.2)]
        vocabulary += [Tag("who", 0.6, "character"), Tag("else", 0.1, "character")]
        assert texts(select_tags(vocabulary, TagRules(mcut=True))) == ["who", "a", "b"]

    def test_names_that_are_all_improbable_do_not_hold(self) -> None:
        vocabulary = [Tag("who", 0.14, "character"), Tag("else", 0.01, "character"), Tag("a", 0.14), Tag("b", 0.01)]
        assert texts(select_tags(vocabulary, TagRules(mcut=True))) == ["a"]

    def test_a_threshold_that_is_given_stays(self) -> None:
        vocabulary = [
            Tag("a", 0.9),
            Tag("b", 0.8),
            Tag("c", 0.2),
            Tag("who", 0.5, "character"),
            Tag("x", 0, "character"),
        ]
        assert texts(select_tags(vocabulary, TagRules(mcut=True, threshold=0.85))) == ["who", "a"]


class TestCategories:
    def test_what_does_not_describe_the_picture_is_left_out(self) -> None:
        assert not {"general", "sensitive", "best quality", "highres"} & set(tag())

    def test_ratings_stand_last_and_are_the_most_probable_of_their_category(self) -> None:
        assert tag(ratings=True) == [*ALL_OF_RED, "sensitive", "best quality"]
        assert tag(HALF, ratings=True, threshold=0.9)[-2:] == ["sensitive", "best quality"]

    def test_only_the_categories_named_are_taken(self) -> None:
        assert tag(categories=("character",)) == ["hatsune miku", "kagamine rin"]
        assert tag(categories=("meta", "rating")) == ["highres", "sensitive"]

    @pytest.mark.parametrize("rules", [{"categories": ("artists",)}, {"category_thresholds": {"artists": 0.5}}])
    def test_a_category_that_the_tagger_lacks_is_named_with_those_it_has(self, rules: Any) -> None:
        with pytest.raises(RequestError, match="no category 'artists'; its categories are rating, quality, general"):
            tag(**rules)

    def test_what_a_character_implies_is_a_category_that_can_be_named(self) -> None:
        vocabulary = [Tag("who", 0.9, "character", implies=("series",))]
        assert texts(select_tags(vocabulary, TagRules(categories=("copyright", "character")))) == ["who", "series"]


class TestWording:
    def test_underscores_become_spaces_except_in_kaomoji(self) -> None:
        assert len(KAOMOJI) == 19 and all(with_spaces(face) == face for face in KAOMOJI)
        assert with_spaces("long_hair") == "long hair" and with_spaces("^_^_smile") == "^ ^ smile"

    def test_the_vocabularys_own_form_can_be_kept(self) -> None:
        assert "long_hair" in tag(keep_underscores=True) and "hatsune_miku" in tag(keep_underscores=True)

    def test_brackets_are_escaped_on_request_and_once(self) -> None:
        assert "hat (cap)" in tag() and r"hat \(cap\)" in tag(escape=True)
        assert texts(select_tags([Tag(r"hat_\(cap\)", 1.0)], TagRules(escape=True))) == [r"hat \(cap\)"]
        assert texts(select_tags([Tag("(o)_(o)", 1.0)], TagRules(escape=True))) == [r"\(o\)_\(o\)"]

    def test_duplicates_are_removed_however_they_are_spelled(self) -> None:
        vocabulary = [Tag("Long_Hair", 0.5), Tag("long hair", 0.9), Tag("smile", 0.7)]
        assert texts(select_tags(vocabulary)) == ["long hair", "smile"]


class TestBlocking:
    @pytest.mark.parametrize("pattern", ["*_hair", "* hair", "LONG*", "long_hair", "*", "l*r"])
    def test_a_pattern_stands_for_the_whole_tag(self, pattern: str) -> None:
        assert Patterns([pattern]).match("long_hair") and "long hair" not in tag(block=(pattern,))

    @pytest.mark.parametrize("pattern", ["hair", "*_hai", "long", "longxhair", "long?hair", "[a-z]*"])
    def test_nothing_but_a_star_is_a_wildcard(self, pattern: str) -> None:
        assert not Patterns([pattern]).match("long_hair")
        assert Patterns(["? (a+b)*"]).match("?_(A+b)_c")

    def test_a_blocked_character_implies_nothing(self) -> None:
        assert "vocaloid" not in tag(block=("hatsune_miku", "kagamine*"))
        assert "hatsune miku" in tag(block=("vocaloid",)) and "vocaloid" not in tag(block=("vocaloid",))

    def test_a_blocked_rating_is_left_out(self) -> None:
        assert tag(ratings=True, block=("sensitive",)) == [*ALL_OF_RED, "best quality"]


class TestOrder:
    def test_characters_come_first_then_where_they_are_from(self) -> None:
        assert tag()[:4] == ["hatsune miku", "kagamine rin", "vocaloid", "nintendo"]

    def test_the_most_probable_comes_first_on_request(self) -> None:
        expected = ["1girl", "hatsune miku", "vocaloid", "long hair", "kagamine rin"]
        assert tag(character_first=False)[:5] == expected

    def test_equals_keep_the_order_of_the_vocabulary(self) -> None:
        vocabulary = [
            Tag(name, 0.5, category) for name, category in zip("abcd", ["x", "y", "x", "general"], strict=True)
        ]
        assert texts(select_tags(vocabulary)) == ["a", "b", "c", "d"]

    def test_the_most_probable_tags_are_kept_whatever_stands_first(self) -> None:
        assert tag(max_tags=2) == ["hatsune miku", "1girl"]
        assert tag(max_tags=1, ratings=True) == ["1girl", "sensitive", "best quality"]


class TestAnyVocabulary:
    @given(VOCABULARIES, RULES)
    def test_what_is_selected_is_in_the_vocabulary_or_implied_and_stands_once(
        self, vocabulary: list[Tag], rules: TagRules
    ) -> None:
        raw = select_tags(vocabulary, TagRules(**{**vars(rules), "keep_underscores": True, "escape": False}))
        known = {each.text for each in vocabulary} | {text for each in vocabulary for text in each.implies}
        assert {each.text for each in raw} <= known
        described = [each for each in raw if each.category not in ("rating", "quality")]
        assert max(Counter(with_spaces(each.text).casefold() for each in described).values(), default=1) == 1
        assert len(described) <= (rules.max_tags or len(described))
        assert not any(Patterns(rules.block).match(each.text) for each in raw)
        assert all(rules.takes(each.category) for each in raw)
        assert len(select_tags(vocabulary, rules)) == len(raw), "wording does not decide what holds"

    @given(VOCABULARIES, RULES, st.integers())
    def test_the_order_of_a_vocabulary_decides_between_equals_alone(
        self, vocabulary: list[Tag], rules: TagRules, seed: int
    ) -> None:
        distinct = [
            Tag(f"{number}_x", (number + 0.5) / len(vocabulary), each.category, each.threshold)
            for number, each in enumerate(vocabulary)
        ]
        shuffled = random.Random(seed).sample(distinct, len(distinct))
        assert select_tags(shuffled, rules) == select_tags(distinct, rules)

    @given(VOCABULARIES, RULES, st.floats(0, 1), st.floats(0, 1))
    def test_a_higher_threshold_takes_nothing_more(
        self, vocabulary: list[Tag], rules: TagRules, one: float, other: float
    ) -> None:
        values = {**vars(rules), "max_tags": None, "mcut": False}
        few, many = (
            select_tags(vocabulary, TagRules(**{**values, "threshold": each, "character_threshold": each}))
            for each in (max(one, other), min(one, other))
        )
        assert {(each.text.casefold()) for each in few} <= {each.text.casefold() for each in many}

    @given(VOCABULARIES)
    def test_what_stands_in_escaped_tags_is_not_escaped_again(self, vocabulary: list[Tag]) -> None:
        once = select_tags(vocabulary, TagRules(escape=True, threshold=0.0, character_threshold=0.0))
        again = select_tags(once, TagRules(escape=True, threshold=0.0, character_threshold=0.0))
        assert {each.text for each in again} == {each.text for each in once}


class TestInterrogator:
    def test_tags_follow_its_rules_and_those_of_the_call(self) -> None:
        ci = Interrogator(None, None, (), tagger=BareBooruTagger(), tag_rules=TagRules(max_tags=1))
        assert texts(ci.tag(RED)) == ["1girl"]
        assert texts(ci.tag(RED, rules=TagRules())) == ALL_OF_RED
        assert [texts(tags) for tags in ci.tag_many([RED, HALF], rules=TagRules(threshold=0.9))][1] == []

    def test_mode_tags_follows_the_rules(self) -> None:
        rules = TagRules(block=("*_hair",), escape=True, character_threshold=0.92)
        result = Interrogator(None, None, (), tagger=BareBooruTagger(), tag_rules=rules).interrogate(RED, "tags")
        assert result.prompt == r"hatsune miku, vocaloid, nintendo, 1girl, o_o, smile, hat \(cap\)"
        assert result.prompt == join_tags(result.tags) == result.escaped_prompt

    def test_every_mode_gives_tags_where_there_is_a_tagger(self) -> None:
        ci = Interrogator(BareCaptioner(), BareEncoder(), (), tagger=BareTagger())
        assert texts(ci.interrogate(RED, "caption").tags) == ["red"]
        assert Interrogator(BareCaptioner(), None, ()).interrogate(RED, "caption").tags == []

    def test_no_tag_that_holds_is_an_error_in_mode_tags(self) -> None:
        ci = Interrogator(None, None, (), tagger=BareBooruTagger(), tag_rules=TagRules(block=("*",)))
        with pytest.raises(CaptionError, match="no tag of the tagger holds for this image"):
            ci.interrogate(RED, "tags")

    def test_a_question_with_tags_is_asked_with_those_that_hold(self) -> None:
        asked: list[CaptionOptions] = []

        class Listener(BareSampler):
            def caption(self, prepared: Any, options: Any = None, progress: Any = None) -> list[str]:
                asked.append(options)
                return ["a thing"] * len(prepared)

        models = Models(Listener(), BareBooruTagger())
        options, rules = CaptionOptions(ask="Use {tags}."), TagRules(max_tags=3, character_first=False)
        read([RED], frozenset({"captioner", "tagger"}), models, caption_options=options, tag_rules=rules)
        assert asked[0].tags == ("1girl, hatsune miku, vocaloid",)
