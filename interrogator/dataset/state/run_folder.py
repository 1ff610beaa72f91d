"""The folder of a run: where it is, what it holds, and what marks it as finished or undone.

OUT/.interrogator/run.lock        held while a run works here; rank-N.lock by each of several processes
OUT/.interrogator/<run>/run.json  what was asked for, of what, with which versions and weights
OUT/.interrogator/<run>/plan/     see plan.py
OUT/.interrogator/<run>/parts/    see parts.py
OUT/.interrogator/<run>/revision-00001/  plan and parts after the sources changed, see revision.py
OUT/.interrogator/<run>/finished.json, report.html, summary.json
OUT/.interrogator/<run>-undone-1/ a run that was undone
"""

from __future__ import annotations

import errno
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

from ...errors import RequestError, RunStopped
from ...files import sync_folder, write_whole
from ...version import __version__
from ..settings import Settings
from ..sources import Source
from ..stored_settings import is_first_release

HOME = ".interrogator"
_RUN, _FINISHED, _UNDOING = "run.json", "finished.json", "undoing"
_FIRST_ROLES = {"second encoder": "reranker"}  # names that the first release wrote
_ONE_FILE = frozenset({".jsonl", ".json", ".csv", ".parquet"})
"""How targets of one file end."""


class RunFolder:
    """A run's folder and the small files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, asked: Mapping[str, Any], settings: Settings) -> None:
        """Write down what was asked for, if that is not written yet. Raises OSError."""
        if not (self.path / _RUN).exists():
            content = {
                "run": self.path.name, "asked": asked, "settings": settings.as_dict(), "versions": versions(),
                "models": [], "began": time.strftime("%Y-%m-%d %H:%M:%S"),
            }  # fmt: skip
            self.path.mkdir(parents=True, exist_ok=True)
            self._write(_RUN, content)

    def read(self) -> dict[str, Any]:
        """The content of run.json. Raises OSError, ValueError."""
        content: dict[str, Any] = json.loads((self.path / _RUN).read_text(encoding="utf-8"))
        return content

    def add_models(self, described: Mapping[str, Any]) -> bool:
        """Write down which models work on this run; whether they are the ones that did so far. Raises OSError."""
        content = self.read()
        known = content.setdefault("models", [])
        if not described or described in known:
            return True
        content["models"] = [*known, described]
        self._write(_RUN, content)
        earlier = [item for each in known for item in weights_of(each).items()]
        roles = {role for role, _ in earlier}
        return all(role not in roles or (role, weights) in earlier for role, weights in weights_of(described).items())

    def finished(self, revision: int) -> int:
        """How many shards of a revision, from the first, are in the tables and in the report."""
        try:
            content = json.loads((self.path / _FINISHED).read_bytes())
        except FileNotFoundError:
            return 0
        return int(content["shards"]) if content.get("revision", 0) == revision else 0

    def finish(self, shards: int, revision: int) -> None:
        """Write down that so many shards are. Raises OSError."""
        self._write(_FINISHED, {"shards": shards, "revision": revision})

    def add_change(self, sentence: str) -> None:
        """Write down what changed in the sources. Raises OSError."""
        content = self.read()
        content["changes"] = [*content.get("changes", []), f"{time.strftime('%Y-%m-%d %H:%M:%S')}: {sentence}"]
        self._write(_RUN, content)

    def check_whole(self) -> None:
        """Raises RequestError: an undo of the run was interrupted."""
        if (self.path / _UNDOING).exists():
            raise RequestError(f"{self.path} is half undone; finish with `interrogator caption --undo {self.path}`")

    def is_unfinished_first_release(self) -> bool:
        """Whether the first release began a run here and did not finish it."""
        try:
            return is_first_release(self.read()["settings"]) and not (self.path / _FINISHED).exists()
        except (OSError, ValueError, KeyError):
            return False

    def begin_undo(self) -> None:
        """Raises OSError."""
        write_whole(self.path / _UNDOING, b"")

    def end_undo(self) -> Path:
        """Rename the folder so that no run finds it; returns the new path. Raises OSError."""
        names = (self.path.with_name(f"{self.path.name}-undone-{number}") for number in count(1))
        target = next(name for name in names if not name.exists())
        self.path.rename(target)
        sync_folder(target.parent)
        return target

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=1, default=str, ensure_ascii=False)
        write_whole(self.path / name, text.encode("utf-8", "backslashreplace"))


def check_first_release(earlier: RunFolder, template: str) -> None:
    """Refuse to begin a run beside one of the first release that meant something else and is unfinished.

    Raises RequestError.
    """
    if earlier.is_unfinished_first_release():
        raise RequestError(
            f"{earlier.path} is an unfinished run of an earlier release, where {{caption}} meant the whole prompt; "
            f"continue it with the template {template!r}, or undo it with "
            f"`interrogator caption --undo {earlier.path}`"
        )


def read_run(folder: str | PathLike[str]) -> tuple[Settings, dict[str, Any]]:
    """Settings and everything else that the run in a folder was asked for.

    Raises:
        RequestError: the folder holds no run, or one that was undone.
    """
    try:
        content = RunFolder(Path(folder)).read()
        settings, asked = Settings.from_dict(content["settings"]), dict(content["asked"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{folder} holds no run that this version can read ({error})") from error
    if Path(folder).resolve().name.startswith(f"{content.get('run')}-undone-"):
        raise RequestError(f"{folder} is undone already")
    return settings, asked


def home_of(sources: Sequence[Source], out: str | PathLike[str] | None) -> Path:
    """The folder for runs: in the folder of the captions, or of the pictures.

    Raises:
        RequestError: there is no such folder.
    """
    if out is not None:
        path = Path(out).absolute()
        return (path.parent if path.suffix.lower() in _ONE_FILE and not path.is_dir() else path) / HOME
    if len(sources) == 1 and sources[0].folder is not None:
        return sources[0].folder / HOME
    raise RequestError("name a folder for the captions: the pictures are in several folders, or not on this machine")


def versions() -> dict[str, str]:
    """Versions of this library and of what it builds on."""
    found = {"interrogator": __version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "open_clip_torch", "pillow", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def weights_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """By role the fingerprint of a model's weights, whatever device it is on."""
    return {_FIRST_ROLES.get(role, role): model.get("weights") for role, model in described.items()}


@contextmanager
def stopping_cleanly(home: Path) -> Iterator[None]:
    """A full or missing disk ends the run with one sentence; whole files stay whole."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        where = error.filename or home
        raise RunStopped(
            f"{where}: {why}; finished captions are kept, and the same command continues from there"
        ) from error
