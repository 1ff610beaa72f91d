"""Captions checked claim by claim, in the library and at the command line."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import interrogator
from interrogator.cli import main
from interrogator.demo.attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS, Creature
from interrogator.demo.creatures import creature
from interrogator.evidence import MIN_REFERENCES, Claim, ClaimChecker, split_claims
from interrogator.pipeline import Interrogator, calibrations

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

CHOICES: dict[str, Sequence[str]] = {
    "kind": KINDS, "color": tuple(COLORS), "background": tuple(BACKGROUNDS), "medium": tuple(MEDIUMS),
}  # fmt: skip
OF_FEATURES: dict[str, Sequence[str]] = {"feature": FEATURES, "feature_color": tuple(COLORS)}


@pytest.fixture(scope="module")
def ci() -> Interrogator:
    return interrogator.load("demo", captioner="none", tagger="none", banks=())


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image.Image, Creature]]:
    return [creature(seed) for seed in range(500, 560)]


def altered(truth: Creature, rng: random.Random) -> Creature:
    """The creature with one attribute that it has not."""
    choices = CHOICES | (OF_FEATURES if truth.feature else {})
    name = rng.choice(list(choices))
    return replace(truth, **{name: rng.choice([each for each in choices[name] if each != getattr(truth, name)])})


def told_apart(truths: Sequence[Creature], wrong: Sequence[Creature], found: Sequence[Sequence[Claim]]) -> list[int]:
    """Numbers of claims: false ones, those of them found, true ones, those of them held unsupported."""
    counts = [0, 0, 0, 0]
    for truth, other, claims in zip(truths, wrong, found, strict=True):
        true = {claim.text for claim in split_claims(truth.caption)}
        assert [claim.text for claim in claims] == [claim.text for claim in split_claims(other.caption)]
        for claim in claims:
            at = 2 if claim.text in true else 0
            counts[at] += 1
            counts[at + 1] += claim.verdict == "unsupported"
    return counts


def test_one_wrong_attribute_of_a_true_caption_is_found(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    images, truths = [image for image, _ in drawn], [truth for _, truth in drawn]
    rng = random.Random(0)
    wrong = [altered(truth, rng) for truth in truths]
    found = ci.check_many(images, [each.caption for each in wrong])
    false, seen, true, alarms = told_apart(truths, wrong, found)
    assert false == len(drawn) and seen >= 0.95 * false
    assert alarms <= 0.02 * true


def test_captions_that_are_all_wrong_somewhere_still_calibrate_the_encoder(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    images, truths = [image for image, _ in drawn], [truth for _, truth in drawn]
    rng = random.Random(2)
    wrong = [altered(truth, rng) for truth in truths]
    captions = [each.caption for each in wrong]
    rows = [reading.embedding for reading in ci.read(images, {"encoder"})]
    checker = ClaimChecker(ci.encoder).learned(rows, captions)
    false, seen, true, alarms = told_apart(truths, wrong, checker.check(rows, captions))
    assert seen >= 0.95 * false and alarms <= 0.02 * true


def test_without_a_calibration_a_caption_is_held_against_its_better_half(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    rng = random.Random(1)
    truths = [truth for _, truth in drawn[:15]]
    wrong = [altered(truth, rng) for truth in truths]
    checker = ClaimChecker(ci.encoder)
    captions = [each.caption for each in wrong]
    found = ci.check_many([image for image, _ in drawn[:15]], captions, checker=checker)
    false, seen, _, alarms = told_apart(truths, wrong, found)
    assert seen >= false - 1 and alarms <= 1


def test_files_that_can_be_read_only_once_are_checked(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrations, "stored", lambda *known: None)
    files = []
    for image, _ in drawn[:MIN_REFERENCES]:
        files.append(io.BytesIO())
        image.save(files[-1], "png")
        files[-1].seek(0)
    fresh = Interrogator(None, ci.encoder, ())
    assert all(fresh.check_many(files, [truth.caption for _, truth in drawn[:MIN_REFERENCES]]))


def test_spans_are_of_the_caption(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    image, truth = drawn[0]
    caption = f"({truth.caption}:1.2), the {truth.kind} is {truth.color}"
    for claim in ci.check(image, caption):
        said = caption[slice(*claim.span)]
        assert set(claim.text.split()) <= set(said.split()) and 0 <= claim.evidence <= 1


def test_a_claim_that_something_is_missing_is_never_supported(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    image, truth = next(each for each in drawn if each[1].feature == "wings")
    claims = ci.check(image, f"{truth.caption}, without {truth.feature_color} wings, no horns, and not a {truth.kind}")
    denied, missing, other = claims[-3:]
    assert denied.verdict == other.verdict == "unsupported" and missing.verdict in ("unknown", "unsupported")
    assert missing.evidence > denied.evidence


@pytest.mark.parametrize("caption", ["", "there is", "masterpiece, best quality, score_9"])
def test_a_caption_that_claims_nothing_has_no_claims(ci: Interrogator, caption: str) -> None:
    assert ci.check(creature(1)[0], caption) == []


@pytest.mark.parametrize("caption", ["a red cat, " * 700, "一只红色的猫，坐在沙滩上。", "x", "猫"])
def test_any_caption_can_be_checked(ci: Interrogator, caption: str) -> None:
    claims = ci.check(creature(1)[0], caption)
    assert len(claims) == len(split_claims(caption)) > 0
    assert len({(claim.text, claim.verdict) for claim in claims}) == len({claim.text for claim in claims})


def test_captions_that_show_nothing_calibrate_nothing(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    checker = ClaimChecker(ci.encoder)
    rows = [reading.embedding for reading in ci.read([image for image, _ in drawn[:MIN_REFERENCES]], {"encoder"})]
    same = ["a red cat"] * MIN_REFERENCES
    assert checker.can_learn_from(same) and not checker.can_learn_from(same[1:])
    assert checker.learned(rows, same) is checker
    learned = checker.learned(rows, [truth.caption for _, truth in drawn[:MIN_REFERENCES]])
    assert learned.calibration is not None and not learned.can_learn_from(same)


def test_as_many_captions_as_images_are_needed(ci: Interrogator) -> None:
    with pytest.raises(interrogator.RequestError, match="2 captions for 1 images"):
        ci.check_many([creature(1)[0]], ["a cat", "a dog"])


def test_an_embedding_that_is_not_finite_is_refused(ci: Interrogator) -> None:
    row = torch.full_like(ci.read([creature(1)[0]], {"encoder"})[0].embedding, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(interrogator.ModelError, match="not finite"):
        ClaimChecker(ci.encoder).check([row], ["a red cat"])


class Says:
    """A matcher that holds every text for as likely."""

    def __init__(self, probability: float) -> None:
        self.probability = probability
        self.asked: list[list[str]] = []

    def prepare(self, image: Image.Image) -> tuple[int, int]:
        return image.size

    def match(self, prepared: Sequence[Any], texts: Sequence[Sequence[str]], progress: Any = None) -> torch.Tensor:
        self.asked += [list(each) for each in texts]
        rows = torch.full((len(texts), max(map(len, texts))), float("nan"))
        for row, each in zip(rows, texts, strict=True):
            row[: len(each)] = self.probability
        return rows


def test_a_matcher_is_a_second_voice(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    images = [image for image, _ in drawn[:3]]
    captions = [drawn[0][1].caption, "", "a cat"]

    def heard(probability: float) -> list[list[Claim]]:
        matcher: Any = Says(probability)
        found = Interrogator(None, ci.encoder, (), matcher=matcher).check_many(images, captions)
        assert matcher.asked == [[claim.text for claim in split_claims(caption)] for caption in captions]
        return found

    doubtful, alone, sure = heard(0.001), ci.check_many(images, captions), heard(0.999)
    assert all(low.evidence < high.evidence for low, high in zip(doubtful[0], sure[0], strict=True))
    assert [claim.verdict for claim in alone[0]] == [claim.verdict for claim in sure[0]] == ["supported"] * len(sure[0])
    assert "supported" not in [claim.verdict for claim in doubtful[0] if claim.evidence < 0.6]
    assert doubtful[1] == sure[1] == []


class TestCommand:
    """`interrogator check`."""

    @pytest.fixture
    def uncalibrated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The demo's encoder comes calibrated; most others do not."""
        monkeypatch.setattr(calibrations, "stored", lambda *known: None)

    @pytest.fixture
    def checked(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[list[str]], str]]:
        def run(*arguments: object) -> tuple[int, list[list[str]], str]:
            status = main(["check", *map(str, arguments), "--preset", "demo"])
            out, err = capsys.readouterr()
            return status, [line.split("\t") for line in out.splitlines()], err

        return run

    def test_claims_come_with_verdict_and_evidence(self, creature_folder: Path, checked: Any) -> None:
        _, truth = creature(1)
        wrong = replace(truth, color="red" if truth.color != "red" else "blue")
        status, lines, err = checked(creature_folder / "1.png", "--caption", wrong.caption)
        assert status == 0 and "not calibrated" not in err
        assert [line[2] for line in lines] == [claim.text for claim in split_claims(wrong.caption)]
        assert [line[0] for line in lines][1] == "unsupported" and float(lines[1][1]) <= 0.4

    @pytest.mark.usefixtures("uncalibrated")
    def test_an_encoder_that_is_not_calibrated_is_said(self, creature_folder: Path, checked: Any) -> None:
        status, lines, err = checked(creature_folder / "1.png", "--caption", "a red cat with wings")
        assert status == 0 and "interrogator calibrate" in err and len(lines) == 2

    def test_captions_lie_beside_or_in_a_metadata_file(self, creature_folder: Path, checked: Any) -> None:
        (creature_folder / "1.txt").write_text("\ufeffa red cat\n", encoding="utf-8")
        rows = [{"file_name": "1.png", "text": "a dog"}, {"file_name": "2.png", "text": "a blue dog, a beach"}]
        (creature_folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        status, lines, _ = checked(creature_folder)
        assert status == 0
        assert [(Path(line[0]).name, line[3]) for line in lines] == [
            ("1.png", "a red cat"), ("2.png", "a blue dog"), ("2.png", "a beach"),
        ]  # fmt: skip

    def test_a_picture_without_a_caption_is_named_and_does_not_stop_the_others(
        self, creature_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (creature_folder / "2.txt").write_text("a red cat", encoding="utf-8")
        assert main(["check", str(creature_folder), "--preset", "demo", "--json"]) == 1
        out, err = capsys.readouterr()
        first, second = map(json.loads, out.splitlines())
        assert "no caption" in first["error"] and "1 of 2 images failed" in err
        assert second["caption"] == "a red cat"
        (claim,) = second["claims"]
        assert set(claim) == {"text", "span", "evidence", "verdict"} and claim["span"] == [0, 9]

    @pytest.mark.usefixtures("uncalibrated")
    def test_many_captions_calibrate_the_encoder(
        self, tmp_path: Path, checked: Any, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        for number, (image, truth) in enumerate(drawn[:MIN_REFERENCES]):
            image.save(tmp_path / f"{number}.png")
            (tmp_path / f"{number}.txt").write_text(truth.caption, encoding="utf-8")
        (tmp_path / "broken.jpg").write_text("not a picture", encoding="utf-8")
        (tmp_path / "broken.txt").write_text("a red cat", encoding="utf-8")
        status, lines, err = checked(tmp_path)
        assert status == 1 and "not calibrated" not in err and "broken.jpg" in err
        assert sum(line[1] == "supported" for line in lines) >= 0.9 * len(lines)

    def test_an_empty_caption_is_refused(self, creature_folder: Path, checked: Any) -> None:
        assert checked(creature_folder / "1.png", "--caption", " ")[0] == 2
