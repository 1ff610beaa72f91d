"""Captions survive every conversion between two kinds of target, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import open_edit, work
from interrogator.dataset.targets import TargetOptions
from interrogator.dataset_choices import TARGET_KINDS, TARGETS

from .stand_in import draw

TEXTS = {
    "a.png": "1girl, solo, (hat:1.2), {red|blue} hair ||| miku \\(vocaloid\\)",
    "b.c.png": 'Grün, 中文, e\u0301, 🌋 — “quoted”, "straight", it\'s',
    "deep/er/d.png": "first caption\nsecond, of the same picture",
    "deep/a.png": "=cmd, 1,000; tab\there, <tag> & \\n",
    "10_sks dog/e.png": "",
}


def where(kind: str, folder: Path) -> str:
    """What the texts of a target are read from."""
    file = TARGETS[kind].file if kind in TARGETS else ""  # type: ignore[index]
    return str(folder / file) if file else str(folder)


def converted(pictures: Path, origin: str, kind: str, out: Path, several: bool = False) -> Mapping[str, str | None]:
    """What a target has of every picture after a conversion."""
    options = TargetOptions(paths="key") if kind in ("jsonl", "csv") else TargetOptions()  # which are beside no picture
    if kind == "captions-json":
        options = TargetOptions(images="copy")
    run = open_edit([pictures], Edit(origin=origin, several=several), out, kind, kind="folder", options=options)
    assert work(run).counts["failed"] == 0
    found = open_edit([pictures], Edit(several=several), out, kind, kind="folder", options=options)
    return {item.key: found.target.existing(item) for item in found.items()}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    draw(folder, list(TEXTS))
    for name, text in TEXTS.items():
        (folder / name).with_suffix(".txt").write_bytes(f"{text}\n".encode() if text else b"")
    return folder


def same(found: Mapping[str, str | None], kind: str) -> bool:
    """Whether they are the captions that there were; csv has no word for an empty one."""
    bare = {key: None if text is None else text.strip() for key, text in found.items()}
    return bare == {key: (text or None if kind == "csv" else text) for key, text in TEXTS.items()}


@pytest.mark.parametrize("kind", TARGET_KINDS)
def test_captions_survive_from_txt_to_each_kind_and_from_there_to_every_other(
    pictures: Path, tmp_path: Path, kind: str
) -> None:
    first = converted(pictures, "txt", kind, tmp_path / kind)
    assert same(first, kind), first
    for other in TARGET_KINDS:
        found = converted(pictures, where(kind, tmp_path / kind), other, tmp_path / f"{kind}-{other}")
        if kind == "csv":
            found = {**found, "10_sks dog/e.png": "" if other != "csv" else None}  # it had none any more
        assert same(found, other), (kind, other, found)


def test_lines_become_a_list_where_asked_and_lines_again(pictures: Path, tmp_path: Path) -> None:
    for several in (False, True):
        out = tmp_path / f"{several}"
        assert same(converted(pictures, "txt", "jsonl", out, several), "jsonl")
        is_list = '["first caption", "second, of the same picture"]' in (out / "metadata.jsonl").read_text()
        assert is_list == several
        assert same(converted(pictures, where("jsonl", out), "txt", out / "back"), "txt")
    tars = converted(pictures, "txt", "webdataset", tmp_path / "tars", several=True)
    assert same(tars, "webdataset")
