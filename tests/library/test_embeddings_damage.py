"""Files that are damaged, foreign or refused: one warning that names the file, and the right table all the same."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from interrogator.checksum import checksum
from interrogator.embeddings import PROBE_PHRASES, BatchPolicy, EmbeddingCache, EncoderIdentity

PHRASES = [f"phrase {number}" for number in range(60)]


def rows_of(phrases):
    """Unit rows [n, 32] float32 that depend on each phrase alone."""
    digests = [hashlib.blake2b(phrase.encode(), digest_size=32).digest() for phrase in phrases]
    rows = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32).astype(np.float64) - 127.5
    return torch.from_numpy((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


IDENTITY = EncoderIdentity("toy/one", "float32", "t0", rows_of(PROBE_PHRASES))


class Counting:
    def __init__(self):
        self.asked = []

    def __call__(self, phrases):
        self.asked += phrases
        return rows_of(phrases)


@pytest.fixture
def built(tmp_path, caplog):
    """The folder of a store of two segments, 40 and 20 rows, and an index."""
    caplog.set_level(logging.INFO, "interrogator")
    store = EmbeddingCache(tmp_path).open(IDENTITY)
    store.table(PHRASES[:40], rows_of)
    store.table(PHRASES, rows_of)
    store.close()
    return store.path


def larger_segment(folder):
    return max((folder / "segments").glob("*.safetensors"), key=lambda path: path.stat().st_size)


def rewrite(path, change):
    """Writes a safetensors file again after `change(tensors, metadata)`."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors, metadata)
    path.unlink()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)


def truncate(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def with_rows(change):
    return lambda path: rewrite(path, lambda tensors, _: tensors.update(rows=change(tensors["rows"])))


SEGMENT_DAMAGE = {
    "empty": lambda path: truncate(path, 0),
    "header cut": lambda path: truncate(path, 50),
    "data cut": lambda path: truncate(path, -1),
    "half": lambda path: truncate(path, path.stat().st_size // 2),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "wrong width": with_rows(lambda rows: rows[:, :16]),
    "wrong dtype": with_rows(lambda rows: rows.float()),
    "fewer rows": with_rows(lambda rows: rows[:-1]),
    "flat rows": with_rows(lambda rows: rows.reshape(-1)),
    "not unit": with_rows(lambda rows: rows * 0.5),
    "not finite": with_rows(lambda rows: rows / 0),
    "older version": lambda path: rewrite(path, lambda _, metadata: metadata.update(format="0")),
    "no metadata": lambda path: rewrite(path, lambda _, metadata: metadata.clear()),
    "count no number": lambda path: rewrite(path, lambda _, metadata: metadata.update(count="many")),
    "no keys": lambda path: rewrite(path, lambda tensors, _: tensors.pop("keys")),
    "no rows": lambda path: rewrite(path, lambda tensors, _: tensors.pop("rows")),
    "short keys": lambda path: rewrite(path, lambda tensors, _: tensors.update(keys=tensors["keys"][:, :8])),
    "other keys": lambda path: rewrite(path, lambda tensors, _: tensors.update(keys=tensors["keys"] + 1)),
}


@pytest.mark.parametrize("damage", SEGMENT_DAMAGE.values(), ids=SEGMENT_DAMAGE)
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "unindexed"])
def test_a_damaged_segment_is_encoded_again(built, tmp_path, caplog, damage, indexed):
    path = larger_segment(built)
    damage(path)
    if not indexed or damage is SEGMENT_DAMAGE["other keys"]:  # an index needs no keys: it would not even notice
        shutil.rmtree(built / "indexes")
    encode = Counting()
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert sorted(encode.asked) == sorted(PHRASES[:40])
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]
    assert not path.exists() and path.with_name(path.name + ".damaged").exists()
    caplog.clear()
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert len(encode.asked) == 40 and caplog.records == []
    assert EmbeddingCache(tmp_path).list()[0].rows == 60


def spoil_json(change):
    def spoil(folder):
        card = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        change(card)
        (folder / "store.json").write_text(json.dumps(card), encoding="utf-8")

    return spoil  # fmt: skip


STORE_DAMAGE = {
    "no card": ("store.json", lambda folder: (folder / "store.json").unlink()),
    "empty card": ("store.json", lambda folder: (folder / "store.json").write_bytes(b"")),
    "garbage card": ("store.json", lambda folder: (folder / "store.json").write_bytes(b"\xff\xfe{")),
    "card is a list": ("store.json", lambda folder: (folder / "store.json").write_bytes(b"[1]")),
    "nested card": ("store.json", lambda folder: (folder / "store.json").write_bytes(b"[" * 100_000)),
    "card lacks a field": ("store.json", spoil_json(lambda card: card.pop("dtype"))),
    "card field no text": ("store.json", spoil_json(lambda card: card.update(name=7))),
    "older version": ("store.json", spoil_json(lambda card: card.update(format=0))),
    "other width": ("probes", spoil_json(lambda card: card.update(width=33))),
    "no probes": ("probes", lambda folder: (folder / "probes.safetensors").unlink()),
    "cut probes": ("probes", lambda folder: truncate(folder / "probes.safetensors", 90)),
    "half probes": ("probes", lambda folder: rewrite(
        folder / "probes.safetensors", lambda tensors, _: tensors.update(probes=tensors["probes"].half()))),
    "nan probes": ("probes", lambda folder: rewrite(
        folder / "probes.safetensors", lambda tensors, _: tensors.update(probes=tensors["probes"] / 0))),
}  # fmt: skip


@pytest.mark.parametrize(("named", "damage"), STORE_DAMAGE.values(), ids=STORE_DAMAGE)
def test_a_damaged_store_is_built_again(built, tmp_path, caplog, named, damage):
    damage(built)
    encode = Counting()
    assert EmbeddingCache(tmp_path).list() == [] and built.exists()
    store = EmbeddingCache(tmp_path).open(IDENTITY)
    assert torch.equal(store.table(PHRASES, encode), rows_of(PHRASES).half()) and sorted(encode.asked) == sorted(
        PHRASES
    )
    assert [named in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    assert EmbeddingCache(tmp_path).open(IDENTITY).missing(PHRASES) == [] and caplog.records == []
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == ["", ".damaged"]
    assert EmbeddingCache(tmp_path).clear("toy/one") > 0 and not list(tmp_path.iterdir())


def test_a_store_of_a_later_release_is_left_alone(built, tmp_path, caplog):
    spoil_json(lambda card: card.update(format=99, news=[1]))(built)
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    encode = Counting()
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert all(record.levelno == logging.INFO for record in caplog.records)
    assert {path: path.read_bytes() for path in before} == before
    assert EmbeddingCache(tmp_path).open(IDENTITY).missing(PHRASES) == []


def renamed(metadata):
    told = json.loads(metadata["known"]) | {"list": "0" * 32}
    metadata["known"] = json.dumps(told)
    metadata["sum"] = str(checksum(metadata["known"].encode()))


INDEX_DAMAGE = {
    "cut": lambda path: truncate(path, -3),
    "garbage": lambda path: path.write_bytes(b"garbage" * 99),
    "other rows": lambda path: rewrite(path, lambda tensors, _: tensors.update(row=tensors["row"].flip(0))),
    "other version": lambda path: rewrite(path, lambda _, metadata: metadata.update(format="0")),
    "no names": lambda path: rewrite(path, lambda _, metadata: metadata.pop("known")),
    "names no list": lambda path: rewrite(path, lambda _, metadata: metadata.update(known="7")),
    "of another list": lambda path: rewrite(path, lambda _, metadata: renamed(metadata)),
    "bfloat16": lambda path: rewrite(path, lambda tensors, _: tensors.update(row=tensors["row"].bfloat16())),
}


@pytest.mark.parametrize("damage", INDEX_DAMAGE.values(), ids=INDEX_DAMAGE)
def test_a_damaged_index_is_computed_again(built, tmp_path, caplog, damage):
    for path in (built / "indexes").iterdir():
        damage(path)
    encode = Counting()
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert encode.asked == [] and ["indexes" in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert encode.asked == [] and caplog.records == []


def test_an_index_that_names_a_segment_that_is_gone(built, tmp_path, caplog):
    larger_segment(built).unlink()
    encode = Counting()
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert sorted(encode.asked) == sorted(PHRASES[:40]) and caplog.records == []


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_anywhere_never_crash(built, tmp_path, seed):
    """Heads of files are hit; `test_embeddings_proofs` hits everything."""
    random = np.random.default_rng(seed)
    for path in built.rglob("*"):
        if path.is_file() and path.stat().st_size and random.random() < 0.5:
            data = bytearray(path.read_bytes())
            head = len(data)
            if path.suffix == ".safetensors":
                head = min(head, 8 + int.from_bytes(data[:8], "little"))
            for _ in range(3):
                data[random.integers(head)] = random.integers(256)
            path.write_bytes(data)
    table = EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, rows_of)
    assert table.shape == (60, 32) and table.dtype == torch.float16
    assert torch.equal(EmbeddingCache(tmp_path).open(IDENTITY).table(PHRASES, rows_of), rows_of(PHRASES).half())


def test_a_cache_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    cache = EmbeddingCache(
        tmp_path / "file" / "cache", policy=BatchPolicy(first_batch=5, largest_batch=5, segment_rows=10)
    )
    store, encode = cache.open(IDENTITY), Counting()
    assert store.writable
    for _ in range(2):
        assert torch.equal(store.table(PHRASES, encode), rows_of(PHRASES).half())
    assert sorted(encode.asked) == sorted(PHRASES) and not store.writable
    assert ["cannot be written" in record.getMessage() for record in caplog.records] == [True]
    assert cache.list() == [] and cache.clear() == 0


def test_a_folder_where_a_file_should_be(built, tmp_path, caplog):
    path = larger_segment(built)
    path.unlink()
    path.mkdir()
    shutil.rmtree(built / "indexes")
    (built / "indexes").write_text("in the way", encoding="utf-8")
    cache, encode = EmbeddingCache(tmp_path), Counting()
    for _ in range(2):
        assert torch.equal(cache.open(IDENTITY).table(PHRASES, encode), rows_of(PHRASES).half())
    assert sorted(encode.asked) == sorted(PHRASES[:40]) and len(caplog.records) == 2
    assert all(str(Path(built)) in record.getMessage() for record in caplog.records)


def test_a_name_taken_by_something_else(tmp_path):
    store = EmbeddingCache(tmp_path).open(IDENTITY)
    store.table(["a"], rows_of)
    name = store.path.name
    EmbeddingCache(tmp_path).clear()
    (tmp_path / name).write_text("in the way", encoding="utf-8")
    store = EmbeddingCache(tmp_path).open(IDENTITY)
    store.table(["a"], rows_of)
    assert store.writable and store.path.name != name
    assert EmbeddingCache(tmp_path).open(IDENTITY).missing(["a"]) == []
