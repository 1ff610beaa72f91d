"""Which trigger the captions of a picture get, by the folder it is in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path, PurePosixPath

from ..csv_fields import csv_reader
from ..errors import RequestError
from .records import Item
from .settings import Settings
from .sources import Source
from .sources.folders import folder_of, is_regularisation, without_repeats


class TriggerSettings:
    """The settings of a run, with the trigger that each picture gets.

    That is the one of the table for its folder, or the next folder around it that the table has; none for pictures for
    regularisation (see `is_regularisation`); the folder's name where the settings say so; else that of the rules.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source]) -> None:
        self._settings = settings
        self._sources = sources
        self._table = dict(settings.triggers)
        self._by_trigger = {settings.rules.trigger: settings}

    def of(self, item: Item) -> Settings:
        """The settings for one picture."""
        trigger = self._trigger(item)
        if trigger not in self._by_trigger:
            rules = replace(self._settings.rules, trigger=trigger)
            self._by_trigger[trigger] = replace(self._settings, rules=rules, trigger_from_folder=False, triggers=())
        return self._by_trigger[trigger]

    def _trigger(self, item: Item) -> str:
        settings, source = self._settings, self._sources[item.source]
        if not (settings.rules.trigger or settings.trigger_from_folder or self._table):
            return ""
        if self._table:
            for folder in [*PurePosixPath(item.key).parents][:-1]:
                for name in (str(folder), folder.name, without_repeats(folder.name)):
                    if name in self._table:
                        return self._table[name]
            own = "" if source.folder is None else source.folder.resolve().name
            for name in (".", own, without_repeats(own)):
                if name in self._table:
                    return self._table[name]
        if is_regularisation(item, source):
            return ""
        return folder_of(item, source) if settings.trigger_from_folder else settings.rules.trigger


def read_triggers(path: str | PathLike[str]) -> tuple[tuple[str, str], ...]:
    """A table of folders and their triggers: rows `folder,trigger` of a .csv file, or one object of a .json file.

    Raises RequestError: it cannot be read, or is no such table.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if file.suffix.lower() == ".json" else _csv_rows(text)
    except (OSError, ValueError, csv.Error) as error:
        raise RequestError(f"{file}: cannot be read as a table of folders and triggers ({error})") from error
    for row in rows:
        if len(row) != 2 or not all(isinstance(cell, str) for cell in row) or not row[0].strip():
            raise RequestError(f"{file}: each row must be a folder and its trigger, not {', '.join(map(str, row))!r}")
    return tuple((row[0].strip().rstrip("/").replace("\\", "/"), row[1].strip()) for row in rows)


def _json_rows(text: str) -> list[list[str]]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return [[folder, trigger] for folder, trigger in found.items()]


def _csv_rows(text: str) -> list[list[str]]:
    rows = [row for row in csv_reader(io.StringIO(text, newline="")) if row]
    return rows[1:] if rows and [cell.strip().lower() for cell in rows[0]] == ["folder", "trigger"] else rows
