"""Damage to the files of an embedding cache, at random: what is ranked stays the same, or the damage is said.

`python tests/library/cache_damage.py TRIALS SEED` runs a campaign of any length.
"""

from __future__ import annotations

import hashlib
import logging
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from interrogator.embeddings import PROBE_PHRASES, BatchPolicy, EmbeddingCache, EncoderIdentity
from interrogator.embeddings.row_index import PhraseList
from interrogator.phrases import Phrases
from interrogator.ranking import Scores

WIDTH = 32
PHRASES = [f"phrase {number}" for number in range(400)]
LISTS = (PHRASES, PHRASES[5:290], PHRASES[::9])


def rows_of(phrases):
    """Unit rows [n, 32] float32 that depend on each phrase alone."""
    digests = [hashlib.blake2b(phrase.encode(), digest_size=32).digest() for phrase in phrases]
    rows = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32).astype(np.float64) - 127.5
    return torch.from_numpy((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


IDENTITY = EncoderIdentity("toy/one", "float32", "t0", rows_of(PROBE_PHRASES))
POLICY = BatchPolicy(first_batch=150, largest_batch=150, segment_rows=150)


def opened(folder, phrases, encode=rows_of):
    """The rows of a list from the cache in a folder, opened as a new process would."""
    listing = PhraseList(phrases, Phrases.of(phrases).digest, {"n": lambda: np.arange(50, dtype=np.int64)})
    return EmbeddingCache(folder, policy=POLICY).open(IDENTITY).embed_list(listing, encode)


def answers(folder):
    """What three pictures are said to be, by each list, and the notes of the lists."""
    said = []
    for phrases in LISTS:
        embedded = opened(folder, phrases)
        for picture in rows_of(["one", "two", "three"]):
            scores = Scores(picture, embedded.rows)
            best = scores.highest(np.arange(len(phrases)), 7)
            said.append([(phrases[position], scores[position]) for position in best])
        said.append(embedded.notes["n"]().tolist())
    return said


def flip(rng, files):
    path, data = _pick(rng, files)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def flip_row(rng, files):
    path, data = _pick(rng, [path for path in files if path.parent.name == "segments"])
    spot = rng.randrange(len(data) - 2 * WIDTH * 150, len(data))
    data[spot] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def swap_words(rng, files):
    path, data = _pick(rng, files)
    size = rng.choice((2, 8, 8, 64, 512))
    here, there = (rng.randrange(len(data) // size) * size for _ in range(2))
    data[here : here + size], data[there : there + size] = data[there : there + size], data[here : here + size]
    path.write_bytes(data)


def swap_files(rng, files):
    folder = rng.choice(("segments", "indexes"))
    one, other = rng.sample([path for path in files if path.parent.name == folder], 2)
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    if rng.random() < 0.5:
        other.write_bytes(data)


def swap_contents(rng, files):
    """The data of one file behind the header of another."""
    one, other = rng.sample([path for path in files if path.parent.name == "segments"], 2)
    heads = [8 + int.from_bytes(path.read_bytes()[:8], "little") for path in (one, other)]
    data, others = one.read_bytes(), other.read_bytes()
    one.write_bytes(data[: heads[0]] + others[heads[1] :])


def zero(rng, files):
    path, data = _pick(rng, files)
    start = rng.randrange(len(data)) // 64 * 64
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    path.write_bytes(data)


def cut(rng, files):
    path, data = _pick(rng, files)
    path.write_bytes(data[: rng.randrange(len(data))])


DAMAGE: tuple[Callable[[random.Random, list[Path]], None], ...] = (
    flip, flip, flip_row, flip_row, flip_row, swap_words, swap_words, swap_files, swap_contents, zero, cut,
)  # fmt: skip


class Said(logging.Handler):
    """Counts what is said."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record):
        self.count += 1


def campaign(folder: Path, trials: int, seed: int) -> tuple[list[str], int]:
    """Damage a cache `trials` times: the trials in which something changed without a word, and how many were said."""
    rng = random.Random(seed)
    whole = folder / "whole"
    expected = answers(whole)
    logger, said = logging.getLogger("interrogator"), Said()
    level = logger.level
    logger.addHandler(said)
    logger.setLevel(logging.INFO)
    silent, told = [], 0
    try:
        for trial in range(trials):
            said.count = 0
            damaged = folder / "damaged"
            shutil.copytree(whole, damaged)
            files = sorted(path for path in damaged.rglob("*.safetensors"))
            damage = rng.choice(DAMAGE)
            damage(rng, files)
            different = answers(damaged) != expected
            if different and not said.count:
                silent.append(f"{trial}: {damage.__name__}")
            elif answers(damaged) != expected:
                silent.append(f"{trial}: {damage.__name__}, still different")
            told += bool(said.count)
            shutil.rmtree(damaged)
    finally:
        logger.removeHandler(said)
        logger.setLevel(level)
    return silent, told


def _pick(rng, files):
    path = rng.choice([path for path in files if path.stat().st_size])
    return path, bytearray(path.read_bytes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found, said_count = campaign(Path(scratch), int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write("\n".join([f"{sys.argv[1]} trials, {said_count} said, {len(found)} silent", *found, ""]))
    sys.exit(bool(found))
