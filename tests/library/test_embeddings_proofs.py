"""No word depends on bytes of the cache that were not proved."""

from __future__ import annotations

import logging
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from interrogator.checksum import checksum
from interrogator.embeddings import EmbeddingCache
from interrogator.ranking import Scores
from interrogator.row_sums import RowSums
from interrogator.rows import Rows
from tests.library import cache_damage
from tests.library.cache_damage import IDENTITY, PHRASES, opened, rows_of

EVERY = np.arange(len(PHRASES))


@pytest.fixture
def cache(tmp_path, caplog):
    opened(tmp_path, PHRASES)
    caplog.set_level(logging.INFO, "interrogator")
    return tmp_path


def segments(folder):
    return sorted(folder.glob("*/segments/*.safetensors"))


def change_row(path, number, change):
    """Change a row of a segment, and nothing else of its file."""
    with safe_open(path, "pt") as file:
        row = file.get_tensor("rows")[number].clone()
    data = path.read_bytes()
    spot = data.index(row.numpy().tobytes())
    changed = change(row).numpy().tobytes()
    path.write_bytes(data[:spot] + changed + data[spot + len(changed) :])


def negated(row):
    return -row


def moved(row):
    return torch.cat([row[4:8], row[:4], row[8:]])


def lifted(row):
    return row * 100


@pytest.mark.parametrize("change", [negated, moved, lifted])
def test_a_damaged_row_is_encoded_again_and_said(cache, caplog, change):
    picture = rows_of(["a picture"])[0]
    expected = Scores(picture, opened(cache, PHRASES).rows).highest(EVERY, 10)
    best = rows_of([PHRASES[expected[0]]])[0].half()
    for path in segments(cache):
        rows = load_file(path)["rows"]
        for number in torch.nonzero((rows == best).all(dim=1)).flatten().tolist():
            change_row(path, number, change)
    encoded = []

    def encode(phrases):
        encoded.extend(phrases)
        return rows_of(phrases)

    rows = opened(cache, PHRASES, encode).rows
    assert Scores(picture, rows).highest(EVERY, 10) == expected
    assert encoded == [PHRASES[expected[0]]]
    assert ["1 of its" in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    assert torch.equal(opened(cache, PHRASES, encode).rows.joined(), rows_of(PHRASES).half())
    assert len(encoded) == 1 and not caplog.records


def test_rows_of_a_read_only_cache_are_mended_in_memory(cache, caplog, monkeypatch):
    for path in segments(cache):
        change_row(path, 3, negated)
    monkeypatch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    monkeypatch.setattr("interrogator.embeddings.segments.write_whole", lambda *_: (_ for _ in ()).throw(OSError()))
    for _ in range(2):
        assert torch.equal(opened(cache, PHRASES).rows.at(EVERY), rows_of(PHRASES).half())
    assert sum("rows are damaged" in record.getMessage() for record in caplog.records) == 2 * len(segments(cache))


def test_segments_that_changed_places_are_told_apart(cache):
    first, second = (path for path in segments(cache) if len(load_file(path)["rows"]) == 150)
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    assert torch.equal(opened(cache, PHRASES).rows.at(EVERY), rows_of(PHRASES).half())
    second.write_bytes(first.read_bytes())
    assert torch.equal(opened(cache, PHRASES).rows.at(EVERY), rows_of(PHRASES).half())


def test_a_store_without_checksums_gets_them_and_encodes_nothing(cache, caplog):
    for path in segments(cache):
        with safe_open(path, "pt") as file:
            metadata = {name: value for name, value in file.metadata().items() if name != "sums"}
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items() if name in ("rows", "keys")}
        path.unlink()
        save_file(tensors, path, metadata)
    shutil.rmtree(next(cache.glob("*/indexes")))
    rows = opened(cache, PHRASES, lambda phrases: pytest.fail("encoded anew")).rows
    assert torch.equal(rows.joined(), rows_of(PHRASES).half())
    assert all("has them now" in record.getMessage() for record in caplog.records) and caplog.records
    for path in segments(cache):
        change_row(path, 1, moved)
    assert torch.equal(opened(cache, PHRASES).rows.joined(), rows_of(PHRASES).half())


def test_merging_leaves_damaged_rows_out(cache, monkeypatch):
    change_row(segments(cache)[0], 0, moved)
    monkeypatch.setattr("interrogator.embeddings.compaction.MANY_SEGMENTS", 1)
    assert torch.equal(opened(cache, PHRASES).rows.joined(), rows_of(PHRASES).half())


def test_a_check_finds_what_nobody_looked_at(cache, caplog):
    assert [(lost, rows) for _, rows, lost in EmbeddingCache(cache).check()] == [(0, 400)]
    change_row(segments(cache)[0], 7, moved)
    assert [(lost, rows) for _, rows, lost in EmbeddingCache(cache).check()] == [(1, 400)]
    assert len(EmbeddingCache(cache).open(IDENTITY).missing(PHRASES)) == 1
    assert [(lost, rows) for _, rows, lost in EmbeddingCache(cache).check()] == [(0, 399)]


def test_a_copied_table_was_proved(cache):
    change_row(segments(cache)[0], 7, negated)
    rows = pickle.loads(pickle.dumps(opened(cache, PHRASES).rows))
    assert torch.equal(rows.joined(), rows_of(PHRASES).half())


def test_every_change_of_a_row_changes_its_checksum():
    rows = rows_of(PHRASES[:130]).half()
    sums = RowSums.of(rows, 5)
    assert not len(sums.wrong_of_all(rows))
    assert len(RowSums.of(rows, 6).part(64, 128).wrong_of_all(rows[64:128])) == 0
    assert len(RowSums(sums.rows, sums.numbers, None, 6).wrong_of_all(rows)) == 130
    assert sums.wrong_of_all(rows[torch.randperm(130, generator=torch.Generator().manual_seed(1))]).size > 100
    bits = rows.numpy().view(np.uint16)
    for row, column, bit in ((0, 0, 15), (64, 31, 0), (129, 7, 9)):
        bits[row, column] ^= np.uint16(1 << bit)
        assert sums.wrong_of_all(rows).tolist() == [row]
        bits[row, column] ^= np.uint16(1 << bit)
    bits[3, [3, 7]] ^= np.uint16(1 << 15)  # the highest bits of two words
    assert sums.wrong_of_all(rows).tolist() == [3]


def test_words_that_change_places_change_a_checksum():
    data = bytes(range(256)) * 40
    for size in (1, 2, 8, 64):
        other = data[:64] + data[128 : 128 + size] + data[64 + size : 128] + data[64 : 64 + size] + data[128 + size :]
        assert len(other) == len(data) and checksum(other) != checksum(data)
    assert checksum(data) != checksum(data + b"\0") and checksum(b"") != checksum(b"\0")


def test_rows_of_odd_width_have_checksums_too():
    rows = torch.nn.functional.normalize(torch.randn(70, 30, generator=torch.Generator().manual_seed(0)), dim=1).half()
    table = Rows([rows], None, [RowSums.of(rows, 1)], lambda: pytest.fail("nothing is damaged"))
    assert torch.equal(table.at([3, 69]), rows[[3, 69]]) and len(table.dots(rows[0])) == 70


def test_damage_at_random_is_said_or_changes_nothing(tmp_path):
    silent, told = cache_damage.campaign(tmp_path, 120, seed=16)
    assert silent == [] and told > 60
