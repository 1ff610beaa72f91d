"""captions.json: lists of captions by the names of pictures, in each folder, as diffusion-pipe reads them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from interrogator.cli import main
from interrogator.dataset.records import Item, Record
from interrogator.dataset.sources import Source, open_source
from interrogator.dataset.targets import Target, open_target
from interrogator.errors import RequestError

from .stand_in import draw

PICTURES = ("a.png", "v1.2 (x).PNG", "10_sks dog/a.png", "10_sks dog/猫.png")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    draw(tmp_path, PICTURES)
    return open_source(tmp_path, kind="folder")


def target_of(source: Source) -> Target:
    return open_target("captions-json", None, [source])


def done(key: str, *captions: str) -> Record:
    return Record(key, "done", caption=captions[0], captions=captions)


def lists(folder: Path) -> Any:
    return json.loads((folder / "captions.json").read_bytes())


def test_each_folder_gets_a_file_of_lists(source: Source, tmp_path: Path) -> None:
    records = [
        done("a.png", "one", "two"),
        done("10_sks dog/a.png", "ü, {a|b} ||| c"),
        done("v1.2 (x).PNG", "x\n\ny\n"),
    ]
    assert target_of(source).finish([*records, Record("10_sks dog/猫.png", "failed")]) == []
    assert lists(tmp_path) == {"a.png": ["one", "two"], "v1.2 (x).PNG": ["x", "y"]}
    assert lists(tmp_path / "10_sks dog") == {"a.png": ["ü, {a|b} ||| c"]}
    assert all(path.read_bytes().isascii() for path in target_of(source).files())
    assert len(target_of(source).files()) == 2


def test_what_is_there_is_read_as_lines_and_other_pictures_stay(source: Source, tmp_path: Path) -> None:
    (tmp_path / "captions.json").write_text('{"gone.png": ["z"], "a.png": ["ü", "b"]}', encoding="utf-8-sig")
    target = target_of(source)
    assert target.existing(Item("a.png")) == "ü\nb"
    assert target.existing(Item("10_sks dog/a.png")) is None
    record = Record("a.png", "done", caption="new", captions=("new",), existing="ü\nb")
    assert target.finish([record]) == []
    assert lists(tmp_path) == {"a.png": ["new"], "gone.png": ["z"]}
    assert target_of(source).restore([record]) == []
    assert lists(tmp_path) == {"a.png": ["ü", "b"], "gone.png": ["z"]}


def test_an_undo_leaves_what_somebody_has_changed_and_removes_files_that_are_empty(
    source: Source, tmp_path: Path
) -> None:
    records = [done("a.png", "one"), done("10_sks dog/a.png", "two")]
    target_of(source).finish(records)
    (tmp_path / "captions.json").write_text('{"a.png": ["mine"]}')
    left = target_of(source).restore(records)
    assert [each.key for each in left] == ["a.png"] and lists(tmp_path) == {"a.png": ["mine"]}
    assert not (tmp_path / "10_sks dog" / "captions.json").exists()


def test_it_lies_beside_files_only(source: Source, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="leave out"):
        open_target("captions-json", tmp_path / "out", [source])
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "a.png")
    with pytest.raises(RequestError, match="choose another target"):
        open_target("captions-json", None, [open_source(tmp_path / "x.tar")])
    (tmp_path / "captions.json").write_text("[]")
    with pytest.raises(RequestError, match="no JSON|not a JSON object"):
        target_of(source).existing(Item("a.png"))


def test_lists_are_captions_that_are_there(source: Source, tmp_path: Path) -> None:
    lists = {"a.png": ["one", "two"], "猫.png": ["three"]}
    (tmp_path / "10_sks dog" / "captions.json").write_text(json.dumps(lists))
    assert main(["edit", str(tmp_path), "--case", "upper"]) == 0
    assert json.loads((tmp_path / "10_sks dog" / "captions.json").read_bytes())["a.png"] == ["ONE", "TWO"]
    assert main(["edit", str(tmp_path), "--target", "jsonl"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["file_name"]: row["text"] for row in rows} == {
        "10_sks dog/a.png": ["ONE", "TWO"], "10_sks dog/猫.png": ["THREE"],
    }  # fmt: skip


def test_a_file_of_somebody_else_is_passed_over_where_captions_are_only_read(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "captions.json").write_text("[1]")
    assert main(["edit", str(tmp_path), "--template", "x", "--target", "txt"]) == 0
    assert (tmp_path / "a.txt").read_text() == "x\n" and "captions in it are not read" in caplog.text
