"""Questions to captioners: named prompts, tags and triggers in them, and what becomes of remarks and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import interrogator
from interrogator import Interrogator, PhraseBank, catalog
from interrogator.captioners import NAMED_PROMPTS, CaptionOptions, SamplingOptions
from interrogator.captioners.named_prompts import questions, text_of
from interrogator.cli import main
from interrogator.dataset import CaptionRules, Models, Run, Settings
from interrogator.errors import CaptionError, EndpointError, RequestError
from interrogator.hub import FileSet
from interrogator.models import Answer
from interrogator.modes import Mode
from interrogator.needs import needs_of

from .bare_models import BareAnswerer, BareCaptioner, BareEncoder, BareTagger

COLORS = {"red": (200, 10, 20), "green": (20, 180, 30), "blue": (10, 40, 220)}
BANKS = [PhraseBank.from_phrases("flavors", ["soft", "8k"])]


def picture(name: str) -> Image.Image:
    return Image.new("RGB", (9, 9), COLORS[name])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in COLORS:
        picture(name).save(pictures / f"{name}.png")
    return pictures


# --- named prompts ----------------------------------------------------------------------------------------------------


def test_a_name_stands_for_its_prompt_and_other_words_for_themselves() -> None:
    assert text_of("short") == NAMED_PROMPTS["short"]
    assert text_of(" What is here? ") == "What is here?"
    assert text_of("<CAPTION>") == "<CAPTION>"
    assert text_of("mixed", {"mixed": "<MIXED_CAPTION>"}) == "<MIXED_CAPTION>"


@pytest.mark.parametrize("name", ["detaild", "sd-promt", "shrt"])
def test_a_mistyped_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=f"unknown named prompt '{name}'; choose from short, detailed, "):
        text_of(name)


def test_nothing_asked_is_the_familys_own_question() -> None:
    assert questions(CaptionOptions(), 2, default="Describe it.") == ["Describe it."] * 2
    assert questions(CaptionOptions(ask="  "), 1) == [""]


def test_trigger_and_tags_stand_in_the_question() -> None:
    options = CaptionOptions(ask="{trigger} is here with {tags}", trigger="sks", tags=("a, b", "c"))
    assert questions(options, 2) == ["sks is here with a, b", "sks is here with c"]
    sampling = SamplingOptions(ask="training", trigger="sks")
    assert "Call its main subject sks," in questions(sampling, 1)[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (CaptionOptions(ask="training"), "needs a trigger word"),
        (CaptionOptions(ask="tag-grounded"), "needs the tags of each image, and a tagger to find them"),
        (CaptionOptions(ask="{tags}?", tags=("one",)), "needs the tags of each image"),
    ],
)
def test_a_question_without_what_it_names_is_refused(options: CaptionOptions, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        questions(options, 2)


def test_tags_in_a_question_need_a_tagger() -> None:
    assert needs_of(Mode.CAPTION, ask="tag-grounded") == {"captioner", "tagger"}
    assert needs_of(Mode.CAPTION, ask="see {tags}") == {"captioner", "tagger"}
    assert needs_of(Mode.CAPTION, ask="tag-grounded", captioned=True) == set()
    assert needs_of(Mode.CAPTION, ask="detailed") == {"captioner"}


# --- in an interrogator -----------------------------------------------------------------------------------------------


def test_an_interrogator_asks_each_image_with_its_own_tags() -> None:
    options = CaptionOptions(ask="Describe {tags} for {trigger}.", trigger="sks", system="Be brief.")
    ci = Interrogator(BareAnswerer(), None, [], caption_options=options, tagger=BareTagger())
    results = ci.interrogate_many([picture("red"), picture("blue")], "caption")
    assert [each.caption for each in results] == [
        "a red thing (Be brief. Describe red for sks.)", "a blue thing (Be brief. Describe blue for sks.)",
    ]  # fmt: skip
    given = ci.interrogate_many([picture("red"), picture("blue")], "caption", caption=["mine", None])
    assert [each.caption for each in given] == ["mine", results[1].caption]


@pytest.mark.parametrize("mode", ["fast", "classic", "best"])
def test_phrases_follow_a_sentence_without_its_full_stop(mode: str) -> None:
    captioner = BareAnswerer({"red": Answer("A red thing. It is round.")})
    result = Interrogator(captioner, BareEncoder(), BANKS).interrogate(picture("red"), mode, min_phrases=9)
    assert result.caption == "A red thing. It is round."
    assert re.fullmatch(r"A red thing\. It is round(, (soft|8k))*", result.prompt)
    assert Interrogator(captioner, None, []).interrogate(picture("red"), "caption").prompt == result.caption


def test_remarks_of_the_captioner_come_with_the_result() -> None:
    captioner = BareAnswerer({"red": Answer("a red thing", ("cut", "looped"))})
    ci = Interrogator(captioner, BareEncoder(), BANKS)
    for mode in ("caption", "fast", "best"):
        result, other = ci.interrogate_many([picture("red"), picture("blue")], mode)
        assert result.remarks == ("cut", "looped") and other.remarks == ()
        assert result.as_dict()["remarks"] == ("cut", "looped")


def test_an_image_without_a_caption_is_an_error_where_the_caption_is_needed() -> None:
    captioner = BareAnswerer({"red": Answer("", error="the server refused this picture")})
    ci = Interrogator(captioner, BareEncoder(), BANKS, tagger=BareTagger())
    assert ci.interrogate(picture("blue"), "fast").caption
    with pytest.raises(CaptionError, match="the server refused this picture"):
        ci.interrogate(picture("red"), "fast")
    assert ci.interrogate(picture("red"), "tags").prompt == "red"


@pytest.mark.parametrize(
    ("options", "ability"),
    [
        (CaptionOptions(ask="What is it?"), "questions"),
        (CaptionOptions(system="Be brief."), "a system prompt"),
        (CaptionOptions(temperature=0.7), "sampling"),
    ],
)
def test_a_captioner_that_follows_no_questions_is_refused_by_name(options: CaptionOptions, ability: str) -> None:
    ci = Interrogator(BareCaptioner(), None, [], caption_options=options)
    with pytest.raises(RequestError, match=f"a bare BareCaptioner cannot do {ability}; use another captioner"):
        ci.interrogate(picture("red"), "caption")


@pytest.mark.parametrize("captioner", ["blip", "demo"])
def test_blip_samples_by_temperature_and_an_image_gets_the_same_caption_in_every_batch(captioner: str) -> None:
    demo = interrogator.load_captioner("demo")
    images = [interrogator.demo.creature(seed)[0] for seed in range(3)]
    prepared = [demo.prepare(image) for image in images]
    options = CaptionOptions(temperature=3.0, top_p=1.0, max_new_tokens=6)
    together = demo.caption(prepared, options)
    assert together == [demo.caption([each], options)[0] for each in prepared]
    assert together != demo.caption(prepared, CaptionOptions(max_new_tokens=6))
    assert together != demo.caption(prepared, CaptionOptions(temperature=3.0, top_p=1.0, max_new_tokens=6, seed=1))


# --- in a dataset run -------------------------------------------------------------------------------------------------


def records_of(folder: Path, settings: Settings, **models: Any) -> dict[str, Any]:
    run = Run([folder], settings, out=folder.parent / "out")
    run.work(lambda: Models(settings, **models), lambda text: len(text.split()))
    return {Path(record.key).stem: record for record in run.parts.records(run.parts.done(run.plan))}


def test_a_run_asks_with_tags_and_trigger(folder: Path) -> None:
    rules = CaptionRules(trigger="sks", template="{caption}")
    settings = Settings(preset="demo", ask="{trigger}, {tags}?", system="Be brief.", rules=rules)
    records = records_of(folder, settings, captioner=BareAnswerer(), tagger=BareTagger())
    assert {name: record.caption for name, record in records.items()} == {
        name: f"a {name} thing (Be brief. sks, {name}?)" for name in COLORS
    }


def test_remarks_become_flags_and_errors_reasons_and_the_others_have_their_captions(folder: Path) -> None:
    captioner = BareAnswerer(
        {"red": Answer("a red thing", ("looped",)), "green": Answer("", error="the server refused this picture")}
    )
    records = records_of(folder, Settings(preset="demo"), captioner=captioner)
    assert {name: record.status for name, record in records.items()} == {
        "red": "done", "green": "failed", "blue": "done",
    }  # fmt: skip
    assert "looped" in records["red"].flags and records["green"].reason == "the server refused this picture"
    summary = json.loads(next((folder.parent / "out").rglob("summary.json")).read_text(encoding="utf-8"))
    assert {each["id"]: each["count"] for each in summary["findings"]}["looped"] == 1


class Refuses(BareAnswerer):
    """One that says for a whole batch that there is no caption."""

    def answer(self, prepared: Sequence[Any], *args: Any) -> list[Answer]:
        if COLORS["green"] in prepared:
            raise CaptionError("no caption of green")
        return super().answer(prepared, *args)


def test_a_picture_that_spoils_a_batch_fails_alone(folder: Path) -> None:
    records = records_of(folder, Settings(preset="demo"), captioner=Refuses())
    assert [records[name].status for name in COLORS] == ["done", "failed", "done"]
    assert records["green"].reason == "no caption of green"


class Goes(BareAnswerer):
    """One whose server is gone."""

    def answer(self, *args: Any) -> list[Answer]:
        raise EndpointError("http://127.0.0.1:1/v1 does not answer")


def test_an_endpoint_that_is_gone_stops_the_run_and_the_same_command_continues(folder: Path) -> None:
    with pytest.raises(EndpointError):
        records_of(folder, Settings(preset="demo"), captioner=Goes())
    records = records_of(folder, Settings(preset="demo"), captioner=BareAnswerer())
    assert {record.status for record in records.values()} == {"done"}


def test_a_captioner_that_checks_its_options_refuses_them_before_a_run(folder: Path) -> None:
    with pytest.raises(RequestError, match="asks for the moon"):
        records_of(folder, Settings(preset="demo", ask="Give me the moon."), captioner=BareAnswerer())
    assert not list((folder.parent / "out").glob("*.txt"))


def test_settings_of_a_question_name_another_run() -> None:
    plain = Settings(preset="demo")
    asked: list[dict[str, Any]] = [{"ask": "x"}, {"system": "y"}, {"temperature": 0.5}, {"max_pixels": 100_000}]
    others = [Settings(preset="demo", **values) for values in asked]
    assert len({each.digest({}) for each in (plain, *others)}) == 5
    assert plain.digest({}) == Settings(preset="demo", max_new_tokens=32).digest({}), "which is BLIP's own length"
    assert Settings.from_dict(json.loads(json.dumps(others[0].as_dict()))) == others[0]


# --- on the command line ----------------------------------------------------------------------------------------------


class Loaded(BareAnswerer):
    """A captioner as a family loads it."""

    @classmethod
    def from_files(cls, located: Any, device: Any, dtype: Any) -> Loaded:
        return cls({"green": Answer("", error="the server refused this picture")})


@pytest.fixture
def answerer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "answerer"
    home.mkdir()
    (home / "answers.json").write_text("{}", encoding="utf-8")
    row = catalog.Family(
        "answers", {"captioner": f"{__name__}:Loaded"}, FileSet(required=("answers.json",)),
        catalog.Marker("answers.json"),
    )  # fmt: skip
    monkeypatch.setattr(catalog, "FAMILIES", (*catalog.FAMILIES, row))
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    return home


def test_prompt_names_the_image_without_a_caption_and_answers_the_others(
    folder: Path, answerer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prompt", str(folder), "--mode", "caption", "--captioner", str(answerer), "--ask", "What is it?"]
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert [line.split("\t")[1] for line in out.splitlines()] == [
        "a blue thing (What is it?)", "a red thing (What is it?)"
    ]  # fmt: skip
    assert "green.png: the server refused this picture" in err and "1 of 3 images failed" in err
    assert main([*command, "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("error", "") for row in rows] == ["", "the server refused this picture", ""]


@pytest.mark.parametrize("command", ["prompt", "caption"])
def test_a_model_on_a_server_needs_its_server(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(folder), "--captioner-model", "qwen"]) == 2
    assert "give the server's address with --captioner" in capsys.readouterr().err
