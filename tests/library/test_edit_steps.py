"""What the steps of `interrogator edit` make of a text, and what they leave alone."""

from __future__ import annotations

import re
from collections import Counter

import open_clip
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interrogator.cli.parser import build_parser
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.operations import OPERATIONS, filled, line_edit
from interrogator.dataset.text.lines import by_line
from interrogator.dataset.text.tags import as_trained, sections_of, spans, tag_key
from interrogator.dataset.text.token_count import count_tokens
from interrogator.errors import RequestError

TAGS = ("1girl", "solo", "long hair", "long_hair", "^_^", "hatsune miku (vocaloid)", "{red|dark blue, wet} dress",
        "(sharp, clear:1.2)", "score_9", "1,000 stars", "a photo of sks dog", "Smile")  # fmt: skip
lines = st.lists(st.lists(st.sampled_from(TAGS), min_size=1, max_size=6), min_size=1, max_size=3).map(
    lambda sections: " ||| ".join(", ".join(tags) for tags in sections)
)


def do(line: str, *steps: tuple[str, ...]) -> str:
    """The line after steps, which are checked as an edit checks them."""
    counts = {tag_key("solo"): 9, tag_key("smile"): 5}
    for name, *values in Edit(steps).steps:
        line = by_line(line, line_edit(name, values, ", ", counts))
    return line


@pytest.mark.parametrize(
    ("before", "step", "after"),
    [
        ("low poly, sks, 1girl", ("trigger", "sks"), "sks, low poly, 1girl"),
        ("sks, sks, a", ("trigger", "sks"), "sks, a"),
        ("a photo of sks dog", ("trigger", "sks"), "a photo of sks dog"),
        ("", ("trigger", "sks"), "sks"),
        ("a ||| b, sks", ("trigger", "sks"), "sks, a ||| b"),
        ("a cat, Cats, bobcat", ("replace", "cat", "dog"), "a dog, Cats, bobcat"),
        ("a=b, c", ("replace", "a=b", r"\1=x"), r"\1=x, c"),
        ("cats, bobcat", ("replace-text", "cat", "dog"), "dogs, bobdog"),
        ("2girls, 3girls", ("replace-regex", r"(\d)girls", r"\1 girls"), "2 girls, 3 girls"),
        ("red hair, hair", ("replace-tag", "Hair", "fur"), "red hair, fur"),
        ("red_hair, blue hair, hat", ("delete-tag", "* hair"), "hat"),
        ("an arafed cat, arafed, on a mat", ("delete", "arafed"), "a cat, on a mat"),
        ("sks", ("delete", "sks"), ""),
        ("a low poly render of a yellow cat", ("delete", "low poly render of"), "a yellow cat"),
        ("watermark, a signature, text, cat", ("block", "signature"), "watermark, text, cat"),
        ("a, b,", ("add", "B, c"), "a, b, c"),
        ("a cat", ("text-prefix", "photo of"), "photo of a cat"),
        ("photo of a cat", ("text-prefix", "photo of"), "photo of a cat"),
        ("a cat", ("text-suffix", "."), "a cat."),
        ("a cat!", ("text-suffix", "."), "a cat!"),
        ("a cat", ("text-suffix", "; in oil"), "a cat; in oil"),
        ("the photo of two cats", ("delete", "photo of"), "two cats"),
        ("c, b, a, d", ("tags-first", "a, b"), "a, b, c, d"),
        ("zoo, smile, solo", ("order", "frequency"), "solo, smile, zoo"),
        ("b, A, c ||| z, y", ("order", "alphabet"), "A, b, c ||| y, z"),
        ("smile, miku (vocaloid), 1girl, solo", ("order", "characters"), "1girl, solo, miku (vocaloid), smile"),
        ("long hair, Long_Hair, a \\(b\\), a (b) ||| long hair, x", ("unique",), "long hair, a \\(b\\) ||| x"),
        ("long_hair, ^_^, score_8_up", ("underscores", "spaces"), "long hair, ^_^, score_8_up"),
        ("long hair, {a b|c}", ("underscores", "underscores"), "long_hair, {a b|c}"),
        ("a (b), {x|y (z)}, (c:1.2), [d], {e}", ("escape",), r"a \(b\), {x|y (z)}, (c:1.2), \[d\], \{e\}"),
        (r"a \(b\), \{x|y\}", ("escape",), r"a \(b\), \{x|y\}"),
        (r"a \(b\), c", ("unescape",), "a (b), c"),
        ("A Cat", ("case", "lower"), "a cat"),
        ("a cat's LIFE", ("case", "title"), "A Cat's Life"),
        ("a,b ,  c ,, d ||| e,f", ("tidy",), "a, b, c, d ||| e, f"),
        ("long hair, blue eyes, hat", ("token-limit", "5"), "long hair, blue eyes"),
        ("a dog that runs over a long green field", ("token-limit", "4"), "a dog that runs"),
        ("hair, {long red|blue} eyes", ("token-limit", "3"), "hair"),
        ("first, sks\r\nsecond\n", ("trigger", "sks"), "sks, first\r\nsks, second\n"),
        ("a\nb\nc", ("delete", "b"), "a\nc"),
    ],
)  # fmt: skip
def test_each_step_does_what_it_says(before: str, step: tuple[str, ...], after: str) -> None:
    assert do(before, step) == after
    if step[0] not in ("replace-regex", "replace-text"):
        assert do(after, step) == after  # doing it again changes nothing


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (("replace-regex", "(", "x"), "cannot replace"), (("order", "size"), "unknown order"),
        (("token-limit", "0"), "at least 1"), (("replace", " ", "x"), "needs a word"),
        (("shout",), "unknown operation"),
        (("replace", "x"), "takes 2"), (("template", "{nothing}"), "no field {nothing}"), (("template", " "), "empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_anything_is(step: tuple[str, ...], reason: str) -> None:
    with pytest.raises(RequestError, match=re.escape(reason)):
        Edit((step,))


def test_a_template_has_the_names_of_file_and_folder_and_leaves_wildcards() -> None:
    values = {"existing": "", "stem": "b.c", "folder": "sks dog", "key": "10_sks dog/b.c.png"}
    assert filled("{folder}, {stem}, {existing}", values) == "sks dog, b.c"
    assert filled("{{x}} {a|b} {existing}!", {**values, "existing": "e"}) == "{x} {a|b} e!"


_HARMLESS = [
    ("replace", "no such", "x"), ("replace-text", "no such", "x"), ("replace-regex", "no such", "x"),
    ("replace-tag", "no such", "x"), ("delete", "no such"), ("delete-tag", "no such*"), ("block", "no such"),
    ("tags-first", "no such"), ("token-limit", "10000"), ("add", ""), ("text-prefix", ""), ("text-suffix", ""),
]  # fmt: skip


@given(st.text(max_size=60), st.sampled_from(_HARMLESS))
@settings(deadline=None, max_examples=300)
def test_what_finds_nothing_changes_no_letter(text: str, step: tuple[str, ...]) -> None:
    assert do(text, step) == text


_ARGUMENTS = {
    "replace": ("solo", "duo"), "replace-text": ("o", "u"), "replace-regex": (r"\bsolo\b", "x"),
    "replace-tag": ("long*", "short"), "delete": ("dog",), "delete-tag": ("s*",), "block": ("hair",), "add": ("new",),
    "text-prefix": ("begin",), "text-suffix": (".",), "trigger": ("sks",), "tags-first": ("smile, solo",),
    "order": ("frequency",), "underscores": ("spaces",), "case": ("upper",), "token-limit": ("9",),
}  # fmt: skip
_LINE_STEPS = [name for name, row in OPERATIONS.items() if not row.of_whole]


@given(lines, st.sampled_from(_LINE_STEPS))
@settings(deadline=None, max_examples=300)
def test_wildcards_and_sections_survive_every_step(line: str, name: str) -> None:
    after = do(line, (name, *_ARGUMENTS.get(name, ())))
    kept = [line[start:stop].casefold().replace("o", "u") for start, stop in spans(line)]
    found = [after[start:stop].casefold().replace("o", "u") for start, stop in spans(after)]
    if name in ("token-limit", "unique"):
        assert not Counter(found) - Counter(kept)
        assert after.count("{") == after.count("}")
    else:
        assert sorted(found) == sorted(kept)
        assert after.count("|||") == line.count("|||")


@given(lines, st.sampled_from(["alphabet", "frequency", "characters"]))
@settings(deadline=None)
def test_an_order_neither_loses_nor_moves_a_tag_to_another_section(line: str, order: str) -> None:
    after = do(line, ("order", order))
    assert [sorted(tags) for tags in sections_of(after)] == [sorted(tags) for tags in sections_of(line)]


@given(lines, st.integers(1, 30))
@settings(deadline=None)
def test_a_cut_text_is_short_enough_and_a_beginning(line: str, limit: int) -> None:
    after = do(line, ("token-limit", str(limit)))
    assert count_tokens(as_trained(after)) <= limit
    assert line.startswith(after)


@given(st.text(max_size=40) | st.text("abcT’'s &;<>#1Éß日本😀_^\u0301\u200b", max_size=40))
@settings(deadline=None, max_examples=300)
def test_tokens_are_those_of_open_clip(text: str) -> None:
    assert count_tokens(text) == len(_TOKENIZER.encode(text))


_TOKENIZER = open_clip.get_tokenizer("ViT-L-14")


@pytest.mark.parametrize(
    ("words", "replacements", "sources"),
    [
        (["--replace", "a", "b"], [("a", "b")], []),
        (["--replace", "a=b"], [("a", "b")], []),
        (["--replace", "a=b", "."], [("a", "b")], ["."]),
        (["--replace", "a=b", "c", "photos"], [("a=b", "c")], ["photos"]),
        (["--replace", "a=b=c", "--replace", "=", "x"], [("a", "b=c"), ("=", "x")], []),
        (["--replace", "a", "", "photos", "more"], [("a", "")], ["photos", "more"]),
    ],
)
def test_caption_replaces_by_two_words_or_one_with_an_equals_sign(
    words: list[str], replacements: list[tuple[str, str]], sources: list[str]
) -> None:
    args = build_parser().parse_args(["caption", *words])
    assert args.replace == replacements and [*args.sources, *args.more_sources] == sources
    args = build_parser().parse_args(["caption", "first", *words])
    assert [*args.sources, *args.more_sources] == ["first", *sources]


@pytest.mark.parametrize("words", [["a"], ["=a"], [""]])
def test_half_a_replacement_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["caption", ".", "--replace", *words])
    assert "expected OLD NEW" in capsys.readouterr().err
