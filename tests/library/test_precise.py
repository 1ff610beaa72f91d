"""Mode precise with the demo models: what it states, in Python, on the command line and in dataset runs."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import interrogator
from interrogator import Interrogator, ModelError, PhraseBank, Reading, RequestError
from interrogator.cli import main
from interrogator.demo import Creature
from interrogator.demo.training.words import ALWAYS_TRUE, MEDIUM_NAMES, MOVEMENTS, QUALITIES
from interrogator.errors import CaptionError
from interrogator.evidence import Calibration, load_calibration
from interrogator.evidence.calibration_file import FILE_NAME
from interrogator.evidence.selection import SAME_ANGLE
from interrogator.reading import Candidate

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def ci(cache_dir: Path, one_thread: None) -> Interrogator:
    return interrogator.load("demo", cache_dir=cache_dir, device="cpu")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image.Image, Creature]]:
    return [interrogator.demo.creature(seed) for seed in range(40, 62)]


@pytest.fixture(scope="module")
def readings(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> list[Reading]:
    return ci.read([image for image, _ in drawn], {"captioner", "encoder"})


@pytest.fixture
def uncalibrated(ci: Interrogator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrogator]:
    """The same without what the demo encoder comes with."""
    monkeypatch.setattr("interrogator.pipeline.calibrations.load_calibration", lambda folder, width: None)
    yield Interrogator(ci.captioner, ci.encoder, ci.banks, ci.cache)


def bare(reading: Reading) -> Reading:
    return replace(reading, captions=(Candidate(""),))


def is_true(phrase: str, truth: Creature) -> bool:
    own = (*MEDIUM_NAMES[truth.medium], *MOVEMENTS[truth.medium], *QUALITIES[truth.medium])
    facts = [f"{truth.color} body", f"cartoon {truth.kind}", f"{truth.background} background"]
    if truth.feature is None:
        facts.append("no wings or horns")
    return phrase in (*own, *facts, f"{truth.feature_color} {truth.feature}")


def test_what_it_states_is_true(
    ci: Interrogator, readings: list[Reading], drawn: list[tuple[Image.Image, Creature]]
) -> None:
    true = []
    for reading, (_, truth) in zip(readings, drawn, strict=True):
        result = ci.compose(bare(reading), "precise")
        true += [is_true(phrase.text, truth) for phrase in result.phrases]
        assert 4 <= len(result.phrases) <= 9
        assert not set(ALWAYS_TRUE) & {phrase.text for phrase in result.phrases}  # true of all, so they tell nothing
        assert all(phrase.evidence is not None and phrase.evidence >= 0.5 for phrase in result.phrases)
        assert result.mode == "precise" and result.remarks == ()
    assert sum(true) >= 0.98 * len(true)


def test_the_prompt_is_the_caption_and_phrases_that_it_does_not_say(ci: Interrogator, readings: list[Reading]) -> None:
    for reading in readings:
        result = ci.compose(reading, "precise")
        texts = [phrase.text for phrase in result.phrases]
        assert result.prompt == ", ".join([reading.caption, *texts])
        assert not any(set(text.split()) <= set(reading.caption.split()) for text in texts)
        assert "mediums" not in {phrase.bank for phrase in result.phrases}  # the caption names the medium
        assert ci.encoder.fits(result.prompt)


def test_the_medium_comes_first_and_then_the_movement(ci: Interrogator, readings: list[Reading]) -> None:
    banks = [phrase.bank for phrase in ci.compose(bare(readings[0]), "precise").phrases]
    assert banks[:2] == ["mediums", "movements"] and banks.count("mediums") == banks.count("movements") == 1


def test_the_same_picture_gives_the_same_prompt(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    images = [image for image, _ in drawn[:3]]
    together = ci.interrogate_many(images, "precise")
    assert [each.prompt for each in together] == [ci.interrogate(image, "precise").prompt for image in images]


def test_a_stricter_prompt_states_no_more(ci: Interrogator, readings: list[Reading]) -> None:
    def number(strictness: float) -> int:
        return sum(len(ci.compose(bare(each), "precise", strictness=strictness).phrases) for each in readings)

    assert 0 < number(0.001) <= number(0.05) <= number(0.5)


def test_max_phrases_keeps_the_surest(ci: Interrogator, readings: list[Reading]) -> None:
    whole = ci.compose(bare(readings[0]), "precise").phrases
    few = ci.compose(bare(readings[0]), "precise", max_phrases=2).phrases
    assert {each.text for each in few} == {
        each.text for each in sorted(whole, key=lambda each: -(each.evidence or 0))[:2]
    }
    assert ci.compose(readings[0], "precise", max_phrases=0).prompt == readings[0].caption


def test_other_modes_carry_no_evidence(ci: Interrogator, readings: list[Reading]) -> None:
    for mode in ("fast", "classic"):
        assert all(phrase.evidence is None for phrase in ci.compose(readings[0], mode).phrases)


@pytest.mark.parametrize("strictness", [0.0, 1.0, -1.0, float("nan")])
def test_a_strictness_out_of_range_is_refused(ci: Interrogator, readings: list[Reading], strictness: float) -> None:
    with pytest.raises(RequestError, match="above 0 and below 1"):
        ci.compose(readings[0], "precise", strictness=strictness)


class TestBanks:
    def of(self, ci: Interrogator, **banks: list[str]) -> Interrogator:
        return Interrogator(
            ci.captioner, ci.encoder, [PhraseBank.from_phrases(name, phrases) for name, phrases in banks.items()]
        )

    def test_one_true_phrase(
        self, ci: Interrogator, readings: list[Reading], drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        truth = drawn[0][1]
        few = self.of(ci, mediums=[truth.medium])
        assert few.compose(bare(readings[0]), "precise").prompt == truth.medium

    def test_all_true(
        self, ci: Interrogator, readings: list[Reading], drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        truth = drawn[1][1]
        phrases = [f"cartoon {truth.kind}", f"{truth.color} body", f"{truth.background} background"]
        found = self.of(ci, flavors=phrases).compose(bare(readings[1]), "precise")
        assert {phrase.text for phrase in found.phrases} == set(phrases)

    def test_none_true(self, ci: Interrogator, readings: list[Reading]) -> None:
        few = self.of(ci, artists=["by Claude Monet", "by Rembrandt"], sites=["sprite gallery"])
        found = few.compose(readings[0], "precise")
        assert (found.prompt, found.phrases) == (readings[0].caption, [])
        assert found.remarks == ("no_phrases",)
        with pytest.raises(CaptionError, match="no phrase of the banks has enough evidence"):
            few.compose(bare(readings[0]), "precise")

    def test_a_quota_holds(self, ci: Interrogator, readings: list[Reading]) -> None:
        limited = Interrogator(ci.captioner, ci.encoder, [bank.limited(1) for bank in ci.banks])
        banks = [phrase.bank for phrase in limited.compose(bare(readings[0]), "precise").phrases]
        assert len(banks) == len(set(banks)) > 1


def test_an_embedding_that_is_not_finite_is_an_error_of_its_image(ci: Interrogator, readings: list[Reading]) -> None:
    assert readings[0].embedding is not None
    broken = replace(readings[0], embedding=torch.full_like(readings[0].embedding, float("nan")))
    with pytest.raises(CaptionError, match="not finite"):
        ci.compose(broken, "precise")


@pytest.mark.parametrize("gap", [0.0, 1.2])
def test_only_phrases_that_say_the_same_are_nearer_than_the_angle(ci: Interrogator, gap: float) -> None:
    """In the demo's own space, and where all texts share a direction, as those of larger encoders do."""
    groups = [own for words in (MEDIUM_NAMES, MOVEMENTS, QUALITIES) for own in words.values()]
    texts = [text for own in groups for text in own]
    home = torch.tensor([number for number, own in enumerate(groups) for _ in own])
    rows = ci.encoder.encode_texts(texts)
    common = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(0))
    rows = torch.nn.functional.normalize(rows + gap * common / common.norm(), dim=-1)
    is_near = rows @ rows.T > math.cos(math.radians(SAME_ANGLE))
    medium = torch.tensor([list(MEDIUM_NAMES).index(name) for words in (MEDIUM_NAMES, MOVEMENTS, QUALITIES)
                           for name in words for _ in words[name]])  # fmt: skip
    assert not is_near[medium[:, None] != medium[None]].any()
    assert is_near[home[:, None] == home[None]].float().mean() > 0.9


class TestBadInput:
    @pytest.mark.parametrize(
        ("caption", "claims"),
        [
            ("一只红色的龙，蓝色的翅膀。", 2),
            ("рыжий кот с синими крыльями", 1),
            ("قطة حمراء بأجنحة زرقاء، على الشاطئ", 2),
            ("🐉🔥", 0),
            ("\u202eabc", 1),
            (",,,,", 0),
        ],
    )
    def test_captions_in_other_scripts(
        self, ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], caption: str, claims: int
    ) -> None:
        image, truth = drawn[0]
        result = ci.interrogate(image, "precise", caption=caption)
        assert result.prompt.startswith(caption.rstrip("。")) and f"{truth.color} body" in result.prompt
        assert len(ci.check(image, caption)) == claims

    def test_a_caption_of_two_thousand_words(
        self, ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], caplog: pytest.LogCaptureFixture
    ) -> None:
        image, truth = drawn[0]
        caption = ", ".join([truth.caption, *(f"a number {number} in a corner" for number in range(400))])
        assert len(caption.split()) > 2000
        with caplog.at_level(logging.WARNING):
            result = ci.interrogate(image, "precise", caption=caption)
        assert ci.encoder.fits(result.prompt) and result.prompt.startswith(truth.caption) and "was cut" in caplog.text
        verdicts = [claim.verdict for claim in ci.check(image, caption)]
        assert len(verdicts) > 400 and verdicts[0] == "supported"

    def test_an_encoder_that_gives_nan_for_texts_is_named_as_the_cause(
        self, ci: Interrogator, readings: list[Reading], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encode = type(ci.encoder).encode_texts

        def broken(*args: object, **options: object) -> torch.Tensor:
            return encode(*args, **options) * float("nan")  # type: ignore[arg-type]

        monkeypatch.setattr(type(ci.encoder), "encode_texts", broken)
        with pytest.raises(ModelError, match="not finite"):
            Interrogator(None, ci.encoder, ci.banks).compose(readings[0], "precise")
        cached = Interrogator(None, ci.encoder, [PhraseBank.from_phrases("mine", ["a new phrase"])], ci.cache)
        with pytest.raises(ModelError, match="not finite"):
            cached.compose(readings[0], "precise")

    def test_no_bank_at_all(self, ci: Interrogator, readings: list[Reading]) -> None:
        result = Interrogator(None, ci.encoder, []).compose(readings[0], "precise")
        assert result.prompt == readings[0].caption and result.remarks == ("no_phrases",)


class TestCalibrating:
    def test_without_references_the_caption_shows_what_is_similar(
        self, uncalibrated: Interrogator, readings: list[Reading], drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        for reading, (_, truth) in list(zip(readings, drawn, strict=True))[:8]:
            result = uncalibrated.compose(reading, "precise")
            assert "uncalibrated" in result.remarks and result.phrases
            assert all(is_true(each.text, truth) or each.text in ALWAYS_TRUE for each in result.phrases)

    def test_a_missing_calibration_is_said_once(
        self, uncalibrated: Interrogator, readings: list[Reading], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            for reading in readings[:2]:
                uncalibrated.compose(reading, "precise")
        assert caplog.text.count("demo is not calibrated") == 1

    def test_with_neither_it_says_what_to_do(self, uncalibrated: Interrogator, readings: list[Reading]) -> None:
        with pytest.raises(CaptionError, match="reference images to calibrate with"):
            uncalibrated.compose(bare(readings[0]), "precise")

    def test_references_are_learned_from_and_stored_beside_the_embeddings(
        self, ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path
    ) -> None:
        own = interrogator.load("demo", cache_dir=tmp_path, device="cpu")
        made = own.calibrate([image for image, _ in drawn], [truth.caption for _, truth in drawn])
        assert len(made.references) == len(drawn)
        (path,) = tmp_path.rglob(FILE_NAME)
        found = load_calibration(path.parent, made.references.shape[1])
        assert found is not None and found.slope == made.slope
        again = interrogator.load("demo", cache_dir=tmp_path, device="cpu")
        evidence = again.evidence()
        assert evidence is not None and evidence.calibration.slope == made.slope

    def test_the_captioner_writes_what_is_missing(
        self, ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        own = Interrogator(ci.captioner, ci.encoder, ci.banks)
        made = own.calibrate([image for image, _ in drawn])
        assert isinstance(made, Calibration) and made.slope > 0

    def test_captions_that_do_not_match_in_number_are_refused(self, ci: Interrogator) -> None:
        with pytest.raises(RequestError, match="2 captions for 0 images"):
            ci.calibrate([], ["a", "b"])
        with pytest.raises(RequestError, match="no reference images"):
            ci.calibrate([])

    def test_a_damaged_calibration_is_said_and_done_without(
        self, ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        own = interrogator.load("demo", cache_dir=tmp_path, device="cpu")
        own.calibrate([image for image, _ in drawn], [truth.caption for _, truth in drawn])
        (path,) = tmp_path.rglob(FILE_NAME)
        path.write_bytes(b"damaged")
        with caplog.at_level(logging.WARNING):
            again = interrogator.load("demo", cache_dir=tmp_path, device="cpu")
            assert again.evidence() is not None  # what the encoder comes with
        assert "calibrate again" in caplog.text


class TestCommands:
    def test_prompt(self, cache_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.png"
        image, truth = interrogator.demo.creature(41)
        image.save(path)
        options = ["--preset", "demo", "--cache-dir", str(cache_dir), "--device", "cpu"]
        assert main(["prompt", str(path), "--mode", "precise", "--strictness", "0.02", "--json", *options]) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["prompt"].startswith(truth.caption)
        assert all(phrase["evidence"] > 0.5 for phrase in record["phrases"])

    def test_strictness_belongs_to_precise(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["prompt", "a.png", "--preset", "demo", "--mode", "fast", "--strictness", "0.1"]) == 2
        assert "the modes that have it are precise" in capsys.readouterr().err
        assert main(["prompt", "a.png", "--preset", "demo", "--mode", "precise", "--strictness", "2"]) == 2

    def test_a_dataset_run(
        self, cache_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        drawn: list[tuple[Image.Image, Creature]],
    ) -> None:  # fmt: skip
        for number, (image, _) in enumerate(drawn[:2]):
            image.save(tmp_path / f"{number}.png")
        options = ["--preset", "demo", "--cache-dir", str(cache_dir), "--device", "cpu", "--strictness", "0.02"]
        assert main(["caption", str(tmp_path), "--mode", "precise", *options]) == 0
        for number, (_, truth) in enumerate(drawn[:2]):
            text = (tmp_path / f"{number}.txt").read_text(encoding="utf-8")
            assert text.startswith(f"{truth.caption}, ") and f"{truth.color} body" in text

    def test_a_dataset_run_says_which_phrases_are_missing_and_why(
        self, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        drawn: list[tuple[Image.Image, Creature]],
    ) -> None:  # fmt: skip
        monkeypatch.setattr("interrogator.pipeline.calibrations.load_calibration", lambda folder, width: None)
        drawn[0][0].save(tmp_path / "0.png")
        (tmp_path / "mine.txt").write_text("by Claude Monet\n", encoding="utf-8")
        options = ["--preset", "demo", "--cache-dir", str(cache_dir), "--device", "cpu"]
        bank = str(tmp_path / "mine.txt")
        assert main(["caption", str(tmp_path), "--mode", "precise", "--bank", bank, *options]) == 0
        (path,) = tmp_path.rglob("summary.json")
        findings = {each["id"]: each for each in json.loads(path.read_bytes())["findings"]}
        assert findings["no_phrases"]["keys"] == findings["uncalibrated"]["keys"] == ["0.png"]

    def test_calibrate(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        for number, (image, truth) in enumerate(drawn):
            image.save(tmp_path / f"{number}.png")
            if number:
                (tmp_path / f"{number}.txt").write_text(truth.caption, encoding="utf-8")
        options = ["--preset", "demo", "--cache-dir", str(tmp_path / "cache"), "--device", "cpu"]
        assert main(["calibrate", str(tmp_path), "--json", *options]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == {"encoder": "demo", "references": len(drawn), "failed": 0}
        assert list((tmp_path / "cache").rglob(FILE_NAME))

    def test_calibrate_refuses_too_few(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        drawn[0][0].save(tmp_path / "0.png")
        options = ["--preset", "demo", "--cache-dir", str(tmp_path / "cache"), "--device", "cpu"]
        assert main(["calibrate", str(tmp_path), *options]) == 2
        assert "at least 20 reference images" in capsys.readouterr().err
