"""Editor: stands where a run has its models, and makes new texts of those that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ...reading import Candidate
from ..captioning.images import Picture
from ..captioning.result import CaptionResult
from ..records import Item
from ..sources import Source, stem
from ..sources.folders import folder_of, is_regularisation
from ..text.lines import by_line
from ..text.tags import added
from ..text.words import tidy
from .edit import Edit
from .operations import EXISTING, OPERATIONS, filled, line_edit
from .origins import Origin, UnreadableTextError, decoded, open_origin

TextEdit = Callable[[str | None, Item], "str | None"]


class Editor:
    """What a run of edits has in place of models: a `Captions` that looks at no picture."""

    prepare = None

    def __init__(
        self, edit: Edit, sources: Sequence[Source], column: str = "", counts: Callable[[], Mapping[str, int]] = dict,
        categories: Callable[[], Mapping[str, str]] = dict,
    ) -> None:  # fmt: skip
        """Open where the texts are.

        Args:
            column: of the texts in tables; "" finds it.
            counts: how often tags are there, by `tag_key`; called if a step asks for it.
            categories: which tags are characters, by `tag_key`; called if a step asks for it.

        Raises RequestError: nothing is there, or it cannot be read.
        """
        self.is_tidy = edit.is_tidy
        self._edit = edit
        self._sources = sources
        self._column = column
        self._counts = counts
        self._categories = categories
        self._origin: Origin = open_origin(edit.origin, sources, column)
        self._steps = [self._text_edit(name, given) for name, *given in edit.steps]

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        """The new text of each picture, from `Picture.existing` or elsewhere; no text where there is none to edit."""
        results = []
        for number, picture in enumerate(pictures, start=1):
            results.append(self._result(picture))
            if progress is not None:
                progress(number, len(pictures))
        return results

    def before(self, item: Item, there: str | None) -> str | None:
        """The text of a picture before the edit; see `Origin.text`. Raises UnreadableTextError."""
        raw = self._origin.text(item, there)
        return None if raw is None else decoded(raw, self._edit.encoding)

    def after(self, item: Item, text: str | None) -> str | None:
        """The text of a picture after the edit; None if it has none. Raises UnreadableTextError, of a text that is
        added."""
        for step in self._steps:
            text = step(text, item)
        return text

    def _result(self, picture: Picture) -> CaptionResult:
        try:
            text = self.after(picture.item, self.before(picture.item, picture.existing))
        except UnreadableTextError as error:
            return CaptionResult((), error=str(error))
        return CaptionResult(() if text is None else [Candidate(text)])

    def _text_edit(self, name: str, given: Sequence[str]) -> TextEdit:
        if name == "template":
            return lambda text, item: self._filled(given[0], text, item)
        if name == "with":
            other = open_origin(given[0], self._sources, self._column)
            return lambda text, item: self._with(text, other.text(item, None))
        if name in ("trigger", "trigger-from-folder"):
            return lambda text, item: self._triggered(text, item, *given)
        if OPERATIONS[name].of_whole:
            raise AssertionError(f"{name} is not done here")
        if (name, *given) == ("order", "frequency"):  # the texts are counted when the first is to be edited
            return lambda text, item: None if text is None else by_line(text, self._by_frequency)
        if (name, *given) == ("order", "characters"):
            return lambda text, item: None if text is None else by_line(text, self._by_characters)
        each = line_edit(name, given, self._edit.separator, {})
        return lambda text, item: None if text is None else by_line(text, each)

    def _with(self, text: str | None, raw: str | None) -> str | None:
        if raw is None:
            return text
        more = decoded(raw, self._edit.encoding)
        if text is None or not text.strip():
            return more or text
        return by_line(text, lambda line: added(line, more.replace("\n", ", "), self._edit.separator))

    def _triggered(self, text: str | None, item: Item, trigger: str = "") -> str | None:
        source = self._sources[item.source]
        trigger = trigger or folder_of(item, source)
        if text is None or not tidy(trigger) or is_regularisation(item, source):
            return text
        return by_line(text, line_edit("trigger", (trigger,), self._edit.separator, {}))

    def _filled(self, template: str, text: str | None, item: Item) -> str | None:
        def fill(line: str) -> str:
            return filled(template, self._values(line, item))

        return by_line(text, fill) if text and EXISTING in template else fill(text or "") or None

    def _values(self, text: str, item: Item) -> dict[str, str]:
        return {
            "existing": text, "stem": PurePosixPath(stem(item.key)).name, "key": item.key,
            "folder": folder_of(item, self._sources[item.source]),
        }  # fmt: skip

    @cached_property
    def _by_frequency(self) -> Callable[[str], str]:
        return line_edit("order", ("frequency",), self._edit.separator, self._counts())

    @cached_property
    def _by_characters(self) -> Callable[[str], str]:
        return line_edit("order", ("characters",), self._edit.separator, {}, self._categories())


def texts_before(editor: Editor, items: Iterator[Item], there: Callable[[Item], str | None]) -> Iterator[str]:
    """The texts that pictures have before an edit, those that can be read."""
    for item in items:
        try:
            text = editor.before(item, there(item))
        except UnreadableTextError:
            continue
        if text is not None:
            yield text
