"""EmbeddingCache and EmbeddingStore: what is encoded, what is kept, whose rows are used."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from interrogator.embeddings import (
    PROBE_PHRASES,
    TOKENIZER_PROBES,
    BatchPolicy,
    EmbeddingCache,
    EncoderIdentity,
    PhraseList,
    tokenizer_digest,
)
from interrogator.embeddings.segments import Segment
from interrogator.errors import ModelError

WIDTH = 32


def rows_of(phrases, salt=b""):
    """Unit rows [n, 32] float32 that depend on each phrase alone."""
    digests = [hashlib.blake2b(p.encode("utf-8", "surrogatepass"), digest_size=32, salt=salt).digest() for p in phrases]
    rows = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32).astype(np.float64) - 127.5
    return torch.from_numpy((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


class Counting:
    """An encoder that remembers what it was asked."""

    def __init__(self):
        self.batches = []

    def __call__(self, phrases):
        self.batches.append(list(phrases))
        return rows_of(phrases)

    @property
    def asked(self):
        return [phrase for batch in self.batches for phrase in batch]


def identity(name="toy/one", dtype="float32", tokenizer="t0", salt=b"", shift=0.0):
    probes = rows_of(PROBE_PHRASES, salt)
    probes[0, 0] += shift
    return EncoderIdentity(name, dtype, tokenizer, probes)


def truth(phrases):
    return rows_of(phrases).half() if phrases else torch.empty(0, WIDTH, dtype=torch.float16)


def files_below(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def test_nothing_is_made_before_the_first_write(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache")
    store = cache.open(identity())
    assert store.missing(["a", "b", "a"]) == ["a", "b"]
    empty = store.table([], Counting())
    assert empty.shape == (0, WIDTH) and empty.dtype == torch.float16
    assert cache.list() == [] and cache.clear() == 0 and store.path is None
    assert not (tmp_path / "cache").exists()


def test_rows_in_order_with_duplicates_and_nothing_encoded_twice(tmp_path):
    encode = Counting()
    phrases = ["b", "a", "", "b", "#c", "\u0000", "é", "e\u0301", "\ud800", "a"]
    store = EmbeddingCache(tmp_path).open(identity())
    assert torch.equal(store.table(phrases, encode), truth(phrases))
    assert sorted(encode.asked) == sorted(list(dict.fromkeys(phrases)))
    again = Counting()
    assert torch.equal(store.table(phrases[::-1], again), truth(phrases[::-1]))
    other = EmbeddingCache(tmp_path).open(identity())
    assert torch.equal(other.table(phrases * 3, again), truth(phrases * 3))
    assert again.batches == [] and other.missing([*phrases, "new"]) == ["new"]


def test_one_new_phrase_among_100000_encodes_one(tmp_path):
    bank = [f"phrase {number}" for number in range(100_000)]
    EmbeddingCache(tmp_path).open(identity()).table(bank, rows_of)
    longer = [*bank[:70_000], "brand new", *bank[70_000:]]
    encode, seen = Counting(), []
    store = EmbeddingCache(tmp_path).open(identity())
    table = store.table(longer, encode, lambda done, total: seen.append((done, total)))
    assert encode.batches == [["brand new"]] and seen == [(0, 1), (1, 1)]
    assert torch.equal(table, truth(longer))


def test_a_known_list_opens_through_its_index(tmp_path, monkeypatch):
    bank = [f"phrase {number}" for number in range(100_000)]
    shuffled = bank[::-1] + bank[:5]
    store = EmbeddingCache(tmp_path).open(identity())
    store.add(bank, rows_of(bank))
    for phrases in (bank, shuffled):
        store.table(phrases, Counting())
    expected = truth(bank), truth(shuffled)

    def no_keys(segment):
        raise AssertionError("the keys were read")

    monkeypatch.setattr(Segment, "phrase_keys", no_keys)
    fresh = EmbeddingCache(tmp_path).open(identity())
    table = fresh.table(bank, Counting())
    assert torch.equal(table, expected[0]) and torch.equal(fresh.table(shuffled, Counting()), expected[1])
    rows = next(iter(fresh._open_segments.values())).rows
    assert table.data_ptr() == rows.data_ptr(), "contiguous rows are a slice of the map"


class Unread(list):
    """Phrases that nobody may look at."""

    def __iter__(self):
        raise AssertionError("the phrases were read")

    __getitem__ = __iter__


def no_note():
    raise AssertionError("a note was made again")


def listing(phrases, notes=(), digest="d" * 32):
    return PhraseList(phrases, digest, dict(notes))


def test_a_list_that_is_known_by_its_digest_is_not_looked_at(tmp_path, monkeypatch):
    phrases = [f"phrase {number}" for number in range(300)]
    policy = BatchPolicy(first_batch=64, largest_batch=64, segment_rows=64)
    note = np.arange(7, dtype=np.int64)
    first = (
        EmbeddingCache(tmp_path, policy=policy)
        .open(identity())
        .embed_list(listing(phrases, {"n": lambda: note}), rows_of)
    )
    assert torch.equal(first.rows.joined(), truth(phrases)) and first.notes["n"]() is note
    monkeypatch.setattr(Segment, "phrase_keys", lambda segment: pytest.fail("the keys were read"))
    again = EmbeddingCache(tmp_path).open(identity()).embed_list(listing(Unread(phrases), {"n": no_note}), Counting())
    assert torch.equal(again.rows.at([299, 0, 64]), truth([phrases[299], phrases[0], phrases[64]]))
    assert np.array_equal(again.notes["n"](), note) and again.notes["n"]().dtype == np.int64


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is mapped")
def test_rows_in_several_files_stay_there(tmp_path):
    phrases = [f"phrase {number}" for number in range(300)]
    policy = BatchPolicy(first_batch=64, largest_batch=64, segment_rows=64)
    store = EmbeddingCache(tmp_path, policy=policy).open(identity())
    rows = store.embed_list(listing(phrases[::-1] + phrases[:9]), rows_of).rows
    held = [piece.data_ptr() for piece in rows._layout.pieces]
    assert len(held) == 5 and set(held) == {segment.rows.data_ptr() for segment in store._open_segments.values()}
    few = store.embed_list(listing(phrases[::20], digest="e" * 32), Counting()).rows
    assert sum(map(len, few._layout.pieces)) == 15, "what lies scattered is copied out"
    assert torch.equal(few.joined(), truth(phrases[::20]))


def test_an_index_without_a_note_that_is_asked_for_is_made_again(tmp_path):
    phrases = [f"phrase {number}" for number in range(30)]
    EmbeddingCache(tmp_path).open(identity()).embed_list(listing(phrases), rows_of)
    encode, made = Counting(), []

    def note():
        made.append(1)
        return np.array([3, 1], dtype=np.int32)

    for _ in range(2):
        kept = EmbeddingCache(tmp_path).open(identity()).embed_list(listing(phrases, {"n": note}), encode)
        assert kept.notes["n"]().tolist() == [3, 1] and torch.equal(kept.rows.joined(), truth(phrases))
    assert encode.asked == [] and len(made) <= 2
    made.clear()
    EmbeddingCache(tmp_path).open(identity()).embed_list(listing(phrases, {"n": note}), encode).notes["n"]()
    assert made == []


def test_a_note_that_is_not_what_was_written_is_made_again(tmp_path):
    phrases = [f"phrase {number}" for number in range(30)]
    values = np.arange(100_000, 100_999, dtype=np.int32)
    store = EmbeddingCache(tmp_path).open(identity())
    store.embed_list(listing(phrases, {"n": lambda: values}), rows_of)
    path = next((store.path / "indexes").iterdir())
    data = path.read_bytes()
    spot = data.index(values[500].tobytes())
    path.write_bytes(data[:spot] + b"\xff" + data[spot + 1 :])
    kept = (
        EmbeddingCache(tmp_path)
        .open(identity())
        .embed_list(listing(Unread(phrases), {"n": lambda: values}), Counting())
    )
    assert kept.notes["n"]() is values


def test_an_index_of_the_first_format_is_no_trouble(tmp_path, caplog):
    phrases = [f"phrase {number}" for number in range(30)]
    store = EmbeddingCache(tmp_path).open(identity())
    store.add(phrases, rows_of(phrases))
    old = {"segment": torch.zeros(30, dtype=torch.int32), "row": torch.arange(30, dtype=torch.int32)}
    (store.path / "indexes").mkdir(exist_ok=True)
    save_file(old, store.path / "indexes" / f"{'0' * 32}.safetensors", {"format": "1", "names": "[]", "digest": "0"})
    caplog.set_level(logging.INFO, "interrogator")
    for _ in range(2):
        table = EmbeddingCache(tmp_path).open(identity()).table(phrases, Counting())
        assert torch.equal(table, truth(phrases))
    assert caplog.records == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is mapped")
def test_a_contiguous_table_is_a_map_of_the_file_and_survives_its_removal(tmp_path):
    bank = [f"phrase {number}" for number in range(5000)]
    EmbeddingCache(tmp_path).open(identity()).add(bank, rows_of(bank))
    store = EmbeddingCache(tmp_path).open(identity())
    table = store.table(bank[100:4000], Counting())
    path = next((store.path / "segments").iterdir())
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    spans = [line.split()[0].split("-") for line in maps if str(path) in line]
    assert any(int(start, 16) <= table.data_ptr() < int(end, 16) for start, end in spans)
    EmbeddingCache(tmp_path).clear()
    assert torch.equal(table, truth(bank[100:4000]))


def test_progress_counts_what_needs_encoding_and_cancels_without_loss(tmp_path):
    phrases = [f"p{number}" for number in range(100)]
    policy = BatchPolicy(first_batch=4, largest_batch=8, segment_rows=10)
    cache = EmbeddingCache(tmp_path, policy=policy)
    cache.open(identity()).table(phrases[:20], rows_of)
    seen, encode = [], Counting()

    class Stop(Exception):
        pass

    def progress(done, total):
        seen.append((done, total))
        if done > 40:
            raise Stop

    with pytest.raises(Stop):
        cache.open(identity()).table(phrases, encode, progress)
    assert {total for _, total in seen} == {80} and [done for done, _ in seen[:3]] == [0, 4, 12]
    rest = Counting()
    assert torch.equal(cache.open(identity()).table(phrases, rest), truth(phrases))
    assert not set(rest.asked) & set(encode.asked) and len(rest.asked) + len(encode.asked) == 80


def test_an_encoder_that_fails_midway_keeps_what_it_did(tmp_path):
    phrases = [f"p{number:02}" for number in range(30)]
    calls = []

    def failing(batch):
        calls.append(batch)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return rows_of(batch)

    cache = EmbeddingCache(tmp_path, policy=BatchPolicy(first_batch=4, largest_batch=4))
    with pytest.raises(RuntimeError, match="out of memory"):
        cache.open(identity()).table(phrases, failing)
    assert cache.open(identity()).missing(phrases) == phrases[8:]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rows_of_any_float_dtype_are_rounded_to_fp16(tmp_path, dtype):
    phrases = ["a", "b", "c"]
    table = EmbeddingCache(tmp_path).open(identity()).table(phrases, lambda batch: rows_of(batch).to(dtype))
    assert torch.equal(table, rows_of(phrases).to(dtype).half())


@pytest.mark.parametrize("wrong", [
    lambda batch: rows_of(batch) * 3,
    lambda batch: rows_of(batch)[:, :-1],
    lambda batch: rows_of(batch)[:-1],
    lambda batch: rows_of(batch) * float("nan"),
])  # fmt: skip
def test_a_broken_encoder_is_an_error_and_leaves_nothing(tmp_path, wrong):
    store = EmbeddingCache(tmp_path).open(identity())
    with pytest.raises(ModelError, match="toy/one"):
        store.table(["a", "b"], wrong)
    with pytest.raises(ModelError):
        store.add(["a", "b"], wrong(["a", "b"]))
    assert not files_below(tmp_path)
    with pytest.raises(ModelError, match="unit length"):
        EncoderIdentity("x", "float32", "t", rows_of(PROBE_PHRASES) * 2)
    with pytest.raises(ModelError, match=r"\[P, D\]"):
        EncoderIdentity("x", "float32", "t", rows_of(PROBE_PHRASES).half())


def test_probe_noise_of_another_machine_is_the_same_encoder(tmp_path):
    EmbeddingCache(tmp_path).open(identity()).table(["a"], rows_of)
    assert EmbeddingCache(tmp_path).open(identity(shift=2e-4)).missing(["a"]) == []
    assert EmbeddingCache(tmp_path).open(identity(name="renamed")).missing(["a"]) == []
    assert len(EmbeddingCache(tmp_path).list()) == 1


@pytest.mark.parametrize(("other", "said"), [
    (dict(shift=1e-3), "other weights"),
    (dict(salt=b"x"), "other weights"),
    (dict(tokenizer="t1"), "another tokenizer"),
    (dict(dtype="bfloat16"), "dtype float32 instead of bfloat16"),
])  # fmt: skip
def test_a_namesake_is_noticed_and_not_used(tmp_path, caplog, other, said):
    caplog.set_level(logging.INFO, "interrogator")
    cache = EmbeddingCache(tmp_path)
    cache.open(identity()).table(["a"], rows_of)
    assert caplog.records == []
    store = cache.open(identity(**other))
    assert [record.getMessage().count(said) for record in caplog.records] == [1]
    encode = Counting()
    store.table(["a", "b"], encode)
    assert encode.asked == ["a", "b"] and len(cache.list()) == 2
    caplog.clear()
    assert cache.open(identity(**other)).missing(["a", "b"]) == []
    assert cache.open(identity()).missing(["a", "b"]) == ["b"]
    assert caplog.records == [], "said once, when the new store began"


def test_rows_of_another_width_do_not_match(tmp_path):
    EmbeddingCache(tmp_path).open(identity()).table(["a"], rows_of)
    narrow = torch.nn.functional.normalize(rows_of(PROBE_PHRASES)[:, :8], dim=-1)
    assert EmbeddingCache(tmp_path).open(EncoderIdentity("toy/one", "float32", "t0", narrow)).missing(["a"]) == ["a"]


def test_list_and_clear(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("mine.txt", "pictures-12345678", ".other.tmp"):
        (tmp_path / name).write_text("keep me", encoding="utf-8")
    (tmp_path / "holiday-0a1b2c3d").mkdir()
    cache = EmbeddingCache(tmp_path)
    cache.open(identity("ViT-L-14/openai")).table(["a", "b", "a"], rows_of)
    cache.open(identity("../b@c", dtype="bfloat16")).table(["a"], rows_of)
    by_name = {info.name: info for info in cache.list()}
    assert {(info.name, info.dtype, info.rows) for info in by_name.values()} == {
        ("ViT-L-14/openai", "float32", 2), ("../b@c", "bfloat16", 1)}  # fmt: skip
    for info in by_name.values():
        assert info.path.parent == tmp_path
        assert info.bytes == sum(path.stat().st_size for path in files_below(info.path))
    assert by_name["ViT-L-14/openai"].path.name.startswith("ViT-L-14_openai-")
    assert cache.clear("nobody") == 0
    assert cache.clear("../b@c") == by_name["../b@c"].bytes
    assert [info.name for info in cache.list()] == ["ViT-L-14/openai"]
    assert cache.clear() == by_name["ViT-L-14/openai"].bytes and cache.list() == []
    kept = {"mine.txt", "pictures-12345678", ".other.tmp", "models", "holiday-0a1b2c3d"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_many_small_segments_become_one_when_nobody_reads(tmp_path):
    pytest.importorskip("fcntl")
    phrases = [f"p{number:02}" for number in range(70)]
    cache = EmbeddingCache(tmp_path, policy=BatchPolicy(first_batch=1, largest_batch=1, segment_rows=1))
    writer = cache.open(identity())
    table = writer.table(phrases, rows_of)
    segments = writer.path / "segments"
    assert len(list(segments.iterdir())) == 70
    reader = cache.open(identity())
    assert len(list(segments.iterdir())) == 70, "the writer still reads"
    writer.close()
    third = cache.open(identity())
    assert len(list(segments.iterdir())) == 70, "so does the reader"
    del reader
    third.close()
    merged = cache.open(identity())
    assert len(list(segments.iterdir())) == 1
    encode = Counting()
    assert torch.equal(merged.table(phrases, encode), truth(phrases)) and encode.batches == []
    rows = next(iter(merged._open_segments.values())).rows
    assert merged.table(phrases, encode).data_ptr() == rows.data_ptr(), "joined in the order of writing"
    assert torch.equal(table, truth(phrases))


def test_merging_drops_rows_that_two_writers_both_wrote(tmp_path):
    pytest.importorskip("fcntl")
    phrases = [f"p{number}" for number in range(40)]
    store = EmbeddingCache(tmp_path, policy=BatchPolicy(first_batch=1, largest_batch=1, segment_rows=1)).open(
        identity()
    )
    store.table(phrases, rows_of)
    for path in list((store.path / "segments").iterdir()):
        shutil.copy(path, path.with_name(uuid.uuid4().hex + path.suffix))
    store.close()
    assert EmbeddingCache(tmp_path).list()[0].rows == 80
    merged = EmbeddingCache(tmp_path).open(identity())
    assert EmbeddingCache(tmp_path).list()[0].rows == 40
    assert torch.equal(merged.table(phrases, Counting()), truth(phrases)) and merged.missing(phrases) == []


def test_indexes_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr("interrogator.embeddings.row_index.KEPT_INDEXES", 3)
    phrases = [f"p{number}" for number in range(40)]
    store = EmbeddingCache(tmp_path).open(identity())
    for start in range(8):
        store.table(phrases[start:], rows_of)
    assert len(list((store.path / "indexes").iterdir())) == 3


def test_stale_temps_are_removed_and_young_or_foreign_ones_stay(tmp_path):
    store = EmbeddingCache(tmp_path).open(identity())
    store.table(["a"], rows_of)
    old = time.time() - 7200
    names = {
        store.path / "segments" / f".{'a' * 32}.interrogator-tmp": False,
        store.path / f".{'b' * 32}.interrogator-tmp": False,
        store.path / "segments" / f".{'c' * 32}.interrogator-tmp": True,
        tmp_path / ".foreign.tmp": True,
    }
    half_made = tmp_path / f".{'d' * 32}.interrogator-tmp"
    half_made.mkdir()
    os.utime(half_made, (old, old))
    for number, path in enumerate(names):
        path.write_bytes(b"half")
        if number != 2:
            os.utime(path, (old, old))
    fresh = EmbeddingCache(tmp_path).open(identity())
    assert {path: path.exists() for path in names} == names and not half_made.exists()
    assert fresh.missing(["a"]) == []


def test_the_tokenizer_digest_hears_every_id():
    ids = [list(range(number)) for number in range(len(TOKENIZER_PROBES))]
    digest = tokenizer_digest(ids)
    assert len(digest) == 32 and digest == tokenizer_digest([torch.tensor(row).tolist() for row in ids])
    ids[3][1] += 1
    assert digest != tokenizer_digest(ids)


phrase = st.one_of(st.text(max_size=6), st.sampled_from(["", "#", "#comment", "a", "b", " a", "A", "é", "\U0001f3a8"]))
lists = st.lists(st.tuples(st.lists(phrase, max_size=30), st.booleans()), max_size=6)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(history=lists)
def test_any_history_of_lists(tmp_path_factory, history):
    """Tables are the rounded rows, whatever was asked before; a phrase is encoded once in the life of the folder."""
    folder = tmp_path_factory.mktemp("any")
    encode = Counting()
    policy = BatchPolicy(first_batch=2, largest_batch=4, segment_rows=6)
    store = EmbeddingCache(folder, policy=policy).open(identity())
    for phrases, reopen in history:
        if reopen:
            store = EmbeddingCache(folder, policy=policy).open(identity())
        assert torch.equal(store.table(phrases, encode), truth(phrases))
    assert len(encode.asked) == len(set(encode.asked))
