"""Runs over a folder with a stand-in for the models: what is written, what stops a run, and how it goes on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image

from interrogator.dataset import CaptionRules, Item, Record, Run, Settings
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.result import Candidate, CaptionResult
from interrogator.dataset.state.locks import RunLock
from interrogator.dataset.state.plan import Plan
from interrogator.errors import RequestError, RunStopped

from .stand_in import StandIn, count, draw, left_behind, names, records, run, texts
from .waiting import LAST_RESORT, wait_until


def never() -> StandIn:
    raise AssertionError("nothing is left to caption, so no model may be loaded")


def captions(folder: Path) -> dict[str, str]:
    """Sidecars by the picture they are beside, without the colour."""
    return {name.removesuffix(".txt"): text.decode().rpartition(" in ")[0] for name, text in texts(folder).items()}


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def work(folder: Path, models: Callable[[], Any] = StandIn, **values: Any) -> Any:
    """Run over a folder; arguments of `Run.work` and of `run` alike."""
    own = {name: values.pop(name) for name in ("watch", "retry_failed", "rank", "world_size", "threads")
           if name in values}  # fmt: skip
    return run(folder, **values).work(models, count, **own)


class TestARun:
    def test_writes_a_caption_beside_every_picture_and_says_what_it_did(self, tmp_path: Path) -> None:
        draw(tmp_path, names(20))
        told: list[tuple[int, int, int]] = []
        summary = work(tmp_path, watch=lambda *numbers: told.append(numbers))
        assert captions(tmp_path) == {name[:-4]: f"a thing called {name}" for name in names(20)}
        assert summary.counts == {"done": 20, "kept": 0, "failed": 0} and summary.total == 20
        assert summary.report is not None and summary.report.exists() and summary.findings is not None
        assert told[0] == (0, 20, 0) and told[-1] == (20, 20, 0)
        found = records(run(tmp_path))
        assert [record["key"] for record in found] == sorted(names(20))
        first = found[0]
        assert first["width"] == first["height"] == 8 and len(first["sha256"]) == 64 and len(first["dhash"]) == 16
        assert first["tokens"] == 6 and first["existing"] is None
        assert not left_behind(tmp_path)

    def test_a_record_has_the_full_size_of_a_picture_that_is_shrunk_as_it_is_read(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("L", (8200, 4200)).save(tmp_path / "large.jpg", exif=exif)
        work(tmp_path)
        (found,) = records(run(tmp_path))
        assert (found["width"], found["height"]) == (4200, 8200)

    def test_tells_how_far_it_is_within_a_shard(self, tmp_path: Path) -> None:
        draw(tmp_path, names(30))
        told: list[int] = []
        work(tmp_path, shard_size=15, watch=lambda done, total, failed: told.append(done))
        assert told == sorted(told) and set(told) == set(range(31))

    def test_says_with_what_it_was_made(self, tmp_path: Path) -> None:
        class Described(StandIn):
            def described(self) -> dict[str, Any]:
                return {"captioner": {"name": "stand-in", "weights": "01"}}

        draw(tmp_path, names(2))
        work(tmp_path, Described, seed=7)
        told = json.loads((run(tmp_path, seed=7).folder / "run.json").read_text(encoding="utf-8"))
        assert told["settings"]["seed"] == 7 and told["asked"]["sources"] == [str(tmp_path)]
        assert {"interrogator", "torch", "transformers", "pillow"} <= told["versions"].keys()
        assert told["models"] == [{"captioner": {"name": "stand-in", "weights": "01"}}]

    def test_warns_when_it_goes_on_with_other_weights(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        class Described(StandIn):
            weights = "01"

            def described(self) -> dict[str, Any]:
                return {"captioner": {"name": "stand-in", "weights": self.weights, "device": self.weights}}

        draw(tmp_path, ["a.png"])
        work(tmp_path, Described)
        draw(tmp_path, ["b.png"])
        work(tmp_path, Described)
        assert not caplog.records
        draw(tmp_path, ["c.png"])
        Described.weights = "02"
        work(tmp_path, Described)
        assert "other weights" in caplog.text

    @pytest.mark.parametrize("size", [1, 3, 7, 64])
    def test_the_size_of_shards_changes_nothing(self, tmp_path: Path, size: int) -> None:
        draw(tmp_path, names(10))
        work(tmp_path, shard_size=size)
        assert len(texts(tmp_path)) == 10
        assert [record["key"] for record in records(run(tmp_path, shard_size=size))] == sorted(names(10))

    def test_loads_no_model_where_nothing_is_to_be_captioned(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "b.png"])
        for name in ("a", "b"):
            (tmp_path / name).with_suffix(".txt").write_text("old words\n", encoding="utf-8")
        (tmp_path / "c.png").mkdir()
        assert work(tmp_path, never).counts == {"done": 0, "kept": 2, "failed": 1}

    def test_over_no_pictures_is_no_error(self, tmp_path: Path) -> None:
        summary = work(tmp_path, never)
        assert summary.total == 0 and summary.report is None

    @pytest.mark.parametrize(
        ("given", "values"),
        [("SOURCE twice", {}), ("nothing", {}), ("folder", {"shard_size": 0}), ("folder", {"target": "txt2"})],
    )
    def test_that_cannot_be_is_refused_before_anything_is_written(
        self, tmp_path: Path, given: str, values: dict[str, Any]
    ) -> None:
        draw(tmp_path, ["a.png"])
        sources = {"SOURCE twice": [tmp_path, tmp_path], "nothing": [], "folder": [tmp_path]}[given]
        with pytest.raises(RequestError):
            Run(sources, Settings(), **values)
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

    @pytest.mark.parametrize("values", [{"rank": 2, "world_size": 2}, {"threads": 0}, {"world_size": 0}])
    def test_numbers_out_of_range_are_refused(self, tmp_path: Path, values: dict[str, Any]) -> None:
        draw(tmp_path, ["a.png"])
        with pytest.raises(RequestError):
            work(tmp_path, never, **values)

    def test_two_pictures_with_one_caption_file_are_no_accident(self, tmp_path: Path) -> None:
        """Whatever shards they are in: the second may not overwrite, or be appended to, the caption of the first."""
        draw(tmp_path, ["a.bmp", "a.gif", "a.k.png", "a.png", "b.png"])
        summary = work(tmp_path, policy="append", shard_size=1)
        assert captions(tmp_path) == {
            "a": "a thing called a.bmp", "a.k": "a thing called a.k.png", "b": "a thing called b.png"
        }  # fmt: skip
        assert summary.counts == {"done": 3, "kept": 0, "failed": 2}
        reasons = {record["key"]: record["reason"] for record in records(run(tmp_path, "append", shard_size=1))}
        assert "same caption file" in reasons["a.gif"] and "same caption file" in reasons["a.png"]
        draw(tmp_path, ["b.jpg"])
        assert work(tmp_path, policy="append", shard_size=1).counts["failed"] == 3

    def test_a_name_that_a_table_cannot_hold_has_failed(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png"])
        (tmp_path / os.fsdecode(b"\xff.png")).write_bytes((tmp_path / "a.png").read_bytes())
        summary = work(tmp_path, target="jsonl")
        assert summary.counts == {"done": 1, "kept": 0, "failed": 1}
        assert [row["file_name"] for row in rows(tmp_path)] == ["a.png"]
        assert work(tmp_path, never, target="jsonl").counts == summary.counts

    def test_odd_names_have_their_captions(self, tmp_path: Path) -> None:
        odd = ["a b.png", "ä.png", "a\nb.png", "-x.png", "a'\".png", "1.2.3.png", os.fsdecode(b"\xfe.png"),
               "x" * 251 + ".png", "sub.png/in.png"]  # fmt: skip
        draw(tmp_path, odd)
        summary = work(tmp_path)
        # The folder called sub.png is told, and what is in it captioned; 255 bytes leave a caption room.
        assert summary.counts == {"done": len(odd), "kept": 0, "failed": 1}
        assert len(texts(tmp_path)) == len(odd)


class TestPolicies:
    EXPECTED: ClassVar = {
        "skip": ["old one", "", "new"],
        "overwrite": ["new", "new", "new"],
        "append": ["old one, new", "new", "new"],
        "prepend": ["new, old one", "new", "new"],
        "if-empty": ["old one", "new", "new"],
    }

    @pytest.mark.parametrize("policy", EXPECTED)
    @pytest.mark.parametrize("target", ["txt", "jsonl"])
    def test_decide_about_the_text_that_was_there(self, tmp_path: Path, policy: str, target: str) -> None:
        draw(tmp_path, ["a.png", "b.png", "c.png"])
        if target == "txt":
            (tmp_path / "a.txt").write_text("old one\n")
            (tmp_path / "b.txt").write_text(" \n")
        else:
            lines = [{"file_name": "a.png", "text": "old one"}, {"file_name": "b.png", "text": ""}]
            (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        before = texts(tmp_path)
        rules = CaptionRules(replace_regex=((r"^a thing.*", "new"),))
        for _ in range(2):  # the second time, nothing is left to do
            work(tmp_path, policy=policy, target=target, rules=rules)
            if target == "txt":
                found = [(tmp_path / f"{stem}.txt").read_text().strip() for stem in "abc"]
            else:
                found = [row["text"] for row in rows(tmp_path)]
            assert found == self.EXPECTED[policy]
        told = records(run(tmp_path, policy, target, rules=rules))
        assert [record["existing"] for record in told] == (["old one\n", " \n", None] if target == "txt" else
                                                         ["old one", "", None])  # fmt: skip
        assert run(tmp_path, policy, target, rules=rules).undo() == []
        after = texts(tmp_path)
        assert {name: text for name, text in after.items() if text} == before

    def test_a_preview_counts_and_writes_nothing(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "b.png", "c.png"])
        (tmp_path / "a.txt").write_text("old")
        (tmp_path / "d.png").mkdir()
        assert run(tmp_path).preview() == {"caption": 2, "kept": 1, "failed": 1, "done": 0}
        assert not (tmp_path / ".interrogator").exists()
        work(tmp_path, policy="overwrite")
        draw(tmp_path, ["e.png"])
        assert run(tmp_path, "overwrite").preview() == {"caption": 1, "kept": 0, "failed": 1, "done": 3}
        assert run(tmp_path, "overwrite").preview(retry_failed=True)["failed"] == 1


class TestGoingOn:
    def test_a_finished_run_does_nothing(self, tmp_path: Path) -> None:
        draw(tmp_path, names(12))
        first = work(tmp_path)
        page = first.report.stat()
        again = work(tmp_path, never)
        assert (again.counts, again.total, again.report) == (first.counts, first.total, first.report)
        assert again.report.stat().st_mtime_ns == page.st_mtime_ns
        assert again.findings.as_dict() == first.findings.as_dict()

    def test_pictures_that_came_are_captioned_and_only_they(self, tmp_path: Path) -> None:
        draw(tmp_path, names(10))
        work(tmp_path)
        draw(tmp_path, ["new/a.png", "new/b.png", "0.png"])
        seen: list[str] = []

        class Seeing(StandIn):
            def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
                seen.extend(picture.item.key for picture in pictures)
                return super().write(pictures, progress)

        summary = work(tmp_path, Seeing)
        assert sorted(seen) == ["0.png", "new/a.png", "new/b.png"]
        assert summary.counts["done"] == summary.total == 13

    @pytest.mark.parametrize("target", ["txt", "jsonl", "csv", "kohya-json", "parquet"])
    def test_what_somebody_wrote_since_stays_and_what_is_gone_comes_back(self, tmp_path: Path, target: str) -> None:
        draw(tmp_path, ["a.png", "b.png", "c.png"])
        work(tmp_path, target=target)
        if target == "txt":
            (tmp_path / "a.txt").write_text("mine")
            (tmp_path / "b.txt").unlink()
            (tmp_path / "c.txt").unlink()
            (tmp_path / "c.png").unlink()  # and its picture: it is not wanted any more
            work(tmp_path, never, target=target)
            assert (tmp_path / "a.txt").read_text() == "mine"
            assert captions(tmp_path).keys() == {"a", "b"}
            return
        if target == "jsonl":
            kept = rows(tmp_path)
            kept[0]["text"] = "mine"
            (tmp_path / "c.png").unlink()
            (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept[:1]))
            draw(tmp_path, ["d.png"])
            work(tmp_path, target=target)
            assert sorted(row["file_name"] for row in rows(tmp_path)) == ["a.png", "b.png", "d.png"]
            assert {row["text"] for row in rows(tmp_path) if row["file_name"] == "a.png"} == {"mine"}
            return
        file = next(path for path in tmp_path.iterdir() if path.suffix in (".csv", ".json", ".parquet"))
        file.unlink()
        work(tmp_path, never, target=target)
        again = run(tmp_path, target=target)
        assert all(again.target.existing(Item(name)) for name in ("a.png", "b.png", "c.png"))

    def test_a_picture_that_went_has_failed_only_if_it_was_not_done(self, tmp_path: Path) -> None:
        draw(tmp_path, names(24))

        def stop(done: int, total: int, failed: int) -> None:
            if done >= 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work(tmp_path, watch=stop)
        done = {record["key"] for record in records(run(tmp_path))}
        assert done and len(done) < 24
        gone = [min(done), max(set(names(24)) - done)]
        for name in gone:
            (tmp_path / name).unlink()
        summary = work(tmp_path)
        assert summary.counts == {"done": 23, "kept": 0, "failed": 1}
        failed = [record for record in records(run(tmp_path)) if record["status"] == "failed"]
        assert [(record["key"], record["reason"]) for record in failed] == [(gone[1], "no such file")]

    def test_failed_ones_are_tried_again_when_asked(self, tmp_path: Path) -> None:
        draw(tmp_path, names(20))
        broken = [names(20)[place] for place in (3, 9, 17)]
        whole = {name: (tmp_path / name).read_bytes() for name in broken}
        for name in broken:
            (tmp_path / name).write_bytes(whole[name][:40])
        assert work(tmp_path, target="jsonl").counts["failed"] == 3
        for name in broken[:2]:
            (tmp_path / name).write_bytes(whole[name])
        assert work(tmp_path, never, target="jsonl").counts["failed"] == 3
        again = work(tmp_path, target="jsonl", retry_failed=True)
        assert again.counts == {"done": 19, "kept": 0, "failed": 1} and again.total == 20
        assert len(rows(tmp_path)) == 19 and again.findings.total == 20
        found = records(run(tmp_path, target="jsonl"))
        assert [record["key"] for record in found] == sorted(names(20))
        (tmp_path / broken[2]).write_bytes(whole[broken[2]])
        last = work(tmp_path, target="jsonl", retry_failed=True)
        assert last.counts == {"done": 20, "kept": 0, "failed": 0}
        one = run(tmp_path, target="jsonl")
        assert list(one.parts.failed(one.parts.done(one.plan))) == []
        assert work(tmp_path, never, target="jsonl", retry_failed=True).counts == last.counts

    def test_what_was_in_the_way_of_a_failed_one_may_be_gone(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.gif", "a.png", "b.gif", "c.png"])
        (tmp_path / "d.png").symlink_to("nowhere.png")
        (tmp_path / "b.png").mkdir()
        assert work(tmp_path).counts == {"done": 3, "kept": 0, "failed": 3}
        (tmp_path / "b.png").rmdir()
        (tmp_path / "d.png").unlink()
        draw(tmp_path, ["b.png", "d.png"])  # of which b.png would now take the caption of b.gif
        assert work(tmp_path, retry_failed=True).counts == {"done": 4, "kept": 0, "failed": 2}
        assert captions(tmp_path)["a"] == "a thing called a.gif" and captions(tmp_path)["b"] == "a thing called b.gif"
        assert captions(tmp_path)["d"] == "a thing called d.png"

    def test_failed_ones_of_tars_are_tried_again(self, tmp_path: Path) -> None:
        """Captions as tars come in the order of the source, whenever each was made."""
        (tmp_path / "in").mkdir()
        picture = io.BytesIO()
        Image.new("RGB", (4, 4)).save(picture, "PNG")

        def tar(name: str, broken: str) -> None:
            with tarfile.open(tmp_path / "in" / name, "w") as file:
                for key in ("a", "b", "c"):
                    data = picture.getvalue()[: 40 if key == broken else None]
                    info = tarfile.TarInfo(f"{key}.png")
                    info.size = len(data)
                    file.addfile(info, io.BytesIO(data))

        tar("0.tar", "b")
        tar("1.tar", "")
        made = {"settings": Settings(), "out": tmp_path / "out", "target": "webdataset", "shard_size": 2}
        assert Run([tmp_path / "in"], **made).work(StandIn, count).counts["failed"] == 1  # type: ignore[arg-type]
        tar("0.tar", "")
        again = Run([tmp_path / "in"], **made).work(StandIn, count, retry_failed=True)  # type: ignore[arg-type]
        assert again.total == 6
        for name in ("0.tar", "1.tar"):
            with tarfile.open(tmp_path / "out" / name) as file:
                assert [member.name.split(".")[0] for member in file] == ["a", "b", "c"]

    def test_what_killed_processes_left_is_removed(self, tmp_path: Path) -> None:
        draw(tmp_path, names(4))
        old = [tmp_path / "a" / f".{'0' * 32}.interrogator-tmp", tmp_path / f".{'1' * 32}.interrogator-tmp"]
        fresh = tmp_path / "b" / f".{'2' * 32}.interrogator-tmp"
        for path in [*old, fresh]:
            path.write_text("half")
            os.utime(path, (1, 1))
        os.utime(fresh, (time.time() + 3600,) * 2)
        work(tmp_path)
        assert left_behind(tmp_path) == [str(fresh)]


class TestUndo:
    def test_puts_back_what_was_there_and_the_run_begins_anew(self, tmp_path: Path) -> None:
        draw(tmp_path, names(10))
        (tmp_path / names(10)[0]).with_suffix(".txt").write_bytes(b"\xef\xbb\xbfold \xff\r\n")
        before = texts(tmp_path)
        work(tmp_path, policy="overwrite")
        after = texts(tmp_path)
        folder = run(tmp_path, "overwrite").folder
        assert Run.reopened(folder).undo() == []
        assert texts(tmp_path) == before
        with pytest.raises(RequestError, match="holds no run"):
            Run.reopened(folder)
        with pytest.raises(RequestError, match="undone already"):
            Run.reopened(f"{folder}-undone-1")
        assert work(tmp_path, policy="overwrite").counts["done"] == 10
        assert texts(tmp_path) == after
        Run.reopened(folder).undo()
        assert texts(tmp_path) == before and Path(f"{folder}-undone-2").exists()

    def test_leaves_what_somebody_changed_since(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "b.png", "c.png"])
        (tmp_path / "b.txt").write_text("old")
        work(tmp_path, policy="overwrite")
        (tmp_path / "a.txt").write_text("mine")
        left = run(tmp_path, "overwrite").undo()
        assert [(each.key, "changed" in each.reason) for each in left] == [("a.png", True)]
        assert texts(tmp_path) == {"a.txt": b"mine", "b.txt": b"old"}

    def test_goes_for_the_shard_that_a_killed_run_was_in(self, tmp_path: Path) -> None:
        draw(tmp_path, names(10))
        work(tmp_path)
        folder = run(tmp_path).folder
        (folder / "parts" / "00001.stats.json").unlink()  # so it looks before the last step of that shard
        assert run(tmp_path).undo() == []
        assert texts(tmp_path) == {}

    def test_that_was_stopped_is_finished_before_the_run_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draw(tmp_path, names(10))
        work(tmp_path)
        found = run(tmp_path)

        def stop(records: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(found.target, "restore", stop)
            with pytest.raises(KeyboardInterrupt):
                found.undo()
        with pytest.raises(RequestError, match="half undone"):
            work(tmp_path)
        assert run(tmp_path).undo() == [] and texts(tmp_path) == {}

    def test_of_a_folder_that_is_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError):
            Run.reopened(tmp_path)
        (tmp_path / "run.json").write_text("[]")
        with pytest.raises(RequestError):
            Run.reopened(tmp_path)

    def test_of_a_run_that_was_moved_is_refused(self, tmp_path: Path) -> None:
        draw(tmp_path / "a", ["a.png"])
        work(tmp_path / "a")
        moved = tmp_path / "moved"
        run(tmp_path / "a").folder.rename(moved)
        with pytest.raises(RequestError, match="was moved"):
            Run.reopened(moved)


class TestSeveralProcesses:
    def test_the_second_run_is_told_who_holds_the_folder(self, tmp_path: Path) -> None:
        draw(tmp_path, names(4))
        said: list[str] = []

        class Busy(StandIn):
            def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
                for other in ({}, {"rank": 0, "world_size": 2}, {"seed": 5}):
                    with pytest.raises(RequestError) as caught:
                        work(tmp_path, never, **other)
                    said.append(str(caught.value))
                with pytest.raises(RequestError, match="held by another run"):
                    run(tmp_path).undo()
                return super().write(pictures, progress)

        work(tmp_path, Busy)
        today = time.strftime("%Y-%m-%d")
        assert all(f"process {os.getpid()} on " in each and f"since {today}" in each for each in said), said
        assert len(texts(tmp_path)) == 4

    def test_a_lone_run_and_another_world_are_told_about_the_ranks(self, tmp_path: Path) -> None:
        with RunLock(tmp_path, 0, 2), RunLock(tmp_path, 1, 2):
            with pytest.raises(RequestError, match=f"process {os.getpid()} on"):
                RunLock(tmp_path)
            with pytest.raises(RequestError, match=f"process {os.getpid()} on"):
                RunLock(tmp_path, 1, 2)
            with pytest.raises(RequestError, match="held by 2 processes"):
                RunLock(tmp_path, 2, 3)
        with RunLock(tmp_path, 0, 2, "x"), pytest.raises(RequestError, match="another run"):
            RunLock(tmp_path, 1, 2, "y")
        with RunLock(tmp_path), pytest.raises(RequestError, match="process"):
            RunLock(tmp_path, 0, 2)
        RunLock(tmp_path).release()

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
    def test_ranks_one_after_the_other_share_a_plan(self, tmp_path: Path, order: tuple[int, ...]) -> None:
        draw(tmp_path, names(30))
        reports = []
        for place, rank in enumerate(order):
            summary = work(tmp_path, rank=rank, world_size=3, shard_size=4)
            reports.append(summary.report)
            if place == 0:
                draw(tmp_path, ["late.png"])  # the plan stands by now
                with pytest.raises(AssertionError, match="no model"):
                    work(tmp_path, never, rank=order[1], world_size=3, shard_size=4)
        assert reports[:2] == [None, None] and reports[2] is not None
        assert len(texts(tmp_path)) == 30 and summary.counts["done"] == 30
        assert work(tmp_path, shard_size=4).counts["done"] == 31

    def test_ranks_at_once_caption_each_picture_once(self, tmp_path: Path) -> None:
        draw(tmp_path, names(60))
        log, found = tmp_path / "log", []

        def one(rank: int) -> None:
            found.append(work(tmp_path, lambda: StandIn(log, 0.002), rank=rank, world_size=3, shard_size=4))

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(log.read_text().split()) == sorted(names(60))
        assert len(found) == 3 and any(summary.report for summary in found)
        assert work(tmp_path, never, shard_size=4).counts["done"] == 60
        reports = list(run(tmp_path, shard_size=4).folder.glob("report.html"))
        assert len(reports) == 1 and not left_behind(tmp_path)

    def test_failed_ones_are_planned_again_by_one_rank_only(self, tmp_path: Path) -> None:
        draw(tmp_path, names(12))
        for name in names(12):
            (tmp_path / name).write_bytes(b"no picture")
        for rank in (0, 1):
            work(tmp_path, rank=rank, world_size=2, shard_size=2)
        work(tmp_path, rank=0, world_size=2, shard_size=2, retry_failed=True)
        summary = work(tmp_path, rank=1, world_size=2, shard_size=2, retry_failed=True)
        assert summary.counts == {"done": 0, "kept": 0, "failed": 12} and summary.total == 12
        assert len(run(tmp_path, shard_size=2).plan.shards) == 12

    def test_the_plan_of_the_faster_one_counts(self, tmp_path: Path) -> None:
        def slow() -> Iterator[Item]:
            yield Item("a.png")
            Plan(tmp_path, 2).extend([Item("x.png"), Item("y.png"), Item("z.png")])
            yield Item("b.png")

        plan = Plan(tmp_path, 2)
        plan.extend(slow())
        assert [item.key for item in plan.items()] == ["x.png", "y.png", "z.png"]
        assert [(shard.number, shard.count) for shard in plan.shards] == [(0, 2), (1, 1)]
        assert [path.name for path in tmp_path.iterdir()] == ["00000.jsonl"]

    def test_one_key_twice_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match=r"lists a\.png twice"):
            Plan(tmp_path, 2).extend([Item("a.png"), Item("b.png"), Item("a.png")])
        assert list(tmp_path.iterdir()) == []


class TestStopping:
    def test_the_watcher_stops_it_at_once_and_a_shard_is_lost_at_most(self, tmp_path: Path) -> None:
        draw(tmp_path, names(40))
        log = tmp_path / "log"
        told: list[int] = []

        def stop(done: int, total: int, failed: int) -> None:
            told.append(done)
            if done >= 20:
                raise RuntimeError("cancelled")

        with pytest.raises(RuntimeError, match="cancelled"):
            work(tmp_path, lambda: StandIn(log), watch=stop)
        assert max(told) == 20 and told.count(20) == 1, "in the middle of a shard, and nothing after that"
        assert len(texts(tmp_path)) == 16
        work(tmp_path, lambda: StandIn(log))
        assert len(texts(tmp_path)) == 40 and len(log.read_text().split()) <= 48

    def test_it_stops_while_pictures_are_read_and_while_they_are_captioned(self, tmp_path: Path) -> None:
        draw(tmp_path, names(12))
        begun, released = threading.Event(), threading.Event()

        class SlowToRead(StandIn):
            def __init__(self) -> None:
                super().__init__()
                self.prepare = {"captioner": self.wait}

            def wait(self, image: Image.Image) -> Any:
                begun.set()
                assert released.wait(LAST_RESORT)
                return 0, 0, 0

        class SlowToWrite(StandIn):
            def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
                begun.set()
                wait_until(released.is_set, "it is stopped", lambda: progress(0, len(pictures)))
                return super().write(pictures, progress)

        def stop(done: int, total: int, failed: int) -> None:
            if begun.is_set():
                raise KeyboardInterrupt

        for slow in (SlowToRead, SlowToWrite):
            with pytest.raises(KeyboardInterrupt):
                work(tmp_path, slow, watch=stop, threads=1)
            assert texts(tmp_path) == {}
            begun.clear()
        released.set()
        work(tmp_path)
        assert len(texts(tmp_path)) == 12

    def test_bad_pictures_are_recorded_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        draw(tmp_path, ["good.png", "good2.jpg"])
        png = (tmp_path / "good.png").read_bytes()
        Image.new("RGB", (200, 200)).save(tmp_path / "cut.jpg")
        cut = (tmp_path / "cut.jpg").read_bytes()
        (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
        (tmp_path / "empty.png").write_bytes(b"")
        (tmp_path / "text.png").write_text("not a picture")
        (tmp_path / "folder.jpg").mkdir()
        (tmp_path / "loop.png").symlink_to("loop.png")
        (tmp_path / "gone.png").symlink_to("nowhere.png")
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "around").symlink_to("..")
        Image.new("1", (1, 1)).save(tmp_path / "bomb.png")
        bomb = (tmp_path / "bomb.png").read_bytes()
        (tmp_path / "bomb.png").write_bytes(bomb[:16] + (60000).to_bytes(4, "big") * 2 + bomb[24:])
        os.mkfifo(tmp_path / "pipe.png")
        Image.new("CMYK", (8, 8)).save(tmp_path / "cmyk.jpg")
        Image.new("I;16", (8, 8)).save(tmp_path / "deep.png")
        frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (10, 200)]
        frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
        (tmp_path / os.fsdecode(b"\xff\xfe.png")).write_bytes(png)
        summary = work(tmp_path)
        by_status: dict[str, set[str]] = {"done": set(), "failed": set(), "kept": set()}
        for record in records(run(tmp_path)):
            by_status[record["status"]].add(record["key"])
            assert record["status"] == "done" or record["reason"], record
            assert ("animated" in record["flags"]) == (record["key"] == "moving.gif")
        bad = {"cut.jpg", "empty.png", "text.png", "folder.jpg", "loop.png", "gone.png", "in/around", "bomb.png",
               "pipe.png"}  # fmt: skip
        assert by_status["failed"] == bad
        assert by_status["done"] == {
            "good.png", "good2.jpg", "cmyk.jpg", "deep.png", "moving.gif", os.fsdecode(b"\xff\xfe.png")
        }  # fmt: skip
        assert summary.counts == {"done": 6, "kept": 0, "failed": len(bad)}

    def test_a_picture_that_a_model_cannot_take_has_failed(self, tmp_path: Path) -> None:
        draw(tmp_path, names(6))

        class Odd(StandIn):
            def __init__(self) -> None:
                super().__init__()
                self.prepare = {"captioner": self._pixel}
                self.seen = 0

            def _pixel(self, image: Image.Image) -> Any:
                self.seen += 1
                if self.seen == 3:
                    raise ValueError("too\nthin")
                return image.getpixel((0, 0))

        assert work(tmp_path, Odd, threads=1).counts == {"done": 5, "kept": 0, "failed": 1}
        (reason,) = [record["reason"] for record in records(run(tmp_path)) if record["status"] == "failed"]
        assert reason == "cannot be prepared (ValueError: too thin)"

    def test_an_empty_caption_has_failed(self, tmp_path: Path) -> None:
        class Mute(StandIn):
            def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
                return [CaptionResult([Candidate("")]) for _ in pictures]

        draw(tmp_path, names(3))
        assert work(tmp_path, Mute).counts["failed"] == 3
        assert texts(tmp_path) == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 8 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user cannot mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, room: int) -> Path:
    """A file that leaves so many kilobytes free."""
    filler = disk / "filler"
    left = os.statvfs(disk)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, left.f_bavail * left.f_bsize - room * 1024))
    return filler


class TestTheDisk:
    def test_that_is_full_stops_the_run_which_goes_on_later(self, small_disk: Path, tmp_path: Path) -> None:
        pictures, quiet = small_disk / "pictures", tmp_path / "quiet"
        for folder in (pictures, quiet):
            draw(folder, names(40))
            (folder / names(40)[0]).with_suffix(".txt").write_text("old")
        work(quiet, policy="append")
        before, after = texts(pictures), texts(quiet)
        stops = 0
        for room in range(0, 1000, 24):
            filler = fill(small_disk, room)
            try:
                finished = work(pictures, policy="append").report
            except RunStopped as stopped:
                finished = None
                stops += 1
                assert "the disk is full; finished captions are kept" in str(stopped) and "\n" not in str(stopped)
            now = texts(pictures)
            assert all(now[name] in (before.get(name), after[name]) for name in now)
            assert before.keys() <= now.keys()
            filler.unlink()
            if finished:
                break
        work(pictures, policy="append")
        assert stops >= 3 and texts(pictures) == after
        assert not left_behind(small_disk)

    @pytest.mark.parametrize("target", ["txt", "jsonl"])
    def test_that_may_not_be_written_is_said_in_one_sentence(self, small_disk: Path, target: str) -> None:
        draw(small_disk, names(5))
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        with pytest.raises(RunStopped, match="Read-only file system") as caught:
            work(small_disk, never, target=target)
        assert str(small_disk) in str(caught.value) and "\n" not in str(caught.value)
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        assert work(small_disk, target=target).counts["done"] == 5

    def test_folders_that_may_not_be_written_fail_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        draw(tmp_path, ["a.png", "closed/b.png"])
        real = open

        def opened(path: Any, *rest: Any, **named: Any) -> Any:  # as root, nothing is closed
            if "b" in str(rest[:1]) and "x" in str(rest[:1]) and os.path.dirname(os.fspath(path)).endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return real(path, *rest, **named)

        monkeypatch.setattr("builtins.open", opened)
        assert work(tmp_path).counts == {"done": 1, "kept": 0, "failed": 1}
        monkeypatch.undo()
        assert work(tmp_path, never).counts["failed"] == 1
        assert work(tmp_path, retry_failed=True).counts == {"done": 2, "kept": 0, "failed": 0}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    """Python's own memory, of pictures and captions that are unlike each other: findings name those that are not."""
    command = [sys.executable, "-m", "tests.library.run_memory", str(tmp_path)]
    measured = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    peaks = json.loads(measured.stdout)
    each = (peaks["10000"] - peaks["1000"]) / 9_000
    sys.stdout.write(f"peaks {peaks}: {each:.0f} bytes a picture\n")
    assert each < 400


def test_records_come_back_as_they_were() -> None:
    record = Record("a\udcff.png", "done", "r", 2, "c", ("c", "d"), {"clip": 0.5}, ("review",), 3, 4, 5, "6", "7", "8")
    assert Record.from_dict(json.loads(json.dumps(record.as_dict()))) == record
