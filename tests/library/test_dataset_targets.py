"""Captions are read back by the tools they are written for; what was there before is kept, and can be put back."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interrogator.dataset.records import Item, Record
from interrogator.dataset.sources import Source, open_source
from interrogator.dataset.targets import Rejected, Target, open_target, text_of
from interrogator.dataset.targets.text_tables import MetadataJsonl
from interrogator.dataset_choices import TARGET_KINDS
from interrogator.errors import RequestError
from interrogator.models import Tag


def png(value: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (2, 2), (value % 256, 0, 0)).save(out, "PNG")
    return out.getvalue()


def pictures(folder: Path, *names: str) -> Source:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return open_source(folder, kind="folder")


def done(key: str, caption: str = "", **values: Any) -> Record:
    return Record(key, "done", caption=caption, captions=(caption,), **values)


def failed(key: str) -> Record:
    return Record(key, "failed", reason="is cut short")


def kept(key: str, caption: str = "") -> Record:
    return Record(key, "kept", reason="has a caption", caption=caption)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the pictures; nothing unfinished may be among them."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert not any(name.endswith(".interrogator-tmp") for name in found)
    return {name: data for name, data in found.items() if not name.endswith((".png", ".jpg"))}


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """A cache folder for `datasets`, which may not ask the network."""
    import datasets  # not with the oldest transformers, whose hub it finds too old

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return str(tmp_path_factory.mktemp("hub"))


def load(kind: str, cache: str, **options: Any) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(kind, split="train", cache_dir=cache, **options)


# --- sidecars --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["txt", "caption"])
def test_sidecars_lie_beside_the_pictures(tmp_path: Path, kind: str) -> None:
    source = pictures(tmp_path, "a.png", "sub/b.c.png", "bad.png", "kept.png")
    (tmp_path / f"kept.{kind}").write_text("as it was", encoding="utf-8")
    target = open_target(kind, None, [source])
    assert [target.existing(item) for item in source.items()] == [None, None, "as it was", None]
    records = [done("a.png", "a cat, “quoted”"), done("sub/b.c.png", ""), failed("bad.png"), kept("kept.png", "x")]
    assert target.write(records) == [] and target.finish(iter(records)) == []
    assert tree(tmp_path) == {
        f"a.{kind}": "a cat, “quoted”\n".encode(),
        f"sub/b.c.{kind}": b"\n",  # kohya's loader refuses a file without a line
        f"kept.{kind}": b"as it was",
    }
    now = target.existing(Item("a.png"))
    assert now == "a cat, “quoted”\n" and text_of(now) == "a cat, “quoted”"


def test_sidecars_in_a_tree_of_their_own(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", "a.png", "sub/b.png")
    target = open_target("txt", tmp_path / "out", [source])
    assert not (tmp_path / "out").exists(), "nothing is made before there is something to write"
    assert target.write([done("a.png", "A"), done("sub/b.png", "B"), done("x.parquet#3", "C")]) == []
    assert tree(tmp_path) == {"out/a.txt": b"A\n", "out/sub/b.txt": b"B\n", "out/x.parquet#3.txt": b"C\n"}
    left = target.write([done("../up.png", "x"), done("sub/../../up.png", "x"), done("/abs.png", "x")])
    assert [some.key for some in left] == ["../up.png", "sub/../../up.png"] and not (tmp_path / "up.txt").exists()
    assert (tmp_path / "out" / "abs.txt").read_text() == "x\n"


def test_a_caption_that_cannot_be_read_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "a.txt").write_text("secret")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.basename(path) != "a.txt" and real(path, mode))
    target = open_target("txt", None, [source])
    left = target.write([done("a.png", "x"), done("b.png", "B")])
    assert left == [Rejected("a.png", "a.txt exists and cannot be read, so it is not replaced")]
    assert tree(tmp_path) == {"a.txt": b"secret", "b.txt": b"B\n"}


def test_a_url_in_a_list_has_no_place_for_a_sidecar(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    (tmp_path / "list.list").write_text("a.png\nmemory://x/b.png\n")
    source = open_source(tmp_path / "list.list")
    target = open_target("txt", None, [source])
    assert [target.existing(item) for item in source.items()] == [None, None]
    left = target.write([done("a.png", "A"), done("x/b.png", "B")])
    assert left == [Rejected("x/b.png", "its name cannot be that of a caption file")]


def test_several_captions_are_one_a_line(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png")
    target = open_target("txt", None, [source], several=True)
    target.write([Record("a.png", "done", caption="one", captions=("one", "two\nlines ", "three"))])
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo lines\nthree\n"


def test_what_one_sidecar_cannot_hold_is_left_out_alone(tmp_path: Path) -> None:
    long = "x" * 251 + ".png"
    source = pictures(tmp_path, "a.jpg", "a.png", "b.png", long, "folder.png")
    (tmp_path / "folder.caption").mkdir()
    target = open_target("caption", None, [source])
    records = [done("a.jpg", "A"), done("a.png", "B"), done("b.png", "half \ud800"), done(long, "L")]
    left = {some.key: some.reason for some in target.write([*records, done("folder.png", "F")])}
    assert left["a.png"] == "a.jpg has the same caption file" and left["b.png"] == "its caption is not UTF-8"
    assert "cannot be written" in left[long] and "cannot be written (Is a directory)" in left["folder.png"]
    assert tree(tmp_path) == {"a.caption": b"A\n"}
    assert [target.existing(item) for item in source.items()] == ["A\n", "A\n", None, None, None]


def test_a_full_disk_stops_and_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "old"}\n')
    targets = [open_target(kind, None, [source]) for kind in ("txt", "jsonl", "csv", "parquet", "kohya-json")]
    targets.append(open_target("webdataset", tmp_path / "tars", [source]))
    before = tree(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for target in targets:
        with pytest.raises(OSError, match="No space left"):
            target.write([done("a.png", "new"), done("b.png", "new")])
            target.finish([done("a.png", "new"), done("b.png", "new")])
        assert tree(tmp_path) == before


def test_a_folder_that_may_not_be_written_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pictures(tmp_path, "a.png", "closed/b.png")
    real = open

    def opened(path: Any, *rest: Any) -> Any:  # as root, nothing is closed
        if os.path.basename(os.path.dirname(os.fspath(path))) == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr("builtins.open", opened)
    target = open_target("txt", None, [source])
    left = target.write([done("a.png", "A"), done("closed/b.png", "B")])
    assert left == [Rejected("closed/b.png", "b.txt cannot be written (Permission denied)")]
    assert tree(tmp_path) == {"a.txt": b"A\n"}


def test_undo_puts_every_byte_back(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png", "d.png", "e.png")
    odd = b"\xef\xbb\xbfold \xff\r\ntext"
    (tmp_path / "b.txt").write_bytes(odd)
    (tmp_path / "e.txt").write_bytes(b"e")
    target = open_target("txt", None, [source])
    before = {item.key: target.existing(item) for item in source.items()}
    assert text_of(before["b.png"] or "").startswith("old")
    records = [done(key, f"new {key}", existing=text) for key, text in before.items() if key != "e.png"]
    records = [Record.from_dict(json.loads(json.dumps(record.as_dict()))) for record in records]
    assert target.write(records) == []
    (tmp_path / "c.txt").write_text("edited by hand")
    (tmp_path / "d.txt").unlink()
    left = target.restore([*records, failed("e.png")])
    assert left == [Rejected("c.png", "c.txt was changed after the run, so it stays as it is")]
    assert tree(tmp_path) == {"b.txt": odd, "c.txt": b"edited by hand", "e.txt": b"e"}
    assert len(target.restore(records)) == 1, "a second time changes nothing"


@pytest.mark.skipif(os.name == "nt", reason="names of any bytes are found on Unix only")
def test_a_name_that_is_no_utf8_has_a_sidecar_but_no_row(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:
        file.write(png())
    source = open_source(tmp_path)
    records = [done("\udcff.png", "odd")]
    assert open_target("txt", None, [source]).write(records) == []
    with open(os.fsencode(tmp_path) + b"/\xff.txt", "rb") as file:
        assert file.read() == b"odd\n"
    for kind in ("jsonl", "kohya-json", "kohya-jsonl", "csv", "parquet"):
        assert open_target(kind, None, [source]).finish(records) == [Rejected("\udcff.png", "its name is not UTF-8")]
    target = open_target("webdataset", tmp_path / "tars", [source])
    assert target.finish(records) == [] and target.existing(Item("\udcff.png")) == "odd"


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_imagefolder_loader_reads_our_metadata(tmp_path: Path, hub: str) -> None:
    source = pictures(tmp_path / "set", "a.png", "sub/b.png", "sub/bad.png", "ütf \U0001f40d, 'x'.png")
    target = open_target("jsonl", None, [source])
    texts = {"a.png": "plain", "sub/b.png": 'two\nlines, "quoted" \u2028 \x00'}
    texts["ütf \U0001f40d, 'x'.png"] = "emoji \U0001f40d"
    records = [done(key, text) for key, text in texts.items()] + [failed("sub/bad.png")]
    assert target.write(records) == [] and target.finish(iter(records)) == []
    assert [list(row) for row in read_rows(tmp_path / "set" / "metadata.jsonl")] == [["file_name", "text"]] * 3
    rows = load("imagefolder", hub, data_dir=str(tmp_path / "set"))
    assert sorted(rows["text"]) == sorted(texts.values()) and rows.column_names == ["image", "text"]
    assert all(row["image"].size == (2, 2) for row in rows)
    again = open_source(tmp_path / "set")
    assert again.kind == "imagefolder"
    assert {item.key: item.caption for item in again.items() if item.caption} == texts
    assert target.existing(Item("a.png")) == "plain" and target.existing(Item("sub/bad.png")) is None


def test_several_captions_are_a_list_in_every_row(tmp_path: Path, hub: str) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "c.png", "text": "old"}\n', encoding="utf-8")
    target = open_target("jsonl", None, [source], several=True)
    target.finish([Record("a.png", "done", caption="1", captions=("1", "2")), done("b.png", "3"), kept("c.png")])
    rows = load("imagefolder", hub, data_dir=str(tmp_path))
    assert sorted(rows["text"]) == [["1", "2"], ["3"], ["old"]]
    later = open_target("jsonl", None, [source])
    assert later.existing(Item("a.png")) == "1\n2"
    later.finish([done("b.png", "new")])
    assert {tuple(row["text"]) for row in read_rows(tmp_path / "metadata.jsonl")} == {("new",), ("1", "2"), ("old",)}


def test_rows_and_columns_of_others_are_kept(tmp_path: Path, hub: str) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "gone.png", "text": "gone", "score": 1}\n\n'
        '{"file_name": "b.png", "text": "old b", "score": 2.5}\n'
        '{"file_name": "c.png", "text": "old c", "tags": ["x"]}',
        encoding="utf-8",
    )
    target = open_target("jsonl", None, [source])
    assert target.existing(Item("b.png")) == "old b"
    target.finish([done("a.png", "new a"), done("b.png", "new b", existing="old b"), failed("c.png"), failed("d.png")])
    assert read_rows(tmp_path / "metadata.jsonl") == [
        {"file_name": "a.png", "text": "new a", "score": None, "tags": None},
        {"file_name": "b.png", "text": "new b", "score": 2.5, "tags": None},
        {"file_name": "c.png", "text": "old c", "score": None, "tags": ["x"]},
        {"file_name": "gone.png", "text": "gone", "score": 1, "tags": None},
    ]
    target.restore([done("a.png", "new a"), done("b.png", "new b", existing="old b"), failed("c.png")])
    assert [row["text"] for row in read_rows(tmp_path / "metadata.jsonl")] == ["old b", "old c", "gone"]
    pictures(tmp_path, "gone.png")
    assert sorted(load("imagefolder", hub, data_dir=str(tmp_path))["text"]) == ["gone", "old b", "old c"]


@pytest.mark.parametrize("kind", ["jsonl", "kohya-jsonl"])
def test_a_cell_that_is_no_text_is_no_caption(tmp_path: Path, kind: str) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png")
    name, column = ("file_name", "text") if kind == "jsonl" else ("image_path", "caption")
    cells = [5, {"x": "y"}, ["one", 5, "two"]]
    rows = [{name: f"{letter}.png", column: cell} for letter, cell in zip("abc", cells, strict=True)]
    path = tmp_path / ("metadata.jsonl" if kind == "jsonl" else "meta_cap.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    target = open_target(kind, None, [source])
    assert [target.existing(Item(f"{letter}.png")) for letter in "abc"] == [None, None, "one\ntwo"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_picture_of_two_sources_has_one_row(tmp_path: Path, kind: str) -> None:
    whole, part = pictures(tmp_path / "set", "one/a.png", "b.png"), open_source(tmp_path / "set" / "one")
    part.number = 1
    target = open_target(kind, tmp_path / "set", [whole, part])
    records = [done("one/a.png", "first"), done("b.png", "b"), done("a.png", "again", source=1)]
    left = [*target.write(records), *target.finish(records)]
    assert left == [Rejected("a.png", "another picture is also called one/a.png", 1)]
    again = open_target(kind, tmp_path / "set", [whole, part])
    assert [again.existing(Item(key)) for key in ("one/a.png", "b.png")] == ["first", "b"]


def test_undo_leaves_a_caption_that_somebody_changed_and_says_so(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png")
    path = tmp_path / "metadata.jsonl"
    path.write_text(
        '{"file_name": "a.png", "text": "old a"}\n{"file_name": "b.png", "text": "old b"}\n', encoding="utf-8"
    )
    target = open_target("jsonl", None, [source])
    records = [
        done("a.png", "new a", existing="old a"),
        done("b.png", "new b", existing="old b"),
        done("c.png", "new c"),
    ]
    target.finish(records)
    path.write_text(path.read_text(encoding="utf-8").replace("new b", "mine"), encoding="utf-8")
    left = target.restore(records)
    assert [(each.key, each.reason) for each in left] == [
        ("b.png", "its caption was changed after the run, so it stays as it is")
    ]
    assert read_rows(path) == [{"file_name": "a.png", "text": "old a"}, {"file_name": "b.png", "text": "mine"}]
    assert [each.key for each in target.restore(records)] == ["b.png"], "what was put back is left alone"


def test_undo_puts_a_list_of_captions_back_as_a_list(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png")
    path = tmp_path / "metadata.jsonl"
    path.write_text('{"file_name": "a.png", "text": ["one", "two"]}\n', encoding="utf-8")
    target = open_target("jsonl", None, [source])
    record = done("a.png", "new", existing=target.existing(Item("a.png")))
    target.finish([record])
    assert read_rows(path) == [{"file_name": "a.png", "text": ["new"]}]
    assert target.restore([record]) == []
    assert read_rows(path) == [{"file_name": "a.png", "text": ["one", "two"]}]


def test_a_table_is_read_again_only_when_it_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pictures(tmp_path, "a.png", "b.png")
    path = tmp_path / "metadata.jsonl"
    path.write_text('{"file_name": "a.png", "text": "old"}\n', encoding="utf-8")
    target = open_target("jsonl", None, [source])
    loads: list[int] = []
    load_rows = MetadataJsonl._load
    monkeypatch.setattr(MetadataJsonl, "_load", lambda table: loads.append(1) or load_rows(table))
    assert target.existing(Item("a.png")) == "old" and not loads
    target.finish([done("b.png", "new")])
    assert not loads, "what was there was read before, and nobody has asked for what was written"
    assert [target.existing(Item(name)) for name in ("a.png", "b.png")] == ["old", "new"] and len(loads) == 1
    path.write_text('{"file_name": "b.png", "text": "by somebody else"}\n', encoding="utf-8")
    target.finish([done("a.png", "mine"), kept("b.png")])
    assert [row["text"] for row in read_rows(path)] == ["mine", "by somebody else"]


def test_metadata_of_a_folder_around_or_elsewhere(tmp_path: Path, hub: str) -> None:
    one, two = pictures(tmp_path / "set" / "one", "a.png"), pictures(tmp_path / "set" / "two", "a.png")
    two.number = 1

    records = [done("a.png", f"from {number}", source=number) for number in (0, 1)]
    assert open_target("jsonl", tmp_path / "set", [one, two]).finish(records) == []
    assert read_rows(tmp_path / "set" / "metadata.jsonl") == [
        {"file_name": "one/a.png", "text": "from 0"},
        {"file_name": "two/a.png", "text": "from 1"},
    ]
    assert sorted(load("imagefolder", hub, data_dir=str(tmp_path / "set"))["text"]) == ["from 0", "from 1"]
    assert open_target("jsonl", tmp_path / "far" / "rows.jsonl", [one]).finish([done("a.png", "x")]) == []
    assert read_rows(tmp_path / "far" / "rows.jsonl") == [{"file_name": "a.png", "text": "x"}]
    assert open_target("txt", tmp_path / "texts", [one, two]).write(records) == []
    assert tree(tmp_path / "texts") == {"one/a.txt": b"from 0\n", "two/a.txt": b"from 1\n"}
    open_target("kohya-json", tmp_path / "far", [one, two]).finish(records)
    assert list(json.loads((tmp_path / "far" / "meta_cap.json").read_text())) == [
        str(tmp_path / "set" / "one" / "a.png"),
        str(tmp_path / "set" / "two" / "a.png"),
    ]
    with pytest.raises(RequestError, match="say where metadata.jsonl goes"):
        open_target("jsonl", None, [one, two])
    with pytest.raises(RequestError, match="unknown source 7"):
        open_target("txt", None, [one, two]).write([done("a.png", "x", source=7)])
    left = open_target("txt", None, [one, two]).write([done("a.png", "\ud800", source=1)])
    assert left == [Rejected("a.png", "its caption is not UTF-8", 1)]


def test_pictures_outside_the_metadata_file_have_no_row(tmp_path: Path) -> None:
    pictures(tmp_path, "set/a.png", "other/b.png")
    (tmp_path / "set" / "list.txt").write_text("a.png\n../other/b.png\n")
    source = open_source(tmp_path / "set" / "list.txt")
    keys = [item.key for item in source.items()]
    left = open_target("jsonl", None, [source]).finish([done(key, key) for key in keys])
    assert left == [Rejected(keys[1], f"its picture is outside {tmp_path / 'set'}{os.sep}")]
    assert [row["file_name"] for row in read_rows(tmp_path / "set" / "metadata.jsonl")] == ["a.png"]
    assert open_target("txt", None, [source]).write([done(key, key) for key in keys]) == []
    assert (tmp_path / "other" / "b.txt").exists()
    assert open_target("kohya-json", None, [source]).finish([done(key, key) for key in keys]) == []
    names = list(json.loads((tmp_path / "set" / "meta_cap.json").read_text()))
    assert names == ["a.png", str(tmp_path / "other" / "b.png")]


def kohya_pairs(metadata: dict[str, dict[str, Any]], image_dir: Path) -> dict[str, str]:
    """What sd-scripts does with its metadata: it joins image_dir and the key, and caption and tags."""
    pairs = {}
    for key, values in metadata.items():
        path = os.path.join(image_dir, key)
        Image.open(path).close()
        caption, tags = values.get("caption"), values.get("tags")
        pairs[path] = ", ".join(part for part in (caption, tags) if part)
    return pairs


def test_kohya_finds_pictures_and_captions(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png", "sub/b.png", "c.png", "d.png", "e.jpg")
    old = {
        "a": {"caption": "by stem", "tags": "1girl"},  # as older scripts wrote it
        str(tmp_path / "c.png"): {"tags": "solo", "train_resolution": [512, 512]},
        "d.png": {"caption": "old d"},
        "gone.png": {"caption": "gone", "tags": ["a", "b"]},
    }
    (tmp_path / "meta_cap.json").write_text(json.dumps(old))
    target = open_target("kohya-json", None, [source])
    assert [target.existing(Item(key)) for key in ("a.png", "c.png", "d.png")] == ["by stem", None, "old d"]
    records = [done("a.png", "new a", width=2, height=2, existing="by stem"), done("sub/b.png", "new “b”")]
    records += [done("c.png", "new c"), failed("d.png"), failed("e.jpg")]
    assert target.finish(iter(records)) == []
    written = json.loads((tmp_path / "meta_cap.json").read_text(encoding="utf-8"))
    assert written == {
        "a.png": {"caption": "new a", "tags": "1girl"},
        "sub/b.png": {"caption": "new “b”"},
        str(tmp_path / "c.png"): {"tags": "solo", "train_resolution": [512, 512], "caption": "new c"},  # as it was
        "d.png": {"caption": "old d"},
        "gone.png": {"caption": "gone", "tags": ["a", "b"]},
    }
    del written["gone.png"]
    assert list(kohya_pairs(written, tmp_path).values()) == ["new a, 1girl", "new “b”", "new c, solo", "old d"]
    target.restore(records)
    restored = json.loads((tmp_path / "meta_cap.json").read_text(encoding="utf-8"))
    assert restored["a.png"] == old["a"] and restored[str(tmp_path / "c.png")] == old[str(tmp_path / "c.png")]
    assert "sub/b.png" not in restored


def test_kohya_names_pictures_without_a_file_by_their_keys(tmp_path: Path) -> None:
    sources = []
    for number, name in enumerate(("x.tar", "y.tar")):
        with tarfile.open(tmp_path / name, "w") as tar:
            info = tarfile.TarInfo("0.png")
            info.size = len(png(1))
            tar.addfile(info, io.BytesIO(png(1)))
        sources.append(open_source(tmp_path / name, number))
    keys = [next(iter(source.items())).key for source in sources]
    records = [done(key, f"from {number}", source=number) for number, key in enumerate(keys)]
    path = tmp_path / "out" / "meta_cap.json"
    for some in (sources[:1], sources):
        assert open_target("kohya-json", path, some).finish(records[: len(some)]) == []
        rows = json.loads(path.read_text())
        assert [row["caption"] for row in rows.values()] == ["from 0", "from 1"][: len(some)]
        assert all(name.endswith(key) for name, key in zip(rows, keys, strict=False))
        path.unlink()


def test_kohya_json_lines(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png", "sub/b.png")
    old = '{"image_path": "gone.png", "caption": "g"}\n{"image_path": "a.png", "tags": "t"}\n'
    (tmp_path / "meta_cap.jsonl").write_text(old)
    target = open_target("kohya-jsonl", None, [source])
    assert target.finish([done("a.png", "A"), done("sub/b.png", "B")]) == []
    rows = read_rows(tmp_path / "meta_cap.jsonl")
    assert rows == [
        {"image_path": "a.png", "tags": "t", "caption": "A"},
        {"image_path": "sub/b.png", "caption": "B"},
        {"image_path": "gone.png", "caption": "g"},
    ]
    assert kohya_pairs({row["image_path"]: row for row in rows[:2]}, tmp_path)
    several = open_target("kohya-jsonl", tmp_path / "x.jsonl", [source], several=True)
    several.finish([Record("a.png", "done", caption="1", captions=("1", "2"))])
    assert read_rows(tmp_path / "x.jsonl") == [{"image_path": "a.png", "caption": "1\n2"}], "a wildcard picks a line"


def test_csv_is_read_by_csv_and_datasets(tmp_path: Path, hub: str) -> None:
    source = pictures(tmp_path, "a, 'b'.png", "c.png", "d.png")
    (tmp_path / "captions.csv").write_text('﻿file_name,artist\nc.png,"x, y"\ngone.png,z\n', encoding="utf-8")
    target = open_target("csv", None, [source], column="caption")
    texts = {"a, 'b'.png": 'a "cat",\r\nsitting\rthere', "c.png": "", "d.png": "ö\U0001f40d"}
    assert target.finish([done(key, text) for key, text in texts.items()]) == []
    with open(tmp_path / "captions.csv", encoding="utf-8", newline="") as file:
        rows = {row["file_name"]: row for row in csv.DictReader(file)}
    assert {key: rows[key]["caption"] for key in texts} == texts and rows["c.png"]["artist"] == "x, y"
    assert rows["gone.png"] == {"file_name": "gone.png", "caption": "", "artist": "z"}
    table = load("csv", hub, data_files=str(tmp_path / "captions.csv"))
    assert list(table["caption"])[2] == "ö\U0001f40d" and table.column_names == ["file_name", "caption", "artist"]
    assert open_source(tmp_path / "captions.csv").kind == "list"


def test_parquet_is_read_by_arrow_and_datasets(tmp_path: Path, hub: str) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    target = open_target("parquet", None, [source])
    scores = {"clip": 0.25, "itm": 0.5}
    records = [
        done("a.png", "two\nlines", scores=scores, flags=("review",), tokens=3, width=2, height=2, sha256="ab"),
        failed("b.png"),
        kept("c.png"),
        Record("d.png", "done", caption="1", captions=("1", "2"), existing="old"),
    ]
    assert target.finish(iter(records)) == []
    first = pq.read_table(tmp_path / "captions.parquet").to_pylist()
    assert first[0] == {
        "key": "a.png",
        "path": str(tmp_path / "a.png"),
        "sha256": "ab",
        "width": 2,
        "height": 2,
        "status": "done",
        "reason": None,
        "text": "two\nlines",
        "captions": ["two\nlines"],
        "clip": 0.25,
        "itm": 0.5,
        "log_probability": None,
        "flags": ["review"],
        "tokens": 3,
        "dhash": None,
        "existing": None,
        "tags": [],
        "evidence": None,
        "unsupported": [],
        "texts": [],
    }
    assert [row["status"] for row in first] == ["done", "failed", "kept", "done"] and first[3]["captions"] == ["1", "2"]
    assert first[1]["reason"] == "is cut short" and first[1]["text"] is None
    assert list(load("parquet", hub, data_files=str(tmp_path / "captions.parquet"))["text"])[0] == "two\nlines"
    table = open_source(tmp_path / "captions.parquet")
    assert [data for _, data in table.read(list(table.items()))] == [png(number) for number in range(4)]

    later = open_target("parquet", None, [source])
    assert [later.existing(item) for item in source.items()] == ["two\nlines", None, None, "1"]
    later.finish([failed("a.png"), done("b.png", "at last"), done("new.png", "n")])
    texts = {row["key"]: row["text"] for row in pq.read_table(tmp_path / "captions.parquet").to_pylist()}
    assert texts == {"b.png": "at last", "new.png": "n", "a.png": "two\nlines", "c.png": None, "d.png": "1"}
    later.restore([done("b.png", "at last"), done("a.png", "two\nlines", existing="older"), done("d.png", "other")])
    texts = {row["key"]: row["text"] for row in pq.read_table(tmp_path / "captions.parquet").to_pylist()}
    assert texts == {"a.png": "older", "new.png": "n", "c.png": None, "d.png": "1"}


def test_a_table_of_the_first_release_is_taken_up(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png", "b.png")
    records = [done("a.png", "a cat", existing="old", dhash="0" * 16), done("b.png", "a dog")]
    open_target("parquet", None, [source]).finish(records)
    table = pq.read_table(tmp_path / "captions.parquet").drop_columns(["tags", "evidence", "unsupported", "texts"])
    first_names = {"dhash": "looks", "existing": "before"}
    pq.write_table(table.rename_columns([first_names.get(name, name) for name in table.column_names]),
                   tmp_path / "captions.parquet")  # fmt: skip
    target = open_target("parquet", None, [source])
    assert target.existing(Item("a.png")) == "a cat"
    assert target.finish([done("b.png", "two dogs", tags=(Tag("dog", 0.75, "general"),))]) == []
    rows = {row["key"]: row for row in pq.read_table(tmp_path / "captions.parquet").to_pylist()}
    assert (rows["a.png"]["dhash"], rows["a.png"]["existing"], rows["a.png"]["tags"]) == ("0" * 16, "old", None)
    assert rows["b.png"]["tags"] == [{"text": "dog", "probability": 0.75, "category": "general"}]


@pytest.mark.parametrize("several", [False, True])
def test_tags_are_a_list_beside_the_caption(tmp_path: Path, hub: str, several: bool) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png")
    own = {"file_name": "b.png", "text": "old b", "tags": ["mine"]}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(own), encoding="utf-8")
    target = open_target("jsonl", None, [source], several=several)
    tags = (Tag("cat", 0.9, "general"), Tag("猫", 0.5, "general"))
    records = [done("a.png", "A", tags=tags), done("b.png", "B", existing="old b", tags=tags), done("c.png", "C")]
    target.finish(iter(records))
    rows = {row["file_name"]: row for row in read_rows(tmp_path / "metadata.jsonl")}
    assert {name: row["tags"] for name, row in rows.items()} == {
        "a.png": ["cat", "猫"], "b.png": ["mine"], "c.png": None,
    }  # fmt: skip
    assert list(load("imagefolder", hub, data_dir=str(tmp_path))["tags"])[0] == ["cat", "猫"]
    assert target.restore(iter(records)) == []
    assert read_rows(tmp_path / "metadata.jsonl") == [{**own, "text": ["old b"] if several else "old b"}]


def test_tars_have_the_tags_of_a_sample(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", "a.png", "b.png")
    target = open_target("webdataset", tmp_path / "out", [source])
    target.finish([done("a.png", "A", tags=(Tag("cat", 0.9, "general"),)), done("b.png", "B")])
    with tarfile.open(tmp_path / "out" / "captions-000000.tar") as shard:
        assert shard.getnames() == ["a.txt", "a.tags.json", "b.txt"]
        extracted = shard.extractfile("a.tags.json")
        assert extracted is not None and json.loads(extracted.read()) == ["cat"]


@pytest.mark.parametrize("kind", ["jsonl", "kohya-json", "kohya-jsonl", "csv", "parquet"])
def test_a_table_that_another_process_replaces_never_gives_the_row_of_another_picture(
    tmp_path: Path, kind: str
) -> None:
    source = pictures(tmp_path, "a.png", "b.png", "c.png")
    open_target(kind, None, [source]).finish(iter([done("a.png", "first a"), done("b.png", "b"), done("c.png", "c")]))
    ours, theirs = open_target(kind, None, [source]), open_target(kind, None, [source])
    theirs.finish(iter([done("c.png", "a new caption, longer than the others")]))
    # As it was when it was read or as it is now, but of this picture.
    found = [text_of(ours.existing(item) or "") for item in source.items()]
    assert found[:2] == ["first a", "b"]
    assert found[2] in ("c", "a new caption, longer than the others")


# --- tars ------------------------------------------------------------------------------------------------------------


def tar(path: Path, names: list[str]) -> None:
    with tarfile.open(path, "w") as out:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = len(png(number))
            out.addfile(info, io.BytesIO(png(number)))


def beside(pictures_url: str, captions_url: str) -> Iterator[dict[str, Any]]:
    """Samples of two parallel tars, as webdataset's column store reads them."""
    extra = iter(webdataset.WebDataset(captions_url, shardshuffle=False))
    for sample in webdataset.WebDataset(pictures_url, shardshuffle=False):
        column = next(extra)
        assert column["__key__"] == sample["__key__"]
        yield {**sample, **{name: value for name, value in column.items() if not name.startswith("__")}}
    assert next(extra, None) is None


def test_tars_of_captions_are_read_beside_those_of_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tar(tmp_path / "in" / "s-000000.tar", ["a.png", "./d.e/b.JPG", "22.05.png"])
    tar(tmp_path / "in" / "s-000001.tar", ["c.png", "ü\U0001f40d.png", "y" * 120 + "/" + "z" * 120 + ".png"])
    source = open_source(tmp_path / "in")
    items = list(source.items())
    records = [done(item.key, f"no {number}\n“x”") for number, item in enumerate(items)]
    records[3] = failed(records[3].key)
    target = open_target("webdataset", tmp_path / "out", [source])
    assert target.existing(items[0]) is None
    assert target.write(records) == [] and target.finish(iter(records)) == []
    shards = "{000000..000001}.tar"
    samples = list(beside(f"{tmp_path}/in/s-{shards}", f"{tmp_path}/out/s-{shards}"))
    assert [sample.get("txt", b"").decode() for sample in samples] == [record.caption for record in records]
    assert samples[3]["failed.txt"] == b"is cut short"
    assert [target.existing(item) for item in items] == [r.caption if r.status == "done" else None for r in records]
    first = tree(tmp_path / "out")
    assert open_target("webdataset", tmp_path / "again", [source]).finish(records) == []
    assert tree(tmp_path / "again") == first, "the same bytes"

    more = open_target("webdataset", tmp_path / "out", [source])
    more.finish([done(items[3].key, "now"), failed(items[4].key)])
    assert more.existing(items[3]) == "now" and more.existing(items[4]) == records[4].caption
    assert more.existing(items[5]) == records[5].caption, "what is not of the run stays"
    assert tree(tmp_path / "out")["s-000000.tar"] == first["s-000000.tar"]
    more.restore([done(items[3].key, "now"), failed(items[4].key)])
    assert more.existing(items[3]) is None and more.existing(items[4]) == records[4].caption
    with pytest.raises(RequestError, match="in the order of the source"):
        more.finish([done(items[0].key, "1"), done(items[3].key, "2"), done(items[1].key, "3")])
    assert tree(tmp_path / "out").keys() == first.keys()


def test_pictures_without_tars_get_shards_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interrogator.dataset.targets.webdataset._SAMPLES", 2)
    names = ["a.b.png", "a_b.png", "c.png", "d/e.png", "f.png", "g.png"]
    source = pictures(tmp_path / "in", *names)
    target = open_target("webdataset", tmp_path / "out", [source], several=True)
    left = target.finish([done(name, name.upper()) for name in names])
    assert left == [Rejected("a_b.png", "another picture also has the key a_b")]
    samples = list(webdataset.WebDataset(f"{tmp_path}/out/captions-{{000000..000002}}.tar", shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == ["a_b", "c", "d/e", "f", "g"]
    assert json.loads(samples[1]["captions.json"]) == ["C.PNG"]

    later = open_target("webdataset", tmp_path / "out", [source])
    assert later.existing(Item("f.png")) == "F.PNG"
    later.finish([done("g.png", "new g"), done("c.png", "new c")])
    assert {name: later.existing(Item(name)) for name in names[2:]} == {
        "c.png": "new c",
        "d/e.png": "D/E.PNG",
        "f.png": "F.PNG",
        "g.png": "new g",
    }
    later.restore([done(name, name.upper()) for name in names] + [done("g.png", "new g"), done("c.png", "new c")])
    assert later.existing(Item("f.png")) is None


def test_tars_of_captions_do_not_replace_those_of_the_pictures(tmp_path: Path) -> None:
    tar(tmp_path / "s.tar", ["a.png"])
    source = open_source(tmp_path / "s.tar")
    with pytest.raises(RequestError, match="would replace those of the pictures"):
        open_target("webdataset", tmp_path, [source])
    with pytest.raises(RequestError, match="their own folder"):
        open_target("webdataset", None, [source])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s.tar").write_bytes(b"something else")
    target = open_target("webdataset", tmp_path / "out", [source])
    with pytest.raises(RequestError, match="exists, but cannot be read"):
        target.finish([done("s.tar/a.png", "x")])
    assert (tmp_path / "out" / "s.tar").read_bytes() == b"something else"


# --- all kinds -------------------------------------------------------------------------------------------------------


TEXTS = st.text(
    st.characters(blacklist_categories=("Cs",)) | st.sampled_from("\r\n\"'\\\t\0\u2028\ufeff,"), max_size=30
)
NAMES = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0") | st.sampled_from("\n\r\"'.,#%{}[]*"),
    min_size=1,
    max_size=12,
).filter(lambda name: not name.startswith(".") and len(name.encode()) < 200)


@pytest.mark.skipif(os.name == "nt", reason="names of any characters are found on Unix only")
@settings(max_examples=40, derandomize=True)
@given(captions=st.dictionaries(st.tuples(NAMES, NAMES), TEXTS, min_size=1, max_size=4))
def test_any_name_and_text_comes_back_from_every_kind(
    captions: dict[tuple[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source = pictures(folder / "in", *(f"{parent}/{name}.png" for parent, name in captions))
    texts = {f"{parent}/{name}.png": text for (parent, name), text in captions.items()}
    items = list(source.items())
    for kind in TARGET_KINDS:
        out = None if kind == "captions-json" else folder / kind
        target = open_target(kind, out, [source])
        befores = {item.key: target.existing(item) for item in items}
        assert set(befores.values()) == {None}
        records = [done(item.key, texts[item.key], existing=befores[item.key]) for item in items]
        left = {some.key for some in target.write(records) + target.finish(iter(records))}
        assert not left or kind == "webdataset"  # two names may have one key there
        fresh = open_target(kind, out, [source])
        for item in items:
            if item.key in left:
                continue
            expected: str | None = texts[item.key]
            if kind in ("txt", "caption"):
                expected = texts[item.key].rstrip("\n") + "\n"
            elif kind == "csv":
                expected = texts[item.key] or None
            elif kind == "captions-json":
                lines = [line for line in texts[item.key].split("\n") if line.strip()]
                expected = "\n".join(lines) or texts[item.key]
            assert fresh.existing(item) == expected, kind
        tree(out or folder / "in")
        assert [some for some in fresh.restore(records) if some.key not in left] == [], kind
        assert not any(open_target(kind, out, [source]).existing(item) for item in items), kind


def test_what_is_no_target_is_refused_before_the_run(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", "a.png")
    tar(tmp_path / "x.tar", ["a.png"])
    packed = open_source(tmp_path / "x.tar")
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "captions.parquet")
    for name, data in [("metadata.jsonl", b'{"x"'), ("meta_cap.json", b"[]"), ("captions.csv", b"a,b\n1,2\n")]:
        (tmp_path / name).write_bytes(data)
    fsspec.filesystem("memory").pipe("/targets/a.png", png())
    far = open_source("memory://targets")
    cases: list[tuple[str, Path | str | None, list[Source], str, str]] = [
        ("zip", None, [source], "text", "unknown target .*; choose from txt, caption"),
        ("txt", None, [packed], "text", "cannot be written beside its pictures"),
        ("txt", None, [far], "text", "cannot be written beside its pictures"),
        ("jsonl", None, [far], "text", "say where metadata.jsonl goes"),
        ("txt", "memory://x", [source], "text", "to this machine only"),
        ("txt", tmp_path / "x.tar", [source], "text", "is not a folder"),
        ("jsonl", None, [source], "image_file_name", "cannot be the caption column"),
        ("jsonl", None, [source], "file_name", "cannot be the caption column"),
        ("parquet", None, [source], "status", "another column of this name"),
        ("jsonl", tmp_path, [source], "text", "line 1 is not JSON"),
        ("kohya-json", tmp_path, [source], "text", "not a JSON object of objects"),
        ("csv", tmp_path, [source], "text", "no column file_name"),
        ("parquet", tmp_path, [source], "text", "not written by such a run"),
        ("txt", None, [], "text", "needs at least one source"),
        ("txt", None, [source, source], "text", "each source its own number"),
    ]
    before = tree(tmp_path)
    for kind, out, sources, column, message in cases:
        with pytest.raises(RequestError, match=message):
            open_target(kind, out, sources, column)
    assert tree(tmp_path) == before
    assert open_target("txt", tmp_path / "out", [packed]).write([done("x.tar/a.png", "A")]) == []
    assert (tmp_path / "out" / "x.tar" / "a.txt").read_bytes() == b"A\n"


def test_a_run_of_failures_writes_no_file(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png")
    for kind in ("txt", "caption", "jsonl", "kohya-json", "kohya-jsonl", "csv"):
        target: Target = open_target(kind, None, [source])
        assert target.write([failed("a.png")]) == [] and target.finish([failed("a.png")]) == []
    assert tree(tmp_path) == {}


def test_an_error_in_the_records_leaves_every_file_as_it_was(tmp_path: Path) -> None:
    source = pictures(tmp_path, "a.png", "b.png")

    def records() -> Iterator[Record]:
        yield done("a.png", "new")
        raise KeyboardInterrupt

    for kind in TARGET_KINDS[2:]:
        target = open_target(kind, None if kind == "captions-json" else tmp_path / "out", [source])
        target.finish([done("a.png", "old"), done("b.png", "old")])
        before = tree(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            target.finish(records())
        assert tree(tmp_path) == before
