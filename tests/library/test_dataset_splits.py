"""A folder with splits gets a metadata file in each, of the kind that is there, and `datasets` loads every split."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from interrogator.cli import main
from interrogator.dataset import Run, Settings, TargetOptions
from interrogator.errors import RequestError

from .stand_in import StandIn, count, draw
from .test_dataset_targets import hub  # noqa: F401  a fixture

SPLIT = ("train/a.png", "train/sub/b.png", "validation/c.png", "x_test 2/d.png")


@pytest.fixture
def split(tmp_path: Path) -> Path:
    draw(tmp_path / "set", SPLIT)
    return tmp_path / "set"


def work(folder: Path, out: Path | None = None, target: str = "jsonl", policy: Any = "skip", **options: Any) -> Run:
    found = Run([folder], Settings(policy=policy), out, target, shard_size=2, options=TargetOptions(**options))
    assert found.work(StandIn, count).report is not None
    return found


def metadata(folder: Path) -> dict[str, bytes]:
    """Every metadata file and table."""
    paths = (path for path in folder.rglob("*") if path.suffix in (".jsonl", ".csv"))
    kept = (path for path in paths if ".interrogator" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


def rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def loaded(folder: Path, cache: str) -> dict[str, list[str]]:
    import datasets

    datasets.disable_progress_bars()
    splits = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)
    for each in splits.values():
        assert all(row["image"].size == (8, 8) for row in each)
    return {name: sorted(text.split(" in ")[0] for text in each["text"]) for name, each in splits.items()}


@pytest.mark.parametrize(("target", "images"), [("jsonl", None), ("jsonl", "copy"), ("csv", None)])
def test_every_split_loads(split: Path, tmp_path: Path, hub: str, target: str, images: Any) -> None:  # noqa: F811
    folder = split if images is None else tmp_path / "out"
    if target == "csv":
        (split / "train" / "metadata.csv").write_text("file_name,text\na.png,\n")
    before = metadata(folder) if folder.exists() else {}
    found = work(split, None if images is None else folder, target, images=images)
    assert metadata(folder).keys() == {f"{part}/metadata.{target}" for part in ("train", "validation", "x_test 2")}
    assert loaded(folder, hub) == {
        "train": ["a thing called train/a.png", "a thing called train/sub/b.png"],
        "validation": ["a thing called validation/c.png"], "test": ["a thing called x_test 2/d.png"],
    }  # fmt: skip
    again = Run([split], Settings(), None if images is None else folder, target, options=TargetOptions(images=images))
    assert all(again.target.existing(item) for item in again.items())
    assert found.undo() == [] and metadata(folder) == before


def test_files_of_splits_that_are_there_are_kept_up_with_the_columns_of_all(split: Path, hub: str) -> None:  # noqa: F811
    (split / "train" / "metadata.jsonl").write_text('{"file_name": "sub/b.png", "text": "old b", "by": "me"}\n')
    (split / "train" / "sub" / "more").mkdir()
    (split / "validation" / "metadata.jsonl").write_text('{"file_name": "c.png", "text": "old c"}\n')
    before = metadata(split)
    found = work(split)
    now = metadata(split)
    assert now.keys() == before.keys() | {"x_test 2/metadata.jsonl"}
    train = {row["file_name"]: row for row in rows(now["train/metadata.jsonl"])}
    assert train["sub/b.png"] == {"file_name": "sub/b.png", "text": "old b", "by": "me"}
    assert rows(now["validation/metadata.jsonl"]) == [{"file_name": "c.png", "text": "old c", "by": ""}]
    assert loaded(split, hub)["validation"] == ["old c"]
    assert found.undo() == [] and metadata(split) == before


def test_a_split_with_lists_makes_lists_of_all(split: Path, hub: str) -> None:  # noqa: F811
    (split / "train" / "metadata.jsonl").write_text('{"file_name": "a.png", "text": ["one", "two"]}\n')
    work(split)
    assert all(isinstance(row["text"], list) for data in metadata(split).values() for row in rows(data))


def test_a_folder_with_metadata_csv_gets_no_second_kind(tmp_path: Path) -> None:
    draw(tmp_path, ["a.png", "b.png"])
    table = b'file_name,text,mine\r\nb.png,"old, b",1\r\n'
    (tmp_path / "metadata.csv").write_bytes(table)
    found = work(tmp_path)
    assert metadata(tmp_path).keys() == {"metadata.csv"}
    there = list(csv.DictReader((tmp_path / "metadata.csv").read_text("utf-8").splitlines()))
    assert {row["file_name"]: (row["text"].split(" in ")[0], row["mine"]) for row in there} == {
        "a.png": ("a thing called a.png", ""), "b.png": ("old, b", "1"),
    }  # fmt: skip
    assert found.undo() == [] and metadata(tmp_path) == {"metadata.csv": table}
    assert work(tmp_path, target="csv", policy="overwrite").undo() == []
    assert metadata(tmp_path) == {"metadata.csv": table}


def test_the_nearest_file_around_a_picture_is_its_own(tmp_path: Path) -> None:
    draw(tmp_path, ["train/a.png", "train/deep/b.png", "c.png"])
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "train/a.png", "text": "old a"}\n')
    (tmp_path / "train" / "deep" / "metadata.jsonl").write_text('{"file_name": "b.png", "text": "old b"}\n')
    work(tmp_path, policy="overwrite")
    found = {name: [row["file_name"] for row in rows(data)] for name, data in metadata(tmp_path).items()}
    assert found == {"metadata.jsonl": ["c.png", "train/a.png"], "train/deep/metadata.jsonl": ["b.png"]}


def test_metadata_that_is_not_written_is_left_alone_and_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw(tmp_path, ["train/a.png"])
    pq.write_table(pa.table({"file_name": ["a.png"], "text": ["A"]}), tmp_path / "train" / "metadata.parquet")
    with pytest.raises(RequestError, match="metadata.parquet: is not written here.*--copy-images"):
        Run([tmp_path], Settings(), target="jsonl")


def test_edits_find_the_captions_of_splits(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, name in (("train", "a.png"), ("validation", "c.png")):
        row = {"file_name": name, "caption": "a hat"}
        (split / part / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    assert main(["edit", str(split), "--replace", "hat", "cap"]) == 0
    texts = [row["caption"] for data in metadata(split).values() for row in rows(data)]
    assert texts == ["a cap", "a cap"]
    assert main(["edit", "--undo", str(next((split / ".interrogator").glob("*/")))]) == 0
    assert b"a hat" in metadata(split)["train/metadata.jsonl"]
