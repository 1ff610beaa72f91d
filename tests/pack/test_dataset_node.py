"""Caption Dataset Folder: a folder of pictures inside ComfyUI's own folders, captioned where it stands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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


# --- what the node shows ----------------------------------------------------------------------------------------------


def boxes(ran: Any) -> list[dict[str, Any]]:
    """What the box shows, page by page."""
    shown: list[dict[str, Any]] = ran.ui["interrogator"]
    return shown


def test_the_box_has_the_report_then_what_failed_then_the_captions(loaded: Pack, folder: Path) -> None:
    (folder / "c1.txt").write_text("mine\n", encoding="utf-8")
    first, failed, *others = boxes(run(loaded.nodes[NODE], **ASKED))
    assert first["title"] == "creatures" and "\nbroken.png: " in first["text"]
    assert "run again with `retry failed` on" in first["text"] and "--" not in first["text"]
    assert failed["title"] == "broken.png" and failed["failure"] and not failed["text"]
    written = captions(folder)
    assert {each["title"]: each["text"] for each in others} == {f"{name}.png": text for name, text in written.items()}
    assert written["c1"] == "mine" and all(not each["failure"] for each in others)


def test_a_long_run_names_the_first_failures_and_shows_the_first_captions(
    loaded: Pack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = loaded.module("nodes.run_results")
    monkeypatch.setattr(results, "_MOST_CAPTIONS", 2)
    monkeypatch.setattr(results, "_MOST_FAILED", 1)
    (folder / "also.png").write_text("no picture")
    first, *others = boxes(run(loaded.nodes[NODE], **ASKED))
    assert "And 1 more failed; they are in the report." in first["text"]
    assert "The next pages show 2 of 3 captions; all are in the report." in first["text"]
    assert [each["title"] for each in others] == ["also.png", "c0.png", "c1.png"]


def test_what_failed_is_tried_again_where_that_is_asked_for(
    loaded: Pack, folder: Path, creatures: list[Image.Image]
) -> None:
    run(loaded.nodes[NODE], **ASKED)
    creatures[0].save(folder / "broken.png")
    os.utime(folder / "broken.png", ns=(0, 0))
    report, _ = run(loaded.nodes[NODE], **ASKED, retry_failed=True)
    assert (
        report[0].startswith("4 captioned, 0 kept, 0 failed") and captions(folder)["broken"] == captions(folder)["c0"]
    )


def test_a_finished_run_is_done_again_where_that_is_asked_for(loaded: Pack, folder: Path) -> None:
    asked = {**ASKED, "existing": "overwrite"}
    run(loaded.nodes[NODE], **asked)
    before = captions(folder)
    (folder / "c1.txt").write_text("mine\n", encoding="utf-8")
    report, _ = run(loaded.nodes[NODE], **asked)
    assert captions(folder)["c1"] == "mine"
    assert "1 was edited since and left so: switch on `again` to caption anew." in report[0]
    run(loaded.nodes[NODE], **asked, again=True)
    assert captions(folder) == before
    fingerprint = loaded.nodes[NODE].fingerprint_inputs
    assert fingerprint(**asked, again=True) != fingerprint(**asked, again=True), "ComfyUI would not run it again"


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(here: ComfyUI, folder: Path, tmp_path: Path) -> Path:
    """The creatures in a folder outside of ComfyUI, linked into its input folder as `linked`."""
    outside = tmp_path / "elsewhere"
    folder.rename(outside)
    (here.input / "linked").symlink_to(outside, target_is_directory=True)
    return outside


def test_a_folder_that_the_user_linked_is_captioned_where_it_is(loaded: Pack, elsewhere: Path) -> None:
    report, page = run(loaded.nodes[NODE], **{**ASKED, "folder": "linked"})
    assert report[0].startswith("3 captioned") and len(captions(elsewhere)) == 3
    assert Path(page[0]).is_relative_to(elsewhere)


def test_a_link_that_came_with_the_pictures_is_not_followed_out(
    loaded: Pack, here: ComfyUI, folder: Path, elsewhere: Path
) -> None:
    folder.mkdir()
    (folder / "out").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ValueError, match="is a link that leads out of"):
        run(loaded.nodes[NODE], **{**ASKED, "folder": "creatures/out"})
    report, _ = run(loaded.nodes[NODE], **ASKED)
    assert report[0].startswith("0 captioned, 0 kept, 4 failed") and "its folder is a link to" in report[0]
    assert captions(elsewhere) == {}
    (elsewhere / "inner").mkdir()
    (elsewhere / "c0.png").rename(elsewhere / "inner" / "c0.png")
    (elsewhere / "there").symlink_to(elsewhere / "inner", target_is_directory=True)
    report, _ = run(loaded.nodes[NODE], **{**ASKED, "folder": "linked/there"})  # does not leave the linked folder
    assert report[0].startswith("1 captioned")


@pytest.mark.parametrize("name", ["", "run"])
def test_a_run_does_not_write_its_own_files_through_links(
    loaded: Pack, folder: Path, tmp_path: Path, name: str
) -> None:
    target, link = tmp_path / "target", folder / ".interrogator" / name
    target.mkdir()
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target, target_is_directory=True)
    with pytest.raises(ValueError, match="is a link, and a run would write through it: remove it"):
        run(loaded.nodes[NODE], **ASKED)
    assert list(target.iterdir()) == []


# --- the report in the browser ----------------------------------------------------------------------------------------


def asked_for(address: str) -> dict[str, str]:
    """What the server makes of an address."""
    assert address.startswith("/interrogator/report/")
    place, folder, name, *file = address.removeprefix("/interrogator/report/").split("/")
    return {"place": place, "folder": unquote(folder), "run": name, "file": "/".join(file)}


def test_the_report_has_an_address_that_leads_to_it(loaded: Pack, here: ComfyUI, folder: Path) -> None:
    inner = folder / "a b%2F"
    inner.mkdir()
    (folder / "c0.png").rename(inner / "c0.png")
    ran = run(loaded.nodes[NODE], **{**ASKED, "folder": "creatures/a b%2F"})
    asked = asked_for(boxes(ran)[0]["report"])
    page = loaded.module("nodes.report_page")
    assert str(page.find(**asked)) == ran[1][0]
    told = page.headers(page.find(**asked))
    assert told["Content-Security-Policy"] == "sandbox allow-scripts allow-forms"
    assert any(route.path.startswith("/interrogator/report/") for route in here.server.routes)


def test_nothing_but_reports_is_served(loaded: Pack, folder: Path, elsewhere: Path, tmp_path: Path) -> None:
    asked = asked_for(boxes(run(loaded.nodes[NODE], **{**ASKED, "folder": "linked"}))[0]["report"])
    find = loaded.module("nodes.report_page").find
    assert find(**asked) is not None
    for changes in (
        {"place": "models"}, {"place": ".."}, {"folder": ".."}, {"folder": "linked/.."}, {"folder": str(elsewhere)},
        {"folder": "nowhere"}, {"folder": ""}, {"folder": "a\0b"}, {"run": ".."}, {"run": "0" * 12}, {"run": "run"},
        {"file": "run.json"}, {"file": "summary.json"}, {"file": "../../c0.png"}, {"file": "report.html/.."},
        {"file": "report_pictures_0123456789ab/0/../../run.json"}, {"file": "report_pictures_0123456789ab/0/1.jpg"},
    ):  # fmt: skip
        assert find(**{**asked, **changes}) is None, changes
    page = elsewhere / ".interrogator" / asked["run"] / "report.html"
    page.rename(tmp_path / "page.html")
    page.symlink_to(tmp_path / "page.html")
    assert find(**asked) is None, "a link"


def test_pictures_of_a_large_report_are_served_as_pictures(loaded: Pack, folder: Path) -> None:
    asked = asked_for(boxes(run(loaded.nodes[NODE], **ASKED))[0]["report"])
    picture = folder / ".interrogator" / asked["run"] / "report_pictures_0123456789ab" / "0" / "7.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"<script>")
    page = loaded.module("nodes.report_page")
    found = page.find(**{**asked, "file": "report_pictures_0123456789ab/0/7.jpg"})
    told = page.headers(found)
    assert found == picture and (told["Content-Type"], told["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")


def test_a_page_that_is_not_this_versions_is_named_and_not_served(loaded: Pack, folder: Path) -> None:
    ran = run(loaded.nodes[NODE], **ASKED)
    page, file = loaded.module("nodes.report_page"), Path(ran[1][0])
    whole, foreign = file.read_bytes(), b"<script>alert(1)</script>"
    for changed in (
        b"", whole[:-1], whole + foreign, foreign + whole, whole.replace(b"<header>", foreign),
        whole.replace(b'"total":4', b'"total":4</script>' + foreign),
        whole.replace(b'[{"key"', b"[" + foreign + b'{"key"'), whole.replace(b"default-src 'none'", b""),
    ):  # fmt: skip
        assert changed != whole
        file.write_bytes(changed)
        assert page.headers(file) is None
    asked = asked_for(boxes(ran)[0]["report"])
    with pytest.raises(ValueError, match=re.escape(ran[1][0])):
        page.answer(asked)
    with pytest.raises(FileNotFoundError, match=r"^There is no such report\.$"):
        page.answer({**asked, "run": "0" * 12})
    file.write_bytes(whole)
    assert page.answer(asked)[0] == file
