"""What each trainer's own code reads of datasets that our commands wrote: every picture, with exactly its captions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from interrogator.cli import main

READERS = Path(__file__).parent / "readers.py"
PICTURES = (
    "a.png", "b.jpg", "C.PNG", "Ünïcödé 猫.png", "with space.jpeg", "v1.2.3.png", "a (1).png", "[x] {y}.webp", "D.JPEG",
    "10_sks dog/a.png", "10_sks dog/e.JPG", "10_sks dog/[g].png", "sub/deep/f.png", "q'uote,comma.png", "e&f=g;h.png",
    "a_b_c_d_e_f.png", "%41.png", "sub/#hash.png", "-dash.png", "sub/v1.2.3.png",
)  # fmt: skip
"""Awkward names: dots, spaces, brackets, upper-case endings, other scripts, folders, one name in two folders."""
REPOSITORIES = {
    "sd-scripts": "sd-scripts", "onetrainer": "mgds", "simpletuner": "SimpleTuner", "ai-toolkit": "ai-toolkit",
    "musubi": "musubi-tuner", "diffusion-pipe": "diffusion-pipe", "diffusers": "diffusers",
    "diffsynth": "DiffSynth-Studio", "everydream2": "EveryDream2trainer", "taggui": "taggui",
    "finetrainers": "finetrainers",
}  # fmt: skip

# Trainer, options of the command, what is read, options of the reader.
ONE = [
    ("sd-scripts", (), "", ()),
    ("sd-scripts", ("--target", "caption"), "", ("extension=.caption",)),
    ("sd-scripts", ("--target", "kohya-json"), "meta_cap.json", ("root={root}", "image_dir={root}")),
    ("sd-scripts", ("--target", "kohya-jsonl"), "meta_cap.jsonl", ("root={root}", "image_dir={root}")),
    ("sd-scripts", ("--target", "kohya-json", "--paths", "absolute"), "meta_cap.json", ("root={root}",)),
    ("onetrainer", (), "", ()),
    ("simpletuner", (), "", ()),
    ("simpletuner", ("--target", "jsonl"), "metadata.jsonl", ("names=file_name", "captions=text")),
    ("ai-toolkit", (), "", ()),
    ("ai-toolkit", ("--target", "caption"), "", ("extension=caption",)),
    ("ai-toolkit", ("--target", "kohya-json"), "meta_cap.json", ("root={root}",)),
    ("musubi", (), "", ()),
    ("musubi", ("--target", "caption"), "", ("extension=.caption",)),
    ("musubi", ("--target", "kohya-jsonl"), "meta_cap.jsonl", ("root={root}",)),
    ("diffusion-pipe", (), "", ()),
    ("diffusion-pipe", ("--target", "captions-json"), "", ()),
    ("diffusers", (), "", ()),
    ("diffsynth", (), "metadata.jsonl", ()),
    ("diffsynth", ("--target", "csv"), "captions.csv", ()),
]
SEVERAL = [
    ("sd-scripts", (), "", ("wildcard=yes",)),
    ("sd-scripts", ("--target", "kohya-json"), "meta_cap.json", ("root={root}", "image_dir={root}", "wildcard=yes")),
    ("sd-scripts", ("--target", "kohya-jsonl"), "meta_cap.jsonl", ("root={root}", "image_dir={root}", "wildcard=yes")),
    ("onetrainer", (), "", ()),
    ("simpletuner", (), "", ()),
    ("simpletuner", ("--target", "jsonl"), "metadata.jsonl", ("names=file_name", "captions=text")),
    ("diffusion-pipe", ("--target", "captions-json"), "", ()),
    ("diffusers", (), "", ()),
]
# Programs without a row of their own, which read plain .txt files.
OTHERS = ("everydream2", "taggui", "finetrainers")

Read = Callable[..., dict[str, list[str]]]


@pytest.fixture
def read(clones: Path, tmp_path: Path) -> Read:
    """A trainer's reading of an address, in a process of its own."""

    def read(trainer: str, address: Path, *options: str) -> dict[str, list[str]]:
        if not (clones / REPOSITORIES[trainer]).is_dir():
            pytest.skip(f"no checkout of {REPOSITORIES[trainer]} in {clones}")
        environment = {
            **os.environ, "PYTHONPATH": str(clones / "site"), "HF_DATASETS_CACHE": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": "1",
        }  # fmt: skip
        command = [sys.executable, str(READERS), str(clones), trainer, str(address), *options]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
        found: dict[str, list[str]] = json.loads(run.stdout.splitlines()[-1])
        return found

    return read


@pytest.fixture
def dataset(clones: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data set (1)"
    for number, name in enumerate(PICTURES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number * 12, 100, 50)).save(path)
    return folder


def captions(name: str, several: bool) -> list[str]:
    plain = "".join(letter for letter in name if letter not in "{},")  # of which wildcards and tags are made
    first = f"a “ünï” thing, {Path(plain).stem}, (x:1.2), 猫, 50% & co"
    return [first, f"second of {plain}"] if several else [first]


def write_texts(dataset: Path, folder: Path, several: bool) -> None:
    """Texts as somebody has them, in a tree beside the dataset."""
    for name in PICTURES:
        path = (folder / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(captions(name, several)) + "\n", encoding="utf-8")


def written(dataset: Path, tmp_path: Path, trainer: str, options: tuple[str, ...], several: bool) -> None:
    write_texts(dataset, tmp_path / "texts", several)
    command = ["edit", str(dataset), "--from", str(tmp_path / "texts"), "--for-trainer", trainer, *options]
    assert main(command) == 0


@pytest.mark.parametrize(("trainer", "options", "file", "told"), ONE)
def test_every_picture_has_its_caption(
    dataset: Path, tmp_path: Path, read: Read, trainer: str, options: tuple[str, ...], file: str, told: tuple[str, ...]
) -> None:
    written(dataset, tmp_path, trainer, options, several=False)
    found = read(trainer, dataset / file, *(each.format(root=dataset) for each in told))
    assert found == {name: captions(name, several=False) for name in PICTURES}


@pytest.mark.parametrize(("trainer", "options", "file", "told"), SEVERAL)
def test_every_picture_has_all_its_captions(
    dataset: Path, tmp_path: Path, read: Read, trainer: str, options: tuple[str, ...], file: str, told: tuple[str, ...]
) -> None:
    written(dataset, tmp_path, trainer, options, several=True)
    found = read(trainer, dataset / file, *(each.format(root=dataset) for each in told))
    assert {name: sorted(texts) for name, texts in found.items()} == {
        name: sorted(captions(name, several=True)) for name in PICTURES
    }


@pytest.mark.parametrize("trainer", OTHERS)
def test_caption_files_are_read_elsewhere(dataset: Path, tmp_path: Path, read: Read, trainer: str) -> None:
    write_texts(dataset, tmp_path / "texts", several=False)
    assert main(["edit", str(dataset), "--from", str(tmp_path / "texts"), "--target", "txt"]) == 0
    found = read(trainer, dataset)
    expected = {name: captions(name, several=False) for name in PICTURES}
    if trainer == "finetrainers":  # which looks for jpg, jpeg and png in lower case
        expected = {name: texts for name, texts in expected.items() if name.endswith((".jpg", ".jpeg", ".png"))}
    assert found == expected


def test_kept_tokens_and_wildcards_are_what_sd_scripts_shuffles_and_picks(dataset: Path, read: Read) -> None:
    template = "sks {{red|blue}} thing, {stem} ||| b, {{x, y|z}}"
    assert main(["edit", str(dataset), "--template", template, "--for-trainer", "sd-scripts"]) == 0
    found = read("sd-scripts", dataset, "wildcard=yes", "separator=|||")
    assert set(found) == set(PICTURES)
    for texts in found.values():
        assert {text.split(",")[0] for text in texts} == {"sks red thing", "sks blue thing"}
        assert not any(
            letter in text for text in texts for letter in "{}|" if "[x] {y}" not in text and "y" not in text
        )
