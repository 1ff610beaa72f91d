"""Walking a folder of this machine, whatever is in it: every file once, in the order of the keys."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ....errors import RequestError
from .errors import reason

Notice = Callable[[str], object]
"""Takes the keys of files that are passed over."""


def ignore(key: str) -> None:
    """Take no notice of a file."""


class Found(NamedTuple):
    """A file that was asked for: its path under the folder, `/` between the parts; `version`: see `Item`."""

    key: str
    size: int = 0
    problem: str = ""
    version: str = ""


def file_version(status: os.stat_result) -> str:
    """What tells a file's bytes from others without reading them: its size, and when they were last written."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def written_at(version: str) -> int | None:
    """The time in a `file_version`, in nanoseconds; None if it is of another form."""
    time = version.partition("@")[0].rpartition("-")[2]
    return int(time) if time.isdecimal() else None


class _Step(NamedTuple):
    """One thing that a folder holds: something to tell, or a folder to walk next.

    order: the key; of a folder with `/` behind it, for so do the keys in it sort.
    """

    order: str
    found: Found | None = None
    folder: str = ""


def walk(
    root: str, wanted: Callable[[str], bool], notice: Notice = ignore
) -> Iterator[Found]:  # fmt: skip
    """The files under a folder whose name is `wanted`, sorted by key; hidden files and folders are passed over.

    Each folder is walked once: one that a link leads to again is passed over. What cannot be a file - a folder or a
    broken link of that name, a folder that cannot be read, a link to a folder around it - is told with its problem.

    Args:
        notice: called with the key of every other file.

    Raises RequestError if the folder itself cannot be opened.
    """
    try:
        seen = {_identity(root)}
    except OSError as error:
        raise RequestError(f"{root}: cannot be opened ({reason(error)})") from error
    home = os.path.realpath(root)
    stack = [_steps(root, "", home, wanted, notice)]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
        elif step.found is not None:
            yield step.found
        else:
            try:
                identity = _identity(step.folder)
            except OSError as error:
                yield _unreadable(step.order, error)
                continue
            if identity not in seen:
                seen.add(identity)
                stack.append(_steps(step.folder, step.order, home, wanted, notice))


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _unreadable(order: str, error: OSError) -> Found:
    return Found(order[:-1] or ".", 0, f"is a folder that cannot be read ({reason(error)})")


def _steps(
    folder: str, prefix: str, home: str, wanted: Callable[[str], bool], notice: Notice
) -> Iterator[_Step]:  # fmt: skip
    """What a folder holds, in the order of the keys."""
    try:
        with os.scandir(folder) as entries:
            # `.interrogator` is our run folder; others are versions, thumbnails, macOS's `._a.jpg`
            left = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        return iter([_Step(prefix, _unreadable(prefix, error))])
    steps: list[_Step] = []
    while left:
        entry = left.pop()  # and let go of: it keeps what it was asked for, half a kilobyte
        steps += _look(entry, prefix + entry.name, home, wanted(entry.name), notice)
    steps.sort(key=lambda step: step.order)
    return iter(steps)


def _look(
    entry: os.DirEntry[str], key: str, home: str, is_wanted: bool, notice: Notice
) -> Iterator[_Step]:  # fmt: skip
    try:
        if entry.is_file():
            if is_wanted:
                status = entry.stat()
                yield _Step(key, Found(key, status.st_size, version=file_version(status)))
            else:
                notice(key)
        elif entry.is_dir():
            yield from _look_at_folder(entry, key, home, is_wanted)
        elif entry.is_symlink():
            if is_wanted or "." not in entry.name:  # without an extension it may have been a folder of pictures
                yield _Step(key, Found(key, 0, "is a link that leads nowhere"))
        elif is_wanted:
            yield _Step(key, Found(key, 0, "is a pipe, socket or device, not a file"))
    except OSError as error:
        if error.errno == errno.ELOOP:
            yield _Step(key, Found(key, 0, "is a link that leads to itself"))
        elif is_wanted:
            yield _Step(key, Found(key, 0, f"cannot be opened ({reason(error)})"))


def _look_at_folder(entry: os.DirEntry[str], key: str, home: str, is_wanted: bool) -> Iterator[_Step]:
    if entry.is_symlink():
        target, here = os.path.realpath(entry.path), os.path.realpath(os.path.dirname(entry.path))
        if _is_inside(here, target):
            yield _Step(key, Found(key, 0, "is a link to a folder that it lies in: a loop"))
            return
        if target != home and _is_inside(target, home) and not _is_hidden(target, home):
            return  # it is walked under its own name
    if is_wanted:
        yield _Step(key, Found(key, 0, "is a folder, not a file"))
    yield _Step(key + "/", folder=entry.path)


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_hidden(path: str, home: str) -> bool:
    return any(part.startswith(".") for part in os.path.relpath(path, home).split(os.sep))
