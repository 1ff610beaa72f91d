"""Sources that are written again between two starts of a run: every caption stays with its own picture."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interrogator.dataset import Run, Settings, Summary, work_in_processes
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.result import Candidate, CaptionResult
from interrogator.dataset.sources import open_source
from interrogator.errors import RunStopped

from .stand_in import count

Rows = list[tuple[str, bytes]]
"""Name and file of each picture of a tar or table."""


class Colours:
    """Says what colour a picture has, and nothing else; `seen` counts what was captioned."""

    seen: int

    def __init__(self) -> None:
        self.prepare = {"captioner": lambda image: image.getpixel((0, 0))}
        self.seen = 0

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        self.seen += len(pictures)
        return [CaptionResult([Candidate(colour(picture.ready["captioner"]))]) for picture in pictures]


def colour(pixel: tuple[int, ...]) -> str:
    return "coloured " + "-".join(map(str, pixel))


def truth(data: bytes) -> str:
    """The caption of a picture."""
    with Image.open(io.BytesIO(data)) as image:
        return colour(image.convert("RGB").getpixel((0, 0)))  # type: ignore[arg-type]


def picture(number: int, size: int = 4) -> bytes:
    """A picture of a colour of its own; all are of the same number of bytes."""
    data = io.BytesIO()
    Image.new("RGB", (size, size), (number % 251, number // 251, 7)).save(data, "BMP")
    return data.getvalue()


def rows(number: int) -> Rows:
    return [(f"{place:04d}.bmp", picture(place)) for place in range(number)]


def write_table(path: Path, pictures: Rows, named: bool = False) -> None:
    cells = [{"bytes": data, "path": name if named else None} for name, data in pictures]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(cells, kind)}), path, row_group_size=50)


def write_named_table(path: Path, pictures: Rows) -> None:
    write_table(path, pictures, named=True)


def write_tar(path: Path, pictures: Rows, mode: Any = "w") -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in pictures:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_packed(path: Path, pictures: Rows) -> None:
    write_tar(path, pictures, "w:gz")


def write_folder(path: Path, pictures: Rows) -> None:
    """Only what differs is written, so that the others keep their times."""
    path.mkdir(exist_ok=True)
    for old in set(os.listdir(path)) - {name for name, _ in pictures} - {".interrogator"}:
        (path / old).unlink()
    for name, data in pictures:
        if not (path / name).exists() or (path / name).read_bytes() != data:
            (path / name).write_bytes(data)


def write_path_table(path: Path, pictures: Rows) -> None:
    write_folder(path.parent / "files", pictures)
    pq.write_table(pa.table({"path": [f"files/{name}" for name, _ in pictures]}), path)


def write_list(path: Path, pictures: Rows) -> None:
    write_folder(path.parent / "files", pictures)
    path.write_text("".join(f"files/{name}\n" for name, _ in pictures))


WRITERS: dict[str, tuple[str, Callable[[Path, Rows], None]]] = {
    "parquet": ("in.parquet", write_table),
    "named parquet": ("in.parquet", write_named_table),
    "parquet of paths": ("in.parquet", write_path_table),
    "tar": ("in.tar", write_tar),
    "packed tar": ("in.tar.gz", write_packed),
    "folder": ("in", write_folder),
    "list": ("in.txt", write_list),
}
TARGETS = ["txt", "jsonl", "parquet", "webdataset"]


def run(home: Path, kind: str, target: str = "parquet", shard_size: int = 8, **values: Any) -> Run:
    source = home / WRITERS[kind][0]
    options = {"paths": "key"} if target == "jsonl" else {}
    return Run([source], Settings(**values), home / "out", target, kind="folder" if kind == "folder" else None,
               shard_size=shard_size, options=options)  # fmt: skip


def stopped_after(home: Path, kind: str, shards: int, target: str = "parquet", **values: Any) -> None:
    """Work on a run until so many shards are done."""
    found = run(home, kind, target, **values)
    size = found._shard_size

    def stop(done: int, total: int, failed: int) -> None:
        if done >= shards * size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found.work(Colours, count, stop)
    assert len(found.parts.done(found.plan)) == shards


def finished(home: Path, kind: str, target: str = "parquet", **values: Any) -> tuple[Summary, int]:
    """Work on a run to its end; how it stands, and how many pictures were captioned."""
    models = Colours()
    return run(home, kind, target, **values).work(lambda: models, count), models.seen


def assert_right(home: Path, kind: str, target: str = "parquet", **values: Any) -> None:
    """Every picture of the source has its own caption in records, target and report, and there are no others."""
    found = run(home, kind, target, **values)
    items = list(found.items())
    expected = {item.key: truth(data) for item, data in found.sources[0].read(items) if isinstance(data, bytes)}
    records = {record.key: record for record in found.parts.records(found.parts.done(found.plan))}
    assert {key: record.caption for key, record in records.items() if record.status == "done"} == expected
    standing = {item.key: (found.target.existing(item) or "").strip() for item in items if not item.problem}
    assert standing == expected
    for shard, record in found.parts.placed(found.parts.done(found.plan)):
        shot = found._context.thumbnails.of(shard.number, record.name)
        assert record.status != "done" or shot and near(shot, expected[record.key])
    if kind != "folder":
        assert captions_in(home / "out", target) == sorted(expected.values())


def near(shot: bytes, caption: str) -> bool:
    """Whether a thumbnail, which is a JPEG, has the colour that a caption says."""
    found = truth(shot).split()[1].split("-")
    return all(abs(int(one) - int(other)) < 12 for one, other in zip(found, caption.split()[1].split("-"), strict=True))


def captions_in(out: Path, target: str) -> list[str]:
    """All captions that a target holds."""
    if target == "txt":
        files = [path for path in out.rglob(f"*.{target}") if ".interrogator" not in path.parts]
        return sorted(path.read_text().strip() for path in files)
    if target == "parquet":
        column = pq.read_table(out / "captions.parquet")["text"].to_pylist()
        return sorted(text for text in column if text)
    if target == "webdataset":
        texts = []
        for path in out.glob("*.tar"):
            with tarfile.open(path) as tar:
                texts += [tar.extractfile(each).read().decode() for each in tar if each.name.endswith(".txt")]  # type: ignore[union-attr]
        return sorted(texts)
    lines = (out / "metadata.jsonl").read_text().splitlines()
    return sorted(json.loads(line)["text"] for line in lines)


def changed(pictures: Rows, how: str) -> Rows:
    """The pictures of a source that was written again."""
    if how == "one row less":
        return pictures[:100] + pictures[101:] if len(pictures) > 100 else pictures[:3] + pictures[4:]
    if how == "reordered":
        return random.Random(4).sample(pictures, len(pictures))
    if how == "one in front":
        return [("new.bmp", picture(7000)), *pictures]
    if how == "another picture of the same name and size":
        return [*pictures[:2], (pictures[2][0], picture(7001)), *pictures[3:]]
    assert how == "swapped"
    (first, one), (second, other) = pictures[0], pictures[-1]
    return [(first, other), *pictures[1:-1], (second, one)]


WAYS = ["one row less", "reordered", "one in front", "another picture of the same name and size", "swapped"]


@pytest.mark.parametrize("target", ["parquet", "jsonl"])
def test_a_table_of_400_rows_stopped_after_5_shards_and_written_again_without_one(
    tmp_path: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_table(tmp_path / "in.parquet", rows(400))
    stopped_after(tmp_path, "parquet", 5, target, shard_size=40)
    write_table(tmp_path / "in.parquet", changed(rows(400), "one row less"))
    summary, seen = finished(tmp_path, "parquet", target, shard_size=40)
    assert summary.counts == {"done": 399, "kept": 0, "failed": 0} and summary.total == 399
    assert seen == 200, "what was captioned before moved with its picture"
    assert_right(tmp_path, "parquet", target, shard_size=40)
    assert "the source changed since this run was planned: 1 picture gone, 0 new, 0 changed" in caplog.text
    told = run(tmp_path, "parquet", target, shard_size=40)._files.read()
    assert "1 picture gone" in told["changes"][0]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("kind", WRITERS)
def test_a_source_that_changed_between_stop_and_continuation(tmp_path: Path, kind: str, how: str) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name, rows(20))
    stopped_after(tmp_path, kind, 2, shard_size=4)
    write(tmp_path / name, changed(rows(20), how))
    finished(tmp_path, kind, shard_size=4)
    if how == "one row less" and kind in ("folder", "list", "parquet of paths"):
        return  # the record of a file that is gone stays, as its caption does
    assert_right(tmp_path, kind, shard_size=4)


@pytest.mark.parametrize("how", WAYS[:4])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["parquet", "tar"])
@pytest.mark.parametrize("is_finished", [True, False])
def test_every_target_holds_the_caption_of_each_picture(
    tmp_path: Path, kind: str, target: str, how: str, is_finished: bool
) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name, rows(12))
    if is_finished:
        finished(tmp_path, kind, target, shard_size=3)
    else:
        stopped_after(tmp_path, kind, 2, target, shard_size=3)
    write(tmp_path / name, changed(rows(12), how))
    finished(tmp_path, kind, target, shard_size=3)
    assert_right(tmp_path, kind, target, shard_size=3)
    assert finished(tmp_path, kind, target, shard_size=3)[1] == 0
    found = run(tmp_path, kind, target, shard_size=3)
    assert found.undo() == []
    assert all(found.target.existing(item) is None for item in found.items())
    if target in ("jsonl", "parquet"):  # a table that was not there is gone
        assert not list((tmp_path / "out").glob("[cm]*.*"))
    else:
        assert captions_in(tmp_path / "out", target) == []


def test_what_changed_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tar(tmp_path / "in.tar", rows(10))
    finished(tmp_path, "tar")
    assert not caplog.records
    there = rows(10)
    write_tar(tmp_path / "in.tar", [("new.bmp", picture(900)), (there[0][0], picture(901)), *there[3:]])
    _, seen = finished(tmp_path, "tar")
    assert seen == 2
    assert "2 pictures gone, 1 new, 1 changed" in caplog.text


def test_a_copy_of_the_same_bytes_is_no_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for kind in ("tar", "parquet", "folder"):
        home = tmp_path / kind
        home.mkdir()
        name, write = WRITERS[kind]
        write(home / name, rows(10))
        finished(home, kind)
        for path in [home / name, *(home / name).glob("*.bmp")]:
            os.utime(path, (5, 5))
        assert finished(home, kind)[1] == 0
        assert_right(home, kind)
    assert not caplog.records


def test_pictures_are_not_read_again_where_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "in.tar", rows(10))
    finished(tmp_path, "tar")
    found = run(tmp_path, "tar")
    monkeypatch.setattr(found.sources[0], "read", lambda items: pytest.fail("a picture was read"))
    assert found.work(Colours, count).counts["done"] == 10
    assert found.preview() == {"caption": 0, "kept": 0, "failed": 0, "done": 10}


def test_a_file_with_another_picture_under_its_name_is_captioned_again(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", rows(6))
    values: dict[str, Any] = {"target": "txt", "kind": "folder", "shard_size": 2}
    beside = lambda: Run([tmp_path / "in"], Settings(), **values)  # noqa: E731
    beside().work(Colours, count)
    text = tmp_path / "in" / "0002.txt"
    (tmp_path / "in" / "0004.txt").write_text("mine")
    (tmp_path / "in" / "0002.bmp").write_bytes(picture(4000))
    (tmp_path / "in" / "0005.bmp").unlink()
    models = Colours()
    summary = beside().work(lambda: models, count)
    assert models.seen == 1 and text.read_text().strip() == truth(picture(4000))
    assert (tmp_path / "in" / "0004.txt").read_text() == "mine" and summary.counts["done"] == 6
    assert beside().undo() != []
    assert [path.name for path in (tmp_path / "in").glob("*.txt")] == ["0004.txt"]


def test_what_somebody_made_of_a_caption_goes_with_its_picture(tmp_path: Path) -> None:
    for target in ("txt", "jsonl"):
        home = tmp_path / target
        home.mkdir()
        write_table(home / "in.parquet", rows(6))
        finished(home, "parquet", target)
        if target == "txt":
            (home / "out" / "in.parquet#2.txt").write_text("mine")
        else:
            file = home / "out" / "metadata.jsonl"
            file.write_text(file.read_text().replace(truth(picture(2)), "mine"))
        write_table(home / "in.parquet", rows(6)[1:])
        assert finished(home, "parquet", target)[1] == 0
        found = run(home, "parquet", target)
        texts = [(found.target.existing(item) or "").strip() for item in found.items()]
        assert texts == [truth(picture(1)), "mine", *(truth(picture(number)) for number in (3, 4, 5))]


def test_a_source_that_is_written_while_it_is_read_stops_the_run(tmp_path: Path) -> None:
    for kind in ("tar", "parquet", "packed tar"):
        home = tmp_path / kind
        home.mkdir()
        name, write = WRITERS[kind]
        write(home / name, rows(40))

        class Rewriting(Colours):
            def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
                if self.seen == 8:
                    write(home / name, changed(rows(40), "one in front"))  # noqa: B023
                return super().write(pictures, progress)

        with pytest.raises(RunStopped, match=r"chang.* run the same command again"):
            run(home, kind, shard_size=4).work(Rewriting, count)
        finished(home, kind, shard_size=4)
        assert_right(home, kind, shard_size=4)


def test_one_run_object_that_works_twice_sees_the_change(tmp_path: Path) -> None:
    for kind in ("tar", "parquet", "packed tar"):
        home = tmp_path / kind
        home.mkdir()
        name, write = WRITERS[kind]
        write(home / name, rows(40))
        found = run(home, kind, shard_size=4)

        def stop(done: int, total: int, failed: int) -> None:
            if done >= 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            found.work(Colours, count, stop)
        write(home / name, changed(rows(40), "reordered"))
        found.work(Colours, count)
        assert_right(home, kind, shard_size=4)


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_processes_that_share_a_run_look_at_what_changed(tmp_path: Path, kind: str) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name, rows(24))
    run(tmp_path, kind, shard_size=4).work(Colours, count, rank=0, world_size=2)
    write(tmp_path / name, changed(rows(24), "one in front"))
    for rank in (1, 0):
        run(tmp_path, kind, shard_size=4).work(Colours, count, rank=rank, world_size=2)
    assert_right(tmp_path, kind, shard_size=4)


def colours(rank: int) -> Callable[[], Colours]:
    return Colours


def test_several_processes_of_one_machine_go_on_with_what_is_there_now(tmp_path: Path) -> None:
    write_table(tmp_path / "in.parquet", rows(24))
    stopped_after(tmp_path, "parquet", 2, shard_size=4)
    write_table(tmp_path / "in.parquet", changed(rows(24), "reordered"))
    work_in_processes(run(tmp_path, "parquet", shard_size=4), colours, count, 2)
    assert_right(tmp_path, "parquet", shard_size=4)


def test_workers_of_an_engine_go_on_with_what_is_there_now(tmp_path: Path) -> None:
    """As Ray's do: they open the run by its folder, after the one that holds it has planned."""
    write_table(tmp_path / "in.parquet", rows(24))
    stopped_after(tmp_path, "parquet", 2, shard_size=4)
    write_table(tmp_path / "in.parquet", changed(rows(24), "reordered"))

    def engine(run: Run, shards: Any, models: Any, count: Any, tell: Any, threads: Any) -> None:
        for shard in shards:
            tell(*Run.reopened(run.folder).caption([shard.number], models, count))

    run(tmp_path, "parquet", shard_size=4).work(Colours, count, engine=engine)
    assert_right(tmp_path, "parquet", shard_size=4)


def test_a_process_at_work_on_a_plan_that_was_replaced_writes_nothing(tmp_path: Path) -> None:
    write_table(tmp_path / "in.parquet", rows(24))

    class Meanwhile(Colours):
        def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
            if self.seen == 0:
                write_table(tmp_path / "in.parquet", rows(24)[1:])
                run(tmp_path, "parquet", "txt", shard_size=4).work(Colours, count, rank=1, world_size=2)
            return super().write(pictures, progress)

    with pytest.raises(RunStopped):
        run(tmp_path, "parquet", "txt", shard_size=4).work(Meanwhile, count, rank=0, world_size=2)
    finished(tmp_path, "parquet", "txt", shard_size=4)
    assert_right(tmp_path, "parquet", "txt", shard_size=4)


def without_versions(found: Run) -> None:
    """Make the plan of a run what the version before this one wrote."""
    for file in (found.folder / "plan").iterdir():
        status = file.stat()
        head, *lines = file.read_text().splitlines()
        old = [json.dumps(json.loads(line)[:6]) for line in lines]
        file.write_text("\n".join([head, *old]) + "\n")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("how", [*WAYS, "nothing"])
@pytest.mark.parametrize("kind", ["tar", "parquet", "folder"])
def test_runs_of_the_version_before_are_taken_up(tmp_path: Path, kind: str, how: str) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name, rows(20))
    stopped_after(tmp_path, kind, 2, shard_size=4)
    without_versions(run(tmp_path, kind, shard_size=4))
    if how != "nothing":
        write(tmp_path / name, changed(rows(20), how))
    _, seen = finished(tmp_path, kind, shard_size=4)
    assert seen == 12 if how == "nothing" else seen >= 11
    if kind != "folder" or how != "one row less":
        assert_right(tmp_path, kind, shard_size=4)


def test_of_many_tars_only_the_one_that_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        write_tar(tmp_path / "in" / f"{number}.tar", rows(30)[number * 10 : number * 10 + 10])
    several = lambda: Run([tmp_path / "in"], Settings(), tmp_path / "out", "webdataset", shard_size=4)  # noqa: E731
    several().work(Colours, count)
    write_tar(tmp_path / "in" / "1.tar", [("a.bmp", picture(800)), *rows(30)[11:20]])
    found, read = several(), set()
    real = found.sources[0].read

    def reading(items: Any) -> Any:
        read.update(item.key.split("/")[0] for item in items)
        return real(items)

    monkeypatch.setattr(found.sources[0], "read", reading)
    assert found.work(Colours, count).counts["done"] == 30
    assert read == {"1.tar"}
    assert captions_in(tmp_path / "out", "webdataset") == sorted(
        truth(data) for name, data in [*rows(30)[:10], *rows(30)[11:], ("", picture(800))]
    )


def test_a_tar_that_cannot_be_read_for_a_while_loses_no_caption(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        write_tar(tmp_path / "in" / f"{number}.tar", rows(20)[number * 10 : number * 10 + 10])
    both = lambda: Run([tmp_path / "in"], Settings(), tmp_path / "out", "webdataset", shard_size=4)  # noqa: E731
    both().work(Colours, count)
    whole = (tmp_path / "in" / "0.tar").read_bytes()
    (tmp_path / "in" / "0.tar").write_bytes(whole[:3000])
    models = Colours()
    for _ in range(2):
        assert both().work(lambda: models, count).counts == {"done": 20, "kept": 0, "failed": 1}
    (tmp_path / "in" / "0.tar").write_bytes(whole)
    assert both().work(lambda: models, count).counts == {"done": 20, "kept": 0, "failed": 0}
    assert models.seen == 0 and captions_in(tmp_path / "out", "webdataset") == sorted(truth(d) for _, d in rows(20))


def test_rows_of_one_name_are_told_from_each_other(tmp_path: Path) -> None:
    same = [("x.bmp", data) for _, data in rows(9)]
    write_named_table(tmp_path / "in.parquet", same)
    stopped_after(tmp_path, "named parquet", 2, shard_size=3)
    write_named_table(tmp_path / "in.parquet", [same[-1], *same[1:4], ("x.bmp", picture(500)), *same[4:]])
    finished(tmp_path, "named parquet", shard_size=3)
    assert_right(tmp_path, "named parquet", shard_size=3)


def test_a_table_behind_a_url_is_looked_at_again(tmp_path: Path) -> None:
    import fsspec

    def write(pictures: Rows) -> str:
        write_table(tmp_path / "local.parquet", pictures)
        memory = fsspec.filesystem("memory")
        memory.pipe("/bucket/in.parquet", (tmp_path / "local.parquet").read_bytes())
        return "memory://bucket/in.parquet"

    for pictures in (rows(12), rows(12)[1:], [("", picture(600)), *rows(12)]):
        uri = write(pictures)
        Run([uri], Settings(), tmp_path / "out", "parquet", shard_size=4).work(Colours, count)
        source = open_source(uri)
        found = Run([uri], Settings(), tmp_path / "out", "parquet", shard_size=4)
        assert [found.target.existing(item) for item in source.items()] == [truth(data) for _, data in pictures]


def test_a_change_that_is_stopped_half_way_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "in.parquet", rows(12))
    finished(tmp_path, "parquet", "txt", shard_size=5)
    write_table(tmp_path / "in.parquet", changed(rows(12), "reordered"))
    found = run(tmp_path, "parquet", "txt", shard_size=5)
    real = found.target.restore

    def stop(records: Any) -> Any:
        real(list(records)[:4])
        raise KeyboardInterrupt

    monkeypatch.setattr(found.target, "restore", stop)
    with pytest.raises(KeyboardInterrupt):
        found.work(Colours, count)
    assert finished(tmp_path, "parquet", "txt", shard_size=5)[1] == 0
    assert_right(tmp_path, "parquet", "txt", shard_size=5)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["parquet", "named parquet", "tar"]),
    st.sampled_from(["txt", "jsonl", "webdataset"]),
    st.integers(0, 4),
    st.lists(st.integers(0, 15), max_size=16, unique=True),
    st.lists(st.integers(0, 15), max_size=3),
)
def test_any_change_leaves_every_caption_with_its_picture(
    kind: str, target: str, shards: int, order: list[int], replaced: list[int]
) -> None:
    """Any choice and order of the pictures, and pictures that are new, some under names that were there before."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        name, write = WRITERS[kind]
        write(home / name, rows(12))
        if shards == 4:
            finished(home, kind, target, shard_size=3)
        elif shards:
            stopped_after(home, kind, shards, target, shard_size=3)
        there = rows(16)
        write(home / name, [(there[n][0], picture(n + 300) if n in replaced else there[n][1]) for n in order])
        finished(home, kind, target, shard_size=3)
        if order:
            assert_right(home, kind, target, shard_size=3)
