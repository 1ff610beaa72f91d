"""A terminal: lines to stderr, data to stdout, progress bars, a question."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import sys
from contextlib import suppress
from io import TextIOWrapper
from types import TracebackType
from typing import Any, TextIO

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def open_streams() -> None:
    """Make stdout and stderr such that every name and phrase can be written to them.

    Data that goes to a file or a pipe is UTF-8 on every system, and file names in it are the bytes that they are:
    Windows would write its own 8-bit encoding, which few captions and names fit in. Where PYTHONIOENCODING asks for
    another encoding, what that cannot say is written as backslash escapes. A closed stream swallows what it gets.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open as long as we run
    if isinstance(sys.stdout, TextIOWrapper):
        if not os.environ.get("PYTHONIOENCODING"):
            sys.stdout.reconfigure(encoding="utf-8")
        is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def discard(stream: TextIO) -> None:
    """Let a stream that fails swallow what it gets: Python would complain again when it flushes it at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str) -> None:
    """One line for the person, to stderr; nothing where that cannot be written to."""
    try:
        print(text.replace("\x1b", r"\x1b"), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def put(text: str) -> None:
    """One line of data, to stdout, flushed: who reads a pipe sees each result as soon as it is there."""
    print(text, flush=True)


def put_json(record: dict[str, Any]) -> None:
    """One object on a line of its own, to stdout; in ASCII where that takes no other letters.

    A number that is not finite, which JSON lacks, is null.
    """
    record = _finite(record)
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # of such an encoding, or a file name that is not text
        text = json.dumps(record)
    put(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def on_one_line(name: object) -> str:
    """A name or message without the control characters that move a terminal or end a line: as escapes."""
    return "".join(each.encode("unicode_escape").decode() if _CONTROL.match(each) else each for each in str(name))


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
