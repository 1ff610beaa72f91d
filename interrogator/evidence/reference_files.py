"""References on disk: a folder beside the embeddings of their encoder, with what was learned from them.

Whoever has read pictures adds a file; nobody changes one. Readers take the sample of all files together, so two
processes that write at once lose nothing. Many files become one: it is written before those it stands for are deleted,
and a reference that is in two files counts once.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..files import write_whole
from .calibration import MAX_REFERENCES, Calibration
from .calibration_file import load_calibration, save_calibration
from .references import References

logger = logging.getLogger("interrogator")

FOLDER = "references"
SUFFIX = ".pictures.safetensors"
_VERSION = 1
# More files than this become one.
_MANY = 16


class ReferenceFolder:
    """The references of one encoder; the folder appears with the first file."""

    def __init__(self, store: Path, width: int) -> None:
        """The folder in a store of embeddings of length `width`; nothing is read yet."""
        self.path = store / FOLDER
        self._width = width

    def read(self) -> References:
        """The sample of all files; one that cannot be used causes a warning and is left out."""
        return References.none(self._width).joined(*self._files().values())

    def add(self, references: References) -> None:
        """Keep references. Raises OSError."""
        self.path.mkdir(exist_ok=True)
        self._write(references)
        if len(_paths(self.path)) > _MANY:
            files = self._files()
            self._write(References.none(self._width).joined(*files.values()))
            for path in files:
                with suppress(OSError):  # another process has done the same
                    path.unlink()

    def learned(self) -> Calibration | None:
        """What was learned from them last."""
        return load_calibration(self.path, self._width)

    def keep(self, calibration: Calibration) -> None:
        """Store what was learned from them. Raises OSError."""
        self.path.mkdir(exist_ok=True)
        save_calibration(self.path, calibration)

    def _write(self, references: References) -> None:
        tensors = {"images": references.images, "claims": references.claims, "ends": torch.from_numpy(references.ends)}
        write_whole(self.path / f"{uuid4().hex}{SUFFIX}", save(tensors, {"version": str(_VERSION)}))

    def _files(self) -> dict[Path, References]:
        found: dict[Path, References] = {}
        for path in _paths(self.path):
            try:
                found[path] = _read(path, self._width)
            except FileNotFoundError:
                pass  # another process has made one of many
            except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
                logger.warning("evidence: %s cannot be used (%s) and is left out", path, error)
        return found


def count_references(store: Path) -> int:
    """The number of references in a store of embeddings."""
    total = 0
    for path in _paths(store / FOLDER):
        with suppress(OSError, SafetensorError), safe_open(path, framework="pt") as file:
            total += int(file.get_slice("ends").get_shape()[0])
    return min(total, MAX_REFERENCES)


def clear_references(store: Path) -> int:
    """Delete the references in a store of embeddings and what was learned from them; returns the bytes freed."""
    freed = sum(path.stat().st_size for path in (store / FOLDER).glob("*"))
    shutil.rmtree(store / FOLDER, ignore_errors=True)
    return freed


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _read(path: Path, width: int) -> References:
    with safe_open(path, framework="pt") as file:
        version = (file.metadata() or {})["version"]
        images, claims = file.get_tensor("images").clone(), file.get_tensor("claims").clone()
        ends = file.get_tensor("ends").numpy().copy()
    if version != str(_VERSION):
        raise ValueError(f"version {version}, not {_VERSION}")
    for rows in (images, claims):
        if rows.dtype != torch.float16 or rows.ndim != 2 or rows.shape[1] != width:
            raise ValueError(f"embeddings are {rows.dtype} {list(rows.shape)}, not float16 [R, {width}]")
        if not bool(torch.isfinite(rows).all()):
            raise ValueError("it is not finite")
    if ends.dtype != np.int64 or ends.shape != (len(images),) or (np.diff(ends, prepend=0) < 1).any():
        raise ValueError("the numbers of claims are wrong")
    if len(ends) and ends[-1] != len(claims):
        raise ValueError("the numbers of claims are wrong")
    return References(images, claims, ends)
