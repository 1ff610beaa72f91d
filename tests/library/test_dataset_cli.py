"""`interrogator caption` as somebody meets it who has a folder of pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import interrogator
from interrogator.cli import main
from interrogator.cli.process_rank import ProcessRank, find_process_rank
from interrogator.dataset import CaptionRules, Settings
from interrogator.errors import RequestError
from interrogator.taggers import TagRules

from .waiting import LAST_RESORT

ROOT = Path(__file__).parents[2]
KNOWN = ("SLURM", "RANK", "WORLD_SIZE", "LOCAL_RANK", "OMPI")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in list(os.environ):
        if name.startswith(KNOWN):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in (1, 2, 3):
        interrogator.demo.creature(seed)[0].save(folder / f"{seed}.png")
    return folder


def caption(*arguments: object) -> list[str]:
    return ["caption", "--preset", "demo", "--device", "cpu", *map(str, arguments)]


def sidecars(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}


@pytest.mark.models
class TestCaption:
    def test_a_folder_has_its_captions_and_the_device_is_said_first(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(caption(folder)) == 0
        out, err = capsys.readouterr()
        assert err.startswith("device cpu\n")
        assert "captioner " in err and "3 captioned, 0 kept, 0 failed" in err
        assert Path(out.strip()).name == "report.html" and Path(out.strip()).exists()
        assert sidecars(folder).keys() == {"1.txt", "2.txt", "3.txt"}
        result = json.loads(Path(out.strip()).with_name("run.json").read_text(encoding="utf-8"))
        assert result["models"][0]["captioner"]["device"] == "cpu" and result["models"][0]["captioner"]["weights"]

    def test_append_jsonl_and_undo(self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "1.txt").write_text("mine\n", encoding="utf-8")
        assert main(caption(folder, "--existing", "append", "--trigger", "sks", "--json")) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["done"] == result["total"] == 3 and result["failed"] == 0
        assert sidecars(folder)["1.txt"].startswith("sks, mine, ")
        assert main(["caption", "--undo", result["run"], "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"run": result["run"], "left": []}
        assert sidecars(folder) == {"1.txt": "mine\n"}
        assert main(["caption", "--undo", result["run"]]) == 2

        out = tmp_path / "out"
        assert (
            main(caption(folder, "--target", "jsonl", "--out", out, "--paths", "absolute", "--column", "caption")) == 0
        )
        rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [(row["file_name"], bool(row["caption"])) for row in rows] == [
            (str(folder / f"{n}.png"), True) for n in (1, 2, 3)
        ]
        assert (out / ".interrogator").is_dir() and not (folder / "metadata.jsonl").exists()

    def test_undo_names_what_it_left(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(caption(folder, "--json")) == 0
        run = json.loads(capsys.readouterr().out)["run"]
        (folder / "2.txt").write_text("mine", encoding="utf-8")
        assert main(["caption", "--undo", run]) == 1
        assert "2.png: 2.txt was changed" in capsys.readouterr().err
        assert sidecars(folder) == {"2.txt": "mine"}

    def test_a_preview_writes_nothing(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "1.txt").write_text("mine", encoding="utf-8")
        (folder / "x.jpg").mkdir()
        assert main(caption(folder, "--dry-run")) == 0
        assert capsys.readouterr().out == "2 to caption, 1 to keep, 1 unreadable\n"
        assert main(caption(folder, "--dry-run", "--json")) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result["caption"], result["kept"], result["failed"], result["done"]) == (2, 1, 1, 0)
        assert not (folder / ".interrogator").exists() and sidecars(folder) == {"1.txt": "mine"}

    def test_failures_are_named_at_the_end_twenty_of_them(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(25):
            (folder / f"bad{number:02d}.png").write_text("no picture")
        (folder / os.fsdecode(b"aa\xff\n\x1b.png")).write_text("no picture")
        assert main(caption(folder)) == 1
        err = capsys.readouterr().err.splitlines()
        named = [line for line in err if line.startswith("interrogator: ")]
        assert len(named) == 20 and "and 6 more, listed in the report" in err
        assert named[0].startswith("interrogator: aa\\udcff\\n\\x1b.png: ")
        assert err[-1] == "3 captioned, 0 kept, 26 failed"
        assert main(caption(folder)) == 1  # they still are
        assert len([line for line in capsys.readouterr().err.splitlines() if "bad" in line]) == 19

    def test_ranks_by_option_and_by_what_a_scheduler_says(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        size = ("--shard-size", "2")
        assert main(caption(folder, "--rank", "1", "--world-size", "2", *size)) == 0
        err = capsys.readouterr().err
        assert err.startswith("device cpu, process 1 of 2\n") and "1 captioned, 0 kept, 0 failed, 2 left" in err
        monkeypatch.setenv("RANK", "0")
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert main(caption(folder, *size)) == 0
        assert "3 captioned" in capsys.readouterr().err

    def test_a_prompt_mode_takes_what_prompt_takes(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "words.txt").write_text("a (rare) thing\nthing, rare\nneon\n", encoding="utf-8")
        cache = ("--cache-dir", str(tmp_path / "cache"))
        options = ["--mode", "best", "--beams", "2", "--min-phrases", "1", "--max-phrases", "3", "--avoid-repeats"]
        options += [
            "--min-angle",
            "1",
            "--bank",
            str(tmp_path / "words.txt"),
            "--bank",
            "mediums",
            "--no-bank",
            "mediums",
        ]
        options += ["--escape", *cache]
        prompts = {}
        for name in ("1", "2", "3"):
            assert main(["prompt", str(folder / f"{name}.png"), "--preset", "demo", "--device", "cpu", *options]) == 0
            prompts[f"{name}.txt"] = capsys.readouterr().out
        assert main(caption(folder, *options)) == 0
        assert sidecars(folder) == prompts

    def test_brackets_are_escaped_in_what_the_models_say(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "words.txt").write_text("a (rare) thing\n", encoding="utf-8")
        options = ("--mode", "fast", "--bank", tmp_path / "words.txt", "--cache-dir", tmp_path / "cache")
        template = ("--template", "({prompt}:1.1)")
        assert main(caption(folder, *options, *template, "--escape")) == 0
        assert all(text.endswith(", a \\(rare\\) thing:1.1)\n") for text in sidecars(folder).values())
        assert all(text.startswith("(") for text in sidecars(folder).values())

    def test_stripped_words_and_a_checkpoint(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "strip.txt").write_text("background\n", encoding="utf-8")
        assert main(caption(folder, "--strip", "of a", "--strip-list", tmp_path / "strip.txt")) == 0
        assert not any("background" in text or " of a " in text for text in sidecars(folder).values())
        command = caption(folder, "--score", "--encoder", "ViT-B-32", "--checkpoint", tmp_path / "absent.safetensors")
        assert main([*command, "--existing", "overwrite"]) == 1
        assert "absent.safetensors" in capsys.readouterr().err

    def test_a_bank_of_ones_own_in_a_template(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "places.txt").write_text("in a forest\n", encoding="utf-8")
        options = ("--bank", tmp_path / "places.txt", "--template", "{caption}, {places}")
        assert main(caption(folder, *options, "--cache-dir", tmp_path / "cache")) == 0
        assert all(text.endswith(", in a forest\n") for text in sidecars(folder).values())


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ((), "name a source"),
            (("absent",), "no such file or folder"),
            ((".",), "no pictures"),
            (("pictures", "pictures"), "named twice"),
            (("pictures", "--shard-size", "0"), "at least 1"),
            (("pictures", "--threads", "-1"), "at least 1"),
            (("pictures", "--several", "3"), "best-of-n"),
            (("pictures", "--samples", "0", "--quality", "best-of-n"), "at least 1"),
            (("pictures", "--template", "{nonsense}"), "nonsense"),
            (("pictures", "--replace-regex", "(=x"), "unterminated subpattern"),
            (("pictures", "--rank", "0"), "go together"),
            (("pictures", "--rank", "2", "--world-size", "2"), "rank 2 is out of range"),
            (("pictures", "--checkpoint", "x"), "--checkpoint has no effect"),
            (("pictures", "--matcher", "x"), "--matcher has no effect"),
            (("pictures", "--second-encoder", "x", "--quality", "best-of-n"), "--second-encoder has no effect"),
            (("pictures", "--max-tags", "5"), "--max-tags has no effect"),
            (("pictures", "--max-phrases", "3"), "mode caption has no --max-phrases"),
            (("pictures", "--mode", "fast", "--beams", "3"), "mode fast has no --beams"),
            (("pictures", "--mode", "best", "--beams", "0"), "at least 1"),
            (("pictures", "--mode", "best", "--min-angle", "nan"), "from 0 to 180 degrees"),
            (("pictures", "--mode", "tags", "--preset", "sd15"), "has no tagger"),
            (("pictures", "--out", "s3://bucket/x"), "this machine"),
            (("pictures", "--column", "file_name", "--target", "jsonl"), "column"),
            (("--undo", "pictures"), "no run that this version can read"),
        ],
    )
    def test_is_one_sentence_and_status_2(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        arguments: tuple[str, ...], says: str,
    ) -> None:  # fmt: skip
        empty = tmp_path / "empty"
        (empty / "pictures").mkdir(parents=True)
        if arguments and arguments[0] == "pictures":
            interrogator.demo.creature(1)[0].save(empty / "pictures" / "1.png")
        monkeypatch.chdir(empty)
        before = sorted(map(str, empty.rglob("*")))
        assert main(caption(*arguments)) == 2
        out, err = capsys.readouterr()
        assert says in err and err.count("\n") == 1 and not out
        assert sorted(map(str, empty.rglob("*"))) == before

    def test_a_model_that_is_not_here_is_said_and_the_run_goes_on_when_it_is(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["caption", str(folder), "--preset", "small", "--device", "cpu"]) == 1
        assert "blip-image-captioning-base" in capsys.readouterr().err
        assert sidecars(folder) == {}


def test_a_finished_run_loads_no_model_nor_torch(folder: Path) -> None:
    code = (
        "import sys; from interrogator.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'open_clip', 'transformers'} & set(sys.modules);"
        "sys.exit(status or (9 if heavy else 0))"
    )
    command = [sys.executable, "-c", code, *caption(folder)]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LAST_RESORT)
    assert first.returncode == 9, first.stderr
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LAST_RESORT)
    assert again.returncode == 0, again.stderr
    assert "3 captioned, 0 kept, 0 failed" in again.stderr and "device" not in again.stderr
    assert again.stdout == first.stdout


@pytest.mark.models
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_at_a_terminal_the_device_is_said_first_and_a_bar_follows(folder: Path) -> None:
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))  # a terminal without columns shows no bar
    for _ in range(2):
        command = [sys.executable, "-m", "interrogator", *caption(folder)]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=slave, check=True, timeout=LAST_RESORT)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # all of it was read
        os.close(master)
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    assert lines[0] == "device cpu" and lines[1].startswith("run ")
    (bar,) = [line for line in lines if "picture/s]" in line]
    assert "| 3/3 [" in bar, "one bar, by itself on its line, and none where the run was finished"
    assert lines.count("3 captioned, 0 kept, 0 failed") == 2


ASKED = {
    "sources": ["/a"], "kind": None, "out": None, "target": "txt", "column": "text", "shard_size": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        (Settings(preset="demo"), "65d6ed5f4afc"),
        (
            Settings(
                preset="demo", mode="best", max_phrases=5, seed=3,
                rules=CaptionRules(template="{trigger} { prompt }, {mediums}", trigger="sks", strip=("a",)),
            ),
            "7737b2accf2c",
        ),
        (
            Settings(
                preset="small", quality="best-of-n", captions_per_image=2, banks=("mediums",), quota={"mediums": 2},
                block=("x",),
                rules=CaptionRules(template="{caption}, photo"),
            ),
            "1d7404fd3c34",
        ),
    ],
)  # fmt: skip
def test_a_run_of_the_first_release_is_found_again(settings: Settings, digest: str) -> None:
    """The digests are those of 0.1.0, where {caption} stood for the text of the mode."""
    assert settings.digest(ASKED) == digest
    content = json.loads(json.dumps(settings.as_dict()))
    for name in (
        "format", "tagger", "checkpoint", "without_banks", "min_phrases", "beams", "avoid_repeats", "min_angle",
        "escape", "tag_rules",
    ):  # fmt: skip
        del content[name]
    content["wording"]["template"] = content["wording"]["template"].replace("prompt", "caption")
    assert Settings.from_dict(content).digest(ASKED) == digest


def test_what_is_new_has_a_digest_of_its_own() -> None:
    plain = Settings(mode="best")
    digests = {plain.digest(ASKED)}
    for changed in (
        {"tagger": "x"}, {"checkpoint": "x"}, {"without_banks": ("x",)}, {"min_phrases": 1}, {"beams": 2},
        {"avoid_repeats": True}, {"min_angle": 1.0}, {"escape": True}, {"rules": CaptionRules(template="{caption}")},
        {"tag_rules": TagRules(threshold=0.5)}, {"tag_rules": TagRules(category_thresholds={"copyright": 0.5})},
        {"tag_rules": TagRules(block=("*_hair",), categories=("general",), max_tags=3)}, {"quality": "tags"},
    ):  # fmt: skip
        settings = Settings(**{"mode": "best", **changed})
        assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
        digests.add(settings.digest(ASKED))
    assert len(digests) == 14
    assert Settings(mode="best", tag_rules=TagRules()).digest(ASKED) == plain.digest(ASKED)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ProcessRank(0, 1, 0)),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, ProcessRank(3, 8, 1)),
        ({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "6", "SLURM_LOCALID": "2"}, ProcessRank(5, 6, 2)),
        # A batch script that runs the command once, though it has four tasks to give to srun.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, ProcessRank(0, 1, 0)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, ProcessRank(1, 2, 1)),
        ({"RANK": "x", "WORLD_SIZE": "8"}, ProcessRank(0, 1, 0)),
    ],
)
def test_schedulers_say_which_process_this_is(environment: dict[str, str], expected: ProcessRank) -> None:
    assert find_process_rank(None, None, environment) == expected
    assert find_process_rank(1, 3, environment) == ProcessRank(1, 3, 1)


def test_a_rank_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError):
        find_process_rank(None, None, {"RANK": "8", "WORLD_SIZE": "8"})
    with pytest.raises(RequestError):
        find_process_rank(0, 0, {})
