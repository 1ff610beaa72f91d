"""What pictures share and what each has of its own: in the library, at the command line and in dataset runs."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import interrogator
from interrogator import Interrogator, RequestError
from interrogator.cli import main
from interrogator.dataset import CaptionRules, Run, Settings
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.models import Models
from interrogator.dataset.captioning.result import CaptionResult
from interrogator.dataset.engines.processes import work_in_processes
from interrogator.dataset.state.overviews import RunOverview
from interrogator.demo.attributes import Creature
from interrogator.demo.creatures import creature, picture
from interrogator.demo.training.words import MEDIUM_NAMES, MOVEMENTS, QUALITIES
from interrogator.evidence import Overview

from .stand_in import StandIn, count, draw, names, records, texts


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Interrogator:
    return interrogator.load("demo", tagger="none", cache_dir=tmp_path_factory.mktemp("cache"), device="cpu")


@pytest.fixture(scope="module")
def mosaics() -> list[tuple[Image.Image, Creature]]:
    """Creatures of one medium on one background, as somebody trains a style."""
    truths = [replace(creature(seed)[1], medium="mosaic", background="teal") for seed in range(900, 912)]
    return [(picture(truth, number), truth) for number, truth in enumerate(truths)]


def own_facts(truth: Creature) -> set[str]:
    feature = f"{truth.feature_color} {truth.feature}" if truth.feature else "no wings or horns"
    return {f"{truth.color} body", f"cartoon {truth.kind}", feature}


SHARED = {*MEDIUM_NAMES["mosaic"], *MOVEMENTS["mosaic"], *QUALITIES["mosaic"], "teal background"}


@pytest.mark.models
class TestLibrary:
    def test_what_all_pictures_share_is_common_and_the_rest_is_their_own(
        self, ci: Interrogator, mosaics: list[tuple[Image.Image, Creature]]
    ) -> None:
        found = ci.compare([image for image, _ in mosaics])
        common = {phrase.text for phrase in found.common}
        assert found.pictures == len(mosaics) and common <= SHARED
        assert "teal background" in common and common & set(MEDIUM_NAMES["mosaic"])
        assert all(phrase.share >= 0.9 for phrase in found.common)
        own = [(phrase.text, truth) for each, (_, truth) in zip(found.distinctive, mosaics, strict=True)
               for phrase in each]  # fmt: skip
        assert len(own) >= 2 * len(mosaics)
        assert sum(text in own_facts(truth) for text, truth in own) >= 0.97 * len(own)
        assert found.claims == [] and found.own_claims == [[]] * len(mosaics)

    def test_claims_of_captions_are_compared_too(
        self, ci: Interrogator, mosaics: list[tuple[Image.Image, Creature]]
    ) -> None:
        captions = [truth.caption for _, truth in mosaics]
        found = ci.compare([image for image, _ in mosaics], captions, top=3)
        assert {claim.text for claim in found.claims} == {"mosaic", "on a teal background"}
        for claims, (_, truth) in zip(found.own_claims, mosaics, strict=True):
            assert not {"mosaic", "on a teal background"} & set(claims)
            assert not truth.feature or f"{truth.feature_color} {truth.feature}" in " ".join(claims)

    def test_the_order_of_pictures_does_not_matter(
        self, ci: Interrogator, mosaics: list[tuple[Image.Image, Creature]]
    ) -> None:
        order = list(range(len(mosaics)))
        random.Random(0).shuffle(order)
        straight = ci.compare([image for image, _ in mosaics])
        shuffled = ci.compare([mosaics[number][0] for number in order])
        assert shuffled.common == straight.common
        texts_of = [[phrase.text for phrase in each] for each in straight.distinctive]
        assert [[phrase.text for phrase in each] for each in shuffled.distinctive] == [texts_of[n] for n in order]

    def test_without_a_calibration_captions_show_what_holds(
        self, ci: Interrogator, mosaics: list[tuple[Image.Image, Creature]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("interrogator.pipeline.calibrations.load_calibration", lambda folder, width: None)
        bare = Interrogator(None, ci.encoder, ci.banks, ci.cache)
        images = [image for image, _ in mosaics]
        assert bare.compare(images).common == []
        found = bare.compare(images, [truth.caption for _, truth in mosaics])
        assert {claim.text for claim in found.claims} == {"mosaic", "on a teal background"}

    def test_as_many_captions_as_images_are_needed(self, ci: Interrogator) -> None:
        with pytest.raises(RequestError, match="1 captions for 0 images"):
            ci.compare([], ["a"])
        assert ci.compare([]).common == []


@given(st.lists(st.sets(st.sampled_from("abcde")), max_size=12), st.integers(0, 12), st.randoms())
def test_counts_do_not_hang_on_order_or_portions(pictures: list[set[str]], cut: int, rng: random.Random) -> None:
    whole, first, second = Overview(), Overview(), Overview()
    for each in pictures:
        whole.add(each)
    mixed = rng.sample(pictures, len(pictures))
    for number, each in enumerate(mixed):
        (first if number < cut else second).add(each)
    first.merge(second)
    assert first.as_dict() == whole.as_dict() == Overview.from_dict(whole.as_dict()).as_dict()
    assert json.dumps(first.as_dict()) == json.dumps(whole.as_dict())
    for text in whole.common(0.9):
        assert whole.share(text) >= 0.9 and whole.surprise(text, 1.0) == 0.0
    assert all(whole.surprise(text, 0.5) >= 0 for text in "abcde")


@pytest.mark.models
def test_the_command_lists_both(
    ci: Interrogator, mosaics: list[tuple[Image.Image, Creature]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (image, truth) in enumerate(mosaics[:4]):
        image.save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(truth.caption, encoding="utf-8")
    (tmp_path / "odd.png").write_bytes(b"no picture")
    assert main(["common", str(tmp_path), "--preset", "demo", "--device", "cpu"]) == 1
    out, err = capsys.readouterr()
    rows = [line.split("\t") for line in out.splitlines()]
    assert ["common", "1.0000", "claim", "mosaic"] in rows and "odd.png" in err
    assert {row[0] for row in rows} == {"common", *(str(tmp_path / f"{number}.png") for number in range(4))}
    assert main(["common", str(tmp_path / "0.png"), str(tmp_path / "1.png"), "--preset", "demo", "--json"]) == 0
    whole, *each = map(json.loads, capsys.readouterr().out.splitlines())
    assert whole["pictures"] == 2 and {"common", "claims"} < set(whole)
    assert [set(row) for row in each] == [{"image", "distinctive", "claims"}] * 2
    assert main(["common", str(tmp_path), "--preset", "demo", "--share", "0"]) == 2


@pytest.mark.models
class TestRuns:
    """The fields `{common}` and `{distinctive}`, and the report."""

    @pytest.fixture
    def folder(self, mosaics: list[tuple[Image.Image, Creature]], tmp_path: Path) -> Path:
        for number, (image, _) in enumerate(mosaics[:6]):
            image.save(tmp_path / f"{number}.png")
        return tmp_path

    def start(self, ci: Interrogator, folder: Path, template: str = "{prompt}", **given: Any) -> Run:
        settings = Settings(preset="demo", rules=CaptionRules(template=template), **given)
        found = Run([folder], settings, shard_size=4)
        captioner = ci.captioner if "captioner" in settings.needs else None
        models = Models(settings, captioner, ci.encoder, ci.banks, ci.cache)
        found.work(lambda: models, count)
        return found

    def test_fields_say_what_all_share_and_what_is_a_pictures_own(
        self, ci: Interrogator, folder: Path, mosaics: list[tuple[Image.Image, Creature]]
    ) -> None:
        found = self.start(ci, folder, "{common} | {distinctive}")
        shared = {phrase.text for phrase in ci.compare([image for image, _ in mosaics[:6]]).common}
        for record, (_, truth) in zip(records(found), mosaics, strict=False):
            common, own = record["caption"].split(" | ")
            assert set(common.split(", ")) == shared
            assert own.split(", ") == list(record["distinctive"]) and set(record["distinctive"]) <= own_facts(truth)

    def test_pictures_that_are_added_later_are_compared_with_those_before(
        self, ci: Interrogator, folder: Path, mosaics: list[tuple[Image.Image, Creature]]
    ) -> None:
        before = records(self.start(ci, folder, "{common} | {distinctive}"))
        creature(3)[0].save(folder / "9.png")
        after = records(self.start(ci, folder, "{common} | {distinctive}"))
        assert after[: len(before)] == before
        assert after[-1]["caption"].split(" | ")[0] == before[0]["caption"].split(" | ")[0]

    def test_the_report_has_both_also_of_captions_that_stay(self, ci: Interrogator, folder: Path) -> None:
        for number in range(6):
            (folder / f"{number}.txt").write_text("a caption", encoding="utf-8")
        found = self.start(ci, folder, overview=True)
        summary = json.loads((found.folder / "summary.json").read_bytes())
        assert {phrase["text"] for phrase in summary["common"]} <= SHARED and summary["common"]
        told = records(found)
        assert [record["status"] for record in told] == ["kept"] * 6 and all(record["distinctive"] for record in told)
        page = (found.folder / "report.html").read_text(encoding="utf-8")
        assert f'"distinctive":["{told[0]["distinctive"][0]}"' in page

    def test_a_writer_that_cannot_compare_is_refused(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png"])
        found = Run([tmp_path], Settings(preset="demo", rules=CaptionRules(template="{prompt}, {common}")))
        with pytest.raises(RequestError, match="cannot compare"):
            found.work(StandIn, count)
        assert texts(tmp_path) == {}

    def test_only_phrases_need_no_captioner(self) -> None:
        rules = CaptionRules(template="{trigger}, {distinctive}", trigger="sks")
        assert Settings(preset="demo", rules=rules).needs == {"encoder"}
        assert Settings(preset="demo", overview=True).needs == {"captioner", "encoder"}


class ComparingStandIn(StandIn):
    """Holds for a picture the letter and the tens of its name; notes what it surveys."""

    def __init__(self, log: Path) -> None:
        super().__init__(log.with_suffix(".written"))
        self.prepare["encoder"] = lambda image: image.size
        self._surveys = log
        self._overview = RunOverview(0)

    def survey(self, pictures: Sequence[Picture], progress: Any = None) -> list[list[str]]:
        with open(self._surveys, "a", encoding="utf-8") as log:
            log.writelines(f"{picture.item.key}\n" for picture in pictures)
        return [["all", picture.item.key[0], picture.item.key[:4]] for picture in pictures]

    def common(self, overview: RunOverview) -> list[tuple[str, str, float]]:
        return [(text, "bank", n / overview.pictures) for text, n in overview.counts.items() if n == overview.pictures]

    def compare_with(self, overview: RunOverview) -> None:
        self._overview = overview

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        shared = [interrogator.RankedPhrase(text, bank, share) for text, bank, share in self._overview.common]
        return [
            replace(
                result,
                by_evidence={
                    "common": shared,
                    "distinctive": [
                        interrogator.RankedPhrase(f"{text} {self._overview.counts[text]}", "bank", 0.0)
                        for text in (picture.item.key[0], picture.item.key[:4])
                    ],
                },
            )
            for picture, result in zip(pictures, super().write(pictures, progress), strict=True)
        ]


class Loads:
    """Makes the stand-in; can be pickled."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __call__(self, *_: int) -> Any:
        return ComparingStandIn(self._log) if not _ else self


def run(folder: Path) -> Run:
    rules = CaptionRules(template="{common}, {distinctive}, {caption}")
    return Run([folder], Settings(preset="demo", rules=rules), kind="folder", shard_size=4)


@pytest.fixture
def quiet(tmp_path: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Texts and records of a run that nobody disturbed."""
    draw(tmp_path / "quiet", names(30))
    found = run(tmp_path / "quiet")
    found.work(Loads(tmp_path / "log"), count)
    first = texts(tmp_path / "quiet")["a/0000.txt"].decode()
    assert first.startswith("all, a 10, a/00 10, a thing called a/0000.png")
    return texts(tmp_path / "quiet"), records(found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_that_is_killed_at_any_moment_writes_the_same(
    tmp_path: Path, quiet: tuple[dict[str, bytes], list[dict[str, Any]]], ranks: int
) -> None:
    draw(tmp_path / "here", names(30))
    operations = ("replace", "rename")  # a file of counts, the settled ones, a part, a caption

    def work(rank: int, most: int) -> None:
        done = 0

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def operation(*args: Any, **named: Any) -> Any:
                nonlocal done
                done += 1
                if done == most:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **named)

            return operation

        for name in operations:
            setattr(os, name, counted(getattr(os, name)))
        run(tmp_path / "here").work(Loads(tmp_path / "log2"), count, rank=rank, world_size=ranks, threads=1)

    for most in (2, 4, 5, 7, 3, 9, 6, 1000, 1000):
        for rank in range(ranks):
            if (pid := os.fork()) == 0:
                try:
                    work(rank, most)
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
    assert (texts(tmp_path / "here"), records(run(tmp_path / "here"))) == quiet


def test_portions_in_any_order_write_the_same(
    tmp_path: Path, quiet: tuple[dict[str, bytes], list[dict[str, Any]]]
) -> None:
    """As workers of Ray take them, each with its own view of the run."""
    draw(tmp_path / "here", names(30))
    numbers = list(range(run(tmp_path / "here").prepare()))
    for portion in (numbers[5:], numbers[:2], numbers[2:5]):
        run(tmp_path / "here").caption(portion, Loads(tmp_path / "log2"), count)
    assert run(tmp_path / "here").work(lambda: pytest.fail("nothing is left"), count).report is not None
    assert (texts(tmp_path / "here"), records(run(tmp_path / "here"))) == quiet
    assert len((tmp_path / "log2").read_text(encoding="utf-8").splitlines()) == 30


@pytest.mark.slow
def test_several_processes_write_the_same(tmp_path: Path, quiet: tuple[dict[str, bytes], list[dict[str, Any]]]) -> None:
    draw(tmp_path / "here", names(30))
    work_in_processes(run(tmp_path / "here"), Loads(tmp_path / "log2"), count, 2)
    assert (texts(tmp_path / "here"), records(run(tmp_path / "here"))) == quiet
    surveyed = (tmp_path / "log2").read_text(encoding="utf-8").splitlines()
    assert set(surveyed) == set(names(30)) and len(surveyed) <= 30 + 4 * 2
