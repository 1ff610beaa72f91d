"""What a dataset says of a picture already, in whatever form: every policy sees it, and nothing of it is lost."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interrogator.cli.parser import build_parser
from interrogator.dataset import CaptionRules, Run, Settings, next_round
from interrogator.dataset.sources import open_source
from interrogator.dataset.text import apply_policy

from .stand_in import StandIn, count, draw, records, texts

ENDINGS = (".txt", ".caption", ".jsonl", ".json", ".csv", ".parquet", ".tar")


def asked(
    source: Path, policy: Any = "skip", target: str = "txt", out: Path | None = None, trigger: str = "", **values: Any
) -> Run:  # fmt: skip
    settings = Settings(policy=policy, rules=CaptionRules(trigger=trigger), **values)
    return Run([source], settings, out, target, shard_size=2)


def work(*given: Any, **named: Any) -> Run:
    found = asked(*given, **named)
    found.work(lambda: StandIn(phrase="new"), count)
    return found


def captions(found: Run) -> dict[str, Any]:
    """By the last part of a picture's name, status and text; `new` stands for what the stand-in writes."""
    return {each["key"].rpartition("/")[2]: (each["status"], shortened(each["caption"])) for each in records(found)}


def shortened(text: str) -> str:
    """The text with `new` for each `new b.png in 1-2-3`."""
    return re.sub(r"new \S+ in \d+-\d+-\d+", "new", text)


def packed(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """a.png, b.png and c.png; the last has no text in any of the tests."""
    draw(tmp_path / "set", ["a.png", "b.png", "c.png"])
    return tmp_path / "set"


def as_text_files(folder: Path) -> Path:
    (folder / "a.txt").write_text("old a\n", encoding="utf-8")
    (folder / "b.caption").write_text("old b", encoding="utf-8")
    return folder


def as_metadata_csv(folder: Path) -> Path:
    (folder / "metadata.csv").write_text('file_name,text\na.png,old a\nb.png,"old b"\nc.png,\n', encoding="utf-8")
    return folder


def as_metadata_of_a_split(folder: Path) -> Path:
    inner = folder.rename(folder.with_name("train"))
    folder.mkdir()
    inner.rename(folder / "train")
    rows = [{"file_name": "a.png", "caption": "old a"}, {"file_name": "b.png", "prompt": "old b"}]
    (folder / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def as_kohya(folder: Path) -> Path:
    rows = {"a": {"caption": "old a"}, "b.png": {"caption": "old b"}}
    (folder / "meta_cap.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder


def as_tar(folder: Path) -> Path:
    members = {f"{name}.png": (folder / f"{name}.png").read_bytes() for name in "abc"}
    said = {"a.txt": b"\xef\xbb\xbfold a\n", "b.json": json.dumps({"prompt": "old b"}).encode()}
    return packed(folder.with_suffix(".tar"), dict(sorted({**members, **said}.items())))


def as_parquet(folder: Path) -> Path:
    rows = [{"image": {"bytes": (folder / f"{name}.png").read_bytes(), "path": f"{name}.png"}} for name in "abc"]
    table = pa.Table.from_pylist(rows).append_column("prompt", pa.array(["old a", "old b", None]))
    pq.write_table(table, folder.with_suffix(".parquet"))
    return folder.with_suffix(".parquet")


FORMS = (as_text_files, as_metadata_csv, as_metadata_of_a_split, as_kohya, as_tar, as_parquet)


@pytest.mark.parametrize("form", FORMS)
class TestEveryForm:
    """The same texts in every form that datasets have them in."""

    def test_skip_keeps_it_and_brings_it_where_captions_go(self, form: Any, pictures: Path, tmp_path: Path) -> None:
        source, out = form(pictures), tmp_path / "out"
        before = texts(tmp_path, ENDINGS)
        found = asked(source, "skip", "parquet", out)
        assert found.preview() == {"caption": 1, "kept": 2, "failed": 0, "done": 0}
        assert work(source, "skip", "parquet", out).undo() == []
        assert texts(tmp_path, ENDINGS) == before, "undone"
        found = work(source, "skip", "parquet", out)
        assert captions(found) == {"a.png": ("kept", "old a"), "b.png": ("kept", "old b"), "c.png": ("done", "new")}
        rows = [row["text"] for row in pq.read_table(out / "captions.parquet").to_pylist()]
        assert list(map(shortened, rows)) == ["old a", "old b", "new"]
        after = texts(tmp_path, ENDINGS)
        assert {name: after[name] for name in before} == before, "nothing in the source is changed"

    def test_append_prepend_overwrite_and_a_template_see_it(self, form: Any, pictures: Path, tmp_path: Path) -> None:
        source = form(pictures)
        expected = {"append": "old {}, new", "prepend": "new, old {}", "overwrite": "new"}
        for policy, text in expected.items():
            found = captions(work(source, policy, "txt", tmp_path / policy))
            assert found == {f"{name}.png": ("done", text.format(name)) for name in "ab"} | {"c.png": ("done", "new")}
        settings = Settings(policy="overwrite", rules=CaptionRules(template="{existing}, seen"))
        made = Run([source], settings, tmp_path / "made", "txt", shard_size=2)
        made.work(StandIn, count)
        assert [each["caption"] for each in records(made)][:2] == ["old a, seen", "old b, seen"]


class TestBesideThePictures:
    def test_texts_go_into_a_table_there_and_are_put_back(self, pictures: Path) -> None:
        before = texts(as_text_files(pictures), ENDINGS)
        found = work(pictures, "append", "jsonl")
        rows = [json.loads(line) for line in (pictures / "metadata.jsonl").read_text("utf-8").splitlines()]
        assert [shortened(row["text"]) for row in rows] == ["old a, new", "old b, new", "new"]
        assert found.undo() == [] and texts(pictures, ENDINGS) == before

    def test_a_caption_that_was_brought_and_is_gone_is_brought_again(self, pictures: Path) -> None:
        as_metadata_csv(pictures)
        work(pictures)
        (pictures / "a.txt").unlink()
        (pictures / "b.txt").write_text("mine", encoding="utf-8")
        work(pictures)
        assert (pictures / "a.txt").read_text("utf-8") == "old a\n"
        assert (pictures / "b.txt").read_text("utf-8") == "mine"
        assert [left.key for left in asked(pictures).undo()] == ["b.png"]
        assert set(texts(pictures)) == {"b.txt"}

    def test_another_column_that_somebody_names_is_empty(self, pictures: Path) -> None:
        rows = [{"file_name": "a.png", "text": "old a"}]
        (pictures / "metadata.jsonl").write_text(json.dumps(rows[0]) + "\n", encoding="utf-8")
        run = Run([pictures], Settings(), None, "jsonl", column="short")
        assert run.preview()["caption"] == 3

    def test_a_table_that_is_no_table_of_captions_is_passed_over(self, pictures: Path) -> None:
        (pictures / "captions.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        assert captions(work(pictures))["a.png"] == ("done", "new")


class TestSeveralCaptions:
    @pytest.mark.parametrize("policy", ["append", "prepend"])
    def test_a_list_stays_a_list_and_each_gets_the_new_words(self, pictures: Path, policy: str) -> None:
        text = json.dumps({"file_name": "a.png", "text": ["old a", "old b"]}) + "\r\n"
        (pictures / "metadata.jsonl").write_text(text, encoding="utf-8", newline="")
        before = (pictures / "metadata.jsonl").read_bytes()
        found = work(pictures, policy, "jsonl")
        rows = [json.loads(line)["text"] for line in (pictures / "metadata.jsonl").read_text("utf-8").splitlines()]
        new = ["old a, new", "old b, new"] if policy == "append" else ["new, old a", "new, old b"]
        assert [list(map(shortened, row)) for row in rows] == [new, ["new"], ["new"]]
        assert found.undo() == [] and (pictures / "metadata.jsonl").read_bytes() == before

    def test_a_list_that_comes_late_makes_lists_of_all(self, pictures: Path) -> None:
        for name, text in (("a", "one"), ("b", "two\nthree")):
            (pictures / f"{name}.txt").write_text(text, encoding="utf-8")
        work(pictures, "skip", "jsonl")
        rows = [json.loads(line)["text"] for line in (pictures / "metadata.jsonl").read_text("utf-8").splitlines()]
        assert rows[:2] == [["one"], ["two", "three"]] and isinstance(rows[2], list)

    @pytest.mark.parametrize("several", [1, 2])
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [("all", "one, new\ntwo, new"), ("first", "one, new\ntwo"), ("as-one", "one\ntwo, new")],
    )
    def test_lines_of_a_file(self, pictures: Path, lines: str, expected: str, several: int) -> None:
        (pictures / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
        more: dict[str, Any] = {"captions_per_image": 2, "quality": "best-of-n"} if several == 2 else {}
        found = work(pictures, "append", lines=lines, **more)
        written = shortened((pictures / "a.txt").read_text("utf-8").removesuffix("\n"))
        assert written == (expected.replace("\n", " ") if several == 2 and lines == "as-one" else expected)
        assert "several_lines" in records(found)[0]["flags"] or several == 2
        assert found.undo() == [] and (pictures / "a.txt").read_text("utf-8") == "one\ntwo\n"

    def test_rows_and_lists_of_a_source_are_all_brought(self, pictures: Path, tmp_path: Path) -> None:
        rows = [{"file_name": "a.png", "text": "one"}, {"file_name": "b.png", "text": ["three", "four"]},
                {"file_name": "a.png", "text": "two"}]  # fmt: skip
        (pictures / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        work(pictures, "skip", "txt", tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text("utf-8") == "one\ntwo\n"
        work(pictures, "skip", "webdataset", tmp_path / "tars")
        again = work(pictures.with_name("tars").parent / "set", "skip", "parquet", tmp_path / "table")
        table = pq.read_table(tmp_path / "table" / "captions.parquet").to_pylist()
        assert [row["captions"] for row in table[:2]] == [["one", "two"], ["three", "four"]]
        assert again.undo() == [] and not (tmp_path / "table" / "captions.parquet").exists()


class TestNothingTwice:
    def test_a_trigger_stands_in_front_of_the_whole_text_once(self, pictures: Path) -> None:
        (pictures / "a.txt").write_text("low poly, sks, 1girl", encoding="utf-8")
        (pictures / "b.txt").write_text("a photo of sks dog", encoding="utf-8")
        found = captions(work(pictures, "append", trigger="sks"))
        assert found["a.png"] == ("done", "sks, low poly, 1girl, new")
        assert found["b.png"] == ("done", "a photo of sks dog, new") and found["c.png"] == ("done", "sks, new")

    def test_a_run_with_other_settings_does_not_add_its_text_again(self, pictures: Path) -> None:
        (pictures / "a.txt").write_text("old a", encoding="utf-8")
        work(pictures, "append")
        assert captions(work(pictures, "append", seed=1))["a.png"] == ("kept", "old a, new")
        assert captions(work(pictures, "prepend", seed=1))["a.png"] == ("kept", "old a, new")
        assert captions(work(pictures, "append", trigger="sks"))["a.png"] == ("done", "sks, old a, new")

    @pytest.mark.parametrize(
        ("old", "new", "after"),
        [
            ("1girl, blue_eyes", "Blue Eyes, solo", "1girl, blue_eyes, solo"),
            ("1girl, solo", "solo, 1girl", None),
            ("sks, fixed ||| hat", "hat, cat", "sks, fixed ||| hat, cat"),
            ("a woman on a sofa. It rains", "rain, sofa, solo", "a woman on a sofa. It rains, rain, sofa, solo"),
            ("a banana", "a banana on a plate in a room", "a banana, a banana on a plate in a room"),
        ],
    )
    def test_tags_that_are_there_are_not_added_again(self, old: str, new: str, after: str | None) -> None:
        assert apply_policy(old, new, "append") == after


class TestSeparators:
    def test_letters_of_a_separator_stay_in_the_text(self, pictures: Path) -> None:
        (pictures / "a.txt").write_text("a banana", encoding="utf-8")
        assert captions(work(pictures, "append", separator=" and "))["a.png"] == ("done", "a banana and new")

    @pytest.mark.parametrize("command", ["caption", "edit"])
    def test_a_typed_line_feed_is_one(self, command: str) -> None:
        args = build_parser().parse_args([command, "folder", "--separator", r"\n"])
        assert args.separator == "\n"
        assert build_parser().parse_args([command, "folder", "--separator", r" |\t"]).separator == " |\t"

    def test_a_second_run_adds_no_second_line(self, pictures: Path) -> None:
        (pictures / "a.txt").write_text("old a", encoding="utf-8")
        work(pictures, "append", separator="\n")
        work(pictures, "append", separator="\n", seed=2)
        assert shortened((pictures / "a.txt").read_text("utf-8")) == "old a\nnew\n"


class TestFindings:
    def test_odd_files_are_found_and_kept(self, pictures: Path) -> None:
        (pictures / "a.txt").write_bytes("caf\xe9".encode("latin-1"))
        (pictures / "b.txt").write_bytes(b"\xef\xbb\xbf1girl\nsolo")
        before = texts(pictures)
        summary = asked(pictures).work(StandIn, count)
        assert summary.findings is not None
        found = {each.id: each.keys for each in summary.findings.found}
        assert found["not_utf8"] == ("a.png",) and found["byte_order_mark"] == ("b.png",)
        assert found["several_lines"] == ("b.png",)
        assert {name: data for name, data in texts(pictures).items() if name != "c.txt"} == before


def test_kohya_keys_that_are_whole_paths_keep_their_spelling(pictures: Path) -> None:
    old = {str(pictures / "a.png"): {"caption": "old a", "tags": "x"}, "b.png": {"caption": "old b"}}
    (pictures / "meta_cap.json").write_text(json.dumps(old), encoding="utf-8")
    before = (pictures / "meta_cap.json").read_bytes()
    found = work(pictures, "append", "kohya-json")
    assert list(json.loads((pictures / "meta_cap.json").read_bytes())) == [*old, "c.png"]
    assert found.undo() == [] and (pictures / "meta_cap.json").read_bytes() == before


class TestAgain:
    def test_captions_edited_since_are_counted_and_can_be_captioned_anew(self, pictures: Path) -> None:
        before = texts(as_text_files(pictures), ENDINGS)
        for target in ("txt", "jsonl"):
            run = work(pictures, "overwrite", target)
            written = texts(pictures, ENDINGS)
            edit(pictures, target)
            mine = texts(pictures, ENDINGS)
            assert asked(pictures, "overwrite", target).work(lambda: pytest.fail("it is done"), count).edited == 1
            assert texts(pictures, ENDINGS) == mine, "what somebody wrote stays"
            more = next_round(lambda number: asked(pictures, "overwrite", target, round=number))  # noqa: B023
            assert more.folder != run.folder
            assert more.work(lambda: StandIn(phrase="new"), count).counts["done"] == 1
            assert texts(pictures, ENDINGS) == written
            assert more.undo() == [] and texts(pictures, ENDINGS) == mine
            assert [left.key for left in run.undo()] == ["b.png"]
            for path in pictures.glob("*.[tj][xs]*"):
                path.unlink()
            as_text_files(pictures)
            assert texts(pictures, ENDINGS) == before

    def test_a_finished_run_that_nobody_touched_counts_none(self, pictures: Path) -> None:
        work(pictures, "overwrite")
        (pictures / "a.txt").touch()
        assert asked(pictures, "overwrite").work(StandIn, count).edited == 0


def edit(folder: Path, target: str) -> None:
    """What somebody does to the caption of b.png."""
    if target == "txt":
        (folder / "b.txt").write_text("mine\n", encoding="utf-8")
        later = time.time() + 5
        os.utime(folder / "b.txt", (later, later))
        return
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text("utf-8").splitlines()]
    rows[1]["text"] = "mine"
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="there these are names like any other")
class TestMadeOnWindows:
    NAMES = ("sub\\b.png", "C:\\data\\sub\\b.png", "D:/other/sub/b.png", "\\\\server\\share\\sub\\b.png")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        draw(tmp_path, ["b.png", "sub/b.png"])
        return tmp_path

    @pytest.mark.parametrize("name", NAMES)
    def test_lists_and_metadata_find_their_files(self, folder: Path, name: str) -> None:
        (folder / "list.txt").write_text(name + "\r\nb.png\r\n", encoding="utf-8")
        assert [(item.key, item.problem) for item in open_source(folder / "list.txt").items()] == [
            ("sub/b.png", ""), ("b.png", ""),
        ]  # fmt: skip
        (folder / "metadata.jsonl").write_text(json.dumps({"file_name": name, "text": "old b"}), encoding="utf-8")
        assert [(item.key, item.caption) for item in open_source(folder).items()] == [
            ("b.png", None), ("sub/b.png", "old b"),
        ]  # fmt: skip

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("target", ["jsonl", "csv", "kohya-json", "kohya-jsonl"])
    def test_rows_of_tables_are_those_of_their_pictures(self, folder: Path, target: str, name: str) -> None:
        file, text = {
            "jsonl": ("metadata.jsonl", json.dumps({"file_name": name, "text": "old b"})),
            "csv": ("captions.csv", f"file_name,text\n{name},old b\n"),
            "kohya-json": ("meta_cap.json", json.dumps({name: {"caption": "old b"}})),
            "kohya-jsonl": ("meta_cap.jsonl", json.dumps({"image_path": name, "caption": "old b"})),
        }[target]
        (folder / file).write_text(text, encoding="utf-8")
        found = Run([folder], Settings(policy="append"), None, target, kind="folder")
        found.work(lambda: StandIn(phrase="new"), count)
        written = (folder / file).read_text("utf-8")
        assert [each["existing"] for each in records(found)] == [None, "old b"]
        assert written.count("old b") == 1 and len(re.findall("new", written)) == 2
        assert (json.dumps(name) in written) == target.startswith("kohya"), "its keys are those of other files, too"
        assert found.undo() == [] and (folder / file).read_text("utf-8") == text

    def test_a_backslash_in_a_name_that_is_there_stays(self, folder: Path) -> None:
        draw(folder, ["sub\\b.png"])
        (folder / "list.txt").write_text("sub\\b.png\n", encoding="utf-8")
        assert [item.key for item in open_source(folder / "list.txt").items()] == ["sub\\b.png"]
