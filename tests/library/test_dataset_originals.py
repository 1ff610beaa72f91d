"""An undo gives back tables and tars byte for byte, and goes caption by caption where somebody has changed them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from interrogator.dataset import Run, Settings, TargetOptions

from .stand_in import StandIn, count, draw, run

PICTURES = ("a.png", "b.png", "c.png")
ROWS = (
    b'{"mine": 1, "file_name": "a.png", "text": "old"}\r\n\r\n{"file_name":"a.png","text":["x","y"]}\n'
    b'{"file_name": "gone.png"}'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    draw(folder, PICTURES)
    (folder / "metadata.jsonl").write_bytes(ROWS)
    return folder


def captioned(folder: Path) -> Run:
    found = run(folder, "overwrite", "jsonl")
    assert found.work(StandIn, count).report is not None
    return found


def test_rows_that_were_there_twice_come_back(folder: Path) -> None:
    found = captioned(folder)
    assert (folder / "metadata.jsonl").read_bytes() != ROWS
    assert found.undo() == []
    assert (folder / "metadata.jsonl").read_bytes() == ROWS


def test_pictures_that_came_later_do_not_change_what_was_there_before(folder: Path) -> None:
    captioned(folder)
    draw(folder, ["d.png"])
    found = captioned(folder)
    assert found.undo() == []
    assert (folder / "metadata.jsonl").read_bytes() == ROWS


@pytest.mark.parametrize("when", ["at the end", "before more pictures came"])
def test_what_somebody_made_of_it_stays(folder: Path, when: str) -> None:
    found, path = captioned(folder), folder / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert rows[1]["file_name"] == "b.png"
    rows[1]["text"] = "by hand"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if when != "at the end":
        draw(folder, ["d.png"])
        found = captioned(folder)
    assert [each.key for each in found.undo()] == ["b.png"]
    texts = {row["file_name"]: row.get("text") for row in map(json.loads, path.read_bytes().splitlines())}
    assert texts["b.png"] == ["by hand"] or texts["b.png"] == "by hand"
    assert "d.png" not in texts and "c.png" not in texts


@pytest.mark.parametrize("target", ["jsonl", "kohya-json", "kohya-jsonl", "csv", "parquet", "webdataset"])
def test_files_that_were_not_there_are_gone(folder: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / "out"
    options = TargetOptions("absolute" if target in ("jsonl", "csv") else "relative")
    found = Run([folder], Settings(), out, target, kind="folder", options=options)
    assert found.work(StandIn, count).report is not None
    assert len(os.listdir(out)) == 2
    assert found.undo() == []
    assert os.listdir(out) == [".interrogator"]
    assert found.work(StandIn, count).counts["done"] == 3, "the same run object begins anew"


def test_a_disk_without_links_keeps_a_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*paths: object, **options: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refused)
    found = captioned(folder)
    assert found.undo() == []
    assert (folder / "metadata.jsonl").read_bytes() == ROWS
