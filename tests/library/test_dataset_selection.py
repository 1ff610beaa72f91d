"""Which pictures of a source are taken: patterns, masks and controls, files that cannot be read."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from interrogator.cli import main
from interrogator.dataset import Run, Selection, Settings, TargetOptions
from interrogator.dataset.sources import open_source
from interrogator.dataset.sources.patterns import Patterns
from interrogator.dataset.sources.selection import Chooser, SelectedSource
from interrogator.errors import RequestError

from .stand_in import StandIn, count, draw, records, run, texts

LEFT_OUT = {
    "excluded": 1, "masks": {"-masklabel": 1, "masks/": 1}, "unread": {".mp4": 2, ".heic": 1, ".npz": 1},
    "idle": ["*.bmp"],
}  # fmt: skip


def never() -> StandIn:
    raise AssertionError("nothing is left to caption, so no model may be loaded")


def taken(source: Path, **selection: object) -> list[str]:
    chooser = Chooser(Selection(**selection))  # type: ignore[arg-type]
    return [item.key for item in SelectedSource(open_source(source), chooser).items()]


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "matching", "others"),
        [
            ("*.png", ["a.png", "x/a.png", "x/y/B.PNG"], ["a.png.jpg", "png"]),
            ("cats", ["cats/a.png", "x/cats/y/a.png"], ["cats.png", "mycats/a.png"]),
            ("a.png", ["a.png", "x/a.png"], ["aa.png", "a.png2"]),
            ("cats/*", ["cats/a.png"], ["x/cats/a.png", "cats/y/a.png"]),
            ("cats/**", ["cats/a.png", "cats/y/z/a.png"], ["x/cats/a.png", "cats.png"]),
            ("**/cats/*.png", ["cats/a.png", "x/y/cats/a.png"], ["cats/x/a.png"]),
            ("x/**/a.png", ["x/a.png", "x/y/z/a.png"], ["a.png", "y/x/a.png"]),
            ("10_*/", ["10_a/b.png", "x/10_b/y/c.png"], ["10_a.png"]),
            ("/a.png", ["a.png"], ["x/a.png"]),
            ("./x/a.png", ["x/a.png"], ["y/x/a.png"]),
            ("a?.png", ["a1.png"], ["a.png", "a12.png"]),
            ("[ab]*.png", ["a.png", "b1.png"], ["c.png"]),
            ("[!ab]*.png", ["c.png"], ["a.png"]),
            ("photo [[]1].png", ["photo [1].png"], ["photo 1.png"]),
            ("open[.png", ["open[.png"], ["open.png"]),
            ("CAFE\u0301/*", ["caf\u00e9/a.png"], ["cafe/a.png"]),
            ("**", ["a.png", "x/a.png"], []),
        ],
    )
    def test_match_as_people_expect(self, pattern: str, matching: list[str], others: list[str]) -> None:
        patterns = Patterns([pattern])
        assert [key for key in (*matching, *others) if patterns.match(key)] == matching

    @given(st.text(st.characters(exclude_characters="/[*?\\", exclude_categories=("C",)), min_size=1))
    def test_a_name_without_wildcards_is_itself(self, name: str) -> None:
        if name not in (".", ".."):
            assert Patterns([name]).match(f"x/{name}") and Patterns([name]).match(f"{name}/a.png")
            assert not Patterns([name]).match(f"{name}y")

    @pytest.mark.parametrize("pattern", ["", "/", "./"])
    def test_that_say_nothing_are_refused(self, pattern: str) -> None:
        with pytest.raises(RequestError, match="no pattern"):
            Selection(exclude=(pattern,))


class TestASelection:
    def test_holds_for_folders_tars_lists_and_tables(self, tmp_path: Path) -> None:
        folder, tar = tmp_path / "folder", tmp_path / "a.tar"
        draw(folder, ["a.png", "bad/b.png", "c.jpg"])
        with tarfile.open(tar, "w") as file:
            for name in ("a.png", "bad/b.png", "c.jpg"):
                file.add(folder / name, name)
        paths = tmp_path / "list.txt"
        paths.write_text("folder/a.png\nfolder/bad/b.png\nfolder/c.jpg\n", encoding="utf-8")
        assert taken(folder, exclude=("bad",), include=("*.png",)) == ["a.png"]
        assert taken(tar, exclude=("bad",), include=("*.png",)) == ["a.tar/a.png"]
        assert taken(paths, exclude=("bad",), include=("*.png",)) == ["folder/a.png"]
        parquet = pytest.importorskip("pyarrow.parquet")
        arrow = pytest.importorskip("pyarrow")
        table = arrow.table({"path": ["folder/a.png", "folder/bad/b.png", "folder/c.jpg"]})
        parquet.write_table(table, tmp_path / "t.parquet")
        assert taken(tmp_path / "t.parquet", exclude=("bad",), include=("*.png",)) == ["folder/a.png"]

    def test_that_grows_continues_the_run(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "b.png", "c.png"])
        first = run(tmp_path, selection=Selection(include=("a.png",)))
        assert first.work(StandIn, count).counts["done"] == 1 and list(texts(tmp_path)) == ["a.txt"]
        second = run(tmp_path)
        assert second.folder == first.folder
        assert second.work(StandIn, count).counts["done"] == 3 and len(texts(tmp_path)) == 3

    def test_that_shrinks_keeps_what_is_done_and_captions_nothing_more_of_the_rest(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "b.png", "c.png", "d.png"])

        class Stopped(StandIn):
            def write(self, pictures, progress=None):  # type: ignore[no-untyped-def]
                if pictures[0].item.key == "c.png":
                    raise KeyboardInterrupt
                return super().write(pictures, progress)

        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, shard_size=1).work(Stopped, count)
        assert sorted(texts(tmp_path)) == ["a.txt", "b.txt"]
        (tmp_path / "b.txt").unlink()
        again = run(tmp_path, shard_size=1, selection=Selection(exclude=("[bc].png",)))
        again.work(StandIn, count)
        assert sorted(texts(tmp_path)) == ["a.txt", "d.txt"], "b was excluded and its caption taken away by hand"
        assert [record["key"] for record in records(again)] == ["a.png", "b.png", "d.png"]
        run(tmp_path, shard_size=1).work(StandIn, count)
        assert sorted(texts(tmp_path)) == ["a.txt", "b.txt", "c.txt", "d.txt"]
        run(tmp_path, shard_size=1).undo()
        assert not texts(tmp_path)

    def test_that_shrinks_over_a_tar_that_changed_keeps_the_captions(self, tmp_path: Path) -> None:
        draw(tmp_path / "folder", ["a.png", "b.png", "c.png"])
        tar, out, by_key = tmp_path / "a.tar", tmp_path / "out", TargetOptions(paths="key")

        def pack(*names: str) -> None:
            with tarfile.open(tar, "w") as file:
                for name in names:
                    file.add(tmp_path / "folder" / name, name)

        pack("a.png", "b.png")
        Run([tar], Settings(), out, "jsonl", options=by_key).work(StandIn, count)
        pack("c.png", "a.png", "b.png")
        Run([tar], Settings(), out, "jsonl", options=by_key, selection=Selection(exclude=("a.png", "b.png"))).work(
            StandIn, count
        )
        rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
        assert {row["file_name"] for row in rows} == {f"a.tar/{name}.png" for name in "abc"}
        assert all(f"/{row['file_name'][-5:]}" in row["text"] for row in rows)

    def test_failed_pictures_that_are_not_taken_are_not_tried_again(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png"])
        (tmp_path / "b.png").write_bytes(b"broken")
        assert run(tmp_path).work(StandIn, count).counts["failed"] == 1
        Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
        run(tmp_path, selection=Selection(exclude=("b.png",))).work(never, count, retry_failed=True)
        assert run(tmp_path).work(StandIn, count, retry_failed=True).counts["failed"] == 0

    def test_is_that_of_the_run_where_the_run_is_opened_by_its_folder(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "b.png"])
        first = run(tmp_path, selection=Selection(exclude=("b.png",)))
        first.work(StandIn, count)
        again = Run.reopened(first.folder)
        assert again.selection == Selection(exclude=("b.png",)) and again.left_out().excluded == 1
        assert again.work(never, count).counts["done"] == 1


class TestMasksAndControls:
    @pytest.mark.parametrize(
        ("pictures", "masks"),
        [
            (["a.png"], ["a-masklabel.png", "a-condlabel.png", "x/b-MaskLabel.png"]),
            (["a.jpg", "b.jpg"], ["masks/a.png", "masks/b.png", "masks/gone.png"]),
            (["images/a.jpg", "images/x/b.jpg"], ["masks/a.png", "masks/x/b.png"]),
            (["cats/a.jpg"], ["cats_mask/a.png", "cats_controls/a_0.png", "cats_controls/a_1.png"]),
            (["10_sks cat/a.jpg"], ["conditioning/a.png", "control_images/a.png", "_controls/a.png"]),
            (["train/a.jpg"], ["train/control/a.jpg", "train/mask/a.jpg"]),
            (["carnival_masks/a.jpg"], ["carnival_masks/masks/a.jpg"]),
            (["masks/venice.jpg", "masks/rome.jpg", "dogs/rex.jpg"], []),
            (["masks/1.jpg", "masks/2.jpg", "dogs/1.jpg", "dogs/2.jpg"], []),
            (["mask.png", "control.png", "my-masklabels.png"], []),
            (["control room/a.png", "a.png"], []),
        ],
    )
    def test_are_told_by_ending_or_by_the_names_in_their_folder(
        self, tmp_path: Path, pictures: list[str], masks: list[str]
    ) -> None:
        draw(tmp_path, [*pictures, *masks])
        assert sorted(taken(tmp_path)) == sorted(pictures)
        assert sorted(taken(tmp_path, with_masks=True)) == sorted([*pictures, *masks])

    def test_of_a_tar_are_left_out_too(self, tmp_path: Path) -> None:
        draw(tmp_path / "folder", ["a.png", "a-masklabel.png", "masks/a.png"])
        with tarfile.open(tmp_path / "a.tar", "w") as file:
            for name in ("masks/a.png", "a-masklabel.png", "a.png"):
                file.add(tmp_path / "folder" / name, name)
        assert taken(tmp_path / "a.tar") == ["a.tar/a.png"]

    def test_are_taken_where_they_are_the_source(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "masks/a.png"])
        assert taken(tmp_path / "masks") == ["a.png"]

    def test_that_an_earlier_run_captioned_keep_their_captions(self, tmp_path: Path) -> None:
        draw(tmp_path, ["a.png", "masks/a.png"])
        run(tmp_path, selection=Selection(with_masks=True)).work(StandIn, count)
        before = texts(tmp_path)
        assert run(tmp_path).work(never, count).counts["done"] == 2
        assert texts(tmp_path) == before and (tmp_path / "masks" / "a.txt").exists()


@pytest.mark.models
class TestTheCommandSays:
    @pytest.fixture(autouse=True)
    def own_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "pictures"
        draw(folder, ["a.png", "bad/b.png", "masks/a.png", "a-masklabel.png"])
        for name in ("c.HEIC", "d.mp4", "e.mp4", "a.npz", "notes.md", "bad/f.mp4"):
            (folder / name).write_bytes(b"?")
        (folder / "a.txt").write_text("old", encoding="utf-8")
        (folder / "bad" / "b.txt").write_text("old", encoding="utf-8")
        return folder

    @pytest.mark.parametrize("command", ["caption", "edit"])
    def test_what_it_left_out(self, folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        own = ["--preset", "demo", "--device", "cpu"] if command == "caption" else ["--add", "x"]
        arguments = [command, str(folder), *own, "--exclude", "bad", "--exclude", "*.bmp"]
        assert main([*arguments, "--dry-run"]) == 0
        said = capsys.readouterr().err
        assert "2 masks and controls left out (-masklabel 1, masks/ 1)" in said and "--with-masks" in said
        assert "1 left out by --include and --exclude" in said and "no picture matches '*.bmp'" in said
        assert "2 .mp4 passed over" in said and "1 .heic passed over: pip install" in said
        assert main([*arguments, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["left_out"] == LEFT_OUT
        summary = json.loads(Path(answer["report"]).with_name("summary.json").read_text(encoding="utf-8"))
        found = {finding["id"]: finding for finding in summary["findings"]}
        assert found["passed_over"]["count"] == 4 and ".heic" in found["passed_over"]["text"]
        assert found["left_out"]["count"] == 3
        assert (folder / "bad" / "b.txt").read_text(encoding="utf-8") == "old"

    def test_new_files_that_cannot_be_read_come_into_the_report(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["caption", str(folder), "--preset", "demo", "--device", "cpu", "--json"]
        assert main(arguments) == 0
        (folder / "g.jxl").write_bytes(b"?")
        capsys.readouterr()
        assert main(arguments) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["left_out"]["unread"][".jxl"] == 1
        assert ".jxl" in Path(answer["report"]).read_text(encoding="utf-8")


def test_videos_in_tars_are_counted(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name in ("a.png", "a.json", "b.mp4"):
            info = tarfile.TarInfo(name)
            info.size = 1
            file.addfile(info, io.BytesIO(b"?"))
    source = SelectedSource(open_source(tmp_path / "a.tar"), Chooser(Selection()))
    assert [item.key for item in source.items()] == ["a.tar/a.png"] and source.unread == {".mp4": 1}


def test_formats_are_read_once_their_reader_is_installed(tmp_path: Path) -> None:
    plugin = """
from PIL import Image, PngImagePlugin
def register_heif_opener():
    Image.register_open("HEIF", PngImagePlugin.PngImageFile, lambda prefix: prefix.startswith(b"\\x89PNG"))
    Image.register_extensions("HEIF", [".heic"])
"""
    (tmp_path / "pillow_heif.py").write_text(plugin, encoding="utf-8")
    script = """
from interrogator.dataset.sources.source import is_picture
from interrogator.dataset.sources.unread import unread_ending
print(is_picture("a.HEIC"), repr(unread_ending("a.heic")), repr(unread_ending("a.jxl")))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "''", "'.jxl'"]
