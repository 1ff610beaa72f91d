"""References that an encoder gets while it is used: the sample, its files, and what is learned from it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import normalize

import interrogator
from interrogator import Interrogator
from interrogator.cli import main
from interrogator.demo import Creature
from interrogator.evidence import (
    MAX_REFERENCES,
    MIN_REFERENCES,
    MOST_CLAIMS,
    ReferenceFolder,
    References,
    claims_of,
    count_references,
)
from interrogator.evidence.reference_files import FOLDER, SUFFIX
from interrogator.pipeline import calibrations
from interrogator.pipeline.remembered import VARIABLE, are_wanted

WIDTH = 16
COUNT = 24


def drawn_references(count: int, seed: int = 0) -> list[References]:
    """One picture each, with one to three claims."""
    rng = np.random.default_rng(seed)
    rows = normalize(torch.tensor(rng.normal(size=(count, 4, WIDTH)), dtype=torch.float32), dim=-1)
    return [References.of(row[:1], [row[1 : 2 + number % 3]]) for number, row in enumerate(rows)]


def joined(parts: Sequence[References]) -> References:
    return References.none(WIDTH).joined(*parts)


def same(one: References, other: References) -> bool:
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.claims, other.claims)
        and np.array_equal(one.ends, other.ends)
    )


class TestSample:
    @given(st.permutations(range(12)), st.lists(st.integers(1, 11), max_size=3))
    def test_the_order_of_pictures_and_their_batches_do_not_matter(self, order: list[int], cuts: list[int]) -> None:
        parts = drawn_references(12)
        borders = [0, *sorted(cuts), 12]
        batches = [
            joined([parts[index] for index in order[start:end]])
            for start, end in zip(borders, borders[1:], strict=False)
        ]
        assert same(joined(batches), joined(parts))

    @given(st.permutations(range(12)), st.integers(1, 11))
    @settings(max_examples=20)
    def test_nor_do_they_where_there_is_no_room_for_all(self, order: list[int], cut: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("interrogator.evidence.references.MAX_REFERENCES", 5)
            parts = drawn_references(12)
            found = joined([parts[index] for index in order[:cut]])
            for index in order[cut:]:
                is_in = bool(found.admits(parts[index].images)[0])
                before, found = found, found.joined(parts[index])
                assert is_in != same(before, found)
            assert len(found) == 5 and same(found, joined(parts))

    def test_a_picture_that_was_read_twice_is_in_it_once(self) -> None:
        parts = drawn_references(3)
        again = References.of(parts[0].images.float() + 1e-4, [parts[1].claims])  # rounded otherwise, another caption
        assert len(joined([*parts, again])) == 3
        assert same(joined([*parts, again]), joined([again, *parts]))
        assert not joined(parts).admits(again.images)[0]

    def test_it_is_bounded(self) -> None:
        found = joined(drawn_references(MAX_REFERENCES + 40))
        assert len(found) == MAX_REFERENCES == len(found.ends)
        long = References.of(torch.ones(1, WIDTH) / 4, [torch.ones(50, WIDTH) / 4])
        assert len(long.claims) == MOST_CLAIMS

    def test_what_is_not_finite_or_claims_nothing_is_left_out(self) -> None:
        rows = normalize(torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(0)))
        rows[1] = float("nan")
        claims = [rows[:2], rows[:1], rows[:0]]
        assert len(References.of(rows, claims)) == 1 and len(References.of(rows, claims).claims) == 1

    def test_equal_claims_of_several_pictures_are_one_text(self) -> None:
        world = normalize(torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(1)))
        things = world[:10]
        images = normalize(things.repeat(6, 1) + 0.3 * world)
        found = References.of(images, [things[number % 10 :][:1] for number in range(60)]).calibration()
        assert found.claim_rate == pytest.approx(0.1) and found.most_claimed == pytest.approx(0.1)

    def test_it_is_learned_from_at_a_few_sizes(self) -> None:
        sizes = {number: joined(drawn_references(number)) for number in (19, 20, 49, 50)}
        assert not sizes[19].is_due(0, None) and sizes[20].is_due(0, None)
        assert not sizes[49].is_due(20, None) and sizes[50].is_due(20, None) and not sizes[50].is_due(50, None)


class TestFiles:
    def test_what_is_added_is_read(self, tmp_path: Path) -> None:
        parts = drawn_references(5)
        for part in parts:
            ReferenceFolder(tmp_path, WIDTH).add(part)
        assert same(ReferenceFolder(tmp_path, WIDTH).read(), joined(parts))
        assert count_references(tmp_path) == 5

    def test_none_is_no_error(self, tmp_path: Path) -> None:
        assert len(ReferenceFolder(tmp_path, WIDTH).read()) == 0 == count_references(tmp_path)
        assert ReferenceFolder(tmp_path, WIDTH).learned() is None

    def test_many_files_become_one_and_nothing_is_lost(self, tmp_path: Path) -> None:
        parts = drawn_references(40)
        writers = [ReferenceFolder(tmp_path, WIDTH) for _ in range(2)]
        for number, part in enumerate(parts):
            writers[number % 2].add(part)
        assert len(list((tmp_path / FOLDER).glob(f"*{SUFFIX}"))) <= 17
        assert same(writers[0].read(), joined(parts))

    @pytest.mark.parametrize("damage", ["cut", "text", "ends", "width"])
    def test_a_file_that_cannot_be_used_is_named_and_left_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        one, other = drawn_references(2)
        folder = ReferenceFolder(tmp_path, WIDTH)
        folder.add(one)
        (path,) = (tmp_path / FOLDER).iterdir()
        folder.add(other)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        elif damage == "text":
            path.write_text("nothing")
        else:
            wrong = References(one.images, one.claims, one.ends + 1)
            if damage == "width":
                wrong = References(one.images[:, :8].contiguous(), one.claims[:, :8].contiguous(), one.ends)
            path.unlink()
            (tmp_path / "other").mkdir()
            ReferenceFolder(tmp_path / "other", WIDTH).add(wrong)
            path = next((tmp_path / "other" / FOLDER).iterdir()).rename(path)
        with caplog.at_level(logging.WARNING):
            assert same(folder.read(), other)
        assert path.name in caplog.text


@pytest.mark.parametrize(("value", "wanted"), [("off", False), ("0", False), ("No", False), ("", True), ("on", True)])
def test_the_environment_switches_them_off(value: str, wanted: bool) -> None:
    assert are_wanted(None, {VARIABLE: value}) is wanted
    assert are_wanted(True, {VARIABLE: value}) and not are_wanted(False, {VARIABLE: value})


@pytest.fixture(scope="module")
def demo(one_thread: None) -> Interrogator:
    return interrogator.load("demo", tagger="none", device="cpu")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image.Image, Creature]]:
    return [interrogator.demo.creature(seed) for seed in range(700, 700 + COUNT)]


@pytest.fixture
def without_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the demo encoder came without one."""
    monkeypatch.setattr(calibrations, "stored", lambda *known: None)


@pytest.mark.models
@pytest.mark.usefixtures("without_calibration")
class TestLearning:
    def made(self, demo: Interrogator, folder: Path | None, **options: Any) -> Interrogator:
        cache = None if folder is None else interrogator.EmbeddingCache(folder)
        return Interrogator(demo.captioner, demo.encoder, demo.banks, cache, **options)

    def run(self, ci: Interrogator, drawn: Sequence[tuple[Image.Image, Creature]]) -> list[interrogator.Interrogation]:
        captions = [truth.caption for _, truth in drawn]
        return ci.interrogate_many([image for image, _ in drawn], "precise", captions)

    def test_the_next_run_goes_by_what_was_learned(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path
    ) -> None:
        ci = self.made(demo, tmp_path)
        first, second = self.run(ci, drawn), self.run(ci, drawn)
        assert all("uncalibrated" in each.remarks for each in first)  # within a run nothing changes
        assert all("uncalibrated" not in each.remarks for each in second)
        later = self.run(self.made(demo, tmp_path), drawn)  # as another process
        assert [each.prompt for each in later] == [each.prompt for each in second]
        assert "uncalibrated" in self.run(self.made(demo, tmp_path, references=False), drawn[:1])[0].remarks

    def test_the_order_of_pictures_does_not_matter(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        prompts = []
        for order in (drawn, drawn[::-1]):
            ci = self.made(demo, None)
            self.run(ci, order)
            prompts.append([each.prompt for each in self.run(ci, drawn[:4])])
        assert prompts[0] == prompts[1]

    def test_one_long_run_can_be_made_of_many_calls(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        ci = self.made(demo, None)
        ci.hold_evidence()
        self.run(ci, drawn)
        assert "uncalibrated" in self.run(ci, drawn[:1])[0].remarks

    def test_no_word_and_no_picture_is_kept(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path
    ) -> None:
        self.run(self.made(demo, tmp_path), drawn[:2])
        (path,) = tmp_path.rglob(f"*{SUFFIX}")
        kept = path.read_bytes()
        words = {word for _, truth in drawn[:2] for word in truth.caption.split() if len(word) > 4}
        assert not any(word.encode() in kept for word in words)
        claims = sum(len(claims_of(truth.caption)) for _, truth in drawn[:2])
        assert path.stat().st_size < (2 + claims) * demo.encoder.identity().width * 2 + 1000

    def test_a_claim_of_mode_precise_is_not_encoded_again(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        encode = type(demo.encoder).encode_texts

        def counted(self: Any, texts: Sequence[str], *rest: Any) -> torch.Tensor:
            asked.extend(texts)
            return encode(self, texts, *rest)

        ci = self.made(demo, None)
        ci.table()
        monkeypatch.setattr(type(demo.encoder), "encode_texts", counted)
        self.run(ci, drawn[:3])
        for _, truth in drawn[:3]:
            for claim in claims_of(truth.caption):
                assert asked.count(claim) == sum(claim in claims_of(other.caption) for _, other in drawn[:3])

    def test_a_calibration_that_is_given_wins(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path
    ) -> None:
        images, captions = [image for image, _ in drawn], [truth.caption for _, truth in drawn]
        own = self.made(demo, None).calibrate(images, captions)
        ci = self.made(demo, tmp_path, calibration=own)
        assert "uncalibrated" not in self.run(ci, drawn[:2])[0].remarks
        assert not list(tmp_path.rglob(f"*{SUFFIX}"))

    def test_checking_goes_by_them_too(self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
        ci = self.made(demo, None)
        self.run(ci, drawn)
        ci.check(drawn[0][0], drawn[0][1].caption)
        assert ci.claim_checker().calibration is not None

    def test_captions_of_other_pictures_teach_nothing(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        ci = self.made(demo, None)
        ci.interrogate_many([image for image, _ in drawn], "precise", ["a red house on a hill, a small tree"] * COUNT)
        assert "uncalibrated" in self.run(ci, drawn[:1])[0].remarks

    def test_a_disk_that_fails_costs_no_result(
        self, demo: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        def fail(*_: object) -> None:
            raise OSError("no space left")

        ci = self.made(demo, tmp_path)
        ci.table()
        monkeypatch.setattr("interrogator.evidence.reference_files.write_whole", fail)
        with caplog.at_level(logging.WARNING):
            self.run(ci, drawn)
            assert "uncalibrated" not in self.run(ci, drawn[:1])[0].remarks  # they stay in memory
        assert caplog.text.count("no space left") == 1

    def test_commands(
        self, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number, (image, _) in enumerate(drawn[:3]):
            image.save(tmp_path / f"{number}.png")
        options = ["--preset", "demo", "--device", "cpu", "--cache-dir", str(tmp_path / "cache")]
        prompt = ["prompt", str(tmp_path), "--mode", "precise", *options]
        listing = ["cache", "list", "--json", "--cache-dir", str(tmp_path / "cache")]
        assert main([*prompt, "--no-references"]) == 0
        capsys.readouterr()
        assert main(listing) == 0 and json.loads(capsys.readouterr().out)["references"] == 0
        assert main(prompt) == 0
        capsys.readouterr()
        assert main(listing) == 0 and json.loads(capsys.readouterr().out)["references"] == 3
        assert main(["caption", str(tmp_path), "--mode", "precise", *options]) == 0
        capsys.readouterr()
        assert main(["cache", "clear", "--references", *listing[3:]]) == 0
        capsys.readouterr()
        assert main(listing) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["references"] == 0 and record["rows"] > 0

    def test_a_dataset_run_adds_some(
        self, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number, (image, _) in enumerate(drawn[:3]):
            image.save(tmp_path / f"{number}.png")
        options = ["--preset", "demo", "--device", "cpu", "--cache-dir", str(tmp_path / "cache")]
        assert main(["caption", str(tmp_path), "--mode", "precise", *options]) == 0
        (store,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
        assert count_references(store) == 3


def test_the_demo_encoder_needs_none(
    demo: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path
) -> None:
    ci = interrogator.load("demo", tagger="none", device="cpu", cache_dir=tmp_path)
    ci.interrogate_many([image for image, _ in drawn[:2]], "fast", [truth.caption for _, truth in drawn[:2]])
    assert not list(tmp_path.rglob(f"*{SUFFIX}"))
    assert MIN_REFERENCES <= COUNT
