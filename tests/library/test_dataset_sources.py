"""Every source lists its pictures in one order, reads them, and tells what it cannot read; checked on real files."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from interrogator.dataset.records import Item
from interrogator.dataset.sources import Source, open_source
from interrogator.dataset.sources.io import storage
from interrogator.errors import ImageReadError, RequestError, RunStopped


def png(value: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("L", (2, 2), value % 256).save(out, "PNG")
    return out.getvalue()


PNG = png()


def put(folder: Path, *names: str, data: bytes = PNG) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def keys(source: Source) -> list[str]:
    listed = list(source.items())
    assert listed == list(source.items()), "the order must be the same every time"
    assert len({item.key for item in listed}) == len(listed), "no two items have one key"
    return [item.key for item in listed]


def problems(source: Source) -> dict[str, str]:
    return {item.key: item.problem for item in source.items() if item.problem}


def contents(source: Source, items: Sequence[Item] | None = None) -> dict[str, bytes | str]:
    """What reading gives for each key: bytes, or the reason of the error."""
    listed = list(source.items()) if items is None else items
    found: dict[str, bytes | str] = {}
    for item, (told, data) in zip(listed, source.read(listed), strict=True):
        assert item is told
        if isinstance(data, Exception):
            assert isinstance(data, ImageReadError) and "\n" not in data.reason
            found[item.key] = data.reason
        else:
            found[item.key] = data
    return found


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_gives_its_pictures_by_key(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a.png", "a.jpg", "sub/deep/c.WebP", "sub-1.png", "sub.png", "-rf.png", "sub/a.b.tiff")
    put(tmp_path, "notes.txt", "movie.mpg", "data.h5", ".hidden/x.png", ".interrogator/y.png", "._a.jpg", ".png", "png")
    source = open_source(tmp_path, 3)
    assert source.kind == "folder" and source.uri == str(tmp_path) and source.folder == tmp_path
    assert keys(source) == sorted(
        ["-rf.png", "a.jpg", "a.png", "b.JPG", "sub-1.png", "sub.png", "sub/a.b.tiff", "sub/deep/c.WebP"]
    )
    item = next(source.items())
    assert item == Item("-rf.png", 3, (), len(PNG)) and source.path(item) == tmp_path / "-rf.png"
    assert source.sidecar(Item("sub/a.b.tiff"), ".txt") == tmp_path / "sub" / "a.b.txt"
    assert set(contents(source).values()) == {PNG}
    relative = os.path.relpath(tmp_path)
    assert [item.key for item in open_source(relative, 0).items()] == keys(source)
    assert [item.key for item in open_source(f"file://{tmp_path}", 0).items()] == keys(source)


@pytest.mark.skipif(os.name == "nt", reason="names of any bytes are found on Unix only")
def test_odd_names_are_found_and_read(tmp_path: Path) -> None:
    names = [
        b"x" * 251 + b".png",
        b"two\nlines.png",
        b"not utf-8 \xff\xfe.png",
        "emoji \U0001f40d.png".encode(),
        b"%41 #?.png",
    ]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(PNG)
    source = open_source(tmp_path)
    assert sorted(keys(source)) == sorted(os.fsdecode(name) for name in names)
    assert set(contents(source).values()) == {PNG}
    beside = source.sidecar(Item(os.fsdecode(names[2])), ".txt")
    assert beside is not None and os.fsencode(beside.name) == b"not utf-8 \xff\xfe.txt"


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_what_cannot_be_a_picture_file_is_told_and_ends_nothing(tmp_path: Path) -> None:
    put(tmp_path, "good.png", "dir.jpg/inside.png", "empty.png", "zz.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    (tmp_path / "unmounted").symlink_to("/nowhere/at/all")
    (tmp_path / "me.png").symlink_to("me.png")
    (tmp_path / "to-notes.md").symlink_to("nowhere.md")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "dir.jpg" / "up").symlink_to("../..")
    os.mkfifo(tmp_path / "pipe.png")
    source = open_source(tmp_path)
    assert problems(source) == {
        "broken.png": "is a link that leads nowhere",
        "dir.jpg": "is a folder, not a file",
        "dir.jpg/up": "is a link to a folder that it lies in: a loop",
        "loop": "is a link to a folder that it lies in: a loop",
        "me.png": "is a link that leads to itself",
        "pipe.png": "is a pipe, socket or device, not a file",
        "unmounted": "is a link that leads nowhere",
    }
    found = contents(source)
    assert found["good.png"] == found["zz.png"] == found["dir.jpg/inside.png"] == PNG
    assert found["empty.png"] == "is empty" and found["loop"] == "is a link to a folder that it lies in: a loop"


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_folders_behind_links_are_walked_once(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    put(inside, "real/a.png", ".cache/c.png")
    put(outside, "b.png", "deep/d.png")
    (inside / "again").symlink_to("real")
    (inside / "hidden").symlink_to(".cache")
    (inside / "link-1").symlink_to(outside)
    (inside / "link-2").symlink_to(outside)
    (inside / "link-3").symlink_to(outside / "deep")
    (outside / "back").symlink_to(inside)
    (inside / "one.png").symlink_to("real/a.png")
    assert keys(open_source(inside)) == ["hidden/c.png", "link-1/b.png", "link-1/deep/d.png", "one.png", "real/a.png"]
    assert problems(open_source(inside)) == {}
    (inside / "world").symlink_to(tmp_path)
    assert "a loop" in problems(open_source(inside))["world"]


def test_a_folder_or_file_one_may_not_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.png", "closed/b.png", "secret.png")
    real_scan, real_open = os.scandir, open

    def scan(path: str) -> Any:  # as root, nothing is closed
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied")
        return real_scan(path)

    def opened(path: Any, *rest: Any) -> Any:
        if os.path.basename(os.fspath(path)) == "secret.png":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *rest)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr("builtins.open", opened)
    source = open_source(tmp_path)
    assert problems(source) == {"closed": "is a folder that cannot be read (Permission denied)"}
    assert contents(source)["secret.png"] == "cannot be read (Permission denied)"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_real_permissions_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "closed/b.png", "secret.png")
    (tmp_path / "secret.png").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        source = open_source(tmp_path)
        assert "Permission denied" in problems(source)["closed"]
        assert "Permission denied" in str(contents(source)["secret.png"])
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_files_that_change_between_listing_and_reading_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    source = open_source(tmp_path)
    listed = list(source.items())
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").unlink()
    (tmp_path / "b.png").mkdir()
    assert contents(source, listed) == {
        "a.png": "no such file",
        "b.png": "is a folder or device, not a file",
        "c.png": PNG,
    }


def test_a_file_of_gigabytes_is_not_read_into_memory(tmp_path: Path) -> None:
    put(tmp_path, "disk.img.png")
    os.truncate(tmp_path / "disk.img.png", 3 << 30)  # a hole, no blocks
    assert contents(open_source(tmp_path)) == {"disk.img.png": "is too large for a picture file: 3,221,225,472 bytes"}


def test_captions_beside_pictures_are_read_only_when_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "a.txt").write_text("﻿a cat\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    assert [item.caption for item in open_source(tmp_path).items()] == [None, None, None]
    assert [item.caption for item in open_source(tmp_path, captions_from=".txt").items()] == ["a cat", "caf�", None]
    with pytest.raises(RequestError, match="captions_from"):
        open_source(tmp_path, captions_from="txt")


def test_listing_reads_each_folder_once_and_opens_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *(f"{folder}/{number:02}.jpg" for folder in range(3) for number in range(40)))
    source = open_source(tmp_path)
    asked: list[str] = []

    def count(name: str) -> None:
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, **named: asked.append(name) or real(*given, **named))

    for name in ("scandir", "stat", "lstat", "open"):
        count(name)
    monkeypatch.setattr("builtins.open", lambda *given, **named: pytest.fail("a file is opened"))
    listed = list(source.items())
    monkeypatch.undo()
    assert len(listed) == 120
    assert asked.count("scandir") == 4 and len(asked) < 20, "how often the system is asked grows with the folders only"


NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)) | st.sampled_from("\n'\" \udcff\udc80{},*"),
    min_size=1,
    max_size=30,
).filter(lambda name: not name.startswith(".") and len(os.fsencode(name)) < 200)


@pytest.mark.skipif(os.name == "nt", reason="names of any bytes are found on Unix only")
@settings(max_examples=60, derandomize=True)
@given(names=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=5, unique=True))
def test_any_name_on_disk_is_a_key_that_finds_it(
    names: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    expected = {}
    for number, (parent, name) in enumerate(names):
        put(folder, f"{parent}/{name}.png", data=png(number))
        expected[f"{parent}/{name}.png"] = png(number)
    source = open_source(folder)
    assert keys(source) == sorted(expected)
    assert contents(source) == expected


# --- Hugging Face's imagefolder --------------------------------------------------------------------------------------


def rows_as(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(f'"{cell or ""}"' for cell in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("column", ["text", "caption"])
def test_an_imagefolder_brings_its_captions(tmp_path: Path, suffix: str, column: str) -> None:
    put(tmp_path, "train/a.png", "train/sub/b.png", "train/new.png")
    rows_as(
        tmp_path / "train" / f"metadata{suffix}",
        [
            {"file_name": "a.png", column: "a cat\u2028, sitting"},
            {"file_name": "sub/b.png", column: "a dog"},
            {"file_name": "gone.png", column: "a ghost"},
            {"file_name": "../up.png", column: "a thief"},
            {"file_name": "/etc/passwd", column: "a thief"},
        ],
    )
    source = open_source(tmp_path)
    assert source.kind == "imagefolder"
    captions = {item.key: item.caption for item in source.items() if not item.problem}
    assert captions == {"train/a.png": "a cat\u2028, sitting", "train/new.png": None, "train/sub/b.png": "a dog"}
    assert problems(source) == {
        "train/gone.png": "the metadata names it, but there is no such file",
        "_/up.png": "the metadata names '../up.png', which is outside its folder",
        "etc/passwd": "the metadata names '/etc/passwd', which is outside its folder",
    }
    assert keys(source)[:3] == keys(open_source(tmp_path, kind="folder")), "the same keys either way"


def test_metadata_may_be_lists_of_captions_and_of_several_splits(tmp_path: Path) -> None:
    put(tmp_path, "train/a.png", "test/a.png")
    rows_as(tmp_path / "train" / "metadata.jsonl", [{"file_name": "a.png", "text": ["first", "second"]}])
    rows_as(tmp_path / "test" / "metadata.jsonl", [{"file_name": "a.png", "text": None}])
    assert {item.key: item.caption for item in open_source(tmp_path).items()} == {
        "train/a.png": "first",
        "test/a.png": None,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"file_name": "a.png"}\n{"file', "line 2 is not JSON"),
        (b"[1]\n", "line 1 is not a JSON object"),
        (b'\xff{"file_name": 1}\n', "line 1 is not JSON"),
        (b'{"name": "a.png", "text": "x"}\n', "no column file_name, only name, text"),
        (b"[" * 100_000 + b"\n", "line 1 is not JSON"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused_when_opened(tmp_path: Path, line: bytes, message: str) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "metadata.jsonl").write_bytes(line)
    with pytest.raises(RequestError, match=message):
        open_source(tmp_path)
    assert keys(open_source(tmp_path, kind="folder")) == ["a.png"]


# --- webdataset ------------------------------------------------------------------------------------------------------


def tar(path: Path, files: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as out:  # type: ignore[call-overload]
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def samples(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    names = [f"{number:04}" for number in range(start, start + count)]
    return [
        pair for name in names for pair in ((f"{name}.png", png(int(name))), (f"{name}.txt", f"no {name}".encode()))
    ]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz"])
def test_a_tar_gives_its_samples_as_webdataset_does(tmp_path: Path, name: str) -> None:
    path = tar(tmp_path / name, samples(40), "w" if name.endswith(".tar") else "w:gz")
    source = open_source(path)
    assert source.kind == "webdataset" and source.sidecar(Item("x.tar/a.png"), ".txt") is None
    theirs = list(webdataset.WebDataset(str(path), shardshuffle=False))
    ours = list(source.items())
    assert [item.key for item in ours] == [f"{name}/{sample['__key__']}.png" for sample in theirs]
    assert [item.caption for item in ours] == [sample["txt"].decode() for sample in theirs]
    data = contents(source)
    assert [data[item.key] for item in ours] == [sample["png"] for sample in theirs]
    assert contents(source, ours[::-1]) == data and contents(source, ours[5:9]) == contents(source, ours[5:9])
    halves = {**contents(source, ours[:20]), **contents(source, ours[20:])}
    assert halves == data


@pytest.mark.parametrize("kind", ["x.tar", "x.tar.gz", "x.parquet"])
def test_threads_read_a_source_in_small_pieces(tmp_path: Path, kind: str) -> None:
    if kind == "x.parquet":
        pq.write_table(pa.table({"image": [png(number) for number in range(300)]}), tmp_path / kind, row_group_size=128)
    else:
        tar(tmp_path / kind, samples(300), "w:gz" if kind.endswith("gz") else "w")
    source = pickle.loads(pickle.dumps(open_source(tmp_path / kind)))
    listed = list(source.items())
    with ThreadPoolExecutor(4) as pool:
        pieces = list(pool.map(lambda at: contents(source, listed[at : at + 4]), range(0, 300, 4)))
    assert [data for piece in pieces for data in piece.values()] == [png(number) for number in range(300)]


def test_keys_extensions_and_captions_follow_webdataset(tmp_path: Path) -> None:
    files = [
        ("./d.1/a.JPG", b"1"),  # the first dot of the last part; extensions in lower case
        ("./d.1/a.json", b'{"caption": "from json", "url": "x"}'),
        ("./d.1/a.cls", b"3"),
        ("b.mask.png", b"no picture of its own"),
        ("b.png", b"2"),
        ("b.txt", b""),
        ("b.caption", b"from caption"),
        ("22.05.png", b"5"),  # key 22, extension 05.png
        ("22.06.png", b"6"),
        ("only.txt", b"no picture"),
        ("__meta__/x.png", b"passed over"),
        ("README", b"passed over"),
        ("d/.hidden.png", b"passed over"),
        ("c.png", b"7"),
        ("c.json", b"{broken"),
    ]
    source = open_source(tar(tmp_path / "x.tar", files))
    assert [(item.key, item.caption) for item in source.items()] == [
        ("x.tar/./d.1/a.JPG", "from json"),
        ("x.tar/b.png", "from caption"),
        ("x.tar/22.05.png", None),
        ("x.tar/22.06.png", None),
        ("x.tar/c.png", None),
    ]
    assert list(contents(source).values()) == [b"1", b"2", b"5", b"6", b"7"]


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz"])
def test_pictures_of_a_tar_without_an_ending_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    gif = io.BytesIO()
    Image.new("L", (2, 2)).save(gif, "GIF")
    files = [
        ("0.img", PNG), ("0.cls", b"3"), ("1.jpeg_bytes", gif.getvalue()), ("1.txt", b"one"), ("2.img", b"no picture"),
        ("3.png", PNG), ("3.mask", PNG),
    ]  # fmt: skip
    source = open_source(tar(tmp_path / name, files, "w:gz" if name.endswith("gz") else "w"))
    assert {item.key: item.caption for item in source.items()} == {
        f"{name}/0.img": None, f"{name}/1.jpeg_bytes": "one", f"{name}/3.png": None,
    }  # fmt: skip
    assert list(contents(source).values()) == [PNG, gif.getvalue(), PNG]


def test_a_tar_without_pictures_says_what_is_in_it(tmp_path: Path) -> None:
    texts = [(f"{number}.{ending}", b"text") for number in range(3) for ending in ("txt", "cls")]
    source = open_source(tar(tmp_path / "s.tar", [*texts, ("3.mp4", b"\0\0\0\x20ftypisom")]))
    assert problems(source) == {"s.tar": "has no pictures in it, only 3 .txt, 3 .cls, 1 .mp4"}
    assert problems(open_source(tar(tmp_path / "empty.tar", []))) == {
        "empty.tar": "has no pictures in it, nor any other sample"
    }


@pytest.mark.parametrize("column", ["jpg", "png", "webp"])
def test_a_table_of_img2dataset_has_its_pictures_in_a_column_of_their_format(tmp_path: Path, column: str) -> None:
    rows = [
        {"url": f"https://x/{key}", "key": key, "caption": f"no {key}", "status": "success", column: PNG}
        for key in ("000000001", "000000002")
    ]
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "key": "000000003", column: None}]), tmp_path / "0.parquet")
    source = open_source(tmp_path / "0.parquet")
    assert {item.key: item.caption for item in source.items()} == {
        f"0.parquet/00000000{number}.{column}": f"no 00000000{number}" for number in (1, 2)
    } | {f"0.parquet/000000003.{column}": "no 000000001"}
    assert list(contents(source).values()) == [PNG, PNG, "its cell is empty"]


def test_many_tars_by_braces_folder_and_missing_ones(tmp_path: Path) -> None:
    for shard in range(3):
        tar(tmp_path / "set" / f"s-{shard:06}.tar", samples(2, shard * 2))
    expected = [f"s-{number // 2:06}.tar/{number:04}.png" for number in range(6)]
    assert keys(open_source(tmp_path / "set")) == expected
    source = open_source(f"{tmp_path}/set/s-{{000000..000003}}.tar")
    assert keys(source)[:6] == expected and source.uri == f"{tmp_path}/set/s-{{000000..000003}}.tar"
    near = open_source(os.path.relpath(tmp_path / "set") + "/s-{000000..000003}.tar")
    assert near.uri == source.uri and keys(near) == keys(source)
    assert problems(source) == {"s-000003.tar": "cannot be opened (No such file or directory)"}
    assert list(contents(source).values())[:6] == [png(number) for number in range(6)]
    assert keys(open_source(f"{tmp_path}/{{set,none}}/s-00000{{0..1}}.tar")) == [
        *(f"set/{key}" for key in expected[:4]),
        "none/s-000000.tar",
        "none/s-000001.tar",
    ]
    os.rename(tmp_path / "set" / "s-000000.tar", tmp_path / "s-{0,1}.tar")
    assert keys(open_source(tmp_path / "s-{0,1}.tar")) == ["s-{0,1}.tar/0000.png", "s-{0,1}.tar/0001.png"]
    with pytest.raises(RequestError, match="more than 1,000,000 tars"):
        open_source("s-{0..9999999999}.tar")


@pytest.mark.parametrize("packed", [False, True])
def test_a_tar_cut_off_anywhere_keeps_the_samples_before(tmp_path: Path, packed: bool) -> None:
    whole = tar(tmp_path / "x.tar", samples(4)).read_bytes()
    full = contents(open_source(tmp_path / "x.tar"))
    step = 1536  # three blocks: header, data and padding are all cut
    counts = []
    for end in [*range(0, 4 * 4 * 512 + 1024, step // 3), 100, 700, 1100, 2100, 5000]:
        cut = gzip.compress(whole, mtime=0)[: 30 + end // 40] if packed else whole[:end]
        (tmp_path / "x.tar").write_bytes(cut)
        source = open_source(tmp_path / "x.tar")
        found = contents(source)
        told = found.pop("x.tar", None)
        assert found.items() <= full.items() and len(found) == sum(not item.problem for item in source.items())
        if not packed and end >= 4 * 4 * 512 + 512:
            assert told is None and len(found) == 4
        else:
            assert isinstance(told, str) and ("is missing" in told or "not a readable tar" in told)
        counts.append(len(found))
    assert packed or set(counts) == {0, 1, 2, 3, 4}


def test_a_damaged_header_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", samples(4))
    data = bytearray(path.read_bytes())
    data[4 * 1024 : 4 * 1024 + 200] = b"x" * 200  # the header of the third sample
    path.write_bytes(data)
    source = open_source(path)
    assert keys(source) == ["x.tar/0000.png", "x.tar/0001.png", "x.tar"]
    assert "a header makes no sense" in problems(source)["x.tar"]


def test_names_that_lead_out_links_and_doubles_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as out:
        for name in ("../../evil.png", "/etc/evil.png", "a/../../b.png", "good.png", "two.png", "two.PNG", "good.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            out.addfile(info, io.BytesIO(PNG))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"odd{kind.decode()}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            out.addfile(info)
        info = tarfile.TarInfo("folder.png")
        info.type = tarfile.DIRTYPE
        out.addfile(info)
    source = open_source(path)
    told = problems(source)
    assert sorted(told) == sorted(
        ["x.tar/_/_/evil.png", "x.tar/etc/evil.png", "x.tar/a/_/_/b.png", "x.tar/two.png", "x.tar/two.PNG"]
        + ["x.tar/good.png#2", "x.tar/odd1.png", "x.tar/odd2.png", "x.tar/odd3.png", "x.tar/odd6.png"]
    )
    assert told["x.tar/_/_/evil.png"] == told["x.tar/etc/evil.png"] == "has a name in the tar that leads outside it"
    assert told["x.tar/two.png"] == told["x.tar/good.png#2"] == "is in the tar more than once, which webdataset refuses"
    assert keys(source) and contents(source)["x.tar/good.png"] == PNG


def test_a_tar_that_changed_since_it_was_listed_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", samples(3))
    source = open_source(path)
    listed = list(source.items())
    os.truncate(path, 2570)
    assert all(isinstance(data, RunStopped) and "changed" in str(data) for _, data in source.read(listed))
    unversioned = [replace(item, version="") for item in listed]
    assert list(contents(source, unversioned).values())[1:] == ["is cut off in the tar"] * 2
    path.unlink()
    assert contents(source, listed)["x.tar/0000.png"] == "cannot be read (No such file or directory)"
    assert "has no tar" in str(contents(source, [Item("y.tar/0000.png", 0, (0, 5))])["y.tar/0000.png"])


FUZZ = settings(max_examples=200, derandomize=True)


@FUZZ
@given(
    cut=st.integers(0, 9000),
    changes=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 255)), max_size=6),
    packed=st.booleans(),
)
@example(cut=0, changes=[(156, ord("L")), (124, 0x80)], packed=False)
def test_any_damage_to_a_tar_is_told_and_never_raised(
    cut: int, changes: list[tuple[int, int]], packed: bool, tmp_path: Path
) -> None:
    path = tar(tmp_path / "x.tar", samples(4))
    data = bytearray(gzip.compress(path.read_bytes(), mtime=0) if packed else path.read_bytes())
    data = data[: cut or None]
    for at, value in changes:
        if data:
            data[at % len(data)] = value
    path.write_bytes(data)
    source = open_source(path)
    assert len(contents(source)) == len(keys(source))


# --- parquet ---------------------------------------------------------------------------------------------------------


def test_a_parquet_file_of_hugging_face(tmp_path: Path) -> None:
    pictures = [{"bytes": png(number), "path": f"{number}.png"} for number in range(250)]
    import datasets  # not with the oldest transformers, whose hub it finds too old

    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    table = datasets.Dataset.from_dict({"image": pictures, "text": [f"no {n}" for n in range(250)]}, features=features)
    table.to_parquet(str(tmp_path / "set.parquet"), batch_size=100)
    assert pq.ParquetFile(tmp_path / "set.parquet").num_row_groups == 3
    source = open_source(tmp_path / "set.parquet", 2)
    listed = list(source.items())
    assert listed[7] == Item("set.parquet/7.png", 2, (7, 0), 0, "no 7")
    assert list(contents(source).values()) == [png(number) for number in range(250)]
    some = [listed[number] for number in (249, 3, 4, 120, 99, 100)]
    assert list(contents(source, some).values()) == [png(number) for number in (249, 3, 4, 120, 99, 100)]
    assert source.sidecar(listed[0], ".txt") is None and source.path(listed[0]) is None


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_bytes_without_names_are_called_by_their_row(tmp_path: Path, kind: Any) -> None:
    table = pa.table({"image": pa.array([PNG, None, b"", png(3)], kind), "caption": ["a", None, " c ", "d"]})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=2)
    source = open_source(tmp_path / "p.parquet")
    assert keys(source) == [f"p.parquet#{row}" for row in range(4)]
    assert [item.caption for item in source.items()] == ["a", None, "c", "d"]
    assert list(contents(source).values()) == [PNG, "its cell is empty", "its cell is empty", png(3)]


@pytest.mark.parametrize("column", ["path", "url", "file_name", "image"])
def test_a_parquet_file_of_paths_reads_the_files(tmp_path: Path, column: str) -> None:
    put(tmp_path / "set", "a.png", "sub/b.png")
    put(tmp_path, "elsewhere/c.png")
    memory = fsspec.filesystem("memory")
    memory.pipe("/pictures/d.png", png(4))
    names = [
        "a.png",
        "sub/b.png",
        str(tmp_path / "elsewhere" / "c.png"),
        "memory://pictures/d.png",
        None,
        "gone.png",
        "a.png",
    ]
    pq.write_table(pa.table({column: names, "text": list("abcdefg")}), tmp_path / "set" / "p.parquet", row_group_size=3)
    source = open_source(tmp_path / "set" / "p.parquet")
    outside = str(tmp_path / "elsewhere" / "c.png").strip("/")
    assert keys(source) == ["a.png", "sub/b.png", outside, "pictures/d.png", "p.parquet#4", "gone.png", "a.png#2"]
    assert problems(source) == {
        "p.parquet#4": f"its {column} is empty",
        "gone.png": "no such file",
        "a.png#2": "is in the table more than once",
    }
    assert list(contents(source).values())[:4] == [PNG, PNG, PNG, png(4)]


def test_several_parquet_files_and_repeated_names(tmp_path: Path) -> None:
    for number in range(2):
        rows = [{"jpg": {"bytes": png(number * 2 + row), "path": "../same.png"}} for row in range(2)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{number}.parquet")
    (tmp_path / "2.parquet").write_bytes(b"PAR1 no more")
    source = open_source(tmp_path)
    assert keys(source) == ["0.parquet/_/same.png", "0.parquet/_/same.png#2"] + [
        "1.parquet/_/same.png",
        "1.parquet/_/same.png#2",
        "2.parquet",
    ]
    assert list(contents(source).values())[:4] == [png(number) for number in range(4)]


def test_a_parquet_file_of_the_wrong_type_says_what_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [1, 2], "label": ["a", "b"]}), tmp_path / "p.parquet")
    (tmp_path / "q.parquet").write_bytes(b"text")
    pq.write_table(pa.table({"image": [PNG]}), tmp_path / "r.parquet")
    source = open_source(tmp_path)
    found = problems(source)
    assert found.keys() == {"p.parquet", "q.parquet"} and keys(source)[2:] == ["r.parquet#0"]
    assert "its columns: image (int64), label (string)" in found["p.parquet"]
    assert "is not a readable parquet file" in found["q.parquet"]


def test_damaged_pages_are_told_for_their_rows(tmp_path: Path) -> None:
    table = pa.table({"image": [png(number) for number in range(8)]})
    path = tmp_path / "p.parquet"
    pq.write_table(table, path, row_group_size=4, compression="zstd", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    start = chunk.data_page_offset
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(data)
    source = open_source(path)
    listed = list(source.items())
    for some in (listed, listed[::-1], listed[3:6]):
        found = contents(source, some)
        for number, item in enumerate(listed):
            if item in some and number >= 4:
                assert found[item.key] == png(number)
            elif item in some:
                assert "cannot be read" in str(found[item.key])


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_list_of_paths_and_urls(tmp_path: Path, ending: str) -> None:
    put(tmp_path, "set/a.png", "set/sub/b.png", "other/c.png", "set/folder.png/x.png")
    fsspec.filesystem("memory").pipe("/bucket/d.png", png(4))
    lines = ["a.png", "./sub/b.png", "", "../other/c.png", str(tmp_path / "set" / "a.png"), "memory://bucket/d.png"]
    lines += ["gone.png", "folder.png", "nosuch://x/y.png"]
    (tmp_path / "set" / "list.txt").write_bytes(("\ufeff" + ending.join(lines)).encode())
    source = open_source(tmp_path / "set" / "list.txt", 1)
    other = str(tmp_path / "other" / "c.png").strip("/")
    assert source.kind == "list"
    assert keys(source) == ["a.png", "sub/b.png", other, "a.png#2", "bucket/d.png", "gone.png", "folder.png", "x/y.png"]
    found = contents(source)
    assert [found[key] for key in ("a.png", "sub/b.png", other, "bucket/d.png")] == [PNG, PNG, PNG, png(4)]
    assert found["gone.png"] == "no such file" and found["folder.png"] == "is a folder, not a file"
    assert found["a.png#2"] == "is listed more than once" and "cannot be reached" in str(found["x/y.png"])
    assert source.sidecar(Item(other, 1), ".txt") == tmp_path / "other" / "c.txt", "found by the key alone"
    assert source.sidecar(Item("bucket/d.png", 1), ".txt") is None


def test_a_csv_list_is_its_first_column(tmp_path: Path) -> None:
    put(tmp_path, "a, b.png", "c.png")
    (tmp_path / "list.csv").write_text('file_name,text\n"a, b.png","x\ny"\nc.png,z\n', encoding="utf-8")
    assert contents(open_source(tmp_path / "list.csv")) == {"a, b.png": PNG, "c.png": PNG}
    (tmp_path / "plain.csv").write_text("c.png\n", encoding="utf-8")
    assert keys(open_source(tmp_path / "plain.csv")) == ["c.png"]


@pytest.mark.skipif(os.name == "nt", reason="names of any bytes are found on Unix only")
def test_a_list_may_hold_names_that_are_no_utf8(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:
        file.write(PNG)
    (tmp_path / "list.txt").write_bytes(b"\xff.png\n")
    assert contents(open_source(tmp_path / "list.txt")) == {"\udcff.png": PNG}


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_every_kind_is_read_over_fsspec(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/far/pictures/a.png", PNG)
    memory.pipe("/far/pictures/sub/b.JPG", png(1))
    memory.pipe("/far/pictures/.hidden/c.png", PNG)
    memory.pipe("/far/pictures/notes.md", b"")
    memory.pipe("/far/tars/x-000.tar", tar(tmp_path / "x.tar", samples(3)).read_bytes())
    memory.pipe("/far/tars/x-001.tar", tar(tmp_path / "y.tar", samples(3, 3)).read_bytes()[:4000])
    pq.write_table(pa.table({"image": [PNG], "text": ["x"]}), tmp_path / "p.parquet")
    memory.pipe("/far/p.parquet", (tmp_path / "p.parquet").read_bytes())
    memory.pipe("/far/list.txt", b"pictures/a.png\nmemory://far/pictures/sub/b.JPG\n/etc/passwd\nfile:///etc/passwd\n")
    memory.pipe("/far/hf/metadata.jsonl", b'{"file_name": "a.png", "text": "hello"}\n')
    memory.pipe("/far/hf/a.png", PNG)

    source = open_source("memory://far/pictures")
    assert contents(source) == {"a.png": PNG, "sub/b.JPG": png(1)}
    assert (
        source.folder is None and source.sidecar(Item("a.png"), ".txt") is None and source.uri.startswith("memory://")
    )
    source = open_source("memory://far/tars")
    assert list(contents(source))[:5] == [f"x-000.tar/000{n}.png" for n in range(3)] + [
        "x-001.tar/0003.png",
        "x-001.tar/0004.png",
    ]
    assert "x-001.tar" in problems(source)
    assert keys(open_source("memory://far/tars/x-00{0..1}.tar")) == keys(source)
    assert contents(open_source("memory://far/p.parquet")) == {"p.parquet#0": PNG}
    source = open_source("memory://far/list.txt")
    assert list(contents(source).values())[:2] == [PNG, png(1)]
    assert set(list(contents(source).values())[2:]) == {
        "is a path on this machine, which a list from elsewhere may not name",
        "is listed more than once",
    }
    assert [item.caption for item in open_source("memory://far/hf").items()] == ["hello"]


@pytest.mark.parametrize(("module", "name"), [("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")])
def test_errors_that_are_of_no_class_of_python_end_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    """What fsspec's file systems raise, which are not installed here."""
    error = type(name, (Exception,), {})
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{name: error}))
    put(tmp_path, "a.png")
    source = open_source(tmp_path)

    def refuse(self: Any, path: str) -> Any:
        raise error("no credentials")

    monkeypatch.setattr(storage.Local, "open", refuse)
    ((_, read),) = source.read(list(source.items()))
    assert isinstance(read, ImageReadError) and "cannot be read (no credentials)" in str(read)


def test_what_is_no_source_is_refused_with_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, "docs/a.pdf", "docs/b.pdf", "docs/README", "one.png", "movie.mp4", "metadata.jsonl")
    (tmp_path / "empty").mkdir()
    for uri, message in [
        (tmp_path / "none", "no such file or folder"),
        (tmp_path / "docs", r"no pictures, tars or parquet files \(2 .pdf, 1 without extension\)"),
        (tmp_path / "empty", "it is empty"),
        (tmp_path / "one.png", "is a single picture"),
        (tmp_path / "movie.mp4", r"is not a source; give a folder, \*.tar"),
        (tmp_path / "metadata.jsonl", "give the folder instead"),
        ("a\0b", "is not a path"),
        ("", "is not a path"),
        ("nosuch://bucket/x", "cannot be reached"),
        ("memory://nothing/here", "no such file or folder"),
    ]:
        with pytest.raises(RequestError, match=message):
            open_source(uri)
    with pytest.raises(RequestError, match="unknown kind of source .*; choose from folder, imagefolder"):
        open_source(tmp_path, kind="zip")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="contains no .tar"):
        open_source(tmp_path / "docs", kind="webdataset")
    assert keys(open_source(tmp_path / "empty", kind="folder")) == []


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    tar(tmp_path / "x.tar", samples(2))
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    code = f"""
import sys
sys.modules.update(fsspec=None, pyarrow=None)
from interrogator.dataset.sources import open_source
from interrogator.errors import RequestError
assert len(list(open_source({str(tmp_path / "x.tar")!r}).items())) == 2
assert len(list(open_source({str(tmp_path)!r}).items())) == 1
for uri in ("memory://x", {str(tmp_path / "p.parquet")!r}):
    try:
        open_source(uri)
    except RequestError as error:
        assert "pip install image-interrogator[dataset]" in str(error), error
    else:
        raise SystemExit(uri)
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
