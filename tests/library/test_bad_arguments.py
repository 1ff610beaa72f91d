"""Every command with arguments that cannot work: an exit status, one sentence on stderr, nothing half-written."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import interrogator
from interrogator import hub
from interrogator.cli import main, terminal
from interrogator.dataset.review.thumbnails import Thumbnails
from interrogator.errors import ModelError, RequestError
from interrogator.registry import locate

pytestmark = pytest.mark.models
ROOT = Path(interrogator.__file__).parents[1]
LONG = "x" * 300

# What no argument for a file or folder can be. A pipe or a device would be read without an end.
BAD_PATHS = ("~nosuchuser/x", LONG, f"{LONG}/y", "zero\0byte", "pipe", "device", "bytes")
WITH_PATHS = (
    "prompt 1.png --preset demo --bank PATH",
    "prompt 1.png --preset demo --block-list PATH",
    "prompt 1.png --preset demo --mode caption --strip-list PATH",
    "prompt 1.png --preset demo --captioner PATH",
    "prompt 1.png --preset demo --encoder PATH",
    "prompt 1.png --preset demo --encoder local-dir:PATH",
    "prompt 1.png --preset demo --encoder ViT-B-32 --checkpoint PATH",
    "prompt 1.png --preset demo --cache-dir PATH",
    "rank 1.png --preset demo --bank PATH",
    "tag 1.png --tagger PATH",
    "check 1.png --preset demo --caption cat --matcher PATH",
    "check PATH --preset demo",
    "complete PATH --preset demo",
    "common PATH --preset demo",
    "prompt PATH --preset demo",
    "banks show PATH",
    "banks check PATH",
    "cache list --cache-dir PATH",
    "cache clear --cache-dir PATH",
    "cache import PATH --lists lists --preset demo --cache-dir cache",
    "demo --count 1 --out PATH",
    "caption PATH --preset demo",
)
# A file in place of the cache is an empty cache: it only saves time.
BYTES_ARE_FINE = ("cache list", "cache clear", "prompt 1.png --preset demo --cache-dir")

BAD_VALUES = (
    "prompt 1.png --preset nosuch", "prompt 1.png --mode nosuch", "prompt 1.png --preset demo --min-phrases many",
    "prompt 1.png --preset demo --max-phrases -1", "prompt 1.png --preset demo --mode caption --caption-beams 0",
    "prompt 1.png --preset demo --min-angle x", "prompt 1.png --preset demo --device nosuch", "prompt",
    "prompt 1.png --preset demo --dtype fp7", "prompt 1.png --preset demo --for nosuch", "nosuch",
    "prompt 1.png --preset demo --bank nosuch", "prompt missing.png --preset demo",
    "rank 1.png --preset demo --top 0", "rank 1.png --preset demo --top x", "tag 1.png --tagger nosuch",
    "tag 1.png --preset demo --threshold 2", "tag 1.png --tagger x --category-threshold general",
    "complete 1.png --preset demo --top 0", "complete 1.png --preset demo --strictness 2",
    "common 1.png --preset demo --share 0", "common 1.png --preset demo --share nan",
    "check 1.png --preset demo --caption ''", "caption missing --preset demo", "caption", "edit missing --stats",
    "edit", "calibrate 1.png --preset nosuch", "bench missing.png --preset demo", "banks show nosuch",
    "banks check missing.txt", "banks nosuch", "cache nosuch", "cache import missing.safetensors --lists lists",
    "models list --role nosuch", "demo --count x", "demo --seed x",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arguments")
    interrogator.demo.creature(1)[0].save(folder / "1.png")
    (folder / "lists").mkdir()
    (folder / "bytes").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture(autouse=True)
def _inside(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def run(command: list[str]) -> tuple[int, str]:
    """The exit status and what stands on stderr."""
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            status = main(command)
        except SystemExit as ended:  # argparse
            status = int(ended.code or 0)
    return status, said.getvalue()


def assert_refused(command: list[str], folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    status, said = run(command)
    lines = [line for line in said.splitlines() if line.startswith("interrogator")]
    assert status in (1, 2), (command, status, said)
    assert len(lines) == 1 and len(lines[0].split()) > 3, (command, said)
    assert "Traceback" not in said and "Errno" not in said, (command, said)
    assert sorted(folder.rglob("*")) == before, command


def words_of(command: str, path: str = "") -> list[str]:
    return ["" if word == "''" else word.replace("PATH", path) for word in command.split()]


@pytest.mark.parametrize("command", WITH_PATHS)
def test_a_path_that_is_none_is_refused(command: str, folder: Path) -> None:
    for path in BAD_PATHS:
        if path in ("pipe", "device") and (not hasattr(os, "mkfifo") or not Path("/dev/zero").exists()):
            continue
        if path == "bytes" and command.startswith(BYTES_ARE_FINE):
            continue
        for name in ("pipe", "device"):
            (folder / name).unlink(missing_ok=True)
        if path == "pipe":
            os.mkfifo(folder / "pipe")
        elif path == "device":
            (folder / "device").symlink_to("/dev/zero")
        assert_refused(words_of(command, path), folder)


@pytest.mark.parametrize("command", BAD_VALUES)
def test_a_value_that_cannot_be_is_refused(command: str, folder: Path) -> None:
    assert_refused(words_of(command), folder)


# --- what may not be read --------------------------------------------------------------------------------------------


@pytest.fixture
def as_nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[str]], tuple[int, str]]]:
    """Runs a command as a user whom a folder `locked` does not let in. Root may read everything."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can become another user for a while")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        locked = Path(name, "locked")
        (locked / "inside").mkdir(parents=True)
        for path in (locked / "list.txt", locked / "inside" / "config.json", locked / "w.pt"):
            path.write_text("{}")
        locked.chmod(0o700)
        monkeypatch.chdir(name)

        def run_as_nobody(command: list[str]) -> tuple[int, str]:
            run(["models", "list"])  # imports: the modules may lie where only root may read
            with contextlib.suppress(Exception):
                locate("encoder", "ViT-B-32/nosuch")
            os.seteuid(65534)
            try:
                return run(command)
            finally:
                os.seteuid(0)

        yield run_as_nobody
        monkeypatch.undo()


@pytest.mark.parametrize(
    "command",
    [
        "prompt 1.png --preset demo --bank locked/list.txt", "banks show locked/list.txt",
        "banks check locked/list.txt",
        "prompt 1.png --preset demo --encoder local-dir:locked/inside", "tag 1.png --tagger locked/inside",
        "prompt 1.png --preset demo --captioner locked/inside", "cache list --cache-dir locked",
        "prompt 1.png --preset demo --encoder ViT-B-32 --checkpoint locked/w.pt",
    ],
)  # fmt: skip
def test_what_may_not_be_read_is_not_missing(command: str, as_nobody: Callable[[list[str]], tuple[int, str]]) -> None:
    status, said = as_nobody(command.split())
    assert status in (1, 2) and "may not be read" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("variable", ["INTERROGATOR_HOME", "HF_HOME"])
def test_a_locked_folder_for_models_is_named(
    variable: str, as_nobody: Callable[[list[str]], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "HF_HOME":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "locked/inside")
    else:
        monkeypatch.setenv(variable, "locked/inside")
    status, said = as_nobody(["models", "list"])
    assert status == 1 and "locked" in said and "may not be read" in said and len(said.splitlines()) == 1


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("INTERROGATOR_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(RequestError, match="INTERROGATOR_HOME"):
        hub.home()
    assert run(["models", "path"])[0] == 2


def test_python_says_the_same(tmp_path: Path) -> None:
    for name in ("~nosuchuser/x", LONG, "zero\0byte"):
        with pytest.raises(RequestError, match="is no path"):
            locate("encoder", name)
    (tmp_path / "config.json").symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=r"config\.json"):
        locate("captioner", tmp_path)


def test_thumbnails_are_written_when_the_clock_stands_before_zip_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    thumbnails = Thumbnails(tmp_path)
    thumbnails.write(0, {(0, "a"): b"picture"})
    assert thumbnails.of(0, (0, "a")) == b"picture"


# --- stdout and stderr -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_what_an_encoding_cannot_say_is_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, newline="\n"))
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    terminal.open_streams()
    record = {"image": "一只猫\udcff", "text": "Łódź"}
    terminal.put("一 cat")
    terminal.put_json(record)
    first, second = raw.getvalue().decode(encoding).splitlines()
    assert first == "\\u4e00 cat" and json.loads(second) == record and second.isascii()


def test_a_name_with_control_characters_stays_on_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such names")
    hostile = folder / "names"
    hostile.mkdir()
    name = "two\nlines\x1b[2J.png"
    (folder / "1.png").rename(hostile / name)
    try:
        assert main(["prompt", str(hostile), "--preset", "demo", "--mode", "caption", "--caption", "a cat"]) == 0
        assert capsys.readouterr().out == f"{hostile}/two\\nlines\\x1b[2J.png\ta cat\n"
        assert main(["prompt", str(hostile / "no\n\x1b.png"), "--preset", "demo"]) == 1
        said = capsys.readouterr().err
        assert "\x1b" not in said and len(said.splitlines()) == 1
    finally:
        (hostile / name).rename(folder / "1.png")
        hostile.rmdir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("streams", "status"), [(">/dev/full", 1), (">&-", 0), ("2>&-", 0), (">/dev/full 2>/dev/full", 1), (">&- 2>&-", 0)]
)
def test_streams_that_fail_end_without_a_traceback(streams: str, status: int) -> None:
    ended = subprocess.run(
        f"{sys.executable} -m interrogator models path {streams}", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == status and "Traceback" not in ended.stderr and "Exception" not in ended.stderr
    assert (streams == ">/dev/full") == ("cannot read or write: No space left" in ended.stderr)
