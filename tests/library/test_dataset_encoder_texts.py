"""Dataset runs that write texts for the encoders of an image model."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import interrogator
from interrogator import Interrogator, RequestError
from interrogator.cli import main
from interrogator.dataset import CaptionRules, Record, Run, Settings
from interrogator.dataset.captioning.models import Models
from interrogator.demo.creatures import creature
from interrogator.image_models import IMAGE_MODELS, image_model
from interrogator.image_models.token_counts import token_count

from .stand_in import count, records

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Interrogator:
    return interrogator.load("demo", cache_dir=tmp_path_factory.mktemp("cache"), device="cpu")


@pytest.fixture
def work(ci: Interrogator, tmp_path: Path) -> Callable[..., Run]:
    for seed in SEEDS:
        creature(seed)[0].save(tmp_path / f"{seed}.png")

    def start(model: str, target: str = "txt", out: Path | None = None, **given: Any) -> Run:
        settings = Settings(preset="demo", image_model=model, **given)
        run = Run([tmp_path], settings, out, target=target, kind="folder")
        tagger = ci.models.tagger if "tagger" in settings.needs else None
        captioner = ci.captioner if "captioner" in settings.needs else None
        models = Models(settings, captioner, ci.encoder, ci.banks, ci.cache, tagger=tagger)
        run.work(lambda: models, count)
        return run

    return start


@pytest.mark.models
class TestRuns:
    def test_a_model_of_one_encoder_has_one_text(self, work: Any, ci: Interrogator, tmp_path: Path) -> None:
        for record in records(work("sd15", mode="precise")):
            expected = ci.interrogate(tmp_path / record["key"], "precise").texts("sd15")
            assert {"clip_l": record["caption"]} == expected and record["texts"] == {}

    def test_sidecars_have_the_text_of_the_encoder_that_reads_most(self, work: Any, tmp_path: Path) -> None:
        for record in records(work("flux", mode="precise")):
            assert list(record["texts"]) == ["clip_l", "t5xxl"]
            assert record["caption"] == record["texts"]["t5xxl"] != record["texts"]["clip_l"]
            assert record["caption"].endswith(".") and ". " in record["caption"]
            assert (tmp_path / record["key"]).with_suffix(".txt").read_text("utf-8").strip() == record["caption"]

    @pytest.mark.parametrize("mode", ["caption", "fast", "tags"])
    @pytest.mark.parametrize("model", [row.name for row in IMAGE_MODELS])
    def test_texts_are_those_of_a_single_picture(
        self, work: Any, ci: Interrogator, tmp_path: Path, mode: str, model: str
    ) -> None:
        for record in records(work(model, mode=mode, policy="overwrite")):
            result = ci.interrogate(tmp_path / record["key"], mode)
            reads_tags = mode == "tags" or image_model(model).reads_tags
            result = result if reads_tags else replace(result, tags=[])
            caption = result.caption if mode != "tags" else ""
            expected = replace(result, caption=caption).texts(model)
            assert record["caption"] == expected[image_model(model).main.name]
            assert record["texts"] == (expected if len(expected) > 1 else {})

    def test_rules_hold_for_every_text_and_its_limit_for_the_whole(self, work: Any) -> None:
        rules = CaptionRules(trigger="sks", suffix=", " + "very long words " * 30, strip=("a",))
        for record in records(work("sd3", mode="fast", rules=rules)):
            for encoder in image_model("sd3").encoders:
                text = record["texts"][encoder.name]
                assert text.startswith("sks, ") and token_count(text, encoder) <= encoder.limit
            assert "over_limit" in record["flags"] or record["caption"].endswith("words")

    def test_what_is_dropped_is_in_none_of_the_texts(self, ci: Interrogator, tmp_path: Path) -> None:
        creature(1)[0].save(tmp_path / "1.png")
        truth = creature(1)[1]
        wrong = replace(truth, background="black" if truth.background != "black" else "white")

        class Wrong:
            family, module, device, dtype, working_bytes = "wrong", None, "cpu", "float32", 1
            name, abilities = "wrong", frozenset[str]()
            origin = interrogator.models.Located("captioner", "wrong")

            def prepare(self, image: Any) -> Any:
                return image.size

            def caption(self, prepared: Any, options: Any = None, progress: Any = None) -> list[str]:
                return [wrong.caption for _ in prepared]

        settings = Settings(preset="demo", image_model="flux", check=True, drop_unsupported=True)
        run = Run([tmp_path], settings)
        captioner: Any = Wrong()
        run.work(lambda: Models(settings, captioner, ci.encoder), count)
        (record,) = records(run)
        assert wrong.background not in record["caption"] and wrong.background not in record["texts"]["clip_l"]

    def test_jsonl_has_a_field_for_them_and_an_undo_takes_it_out(self, work: Any, tmp_path: Path) -> None:
        (tmp_path / "metadata.jsonl").write_text('{"file_name": "1.png", "mine": 1}\n', encoding="utf-8")
        run = work("flux", "jsonl")
        rows = list(map(json.loads, (tmp_path / "metadata.jsonl").read_text("utf-8").splitlines()))
        assert [row["texts"] for row in rows] == [record["texts"] for record in records(run)]
        assert rows[0]["mine"] == 1 and rows[0]["text"] == rows[0]["texts"]["t5xxl"]
        assert run.undo() == []
        row = json.loads((tmp_path / "metadata.jsonl").read_bytes())
        assert {name: value for name, value in row.items() if value is not None} == {"file_name": "1.png", "mine": 1}

    def test_texts_that_are_in_a_row_already_are_not_lost(self, work: Any, tmp_path: Path) -> None:
        row = {"file_name": "1.png", "texts": {"clip_l": "mine"}}
        (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
        first, second = records(work("flux", "jsonl"))
        assert (first["status"], second["status"]) == ("failed", "done") and "other texts" in first["reason"]
        kept = json.loads((tmp_path / "metadata.jsonl").read_text("utf-8").splitlines()[0])
        assert kept["texts"] == {"clip_l": "mine"}

    def test_parquet_and_tars_have_them(self, work: Any, tmp_path: Path) -> None:
        pq = pytest.importorskip("pyarrow.parquet")
        run = work("sdxl", "parquet", tmp_path / "table.parquet")
        rows = pq.read_table(tmp_path / "table.parquet").to_pylist()
        told = [{each["encoder"]: each["text"] for each in row["texts"]} for row in rows]
        assert told == [record["texts"] for record in records(run)] and all(set(each) == {"clip_l", "clip_g"}
                                                                           for each in told)  # fmt: skip
        work("flux", "webdataset", tmp_path / "tars")
        (path,) = (tmp_path / "tars").glob("*.tar")
        with tarfile.open(path) as tar:
            assert {name.partition(".")[2] for name in tar.getnames()} == {"txt", "texts.json"}

    def test_the_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        creature(1)[0].save(tmp_path / "1.png")
        options = ["--preset", "demo", "--device", "cpu", "--mode", "precise"]
        assert main(["caption", str(tmp_path), "--for", "pony", "--quality-tags", *options]) == 0
        assert (tmp_path / "1.txt").read_text("utf-8").startswith("score_9, score_8_up")
        assert main(["caption", str(tmp_path), "--for", "flux", "--weights", *options]) == 2
        assert main(["caption", str(tmp_path), "--weights", *options]) == 2
        assert "reads no weights" in capsys.readouterr().err


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(RequestError, match="unknown image model 'x'"):
        Settings(preset="demo", image_model="x")
    with pytest.raises(RequestError, match="no negative prompt"):
        Settings(preset="demo", image_model="flux", mode="negative")
    with pytest.raises(RequestError, match="one caption"):
        Settings(preset="demo", image_model="flux", quality="best-of-n", captions_per_image=2)
    with pytest.raises(RequestError, match="name one"):
        Settings(preset="demo", quality_tags=True)
    assert "tagger" in Settings(preset="demo", image_model="pony").needs
    assert "tagger" not in Settings(preset="demo", image_model="flux").needs
    assert Settings(preset="demo").digest({}) != Settings(preset="demo", image_model="flux").digest({})


def test_a_record_keeps_its_texts() -> None:
    record = Record("a", "done", texts={"clip_l": "a cat", "t5xxl": "A cat."})
    assert Record.from_dict(json.loads(json.dumps(record.as_dict()))) == record
