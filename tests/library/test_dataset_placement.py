"""Tables name pictures so that their readers find them, and a run brings pictures to its captions if it is asked to."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from interrogator.dataset import Run, Settings, TargetOptions
from interrogator.errors import RequestError

from .stand_in import StandIn, count, draw, left_behind
from .test_dataset_targets import hub, load  # noqa: F401  a fixture

PICTURES = ("a.png", "b.c.png", "sub/d.jpg", "sub/ü e.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draw(tmp_path / "photos", PICTURES)
    return tmp_path / "photos"


def run(source: Path, out: Path | None, target: str = "jsonl", seed: int = 0, **options: Any) -> Run:
    return Run([source], Settings(seed=seed), out, target, shard_size=2, options=TargetOptions(**options))


def work(found: Run) -> Run:
    assert found.work(StandIn, count).report is not None
    return found


def files(folder: Path) -> list[str]:
    """Everything in a folder but the runs' own, folders too."""
    assert left_behind(folder) == []
    paths = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(path.as_posix() for path in paths if ".interrogator" not in path.parts)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def picture_tar(path: Path, *names: str) -> None:
    """A tar with pictures and, where the name says so, texts."""
    with tarfile.open(path, "w") as tar:
        for name in names:
            out = io.BytesIO()
            Image.new("RGB", (8, 8), (len(name), 7, 9)).save(out, "PNG")
            data = b"a text" if name.endswith(".txt") else out.getvalue()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("images", ["copy", "link"])
def test_a_folder_with_its_pictures_loads_by_itself(photos: Path, tmp_path: Path, hub: str, images: Any) -> None:  # noqa: F811
    out = tmp_path / "deep" / "captions"
    found = work(run(photos, out, images=images))
    assert all((out / name).is_symlink() == (images == "link") for name in PICTURES)
    assert all((out / name).read_bytes() == (photos / name).read_bytes() for name in PICTURES)
    os.rename(tmp_path / "deep", tmp_path / "moved") if images == "copy" else None
    out = tmp_path / ("moved" if images == "copy" else "deep") / "captions"
    loaded = load("imagefolder", hub, data_dir=str(out))
    assert sorted(row["text"].split(" in ")[0] for row in loaded) == [f"a thing called {name}" for name in PICTURES]
    assert all(row["image"].size == (8, 8) for row in loaded)
    if images == "link":
        assert found.undo() == []
        assert files(out) == [] and files(photos) == ["a.png", "b.c.png", "sub", "sub/d.jpg", "sub/ü e.png"]


@pytest.mark.parametrize("target", ["txt", "jsonl", "csv", "kohya-json", "kohya-jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
def test_every_target_names_the_copies_and_an_undo_takes_them_away(
    photos: Path, tmp_path: Path, target: str, kind: str
) -> None:
    source, names = photos, list(PICTURES)
    if kind == "tar":
        source, names = tmp_path / "s.tar", ["s.tar/x.png", "s.tar/y/z.img.png"]
        picture_tar(source, "x.png", "y/z.img")
    if kind == "parquet":
        source, names = tmp_path / "in.parquet", ["in.parquet#0.png", "in.parquet#1.jpg"]
        pq.write_table(pa.table({"image": [(photos / name).read_bytes() for name in ("a.png", "sub/d.jpg")]}), source)
    if kind == "tar" and target in ("txt", "csv"):
        pytest.skip("as the others")
    out = tmp_path / "out"
    found = work(run(source, out, target, images="copy"))
    assert [name for name in files(out) if name.endswith((".png", ".jpg"))] == names
    table = {
        "jsonl": lambda: [row["file_name"] for row in rows(out / "metadata.jsonl")],
        "csv": lambda: [row[0] for row in csv.reader((out / "captions.csv").read_text("utf-8").splitlines())][1:],
        "kohya-json": lambda: list(json.loads((out / "meta_cap.json").read_bytes())),
        "kohya-jsonl": lambda: [row["image_path"] for row in rows(out / "meta_cap.jsonl")],
        "parquet": lambda: pq.read_table(out / "captions.parquet").column("key").to_pylist(),
        "txt": lambda: [name for name in names if (out / (name[:-4] + ".txt")).exists()],
    }[target]()  # fmt: skip
    assert table == names
    before = files(out)
    assert work(run(source, out, target, images="copy")).undo() == [] and found.folder.exists() is False
    assert files(out) == [] and before


def test_pictures_of_somebody_stay_whatever_they_are(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    draw(out, ["other.png", "sub/own.png"])
    (out / "a.png").write_bytes((photos / "a.png").read_bytes())
    (out / "b.c.png").write_bytes(b"mine")
    before = {name: (out / name).read_bytes() for name in files(out) if name != "sub"}
    found = work(run(photos, out, images="copy"))
    failed = [record for record in found.parts.records(found.parts.done(found.plan)) if record.status == "failed"]
    assert [record.key for record in failed] == ["b.c.png"] and "exists and is something else" in failed[0].reason
    assert [row["file_name"] for row in rows(out / "metadata.jsonl")] == ["a.png", "sub/d.jpg", "sub/ü e.png"]
    (out / "sub" / "d.jpg").write_bytes(b"edited")
    assert [each.key for each in found.undo()] == ["sub/d.jpg"]
    assert files(out) == ["a.png", "b.c.png", "other.png", "sub", "sub/d.jpg", "sub/own.png"]
    assert {name: (out / name).read_bytes() for name in before} == before


def test_of_two_runs_the_last_that_is_undone_takes_the_pictures_away(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = work(run(photos, out, "txt", images="copy"))
    second = work(run(photos, out, "txt", seed=1, images="copy"))
    assert first.undo() == []
    assert [name for name in files(out) if not name.endswith(".txt")] == [*PICTURES[:2], "sub", *PICTURES[2:]]
    assert second.undo() == []
    assert files(out) == []


def test_a_picture_that_changed_is_copied_anew(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    work(run(photos, out, images="copy"))
    Image.new("RGB", (9, 9), (1, 2, 3)).save(photos / "a.png")
    found = work(run(photos, out, images="copy"))
    assert (out / "a.png").read_bytes() == (photos / "a.png").read_bytes()
    assert found.undo() == [] and files(out) == []


def test_a_killed_run_continues_and_undoes_what_every_process_put_there(photos: Path, tmp_path: Path) -> None:
    draw(photos, [f"more/{number}.png" for number in range(30)])
    script = (
        "import sys; from interrogator.dataset import Run, Settings, TargetOptions\n"
        "from tests.library.stand_in import StandIn, count\n"
        "options = TargetOptions(images='copy')\n"
        "run = Run([sys.argv[1]], Settings(), sys.argv[2], 'jsonl', shard_size=2, options=options)\n"
        "run.work(lambda: StandIn(seconds=0.01), count)"
    )
    out = tmp_path / "out"
    for pictures in (1, 12):
        child = subprocess.Popen([sys.executable, "-c", script, str(photos), str(out)], cwd=Path(__file__).parents[2])
        while child.poll() is None and len(list(out.rglob("*.png"))) < pictures:
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
    found = work(run(photos, out, images="copy"))
    assert len(rows(out / "metadata.jsonl")) == 34 and all(
        (out / row["file_name"]).exists() for row in rows(out / "metadata.jsonl")
    )
    assert found.undo() == [] and files(out) == []


def test_where_no_links_can_be_made_the_run_says_what_to_do(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*paths: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refused)
    found = work(run(photos, tmp_path / "out", "txt", images="link"))
    assert os.path.samefile(tmp_path / "out" / "a.png", photos / "a.png"), "a hard link"
    (photos / "a.png").write_bytes(b"edited through the other name")
    assert found.undo() == [] and files(tmp_path / "out") == []
    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(RequestError, match="no links can be made there .*; use --copy-images"):
        run(photos, tmp_path / "other", "txt", images="link").work(StandIn, count)


def test_names_are_as_asked_and_rows_keep_their_picture_under_another_name(photos: Path, tmp_path: Path) -> None:
    work(run(photos, None, name_column="image"))
    assert [list(row) for row in rows(photos / "metadata.jsonl")] == [["image", "text"]] * 4
    (photos / "metadata.jsonl").unlink()
    work(run(photos, tmp_path / "out", paths="absolute"))
    there = rows(tmp_path / "out" / "metadata.jsonl")
    assert [row["file_name"] for row in there] == [str(photos / name) for name in PICTURES]
    (tmp_path / "out" / "metadata.jsonl").rename(photos / "metadata.jsonl")
    target = Run([photos], Settings(), target="jsonl", kind="folder").target
    assert all(target.existing(item) for item in Run([photos], Settings(), kind="folder").items())


def test_what_nobody_could_load_is_refused_with_the_choices(photos: Path, tmp_path: Path) -> None:
    picture_tar(tmp_path / "s.tar", "a.png")
    pq.write_table(pa.table({"image": [(photos / "a.png").read_bytes()]}), tmp_path / "in.parquet")
    (tmp_path / "list.list").write_text("photos/a.png\n")
    out = tmp_path / "out"
    not_there = "could not name the pictures.*no --out.*--copy-images or --link-images.*--paths absolute"
    no_files = "not files of this machine.*--copy-images.*parquet.*--paths key"
    cases: list[tuple[Path, Path | None, str, dict[str, Any], str]] = [
        (photos, out, "jsonl", {}, not_there),
        (photos, out / "x.csv", "csv", {}, not_there),
        (tmp_path / "list.list", out, "jsonl", {}, not_there),
        (tmp_path / "s.tar", out, "jsonl", {}, no_files),
        (tmp_path / "s.tar", None, "kohya-json", {}, no_files),
        (tmp_path / "in.parquet", out, "csv", {"paths": "absolute"}, no_files),
        (tmp_path / "s.tar", out, "txt", {"images": "link"}, "use --copy-images"),
        (photos, photos / "out", "jsonl", {"images": "copy"}, "lies in the source"),
        (photos, None, "jsonl", {"images": "copy"}, "name a folder that both go to"),
        (photos, out, "webdataset", {"images": "copy"}, "leave out copying"),
        (photos, out, "txt", {"paths": "absolute"}, "for tables that name pictures"),
        (photos, None, "kohya-json", {"name_column": "image"}, "in jsonl and csv only"),
    ]
    for source, where, target, options, message in cases:
        with pytest.raises(RequestError, match=message):
            run(source, where, target, **options)
    for column in ("image", "pic"):
        with pytest.raises(RequestError, match="readers have the picture under this name"):
            Run([photos], Settings(), target="jsonl", column=column, options={"name_column": "pic"})
    for options in ({"paths": "odd"}, {"images": "move"}):
        with pytest.raises(RequestError, match="choose from"):
            TargetOptions(**options)  # type: ignore[arg-type]
    work(run(tmp_path / "s.tar", out, paths="key"))
    assert [row["file_name"] for row in rows(out / "metadata.jsonl")] == ["s.tar/a.png"]
    assert work(run(tmp_path / "list.list", tmp_path)).undo() == []


def test_a_run_of_before_that_is_refused_now_is_still_undone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("interrogator.dataset.run.check_reach", lambda *_: None)
        found = work(run(photos, out))
    assert "options" not in json.loads((found.folder / "run.json").read_bytes())["asked"]
    assert Run.reopened(found.folder).undo() == [] and files(out) == []
