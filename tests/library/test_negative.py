"""Mode negative: styles the image does not have, then the faults of the bank `negative`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

import interrogator
from interrogator import Interrogator, PhraseBank, load_banks
from interrogator.demo.attributes import Creature
from interrogator.demo.creatures import creature
from interrogator.demo.training.words import MEDIUM_NAMES, MOVEMENTS, QUALITIES
from interrogator.errors import RequestError
from interrogator.pipeline import Interrogation

pytestmark = pytest.mark.models

FAULTS = ("blurry", "lowres", "watermark", "cropped", "extra fingers")


@pytest.fixture(scope="module")
def ci() -> Interrogator:
    return interrogator.load("demo")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image.Image, Creature]]:
    return [creature(90_000 + number) for number in range(24)]


def with_faults(ci: Interrogator, *faults: str) -> Interrogator:
    """The styles of the demo, and these faults."""
    styles = [bank for bank in ci.banks if bank.role in ("mediums", "movements")]
    return Interrogator(None, ci.encoder, [*styles, PhraseBank.from_phrases("negative", faults)], ci.cache)


def parts(result: Interrogation) -> tuple[list[str], list[str]]:
    """Styles and faults."""
    styles = [phrase.text for phrase in result.phrases if phrase.bank != "negative"]
    return styles, [phrase.text for phrase in result.phrases if phrase.bank == "negative"]


def test_styles_are_those_of_other_pictures_and_never_ones_own(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    own = with_faults(ci, *FAULTS)
    results = own.interrogate_many([image for image, _ in drawn], "negative")
    for result, (_, truth) in zip(results, drawn, strict=True):
        styles, faults = parts(result)
        true = {*MEDIUM_NAMES[truth.medium], *MOVEMENTS[truth.medium], *QUALITIES[truth.medium]}
        assert len(styles) == 4 and not true & set(styles)
        assert faults == list(FAULTS)
        assert result.prompt == ", ".join([*styles, *faults]) and result.caption == ""
        assert all(phrase.evidence is not None and phrase.evidence < 0.05 for phrase in result.phrases[:4])
    assert len({result.prompt for result in results}) > 3


def test_styles_hold_beside_all_banks_that_there_are(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    styles = [bank for bank in ci.banks if bank.role in ("mediums", "movements")]
    everything = Interrogator(None, ci.encoder, [*styles, *load_banks()], ci.cache)
    for image, truth in drawn[:8]:
        styles, faults = parts(everything.interrogate(image, "negative"))
        assert styles and not set(MEDIUM_NAMES[truth.medium]) & set(styles)
        assert faults[:3] == ["blurry", "lowres", "worst quality"]


def test_a_fault_that_is_true_of_the_picture_is_left_out(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    image, truth = drawn[0]
    _, faults = parts(with_faults(ci, "blurry", f"{truth.color} body", "text").interrogate(image, "negative"))
    assert faults == ["blurry", "text"]


def test_a_fault_whose_words_are_said_is_left_out(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    _, faults = parts(with_faults(ci, "cropped head", "Cropped", "text").interrogate(drawn[0][0], "negative"))
    assert faults == ["cropped head", "text"]


@pytest.mark.parametrize(("most", "styles", "faults"), [(12, 4, 5), (6, 2, 4), (2, 0, 2), (40, 5, 5)])
def test_the_number_of_phrases_is_that_of_both_parts(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], most: int, styles: int, faults: int
) -> None:
    found = parts(with_faults(ci, *FAULTS).interrogate(drawn[0][0], "negative", max_phrases=most))
    assert len(found[0]) >= styles and len(found[0]) <= most // 3 and len(found[1]) == faults


def test_quotas_bound_either_part(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    whole = with_faults(ci, *FAULTS)
    few = Interrogator(None, ci.encoder, [bank.limited(1) for bank in whole.banks], ci.cache)
    styles, faults = parts(few.interrogate(drawn[0][0], "negative"))
    assert len(styles) <= 2 and faults == ["blurry"]


def test_it_fits_the_context(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    many = with_faults(ci, *(f"{fault} {number} of a great many" for number in range(9) for fault in FAULTS))
    result = many.interrogate(drawn[0][0], "negative", max_phrases=64)
    assert ci.encoder.fits(result.prompt) and len(result.phrases) < 45


class TestWithoutReferences:
    @pytest.fixture
    def uncalibrated(self, ci: Interrogator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrogator]:
        monkeypatch.setattr("interrogator.pipeline.calibrations.load_calibration", lambda folder, width: None)
        yield with_faults(ci, *FAULTS)

    def test_only_faults_are_named_and_that_is_remarked(
        self, uncalibrated: Interrogator, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        result = uncalibrated.interrogate(drawn[0][0], "negative")
        assert result.prompt == ", ".join(FAULTS) and result.remarks == ("uncalibrated",)

    def test_no_faults_either_is_an_error_that_says_what_to_do(
        self, uncalibrated: Interrogator, drawn: list[tuple[Image.Image, Creature]]
    ) -> None:
        bare = Interrogator(None, uncalibrated.encoder, uncalibrated.banks[:1], uncalibrated.cache)
        with pytest.raises(RequestError, match="use the bank negative, calibrate the encoder"):
            bare.interrogate(drawn[0][0], "negative")
