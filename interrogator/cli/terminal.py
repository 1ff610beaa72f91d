"""A terminal: lines to stderr, data to stdout, progress bars, a question."""

from __future__ import annotations

import json
import math
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
    """One line of data, to stdout, flushed: who reads a pipe sees each result as soon as it is there."""
    print(text, flush=True)


def put_json(record: dict[str, Any]) -> None:
    """One object on a line of its own, to stdout; a number that is not finite, which JSON lacks, is null."""
    put(json.dumps(_finite(record), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def printable(name: object) -> str:
    """A name on one line that any terminal can show, whatever bytes it is made of."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def ask(question: str) -> bool:
    """Ask the person at the terminal a yes-or-no question; False where nobody can answer."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


class Bar:
    """A `progress(done, total)` callable that draws a bar on stderr once work has taken a second.

    It draws nothing where stderr is not a terminal. A new total, or less done than before, starts a new bar.
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


class PictureBar:
    """A bar with pictures per second, time left and failures; it draws nothing where stderr is not a terminal.

    Attributes:
        is_shown: whether it may be drawn yet; until then, lines are written where it would be.
    """

    def __init__(self) -> None:
        self.is_shown = False
        self._bar: Any = None

    def __enter__(self) -> PictureBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int, failed: int) -> None:
        from tqdm import tqdm

        if not self.is_shown:
            return
        if self._bar is None:
            self._bar = tqdm(total=total, unit="picture", initial=done, disable=None, dynamic_ncols=True)
        if failed:
            self._bar.set_postfix_str(f"{failed} failed", refresh=False)
        self._bar.update(done - self._bar.n)
