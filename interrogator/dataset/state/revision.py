"""The plan of a run after its sources changed, and what was carried over to it.

    RUN/plan, RUN/parts                the first plan; see plan.py and parts.py
    RUN/revision-00001/plan, parts     the plan that replaced it, and so on; the one with the highest number counts
    RUN/revision-00001/withdrawn.jsonl captions that no longer belong where they stand; gone once they are taken back
    RUN/revision-00001/settled         sixteen bytes for each record that the target holds under the same name already

A revision is written aside and renamed, so it is there as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ...files import sync_folder, temp_path, write_pieces
from ..records import Record
from ..review.thumbnails import Thumbnails
from ..targets import Target, text_of
from ..targets.target import item_of, one_line
from .parts import Parts
from .plan import Plan

_NAME = re.compile(r"revision-(\d{5})")
_WITHDRAWN, _SETTLED = "withdrawn.jsonl", "settled"
_MARK = 16  # bytes, as `plan.mark` gives them


class Withdrawal(NamedTuple):
    """A record whose caption is to be taken back. `is_forced`: even if somebody changed it, for its picture has left
    that name: the text went with it, or has no picture any more."""

    record: Record
    is_forced: bool


class Revision:
    """One of the plans of a run, with its parts.

    Attributes:
        number: 0 for the first plan.
        folder: where plan and parts are.
    """

    def __init__(self, run: Path, number: int = 0, folder: Path | None = None) -> None:
        """folder: where it is while it is written."""
        self._run = run
        self.number = number
        self.folder = folder or (run / f"revision-{number:05d}" if number else run)

    @classmethod
    def current(cls, run: Path) -> Revision:
        """The revision of a run's folder that counts."""
        return cls(run, max(_numbers(run), default=0))

    def is_current(self) -> bool:
        """Whether no other has replaced it."""
        return max(_numbers(self._run), default=0) == self.number

    def plan(self, shard_size: int) -> Plan:
        return Plan(self.folder / "plan", shard_size)

    def parts(self) -> Parts:
        return Parts(self.folder / "parts")

    def thumbnails(self) -> Thumbnails:
        return Thumbnails(self.folder / "parts")

    def draft(self) -> Revision:
        """The next one, in a folder that no process reads yet. Raises OSError."""
        aside = temp_path(self._run)
        aside.mkdir()
        return Revision(self._run, self.number + 1, aside)

    def complete(self, withdrawals: Iterable[Withdrawal], settled: Iterable[bytes]) -> Revision:
        """Give a draft, whose plan and parts are written, its name. Raises OSError."""
        lines = (json.dumps([each.record.as_dict(), each.is_forced]).encode() + b"\n" for each in withdrawals)
        write_pieces(self.folder / _WITHDRAWN, lines)
        write_pieces(self.folder / _SETTLED, settled)
        final = Revision(self._run, self.number)
        os.rename(self.folder, final.folder)
        sync_folder(self._run)
        return final

    def discard(self) -> None:
        """Remove a draft, if it is still there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def settled(self) -> frozenset[bytes]:
        """Marks of records that the target holds already; what somebody made of their captions stays."""
        try:
            data = (self.folder / _SETTLED).read_bytes() if self.number else b""
        except FileNotFoundError:
            return frozenset()
        return frozenset(data[start : start + _MARK] for start in range(0, len(data), _MARK))

    def withdraw(self, target: Target) -> None:
        """Take back the captions that stand at other pictures by now, then forget the plans before this one.

        May be stopped anywhere and called again. Raises OSError.
        """
        file = self.folder / _WITHDRAWN
        if self.number == 0 or not file.exists():
            return
        target.restore([_as_it_stands(target, each) for each in _withdrawals(file)])
        file.unlink()
        for folder in (self._run / "plan", self._run / "parts", *self._run.glob("revision-*")):
            if folder != self.folder:
                shutil.rmtree(folder, ignore_errors=True)


def is_ours(caption: str, captions: Iterable[str], text: str) -> bool:
    """Whether the text that stands in a target is that of a record, in any form that targets give it."""
    forms = (caption.strip(), "\n".join(captions).strip(), "\n".join(map(one_line, captions)))
    return text_of(text) in forms


def _as_it_stands(target: Target, withdrawal: Withdrawal) -> Record:
    """The record, with the text that somebody made of its caption where that is to go, too."""
    record = withdrawal.record
    now = target.existing(item_of(record)) if withdrawal.is_forced else None
    if now is None or now == record.existing or is_ours(record.caption, record.captions, now):
        return record
    record = replace(record, status="done", caption=now, captions=())
    target.write([record])  # in the form of a caption of ours, for that is what `restore` takes away
    return record


def _withdrawals(file: Path) -> Iterator[Withdrawal]:
    for line in file.read_bytes().splitlines():
        values, is_forced = json.loads(line)
        yield Withdrawal(Record.from_dict(values), is_forced)


def _numbers(run: Path) -> Iterator[int]:
    try:
        names = os.listdir(run)
    except FileNotFoundError:
        return
    yield from (int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
