"""Repacked tars hold pictures and captions, read back by webdataset itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from interrogator.cli import main
from interrogator.dataset import Run, Settings, TargetOptions
from interrogator.dataset.records import Item, Record
from interrogator.dataset.sources import open_source
from interrogator.dataset.targets import open_target
from interrogator.errors import RequestError

from .stand_in import StandIn, count, draw, left_behind
from .test_dataset_placement import picture_tar

PICTURES = ("a.png", "b.c.png", "sub/d.JPG", "sub/e.png", "ü.png")


def run(source: Path, out: Path, policy: Any = "skip", size: int = 2, **values: Any) -> Run:
    options = TargetOptions(repack=True, tar_size=size)
    return Run([source], Settings(policy=policy, **values), out, "webdataset", shard_size=2, options=options)


def work(found: Run) -> Run:
    assert found.work(StandIn, count).report is not None
    return found


def samples(out: Path) -> dict[str, dict[str, bytes]]:
    """The samples as webdataset reads them, by key."""
    shards = sorted(map(str, out.glob("*.tar")))
    found = list(webdataset.WebDataset(shards, shardshuffle=False)) if shards else []
    assert len({sample["__key__"] for sample in found}) == len(found)
    return {
        sample["__key__"]: {name: data for name, data in sample.items() if not name.startswith("__")}
        for sample in found
    }


def caption(sample: dict[str, bytes]) -> str:
    return sample["txt"].decode().split(" in ")[0]


def test_a_folder_becomes_tars_of_so_many_samples(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    draw(photos, PICTURES)
    (photos / "bad.png").write_bytes(b"no picture")
    found = work(run(photos, out))
    assert sorted(path.name for path in out.glob("*.tar")) == [f"samples-00000{number}.tar" for number in range(3)]
    there = samples(out)
    assert list(there) == ["a", "b_c", "sub/d", "sub/e", "ü"]
    for key, name in zip(there, PICTURES, strict=True):
        assert caption(there[key]) == f"a thing called {name}"
        assert there[key][name.rpartition(".")[2].lower()] == (photos / name).read_bytes()
    first = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    work(run(photos, tmp_path / "again"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").glob("*.tar")} == first, "the same bytes"
    assert found.undo() == [] and os.listdir(out) == [".interrogator"] and left_behind(out) == []


def test_pictures_of_tars_are_taken_over_whole(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture_tar(tmp_path / "in" / "0.tar", "x.png", "x.txt", "22.05.png", "y.img")
    picture_tar(tmp_path / "in" / "1.tar", "x.png", "deep/z.png")
    work(run(tmp_path / "in", tmp_path / "out", policy="overwrite", size=3))
    there = samples(tmp_path / "out")
    assert set(there) == {"0.tar/x", "0.tar/22_05", "0.tar/y_img", "1.tar/x", "1.tar/deep/z"}
    assert caption(there["0.tar/22_05"]) == "a thing called 0.tar/22.05.png"
    assert all(set(sample) == {"png", "txt"} for sample in there.values())
    with pytest.raises(RequestError, match="the source's own tars"):
        run(tmp_path / "in", tmp_path / "in")


def test_a_source_is_listed_once_for_all_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture_tar(tmp_path / "0.tar", *(f"{number}.png" for number in range(9)))
    source = open_source(tmp_path / "0.tar")
    target = open_target("webdataset", tmp_path / "out", [source], options=TargetOptions(repack=True))
    listed: list[str] = []
    real = source.items

    def items() -> Iterator[Item]:
        for item in real():
            listed.append(item.key)
            yield item

    records = [Record(item.key, "done", caption="a text", captions=("a text",)) for item in real()]
    monkeypatch.setattr(source, "items", items)
    assert target.finish(iter(records)) == [] and len(samples(tmp_path / "out")) == 9
    assert listed == [record.key for record in records]


def test_pictures_of_tables_become_files_of_their_kind(tmp_path: Path) -> None:
    draw(tmp_path, ["a.png", "b.jpg"])
    data = [(tmp_path / name).read_bytes() for name in ("a.png", "b.jpg", "a.png")]
    pq.write_table(pa.table({"image": data}), tmp_path / "in.parquet", row_group_size=2)
    found = work(run(tmp_path / "in.parquet", tmp_path / "out"))
    there = samples(tmp_path / "out")
    assert [there[f"in_parquet#{row}"].get(end) for row, end in enumerate(("png", "jpg", "png"))] == data
    assert found.undo() == [] and samples(tmp_path / "out") == {}


def test_a_later_run_and_its_undo_keep_what_was_there(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    draw(photos, PICTURES)
    first = work(run(photos, out))
    before = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    (photos / "a.png").unlink()
    draw(photos, ["new.png"])
    second = run(photos, out, "append", seed=1)
    assert second.work(lambda: StandIn(phrase="something like"), count).counts["done"] == 5
    there = samples(out)
    assert there["sub/e"]["txt"].startswith(b"a thing called sub/e.png") and b"something like" in there["sub/e"]["txt"]
    assert there["new"]["txt"].startswith(b"something like")
    assert list(there)[-1] == "a" and there["a"]["txt"].startswith(b"a thing called a.png"), "not of this run"
    assert second.undo() == []
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")} == before
    assert first.target.existing(next(iter(first.items()))) is not None


def test_captions_that_somebody_changed_stay_when_the_rest_is_taken_back(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    draw(photos, PICTURES)
    found = work(run(photos, out))
    target = found.target
    records = list(found.parts.records(found.parts.done(found.plan)))
    edited = [Record("ü.png", "done", caption="by hand", captions=("by hand",))]
    target.finish(iter([*records[:4], *edited]))
    assert [each.key for each in target.restore(iter(records))] == ["ü.png"]
    assert {key: sample["txt"] for key, sample in samples(out).items()} == {"ü": b"by hand"}


def test_edits_can_be_repacked_from_the_command_line(tmp_path: Path) -> None:
    draw(tmp_path / "photos", ["a.png", "b.png"])
    (tmp_path / "photos" / "a.txt").write_text("a hat")
    arguments = ["edit", tmp_path / "photos", "--from", "txt", "--target", "webdataset", "--repack", "--out"]
    assert main([*map(str, arguments), str(tmp_path / "out"), "--trigger", "sks"]) == 0
    there = samples(tmp_path / "out")
    assert there == {"a": {"png": (tmp_path / "photos" / "a.png").read_bytes(), "txt": b"sks, a hat"}}
    asked = json.loads(next((tmp_path / "out").rglob("run.json")).read_bytes())["asked"]
    assert asked["options"] == {"repack": True}
    run_folder = next((tmp_path / "out" / ".interrogator").glob("*/"))
    assert main(["edit", "--undo", str(run_folder)]) == 0 and samples(tmp_path / "out") == {}


def test_options_of_tars_are_for_tars(tmp_path: Path) -> None:
    draw(tmp_path, ["a.png"])
    for target, options, message in (
        ("txt", {"repack": True}, "only target webdataset"),
        ("webdataset", {"tar_size": 5}, "those that are repacked"),
    ):
        with pytest.raises(RequestError, match=message):
            Run([tmp_path], Settings(), tmp_path / "out", target, options=TargetOptions(**options))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="at least 1"):
        TargetOptions(repack=True, tar_size=0)
