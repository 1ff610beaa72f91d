"""Temporary files that a killed process left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...files import is_temp
from ..context import RunContext
from .run_folder import HOME


def sweep(context: RunContext, before: float) -> None:
    """Remove temporary files from the run's folder and from where captions go.

    No other process may be writing for this run. Files changed since `before` (seconds, `time.time`) stay: they may be
    another run's.
    """
    for folder in {*_folders_under(context.files.path), *_caption_folders(context)}:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if is_temp(entry.name) and entry.stat(follow_symlinks=False).st_mtime < before:
                    _remove(entry)


def _caption_folders(context: RunContext) -> Iterator[str]:
    top = context.files.path.parent.parent
    yield str(top)
    if not (context.writes_sidecars or context.pictures):
        return
    if not context.beside:
        yield from _folders_under(top)
        return
    for item in context.plan.items():
        path = context.sources[item.source].path(item)
        if path is not None:
            yield os.path.dirname(path)


def _folders_under(top: Path) -> Iterator[str]:
    for folder, inner, _ in os.walk(top):
        inner[:] = [name for name in inner if name != HOME]
        yield folder


def _remove(entry: os.DirEntry[str]) -> None:
    with suppress(OSError):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
