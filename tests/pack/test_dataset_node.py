"""Caption Dataset Folder: a folder of pictures inside ComfyUI's own folders, captioned where it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from .stand_ins import ComfyUI, Pack, load_pack, run

pytestmark = pytest.mark.models

NODE = "InterrogatorDataset"
ASKED = {"folder": "creatures", "preset": "demo"}


@pytest.fixture
def here(new_comfyui: Callable[..., ComfyUI]) -> ComfyUI:
    return new_comfyui()


@pytest.fixture
def loaded(here: ComfyUI) -> Pack:
    return load_pack(here)


@pytest.fixture
def folder(here: ComfyUI, creatures: list[Image.Image]) -> Path:
    """Three creatures and a broken file in ComfyUI's input folder."""
    made = Path(here.folders.get_input_directory()) / "creatures"
    made.mkdir(parents=True)
    for number, creature in enumerate(creatures):
        creature.save(made / f"c{number}.png")
    (made / "broken.png").write_text("no picture")
    return made


def captions(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob("*.txt"))}


def test_every_picture_gets_the_caption_that_the_library_gives(
    loaded: Pack, folder: Path, creatures: list[Image.Image]
) -> None:
    report, page = run(loaded.nodes[NODE], **ASKED)
    ci = loaded.library.load("demo", device="cpu")
    expected = [result.caption for result in ci.interrogate_many(creatures, "caption")]
    assert captions(folder) == {f"c{number}": caption for number, caption in enumerate(expected)}
    assert report[0].startswith("3 captioned, 0 kept, 1 failed, of 4 pictures.")
    assert Path(page[0]).name == "report.html" and Path(page[0]).is_file()


def test_running_again_loads_nothing_and_changes_nothing(loaded: Pack, here: ComfyUI, folder: Path) -> None:
    run(loaded.nodes[NODE], **ASKED)
    before = captions(folder)
    models = loaded.module("nodes.models")
    models.POOL = loaded.library.ModelPool(wrap=pytest.fail)  # whoever loads a model now fails
    report, _ = run(loaded.nodes[NODE], **ASKED)
    assert captions(folder) == before
    assert report[0].startswith("3 captioned")


def test_captions_that_are_there_are_kept_unless_asked_otherwise(loaded: Pack, folder: Path) -> None:
    (folder / "c1.txt").write_text("mine\n", encoding="utf-8")
    report, _ = run(loaded.nodes[NODE], **ASKED)
    assert captions(folder)["c1"] == "mine" and report[0].startswith("2 captioned, 1 kept")
    run(loaded.nodes[NODE], **ASKED, existing="append", trigger="crtr")
    assert captions(folder)["c1"].startswith("crtr, mine, ")


def test_a_template_fetches_phrases_and_a_table_is_written(loaded: Pack, folder: Path) -> None:
    run(loaded.nodes[NODE], **ASKED, template="{caption}, {mediums}", target="jsonl", quality="best-of-n")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["file_name"] for row in rows] == ["c0.png", "c1.png", "c2.png"]
    assert all("," in row["text"] for row in rows)


@pytest.mark.parametrize("name", ["", ".", "..", "../elsewhere", "/etc", "nowhere", "x" * 300, "a\0b"])
def test_folders_that_are_not_inside_or_not_there_are_one_sentence(loaded: Pack, folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^(There is no folder|.* is not a folder inside).*\.$"):
        run(loaded.nodes[NODE], **{**ASKED, "folder": name})


def test_a_cancel_stops_it_and_the_next_run_goes_on(loaded: Pack, here: ComfyUI, folder: Path) -> None:
    here.management.interrupt_current_processing(True)
    with pytest.raises(here.management.InterruptProcessingException):
        run(loaded.nodes[NODE], **ASKED)
    here.management.interrupt_current_processing(False)
    run(loaded.nodes[NODE], **ASKED)
    assert len(captions(folder)) == 3


def test_what_is_in_the_folder_decides_whether_it_runs_again(loaded: Pack, folder: Path) -> None:
    fingerprint = loaded.nodes[NODE].fingerprint_inputs
    first = fingerprint(place="input", folder="creatures")
    assert first == fingerprint(place="input", folder="creatures")
    (folder / "new.png").write_bytes((folder / "c0.png").read_bytes())
    assert fingerprint(place="input", folder="creatures") != first
    assert fingerprint(place="input", folder="..") == ""
