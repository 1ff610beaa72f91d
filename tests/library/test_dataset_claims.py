"""Dataset runs that check what their captions claim."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import interrogator
from interrogator.dataset import Record, Run, Settings
from interrogator.dataset.captioning.models import Models
from interrogator.demo.attributes import Creature
from interrogator.demo.creatures import creature
from interrogator.errors import RequestError
from interrogator.evidence import Claim, split_claims, without_claims

from .stand_in import count


class WrongCaptioner:
    """Writes what is given for each picture, in the order of the pictures."""

    family, module, device, dtype, working_bytes = "wrong", None, "cpu", "float32", 1
    name, abilities = "wrong", frozenset[str]()

    def __init__(self, captions: Sequence[str]) -> None:
        self.captions = list(captions)
        self.origin = interrogator.models.Located("captioner", "wrong")

    def prepare(self, image: Any) -> Any:
        return image.size

    def caption(self, prepared: Sequence[Any], options: Any = None, progress: Any = None) -> list[str]:
        return [self.captions.pop(0) for _ in prepared]


def judged(caption: str, wrong: str) -> list[Claim]:
    return [
        Claim(each.text, (each.start, each.end), 0.5, "unsupported" if each.text == wrong else "supported")
        for each in split_claims(caption)
    ]


@pytest.mark.parametrize(
    ("caption", "wrong", "left"),
    [
        ("a mosaic of a red cat with a blue tail on a beach", "a blue tail", "a mosaic of a red cat on a beach"),
        ("a mosaic of a red cat with a blue tail on a beach", "a mosaic", "a red cat with a blue tail on a beach"),
        ("a bathroom with a toilet, sink and mirror", "sink", "a bathroom with a toilet and mirror"),
        ("A cat. The dog is red. It sits on a mat.", "red dog", "A cat. It sits on a mat."),
        ("A car. It is old and rusty.", "old car", "A car. It is rusty."),
        ("1girl, (blue eyes:1.2), smile", "blue eyes", "1girl, smile"),
        ("1girl, (blue eyes:1.2), smile", "smile", "1girl, (blue eyes:1.2)"),
        ("a red cat", "a red cat", ""),
        ("a red cat", "a dog", "a red cat"),
    ],
)
def test_a_claim_goes_with_the_words_that_tie_it_to_the_rest(caption: str, wrong: str, left: str) -> None:
    assert without_claims(caption, judged(caption, wrong)) == left


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
class TestRuns:
    @pytest.fixture
    def truths(self) -> list[Creature]:
        return [creature(seed)[1] for seed in (1, 2, 3)]

    @pytest.fixture
    def run(self, tmp_path: Path, truths: list[Creature]) -> Any:
        folder = tmp_path / "pictures"
        folder.mkdir()
        for seed in (1, 2, 3):
            creature(seed)[0].save(folder / f"{seed}.png")
        encoder = interrogator.load("demo", captioner="none", tagger="none", banks=()).encoder

        def start(captions: Sequence[str], calibrated: bool = False, **settings: Any) -> tuple[list[Record], Path]:
            chosen = Settings(preset="demo", check=True, **settings)
            run = Run([folder], chosen, tmp_path / "out", shard_size=8)
            captioner: Any = WrongCaptioner(captions)
            models = Models(chosen, captioner, encoder)
            if calibrated:
                drawn = [creature(seed) for seed in range(100, 140)]
                models._interrogator.calibrate([image for image, _ in drawn], [truth.caption for _, truth in drawn])
            summary = run.work(lambda: models, count)
            assert summary.report is not None
            return [record for _, record in run.parts.placed(run.parts.done(run.plan))], summary.report

        return start

    def test_false_claims_are_a_finding_with_the_words_marked(self, run: Any, truths: list[Creature]) -> None:
        wrong = replace(truths[1], kind="frog" if truths[1].kind != "frog" else "crab")
        records, report = run([truths[0].caption, wrong.caption, truths[2].caption])
        assert [record.caption for record in records] == [truths[0].caption, wrong.caption, truths[2].caption]
        assert ["unsupported" in record.flags for record in records] == [False, True, False]
        (words,) = records[1].unsupported
        assert words.endswith(wrong.kind) and words in wrong.caption
        assert records[1].scores["evidence"] < 0.4 < records[0].scores["evidence"]
        summary = json.loads(report.with_name("summary.json").read_text(encoding="utf-8"))
        (finding,) = [each for each in summary["findings"] if each["id"] == "unsupported"]
        assert finding["keys"] == ["2.png"] and "evidence" in summary["scores"]
        page = report.read_text(encoding="utf-8")
        assert f'"unsupported":["{words}"]' in page

    def test_the_worst_come_first(self, run: Any, truths: list[Creature]) -> None:
        others = [replace(truth, kind="frog" if truth.kind != "frog" else "crab") for truth in truths]
        records, report = run([each.caption for each in others])
        summary = json.loads(report.with_name("summary.json").read_text(encoding="utf-8"))
        (finding,) = [each for each in summary["findings"] if each["id"] == "unsupported"]
        flagged = [record for record in records if "unsupported" in record.flags]
        worst = sorted(flagged, key=lambda record: record.scores["evidence"])
        assert len(flagged) >= 2 and finding["keys"] == [record.key for record in worst]

    def test_false_claims_are_left_out(self, run: Any, truths: list[Creature]) -> None:
        wrong = replace(truths[1], background="black" if truths[1].background != "black" else "white")
        captions = [truths[0].caption, wrong.caption, truths[2].caption]
        records, report = run(captions, drop_unsupported=True)
        assert records[1].caption == truths[1].caption.rpartition(" on ")[0]
        assert [records[0].caption, records[2].caption] == [captions[0], captions[2]]
        assert not any("unsupported" in record.flags for record in records)

    def test_a_caption_of_false_claims_only_fails(self, run: Any, truths: list[Creature]) -> None:
        nonsense = "a photo of a bus with a clock and a bridge"
        captions = [truths[0].caption, truths[1].caption, nonsense]
        records, _ = run(captions, calibrated=True, drop_unsupported=True)
        assert [record.status for record in records] == ["done", "done", "failed"]
        assert records[2].reason == "the picture supports no claim of the caption"
        assert Record.from_dict(records[1].as_dict()) == records[1]


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
def test_a_parquet_table_has_evidence_and_the_words_that_are_not_supported(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    truth = creature(2)[1]
    creature(2)[0].save(tmp_path / "2.png")
    chosen = Settings(preset="demo", check=True)
    run = Run([tmp_path], chosen, target="parquet")
    wrong: Any = WrongCaptioner([f"a {truth.color} frog and a bus"])
    encoder = interrogator.load("demo", captioner="none", tagger="none", banks=()).encoder
    run.work(lambda: Models(chosen, wrong, encoder), count)
    (row,) = pq.read_table(tmp_path / "captions.parquet").to_pylist()
    (record,) = (record for _, record in run.parts.placed(run.parts.done(run.plan)))
    assert row["unsupported"] == list(record.unsupported) != []
    assert row["evidence"] == pytest.approx(record.scores["evidence"])


def test_leaving_claims_out_needs_the_check() -> None:
    with pytest.raises(RequestError, match="needs check"):
        Settings(preset="demo", drop_unsupported=True)
    assert "encoder" in Settings(preset="demo", check=True).needs
