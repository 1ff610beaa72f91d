"""The command line, as a person or a pipe meets it."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from safetensors.numpy import save_file

import interrogator
from interrogator import catalog
from interrogator.cli import main
from interrogator.cli.edit_options import Step
from interrogator.cli.parser import build_parser
from interrogator.cli.terminal import Bar
from interrogator.hub import FileSet
from interrogator.models import Located, Tag
from interrogator.progress import Progress

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two creatures, a text that claims to be a picture, and a cache, shared by the tests below."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in (1, 2):
        interrogator.demo.creature(seed)[0].save(folder / f"{seed}.png")
    (folder / "broken.jpg").write_text("not a picture", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


class ColorTagger:
    """A tagger that knows three colors, and says that a picture is of the one it has most of."""

    family, module, device, dtype, working_bytes = "colors", None, "cpu", "float32", 1

    def __init__(self, located: Located) -> None:
        self.name, self.origin = located.name, located

    @classmethod
    def from_files(cls, located: Located, device: Any, dtype: Any) -> ColorTagger:
        return cls(located)

    def prepare(self, image: Image.Image) -> Any:
        return image.resize((1, 1)).getpixel((0, 0))

    def tag(self, prepared: Sequence[Any], progress: Progress | None = None) -> list[list[Tag]]:
        categories = (("red", "general"), ("green", "general"), ("blue (color)", "character"))
        return [
            [Tag(text, value / 255, category) for (text, category), value in zip(categories, color, strict=True)]
            for color in prepared
        ]


@pytest.fixture
def tagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a tagger, whose family is one module and one row."""
    loads, marker = {"tagger": f"{__name__}:ColorTagger"}, catalog.Marker("colors.json")
    row = catalog.Family("colors", loads, FileSet(required=("colors.json",)), marker)
    monkeypatch.setattr(catalog, "FAMILIES", (*catalog.FAMILIES, row))
    (tmp_path / "tagger").mkdir()
    (tmp_path / "tagger" / "colors.json").write_text("{}", encoding="utf-8")
    return str(tmp_path / "tagger")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A red and a blue picture, the second in a folder inside, and a text."""
    folder = tmp_path / "colors"
    (folder / "inside").mkdir(parents=True)
    Image.new("RGB", (8, 8), (255, 120, 0)).save(folder / "red [1].png")
    Image.new("RGB", (8, 8), (0, 0, 250)).save(folder / "inside" / "blue.png")
    (folder / "notes.txt").write_text("a text", encoding="utf-8")
    return folder


def demo(folder: Path, *arguments: str) -> list[str]:
    return [*arguments, "--preset", "demo", "--cache-dir", str(folder / "cache")]


@pytest.mark.models
class TestPrompt:
    def test_one_image_gives_the_bare_prompt_on_stdout(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(demo(folder, "prompt", str(folder / "1.png"), "--mode", "fast")) == 0
        out, err = capsys.readouterr()
        ci = interrogator.load("demo", cache_dir=folder / "cache")
        assert out == ci.interrogate(folder / "1.png", "fast").prompt + "\n"
        assert "cpu float32" in err or "device" in err

    def test_a_bad_image_is_named_and_the_others_go_on(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        images = [str(folder / name) for name in ("1.png", "broken.jpg", "absent.png", "2.png")]
        assert main(demo(folder, "prompt", *images, "--mode", "caption")) == 1
        out, err = capsys.readouterr()
        lines = [line.split("\t") for line in out.splitlines()]
        assert [line[0] for line in lines] == [images[0], images[3]]
        assert all(line[1] for line in lines)
        assert "broken.jpg" in err and "absent.png" in err and "2 of 4 images failed" in err

    def test_json_is_one_object_a_line_with_errors_in_their_place(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        images = [str(folder / name) for name in ("1.png", "broken.jpg")]
        assert main(demo(folder, "prompt", *images, "--mode", "best", "--json", "--max-phrases", "3")) == 1
        good, bad = map(json.loads, capsys.readouterr().out.splitlines())
        assert set(good) == {"image", "prompt", "caption", "similarity", "phrases", "mode", "tags", "remarks"}
        assert good["mode"] == "best" and len(good["phrases"]) <= 3
        assert bad["image"] == images[1] and "broken.jpg" in bad["error"] and "prompt" not in bad

    def test_options_reach_the_prompt(self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = tmp_path / "words.txt"
        words.write_text("# mine\na (rare) thing\nblocked words\n", encoding="utf-8")
        arguments = ["--bank", str(words), "--block", "blocked", "--caption", "a cat (x)", "--escape", "--mode", "fast"]
        assert main(demo(folder, "prompt", str(folder / "1.png"), *arguments)) == 0
        assert capsys.readouterr().out == "a cat \\(x\\), a \\(rare\\) thing\n"

    def test_search_options_reach_the_prompt(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = tmp_path / "words.txt"
        words.write_text("# mine\na soft light\nlight, soft\nneon\n", encoding="utf-8")
        command = demo(folder, "prompt", str(folder / "1.png"), "--bank", str(words), "--caption", "a cat", "--json")

        def taken(*options: str) -> set[str]:
            assert main([*command, *options]) == 0
            return {phrase["text"] for phrase in json.loads(capsys.readouterr().out)["phrases"]}

        assert main([*command, "--mode", "best", "--min-phrases", "0", "--max-phrases", "0"]) == 0
        assert json.loads(capsys.readouterr().out)["prompt"] == "a cat"
        assert taken("--mode", "fast") == {"a soft light", "light, soft", "neon"}
        assert "neon" in taken("--mode", "fast", "--avoid-repeats") != taken("--mode", "fast")
        assert len(taken("--mode", "fast", "--min-angle", "180")) == 1
        assert len(taken("--mode", "best", "--beams", "2", "--max-phrases", "1")) <= 1

    def test_caption_options_are_taken(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        image = str(folder / "1.png")
        options = ["--mode", "caption", "--max-caption-tokens", "3", "--caption-beams", "2"]
        assert main(demo(folder, "prompt", image, *options)) == 0
        assert 0 < len(capsys.readouterr().out.split()) <= 3

    def test_words_are_stripped_by_option_and_by_list(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "list.txt").write_text("# mine\nyellow\n", encoding="utf-8")
        command = demo(folder, "prompt", str(folder / "1.png"), "--mode", "caption")
        assert main(command) == 0
        assert "yellow" in (whole := capsys.readouterr().out) and "render" in whole
        assert main([*command, "--strip", "render of", "--strip-list", str(tmp_path / "list.txt")]) == 0
        assert capsys.readouterr().out == whole.replace("render of ", "").replace("yellow ", "")

    def test_each_text_encoder_has_a_line(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ["prompt", "--preset", "demo", "--mode", "fast", "--caption", "a\ncat", "--max-phrases", "0"]
        assert main([*asked, "--for", "flux", str(folder / "1.png")]) == 0
        assert capsys.readouterr().out == "clip_l\ta cat\nt5xxl\tA cat.\n"
        pictures = [str(folder / f"{seed}.png") for seed in (1, 2)]
        assert main([*asked, "--for", "qwen", *pictures]) == 0
        assert capsys.readouterr().out == "".join(f"{picture}\tqwen25_7b\tA cat.\n" for picture in pictures)
        assert main([*asked, "--for", "sdxl", "--json", "--escape", "--weights", pictures[0]]) == 0
        assert json.loads(capsys.readouterr().out)["texts"] == {"clip_l": "a\ncat", "clip_g": "a\ncat"}

    def test_image_models_of_tags_get_those_of_the_presets_tagger(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked = ["prompt", "--preset", "demo", str(folder / "1.png"), "--json"]
        assert main([*asked, "--mode", "caption", "--for", "illustrious", "--quality-tags", "--max-tags", "2"]) == 0
        row = json.loads(capsys.readouterr().out)
        tags = ", ".join(["masterpiece", "best quality", *(tag["text"] for tag in row["tags"])])
        assert len(row["tags"]) == 2 and set(row["texts"].values()) == {tags}

    def test_a_pipe_that_closes_early_is_no_error(self, folder: Path) -> None:
        command = [sys.executable, "-m", "interrogator", *demo(folder, "prompt", "--mode", "caption")]
        images = [str(folder / "1.png")] * 3
        run = subprocess.run(
            f"{' '.join(command)} {' '.join(images)} | head -n 1", shell=True, capture_output=True, text=True,
            cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True,
        )  # fmt: skip
        assert len(run.stdout.splitlines()) == 1
        assert "Traceback" not in run.stderr and "BrokenPipe" not in run.stderr


@pytest.mark.models
class TestRank:
    def test_phrases_come_with_similarity_and_bank(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(demo(folder, "rank", str(folder / "1.png"), "--top", "4")) == 0
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert len(lines) == 4 and all(len(line) == 3 for line in lines)
        numbers = [float(line[0]) for line in lines]
        assert numbers == sorted(numbers, reverse=True)

    def test_several_images_make_a_table(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        images = [str(folder / name) for name in ("1.png", "broken.jpg", "2.png")]
        assert main(demo(folder, "rank", *images, "--top", "3")) == 1
        out, err = capsys.readouterr()
        lines = [line.split("\t") for line in out.splitlines()]
        ci = interrogator.load("demo", captioner="none", cache_dir=folder / "cache")
        expected = [(image, phrase.text) for image in (images[0], images[2]) for phrase in ci.rank(image, top=3)]
        assert [(line[0], line[3]) for line in lines] == expected
        assert "broken.jpg" in err and "1 of 3 images failed" in err

    def test_json_has_the_fields_of_the_python_result(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(demo(folder, "rank", str(folder / "1.png"), "--top", "1", "--json")) == 0
        assert set(json.loads(capsys.readouterr().out)) == {"image", "text", "bank", "similarity", "evidence"}

    def test_an_unreadable_image_fails_before_models_load(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["rank", str(folder / "broken.jpg"), "--preset", "sd15"]) == 1
        assert "broken.jpg" in capsys.readouterr().err


class TestTag:
    def test_tags_come_with_probability_and_category(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["tag", str(pictures / "red [1].png"), "--tagger", tagger]) == 0
        assert capsys.readouterr().out == "1.0000\tgeneral\tred\n0.4706\tgeneral\tgreen\n"

    def test_thresholds_decide_which_hold(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def tags(*options: str) -> list[list[str]]:
            assert main(["tag", str(pictures), "--tagger", tagger, "--json", *options]) == 0
            records = map(json.loads, capsys.readouterr().out.splitlines())
            return [[tag["text"] for tag in record["tags"]] for record in records]

        assert tags() == [["blue (color)"], ["red", "green"]]
        assert tags("--threshold", "0.5") == [["blue (color)"], ["red"]]
        assert tags("--character-threshold", "0.99") == [[], ["red", "green"]]

    @pytest.mark.parametrize("option", ["--threshold", "--character-threshold"])
    def test_a_threshold_is_a_probability(self, option: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["tag", "x.png", "--tagger", "x", option, "2"]) == 2
        assert f"{option} must be a probability" in capsys.readouterr().err

    def test_tags_make_a_prompt(self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["prompt", str(pictures), "--mode", "tags", "--tagger", tagger, "--escape"]
        assert main(command) == 0
        assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == [
            "blue \\(color\\)",
            "red, green",
        ]
        assert main([*command, "--json"]) == 0
        record = json.loads(capsys.readouterr().out.splitlines()[0])
        assert [tag["text"] for tag in record["tags"]] == ["blue (color)"]

    def test_tags_caption_a_folder(self, tagger: str, pictures: Path) -> None:
        assert main(["caption", str(pictures), "--mode", "tags", "--tagger", tagger, "--device", "cpu"]) == 0
        assert (pictures / "red [1].txt").read_text(encoding="utf-8") == "red, green\n"
        assert (pictures / "inside" / "blue.txt").read_text(encoding="utf-8") == "blue (color)\n"

    def test_thresholds_decide_which_tags_caption_a_folder(self, tagger: str, pictures: Path) -> None:
        command = ["caption", str(pictures), "--mode", "tags", "--tagger", tagger, "--device", "cpu"]
        assert main([*command, "--threshold", "0.5"]) == 0
        assert (pictures / "red [1].txt").read_text(encoding="utf-8") == "red\n"

    def test_tags_on_one_line_are_a_prompt(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["tag", str(pictures), "--tagger", tagger, "--escape"]
        assert main([*command, "--text"]) == 0
        rows = [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()]
        assert rows == [["blue \\(color\\)"], ["red, green"]]
        assert main([*command, "--json"]) == 0
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [record["text"] for record in records] == ["blue \\(color\\)", "red, green"]
        assert records[0]["tags"] == [{"text": "blue \\(color\\)", "probability": 250 / 255, "category": "character"}]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ((), ["red", "green"]),
            (("--max-tags", "1"), ["red"]),
            (("--block-tag", "r*", "--block-tag", "blue"), ["green"]),
            (("--category", "character", "--character-threshold", "0"), ["blue (color)"]),
            (("--category-threshold", "general=0.9"), ["red"]),
            (("--character-threshold", "0", "--no-character-first"), ["red", "green", "blue (color)"]),
            (("--character-threshold", "0"), ["blue (color)", "red", "green"]),
            (("--mcut",), ["red"]),
            (("--mcut", "--threshold", "0.1"), ["red", "green"]),
        ],
    )
    def test_options_decide_which_tags_hold(
        self, options: tuple[str, ...], expected: list[str], tagger: str, tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        Image.new("RGB", (8, 8), (255, 120, 10)).save(tmp_path / "orange.png")
        assert main(["tag", str(tmp_path / "orange.png"), "--tagger", tagger, "--text", *options]) == 0
        assert capsys.readouterr().out == ", ".join(expected) + "\n"

    def test_the_presets_tagger_is_taken_where_none_is_named(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        demo, *others = catalog.PRESETS
        monkeypatch.setattr(catalog, "PRESETS", (replace(demo, tagger=tagger), *others))
        assert main(["tag", str(pictures / "red [1].png"), "--preset", "demo", "--text"]) == 0
        assert capsys.readouterr().out == "red, green\n"

    def test_a_preset_says_in_which_mode_prompts_are_made_unless_the_user_does(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        demo, *others = catalog.PRESETS
        monkeypatch.setattr(catalog, "PRESETS", (replace(demo, tagger=tagger, mode="tags"), *others))
        command = ["prompt", str(pictures / "red [1].png"), "--preset", "demo"]
        assert main(command) == 0
        assert capsys.readouterr().out == "red, green\n"
        assert main([*command, "--mode", "caption", "--caption", "a thing"]) == 0
        assert capsys.readouterr().out == "a thing\n"

    def test_a_tagger_that_is_named_gives_tags_in_json_in_every_mode(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["prompt", str(pictures / "red [1].png"), "--caption", "a thing", "--mode", "caption", "--json"]
        assert main([*command, "--tagger", tagger, "--max-tags", "1"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["prompt"] == "a thing" and [tag["text"] for tag in record["tags"]] == ["red"]

    def test_tags_stand_as_the_captions_of_a_folder(self, tagger: str, pictures: Path) -> None:
        command = ["caption", str(pictures), "--quality", "tags", "--tagger", tagger, "--device", "cpu"]
        assert main([*command, "--template", "{caption}, nice", "--max-tags", "1"]) == 0
        assert (pictures / "red [1].txt").read_text(encoding="utf-8") == "red, nice\n"

    def test_an_unknown_tagger_is_wrong_usage(self, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["tag", str(pictures), "--tagger", "nosuch"]) == 2
        assert "unknown tagger 'nosuch'; choose from SmilingWolf/wd-eva02-large-tagger-v3, " in capsys.readouterr().err


class TestInputs:
    def images(self, capsys: pytest.CaptureFixture[str]) -> list[str]:
        return [json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()]

    def test_a_folder_stands_for_its_pictures_in_order(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["tag", str(pictures), "--tagger", tagger, "--json"]) == 0
        assert self.images(capsys) == [str(pictures / "inside" / "blue.png"), str(pictures / "red [1].png")]

    def test_a_pattern_stands_for_what_it_matches_unless_a_file_has_that_name(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        red, blue = str(pictures / "red [1].png"), str(pictures / "inside" / "blue.png")
        assert main(["tag", str(pictures / "**" / "*.png"), red, "--tagger", tagger, "--json"]) == 0
        assert self.images(capsys) == [blue, red, red]

    def test_a_folder_or_pattern_makes_a_table_even_of_one_picture(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for argument in (pictures / "inside", pictures / "inside" / "*"):
            assert main(["tag", str(argument), "--tagger", tagger]) == 0
            assert capsys.readouterr().out.startswith(f"{pictures / 'inside' / 'blue.png'}\t")

    def test_a_dash_stands_for_standard_input(
        self, tagger: str, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = (pictures / "red [1].png").read_bytes()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))
        assert main(["tag", "-", "--tagger", tagger]) == 0
        assert "red" in capsys.readouterr().out
        assert main(["tag", "-", "--tagger", tagger]) == 1
        assert "standard input: is empty" in capsys.readouterr().err

    def test_what_stands_for_nothing_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "empty").mkdir()
        assert main(["tag", str(tmp_path / "empty"), str(tmp_path / "*.png"), "--tagger", "x"]) == 1
        err = capsys.readouterr().err
        assert "this folder has no pictures" in err and "no file matches this pattern" in err


@pytest.mark.models
class TestDemo:
    def test_the_demo_leaves_pictures_prompts_and_a_page(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["demo", "--out", "out", "--count", "3", "--seed", "5"]) == 0
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert [line[0] for line in lines] == ["creature-5.png", "creature-6.png", "creature-7.png"]
        records = [json.loads(line) for line in (tmp_path / "out/prompts.jsonl").read_text().splitlines()]
        assert [record["prompt"] for record in records] == [line[1] for line in lines]
        assert (tmp_path / "out/creature-5.txt").read_text() == lines[0][1] + "\n"
        page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
        assert all(f'src="{line[0]}"' in page for line in lines)
        assert "$" not in re.sub(r"<style>.*</style>", "", page, flags=re.S)
        assert "http" not in page  # works without a network

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").write_text("in the way")
        assert main(["demo", "--out", str(tmp_path / "file"), "--count", "1"]) == 2
        assert "file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prompt", "PICTURE", "--preset", "sd51"], "choose from demo, small, sd15"),
        (["prompt", "PICTURE", "--bank", "mediumz"], "mediums"),
        (["prompt", "PICTURE", "--encoder", "ViT-L-15/openai"], "ViT-L-14"),
        (["prompt", "PICTURE", "--encoder", "ViT-L-14/openia"], "openai"),
        (["prompt", "PICTURE", "--quota", "nonsense=3"], "nonsense"),
        (["prompt", "PICTURE", "--mode", "best", "--beams", "0"], "beams must be at least 1"),
        (["prompt", "PICTURE", "--mode", "fast", "--min-angle", "181"], "between 0 and 180 degrees"),
        (["prompt", "PICTURE", "--mode", "fast", "--min-angle", "nan"], "between 0 and 180 degrees"),
        (["prompt", "PICTURE", "--max-phrases", "-1"], "must not be negative"),
        (["prompt", "PICTURE", "--mode", "fast", "--beams", "2"], "mode fast has no --beams"),
        (["prompt", "PICTURE", "--mode", "caption", "--avoid-repeats"], "mode caption has no --avoid-repeats"),
        (
            ["prompt", "PICTURE", "--mode", "best", "--tagger", "x"],
            "no effect in mode best without --json",
        ),
        (["prompt", "PICTURE", "--weights"], "--weights has no effect without --for"),
        (["prompt", "PICTURE", "--quality-tags"], "--quality-tags has no effect without --for"),
        (["prompt", "PICTURE", "--for", "flux", "--weights"], "flux reads no weights"),
        (["prompt", "PICTURE", "--for", "flux", "--mode", "negative"], "flux reads no negative prompt"),
        (["prompt", "PICTURE", "--for", "sd15", "--quality-tags"], "sd15 has no tags for quality"),
        (["prompt", "PICTURE", "--for", "flux", "--tagger", "x"], "no effect in mode precise without --json"),
        (["prompt", "PICTURE", "--threshold", "0.5"], "--threshold has no effect"),
        (["prompt", "PICTURE", "--mode", "best", "--no-character-first"], "--no-character-first has no effect"),
        (["tag", "PICTURE"], "needs a tagger, and preset sd15 has none: name one with --tagger"),
        (["tag", "PICTURE", "--tagger", "x", "--category-threshold", "copyright=7"], "copyright must be a probability"),
        (["tag", "PICTURE", "--tagger", "x", "--max-tags", "0"], "--max-tags must be at least 1, not 0"),
        (["tag", "PICTURE", "--tagger", "x", "--block-tag", " "], "must not be empty"),
        (["tag", "PICTURE", "--tagger", "x", "--text", "--json"], "choose one of --text and --json"),
        (["prompt", "PICTURE", "--mode", "negative", "--captioner", "x"], "--captioner has no effect"),
        (["prompt", "PICTURE", "--mode", "tags"], "mode tags needs a tagger, and preset sd15 has none: name one with"),
        (["prompt", "PICTURE", "--mode", "negative", "--ask", "short"], "--ask has no effect"),
        (["prompt", "PICTURE", "--caption", "a car", "--temperature", "1"], "--temperature has no effect"),
        (["prompt", "PICTURE", "--mode", "caption", "--top-p", "0.5"], "--top-p has no effect without --temperature"),
        (
            ["prompt", "PICTURE", "--mode", "caption", "--temperature", "1", "--caption-beams", "2"],
            "choose one of the two",
        ),
        (["caption", "PICTURE", "--quality", "beam", "--temperature", "1"], "leave one of them out"),
        (["rank", "PICTURE", "--top", "0"], "at least 1, not 0"),
        (["banks", "check", "absent.txt"], "absent.txt"),
        (["cache", "import", "absent.safetensors", "--lists", ".", "--encoder", "ViT-L-15"], "ViT-L-15"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([str(folder / "1.png") if each == "PICTURE" else each for each in arguments])
    out, err = capsys.readouterr()
    assert status == 2
    assert out == "" and words in err and len(err.splitlines()) == 1


@pytest.mark.models
def test_an_unknown_dtype_is_refused_with_those_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(demo(folder, "prompt", str(folder / "1.png"), "--dtype", "fp8")) == 1
    assert "unknown dtype 'fp8'; choose from auto, fp32, bf16, fp16" in capsys.readouterr().err


def test_an_option_means_the_same_in_every_command() -> None:
    found: dict[str, set[Any]] = {}
    steps: dict[str, object] = {}
    for command, action in every_option(build_parser()):
        for flag in action.option_strings:
            kind = (type(action), action.type, action.metavar, action.nargs, action.const)
            if isinstance(action, Step):  # an edit remembers the order of such options, and is told the same in them
                steps[flag] = action.metavar
            else:
                found.setdefault(flag, set()).add(kind)
        assert action.help or command == "", f"{command} does not say what {action.option_strings or action.dest} is"
    assert {flag for flag, kinds in found.items() if len(kinds) > 1} == set()
    assert {flag for flag in steps.keys() & found.keys() if {kind[2] for kind in found[flag]} != {steps[flag]}} == set()
    assert {"--strip", "--strip-list", "--no-bank", "--beams"} <= found.keys()


def every_option(parser: argparse.ArgumentParser, command: str = "") -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield from every_option(sub, f"{command} {name}".strip())
        else:
            yield command, action


@pytest.mark.models
@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (["prompt", "PICTURE", "--mode", "caption"], r"open_clip\b"),
        # The tables of names in transformers.models.auto come with open_clip.
        (["rank", "PICTURE"], r"transformers\.models\.(?!auto\b)\w+\.modeling_|transformers\.models\.blip\b"),
        (["tag", "absent.png", "--tagger", "x"], r"open_clip\b|transformers\b"),
    ],
)
def test_a_command_loads_only_the_libraries_of_its_models(command: list[str], absent: str, folder: Path) -> None:
    arguments = [str(folder / "1.png") if each == "PICTURE" else each for each in command]
    if command[0] != "tag":
        arguments = demo(folder, *arguments)
    code = "import json, sys; from interrogator.cli import main; main(sys.argv[1:]); print(json.dumps([*sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    loaded = json.loads(run.stdout.splitlines()[-1])
    assert "interrogator.cli" in loaded
    assert [name for name in loaded if re.match(absent, name)] == []


@pytest.mark.parametrize("arguments", [["prompt"], ["prompt", "x.png", "--mode", "bset"], ["nonsense"], []])
def test_what_the_parser_refuses_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_missing_models_are_named_file_by_file_with_the_folder_for_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompt", str(folder / "1.png"), "--preset", "sd15"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    for name in (
        "open_clip_model.safetensors", "timm--vit_large_patch14_clip_224.openai",
        "Salesforce--blip-image-captioning-large", "config.json", "preprocessor_config.json", "tokenizer_config.json",
        "--download", str(tmp_path / "home" / "models"),
    ):  # fmt: skip
        assert name in line


class TestBanks:
    def test_list_names_every_bank_and_the_sum(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["banks", "list", "--json"]) == 0
        banks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {"artists", "mediums", "lighting"} <= {bank["bank"] for bank in banks}
        assert main(["banks"]) == 0
        assert str(sum(bank["phrases"] for bank in banks)) in capsys.readouterr().out.splitlines()[-1]

    def test_show_prints_a_list_that_loads_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["banks", "show", "mediums"]) == 0
        copy = tmp_path / "mediums.txt"
        copy.write_text(capsys.readouterr().out, encoding="utf-8")
        assert interrogator.PhraseBank.from_file(copy) == interrogator.load_banks(["mediums"])[0]

    def test_check_passes_the_built_in_lists_and_names_what_is_wrong_in_others(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["banks", "check"]) == 0
        bad = tmp_path / "bad.txt"
        bad.write_text("# purpose\nsoft (light)\n", encoding="utf-8")
        assert main(["banks", "check", str(bad)]) == 1
        assert "bad.txt:2:" in capsys.readouterr().out


class TestModels:
    def test_list_says_what_is_on_disk(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        home = tmp_path / "home/models/timm--vit_large_patch14_clip_224.openai"
        home.mkdir(parents=True)
        (home / "open_clip_model.safetensors").write_bytes(b"weights")
        assert main(["models", "list", "--json"]) == 0
        models = {m["model"]: m for m in map(json.loads, capsys.readouterr().out.splitlines())}
        here, absent = models["ViT-L-14/openai"], models["ViT-H-14/laion2b_s32b_b79k"]
        assert (here["role"], here["family"], here["on_disk"], here["folder"]) == (
            "encoder",
            "open_clip",
            True,
            str(home),
        )
        assert (absent["on_disk"], absent["folder"]) == (False, None)
        assert main(["models"]) == 0
        text = capsys.readouterr().out
        assert "encoder, family open_clip" in text and f"on disk: {home}" in text and "not on disk" in text

    def test_a_role_narrows_the_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        def roles(*arguments: str) -> set[str]:
            assert main(["models", *arguments]) == 0
            return {json.loads(line)["role"] for line in capsys.readouterr().out.splitlines()}

        assert roles("list", "--json") == {row.role for row in catalog.MODELS}
        assert roles("list", "--role", "matcher", "--json") == {"matcher"}
        assert roles("--json", "--role", "encoder") == roles("--role", "encoder", "list", "--json") == {"encoder"}

    def test_list_says_what_a_model_takes_and_what_its_licence_asks(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = catalog.KnownModel(
            "a/b",
            "captioner",
            "blip",
            "X",
            "a/b",
            2_000,
            "Some",
            "captions",
            stored="fp16",
            gated=True,
            commercial=False,
        )
        monkeypatch.setattr("interrogator.cli.models.MODELS", (row,))
        assert main(["models"]) == 0
        said = capsys.readouterr().out
        assert "download 2.0 GB, memory about 4.7 GB in fp32, 2.6 GB in fp16 (estimated)" in said
        assert "licence Some, non-commercial, gated" in said
        assert main(["models", "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert values["memory_mb"] == {"fp32": 4720, "fp16": 2560}
        assert (values["gated"], values["commercial"]) == (True, False)

    def test_path_is_where_files_may_be_put(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "path"]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'home' / 'models'}\n"


@pytest.mark.models
class TestCache:
    def test_what_a_run_leaves_is_listed_and_cleared(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cache = str(tmp_path / "cache")
        assert main(["rank", str(folder / "1.png"), "--preset", "demo", "--cache-dir", cache]) == 0
        capsys.readouterr()
        assert main(["cache", "list", "--cache-dir", cache, "--json"]) == 0
        (record,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert record["rows"] > 50 and record["dtype"] == "float32"
        assert main(["cache", "check", "--cache-dir", cache]) == 0
        assert "all as written" in capsys.readouterr().out
        segment = next(Path(cache).glob("*/segments/*.safetensors"))
        data = bytearray(segment.read_bytes())
        data[-20_000] ^= 64
        segment.write_bytes(data)
        assert main(["cache", "check", "--cache-dir", cache, "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["damaged"] == 1
        assert main(["cache", "clear", "--cache-dir", cache]) == 0
        assert "MB freed" in capsys.readouterr().err
        assert main(["cache", "list", "--cache-dir", cache]) == 0
        assert capsys.readouterr().out == ""

    def test_a_table_of_the_reference_is_taken_over(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        import hashlib

        import numpy as np

        lists = tmp_path / "lists"
        lists.mkdir()
        phrases = ["pixel art", "watercolor", "oil painting"]
        (lists / "mediums.txt").write_text("\n".join(phrases) + "\n", encoding="utf-8")
        encoder = interrogator.load("demo", captioner="none", cache_dir=tmp_path / "other").encoder
        digest = hashlib.sha256(",".join(phrases).encode()).hexdigest()
        save_file(
            {
                "embeds": encoder.encode_texts(phrases).half().numpy(),
                "hash": np.array([ord(c) for c in digest], dtype=np.int8),
            },
            tmp_path / "demo_mediums.safetensors",
        )
        command = ["cache", "import", str(tmp_path / "demo_mediums.safetensors"), "--lists", str(lists)]
        command += ["--preset", "demo", "--cache-dir", str(tmp_path / "cache")]
        assert main(command) == 0
        assert "mediums: 3 rows" in capsys.readouterr().out
        (lists / "mediums.txt").write_text("pixel art\nwatercolor\n", encoding="utf-8")
        assert main(command) == 1
        assert "mediums" in capsys.readouterr().err


def test_a_bar_takes_up_new_totals_and_draws_nothing_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("work") as bar:
        for total in (3, 5):
            for done in range(total + 1):
                bar(done, total)
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal; run the tests on Linux or macOS")
def test_a_person_at_a_terminal_is_asked_before_a_download(folder: Path, tmp_path: Path) -> None:
    import pty

    master, slave = pty.openpty()
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(tmp_path)}
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | nowhere
    command = [sys.executable, "-m", "interrogator", "prompt", str(folder / "1.png")]
    command += ["--mode", "caption", "--preset", "small"]

    def answered(answer: bytes) -> str:
        os.write(master, answer)
        run = subprocess.run(
            command, stdin=slave, stderr=slave, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, check=False
        )
        assert run.returncode == 1 and run.stdout == b""
        return os.read(master, 65536).decode()

    asked = answered(b"n\n")
    assert "Download it now? [y/N]" in asked and "1.0 GB" in asked
    assert "could not be downloaded" in answered(b"y\n")
    os.close(master)
    os.close(slave)
