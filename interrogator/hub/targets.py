"""Where a download puts its files: into the Hugging Face cache, or into a plain folder."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Target(Protocol):
    """A place for the files of one repository."""

    def folder(self, commit: str) -> Path:
        """Where the files of a commit go. Not created here."""

    def part(self, file: Path) -> Path:
        """A name for `file` while it is written, on the same disk and taken by nobody. Not created here."""

    def finish(self, revision: str, commit: str) -> None:
        """Note that all files of a commit are there, and that it was asked for as `revision`."""


@dataclass(frozen=True)
class CacheTarget:
    """A repository's folder in the Hugging Face cache, in the layout for systems without symbolic links.

    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """

    base: Path

    def folder(self, commit: str) -> Path:
        return self.base / "snapshots" / commit

    def part(self, file: Path) -> Path:
        return self.base / "blobs" / f"{uuid.uuid4().hex}.incomplete"

    def finish(self, revision: str, commit: str) -> None:
        if revision == commit:  # a commit needs no note
            return
        reference = self.base / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        aside = reference.with_name(f"{reference.name}.{uuid.uuid4().hex}")
        aside.write_text(commit, encoding="utf-8")
        os.replace(aside, reference)


@dataclass(frozen=True)
class FolderTarget:
    """A plain folder that holds the files of one model and no word about commits."""

    path: Path

    def folder(self, commit: str) -> Path:
        return self.path

    def part(self, file: Path) -> Path:
        return file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.incomplete")

    def finish(self, revision: str, commit: str) -> None:
        return
