"""Similarity and top-k."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interrogator.ranking import TIE, first_best, similarities, top_k

SCORES = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.1 + TIE / 10, 0.25, 0.3]), min_size=1, max_size=40)


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
    expected = sorted(range(len(scores)), key=lambda place: (-steps[place], place))[:k]
    assert top_k(torch.tensor(scores), k) == expected


@given(SCORES)
def test_first_best_is_the_earliest_of_the_highest(scores: list[float]) -> None:
    place = first_best(torch.tensor(scores))
    assert scores[place] >= max(scores) - TIE
    assert all(score < max(scores) - TIE / 2 for score in scores[:place])


def test_no_scores_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scores"):
        first_best(torch.empty(0))
