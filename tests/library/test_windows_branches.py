"""What the library does on Windows only, with stand-ins for what Windows does; there the other tests see to it."""

from __future__ import annotations

import errno
import io
import logging
import ntpath
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from interrogator import locks
from interrogator.cli import engines, main, terminal
from interrogator.dataset.records import Item
from interrogator.dataset.sources.io import storage
from interrogator.dataset.state.locks import RunLock
from interrogator.dataset.state.plan import Plan
from interrogator.dataset.targets import target
from interrogator.embeddings import PROBE_PHRASES, BatchPolicy, EmbeddingCache, EncoderIdentity, compaction
from interrogator.errors import RequestError
from interrogator.files import write_whole
from interrogator.locks import LocksUnsupported, exclusive, try_lock, wait_for_shared_lock

fcntl = pytest.importorskip("fcntl")  # stands in for the locks of Windows


class Msvcrt:
    """The module's lock: exclusive, of bytes from the file's position on, refused with EACCES at once."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.positions: list[int] = []

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        self.positions.append(os.lseek(descriptor, 0, os.SEEK_CUR))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None


@pytest.fixture
def msvcrt(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    module = Msvcrt()
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", module, raising=False)
    return module


@pytest.mark.usefixtures("msvcrt")
class TestRuns:
    def test_the_second_run_is_refused_and_learns_of_the_first(self, tmp_path: Path) -> None:
        with RunLock(tmp_path), pytest.raises(RequestError, match=f"process {os.getpid()} on "):
            RunLock(tmp_path)
        RunLock(tmp_path).release()

    def test_the_lock_leaves_the_text_readable(self, tmp_path: Path, msvcrt: Msvcrt) -> None:
        """Windows refuses to read what another has locked."""
        with RunLock(tmp_path), pytest.raises(RequestError):
            RunLock(tmp_path)
        (file,) = tmp_path.iterdir()
        assert file.stat().st_size > 0
        assert msvcrt.positions and min(msvcrt.positions) > file.stat().st_size

    def test_ranks_of_one_run_hold_the_folder_together(self, tmp_path: Path) -> None:
        with RunLock(tmp_path, 0, 2), RunLock(tmp_path, 1, 2):
            with pytest.raises(RequestError, match="held by another run"):
                RunLock(tmp_path, 1, 2)
            with pytest.raises(RequestError, match="held by 2 processes"):
                RunLock(tmp_path, 2, 3)

    def test_a_lone_run_and_ranks_exclude_each_other(self, tmp_path: Path) -> None:
        with RunLock(tmp_path, 1, 2), pytest.raises(RequestError, match=f"held by another run .process {os.getpid()}"):
            RunLock(tmp_path)
        with RunLock(tmp_path), pytest.raises(RequestError, match=f"held by another run .process {os.getpid()}"):
            RunLock(tmp_path, 1, 2)

    def test_one_block_waits_for_the_other(self, tmp_path: Path) -> None:
        waited = []
        with ExitStack() as first:
            first.enter_context(exclusive(tmp_path / "lock", lambda: None))

            def wait() -> None:
                waited.append(True)
                first.close()

            with exclusive(tmp_path / "lock", wait):
                assert waited == [True]


class TestLocks:
    def test_an_exclusive_lock_is_had_once(self, tmp_path: Path, msvcrt: Msvcrt) -> None:
        with open(tmp_path / "lock", "wb") as first, open(tmp_path / "lock", "rb") as second:
            assert try_lock(first.fileno()) and not try_lock(second.fileno())
        assert len(msvcrt.positions) == 2
        with open(tmp_path / "lock", "rb") as third:
            assert try_lock(third.fileno()), "closing a file unlocks it"

    @pytest.mark.usefixtures("msvcrt")
    def test_there_are_no_shared_locks(self, tmp_path: Path) -> None:
        with open(tmp_path / "lock", "wb") as file:
            with pytest.raises(LocksUnsupported):
                try_lock(file.fileno(), shared=True)
            with pytest.raises(LocksUnsupported):
                wait_for_shared_lock(file.fileno())

    def test_a_disk_without_locks_is_told_from_a_lock_that_is_held(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some network disks; there a run goes on without, as it did on the disks before them."""
        with open(tmp_path / "lock", "wb") as file:
            monkeypatch.setattr(fcntl, "flock", _refuse(OSError(errno.ENOLCK, "No locks available")))
            with pytest.raises(LocksUnsupported, match="No locks available"):
                try_lock(file.fileno())
        with RunLock(tmp_path / "run"), exclusive(tmp_path / "other", _refuse(AssertionError("nothing to wait for"))):
            assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.lock"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP])
def test_a_plan_is_written_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """FAT and some network disks have none."""
    monkeypatch.setattr(os, "link", _refuse(OSError(number, "no links here")))
    plan = Plan(tmp_path, 2)
    plan.extend([Item("a.png"), Item("b.png"), Item("c.png")])
    assert [item.key for item in plan.items()] == ["a.png", "b.png", "c.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["00000.jsonl"]


def test_without_hard_links_the_faster_plan_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _refuse(OSError(errno.EPERM, "no links here")))

    def slow() -> Iterator[Item]:
        yield Item("a.png")
        Plan(tmp_path, 2).extend([Item("x.png")])

    plan = Plan(tmp_path, 2)
    plan.extend(slow())
    assert [item.key for item in plan.items()] == ["x.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["00000.jsonl"]


def test_a_file_is_written_where_folders_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open
    refused = []

    def refuse_folders(path: str | os.PathLike[str], *rest: Any, **options: Any) -> int:
        if os.path.isdir(path):
            refused.append(Path(path))
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *rest, **options)

    monkeypatch.setattr(os, "open", refuse_folders)
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole" and refused == [tmp_path]


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///C:/pictures/cats", "C:\\pictures\\cats"),
        ("local:///D:/", "D:\\"),
        ("C:\\pictures", "C:\\pictures"),
        ("C:/pictures/../cats", "C:\\cats"),
        ("\\\\server\\share\\cats", "\\\\server\\share\\cats"),
    ],
)
def test_paths_with_drives_are_files_of_this_machine(monkeypatch: pytest.MonkeyPatch, uri: str, path: str) -> None:
    monkeypatch.setattr(storage, "os", SimpleNamespace(name="nt", path=ntpath))
    found, where = storage.storage_of(uri)
    assert isinstance(found, storage.Local) and where == path


@pytest.mark.parametrize(
    "name",
    ["C:cat", "..\\cat", "a/b\\c", "cat?", "a*/b", 'say "x"', "a<b", "a|b", "line\nbreak", "cat.", "folder /cat"]
    + ["con", "NUL.txt", "Aux .txt", "a/com1.txt", "lpt¹"],
)
def test_names_that_windows_refuses_name_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    assert target.inside(tmp_path, name) is not None, "elsewhere they do"
    monkeypatch.setattr(target, "os", SimpleNamespace(name="nt"))
    assert target.inside(tmp_path, name) is None


@pytest.mark.parametrize("name", ["cat.txt", "a/b.c/d", "console.txt", "com10", "nullable", ".hidden", "猫 2"])
def test_other_names_are_good_there_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr(target, "os", SimpleNamespace(name="nt"))
    assert target.inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    ("platform", "devices", "expected"),
    [
        ("win32", (), True),
        ("darwin", (), True),
        ("linux", (), False),
        ("linux", ("/dev/nvidia0",), False),
        ("linux", ("/dev/nvidia0", "/dev/nvidia1"), True),
        ("linux", ("/dev/kfd",), True),
    ],
)
def test_torch_is_asked_for_gpus_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, platform: str, devices: tuple[str, ...], expected: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os.path, "exists", lambda path: path in devices)
    assert engines.may_have_several_gpus() is expected


def redirected(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What arrives from stdout in a file or pipe, where the system's encoding is an 8-bit one."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252", newline="\n"))
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    return raw


def test_data_is_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = redirected(monkeypatch)
    with pytest.raises(SystemExit):
        main(["--version"])
    terminal.put("一只猫, café, name\udcff.png")
    assert raw.getvalue().endswith("一只猫, café, name".encode() + b"\xff.png\n")


def test_whoever_asks_python_for_an_encoding_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = redirected(monkeypatch)
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    terminal.open_streams()
    terminal.put("café")
    assert raw.getvalue() == b"caf\xe9\n"


class TestEmbeddings:
    @pytest.mark.usefixtures("msvcrt")
    def test_segments_stay_apart_where_there_are_no_shared_locks(self, tmp_path: Path) -> None:
        phrases = [f"p{number}" for number in range(compaction.MANY_SEGMENTS + 2)]
        store = EmbeddingCache(tmp_path, policy=BatchPolicy(first_batch=1, largest_batch=1, segment_rows=1)).open(
            identity()
        )
        store.table(phrases, rows_of)
        store.close()
        again = EmbeddingCache(tmp_path).open(identity())
        assert len(list((again.path / "segments").iterdir())) == len(phrases)
        assert torch.equal(again.table(phrases, _refuse(AssertionError("all are there"))), truth(phrases))

    def test_a_cache_is_cleared_as_far_as_mapped_files_let_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = EmbeddingCache(tmp_path).open(identity())
        store.table(["cat", "dog"], rows_of)
        segments = list((store.path / "segments").iterdir())
        unlink = os.unlink

        def refuse_segments(path: str | os.PathLike[str], **options: Any) -> None:
            if os.path.basename(path) in {segment.name for segment in segments}:
                raise PermissionError(errno.EACCES, "The process cannot access the file")
            unlink(path, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", refuse_segments)
            freed = EmbeddingCache(tmp_path).clear()
        assert freed > 0 and all(segment.exists() for segment in segments)
        again = EmbeddingCache(tmp_path).open(identity())
        assert torch.equal(again.table(["cat", "dog", "owl"], rows_of), truth(["cat", "dog", "owl"]))

    def test_a_damaged_file_that_cannot_be_moved_is_named_and_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = EmbeddingCache(tmp_path).open(identity())
        store.table(["cat"], rows_of)
        store.close()
        (segment,) = (store.path / "segments").iterdir()
        segment.write_bytes(b"no segment")
        shutil.rmtree(store.path / "indexes", ignore_errors=True)
        monkeypatch.setattr(Path, "rename", _refuse(PermissionError(errno.EACCES, "Permission denied")))
        caplog.set_level(logging.WARNING)
        again = EmbeddingCache(tmp_path).open(identity())
        assert torch.equal(again.table(["cat"], rows_of), truth(["cat"]))
        assert segment.read_bytes() == b"no segment"
        assert str(segment) in caplog.text


def _refuse(error: BaseException) -> Callable[..., Any]:
    def refuse(*args: object, **options: object) -> None:
        raise error

    return refuse


def rows_of(phrases: list[str] | tuple[str, ...]) -> torch.Tensor:
    """Unit rows [n, 8] float32 that depend on each phrase alone."""
    rows = torch.stack([torch.tensor([*phrase.encode()[:7].ljust(7, b"."), len(phrase)]) for phrase in phrases])
    return torch.nn.functional.normalize(rows.float(), dim=-1)


def truth(phrases: list[str]) -> torch.Tensor:
    return rows_of(phrases).half()


def identity() -> EncoderIdentity:
    return EncoderIdentity("toy/one", "float32", "t0", rows_of(PROBE_PHRASES))
