"""What can be done to the text of a picture, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from ...errors import RequestError
from ...taggers.wording import Patterns
from ..text.rules import check_regex
from ..text.tags import Change, added, changed, put_together, sections_of, tag_key, with_trigger
from ..text.token_count import count_tokens
from ..text.words import glued, tidy, whole
from . import wording

LineEdit = Callable[[str], str]


@dataclass(frozen=True)
class Operation:
    """A row of `OPERATIONS`.

    Attributes:
        arguments: what it is given, as help names it.
        help: what it does, in a few words.
        of_whole: whether it needs to know the picture, not only a line of its text; some make a text where none was.
    """

    arguments: tuple[str, ...]
    help: str
    of_whole: bool = False


CASES: Mapping[str, LineEdit] = {
    "lower": str.lower,
    "upper": str.upper,
    "title": lambda line: re.sub(r"[^\W\d_]\S*", lambda found: found[0][:1].upper() + found[0][1:].lower(), line),
    "sentence": lambda line: line[:1].upper() + line[1:],
}
UNDERSCORES: Mapping[str, Callable[[str], str]] = {
    "spaces": wording.with_spaces, "underscores": wording.with_underscores,
}  # fmt: skip
ORDERS = ("alphabet", "frequency", "characters")

OPERATIONS: Mapping[str, Operation] = {
    "replace": Operation(("OLD", "NEW"), "replace words, whatever their case"),
    "replace-text": Operation(("OLD", "NEW"), "replace a text, letter by letter"),
    "replace-regex": Operation(("REGEX", "NEW"), r"replace what a regular expression matches; \1 is a group"),
    "replace-tag": Operation(("TAG", "NEW"), "replace a whole tag; in TAG, * is any text"),
    "delete": Operation(("WORDS",), "delete words; commas and articles are mended"),
    "delete-tag": Operation(("TAG",), "delete a whole tag; in TAG, * is any text"),
    "block": Operation(("WORDS",), "delete every tag that contains WORDS"),
    "add": Operation(("TAGS",), "add tags at the end, unless they are there"),
    "text-prefix": Operation(("TEXT",), "begin the text with this, unless it does"),
    "text-suffix": Operation(("TEXT",), "end the text with this, unless it does"),
    "trigger": Operation(
        ("WORD",), "put WORD in front, once; in the middle of a sentence it stays where it is; not in folders reg/"
    ),
    "trigger-from-folder": Operation(
        (), "the same with the name of each picture's folder, without the 10_ of repeats", of_whole=True
    ),
    "tags-first": Operation(("TAGS",), "put these tags first, in this order, where they are there"),
    "order": Operation(
        ("ORDER",),
        f"order tags by {', '.join(ORDERS)}; characters are those that a tagger found and name_(series), behind 1girl",
    ),
    "unique": Operation((), "delete tags that are there already"),
    "underscores": Operation(("WHICH",), "write tags with spaces or with underscores; ^_^ and score_9 stay"),
    "escape": Operation((), "put a backslash before brackets, except those of {a|b} and (a:1.2)"),
    "unescape": Operation((), "take the backslashes before brackets away"),
    "case": Operation(("CASE",), f"change the case: {', '.join(CASES)}"),
    "tidy": Operation((), "one space between words, one comma between tags, no byte order mark"),
    "token-limit": Operation(("N",), "cut at N CLIP tokens, at a tag or word"),
    "template": Operation(
        ("TEXT",), "make a text of {existing}, {stem}, {folder} (without the 10_ of repeats) and {key}", of_whole=True
    ),
    "with": Operation(("FILE",), "add the text or tags that a table or a folder of texts has", of_whole=True),
}  # fmt: skip
"""In any order, as often as somebody wants; those that are not of the whole text are done to each of its lines."""

_PEOPLE = re.compile(r"(\d+\+?|multiple)[ _](girls?|boys?|others?)|\d+\+?(girls?|boys?|others?)|solo|no[ _]humans")
_OF_A_SERIES = re.compile(r"[^()\\]+[ _]\\?\([^()]+\\?\)")


def check(name: str, given: Sequence[str]) -> None:
    """Raises RequestError: the operation cannot be done with this."""
    if name in ("replace", "replace-text", "replace-regex", "replace-tag", "delete", "delete-tag", "block", "trigger"):
        if not given[0].strip() or name in ("replace", "delete", "block", "trigger") and not tidy(given[0]):
            raise RequestError(f"{name} needs a word or phrase to look for, not {given[0]!r}")
    if name == "template":
        check_template(given[0])
    elif not OPERATIONS[name].of_whole:
        line_edit(name, given, ", ", {})


def line_edit(
    name: str, given: Sequence[str], separator: str, counts: Mapping[str, int],
    categories: Mapping[str, str] = MappingProxyType({}),
) -> LineEdit:  # fmt: skip
    """What a step does to a line.

    Args:
        counts: by `tag_key`, how often a tag is there in the dataset; one that is missing is there once.
        categories: by `tag_key`, `character` or `copyright`, where a tagger has said so.

    Raises RequestError.
    """
    first = given[0] if given else ""
    if name in ("replace", "replace-text", "replace-regex"):
        return _replace(name, first, given[1])
    if name in ("case", "underscores", "order", "token-limit"):
        return _chosen(name, first, separator, counts, categories)
    by_tags: Mapping[str, Callable[[], Change]] = {
        "replace-tag": lambda: _replace_tag(first, given[1]),
        "delete-tag": lambda: partial(_without, Patterns([first])),
    }
    if name in by_tags:
        return partial(changed, change=by_tags[name](), separator=separator)
    plain: Mapping[str, LineEdit] = {
        "delete": lambda line: wording.without_words(line, first),
        "block": lambda line: wording.without_tags_of(line, first),
        "add": lambda line: added(line, first, separator),
        "text-prefix": lambda line: line if line.startswith(first.strip()) else glued(first, line),
        "text-suffix": lambda line: line if line.endswith(first.strip()) else glued(line, first),
        "trigger": lambda line: with_trigger(line, first, separator),
        "tags-first": partial(changed, change=_first(first), separator=separator),
        "unique": lambda line: _unique(line, separator),
        "escape": wording.escaped,
        "unescape": wording.unescaped,
        "tidy": _tidied,
    }
    return plain[name]


def _chosen(
    name: str, choice: str, separator: str, counts: Mapping[str, int], categories: Mapping[str, str]
) -> LineEdit:
    if name == "token-limit":
        if not choice.isdecimal() or int(choice) < 1:
            raise RequestError(f"token-limit must be a number of at least 1, not {choice!r}")
        return partial(wording.cut, limit=int(choice), count=count_tokens)
    known: tuple[str, ...] = {"case": tuple(CASES), "underscores": tuple(UNDERSCORES)}.get(name, ORDERS)
    if choice not in known:
        raise RequestError(f"unknown {name} {choice!r}; choose from {', '.join(known)}")
    if name == "case":
        return CASES[choice]
    if name == "underscores":
        return partial(changed, change=lambda tags: list(map(UNDERSCORES[choice], tags)), separator=separator)
    keys: Mapping[str, Callable[[str], object]] = {
        "alphabet": tag_key, "frequency": lambda tag: -counts.get(tag_key(tag), 1),
        "characters": partial(_rank, categories),
    }  # fmt: skip
    return partial(changed, change=lambda tags: sorted(tags, key=keys[choice]), separator=separator)  # type: ignore[arg-type]


def _replace(name: str, old: str, new: str) -> LineEdit:
    if name == "replace-text":
        return lambda line: line.replace(old, new)
    if name == "replace-regex":
        check_regex(old, new)
        return lambda line: wording.replaced(line, re.compile(old), new)
    return lambda line: wording.replaced(line, whole(old), new.replace("\\", r"\\"))


def _replace_tag(old: str, new: str) -> Change:
    patterns = Patterns([old])
    return lambda tags: [each for tag in tags if (each := new.strip() if patterns.match(tag) else tag)]


def _without(patterns: Patterns, tags: list[str]) -> list[str]:
    return [tag for tag in tags if not patterns.match(tag)]


def _first(tags: str) -> Change:
    ranks = {tag_key(tag): rank for section in sections_of(tags) for rank, tag in enumerate(section)}
    return lambda found: sorted(found, key=lambda tag: ranks.get(tag_key(tag), len(ranks)))


def _unique(line: str, separator: str) -> str:
    seen: set[str] = set()
    before = sections_of(line)
    after = []
    for section in before:
        after.append([tag for tag in section if not (tag_key(tag) in seen or seen.add(tag_key(tag)))])  # type: ignore[func-returns-value]
    return put_together(line, before, after, separator)


def _rank(categories: Mapping[str, str], tag: str) -> int:
    """People first, then characters, then what they are from, then the rest.

    A character is what a tagger takes for one, or has the series in brackets behind its name.
    """
    key = tag_key(tag)
    if _PEOPLE.fullmatch(key):
        return 0
    known = categories.get(key, "character" if _OF_A_SERIES.fullmatch(tag) else "")
    return {"character": 1, "copyright": 2}.get(known, 3)


def _tidied(line: str) -> str:
    return " ||| ".join(tidy(section) for section in line.split("|||")).strip()


_FIELD = re.compile(r"\{\{|\}\}|\{\s*(\w+)\s*\}")
FIELDS = ("existing", "stem", "folder", "key")
EXISTING = "{existing}"


def check_template(template: str) -> None:
    """Raises RequestError: it is empty, or names a field that there is none of."""
    if not template.strip():
        raise RequestError("the template is empty; {existing} leaves the text as it is")
    for found in _FIELD.finditer(template):
        if found[1] and found[1] not in FIELDS:
            raise RequestError(f"the template has no field {found[0]}; choose from {', '.join(FIELDS)}")


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its fields filled in; beside one that is empty, commas and spaces go."""

    def value(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else values[found[1]]

    text = _FIELD.sub(value, template)
    return text if all(values[name] for name in FIELDS if f"{{{name}}}" in template) else text.strip(" ,")
