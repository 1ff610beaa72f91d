"""The demo tagger: what its tags mean, the layout of its folder, and how well it knows creatures it has not seen."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import interrogator
from interrogator import demo
from interrogator.cli import main
from interrogator.dataset import CaptionRules, Models, Run, Settings
from interrogator.demo.attributes import KINDS, Creature, draw_attributes, parse_caption
from interrogator.demo.creatures import creature
from interrogator.demo.tags import GROUPS, TAGS, true_tags

REQUIRED = 0.98
"""The precision and the recall that every tag must reach."""


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Image.Image, Creature]]:
    return [creature(seed) for seed in range(4_000_000, 4_000_004)]


@pytest.fixture(scope="module")
def tagger() -> Iterator[Any]:
    yield interrogator.load_tagger("demo", device="cpu")


def expected(truth: Creature) -> set[str]:
    """The true tags as everybody gets them: with spaces."""
    return {tag.replace("_", " ") for tag in true_tags(truth)}


def test_one_tag_of_each_group_is_true_of_a_creature() -> None:
    assert len(set(TAGS)) == len(TAGS)
    colors_of_features = GROUPS[3]
    for seed in range(300):
        truth = draw_attributes(random.Random(seed))
        tags = set(true_tags(truth))
        assert tags <= set(TAGS)
        for group in GROUPS:
            count = 0 if group == colors_of_features and truth.feature is None else 1
            assert len(tags & set(group)) == count


def test_tags_are_words_of_the_caption() -> None:
    example = Creature("dragon", "purple", "crown", "pink", "teal", "oil painting")
    assert true_tags(example) == ["dragon", "purple_body", "crown", "pink_crown", "teal_background", "oil_painting"]
    plain = Creature("frog", "red", None, None, "white", "neon")
    assert true_tags(plain) == ["frog", "red_body", "no_feature", "white_background", "neon"]
    for seed in range(300):
        truth = draw_attributes(random.Random(seed))
        for tag in true_tags(truth):
            if tag != "no_feature":
                assert tag.replace("_body", "").replace("_", " ") in truth.caption


def test_the_folder_is_laid_out_like_a_wd_tagger_and_holds_at_most_a_megabyte() -> None:
    files = {path.name: path for path in demo.TAGGER_DIR.iterdir()}
    assert files.keys() == {"config.json", "model.safetensors", "selected_tags.csv"}
    assert sum(path.stat().st_size for path in files.values()) <= 1_000_000
    with files["selected_tags.csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["tag_id", "name", "category", "count"]
    assert [row["name"] for row in rows] == list(TAGS)
    assert {row["category"] for row in rows} == {"0"}
    assert len({row["tag_id"] for row in rows}) == len(TAGS)
    assert all(int(row["count"]) > 0 for row in rows)
    config = json.loads(files["config.json"].read_text(encoding="utf-8"))
    assert {"architecture", "num_classes", "num_features", "model_args", "pretrained_cfg"} <= config.keys()
    assert config["num_classes"] == config["pretrained_cfg"]["num_classes"] == len(TAGS)


@pytest.mark.models
def test_it_is_stored_in_half_precision_and_used_in_single(tagger: Any) -> None:
    import torch
    from safetensors.torch import load_file

    stored = load_file(demo.TAGGER_DIR / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values() if tensor.is_floating_point()} == {torch.float16}
    used = tagger.module.state_dict()
    assert {parameter.dtype for parameter in tagger.module.parameters()} == {torch.float32}
    assert used.keys() == stored.keys()
    assert all(torch.equal(used[name], stored[name].to(used[name].dtype)) for name in stored)


@pytest.mark.models
def test_timm_alone_loads_the_folder_and_finds_the_same_tags(
    tagger: Any, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    """As the cards of the WD taggers say: a white square, bicubic, blue first, -1 to 1."""
    import timm
    import torch

    model: Any = timm.create_model(f"local-dir:{demo.TAGGER_DIR}", pretrained=True).eval()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    for image, _ in drawn:
        wide = Image.new("RGB", (image.width, image.width + 40), "white")
        wide.paste(image, (0, 20))
        square = Image.new("RGB", (wide.height, wide.height), "white")
        square.paste(wide, ((wide.height - wide.width) // 2, 0))
        pixels = np.asarray(square.resize((96, 96), Image.Resampling.BICUBIC), dtype=np.float32)[..., ::-1]
        with torch.inference_mode():
            own = model(torch.from_numpy(pixels / 127.5 - 1.0).permute(2, 0, 1).unsqueeze(0))[0].sigmoid()
        (tags,) = tagger.tag([tagger.prepare(wide)], None)
        assert np.allclose(own.numpy(), [tag.probability for tag in tags], atol=1e-5)


@pytest.mark.models
@pytest.mark.parametrize("only_held_out", [False, True], ids=["new seeds", "held-out combinations"])
def test_every_tag_is_right_on_creatures_it_has_not_seen(only_held_out: bool) -> None:
    from interrogator.demo.measure import measure_tags

    rows = measure_tags(300, only_held_out)
    assert [row.tag for row in rows] == list(TAGS)
    assert sum(row.true for row in rows) > 5 * 300
    weak = [(row.tag, row.precision, row.recall) for row in rows if min(row.precision, row.recall) < REQUIRED]
    assert weak == []


@pytest.mark.models
def test_the_demo_preset_has_a_tagger(drawn: list[tuple[Image.Image, Creature]]) -> None:
    ci = interrogator.load("demo", captioner="none", encoder="none")
    for image, truth in drawn:
        assert {tag.text for tag in ci.tag(image)} == expected(truth)


@pytest.mark.models
def test_the_command_line_tags_a_creature_offline(
    tmp_path: Path, drawn: list[tuple[Image.Image, Creature]], capsys: pytest.CaptureFixture[str]
) -> None:
    image, truth = drawn[0]
    image.save(tmp_path / "creature.png")
    command = ["tag", str(tmp_path / "creature.png"), "--preset", "demo", "--device", "cpu", "--json"]
    assert main(command) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {tag["text"] for tag in json.loads(line)["tags"]} == expected(truth)


@pytest.mark.models
def test_a_dataset_of_creatures_gets_trigger_tags_and_caption(
    tmp_path: Path, drawn: list[tuple[Image.Image, Creature]]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index, (image, _) in enumerate(drawn):
        image.save(pictures / f"{index}.png")
    rules = CaptionRules(trigger="sks", template="{trigger}, {tags}, {caption}")
    settings = Settings(preset="demo", rules=rules)
    run = Run([pictures], settings)
    run.work(lambda: Models.load(settings, device="cpu", cache_dir=tmp_path / "cache"), lambda text: len(text.split()))
    for index, (_, truth) in enumerate(drawn):
        trigger, *tags, caption = (pictures / f"{index}.txt").read_text(encoding="utf-8").strip().split(", ")
        assert trigger == "sks"
        assert sorted(tags) == sorted(expected(truth))
        assert parse_caption(caption) == truth


@pytest.mark.models
def test_training_writes_a_folder_that_loads(tmp_path: Path) -> None:
    import torch

    from interrogator.demo.train import Plan, train_tagger
    from interrogator.demo.training.tagger import Head

    train_tagger(tmp_path, Plan(tagger_pictures=64, tagger_phases=((64, 1.0, 1e-3), (96, 1.0, 1e-3))))
    tagger: Any = interrogator.load_tagger(tmp_path / "tagger", device="cpu", dtype="fp32")
    assert len(tagger.vocabulary) == len(TAGS)
    with (tmp_path / "tagger" / "selected_tags.csv").open(encoding="utf-8", newline="") as file:
        assert sum(int(row["count"]) for row in csv.DictReader(file) if row["name"] in KINDS) == 64
    head, features = Head(12), torch.randn(5, 12)
    assert torch.allclose(head.as_linear()(features), head(features), atol=1e-5)
