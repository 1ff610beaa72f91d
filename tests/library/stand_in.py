"""A writer of captions without a model, and what tests of dataset runs share; loads no torch, so it starts quickly."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from interrogator.dataset import Run, Selection, Settings
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.result import Candidate, CaptionResult


class StandIn:
    """Writes the name and the color of a picture, so that a caption at the wrong picture shows.

    log: a file that gets a line for each picture captioned, to count what was done twice.
    seconds: taken for each picture.
    """

    def __init__(self, log: Path | None = None, seconds: float = 0.0, phrase: str = "a thing called") -> None:
        self.prepare = {"captioner": lambda image: image.getpixel((0, 0))}
        self._log = log
        self._seconds = seconds
        self._phrase = phrase

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        found = []
        for picture in pictures:
            time.sleep(self._seconds)
            if progress is not None:
                progress(len(found), len(pictures))
            colour = "-".join(map(str, picture.ready["captioner"]))
            text = f"{self._phrase} {picture.item.key} in {colour}"
            found.append(CaptionResult([Candidate(text)], text))
        if self._log is not None:
            with open(self._log, "a", encoding="utf-8") as log:
                log.writelines(f"{picture.item.key}\n" for picture in pictures)
        return found


def count(text: str) -> int:
    """Words, in place of CLIP's tokens."""
    return len(text.split())


def draw(folder: Path, names: Sequence[str]) -> None:
    """Small pictures, each of a colour of its own."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = random.Random(os.fsencode(name))
        Image.new("RGB", (8, 8), (rng.randrange(256), rng.randrange(256), rng.randrange(256))).save(path)


def names(number: int) -> list[str]:
    """Names of so many pictures, in three folders."""
    return [f"{'abc'[index % 3]}/{index:04d}.png" for index in range(number)]


def texts(folder: Path, endings: Sequence[str] = (".txt", ".jsonl", ".caption")) -> dict[str, bytes]:
    """Every caption file under a folder, runs' own folders aside."""
    found: dict[str, bytes] = {}
    for where, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if name != ".interrogator"]
        for name in files:
            if name.endswith(tuple(endings)):
                path = Path(where, name)
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def left_behind(folder: Path) -> list[str]:
    """Temporary files under a folder, those of runs included."""
    return [str(path) for path in folder.rglob("*") if path.name.endswith(".interrogator-tmp")]


def run(
    folder: Path, policy: Any = "skip", target: str = "txt", shard_size: int = 8, selection: Selection | None = None,
    **values: Any,
) -> Run:  # fmt: skip
    """A run over a folder, with captions beside the pictures."""
    settings = Settings(policy=policy, **values)
    return Run([folder], settings, target=target, kind="folder", shard_size=shard_size, selection=selection)


def records(found: Run) -> list[dict[str, Any]]:
    """All records of a run."""
    return [record.as_dict() for record in found.parts.records(found.parts.done(found.plan))]
