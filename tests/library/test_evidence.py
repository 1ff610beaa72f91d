"""Evidence: similarities made into odds, in planted worlds and with small tables; no models."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from interrogator import ModelError, RequestError
from interrogator.evidence import (
    MAX_REFERENCES,
    MIN_REFERENCES,
    Calibration,
    Held,
    PhraseEvidence,
    claims_of,
    in_order,
    load_calibration,
    save_calibration,
    select,
)
from interrogator.evidence.calibration_file import FILE_NAME
from interrogator.evidence.logistic import fit, fit_claimed, log_odds, sigmoid
from interrogator.evidence.words import contradicts, says
from interrogator.rows import Rows

WIDTH, CONCEPTS = 64, 40


class World:
    """Images and texts around the same concepts; `hubs` pulls each text towards all images."""

    def __init__(self, seed: int = 0, hubs: float = 0.0, images: int = 200) -> None:
        rng = np.random.default_rng(seed)
        self.meaning = rng.normal(size=(CONCEPTS, WIDTH)) / np.sqrt(WIDTH)
        common = rng.normal(size=WIDTH) / np.sqrt(WIDTH)
        self.true = rng.random((images, CONCEPTS)) < rng.uniform(0.02, 0.2, CONCEPTS)
        self.images = self._unit(self.true @ self.meaning + common + 0.3 * rng.normal(size=(images, WIDTH)) / 8)
        pull = hubs * rng.exponential(size=(CONCEPTS, 1))
        self.texts = self._unit(self.meaning + pull * common)
        self.captions = [", ".join(f"thing{number}" for number in np.flatnonzero(row)) for row in self.true]

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        return self.texts[[int(text.removeprefix("thing")) for text in texts]]

    def calibration(self, first: int = 100) -> Calibration:
        return Calibration.of(self.images[:first], self.captions[:first], self.encode)

    def evidence(self) -> PhraseEvidence:
        return PhraseEvidence(self.calibration(), Rows([self.texts.half()]), [np.arange(CONCEPTS)])

    def odds(self, evidence: PhraseEvidence) -> np.ndarray:
        """Log odds of every phrase for the images that are no references: [images, CONCEPTS]."""
        similarity = (self.images[100:] @ self.texts.T).numpy()
        return np.stack([evidence.log_odds(row, np.arange(CONCEPTS)) for row in similarity])

    @staticmethod
    def _unit(rows: np.ndarray) -> torch.Tensor:
        return normalize(torch.tensor(rows, dtype=torch.float32))


def auc(scores: np.ndarray, true: np.ndarray) -> float:
    ranks = np.empty(scores.size)
    ranks[np.argsort(scores.ravel())] = np.arange(scores.size)
    own = true.ravel()
    count = own.sum()
    return float((ranks[own].sum() - count * (count - 1) / 2) / (count * (scores.size - count)))


class TestCalibration:
    def test_hubs_are_corrected_where_there_are_some(self) -> None:
        world = World(hubs=0.8)
        similarity, true = (world.images[100:] @ world.texts.T).numpy(), world.true[100:]
        evidence = world.evidence()
        assert evidence.calibration.bias_weight < 0
        assert auc(world.odds(evidence), true) > auc(similarity, true) + 0.03

    def test_the_order_of_similarity_stays_where_there_are_none(self) -> None:
        world = World()
        similarity, true = (world.images[100:] @ world.texts.T).numpy(), world.true[100:]
        assert auc(world.odds(world.evidence()), true) > auc(similarity, true) - 0.01

    def test_the_share_of_false_phrases_is_about_the_strictness(self) -> None:
        for seed in range(3):
            world = World(seed, images=600)
            evidence = world.evidence()
            odds, true = world.odds(evidence), world.true[100:]
            for strictness in (0.01, 0.05, 0.2):
                accepted = odds >= evidence.level(strictness)
                assert strictness / 2.5 < (accepted & ~true).sum() / accepted.sum() < strictness * 2.5

    def test_wrong_captions_cost_little(self) -> None:
        world = World(images=600)
        similarity, true = (world.images[300:] @ world.texts.T).numpy(), world.true[300:]
        captions = list(world.captions[:300])
        captions[::5] = [*captions[5::5], captions[0]]  # one in five belongs to another image
        clean = Calibration.of(world.images[:300], world.captions[:300], world.encode)
        noisy = Calibration.of(world.images[:300], captions, world.encode)
        assert noisy.slope > 0.8 * clean.slope
        accepted = noisy.log_ratio(similarity, noisy.bias(world.texts)) > 3
        assert (accepted & ~true).sum() < 0.05 * accepted.sum() and (accepted & true).sum() > 0.8 * true.sum()

    def test_captions_in_any_order_are_refused(self) -> None:
        world = World()
        with pytest.raises(RequestError, match="belong to the images"):
            Calibration.of(world.images[:100], [*world.captions[50:100], *world.captions[:50]], world.encode)

    def test_no_phrase_of_a_prompt_is_much_more_doubtful_than_the_strictness(self) -> None:
        evidence = World().evidence()
        for strictness in (0.01, 0.05, 0.2):
            doubt = 1 - float(sigmoid(np.array(evidence.least(strictness))))
            assert doubt <= min(4 * strictness, 0.5) + 1e-6

    def test_a_stricter_reader_accepts_no_more(self) -> None:
        evidence = World().evidence()
        levels = [evidence.level(strictness) for strictness in (0.01, 0.05, 0.2, 0.5)]
        assert levels == sorted(levels, reverse=True)
        assert all(evidence.least(strictness) >= 0 for strictness in (0.01, 0.5))

    def test_few_references_are_refused(self) -> None:
        world = World()
        with pytest.raises(RequestError, match=f"at least {MIN_REFERENCES}"):
            Calibration.of(world.images[:30], [*world.captions[:5], *[""] * 25], world.encode)

    def test_captions_that_all_claim_the_same_are_refused(self) -> None:
        world = World()
        with pytest.raises(RequestError, match="claim the same"):
            Calibration.of(world.images[:30], ["thing1"] * 30, world.encode)

    def test_captions_of_other_images_are_refused(self) -> None:
        world = World()
        opposite = -world.images[:100]
        with pytest.raises(RequestError, match="belong to the images"):
            Calibration.of(opposite, world.captions[:100], world.encode)

    def test_an_encoder_that_gives_nan_is_refused(self) -> None:
        world = World()
        world.images[3] = float("nan")
        with pytest.raises(ModelError, match="not finite"):
            Calibration.of(world.images, world.captions, world.encode)

    def test_references_are_bounded(self) -> None:
        world = World(images=MAX_REFERENCES + 50)
        assert len(Calibration.of(world.images, world.captions, world.encode).references) <= MAX_REFERENCES

    def test_a_picture_calibrates_itself_by_its_claims(self) -> None:
        phrases = np.linspace(0.0, 0.3, 100, dtype=np.float32)
        found = Calibration.of_picture(np.array([0.25, 0.25, 0.2], np.float32), phrases, WIDTH)
        assert found is not None
        odds = found.log_ratio(phrases, np.zeros_like(phrases))
        assert (np.diff(odds) > 0).all() and odds[50] < -7 and odds[-1] > 0
        assert Calibration.of_picture(np.array([0.1], np.float32), phrases, WIDTH) is None


class TestPhraseEvidence:
    def test_a_bank_of_one_phrase(self) -> None:
        world = World()
        evidence = PhraseEvidence(world.calibration(), Rows([world.texts[:1].half()]), [np.arange(1)])
        similarity = (world.images[100:] @ world.texts[0]).numpy()
        odds = np.array([evidence.log_odds(np.array([each]), np.arange(1))[0] for each in similarity])
        assert auc(odds, world.true[100:, 0]) > 0.9

    def test_a_phrase_that_holds_for_all_references_is_no_candidate(self) -> None:
        world = World()
        hub = normalize(world.images[:100].mean(dim=0, keepdim=True))
        table = torch.cat([world.texts, hub]).half()
        calibration = replace(world.calibration(), bias_weight=0.0)  # which would take it off by itself
        evidence = PhraseEvidence(calibration, Rows([table]), [np.arange(CONCEPTS + 1)])
        rough = np.full(CONCEPTS + 1, 0.99, dtype=np.float32)
        assert evidence.candidates(rough, 0.0, 0.0).tolist() == list(range(CONCEPTS))

    def test_where_no_phrase_holds_none_is_accepted(self) -> None:
        world = World()
        away = normalize(-world.images.mean(dim=0, keepdim=True) + 0.01 * torch.randn(5, WIDTH))
        evidence = PhraseEvidence(world.calibration(), Rows([away.half()]), [np.arange(5)])
        rough = (away @ world.images[150]).numpy()
        assert len(evidence.candidates(rough, 0.0, evidence.least(0.05))) == 0

    def test_phrases_outside_the_groups_are_never_candidates(self) -> None:
        world = World()
        evidence = PhraseEvidence(world.calibration(), Rows([world.texts.half()]), [np.arange(3)])
        assert set(evidence.candidates(np.full(CONCEPTS, 0.99, np.float32), 0.0, 0.0)) <= {0, 1, 2}

    def test_without_groups_nothing_is(self) -> None:
        world = World()
        evidence = PhraseEvidence(world.calibration(), Rows([world.texts.half()]), [])
        assert evidence.least(0.05) == float("inf")


class TestFile:
    def test_what_is_saved_is_loaded(self, tmp_path: Path) -> None:
        calibration = World(hubs=0.5).calibration()
        save_calibration(tmp_path, calibration)
        found = load_calibration(tmp_path, WIDTH)
        assert found is not None and torch.equal(found.references, calibration.references)
        for name in ("slope", "bias_weight", "intercept", "claim_rate", "most_claimed"):
            assert getattr(found, name) == getattr(calibration, name)

    def test_none_is_no_error(self, tmp_path: Path) -> None:
        assert load_calibration(tmp_path, WIDTH) is None

    @pytest.mark.parametrize("damage", ["cut", "text", "width"])
    def test_a_file_that_cannot_be_used_is_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        path = save_calibration(tmp_path, World().calibration())
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        elif damage == "text":
            path.write_text("nothing")
        with caplog.at_level(logging.WARNING):
            assert load_calibration(tmp_path, WIDTH + (damage == "width")) is None
        assert FILE_NAME in caplog.text and "calibrate again" in caplog.text


class TestLogistic:
    @given(st.floats(-8, 8))
    def test_odds_and_probabilities_are_two_ways_to_say_one_thing(self, odds: float) -> None:
        assert log_odds(float(sigmoid(np.array(odds)))) == pytest.approx(odds, abs=1e-6)

    def test_separable_examples_give_finite_weights(self) -> None:
        features = np.array([[0.0], [0.1], [0.9], [1.0]])
        weights = fit(features, np.array([False, False, True, True]))
        assert np.isfinite(weights).all() and weights[0] > 0

    def test_what_is_not_claimed_may_be_true(self) -> None:
        rng = np.random.default_rng(0)
        true = np.arange(20_000) < 1_000
        values = rng.normal(size=20_000) + 4 * true
        claimed = true & (rng.random(20_000) < 0.4) | (rng.random(20_000) < 0.002)
        (slope, intercept), share = fit_claimed(values[:, None], claimed, np.ones(20_000))
        assert slope == pytest.approx(4, rel=0.2) and -intercept / slope == pytest.approx(2, abs=0.2)
        assert share == pytest.approx(true[claimed].mean(), abs=0.03)

    def test_an_example_counts_as_often_as_it_is_there(self) -> None:
        rng = np.random.default_rng(1)
        values, claimed = rng.normal(size=300), np.arange(300) < 60
        values += 2 * claimed
        numbers = rng.integers(1, 4, 300)
        once, _ = fit_claimed(values[:, None], claimed, numbers.astype(np.float64))
        again = np.repeat(np.arange(300), numbers)
        several, _ = fit_claimed(values[again][:, None], claimed[again], np.ones(len(again)))
        assert once == pytest.approx(several, rel=1e-3)

    def test_kinds_count_alike_however_many_there_are(self) -> None:
        rng = np.random.default_rng(0)
        values = np.concatenate([rng.normal(0, 1, 20_000), rng.normal(2, 1, 200)])
        slope, intercept = fit(values[:, None], np.arange(len(values)) >= 20_000)
        assert -intercept / slope == pytest.approx(1.0, abs=0.15)  # in the middle between both


class TestWords:
    def test_a_caption_claims_each_thing_once(self) -> None:
        assert claims_of("a red cat with a blue tail, a red cat") == ["a red cat", "a blue tail"]
        assert claims_of("") == []

    def test_a_thing_has_one_colour(self) -> None:
        assert contradicts("yellow wings", "a pink wings") and contradicts("Red Body", "blue body")
        assert not contradicts("yellow wings", "yellow tail") and not contradicts("yellow wings", "the yellow wings")
        assert not contradicts("soft wings", "yellow wings") and not contradicts("red", "blue")

    def test_words_that_are_there_are_said(self) -> None:
        assert says("a cat with a yellow tail", "yellow tail") and not says("a cat", "yellow tail")


def held(text: str, odds: float, role: str = "flavors", bank: str = "", quota: int | None = None) -> Held:
    return Held(text, bank or role, role, quota, odds)


def chosen(phrases: list[Held], caption: str = "", rows: torch.Tensor | None = None) -> list[str]:
    rows = torch.eye(len(phrases), 32) if rows is None else rows
    return [phrases[index].text for index in select(phrases, rows, caption, claims_of(caption), torch.zeros(0, 32))]


class TestSelection:
    def test_the_surest_of_those_that_exclude_each_other(self) -> None:
        assert chosen([held("red body", 1.0), held("blue body", 2.0)]) == ["blue body"]
        assert chosen([held("oil painting", 1.0, "mediums"), held("crayon", 3.0, "mediums")]) == ["crayon"]

    def test_one_of_those_that_mean_the_same(self) -> None:
        rows = torch.eye(2, 32)
        rows[1] = rows[0]
        assert chosen([held("grout", 1.0), held("tiles", 2.0)], rows=rows) == ["tiles"]
        assert chosen([held("grout", 1.0, "movements"), held("tiles", 2.0)], rows=rows) == ["tiles", "grout"]

    def test_nothing_that_the_caption_says_or_contradicts(self) -> None:
        phrases = [held("yellow tail", 3.0), held("red body", 2.0), held("green tail", 1.0)]
        assert chosen(phrases, "a cat with a yellow tail") == ["red body"]

    def test_few_of_a_bank(self) -> None:
        phrases = [held(f"thing{number}", 9.0 - number, quota=2) for number in range(5)]
        assert chosen(phrases) == ["thing0", "thing1"]
        assert len(chosen([held(f"thing{number}", 1.0) for number in range(20)])) == 6

    def test_equal_odds_keep_the_order_of_the_banks(self) -> None:
        assert chosen([held("one", 1.0), held("two", 1.0)]) == ["one", "two"]

    def test_the_order_of_a_prompt(self) -> None:
        phrases = [
            held("calm", 9.0, bank="mood"),
            held("wide angle", 8.0, bank="camera_and_lens"),
            held("soft light", 7.0, bank="lighting"),
            held("my own", 6.0, bank="mine"),
            held("cubism", 5.0, "movements"),
            held("by Claude Monet", 4.0, "artists"),
            held("oil painting", 3.0, "mediums"),
        ]
        order = [phrases[index].text for index in in_order(phrases, range(len(phrases)))]
        assert order == ["oil painting", "by Claude Monet", "cubism", "my own", "soft light", "wide angle", "calm"]

    def test_no_phrases(self) -> None:
        assert select([], torch.zeros(0, 32), "a cat", ["a cat"], torch.zeros(1, 32)) == []
