"""Links in a source: no caption leaves the source through one, and no link is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from interrogator.dataset import Run, Settings
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import differences, open_edit, work
from interrogator.errors import RequestError

from .stand_in import StandIn, count, draw, records, run, texts

pytestmark = pytest.mark.skipif("os.name == 'nt'", reason="making links needs a privilege there")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Pictures of which one, and a folder, are links out of the source."""
    draw(tmp_path / "outside", ["one.png", "two.png", "deep/three.png"])
    draw(tmp_path / "source", ["a.png", "inner/b.png"])
    (tmp_path / "source" / "link.png").symlink_to(tmp_path / "outside" / "one.png")
    (tmp_path / "source" / "folder").symlink_to(tmp_path / "outside" / "deep")
    return tmp_path / "source"


def reasons(found: Run) -> dict[str, str]:
    return {record["key"]: record["reason"] for record in records(found) if record["status"] == "failed"}


def test_captions_of_linked_pictures_are_where_the_link_is_and_none_leaves_the_source(source: Path) -> None:
    found = run(source)
    assert found.preview() == {"caption": 3, "kept": 0, "failed": 1, "done": 0}
    found.work(StandIn, count)
    assert sorted(texts(source)) == ["a.txt", "inner/b.txt", "link.txt"]
    assert not texts(source.parent / "outside")
    assert "outside/deep" in reasons(found)["folder/three.png"] and "--out" in reasons(found)["folder/three.png"]
    found.undo()
    assert not texts(source)


def test_texts_in_a_linked_folder_are_kept(source: Path) -> None:
    outside = source.parent / "outside" / "deep" / "three.txt"
    outside.write_text("old", encoding="utf-8")
    found = run(source)
    assert found.work(StandIn, count).counts == {"done": 3, "kept": 1, "failed": 0}
    assert run(source, policy="append").work(StandIn, count).counts["failed"] == 1
    assert outside.read_text(encoding="utf-8") == "old"


def test_a_source_behind_a_link_and_links_inside_it_are_written_to(source: Path) -> None:
    (source / "folder").unlink()
    (source / "again").symlink_to(source / "inner")
    (source.parent / "way").symlink_to(source)
    run(source.parent / "way").work(StandIn, count)
    assert sorted(texts(source)) == ["a.txt", "inner/b.txt", "link.txt"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_caption_file_that_is_a_link_is_not_replaced(source: Path, inside: bool) -> None:
    other = source / "other.txt" if inside else source.parent / "outside" / "other.txt"
    other.write_text("shared", encoding="utf-8")
    (source / "a.txt").symlink_to(other)
    found = run(source, policy="overwrite")
    found.work(StandIn, count)
    assert (source / "a.txt").is_symlink() and other.read_text(encoding="utf-8") == "shared"
    assert reasons(found)["a.png"].startswith("a.txt is a link")


def test_a_link_that_leads_nowhere_is_not_replaced(source: Path) -> None:
    (source / "a.txt").symlink_to(source.parent / "unmounted.txt")
    found = run(source)
    found.work(StandIn, count)
    assert (source / "a.txt").is_symlink() and "a.png" in reasons(found)


def test_a_tree_of_captions_is_not_left_by_a_link(source: Path) -> None:
    out = source.parent / "out"
    out.mkdir()
    (out / "inner").symlink_to(source.parent / "outside")
    found = Run([source], Settings(), out)
    found.work(StandIn, count)
    assert "inner/b.png" in reasons(found) and not texts(source.parent / "outside")
    assert (out / "folder" / "three.txt").exists()


@pytest.mark.parametrize("target", ["jsonl", "csv", "kohya-json", "kohya-jsonl"])
def test_a_table_that_is_a_link_is_refused_before_anything_is_done(source: Path, target: str) -> None:
    found = run(source, target=target)
    (table,) = found.target.files()
    shared = source.parent / "outside" / table.name
    before = b"{}" if target == "kohya-json" else b""
    shared.write_bytes(before)
    table.symlink_to(shared)
    with pytest.raises(RequestError, match="is a link to"):
        run(source, target=target).work(StandIn, count)
    assert table.is_symlink() and shared.read_bytes() == before


def test_an_edit_says_so_and_edits_the_others(source: Path) -> None:
    deep = source.parent / "outside" / "deep" / "three.txt"
    for path in (deep, source / "a.txt"):
        path.write_text("cat", encoding="utf-8")
    found = open_edit([source], Edit((("add", "dog"),)))
    shown = {each.key: each for each in differences(found)}
    assert shown["a.png"].is_written and not shown["folder/three.png"].is_written
    assert "is a link to" in shown["folder/three.png"].problem
    work(found)
    assert (source / "a.txt").read_text(encoding="utf-8") == "cat, dog\n"
    assert deep.read_text(encoding="utf-8") == "cat"
