"""Prompts by a template: every field in its place, nothing stray where one is empty, one error for what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interrogator import RankedPhrase, RequestError, assemble
from interrogator.banks import ROLES, bank_names


def phrase(text: str, bank: str) -> RankedPhrase:
    return RankedPhrase(text, bank, 0.2)


PHRASES = [
    phrase("oil on canvas", "mediums"),
    phrase("soft light", "lighting"),
    phrase("by Claude Monet", "artists"),
    phrase("trending on a site", "trendings"),
    phrase("mine", "my-words"),
    phrase("rim light", "lighting"),
    phrase("blurry", "negative"),
]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{caption}, {mediums} {artists}", "a cat, oil on canvas by Claude Monet"),
        ("{phrases}", ", ".join(p.text for p in PHRASES)),
        ("{flavors}", "soft light, mine, rim light"),
        ("{lighting} | {my-words}", "soft light, rim light | mine"),
        ("{sites}", "trending on a site"),
        ("{trendings}", "trending on a site"),
        ("not {negative}", "not blurry"),
        ("{ caption }", "a cat"),
        ("{{{caption}}} }}{{", "{a cat} }{"),
        ("no field", "no field"),
    ],
)
def test_a_field_holds_the_caption_all_phrases_those_of_a_role_or_those_of_a_bank(template: str, expected: str) -> None:
    assert assemble(template, "a cat", PHRASES) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{caption}, {mediums}, by X", "a cat, by X"),
        ("{caption}, {mediums} {artists}, {flavors}", "a cat"),
        ("{mediums}, {caption}", "a cat"),
        ("{mediums} {caption} {artists} here", "a cat here"),
        ("{caption} {mediums}, by X", "a cat, by X"),
        ("{caption},{mediums},by X", "a cat,by X"),
        ("{caption},\n{mediums},\nby X", "a cat,\n\nby X"),
        ("{caption},\nby X", "a cat,\nby X"),
        ("{caption}, {mediums}\n\n{artists} by X", "a cat,\n\nby X"),
        ("{caption},\n{mediums}", "a cat\n"),
        ("{mediums},\n{caption}", "\na cat"),
        ("one, two,three", "one, two,three"),
        ("1,000 {mediums}x", "1,000 x"),
    ],
)
def test_an_empty_field_leaves_no_comma_and_no_space_behind(template: str, expected: str) -> None:
    assert assemble(template, "a cat", []) == expected


def test_no_caption_is_an_empty_field() -> None:
    assert assemble("{caption}, {mediums}", "", PHRASES) == "oil on canvas"


def test_braces_and_brackets_in_a_caption_or_a_phrase_are_text() -> None:
    phrases = [phrase(r"{caption} \1 {{x}} (a:1.2) {", "mediums")]
    assert assemble("{caption} / {mediums}", "{mediums} [b] }", phrases) == (
        r"{mediums} [b] } / {caption} \1 {{x}} (a:1.2) {"
    )


@pytest.mark.parametrize(
    "name",
    ["artist", "caption.__class__", "phrases[0]", "caption!r", "caption:>9", "", "0", "no such thing", "Caption"],
)
def test_any_other_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        assemble(f"{{caption}}, {{{name}}}", "a cat", PHRASES)
    message = str(caught.value)
    assert message.startswith(f"unknown field {{{name}}} in a template; choose from ") and "\n" not in message
    listed = message.partition("choose from ")[2].split(", ")
    known = {"caption", "prompt", "tags", "phrases", *ROLES, *bank_names(), "my-words", "trendings"}
    assert known == set(listed)
    assert len(listed) == len(set(listed))


def test_the_nearest_name_comes_first() -> None:
    with pytest.raises(RequestError, match=r"unknown field \{artist\} in a template; choose from artists, "):
        assemble("{artist}", "a cat", [])
    with pytest.raises(RequestError, match=r"choose from my-words, "):
        assemble("{mywords}", "a cat", PHRASES)


@pytest.mark.parametrize(("template", "place"), [("a {caption", 3), ("caption}", 8), ("{{caption}", 10), ("{a{b}}", 1)])
def test_a_brace_that_belongs_to_nothing_is_named(template: str, place: int) -> None:
    with pytest.raises(RequestError, match=f"unmatched . at character {place} of the template"):
        assemble(template, "a cat", [])


@pytest.mark.parametrize("template", ["", " , ", "{caption}", "{caption},\n {mediums} "])
def test_a_template_that_comes_out_empty_is_refused(template: str) -> None:
    with pytest.raises(RequestError, match="gives an empty prompt"):
        assemble(template, "", [])


FIELDS = st.sampled_from(["{caption}", "{mediums}", "{lighting}", "{phrases}", ", ", ",", " ", "\n", "by", "{{", "\t"])
ODD = st.text(st.sampled_from("ab{}[]!:., \n\t\r\u00a0\u2028") | st.characters(), max_size=20)
RANKED = st.lists(st.builds(phrase, ODD, st.sampled_from(["mediums", "lighting"])), max_size=3)


@given(st.lists(FIELDS, max_size=12).map("".join), ODD, RANKED)
def test_a_prompt_never_has_a_stray_comma_or_space(template: str, caption: str, phrases: list[RankedPhrase]) -> None:
    try:
        prompt = assemble(template, caption, phrases)
    except RequestError as error:
        assert "gives an empty prompt" in str(error)
        return
    assert "  " not in prompt and " ," not in prompt
    assert ",," not in "".join(prompt.split())
    assert not prompt.startswith((" ", ",")) and not prompt.endswith((" ", ","))
    assert not prompt.strip().startswith(",") and not prompt.strip().endswith(",")


@given(st.lists(FIELDS, max_size=12).map("".join))
def test_the_lines_of_a_template_stay(template: str) -> None:
    try:
        assert assemble(template, "a cat", PHRASES).count("\n") == template.count("\n")
    except RequestError as error:
        assert not template.replace(",", "").strip(), error


@given(ODD, ODD, RANKED)
def test_no_template_raises_anything_else(template: str, caption: str, phrases: list[RankedPhrase]) -> None:
    try:
        assert assemble(template, caption, phrases).strip()
    except RequestError:
        pass
