"""What a caption lacks: in the library, at the command line and in dataset runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import interrogator
from interrogator import Interrogator, RequestError
from interrogator.cli import main
from interrogator.dataset import CaptionRules, Record, Run, Settings
from interrogator.dataset.captioning.models import Models
from interrogator.demo.attributes import Creature
from interrogator.demo.creatures import creature
from interrogator.demo.training.words import ALWAYS_TRUE, MEDIUM_NAMES, MOVEMENTS, QUALITIES
from interrogator.evidence import Held, additions

from .stand_in import count

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Interrogator:
    return interrogator.load("demo", tagger="none", cache_dir=tmp_path_factory.mktemp("cache"), device="cpu")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image.Image, Creature]]:
    return [creature(seed) for seed in range(700, 724)]


def article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def facts(truth: Creature) -> dict[str, set[str]]:
    """By attribute the phrases of the demo banks that say it."""
    medium = truth.medium
    return {
        "medium": {*MEDIUM_NAMES[medium], *MOVEMENTS[medium], *QUALITIES[medium]},
        "background": {f"{truth.background} background"},
        "feature": {f"{truth.feature_color} {truth.feature}" if truth.feature else "no wings or horns"},
        "body": {f"{truth.color} body", f"cartoon {truth.kind}"},
    }


def without(truth: Creature, attribute: str) -> str:
    """A true caption that leaves one attribute out."""
    medium = next(name for name in MEDIUM_NAMES[truth.medium] if name.startswith(("a ", "an ")))
    parts = {
        "medium": f"{medium} of ",
        "feature": f" with {truth.feature_color} {truth.feature}" if truth.feature else "",
        "background": f" on {article(truth.background)} background",
    } | {attribute: ""}
    return f"{parts['medium']}{article(truth.color)} {truth.kind}{parts['feature']}{parts['background']}"


@pytest.mark.parametrize("attribute", ["medium", "background", "feature"])
def test_what_the_caption_lacks_comes_first_and_what_it_says_not_at_all(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], attribute: str
) -> None:
    shown = [each for each in drawn if each[1].feature]
    captions = [without(truth, attribute) for _, truth in shown]
    found = ci.complete_many([image for image, _ in shown], captions)
    first = [
        bool(phrases) and phrases[0].text in facts(truth)[attribute]
        for phrases, (_, truth) in zip(found, shown, strict=True)
    ]
    assert sum(first) >= 0.85 * len(shown)
    for phrases, (_, truth) in zip(found, shown, strict=True):
        said = set().union(*(facts(truth)[name] for name in ("medium", "background", "feature") if name != attribute))
        assert not said & {phrase.text for phrase in phrases}
        assert all(phrase.evidence is not None and 0.5 <= phrase.evidence <= 1 for phrase in phrases)


def test_what_is_added_is_true_and_not_added_twice(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    found = ci.complete_many([image for image, _ in drawn], [""] * len(drawn))
    true = [
        phrase.text in set().union(*facts(truth).values())
        for phrases, (_, truth) in zip(found, drawn, strict=True)
        for phrase in phrases
    ]
    assert sum(true) >= 0.98 * len(true) and len(true) >= 3 * len(drawn)
    for (image, _), phrases in zip(drawn[:4], found, strict=False):
        whole = ", ".join(phrase.text for phrase in phrases)
        assert not {phrase.text for phrase in ci.complete(image, whole)} & {phrase.text for phrase in phrases}


def test_one_by_one_and_together_give_the_same(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    together = ci.complete_many([image for image, _ in drawn[:3]], ["a cat", "", "an oil painting"], top=2)
    alone = [ci.complete(drawn[n][0], text, top=2) for n, text in enumerate(("a cat", "", "an oil painting"))]
    assert [[each.text for each in found] for found in together] == [[each.text for each in found] for found in alone]
    assert all(len(found) <= 2 for found in together)


def test_the_captioner_writes_what_is_not_given(ci: Interrogator, drawn: list[tuple[Image.Image, Creature]]) -> None:
    image = drawn[0][0]
    caption = ci.interrogate(image, "caption").caption
    assert ci.complete(image) == ci.complete(image, caption)


def test_without_a_calibration_the_caption_shows_what_holds(
    ci: Interrogator, drawn: list[tuple[Image.Image, Creature]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interrogator.pipeline.calibrations.load_calibration", lambda folder, width: None)
    bare = Interrogator(None, ci.encoder, ci.banks, ci.cache)
    assert bare.complete(drawn[0][0], "") == []
    found = bare.complete_many([image for image, _ in drawn], [without(truth, "background") for _, truth in drawn])
    added = [(phrase.text, truth) for phrases, (_, truth) in zip(found, drawn, strict=True) for phrase in phrases]
    true = [text in set(ALWAYS_TRUE).union(*facts(truth).values()) for text, truth in added]
    assert len(added) >= len(drawn) and sum(true) >= 0.95 * len(true)


@pytest.mark.parametrize(("given", "message"), [({"top": 0}, "top must be"), ({"strictness": 1.0}, "strictness must")])
def test_numbers_out_of_range_are_refused(ci: Interrogator, given: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        ci.complete(creature(1)[0], "a cat", **given)
    with pytest.raises(RequestError, match="1 captions for 2 images"):
        ci.complete_many([creature(1)[0]] * 2, ["a cat"])


def test_phrases_are_ordered_by_what_they_add() -> None:
    rows = torch.eye(4)[[0, 1, 2, 3]]
    rows[1] = torch.tensor([0.0, 0.8, 0.6, 0.0])  # near the third
    names = [("red wings", "flavors"), ("a beach", "flavors"), ("sand", "flavors"), ("oil", "mediums")]
    held = [Held(text, bank, bank, None, odds) for (text, bank), odds in zip(names, (3.0, 2.0, 4.0, 1.0), strict=True)]
    claims = torch.tensor([[0.0, 0.0, 0.0, 1.0]])  # the last phrase in other words
    assert additions(held, rows, "paint", ["paint"], claims, 9) == [2, 0, 1]
    assert additions(held, rows, "blue wings", ["blue wings"], torch.zeros(1, 4), 9) == [2, 3, 1]
    assert additions(held, rows, "", [], torch.zeros(0, 4), 2) == [2, 0]
    assert additions([], torch.zeros(0, 4), "", [], torch.zeros(0, 4), 2) == []


class TestCommand:
    """`interrogator complete`."""

    @pytest.fixture
    def completed(self, ci: Interrogator, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
        assert ci.cache is not None

        def run(*arguments: object) -> tuple[int, str, str]:
            status = main(["complete", *map(str, arguments), "--preset", "demo"])
            return status, *capsys.readouterr()

        return run

    def test_phrases_come_with_evidence_and_bank(self, creature_folder: Path, completed: Any) -> None:
        _, truth = creature(1)
        status, out, _ = completed(creature_folder / "1.png", "--caption", f"a {truth.kind}", "--top", 3)
        rows = [line.split("\t") for line in out.splitlines()]
        assert status == 0 and len(rows) == 3
        assert all(0.5 <= float(evidence) <= 1 for evidence, _, _ in rows)
        assert f"{truth.background} background" in [row[2] for row in rows]

    def test_captions_beside_the_pictures_are_completed(self, creature_folder: Path, completed: Any) -> None:
        (creature_folder / "1.txt").write_text("a small\ncat.", encoding="utf-8")
        status, out, err = completed(creature_folder, "--text")
        (line,) = out.splitlines()
        assert status == 1 and "no caption" in err
        assert line.startswith(f"{creature_folder / '1.png'}\ta small cat, ")

    def test_json_has_the_phrases_and_the_text(self, creature_folder: Path, completed: Any) -> None:
        _, out, _ = completed(creature_folder / "1.png", "--caption", "", "--json", "--strictness", 0.01)
        found = json.loads(out)
        assert set(found) == {"image", "caption", "phrases", "text"}
        assert found["text"] == ", ".join(phrase["text"] for phrase in found["phrases"])

    @pytest.mark.parametrize("wrong", [["--text", "--json"], ["--top", "0"], ["--strictness", "2"]])
    def test_what_does_not_go_together_is_refused(
        self, creature_folder: Path, completed: Any, wrong: list[str]
    ) -> None:
        assert completed(creature_folder / "1.png", "--caption", "x", *wrong)[0] == 2


class TestRuns:
    """The fields `{existing}` and `{missing}`."""

    @pytest.fixture
    def run(self, ci: Interrogator, tmp_path: Path) -> Callable[..., list[Record]]:
        for seed in (1, 2, 3):
            creature(seed)[0].save(tmp_path / f"{seed}.png")

        def start(template: str, **given: Any) -> list[Record]:
            settings = Settings(preset="demo", rules=CaptionRules(template=template), **given)
            run = Run([tmp_path], settings)
            captioner = ci.captioner if "captioner" in settings.needs else None
            models = Models(settings, captioner, ci.encoder, ci.banks, ci.cache)
            run.work(lambda: models, count)
            return [record for _, record in run.parts.placed(run.parts.done(run.plan))]

        return start

    def test_what_the_existing_caption_lacks_is_added_without_a_captioner(self, run: Any, tmp_path: Path) -> None:
        truths = [creature(seed)[1] for seed in (1, 2, 3)]
        for truth, seed in zip(truths[:2], (1, 2), strict=True):
            (tmp_path / f"{seed}.txt").write_text(f"{article(truth.color)} {truth.kind}.\n", encoding="utf-8")
        records = run("{existing}, {missing}", policy="overwrite", missing=3)
        for record, truth in zip(records[:2], truths, strict=False):
            first, *added = record.caption.split(", ")
            assert first == f"{article(truth.color)} {truth.kind}" and len(added) == 3
            assert set(added) <= set().union(*facts(truth).values())
        assert len(records[2].caption.split(", ")) == 3  # nothing was there
        assert (tmp_path / "1.txt").read_text(encoding="utf-8").strip() == records[0].caption

    def test_what_the_caption_lacks_is_added(self, run: Any, ci: Interrogator, tmp_path: Path) -> None:
        records = run("{caption}, {missing}", missing=2)
        for record, seed in zip(records, (1, 2, 3), strict=True):
            image = creature(seed)[0]
            caption = ci.interrogate(image, "caption").caption
            added = [phrase.text for phrase in ci.complete(image, caption, top=2)]
            assert record.caption == ", ".join([caption, *added])

    def test_an_existing_text_needs_a_policy_that_replaces_it(self) -> None:
        rules = CaptionRules(template="{existing}, {missing}")
        with pytest.raises(RequestError, match="choose policy overwrite"):
            Settings(preset="demo", rules=rules, policy="append")
        assert Settings(preset="demo", rules=rules, policy="overwrite").needs == {"encoder"}
        assert "captioner" in Settings(preset="demo", rules=CaptionRules(template="{caption}, {missing}")).needs
