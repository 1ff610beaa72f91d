"""Triggers by folder: from its name, from a table, and none for regularisation."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from interrogator.cli import main
from interrogator.dataset import CaptionRules, Run, Settings, read_triggers
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.result import Candidate, CaptionResult
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import differences, open_edit
from interrogator.errors import RequestError

from .stand_in import StandIn, count, draw, run, texts


class Plain(StandIn):
    """Captions that name no folder."""

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        return [CaptionResult([Candidate("a thing called it")], "a thing called it") for _ in pictures]


def triggers(folder: Path, **settings: object) -> dict[str, str]:
    """What stands in front of the stand-in's caption, by picture."""
    found = run(folder, **settings)
    found.work(Plain, count)
    return {
        name.removesuffix(".txt"): text.decode().partition("a thing called")[0].rstrip(", ")
        for name, text in texts(folder).items()
    }


@pytest.mark.parametrize("reg", ["reg", "reg/1_girl", "x/Reg_data/1_girl", "regularization_images", "regularisation"])
def test_regularisation_gets_no_trigger(tmp_path: Path, reg: str) -> None:
    draw(tmp_path, ["img/10_sks girl/a.png", f"{reg}/b.png", "regal/c.png"])
    found = triggers(tmp_path, rules=CaptionRules(trigger="sks", template="{trigger}, {prompt}"))
    assert found == {"img/10_sks girl/a": "sks", f"{reg}/b": "", "regal/c": "sks"}


@pytest.mark.parametrize("name", ["reg", "reg/1_girl"])
def test_a_source_may_be_for_regularisation_itself(tmp_path: Path, name: str) -> None:
    draw(tmp_path / name, ["a.png"])
    assert triggers(tmp_path / name, rules=CaptionRules(trigger="sks")) == {"a": ""}


def test_the_name_of_the_folder_without_repeats_is_the_trigger(tmp_path: Path) -> None:
    source = tmp_path / "12_top"
    draw(source, ["10_sks dog/a.png", "cat/b.png", "c.png", "reg/d.png", "10_/e.png"])
    found = triggers(source, trigger_from_folder=True)
    assert found == {"10_sks dog/a": "sks dog", "cat/b": "cat", "c": "top", "reg/d": "", "10_/e": "10_"}


def test_a_table_names_folders_by_path_or_name_and_the_nearest_counts(tmp_path: Path) -> None:
    draw(tmp_path, ["10_dog/a.png", "people/anna/b.png", "people/c.png", "x/dog/d.png", "plain/e.png", "reg/f.png"])
    table = (("dog", "sks dog"), ("people/anna", "ohwx"), ("people", "crowd"), ("reg", "girl"), ("plain", ""))
    found = triggers(tmp_path, triggers=table, rules=CaptionRules(trigger="other"))
    assert found == {
        "10_dog/a": "sks dog", "people/anna/b": "ohwx", "people/c": "crowd", "x/dog/d": "sks dog", "plain/e": "",
        "reg/f": "girl",
    }  # fmt: skip


def test_what_the_table_lacks_has_the_trigger_of_all_or_of_its_folder(tmp_path: Path) -> None:
    draw(tmp_path, ["dog/a.png", "cat/b.png"])
    table = (("dog", "sks"),)
    assert triggers(tmp_path, triggers=table, rules=CaptionRules(trigger="x")) == {"dog/a": "sks", "cat/b": "x"}
    found = triggers(tmp_path, triggers=table, trigger_from_folder=True, policy="overwrite")
    assert found == {"dog/a": "sks", "cat/b": "cat"}


def test_no_finding_misses_the_trigger_of_another_folder(tmp_path: Path) -> None:
    draw(tmp_path, ["dog/a.png", "cat/b.png", "reg/c.png"])
    findings = run(tmp_path, trigger_from_folder=True).work(Plain, count).findings
    assert findings is not None and "missing_trigger" not in {each.id for each in findings.found}


def test_pictures_in_a_tar_have_its_name(tmp_path: Path) -> None:
    draw(tmp_path, ["a.png"])
    with tarfile.open(tmp_path / "5_dog.tar", "w") as file:
        file.add(tmp_path / "a.png", "a.png")
        file.add(tmp_path / "a.png", "cat/a.png")
    found = Run([tmp_path / "5_dog.tar"], Settings(trigger_from_folder=True), tmp_path / "out")
    found.work(Plain, count)
    assert [text.split(b",")[0] for text in texts(tmp_path / "out").values()] == [b"dog", b"cat"]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("t.csv", "folder,trigger\ncats/,sks cat\n\"a, b\",x\n\nc,\n", (("cats", "sks cat"), ("a, b", "x"), ("c", ""))),
        ("t.csv", "cats,sks\n", (("cats", "sks"),)),
        ("t.json", json.dumps({"x\\cats": "sks"}), (("x/cats", "sks"),)),
    ],
)  # fmt: skip
def test_tables_are_csv_or_json(tmp_path: Path, name: str, content: str, rows: object) -> None:
    (tmp_path / name).write_text("\ufeff" + content, encoding="utf-8")
    assert read_triggers(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("name", "content"), [("t.csv", "cats"), ("t.json", "[1]"), ("t.json", '{"a": 1}'), ("u", None)]
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(RequestError):
        read_triggers(tmp_path / name)


def test_two_ways_at_once_and_a_question_about_one_trigger_are_refused() -> None:
    with pytest.raises(RequestError, match="not both"):
        Settings(trigger_from_folder=True, rules=CaptionRules(trigger="x"))
    with pytest.raises(RequestError, match="folders one by one"):
        Settings(triggers=(("a", "b"),), ask="Who is {trigger}?")


def test_an_edit_spares_regularisation_and_takes_names_of_folders(tmp_path: Path) -> None:
    draw(tmp_path, ["10_dog/a.png", "reg/1_dog/b.png"])
    for name in ("10_dog/a.txt", "reg/1_dog/b.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    for step, first in ((("trigger", "sks"), "sks, old"), (("trigger-from-folder",), "dog, old")):
        found = {each.key: each.after for each in differences(open_edit([tmp_path], Edit((step,))))}
        assert found == {"10_dog/a.png": first, "reg/1_dog/b.png": "old"}


@pytest.mark.models
def test_the_commands_take_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    draw(tmp_path / "set", ["3_dog/a.png", "cat/b.png", "reg/c.png"])
    (tmp_path / "t.csv").write_text("cat,meow\n", encoding="utf-8")
    arguments = ["caption", str(tmp_path / "set"), "--preset", "demo", "--device", "cpu", "--trigger-from-folder"]
    assert main([*arguments, "--triggers", str(tmp_path / "t.csv")]) == 0
    first = {name: text.decode().split(",")[0] for name, text in texts(tmp_path / "set").items()}
    assert first["3_dog/a.txt"] == "dog" and first["cat/b.txt"] == "meow" and "reg" not in first["reg/c.txt"]
    assert main(["edit", str(tmp_path / "set"), "--trigger-from-folder"]) == 0
    assert (tmp_path / "set" / "cat" / "b.txt").read_text(encoding="utf-8").startswith("cat, meow, ")
