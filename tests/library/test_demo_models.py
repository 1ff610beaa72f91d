"""The demo's creatures are what their captions say, and its two models know them through the ordinary loaders."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from interrogator import demo
from interrogator.demo.attributes import COLORS, KINDS, MEDIUMS, Creature, held_out, parse_caption
from interrogator.demo.creatures import creature

REPO = Path(__file__).resolve().parents[2]
MARGIN = 0.05
"""What 100 pictures may fall short of a share measured on 300."""


def _fingerprint(seed: int) -> str:
    image, truth = creature(seed)
    return hashlib.sha256(image.tobytes() + truth.caption.encode()).hexdigest()


def test_importing_the_demo_loads_no_torch() -> None:
    code = "import interrogator.demo, sys; assert not {'torch', 'transformers', 'open_clip', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_a_seed_always_gives_the_same_creature() -> None:
    code = (
        "import hashlib\nfrom interrogator.demo import creature\nfor seed in range(12):\n"
        "    image, truth = creature(seed)\n"
        "    print(hashlib.sha256(image.tobytes() + truth.caption.encode()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO,
        env={"PYTHONHASHSEED": "123", "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.split() == [_fingerprint(seed) for seed in range(12)]


def test_pictures_are_rgb_and_of_one_size() -> None:
    images = [creature(seed)[0] for seed in range(16)]
    assert {(image.mode, image.size) for image in images} == {("RGB", (192, 192))}


def test_captions_follow_the_grammar_and_can_be_read_back() -> None:
    example = Creature("dragon", "green", "wings", "yellow", "white", "pixel art")
    assert example.caption == "a pixel art drawing of a green dragon with yellow wings on a white background"
    assert Creature("frog", "orange", "tail", "blue", "teal", "oil painting").caption == (
        "an oil painting of an orange frog with a blue tail on a teal background"
    )
    truths = [creature(seed)[1] for seed in range(300)]
    assert [parse_caption(truth.caption) for truth in truths] == truths
    assert any(truth.feature is None and truth.feature_color is None for truth in truths)
    assert {truth.medium for truth in truths} == set(MEDIUMS)
    assert parse_caption("a photograph of a street") is None


def test_touching_parts_never_share_a_colour() -> None:
    for seed in range(200):
        truth = creature(seed)[1]
        assert truth.color != truth.feature_color
        assert truth.background not in (truth.color, truth.feature_color)


def test_held_out_combinations_are_a_tenth_and_every_pair_is_still_taught() -> None:
    combinations = [(kind, color, medium) for kind in KINDS for color in COLORS for medium in MEDIUMS]
    out = {c for c in combinations if held_out(Creature(c[0], c[1], None, None, "gray", c[2]))}
    assert 0.05 < len(out) / len(combinations) < 0.15
    taught = set(combinations) - out
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert {(c[first], c[second]) for c in taught} == {(c[first], c[second]) for c in combinations}
    assert all(held_out(creature(seed, only_held_out=True)[1]) for seed in range(20))
    assert not any(held_out(creature(seed, only_held_out=False)[1]) for seed in range(20))


def test_weights_are_small() -> None:
    weights = list(Path(demo.ENCODER_DIR).rglob("*.safetensors")) + list(
        Path(demo.CAPTIONER_DIR).rglob("*.safetensors")
    )
    assert len(weights) == 3  # and the encoder's calibration
    assert sum(path.stat().st_size for path in weights) <= 12 * 2**20


def test_the_captioner_is_stored_like_a_real_blip() -> None:
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(str(demo.CAPTIONER_DIR / "model.safetensors"), "pt") as file:
        names = set(file.keys())
    assert {"text_decoder.cls.predictions.decoder.weight", "text_decoder.cls.predictions.decoder.bias"} <= names
    vocabulary = (demo.CAPTIONER_DIR / "vocab.txt").read_text(encoding="utf-8").splitlines()
    text = json.loads((demo.CAPTIONER_DIR / "config.json").read_text(encoding="utf-8"))["text_config"]
    assert vocabulary[text["bos_token_id"]] == "[DEC]"
    assert vocabulary[text["sep_token_id"]] == "[SEP]"
    assert vocabulary[text["pad_token_id"]] == "[PAD]"
    for name in (
        "preprocessor_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
    ):
        assert (demo.CAPTIONER_DIR / name).is_file()


def test_the_encoders_tokenizer_ends_at_the_highest_id_and_spells_what_it_does_not_know() -> None:
    import open_clip

    tokenizer = open_clip.get_tokenizer(f"local-dir:{demo.ENCODER_DIR}")
    ids = tokenizer(["Green Dragon", "zyzzyva", "qwrtp", "word " * 200])
    assert ids.shape == (4, 77)
    vocab_size = json.loads((demo.ENCODER_DIR / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"][
        "vocab_size"
    ]
    assert set(ids.max(1).values.tolist()) == {vocab_size - 1}
    assert ids[0, 4:].tolist() == [0] * 73
    assert ids[1].tolist() != ids[2].tolist()
    assert ids[3, -1] == vocab_size - 1


def test_both_models_load_in_single_precision() -> None:
    import torch
    from transformers import BlipForConditionalGeneration

    from interrogator.demo.measure import load_encoder

    clip = load_encoder()[0]
    blip = BlipForConditionalGeneration.from_pretrained(str(demo.CAPTIONER_DIR))
    assert {parameter.dtype for model in (clip, blip) for parameter in model.parameters()} == {torch.float32}


def test_the_banks_hold_what_the_encoder_was_taught() -> None:
    from interrogator.demo.training.words import ALWAYS_TRUE, MEDIUM_NAMES, MOVEMENTS, QUALITIES

    def phrases(name: str) -> list[str]:
        lines = (demo.BANKS_DIR / name).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# ")
        return lines[1:]

    assert phrases("mediums.txt") == [names[0] for names in MEDIUM_NAMES.values()]
    assert phrases("movements.txt") == [phrase for names in MOVEMENTS.values() for phrase in names]
    taught = {phrase for names in QUALITIES.values() for phrase in names} | set(ALWAYS_TRUE)
    assert taught <= set(phrases("flavors.txt"))


@pytest.mark.parametrize("only_held_out", [False, True], ids=["new seeds", "held-out combinations"])
def test_models_know_creatures_they_have_not_seen(only_held_out: bool) -> None:
    from interrogator.demo.measure import measure

    figures = measure(100, only_held_out, first_seed=3_000_000)
    for name, required in (("kind", 0.95), ("color", 0.95), ("medium", 0.95), ("feature", 0.9), ("feature_color", 0.9)):
        assert figures.right[name] >= required - MARGIN, (name, figures)
    assert figures.invented <= 0.03 + 2 * MARGIN
    assert figures.medium_first >= 0.95 - MARGIN
    assert figures.medium_above_untaught >= 0.95 - MARGIN
    assert figures.true_above_exchanged >= 0.95 - MARGIN
