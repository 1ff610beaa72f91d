"""Parity with clip-interrogator 0.6.0, the oracle: the same prompts wherever that library means what it does.

Both sides get one model, the same phrases in the same order and the same caption; the reference ranks in one window.
`verdict` says how two prompts may agree, and each difference on purpose has a test below that says why it is there
and runs the reference to show what it does instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import interrogator
from interrogator import OpenClipEncoder, PhraseBank, load_banks
from interrogator.catalog import DEMO_FOLDER
from interrogator.ranking import TIE

from . import small_models

# The reference asks for CUDA's autocast at every step, wherever it runs, and torch warns of it each time.
pytestmark = [
    pytest.mark.models,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),
]

ROOT = Path(__file__).parents[2]
ONE_WINDOW = 100_000
FAMILIES = ("vit", "resnet", "hf_text", "demo")
MODES = ("classic", "fast", "best")
PICTURES = 20
CAPTIONS = (
    "a cat on a mat",
    "a painting of a red house beside the sea",
    "an old man with a long beard who sits in front of a window and reads the news of the day to three children",
    "two dogs, one ball",
    "a close up of a blue and white plate on a wooden table with a fork, a knife and a spoon next to it",
)
Lists = Mapping[str, Sequence[str]]


def small_lists() -> dict[str, list[str]]:
    """A few phrases of each of our banks, under the names of the reference's files; artists as bare names."""
    banks = {bank.name: [phrase for phrase in bank.phrases if "," not in phrase] for bank in load_banks()}
    flavors = [phrase for name, phrases in banks.items() if name not in _SLOTS for phrase in phrases[3:40:18]]
    return {
        "artists": [phrase.removeprefix("by ") for phrase in banks["artists"][::250]],
        "flavors": list(dict.fromkeys(flavors)),
        "mediums": banks["mediums"][::8],
        "movements": banks["movements"][::20],
        "negative": banks["negative"][::4],
    }


_SLOTS = {"artists", "mediums", "movements", "sites", "negative"}


@dataclass(frozen=True)
class Pair:
    """The reference and our library around one model and the same phrases."""

    theirs: Any  # clip_interrogator.Interrogator
    ours: interrogator.Interrogator

    @property
    def encoder(self) -> OpenClipEncoder:
        encoder = self.ours.encoder
        assert isinstance(encoder, OpenClipEncoder)
        return encoder

    def their_prompt(self, image: Image.Image, mode: str, caption: str, **limits: int) -> str:
        method = "interrogate" if mode == "best" else f"interrogate_{mode}"
        prompt = getattr(self.theirs, method)(image, caption=caption, **limits)
        assert isinstance(prompt, str)
        return prompt

    def our_prompt(self, image: Image.Image, mode: str, caption: str, **limits: int) -> str:
        return self.ours.interrogate(image, mode, caption, **limits).prompt

    def similarity(self, image: Image.Image, text: str) -> float:
        return float(self.ours.similarity(image, [text])[0])


def reference(encoder: OpenClipEncoder, lists: Lists, folder: Path, chunk_size: int = ONE_WINDOW) -> Any:
    """clip-interrogator around the encoder's model, in fp32 on the CPU, with its own lists replaced by these."""
    import clip_interrogator

    folder.mkdir(parents=True, exist_ok=True)
    for name, phrases in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(phrases), encoding="utf-8")
    config = clip_interrogator.Config(
        caption_model_name=None, clip_model_name="small/random", cache_path=None, download_cache=False,
        chunk_size=chunk_size, data_path=str(folder), device="cpu", quiet=True,
    )  # fmt: skip
    config.clip_model, config.clip_preprocess = encoder.model, encoder.preprocess
    with pytest.MonkeyPatch.context() as patch:
        # It looks its tokenizer up by the model's name, which for a model that was passed in says nothing.
        patch.setattr("open_clip.get_tokenizer", lambda name: encoder.tokenizer)
        return clip_interrogator.Interrogator(config)


def pair(encoder: OpenClipEncoder, lists: Lists, folder: Path, chunk_size: int = ONE_WINDOW) -> Pair:
    """The reference, and our library with exactly its phrases in its order, its built-in sites included."""
    theirs = reference(encoder, lists, folder, chunk_size)
    names = ("artists", "flavors", "mediums", "movements", "trendings", "negative")
    banks = [PhraseBank.from_phrases(name, getattr(theirs, name).labels) for name in names]
    return Pair(theirs, interrogator.Interrogator(None, encoder, banks))


def build_encoder(family: str, folder: Path) -> OpenClipEncoder:
    if family == "demo":
        return OpenClipEncoder.load(f"local-dir:{DEMO_FOLDER / 'encoder'}", "cpu", "fp32")
    if family == "vit":
        return small_models.encoder(small_models.vit())
    if family == "resnet":
        return small_models.encoder(small_models.resnet())
    return small_models.encoder(hf_text_by_name(folder), small_models.hf_tokenizer(folder))


def hf_text_by_name(folder: Path) -> Any:
    """A model with a Hugging Face text tower, made by open_clip from a local configuration, without any download."""
    import open_clip

    small_models.write_hf_folder(folder, pad_id=0)
    config = {
        "embed_dim": small_models.WIDTH,
        "vision_cfg": small_models.VISION,
        "text_cfg": small_models.hf_text_cfg(folder),
    }
    (folder / "small-hf-text.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
        patch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
        open_clip.add_model_config(folder / "small-hf-text.json")
        model = open_clip.create_model("small-hf-text", pretrained_text=False)
    return small_models.spread(model)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Pair]]:
    name = str(request.param)
    if name == "demo" and not any((DEMO_FOLDER / "encoder").glob("*.safetensors")):
        pytest.skip("the demo models are not there yet")
    folder = tmp_path_factory.mktemp(name)
    yield name, pair(build_encoder(name, folder / "model"), small_lists(), folder / "lists")


@pytest.fixture(scope="module")
def vit_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(small_models.encoder(small_models.vit()), small_lists(), tmp_path_factory.mktemp("vit-lists"))


def inputs(family: str) -> list[tuple[Image.Image, str]]:
    """Twenty pictures with a caption each; the demo model gets the creatures it knows."""
    if family == "demo":
        drawn = [interrogator.demo.creature(seed) for seed in range(PICTURES)]
        return [(picture, truth.caption) for picture, truth in drawn]
    pictures = small_models.pictures(PICTURES)
    return [(picture, CAPTIONS[number % len(CAPTIONS)]) for number, picture in enumerate(pictures)]


def whole_phrase_beginnings(prompt: str) -> list[str]:
    """The prompt cut at each of its commas, longest first."""
    parts = prompt.split(", ")
    return [", ".join(parts[:count]) for count in range(len(parts), 0, -1)]


def verdict(pair: Pair, image: Image.Image, mode: str, ours: str, theirs: str) -> str:
    """How our prompt agrees with the reference's, or "different".

    equal:    the same words.
    cut:      theirs overruns the context; ours is its longest whole-phrase beginning that fits or, in best mode,
              which may return any prompt met on the way, one at least as similar.
    one more: theirs ends before a phrase that fits, because it tests the length of two words glued together; ours
              holds that phrase.
    higher:   best mode, which picks among several prompts: ours picked one that the reference's lengths kept from
              it, and it is more similar.
    """
    fits = pair.encoder.fits
    assert fits(ours)
    if ours == theirs:
        return "equal"
    if not fits(theirs):
        beginning = next(text for text in whole_phrase_beginnings(theirs) if fits(text))
        if ours == beginning:
            return "cut"
        if mode == "best" and pair.similarity(image, ours) >= pair.similarity(image, beginning) - TIE:
            return "cut"
        return "different"
    if is_one_more(pair, ours, theirs):
        return "one more"
    if mode == "best" and pair.similarity(image, ours) > pair.similarity(image, theirs) + TIE:
        return "higher"
    return "different"


def is_one_more(pair: Pair, ours: str, theirs: str) -> bool:
    """Whether ours is theirs and one phrase, which the reference refused after gluing it to the word before."""
    if not ours.startswith(theirs + ", "):
        return False
    phrase = ours[len(theirs) + 2 :]
    known = phrase in pair.ours.table().texts
    return known and pair.encoder.count(theirs + phrase) >= pair.encoder.context_length


@pytest.mark.slow
def test_classic_fast_and_best_prompts_are_the_references(family: tuple[str, Pair]) -> None:
    name, both = family
    verdicts: dict[str, Counter[str]] = {mode: Counter() for mode in MODES}
    prompts: dict[str, set[str]] = {mode: set() for mode in MODES}
    for image, caption in inputs(name):
        for mode in MODES:
            theirs = both.their_prompt(image, mode, caption)
            ours = both.ours.interrogate(image, mode, caption)
            found = verdict(both, image, mode, ours.prompt, theirs)
            assert found != "different", f"{mode}\nours:   {ours.prompt}\ntheirs: {theirs}"
            features = both.theirs.image_to_features(image)
            assert ours.similarity == pytest.approx(both.theirs.similarity(features, ours.prompt), abs=1e-5)
            verdicts[mode][found] += 1
            prompts[mode].add(ours.prompt.removeprefix(caption))
    for mode in MODES:
        # Exceptions must stay exceptions, and models that answer every picture alike would prove nothing.
        assert verdicts[mode]["equal"] >= 0.8 * PICTURES, (name, verdicts)
        assert len(prompts[mode]) >= PICTURES / 2, (name, mode, prompts)
