"""PhraseTable: what stands in which slot, how often, and that opening it again looks at nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interrogator import BankError, EmbeddingCache, Interrogator, PhraseBank
from interrogator.banks import saved_lists
from interrogator.embeddings import ListRows, PhraseList
from interrogator.phrases import Phrases
from interrogator.pipeline.phrase_table import PhraseTable
from interrogator.rows import Rows

from .bare_models import BareEncoder, rows_of
from .waiting import LAST_RESORT

ROOT = Path(__file__).parents[2]


class Encoder(BareEncoder):
    """Counts the texts that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[str] = []

    def encode_texts(self, texts: Sequence[str], *args: Any, **given: Any) -> torch.Tensor:
        self.encoded += texts
        return super().encode_texts(texts, *args, **given)


class Tokenizing(Encoder):
    """An encoder that keeps tokens: those of a text are its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenized = 0

    def token_ids(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        encoded = [text.encode() for text in texts]
        self.tokenized += len(encoded)
        return np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(np.int32), np.cumsum([*map(len, encoded)])

    def remember_tokens(self, texts: Sequence[str], ids: np.ndarray, ends: np.ndarray) -> None:
        raise AssertionError("a table tells nobody")


def in_memory(listing: PhraseList) -> ListRows:
    return ListRows(Rows([rows_of(list(listing.phrases)).half()]), listing.notes)


def table_of(*banks: PhraseBank, encoder: object = None) -> PhraseTable:
    return PhraseTable(banks, in_memory, encoder)


def bank(name: str, *phrases: str, quota: int | None = None) -> PhraseBank:
    return PhraseBank.from_phrases(name, phrases).limited(quota)


BANKS = (
    bank("artists", "by A", "by B"),
    bank("mediums", "oil", "pencil"),
    bank("mine", "OIL", "soft", "glow"),
    bank("flavors", "8k", "Soft", "neon"),
    bank("negative", "ugly", "8K", "glow", "blur"),
)


def test_indices_go_bank_after_bank() -> None:
    table = table_of(*BANKS)
    assert list(table.texts) == [phrase for bank in BANKS for phrase in bank.phrases] and len(table.texts) == 14
    assert [bank.name for bank in table.banks] == [bank.name for bank in BANKS for _ in bank.phrases]
    assert (table.texts[4], table.banks[4].name, table.texts[-1]) == ("OIL", "mine", "blur")
    assert table.slot("mediums").tolist() == [2, 3]
    assert table.slot("flavors").tolist() == table.bank("flavors").tolist() == [4, 5, 6, 7, 8, 9]
    assert table.slot("sites").tolist() == []
    assert table.bank("mine").tolist() == [4, 5, 6]
    with pytest.raises(BankError, match=r"nonsense.*artists, mediums, mine"):
        table.bank("nonsense")


def test_a_phrase_counts_for_its_first_bank_and_negative_ones_do_not() -> None:
    assert table_of(*BANKS).merged.tolist() == [0, 1, 2, 3, 5, 6, 7, 9]


def test_embeddings_and_scores_are_those_of_the_phrases() -> None:
    table = table_of(*BANKS)
    rows = rows_of([table.texts[9], table.texts[0]]).half().float()
    assert torch.equal(table.embeddings([9, 0]), rows) and table.embeddings([9, 0]).dtype == torch.float32
    scores = table.scores(rows[0])
    assert scores[9] == pytest.approx(1, abs=1e-3) and len(scores) == 14
    assert table.top(scores, table.merged, 1) == [9]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.none() | st.integers(0, 6)), min_size=1, max_size=5),
    st.integers(0, 60),
    st.integers(0, 9),
)
def test_top_takes_the_best_within_quotas(sizes: list[tuple[int, int | None]], k: int, seed: int) -> None:
    banks = [
        bank(f"bank{number}", *(f"{number} {i}" for i in range(size)), quota=quota)
        for number, (size, quota) in enumerate(sizes)
    ]
    table = table_of(*banks)
    scores = table.scores(rows_of([str(seed)])[0])
    taken: list[int] = []
    for position in scores.highest(table.merged, len(table.merged)):
        own = table.banks[position]
        if own.quota is None or sum(table.banks[other] is own for other in taken) < own.quota:
            taken.append(position)
    assert table.top(scores, table.merged, k) == taken[:k]


def test_token_ids_are_kept_for_an_encoder_that_has_them() -> None:
    table = table_of(*BANKS, encoder=Tokenizing())
    kept = table.tokens([12, 0, 12])
    assert kept is not None
    ids, ends = kept
    assert bytes(ids.astype(np.uint8)) == b"glowby Aglow" and ends.tolist() == [4, 8, 12]
    assert (ids.dtype, ends.dtype) == (np.int32, np.int64)
    nothing = table.tokens([])
    assert nothing is not None and len(nothing[0]) == len(nothing[1]) == 0
    assert table_of(*BANKS, encoder=Encoder()).tokens([0]) is None


def interrogator(encoder: Encoder, banks: Sequence[PhraseBank], folder: Path) -> Interrogator:
    return Interrogator(None, encoder, banks, EmbeddingCache(folder))


def large_file(folder: Path) -> Path:
    path = folder / "large.txt"
    path.write_text("".join(f"phrase number {number}\n" for number in range(5000)), encoding="utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(saved_lists, "SETTLED_SECONDS", 0.0)
    return tmp_path / "home"


def test_opening_a_table_again_looks_at_no_phrase(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, mine = large_file(tmp_path), bank("mediums", "oil", "Phrase Number 7")
    first = Tokenizing()
    made = interrogator(first, [PhraseBank.from_file(path), mine], tmp_path / "cache").table()
    assert len(first.encoded) == first.tokenized == 5002
    asked: list[int] = []
    text, texts = Phrases.__getitem__, Phrases.__iter__
    monkeypatch.setattr("interrogator.banks.formats.read_text", lambda path: pytest.fail(f"{path} was read"))
    monkeypatch.setattr(Phrases, "__getitem__", lambda self, position: asked.append(position) or text(self, position))
    monkeypatch.setattr(Phrases, "__iter__", lambda self: asked.append(-1) or texts(self))
    again = Tokenizing()
    table = interrogator(again, [PhraseBank.from_file(path), mine], tmp_path / "cache").table()
    embedding = rows_of(["phrase number 77"])[0]
    best = table.top(table.scores(embedding), table.merged, 3)
    assert (again.encoded, again.tokenized, asked) == ([], 0, [])
    assert table.texts[best[0]] == "phrase number 77" and len(asked) == 1
    assert np.array_equal(table.merged, made.merged) and len(table.merged) == 5001
    kept = table.tokens([77])
    assert kept is not None and bytes(kept[0].astype(np.uint8)) == b"phrase number 77" and again.tokenized == 0


def test_a_table_that_was_kept_without_token_ids_gets_them(tmp_path: Path) -> None:
    banks = [bank("mediums", *(f"medium {number}" for number in range(40)))]
    interrogator(Encoder(), banks, tmp_path).table()
    encoder = Tokenizing()
    for _ in range(2):
        assert interrogator(encoder, banks, tmp_path).table().tokens([3]) is not None
    assert encoder.encoded == [] and encoder.tokenized == 40
    assert interrogator(Encoder(), banks, tmp_path).table().tokens([3]) is None


def test_a_table_knows_its_banks_apart(tmp_path: Path) -> None:
    """The same phrases in the same order, but another bank is the negative one: other positions are merged."""
    one, two = [f"a {number}" for number in range(20)], [f"b {number}" for number in range(20)]
    for names, merged in ((("mediums", "negative"), range(20)), (("negative", "mediums"), range(20, 40)),
                          (("mediums", "artists"), range(40))):  # fmt: skip
        banks = [PhraseBank.from_phrases(name, phrases) for name, phrases in zip(names, (one, two), strict=True)]
        for _ in range(2):
            assert interrogator(Encoder(), banks, tmp_path).table().merged.tolist() == list(merged)


def test_a_table_in_memory_ranks_like_one_from_disk(tmp_path: Path) -> None:
    banks = [bank("mediums", *(f"medium {number}" for number in range(300)))]
    kept = interrogator(Encoder(), banks, tmp_path).table()
    memory = Interrogator(None, Encoder(), banks).table()
    embedding = rows_of(["a picture"])[0]
    for table in (interrogator(Encoder(), banks, tmp_path).table(), memory):
        scores = table.scores(embedding)
        assert scores.tolist() == kept.scores(embedding).tolist()
        assert table.candidates(scores, table.merged, 40) == kept.candidates(scores, kept.merged, 40)


OPEN = """
import sys
from pathlib import Path
from tests.library.test_table import Tokenizing, interrogator
from interrogator import PhraseBank
from interrogator.banks import saved_lists
saved_lists.SETTLED_SECONDS = 0.0
encoder = Tokenizing()
table = interrogator(encoder, [PhraseBank.from_file(sys.argv[1])], Path(sys.argv[2])).table()
ids, ends = table.tokens([4999])
assert bytes(ids.tolist()) == b"phrase number 4999" and table.texts[4999] == "phrase number 4999"
print(len(encoder.encoded), encoder.tokenized)
"""


def test_processes_that_open_a_table_at_once_agree(tmp_path: Path) -> None:
    path = large_file(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INTERROGATOR_HOME": str(tmp_path / "home"),
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-c", OPEN, str(path), str(tmp_path / "cache")]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    for process in [start(), start()]:
        out, err = process.communicate(timeout=LAST_RESORT)
        assert process.returncode == 0, err
    out, err = start().communicate(timeout=LAST_RESORT)
    assert out.split() == ["0", "0"], err
