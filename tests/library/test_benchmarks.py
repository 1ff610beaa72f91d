"""The benchmarks run through at tiny sizes, and the page says what they found. Their numbers mean nothing here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(find_spec("clip_interrogator") is None, reason="clip-interrogator is not installed"),
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """`benchmarks` is no installed package: it is found from the repository's root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield


@pytest.mark.slow
def test_every_work_runs_and_the_page_is_written(tmp_path: Path) -> None:
    from benchmarks import results
    from benchmarks.__main__ import main
    from benchmarks.plan import chosen
    from benchmarks.sizes import TINY

    page, kept = tmp_path / "RESULTS.md", tmp_path / "kept"
    options = ["--tiny", "--pairs", "1", "--steps", "2", "--collected", str(kept), "--out", str(page)]
    assert main(options) == 0
    found = results.load_all(kept)
    assert {(result.work, result.model, result.device) for result in found} == set(chosen([], [], TINY))
    for result in found:
        assert result.skipped or result.rows or result.tables, result.work
        assert all(check.passed for check in result.checks), result.checks
    text = page.read_text(encoding="utf-8")
    for result in found:
        for row in result.rows:
            assert row.work in text and row.measured in text
        assert result.skipped in text
    before = text
    assert main([*options, "--render"]) == 0
    assert page.read_text(encoding="utf-8") == before


def test_the_ratio_of_a_pair_is_the_peers_time_over_ours() -> None:
    from benchmarks.timing import Pairs, Run

    pairs = Pairs([Run(8.0, 5, None), Run(2.0, 7, None)], [Run(2.0, None, None), Run(1.0, None, None)])
    assert pairs.ratios == [4.0, 2.0]
    assert pairs.median == 3.0
    assert pairs.of_sums == pytest.approx(10 / 3)
    assert pairs.peaks() == (7, None)
    assert pairs.words() == "3.0x (2.0 to 4.0, 2 pairs)"


def test_both_sides_take_turns_in_going_first() -> None:
    from benchmarks.timing import Clock, in_turn

    order: list[str] = []
    in_turn(lambda: order.append("peer"), lambda: order.append("ours"), 3, Clock("cpu"))
    assert order == ["peer", "ours", "ours", "peer", "peer", "ours"]


def test_positions_are_counted_once_where_texts_begin_alike() -> None:
    import torch

    from benchmarks.models import clip
    from benchmarks.works.steps import encoded_nodes, needed_nodes, our_step, step_flops

    encoder = clip("tiny").encoder()
    # start, "a", "cat", ",", then "red" and "blue" with an end each
    phrases = ["red", "blue"]
    assert needed_nodes(encoder, "a cat", phrases) == 4 + 2 * 2
    before = encoded_nodes(encoder)
    our_step(encoder, torch.eye(32)[0], "a cat", phrases)
    assert encoded_nodes(encoder) - before == 8
    last = 4 * 32 * 32 * 8 + 20 * 32 * 32 * 2
    assert step_flops(8, 2, width=32, layers=2, embed_dim=16) == 24 * 32 * 32 * 8 + last + 2 * 32 * 16 * 2


def test_a_failed_check_takes_the_mark_from_the_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import report, running
    from benchmarks.plan import Task
    from benchmarks.results import Check, Result, Row
    from benchmarks.sizes import TINY
    from benchmarks.works import rank

    def run(task: Task) -> Result:
        found = Result(task.work, task.model, task.device, rows=[Row("a work", "2x", "9.0x", True)])
        found.checks.append(Check("both rank alike", False))
        return found

    monkeypatch.setattr(rank, "run", run)
    result, _ = running.run("rank", "tiny", "cpu", 1, 1, TINY, tmp_path)
    text = report.render([result])
    assert "| a work | at least 2x | 9.0x | **no** |" in text
    assert "**FAILED**: rank tiny, both rank alike" in text
