"""Pictures that a run copies or links into the folder of the captions, so that it can be loaded by itself.

    RUN/pictures/<32 hex>.jsonl   a line for each picture and folder that a process puts there, written before it does

Pictures are written aside and renamed, and what is there already is not written again: whenever a process is killed,
the next one continues. An undo removes what the journals name and nobody has changed since.
"""

from __future__ import annotations

import errno
import filecmp
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from ...errors import RequestError, RunStopped
from ...files import sync_folder, temp_path
from ..records import Item, Record
from ..sources.io.errors import reason
from ..targets import PlacedNames, Rejected
from ..targets.target import reject

_FOLDER = "pictures"
_AT_ONCE = 64
_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS})
_SAME_TIME = 2_000_000_000  # nanoseconds; file systems round the times of copies, FAT to two seconds

Stamp = list[int | str]
"""What tells a file from others: its size and time, or where it leads if it is a link."""
Journal = dict[str, list[Stamp]]
"""By name in the folder of the captions; a folder has no stamp."""


class _Written(NamedTuple):
    """A picture under a name that readers ignore, and the one that it is to have."""

    aside: Path
    path: Path


class PlacedPictures:
    """The pictures of a run in the folder of its captions; none where there are no names for them.

    All calls raise OSError when the disk is full or gone.
    """

    def __init__(self, run: Path, names: PlacedNames | None, links: bool) -> None:
        """run: the run's folder; others beside it may have put pictures into the same folder."""
        self._folder = run / _FOLDER
        self._names = names
        self._links = links
        self._journal = self._folder / f"{uuid4().hex}.jsonl"

    def __bool__(self) -> bool:
        return self._names is not None

    def check(self) -> None:
        """Raises RequestError: links are wanted, and the disk has none."""
        if self._names is None or not self._links:
            return
        file, link = temp_path(self._folder.parent), temp_path(self._folder.parent)
        try:
            file.write_bytes(b"")
            _link(file, link, link)
        except OSError as error:
            raise RequestError(
                f"{self._names.folder}: no links can be made there ({reason(error)}); use --copy-images"
            ) from error
        finally:
            link.unlink(missing_ok=True)
            file.unlink(missing_ok=True)

    def place(self, pictures: Sequence[tuple[Item, Record]]) -> list[Rejected]:
        """Put those there that have a caption; returns those that cannot be. Raises RunStopped as `Source.read`."""
        rejected: list[Rejected] = []
        wanted = [pair for pair in pictures if self._names is not None and _has_caption(pair[1])]
        for start in range(0, len(wanted), _AT_ONCE):
            rejected += self._place(wanted[start : start + _AT_ONCE])
        return rejected

    def missing(self, pictures: Iterable[tuple[Item, Record]]) -> list[tuple[Item, Record]]:
        """Those that have a caption and are not there, though their source still has them."""
        return [pair for pair in pictures if self._names is not None and _has_caption(pair[1]) and self._lacks(pair[0])]

    def remove(self) -> list[Rejected]:
        """Take away what the run has put there; pictures that somebody changed since stay and are returned.

        May be stopped anywhere and called again.
        """
        left: list[Rejected] = []
        folders = []
        self.__dict__.pop("_of_others", None)  # one of them may be undone since
        for name, stamps in sorted(_read(self._folder).items(), reverse=True) if self._names is not None else ():
            path = self._top / name
            if not stamps:
                folders.append(path)
            elif name in self._of_others or not os.path.lexists(path):
                continue
            elif _stamp(path) in stamps or self._links and os.stat(path).st_nlink > 1:  # the source keeps it
                path.unlink()
            else:
                left.append(Rejected(name, "was changed after the run, so it stays"))
        for path in folders:  # the inner ones first
            with suppress(OSError):  # it is gone, or somebody else's files are in it
                path.rmdir()
        return left

    @property
    def _top(self) -> Path:
        assert self._names is not None
        return self._names.folder

    @cached_property
    def _of_run(self) -> Journal:
        return _read(self._folder)

    @cached_property
    def _of_others(self) -> Journal:
        """What other runs with the same folder put there; those that were undone have nothing there any more."""
        found: Journal = {}
        for run in sorted(self._folder.parent.parent.glob(f"*/{_FOLDER}")):
            if run != self._folder and "-undone-" not in run.parent.name:
                found |= _read(run)
        return found

    def _lacks(self, item: Item) -> bool:
        assert self._names is not None
        path, own = self._names.path(item), self._names.source(item).path(item)
        return (path is None or not os.path.lexists(path)) and (own is None or own.exists())

    def _place(self, wanted: Sequence[tuple[Item, Record]]) -> list[Rejected]:
        rejected: list[Rejected] = []
        written: list[_Written] = []
        folders: dict[Path, None] = {}
        adopted: list[Path] = []
        try:
            for item, record, content in self._contents(wanted):
                try:
                    self._write(item, content, written, folders, adopted)
                except OSError as error:
                    if error.errno in _FATAL:
                        raise
                    why_not = error.args[0] if len(error.args) == 1 else reason(error)
                    rejected.append(reject(record, f"its picture cannot be put beside the captions ({why_not})"))
            self._note(folders, [*((each.path, each.aside) for each in written), *((path, path) for path in adopted)])
            for each in written:
                os.replace(each.aside, each.path)
        finally:
            for each in written:
                each.aside.unlink(missing_ok=True)
        for folder in {each.path.parent for each in written}:
            sync_folder(folder)
        return rejected

    def _contents(self, wanted: Sequence[tuple[Item, Record]]) -> Iterator[tuple[Item, Record, Path | bytes | OSError]]:
        """The file of each picture on this machine, or its bytes, or why it has none."""
        assert self._names is not None
        for _, group in groupby(wanted, key=lambda pair: pair[0].source):
            pairs = list(group)
            source = self._names.source(pairs[0][0])
            paths = [source.path(item) for item, _ in pairs]
            read = source.read([item for (item, _), path in zip(pairs, paths, strict=True) if path is None])
            for (item, record), path in zip(pairs, paths, strict=True):
                content = path if path is not None else next(read)[1]
                if isinstance(content, RunStopped):
                    raise content
                yield item, record, OSError(str(content)) if isinstance(content, Exception) else content

    def _write(
        self, item: Item, content: Path | bytes | OSError, written: list[_Written], folders: dict[Path, None],
        adopted: list[Path],
    ) -> None:  # fmt: skip
        """Write a picture aside, unless it is there. Raises OSError."""
        assert self._names is not None
        if isinstance(content, OSError):
            raise content
        path = self._names.path(item) or self._names.path(item, _bytes(content))
        if path is None:
            raise OSError("no file can have its name")
        if os.path.lexists(path):
            name, of_others = path.relative_to(self._top).as_posix(), self._of_others
            if self._is_right(path, content):
                if name in of_others and name not in self._of_run:
                    adopted.append(path)  # whoever put it there may be undone first
                    above = (each for each in path.parents if each != self._top and self._top in each.parents)
                    folders.update(
                        (each, None) for each in above if each.relative_to(self._top).as_posix() in of_others
                    )
                return
            if name not in self._of_run and name not in of_others:
                raise OSError(f"{path} exists and is something else")
        self._make_folder(path.parent, folders)
        aside = temp_path(path.parent)
        written.append(_Written(aside, path))
        if isinstance(content, bytes):
            _copy(content, aside)
        elif self._links:
            _link(content, aside, path)
        else:
            _copy(content, aside)

    def _is_right(self, path: Path, content: Path | bytes) -> bool:
        """Whether what is at a path is this picture, in the form that was asked for or of somebody's own."""
        if isinstance(content, bytes):
            return not path.is_symlink() and path.is_file() and path.read_bytes() == content
        with suppress(OSError):
            if os.path.samefile(path, content):
                return self._links or not path.is_symlink()
            there, own = os.lstat(path), os.stat(content)
            if there.st_size == own.st_size and abs(there.st_mtime_ns - own.st_mtime_ns) < _SAME_TIME:
                return True
            return path.is_file() and filecmp.cmp(path, content, shallow=False)
        return False

    def _make_folder(self, folder: Path, made: dict[Path, None]) -> None:
        """Make a folder and those around it; notes which were not there."""
        new = []
        while not folder.exists():
            new.append(folder)
            folder = folder.parent
        for each in reversed(new):
            with suppress(FileExistsError):  # another process is as far
                each.mkdir()
                if each != self._top:
                    made[each] = None

    def _note(self, folders: Iterable[Path], pictures: Iterable[tuple[Path, Path]]) -> None:
        """Write down what is about to be there. pictures: the path of each, and where it is now."""
        rows: list[tuple[Path, Stamp]] = [*((folder, []) for folder in folders)]
        rows += [(path, _stamp(file)) for path, file in pictures]
        if not rows:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps([path.relative_to(self._top).as_posix(), stamp]) + "\n" for path, stamp in rows)
        with open(self._journal, "ab") as file:
            file.write("".join(lines).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)
        self.__dict__.pop("_of_run", None)


def _has_caption(record: Record) -> bool:
    return record.status != "failed" and bool(record.caption)


def _read(folder: Path) -> Journal:
    """The journals in a folder; half a line, at which a process was killed, names nothing that is there."""
    found: Journal = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            with suppress(ValueError):
                name, stamp = json.loads(line)
                found.setdefault(name, []).extend([stamp] if stamp else [])
    return found


def _stamp(path: Path) -> Stamp:
    if path.is_symlink():
        return [os.readlink(path)]
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _bytes(content: Path | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _copy(content: Path | bytes, aside: Path) -> None:
    with open(aside, "xb") as out:
        if isinstance(content, bytes):
            out.write(content)
        else:
            with open(content, "rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    if not isinstance(content, bytes):
        shutil.copystat(content, aside)


def _link(file: Path, link: Path, final: Path) -> None:
    """A relative link at `link`, right for `final` in the same folder, to a file; a hard one where there are no
    others. Raises OSError."""
    try:
        os.symlink(_relative(file, final.parent), link)
    except (OSError, NotImplementedError):
        os.link(os.path.realpath(file), link)


def _relative(file: Path, folder: Path) -> str:
    """The way to a file from where a folder really is, for that is where `..` leads."""
    try:
        return os.path.relpath(os.path.join(os.path.realpath(file.parent), file.name), os.path.realpath(folder))
    except ValueError:  # on another drive
        return os.path.abspath(file)
