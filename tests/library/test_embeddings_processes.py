"""Real processes: killed at any moment, two at once, a disk that is full, a folder that may not be written."""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from interrogator.embeddings import PROBE_PHRASES, EmbeddingCache, EncoderIdentity

from .waiting import LAST_RESORT, wait_until

ROOT = Path(__file__).resolve().parents[2]
PHRASES = [f"phrase {number}" for number in range(200)]


def rows_of(phrases):
    """Unit rows [n, 32] float32 that depend on each phrase alone."""
    digests = [hashlib.blake2b(phrase.encode(), digest_size=32).digest() for phrase in phrases]
    rows = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32).astype(np.float64) - 127.5
    return torch.from_numpy((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def identity():
    return EncoderIdentity("toy/one", "float32", "t0", rows_of(PROBE_PHRASES))


PRELUDE = f"""
import hashlib, logging, os, sys, time
import numpy as np, torch
torch.set_num_threads(1)
logging.basicConfig(level=logging.INFO, format="LOG %(message)s", stream=sys.stdout)
from interrogator.embeddings import PROBE_PHRASES, EmbeddingCache, EncoderIdentity, BatchPolicy
{inspect.getsource(rows_of)}
{inspect.getsource(identity)}
PHRASES = [f"phrase {{number}}" for number in range(200)]
asked = []
def encode(phrases):
    asked.extend(phrases)
    return rows_of(phrases)
def check(table, phrases=PHRASES):
    assert torch.equal(table, rows_of(phrases).half()), "wrong table"
folder = sys.argv[1]
policy = BatchPolicy(first_batch=2, largest_batch=2, segment_rows=10)
"""

BUILD_SLOWLY = (
    PRELUDE
    + """
log = open(sys.argv[2], "a")
def slow(phrases):
    log.write("\\n".join(phrases) + "\\n")
    log.flush()
    time.sleep(0.02)
    return rows_of(phrases)
print("ready", flush=True)
check(EmbeddingCache(folder, policy=policy).open(identity()).table(PHRASES, slow))
print("done", flush=True)
"""
)


def start(script, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)  # fmt: skip


def finish(process):
    out, err = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0, err
    return out


def temps(folder):
    return [path for path in Path(folder).rglob("*") if path.name.endswith(".interrogator-tmp")]


def _lines(log):
    return log.read_text(encoding="utf-8").splitlines()


def _wait_for_lines(process, log, count):
    wait_until(lambda: process.poll() is not None or len(_lines(log)) > count, f"{count} phrases are encoded")


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    cache, log = tmp_path / "cache", tmp_path / "log"
    chance = random.Random(20)
    finished: set[str] = set()
    for _ in range(3):
        log.write_text("", encoding="utf-8")
        process = start(BUILD_SLOWLY, cache, log)
        assert process.stdout and process.stdout.readline() == "ready\n"
        enough = chance.randint(12, 60)  # a segment at least is whole by then
        _wait_for_lines(process, log, enough)
        process.kill()
        process.communicate()
        encoded = _lines(log)
        assert not finished & set(encoded), "a finished row was encoded again"
        left = EmbeddingCache(cache).open(identity()).missing(PHRASES)
        now = set(PHRASES) - set(left)
        assert finished <= now, "a finished row was lost"
        # What a kill may cost: the rows of one segment and the batch in hand.
        assert len(set(encoded) - now) <= 10 + 2
        finished = now
    assert finished, "no round got anywhere: the test shows nothing"
    asked: list[str] = []

    def encode(phrases):
        asked.extend(phrases)
        return rows_of(phrases)

    table = EmbeddingCache(cache).open(identity()).table(PHRASES, encode)
    assert torch.equal(table, rows_of(PHRASES).half()) and asked == sorted(set(PHRASES) - finished)
    assert len(EmbeddingCache(cache).list()) == 1


@pytest.mark.slow
def test_two_processes_build_the_same_list_at_once(tmp_path):
    cache = tmp_path / "cache"
    both = [start(BUILD_SLOWLY, cache, tmp_path / f"log{number}") for number in range(2)]
    for process in both:
        assert "LOG" not in finish(process)
    assert len(EmbeddingCache(cache).list()) == 1, "both ended in one store"
    asked: list[str] = []
    longer = [*PHRASES, "x"]
    table = EmbeddingCache(cache).open(identity()).table(longer, lambda batch: asked.extend(batch) or rows_of(batch))
    assert asked == ["x"] and torch.equal(table, rows_of(longer).half()) and not temps(cache)


FULL_DISK = (
    PRELUDE
    + """
import resource
store = EmbeddingCache(folder, policy=BatchPolicy(first_batch=50, largest_batch=50, segment_rows=50)).open(identity())
store.add(PHRASES[:20], rows_of(PHRASES[:20]))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
for _ in range(2):
    check(store.table(PHRASES, encode))
assert sorted(asked) == sorted(PHRASES[20:]) and not store.writable
assert store.missing(PHRASES) == []
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_costs_a_warning_and_nothing_else(tmp_path):
    out = finish(start(FULL_DISK, tmp_path))
    assert out.count("LOG") == 1 and str(tmp_path) in out and "cannot be written" in out
    assert not temps(tmp_path)
    assert EmbeddingCache(tmp_path).open(identity()).missing(PHRASES) == PHRASES[20:]


FULL_FROM_THE_START = (
    PRELUDE
    + """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
check(EmbeddingCache(folder).open(identity()).table(PHRASES, encode))
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_disk_that_was_full_before_leaves_no_half_store(tmp_path):
    out = finish(start(FULL_FROM_THE_START, tmp_path / "cache"))
    assert out.count("LOG") == 1 and "cannot be written" in out
    assert list((tmp_path / "cache").iterdir()) == []


READ_ONLY = (
    PRELUDE
    + """
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
store = EmbeddingCache(folder, policy=policy).open(identity())
check(store.table(PHRASES, encode))
check(store.table(PHRASES[:50], encode), PHRASES[:50])
check(EmbeddingCache(folder).open(identity()).table(PHRASES[:100], encode), PHRASES[:100])
print("ASKED", len(asked))
"""
)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("kept", [0, 100])
def test_a_read_only_cache_is_read_and_the_rest_stays_in_memory(kept):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        os.chmod(place, 0o755)
        folder = Path(place, "cache")
        folder.mkdir()
        if kept:
            EmbeddingCache(folder).open(identity()).table(PHRASES[:kept], rows_of)
        everything = [folder, *folder.rglob("*")]
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            out = finish(start(READ_ONLY, folder))
        finally:
            for path in everything:
                path.chmod(0o755)
        again = 0 if kept else 100  # rows in memory are the store object's own
        assert f"ASKED {200 - kept + again}" in out
        # Two cache objects, of which the second has something to write only where nothing was kept.
        assert out.count("LOG") == out.count("cannot be written") == (1 if kept else 2)


HOLD = (
    PRELUDE
    + """
store = EmbeddingCache(folder).open(identity())
print("open", flush=True)
sys.stdin.read()
"""
)


def test_no_merge_while_another_process_reads(tmp_path):
    pytest.importorskip("fcntl")
    store = EmbeddingCache(tmp_path).open(identity())
    for phrase in PHRASES[:66]:
        store.add([phrase], rows_of([phrase]))
    segments = store.path / "segments"
    reader = start(HOLD, tmp_path, stdin=subprocess.PIPE)
    assert reader.stdout and reader.stdout.readline() == "open\n"
    store.close()
    EmbeddingCache(tmp_path).open(identity()).close()
    assert len(list(segments.iterdir())) == 66
    finish(reader)
    EmbeddingCache(tmp_path).open(identity()).close()
    assert len(list(segments.iterdir())) == 1


MERGE = (
    PRELUDE
    + """
from interrogator.embeddings import compaction
write = compaction.write_segment
def write_and_die(*arguments, **options):
    write(*arguments, **options)
    os.kill(os.getpid(), 9)
if sys.argv[2] == "die between":
    compaction.write_segment = write_and_die
print("ready", flush=True)
EmbeddingCache(folder).open(identity())
print("merged")
"""
)


@pytest.mark.slow
def test_killed_while_merging_loses_nothing(tmp_path):
    pytest.importorskip("fcntl")
    store = EmbeddingCache(tmp_path).open(identity())
    for phrase in PHRASES:
        store.add([phrase], rows_of([phrase]))
    store.close()
    for when in ("soon", "die between", "later"):
        process = start(MERGE, tmp_path, when)
        assert process.stdout and process.stdout.readline() == "ready\n"
        if when != "die between":
            time.sleep(0.005 if when == "soon" else 0.1)
            process.kill()
        out, _ = process.communicate(timeout=LAST_RESORT)
        assert when != "die between" or (process.returncode == -9 and not out)
    table = EmbeddingCache(tmp_path).open(identity()).table(PHRASES, lambda batch: pytest.fail(f"{batch} again"))
    assert torch.equal(table, rows_of(PHRASES).half())
    assert len(EmbeddingCache(tmp_path).list()) == 1
