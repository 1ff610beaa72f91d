"""Dataset runs that check captions which were there before and stay."""

from __future__ import annotations

import json
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import interrogator
from interrogator.cli import main
from interrogator.cli.engines import loader, loader_of
from interrogator.cli.parser import build_parser
from interrogator.dataset import Record, Run, Settings
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.loader import Loader, loader_for
from interrogator.dataset.captioning.models import Models
from interrogator.dataset.captioning.result import Candidate, CaptionResult
from interrogator.demo.attributes import Creature
from interrogator.demo.creatures import creature

from .stand_in import StandIn, count, draw, names, records, run, texts

SEEDS = (1, 2, 3)


def wrong(truth: Creature) -> Creature:
    return replace(truth, kind="frog" if truth.kind != "frog" else "crab")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures: a true caption, a caption with a mistake, and none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in SEEDS:
        creature(seed)[0].save(folder / f"{seed}.png")
    (folder / "1.txt").write_text(f"\ufeff{creature(1)[1].caption}\r\n", encoding="utf-8")
    (folder / "2.txt").write_text(wrong(creature(2)[1]).caption + "\n", encoding="utf-8")
    return folder


def findings(found: Run) -> list[dict[str, Any]]:
    summary = json.loads((found.folder / "summary.json").read_text(encoding="utf-8"))
    listed: list[dict[str, Any]] = summary["findings"]
    return [each for each in listed if each["id"] == "unsupported"]


@pytest.fixture(scope="module")
def ci(one_thread: None) -> interrogator.Interrogator:
    return interrogator.load("demo", tagger="none", banks=(), device="cpu")


@pytest.mark.models
class TestModels:
    @pytest.fixture
    def work(self, ci: interrogator.Interrogator) -> Callable[..., tuple[list[Record], list[str]]]:
        """Works on a run; its records, and which models were asked for."""

        def start(found: Run) -> tuple[list[Record], list[str]]:
            asked: list[str] = []

            def load(only: frozenset[str] | None) -> Models:
                asked.append("all" if only is None else "checkers")
                captioner = ci.captioner if only is None else None
                return Models(found.settings, captioner, ci.encoder, needs=frozenset({"encoder"}))

            found.work(Loader(load), count)
            return [record for _, record in found.parts.placed(found.parts.done(found.plan))], asked

        return start

    def test_captions_that_stay_are_checked_beside_those_that_are_written(self, work: Any, folder: Path) -> None:
        found = run(folder, preset="demo", check=True, drop_unsupported=True)
        before = texts(folder)
        kept, doubtful, new = work(found)[0]
        assert [kept.status, doubtful.status, new.status] == ["kept", "kept", "done"]
        assert kept.unsupported == () and kept.scores["evidence"] > 0.6
        (words,) = doubtful.unsupported
        assert words in doubtful.caption and doubtful.flags == ("unsupported",)
        assert doubtful.width == creature(2)[0].width and doubtful.sha256 and doubtful.dhash
        assert texts(folder).items() >= before.items()  # dropping claims changes nothing that stays
        finding = next(each for each in findings(found) if each["id"] == "unsupported")
        assert finding["keys"] == ["2.png"]

    def test_without_anything_to_write_only_what_checks_is_loaded(self, work: Any, folder: Path) -> None:
        (folder / "3.txt").write_text("a photo of a bus with a clock and a bridge", encoding="utf-8")
        before = texts(folder)
        found = run(folder, preset="demo", check=True)
        checked, asked = work(found)
        assert asked == ["checkers"] and texts(folder) == before
        assert [record.status for record in checked] == ["kept"] * 3
        flagged = [record for record in checked if record.unsupported]
        worst = sorted(flagged, key=lambda record: record.scores["evidence"])
        finding = next(each for each in findings(found) if each["id"] == "unsupported")
        assert finding["keys"] == [record.key for record in worst] and len(worst) == 2
        assert found.work(lambda: pytest.fail("nothing is left"), count).counts["kept"] == 3

    def test_without_the_check_captions_that_stay_are_not_read(self, work: Any, folder: Path) -> None:
        found = run(folder, preset="demo")
        kept, *_ = work(found)[0]
        assert kept.sha256 == "" and kept.scores == {} and kept.flags == ("byte_order_mark",)

    def test_a_picture_that_cannot_be_read_keeps_its_caption(self, work: Any, folder: Path) -> None:
        (folder / "2.png").write_bytes(b"no picture")
        (folder / "3.txt").write_text("\n", encoding="utf-8")  # blank, and it stays
        found = run(folder, preset="demo", check=True)
        checked, _ = work(found)
        assert [record.status for record in checked] == ["kept"] * 3
        assert checked[1].scores == checked[2].scores == {}

    def test_rows_of_a_table_are_checked(self, work: Any, folder: Path) -> None:
        rows = [{"file_name": f"{seed}.png", "text": wrong(creature(seed)[1]).caption} for seed in SEEDS]
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        before = texts(folder)
        found = run(folder, target="jsonl", preset="demo", check=True)
        checked, asked = work(found)
        assert asked == ["checkers"] and texts(folder) == before
        assert sum("unsupported" in record.flags for record in checked) >= 2

    def test_what_is_completed_is_checked_too(self, ci: interrogator.Interrogator, folder: Path) -> None:
        rules = interrogator.dataset.CaptionRules(template="{existing}, more")
        found = run(folder, "overwrite", preset="demo", rules=rules, check=True)
        found.work(lambda: Models(found.settings, None, ci.encoder), count)
        one, two, _ = (record for _, record in found.parts.placed(found.parts.done(found.plan)))
        assert one.unsupported == () and one.scores["evidence"] > 0.6
        assert len(two.unsupported) == 1 and two.caption == f"{wrong(creature(2)[1]).caption}, more"


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
def test_the_command_checks_captions_without_a_captioner(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "3.txt").write_text(creature(3)[1].caption, encoding="utf-8")
    assert main(["caption", str(folder), "--preset", "demo", "--check", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert "0 captioned, 3 kept" in err and "captioner" not in err
    (content,) = (json.loads(path.read_bytes()) for path in (folder / ".interrogator").glob("*/run.json"))
    assert [list(each) for each in content["models"]] == [["encoder"]]
    summary = json.loads(Path(out.strip()).with_name("summary.json").read_bytes())
    assert [each["keys"] for each in summary["findings"] if each["id"] == "unsupported"] == [["2.png"]]


def test_what_other_processes_load_is_theirs_to_choose() -> None:
    args = build_parser().parse_args(["caption", "x", "--preset", "demo", "--check", "--device", "cpu"])
    for made in (loader(args, Settings(preset="demo")), loader_of(args, Settings(preset="demo"), 1)):
        assert loader_for(pickle.loads(pickle.dumps(made)), writes=False).__name__ == "for_checks"
    assert loader_for(StandIn, writes=False) is StandIn


class CheckingStandIn(StandIn):
    """Holds the first word of every second caption unsupported."""

    def check(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        assert all(set(picture.ready) == {"thumbnail"} for picture in pictures)
        return [
            CaptionResult(
                [Candidate(picture.existing or "", {"evidence": 0.25})],
                unsupported=("old",) if int(picture.item.key[2:6]) % 2 else (),
            )
            for picture in pictures
        ]


def prepared(folder: Path) -> Path:
    """24 pictures, two of three with a caption."""
    draw(folder, names(24))
    for number, each in enumerate(names(24)):
        if number % 3:
            (folder / each).with_suffix(".txt").write_text(f"old words {each}", encoding="utf-8")
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_that_is_killed_ends_with_the_same_checks(tmp_path: Path, ranks: int) -> None:
    def work(folder: Path, rank: int, before: Callable[[int], None] = lambda done: None) -> None:
        run(folder, shard_size=3, check=True).work(
            CheckingStandIn, count, lambda done, total, failed: before(done), rank=rank, world_size=ranks, threads=1
        )

    def killed_at(most: int) -> Callable[[int], None]:
        return lambda done: os.kill(os.getpid(), signal.SIGKILL) if done >= most else None

    quiet, disturbed = prepared(tmp_path / "quiet"), prepared(tmp_path / "disturbed")
    for rank in range(ranks):
        work(quiet, rank)
    for most in moments(ranks):
        for rank in range(ranks):
            if (pid := os.fork()) == 0:
                work(disturbed, rank, killed_at(most))
                os._exit(0)
            os.waitpid(pid, 0)
    for rank in range(ranks):
        work(disturbed, rank)
    found = records(run(disturbed, shard_size=3, check=True))
    assert found == records(run(quiet, shard_size=3, check=True))
    assert sum(record["status"] == "kept" and record["unsupported"] == ("old",) for record in found) == 8
    assert texts(disturbed) == texts(quiet)


def moments(ranks: int) -> Iterator[int]:
    """After how many pictures a process is killed."""
    yield from (1, 4, 10) if ranks == 1 else (1, 4)


def test_settings_that_check_need_an_encoder() -> None:
    assert Settings(preset="demo", check=True).needs == {"captioner", "encoder"}
