"""What is written for each trainer: what its documentation and its reading code ask for, and nothing else."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from interrogator.cli import main
from interrogator.dataset import TRAINERS, Run, TargetOptions, written_for
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import open_edit
from interrogator.dataset.sources import open_source
from interrogator.dataset.targets import open_target
from interrogator.errors import RequestError

from .stand_in import draw

ROOT = Path(__file__).parents[2]
PICTURES = ("a.png", "v1.2 (x).PNG", "10_sks dog/a.png")
FORMS = [(name, kind) for name, trainer in TRAINERS.items() for kind in trainer.reads]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, each with a text of two lines."""
    folder = tmp_path / "set"
    draw(folder, PICTURES)
    for name in PICTURES:
        (folder / name).with_suffix(".txt").write_text(f"ü {Path(name).stem}\nsecond\n", encoding="utf-8")
    return folder


def edit(folder: Path, *options: str) -> int:
    return main(["edit", str(folder), *options])


def rows(folder: Path, name: str = "metadata.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("trainer", "kind"), FORMS)
def test_what_is_written_is_one_of_our_targets_and_opens(folder: Path, trainer: str, kind: str) -> None:
    target, column, options = written_for(trainer, kind)
    opened = open_target(target or "", None, [open_source(folder, kind="folder")], column or "text", options=options)
    assert opened.kind == kind and options.trainer == trainer
    assert TargetOptions.from_dict(options.as_dict()) == options


def test_the_table_for_people_names_every_form() -> None:
    text = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    found: list[tuple[str, str]] = []
    for cells in table[1:]:
        found.append((cells[0] or found[-1][0], cells[1]))
        form = TRAINERS[found[-1][0]].reads[cells[1]]  # type: ignore[index]
        assert ("no" in cells[3].split(":")[0].split()) == (not form.several) or "same" in cells[3], cells
        assert ("ASCII" in cells[2]) == form.ascii, cells
        assert ("without a line feed" in cells[2] or "the same" in cells[2]) or form.final_newline, cells
    assert found == FORMS


class TestEachTrainer:
    def test_ai_toolkit_has_no_line_feed_in_its_captions(self, folder: Path) -> None:
        (folder / "a.txt").write_text("a cat\n")
        assert edit(folder, "--for-trainer", "ai-toolkit", "--text-suffix", ".") == 0
        assert (folder / "a.txt").read_bytes() == b"a cat."

    def test_ai_toolkit_and_musubi_get_whole_paths(self, folder: Path) -> None:
        assert edit(folder, "--for-trainer", "ai-toolkit", "--target", "kohya-json") == 0
        data = (folder / "meta_cap.json").read_bytes()
        assert data.isascii() and set(json.loads(data)) == {str(folder / name) for name in PICTURES}
        assert edit(folder, "--from", "txt", "--for-trainer", "musubi", "--target", "kohya-jsonl") == 0
        assert {row["image_path"] for row in rows(folder, "meta_cap.jsonl")} == {str(folder / n) for n in PICTURES}

    def test_diffusers_gets_lists_where_there_are_several_captions_and_texts_where_not(self, folder: Path) -> None:
        assert edit(folder, "--for-trainer", "diffusers") == 0
        found = {row["file_name"]: row["text"] for row in rows(folder)}
        assert found == {name: [f"ü {Path(name).stem}", "second"] for name in PICTURES}
        (folder / "metadata.jsonl").unlink()
        for name in PICTURES:
            (folder / name).with_suffix(".txt").write_text("one\n")
        assert edit(folder, "--from", "txt", "--for-trainer", "diffusers", "--case", "upper") == 0
        assert [row["text"] for row in rows(folder)] == ["ONE"] * 3

    def test_diffusion_pipe_gets_lists_where_there_are_several(self, folder: Path) -> None:
        assert edit(folder, "--for-trainer", "diffusion-pipe", "--target", "captions-json") == 0
        lists = json.loads((folder / "10_sks dog" / "captions.json").read_bytes())
        assert lists == {"a.png": ["ü a", "second"]}
        assert written_for("diffusion-pipe").target == "txt"
        assert written_for("diffusion-pipe", several=True).target == "captions-json"

    def test_diffsynth_gets_image_and_prompt(self, folder: Path) -> None:
        assert edit(folder, "--for-trainer", "diffsynth") == 0
        assert {row["image"] for row in rows(folder)} == set(PICTURES)
        assert all(set(row) == {"image", "prompt"} for row in rows(folder))
        assert (folder / "metadata.jsonl").read_bytes().isascii()
        assert edit(folder, "--from", "txt", "--for-trainer", "diffsynth", "--target", "csv") == 0
        with open(folder / "captions.csv", encoding="utf-8", newline="") as file:
            assert {row["image"] for row in csv.DictReader(file)} == set(PICTURES)

    def test_metadata_of_another_reader_is_called_anew_and_an_undo_gives_it_back(self, folder: Path) -> None:
        assert edit(folder, "--for-trainer", "diffusers") == 0
        before = (folder / "metadata.jsonl").read_bytes()
        assert edit(folder, "--from", "txt", "--for-trainer", "diffsynth") == 0
        found = rows(folder)
        assert [sorted(row) for row in found] == [["image", "prompt", "text"]] * 3
        run = max((folder / ".interrogator").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns).parent
        assert Run.reopened(run).undo() == []
        assert (folder / "metadata.jsonl").read_bytes() == before


@pytest.mark.parametrize("options", [(), ("--name-column", "image"), ("--paths", "absolute")])
def test_a_folder_opens_again_whatever_its_pictures_are_called(folder: Path, options: tuple[str, ...]) -> None:
    assert edit(folder, "--target", "jsonl", *options) == 0
    items = list(open_source(folder).items())
    assert {item.key for item in items} == set(PICTURES)
    assert all(item.caption and not item.problem for item in items)


@pytest.mark.parametrize(
    ("trainer", "given", "reason"),
    [
        ("onetrainer", {"target": "jsonl"}, "OneTrainer does not read jsonl; choose from txt"),
        ("sd-scripts", {"target": "parquet"}, "choose from txt, caption, kohya-json, kohya-jsonl"),
        ("musubi", {"target": "kohya-jsonl", "paths": "relative"}, "absolute paths, not relative"),
        ("diffusers", {"paths": "absolute"}, "relative paths, not absolute"),
        ("diffusers", {"name_column": "image"}, "with 'file_name'"), ("diffsynth", {"column": "text"}, "with 'prompt'"),
        ("diffsynth", {"name_column": "path"}, "with 'image'"), ("musubi", {"several": True}, "keep one"),
        ("ai-toolkit", {"target": "txt", "several": True}, "for one: keep one"),
        ("diffusion-pipe", {"target": "txt", "several": True}, "or choose target captions-json"),
        ("sd-script", {}, "unknown trainer 'sd-script'; choose from sd-scripts"),
    ],
)  # fmt: skip
def test_what_a_trainer_does_not_read_is_refused(trainer: str, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError) as refused:
        written_for(trainer, **given)
    assert reason in str(refused.value)


def test_a_choice_that_a_trainer_leaves_is_the_users(folder: Path) -> None:
    assert written_for("sd-scripts", "kohya-json", paths="absolute").options.paths == "absolute"
    assert written_for("diffusers", column="caption").column == "caption"
    assert edit(folder, "--for-trainer", "sd-scripts", "--target", "caption", "--no-final-newline") == 0
    assert (folder / "a.caption").read_bytes() == "ü a\nsecond".encode()


def test_a_run_says_what_the_trainer_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edit(folder, "--for-trainer", "musubi", "--dry-run", "--case", "upper") == 0
    said = capsys.readouterr().err
    assert 'musubi-tuner reads this with caption_extension = ".txt"' in said
    assert "reads no folders inside a folder" in said


def test_lines_that_some_trainers_take_for_one_caption_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ("caption", "--preset", "demo", "--dry-run", "--several", "2", "--quality", "best-of-n", str(folder))
    assert main([*several]) == 0
    assert "ai-toolkit, musubi, diffusion-pipe take them all for one caption" in capsys.readouterr().err
    assert main([*several, "--for-trainer", "onetrainer"]) == 0
    assert "take them all for one" not in capsys.readouterr().err
    assert main([*several, "--for-trainer", "musubi"]) == 2
    assert "reads one caption of each picture: keep one" in capsys.readouterr().err


def test_a_line_feed_is_left_out_only_where_there_is_a_text(folder: Path) -> None:
    (folder / "a.txt").write_text("x\n")
    options = TargetOptions(final_newline=False)
    run = open_edit([folder], Edit((("replace-text", "x", ""),)), options=options)
    from interrogator.dataset.editing.runs import work

    work(run)
    assert (folder / "a.txt").read_bytes() in (b"\n", b"x\n")  # kohya's loader refuses a file without a line
    with pytest.raises(RequestError, match="no line feed to leave out"):
        open_target("jsonl", None, [open_source(folder, kind="folder")], options=options)
