"""Talking to a terminal: lines to stderr, progress bars, a question."""

from __future__ import annotations

import json
import os
import sys
from io import TextIOWrapper
from types import TracebackType
from typing import Any


def say(text: str) -> None:
    """One line for the person, to stderr."""
    print(text, file=sys.stderr, flush=True)


def write_utf8() -> None:
    """Data that goes to a file or a pipe is UTF-8 on every system, and file names in it are the bytes that they are.

    Windows would write its own 8-bit encoding, which few captions and names fit in. PYTHONIOENCODING has its say.
    """
    if isinstance(sys.stdout, TextIOWrapper) and not os.environ.get("PYTHONIOENCODING"):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def put(text: str) -> None:
    """One line of data, to stdout, at once: a reader of a pipe sees each result when it is there."""
    print(text, flush=True)


def put_json(record: dict[str, Any]) -> None:
    """One object on a line of its own, to stdout."""
    put(json.dumps(record, ensure_ascii=False))


def ask(question: str) -> bool:
    """A yes or no from a person at a terminal; no where nobody is there to answer."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


class Bar:
    """A `progress(done, total)` callable that draws a bar on stderr once the work has taken a second.

    Nothing is drawn where stderr is no terminal. A new total, or less done than before, starts a new bar.
    """

    def __init__(self, label: str, unit: str = "it", in_bytes: bool = False) -> None:
        self.label = label
        self.unit = unit
        self.in_bytes = in_bytes
        self._bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None or total != self._bar.total or done < self._bar.n:
            self._start(total)
        self._bar.update(done - self._bar.n)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _start(self, total: int) -> None:
        from tqdm import tqdm

        if self._bar is not None:
            self._bar.close()
        self._bar = tqdm(
            total=total, desc=self.label, unit="B" if self.in_bytes else self.unit, unit_scale=self.in_bytes,
            leave=False, delay=1, disable=None, file=sys.stderr, dynamic_ncols=True,
        )  # fmt: skip
