"""Similarity and top-k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interrogator.ranking import TIE, Scores, first_best, similarities, top_k
from interrogator.rows import Positions, Rows

SCORES = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.1 + TIE / 10, 0.25, 0.3]), min_size=1, max_size=40)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def near(embedding: torch.Tensor, count: int, spread: float, seed: int) -> torch.Tensor:
    """Unit rows [count, D] float16 around an embedding: a small spread makes cosines that float16 cannot tell apart."""
    rows = embedding + spread * unit(count, len(embedding), seed=seed)
    return torch.nn.functional.normalize(rows, dim=-1).half()


def in_pieces(rows: torch.Tensor, seed: int) -> Rows:
    """The rows, scattered over three pieces among rows of nobody's."""
    order = np.random.default_rng(seed).permutation(3 * len(rows))[: len(rows)]
    spread = unit(3 * len(rows), rows.shape[1], seed=seed).half()
    spread[torch.from_numpy(order)] = rows
    return Rows(list(torch.tensor_split(spread, 3)), order)


class Watched(Rows):
    """Rows that count how many of them were looked at one by one, and whose quick products may be off."""

    looked_at = 0
    off = 0.0

    def dots(self, vector: torch.Tensor) -> np.ndarray:
        products = super().dots(vector)
        return products + self.off * np.random.default_rng(0).standard_normal(len(products)).astype(np.float32)

    def at(self, positions: Positions | Sequence[int]) -> torch.Tensor:
        self.looked_at += len(positions)
        return super().at(positions)


def test_similarities_are_cosines_of_fp16_rows_computed_in_fp32() -> None:
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(50, 16), dim=-1).half()
    embedding = torch.nn.functional.normalize(torch.randn(16), dim=0)
    expected = (rows.double() @ embedding.double()).float()
    assert similarities(embedding, rows).dtype == torch.float32
    assert torch.allclose(similarities(embedding, rows), expected, atol=1e-6)


@given(SCORES, st.integers(0, 50))
def test_top_k_is_the_stable_sort_whatever_ties(scores: list[float], k: int) -> None:
    steps = [round(score / TIE) for score in torch.tensor(scores).double().tolist()]
    expected = sorted(range(len(scores)), key=lambda position: (-steps[position], position))[:k]
    assert top_k(torch.tensor(scores), k) == expected


@given(SCORES)
def test_first_best_is_the_earliest_of_the_highest(scores: list[float]) -> None:
    position = first_best(torch.tensor(scores))
    assert scores[position] >= max(scores) - TIE
    assert all(score < max(scores) - TIE / 2 for score in scores[:position])


def test_no_scores_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scores"):
        first_best(torch.empty(0))


@settings(max_examples=150)
@given(
    count=st.integers(1, 300),
    width=st.sampled_from([2, 16, 65, 512]),
    spread=st.sampled_from([0.0, 1e-4, 1e-3, 0.1, 10.0]),
    k=st.integers(0, 310),
    repeats=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_ranking_is_that_of_float32_cosines_of_all_rows(
    count: int, width: int, spread: float, k: int, repeats: bool, seed: int
) -> None:
    embedding = unit(width, seed=seed)
    rows = near(embedding, count, spread, seed + 1)
    if repeats:
        rows = rows[torch.randint(len(rows), (count,), generator=torch.Generator().manual_seed(seed))]
    scores = Scores(embedding, in_pieces(rows, seed))
    full = (rows.float() * embedding).sum(dim=-1)
    everywhere = np.arange(count)
    assert scores.highest(everywhere, k) == top_k(full, k)
    some = everywhere[::3]
    assert scores.highest(some, k) == [int(some[position]) for position in top_k(full[::3], k)]
    assert scores.tolist() == full.tolist() and scores[count - 1] == full[-1]


@settings(max_examples=60)
@given(st.integers(1, 1300), st.sampled_from([1e-4, 0.1, 10.0]), st.floats(0.1, 8), st.integers(0, 99))
def test_quick_cosines_are_within_the_bound(width: int, spread: float, length: float, seed: int) -> None:
    embedding = unit(width, seed=seed) * length
    rows = near(embedding / length, 64, spread, seed + 1)
    scores = Scores(embedding, Rows([rows]))
    quick = Rows([rows]).dots(embedding.half())
    exact = rows.double() @ embedding.double()
    assert np.abs(quick - exact.numpy()).max() <= scores.bound
    assert np.abs(quick - np.array(scores.tolist(), dtype=np.float32)).max() <= scores.bound
    assert scores.bound < 3e-3 * length, "a bound that lets all rows through would be none"


def test_few_rows_are_looked_at_one_by_one() -> None:
    rows = Watched([unit(20_000, 64, seed=1).half()])
    scores = Scores(unit(64), rows)
    assert len(scores.highest(np.arange(20_000), 100)) == 100
    assert rows.looked_at < 200
    scores.highest(np.arange(20_000), 100)
    assert rows.looked_at < 200, "nor twice"


def test_products_worse_than_the_bound_cost_time_and_no_exactness() -> None:
    plain, rows = unit(2000, 64, seed=1).half(), Watched([unit(2000, 64, seed=1).half()])
    rows.off = 0.02
    expected = Scores(unit(64), Rows([plain])).highest(np.arange(2000), 50)
    assert Scores(unit(64), rows).highest(np.arange(2000), 50) == expected


def test_a_torch_without_fp16_products_ranks_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows([unit(3000, 64, seed=1).half()])
    expected = Scores(unit(64), rows).highest(np.arange(3000), 50)
    multiply = torch.Tensor.__matmul__

    def refuse(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if left.dtype == torch.float16:
            raise RuntimeError("\"addmv_impl_cpu\" not implemented for 'Half'")
        return multiply(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", refuse)
    assert Scores(unit(64), rows).highest(np.arange(3000), 50) == expected


def test_a_place_that_is_not_there_is_an_index_error() -> None:
    scores = Scores(unit(8), Rows([unit(3, 8).half()]))
    assert len(list(scores)) == len(scores) == 3
    for position in (3, -1):
        with pytest.raises(IndexError):
            scores[position]


def test_rows_in_pieces_are_one_table() -> None:
    plain = unit(100, 8).half()
    order = np.random.default_rng(0).permutation(100)
    rows = Rows(list(torch.tensor_split(plain, 4)), order)
    assert torch.equal(rows.joined(), plain[torch.from_numpy(order)])
    assert torch.equal(rows.at([5, 5, 0]), plain[torch.from_numpy(order[[5, 5, 0]])])
    assert Rows([plain], np.arange(100)).joined().data_ptr() == plain.data_ptr()
    assert rows.to(torch.device("cpu")) is rows
    assert Rows([plain[:0]]).dots(unit(8).half()).shape == (0,)
