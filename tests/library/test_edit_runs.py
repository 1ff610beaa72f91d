"""`interrogator edit` on folders, tables and tars: what it writes, shows and counts, and that an undo is exact."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interrogator.cli import main
from interrogator.dataset import Run, Settings
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import open_edit, work
from interrogator.models import Tag

from .stand_in import StandIn, count, draw, run
from .waiting import LAST_RESORT

ROOT = Path(__file__).parents[2]
PICTURES = ("a.png", "b.png", "10_sks dog/c.png", "10_sks dog/d.e.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, of which three have captions."""
    folder = tmp_path / "3_top"
    draw(folder, PICTURES)
    for name, text in zip(PICTURES, ("low poly, sks, cat", "dog, hat", "hat, {red|blue} cat ||| x"), strict=False):
        (folder / name).with_suffix(".txt").write_text(f"{text}\n", encoding="utf-8")
    return folder


def edit(*arguments: object) -> int:
    return main(["edit", *map(str, arguments)])


def files(folder: Path) -> dict[str, bytes]:
    """Every file but the pictures and the runs' own."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".interrogator" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.suffix != ".png"}


def undone(folder: Path) -> None:
    """Undo the runs that are there, the last first."""
    runs = [path for path in folder.rglob("run.json") if "-undone-" not in path.parent.name]
    for path in sorted(runs, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        assert Run.reopened(path.parent).undo() == []


class TestInPlace:
    def test_captions_are_edited_where_they_are_and_put_back(self, folder: Path) -> None:
        before = files(folder)
        assert edit(folder, "--trigger", "sks", "--replace", "hat", "cap", "--add", "new") == 0
        assert files(folder) == {
            "a.txt": b"sks, low poly, cat, new\n", "b.txt": b"sks, dog, cap, new\n",
            "10_sks dog/c.txt": b"sks, cap, {red|blue} cat ||| x, new\n",
        }  # fmt: skip
        undone(folder)
        assert files(folder) == before

    def test_steps_are_done_in_their_order(self, folder: Path) -> None:
        assert edit(folder, "--case", "upper", "--replace-text", "CAT", "cow", "--replace-text", "cow", "Owl") == 0
        assert (folder / "a.txt").read_text(encoding="utf-8") == "LOW POLY, SKS, Owl\n"

    def test_words_to_block_and_tags_to_put_first_come_from_files(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_text("# words\nhat\nsks\n", encoding="utf-8")
        assert edit(folder, "--tags-first-list", tmp_path / "list.txt", "--dry-run") == 0
        assert edit(folder, "--tags-first-list", tmp_path / "list.txt") == 0
        assert files(folder)["a.txt"] == b"sks, low poly, cat\n" and files(folder)["b.txt"] == b"hat, dog\n"
        assert edit(folder, "--block-list", tmp_path / "list.txt") == 0
        assert files(folder)["a.txt"] == b"low poly, cat\n" and files(folder)["b.txt"] == b"dog\n"

    def test_what_changes_nothing_writes_nothing(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "a.txt").write_bytes(b"\xef\xbb\xbf odd,  spaces \r\n\r\n")
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.txt")}
        assert edit(folder, "--replace", "nothing", "something") == 0
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.txt")} == before
        assert "0 edited, 4 as they were, 0 failed" in capsys.readouterr().err

    def test_asked_again_it_is_another_run_for_captions_that_came_since(self, folder: Path) -> None:
        assert edit(folder, "--trigger", "new") == 0
        (folder / "a.txt").write_text("rewritten by hand\n", encoding="utf-8")
        (folder / "10_sks dog/d.e.txt").write_text("late\n", encoding="utf-8")
        assert edit(folder, "--trigger", "new") == 0
        assert files(folder)["a.txt"] == b"new, rewritten by hand\n"
        assert files(folder)["10_sks dog/d.e.txt"] == b"new, late\n"
        assert files(folder)["b.txt"] == b"new, dog, hat\n"

    def test_an_unfinished_edit_goes_on(self, folder: Path) -> None:
        asked = Edit((("replace-regex", r"\A", "x"), ("order", "frequency")))

        def stop(done: int, total: int, failed: int) -> None:
            if done:
                raise KeyboardInterrupt

        first = open_edit([folder], asked, shard_size=1)
        with pytest.raises(KeyboardInterrupt):
            work(first, stop)
        again = open_edit([folder], asked, shard_size=1)
        assert again.folder == first.folder
        assert work(again).report is not None
        assert files(folder)["a.txt"] == b"xlow poly, sks, cat\n"
        assert open_edit([folder], asked, shard_size=1).folder != first.folder

    def test_a_picture_without_a_caption_gets_none(self, folder: Path) -> None:
        assert edit(folder, "--trigger", "sks") == 0
        assert "10_sks dog/d.e.txt" not in files(folder)

    def test_a_caption_file_is_edited_as_well(self, folder: Path) -> None:
        for path in list(folder.rglob("*.txt")):
            path.rename(path.with_suffix(".caption"))
        assert edit(folder, "--trigger", "sks") == 0
        assert files(folder)["b.caption"] == b"sks, dog, hat\n" and "b.txt" not in files(folder)

    def test_names_and_folders_without_repeats(self, folder: Path) -> None:
        assert edit(folder, "--template", "{folder}, {stem}, {existing}", "--underscores", "spaces") == 0
        assert files(folder)["a.txt"] == b"top, a, low poly, sks, cat\n"
        assert files(folder)["10_sks dog/d.e.txt"] == b"sks dog, d.e\n"

    def test_an_emptied_caption_is_put_back(self, folder: Path) -> None:
        before = files(folder)
        for target in ("txt", "csv"):
            assert edit(folder, "--target", target, "--replace-regex", ".*", "") == 0
            undone(folder)
            assert files(folder) == before


class TestEncodings:
    @given(
        text=st.text(st.characters(codec="cp1252", exclude_characters="\0"), max_size=30),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        end=st.sampled_from(["", "\n", "\r\n", "\r", " \n\n"]),
    )
    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_an_edit_reads_any_of_them_and_an_undo_gives_back_every_byte(
        self, tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str, end: str
    ) -> None:
        folder = tmp_path_factory.mktemp("pictures")
        draw(folder, ["a.png"])
        data = (text + end).encode(encoding)
        (folder / "a.txt").write_bytes(data)
        found = open_edit([folder], Edit((("text-suffix", "q"), ("trigger", "sks")), encoding="cp1252"))
        assert work(found).counts["failed"] == 0
        after = (folder / "a.txt").read_bytes().decode()
        assert after.startswith("sks")
        assert found.undo() == []
        assert (folder / "a.txt").read_bytes() == data

    def test_what_is_not_utf8_fails_and_stays_unless_somebody_says_what_it_is(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "b.txt").write_bytes("grün, hat".encode("cp1252"))
        assert edit(folder, "--trigger", "sks") == 1
        assert "b.png: its caption is not UTF-8; say what it is with --encoding" in capsys.readouterr().err
        assert files(folder)["b.txt"] == "grün, hat".encode("cp1252")
        assert edit(folder, "--trigger", "sks", "--encoding", "cp1252") == 0
        assert files(folder)["b.txt"] == "sks, grün, hat\n".encode()


class TestConversion:
    @pytest.mark.parametrize(
        "target", ["caption", "jsonl", "kohya-json", "kohya-jsonl", "csv", "parquet", "webdataset"]
    )
    def test_there_and_back_again(self, folder: Path, tmp_path: Path, target: str) -> None:
        before, out, back = files(folder), tmp_path / "out", tmp_path / "back"
        images = ["--copy-images"] if target in ("jsonl", "csv") else []
        assert edit(folder, "--from", "txt", "--target", target, "--out", out, *images) == 0
        table = [path for path in out.iterdir() if path.suffix in (".jsonl", ".json", ".csv", ".parquet")]
        assert edit(folder, "--from", table[0] if table else out, "--out", back) == 0
        assert files(back) == before
        undone(out)
        assert files(out) == {} and files(folder) == before

    @given(texts=st.lists(st.text(min_size=1, max_size=20).map(str.strip).filter(bool), min_size=1, max_size=4))
    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_text_comes_back_from_metadata(
        self, tmp_path_factory: pytest.TempPathFactory, texts: list[str]
    ) -> None:
        folder = tmp_path_factory.mktemp("pictures")
        names = [f"{number}.png" for number in range(len(texts))]
        draw(folder, names)
        for name, text in zip(names, texts, strict=True):
            (folder / name).with_suffix(".txt").write_bytes(text.encode() + b"\n")
        before = files(folder)
        work(open_edit([folder], Edit(origin="txt"), target="jsonl", kind="folder"))
        work(open_edit([folder], Edit(origin="jsonl"), folder / "back", "txt", kind="folder"))
        assert {name: files(folder / "back")[name] for name in before} == before

    def test_a_table_beside_the_pictures_is_edited_itself_and_put_back(self, folder: Path) -> None:
        for path in list(folder.rglob("*.txt")):
            path.unlink()
        rows = [{"mine": 1, "file_name": "b.png", "text": ["one", "two"]}, {"file_name": "b.png", "text": ["more"]},
                {"file_name": "a.png", "text": "other", "mine": 2}]  # fmt: skip
        (folder / "metadata.jsonl").write_bytes("\r\n".join(map(json.dumps, rows)).encode())
        before = files(folder)
        assert edit(folder, "--trigger", "sks") == 0
        found = [json.loads(line) for line in files(folder)["metadata.jsonl"].splitlines()]
        texts = {row["file_name"]: row["text"] for row in reversed(found)}
        assert texts["b.png"] == ["sks, one", "sks, two"] and files(folder).keys() == before.keys()
        assert texts["a.png"] in ("sks, other", ["sks, other"])
        undone(folder)
        assert files(folder) == before

    def test_metadata_csv_is_edited_itself(self, folder: Path) -> None:
        for path in list(folder.rglob("*.txt")):
            path.unlink()
        (folder / "metadata.csv").write_text('file_name,text,mine\na.png,"cat, hat",1\n', encoding="utf-8")
        before = files(folder)
        assert edit(folder, "--trigger", "sks") == 0
        rows = list(csv.DictReader(io.StringIO(files(folder)["metadata.csv"].decode())))
        assert rows[0] == {"file_name": "a.png", "text": "sks, cat, hat", "mine": "1"}
        undone(folder)
        assert files(folder) == before

    def test_a_table_of_a_caption_run_keeps_its_other_columns(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        Run([folder], run(folder, "overwrite").settings, out, "parquet").work(StandIn, count)
        before = pq.read_table(out / "captions.parquet").to_pylist()
        assert edit(folder, "--target", "parquet", "--out", out, "--trigger", "sks") == 0
        after = {row["key"]: row for row in pq.read_table(out / "captions.parquet").to_pylist()}
        for row in before:
            assert after[row["key"]]["text"] == f"sks, {row['text']}"
            assert {name: after[row["key"]][name] for name in ("sha256", "width", "dhash", "path")} == {
                name: row[name] for name in ("sha256", "width", "dhash", "path")
            }

    def test_texts_in_tars_and_tables_are_converted(self, tmp_path: Path) -> None:
        draw(tmp_path, ["p.png"])
        picture = (tmp_path / "p.png").read_bytes()
        (tmp_path / "in").mkdir()
        with tarfile.open(tmp_path / "in" / "x.tar", "w") as tar:
            for name, data in (("k.png", picture), ("k.txt", b"in a tar"), ("l.png", picture)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        pq.write_table(pa.table({"image": [picture], "text": ["in a table"]}), tmp_path / "in.parquet")
        assert (
            edit(tmp_path / "in" / "x.tar", "--target", "webdataset", "--out", tmp_path / "o", "--trigger", "sks") == 0
        )
        with tarfile.open(tmp_path / "o" / "x.tar") as tar:
            member = tar.extractfile("k.txt")
            assert member is not None and member.read() == b"sks, in a tar"
        assert edit(tmp_path / "in.parquet", "--target", "jsonl", "--out", tmp_path / "o", "--case", "upper") == 2
        assert edit(tmp_path / "in.parquet", "--target", "jsonl", "--out", tmp_path / "o", "--case", "upper",
                    "--copy-images") == 0  # fmt: skip
        assert b'"IN A TABLE"' in files(tmp_path / "o")["metadata.jsonl"]
        assert edit(tmp_path / "in" / "x.tar", "--trigger", "sks") == 2
        for source in (tmp_path / "in" / "x.tar", tmp_path / "in.parquet"):
            assert edit(source, "--stats") == 0 and edit(source, "--trigger", "sks", "--dry-run") == 0

    def test_texts_are_added_from_a_table_with_windows_names(self, folder: Path, tmp_path: Path) -> None:
        rows = [{"file_name": "10_sks dog\\c.png", "tags": ["hat", "1girl"]}, {"file_name": "b", "text": "b!"},
                {"file_name": "10_sks dog/d.e.png", "tags": "only, tags"}]  # fmt: skip
        (tmp_path / "tags.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        assert edit(folder, "--with", tmp_path / "tags.jsonl") == 0
        assert files(folder)["10_sks dog/c.txt"] == b"hat, {red|blue} cat ||| x, 1girl\n"
        assert files(folder)["10_sks dog/d.e.txt"] == b"only, tags\n"
        assert files(folder)["b.txt"] == b"dog, hat, b!\n"

    def test_the_column_and_folder_that_hold_captions_are_found(self, folder: Path) -> None:
        for path in list(folder.rglob("*.txt")):
            path.unlink()
        (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "caption": "cat"}\n', encoding="utf-8")
        assert edit(folder, "--trigger", "sks") == 0
        assert files(folder)["metadata.jsonl"] == b'{"file_name": "a.png", "caption": "sks, cat"}\n'
        (folder / "metadata.jsonl").unlink()
        (folder / "10_sks dog" / "metadata.jsonl").write_text('{"file_name": "c.png", "caption": "dog"}', "utf-8")
        assert edit(folder, "--trigger", "new") == 0
        assert b'"caption": "new, dog"' in files(folder)["10_sks dog/metadata.jsonl"]


class TestCommand:
    def test_a_dry_run_shows_what_would_change_and_loads_no_model(self, folder: Path) -> None:
        (folder / "b.txt").write_text("été, hat\n", encoding="utf-8")
        before = sorted(folder.rglob("*"))
        script = (
            "import sys\nfrom interrogator.cli import main\nstatus = main(sys.argv[1:])\n"
            "assert not {'torch', 'transformers', 'open_clip'} & set(sys.modules)\nsys.exit(status)"
        )
        told = subprocess.run(
            [sys.executable, "-c", script, "edit", str(folder), "--replace", "hat", "cap", "--token-limit", "70",
             "--dry-run"],
            cwd=ROOT, capture_output=True, timeout=LAST_RESORT, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        assert told.stdout.decode() == (
            "10_sks dog/c.png\n- hat, {red|blue} cat ||| x\n+ cap, {red|blue} cat ||| x\n\n"
            "b.png\n- été, hat\n+ été, cap\n\n"
        )
        assert b"2 would change, 1 stay, 1 without caption, 0 cannot be read" in told.stderr
        assert sorted(folder.rglob("*")) == before

    def test_statistics_count_tags_words_lengths_and_what_has_no_caption(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert edit(folder, "--stats", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["pictures"], found["captions"], found["missing"]) == (4, 3, 1)
        assert found["without"] == ["10_sks dog/d.e.png"]
        assert found["tags"][0] == ["hat", 2] and ["cat", 2] in found["words"]
        assert found["tokens"]["most"] == 6 and found["tokens"]["over_75"] == 0
        assert edit(folder, "--stats") == 0
        assert "no caption: 10_sks dog/d.e.png" in capsys.readouterr().out

    def test_a_real_process_edits_reports_and_undoes(self, folder: Path) -> None:
        before = files(folder)

        def told(*arguments: str) -> dict[str, Any]:
            command = [sys.executable, "-m", "interrogator", "edit", *arguments, "--json"]
            output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LAST_RESORT).stdout
            found: dict[str, Any] = json.loads(output)
            return found

        done = told(str(folder), "--trigger", "new")
        assert (done["total"], done["done"], done["kept"]) == (4, 3, 1) and Path(done["report"]).exists()
        assert told("--undo", done["run"])["left"] == []
        assert files(folder) == before

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [((), "say what to do"), (("--stats", "--unique"), "leave out"), (("--trigger", " "), "needs a word"),
         (("--from", "nowhere", "--unique"), "no such file"), (("--encoding", "klingon", "--unique"), "cp1252")],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused(
        self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str
    ) -> None:
        assert edit(folder, *arguments) == 2
        assert reason in capsys.readouterr().err
        assert not (folder / ".interrogator").exists()


def test_several_processes_edit_what_one_does(tmp_path: Path) -> None:
    """Also by the counts of the whole dataset, which the first process makes for all."""
    steps = ("--order", "frequency", "--trigger", "sks")
    for name in ("one", "two"):
        draw(tmp_path / name, [f"{number:02d}.png" for number in range(12)])
        for number in range(12):
            (tmp_path / name / f"{number:02d}.txt").write_text(f"{'rare' * number}, often, {'some' * (number % 2)}")
    before = files(tmp_path / "two")
    assert edit(tmp_path / "one", *steps, "--shard-size", 2) == 0
    assert edit(tmp_path / "two", *steps, "--shard-size", 2, "--workers", 2) == 0
    assert files(tmp_path / "two") == files(tmp_path / "one") != before
    assert (tmp_path / "one" / "01.txt").read_text() == "sks, often, some, rare\n"
    undone(tmp_path / "two")
    assert files(tmp_path / "two") == before


class Tagging(StandIn):
    """A tagger's categories beside the caption."""

    def write(self, pictures: Any, progress: Any = None) -> Any:
        tags = [Tag("hatsune miku", 0.9, "character"), Tag("vocaloid", 0.9, "copyright"), Tag("smile", 0.9, "general")]
        return [replace(result, tags=tags) for result in super().write(pictures, progress)]


def test_characters_are_those_that_a_tagger_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where their names do not look like it; a run that goes on later orders by what it began with."""
    run(folder).work(Tagging, count)
    (folder / "a.txt").write_text("smile, vocaloid, Hatsune_Miku, rem (re:zero), 1girl\n")
    before = files(folder)
    assert edit(folder, "--order", "characters", "--dry-run") == 0
    assert "+ 1girl, Hatsune_Miku, rem (re:zero), vocaloid, smile" in capsys.readouterr().out
    assert edit(folder, "--order", "characters", "--workers", 2, "--shard-size", 1) == 0
    assert (folder / "a.txt").read_text() == "1girl, Hatsune_Miku, rem (re:zero), vocaloid, smile\n"
    (own,) = [path.parent for path in folder.glob(".interrogator/*/characters.json")]
    assert json.loads((own / "characters.json").read_text()) == {"hatsune miku": "character", "vocaloid": "copyright"}
    assert Run.reopened(own).undo() == []
    assert files(folder) == before


@pytest.mark.parametrize("target", ["kohya-json", "kohya-jsonl"])
def test_tags_of_kohya_files_are_edited_where_asked_and_said_to_stay_else(
    folder: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    for path in folder.rglob("*.txt"):
        path.unlink()
    row = {"caption": "a cat", "tags": "low poly, cat", "train_resolution": [512, 512]}
    name = "meta_cap.json" if target == "kohya-json" else "meta_cap.jsonl"
    text = json.dumps({"a.png": row} if target == "kohya-json" else {"image_path": "a.png", **row})
    (folder / name).write_text(text + "\n")

    def found() -> Any:
        whole = json.loads((folder / name).read_text())
        return whole["a.png"] if target == "kohya-json" else whole

    assert edit(folder, "--target", target, "--replace", "cat", "dog") == 0
    assert found()["caption"] == "a dog" and found()["tags"] == row["tags"]
    assert "the tags in the same file stay: --column tags" in caplog.text
    caplog.clear()
    assert edit(folder, "--target", target, "--replace", "cat", "fox", "--column", "tags") == 0
    assert (found()["caption"], found()["tags"]) == ("a dog", "low poly, fox")
    assert found()["train_resolution"] == row["train_resolution"]
    assert not caplog.text
    undone(folder)
    assert (folder / name).read_text() == text + "\n"


def test_edits_that_an_earlier_version_began_are_found() -> None:
    found = Settings(edit=Edit((("trigger", "sks"),)), policy="overwrite").digest({"target": "txt"})
    assert found == "c2bb4bf8b47d"


def test_captions_inside_tars_are_edited_into_new_tars_that_the_error_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, ["a.png"])
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "a.png")
        text = tarfile.TarInfo("a.txt")
        text.size = 3
        tar.addfile(text, io.BytesIO(b"cat"))
    before = (tmp_path / "in.tar").read_bytes()
    assert edit(tmp_path / "in.tar", "--trigger", "sks") == 2
    assert "such as --out DIR with --target txt, webdataset" in capsys.readouterr().err
    out = tmp_path / "out"
    assert edit(tmp_path / "in.tar", "--trigger", "sks", "--target", "webdataset", "--repack", "--out", out) == 0
    (path,) = out.glob("*.tar")
    with tarfile.open(path) as tar:
        found = {Path(member.name).name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert found == {"a.png": (tmp_path / "a.png").read_bytes(), "a.txt": b"sks, cat"}
    undone(out)
    assert files(out) == {} and (tmp_path / "in.tar").read_bytes() == before
