"""Interrogator, with the demo models: what goes in, what comes out, and what it says when it cannot."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import interrogator
from interrogator import Interrogator, PhraseBank, RequestError
from interrogator.duplicates import words
from interrogator.prompts import join

from .bare_models import BareCaptioner

pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[2]
MODES = ("classic", "fast", "best", "negative")
BY_SIMILARITY = ("classic", "fast", "best")


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def ci(cache_dir: Path) -> Iterator[Interrogator]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield interrogator.load("demo", cache_dir=cache_dir)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return interrogator.demo.creature(7)[0]


def with_banks(ci: Interrogator, banks: Sequence[PhraseBank]) -> Interrogator:
    return Interrogator(ci.captioner, ci.encoder, banks)


@pytest.mark.parametrize("mode", MODES)
def test_a_prompt_fits_and_is_made_of_the_phrases_it_reports(ci: Interrogator, image: Image.Image, mode: str) -> None:
    result = ci.interrogate(image, mode=mode)
    assert result.prompt and ci.encoder.fits(result.prompt)
    assert result.phrases and result.mode == mode
    texts = [phrase.text for phrase in result.phrases]
    if mode != "classic":
        assert result.prompt == join("" if mode == "negative" else result.caption, *texts)
    rest = result.prompt if mode == "negative" else result.prompt.removeprefix(result.caption)
    for text in texts:
        rest = rest.split(text, 1)[1]  # each stands behind the one before
    banks = {bank.name: bank.phrases for bank in ci.banks}
    assert all(phrase.text in banks[phrase.bank] for phrase in result.phrases)
    assert result.similarity == pytest.approx(float(ci.similarity(image, [result.prompt])[0]), abs=1e-5)


def test_phrases_carry_the_similarity_that_rank_gives_them(ci: Interrogator, image: Image.Image) -> None:
    ranked = {phrase.text: phrase.similarity for phrase in ci.rank(image, top=1000)}
    for phrase in ci.interrogate(image, mode="fast").phrases:
        assert phrase.similarity == pytest.approx(ranked[phrase.text], abs=1e-6)


def test_rank_is_in_order_and_of_the_bank_asked_for(ci: Interrogator, image: Image.Image) -> None:
    ranked = ci.rank(image, bank="mediums", top=3)
    assert [phrase.bank for phrase in ranked] == ["mediums"] * 3
    similarities = [phrase.similarity for phrase in ranked]
    assert similarities == sorted(similarities, reverse=True)
    assert ci.similarity(image, [ranked[0].text])[0] == pytest.approx(similarities[0], abs=1e-3)  # fp16 rows
    with pytest.raises(interrogator.BankError, match="mediums"):
        ci.rank(image, bank="nonsense")


def test_best_is_at_least_as_similar_as_caption_classic_and_fast(ci: Interrogator) -> None:
    for seed in range(3):
        picture = interrogator.demo.creature(seed)[0]
        best = ci.interrogate(picture, mode="best")
        others = [ci.interrogate(picture, m, best.caption, max_phrases=32) for m in ("caption", "classic", "fast")]
        assert best.similarity is not None
        assert best.similarity >= max(r.similarity or -1 for r in others) - 1e-6


def test_embeddings_are_unit_float32(ci: Interrogator, image: Image.Image) -> None:
    embedding = ci.image_embedding(image)
    assert embedding.dtype == np.float32 and embedding.ndim == 1
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    assert ci.similarity(image, ["a", "b", "c"]).shape == (3,)


def test_a_given_caption_is_used_and_an_empty_one_means_none(ci: Interrogator, image: Image.Image) -> None:
    assert ci.interrogate(image, "fast", caption="a thing of beauty").prompt.startswith("a thing of beauty, ")
    bare = ci.interrogate(image, "fast", caption="")
    assert bare.caption == "" and bare.prompt.startswith(bare.phrases[0].text)


def test_no_captioner_and_no_caption_is_an_error_that_says_so(ci: Interrogator, image: Image.Image) -> None:
    mute = Interrogator(None, ci.encoder, ci.banks)
    for mode in ("caption", "classic", "fast", "best"):
        with pytest.raises(RequestError, match="no captioner"):
            mute.interrogate(image, mode=mode)
    assert mute.interrogate(image, mode="negative").prompt


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "bset"}, "unknown mode 'bset'; choose from precise, best, fast, classic, caption, negative, tags"),
        ({"mode": "caption", "caption": ""}, "needs a caption"),
        ({"max_phrases": -1}, "must not be negative"),
        ({"beams": 0}, "at least 1"),
        ({"min_angle": -1.0}, "between 0 and 180"),
        ({"mode": "fast", "caption": "", "max_phrases": 0}, "no prompt"),
    ],
)
def test_a_request_that_cannot_be_met_is_an_error(
    ci: Interrogator, image: Image.Image, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        ci.interrogate(image, **arguments)  # type: ignore[arg-type]


def test_a_caption_that_alone_exceeds_the_context_is_cut_at_a_word_with_a_warning(
    ci: Interrogator, image: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    long = " ".join(["a green dragon with yellow wings"] * 40)
    with caplog.at_level(logging.WARNING, logger="interrogator"):
        result = ci.interrogate(image, mode="best", caption=long)
    assert "was cut" in caplog.text
    assert ci.encoder.fits(result.prompt)
    assert long.startswith(result.prompt) and long[len(result.prompt)] == " "
    assert result.caption == long


def test_a_bank_that_is_off_leaves_its_slot_out_of_classic(ci: Interrogator, image: Image.Image) -> None:
    flavors = PhraseBank.from_phrases("flavors", ["soft", "bright"])
    mediums = PhraseBank.from_phrases("mediums", ["pixel art"])
    artists = PhraseBank.from_phrases("artists", ["by Claude Monet"])

    def classic(*banks: PhraseBank, caption: str = "a dog") -> str:
        return with_banks(ci, banks).interrogate(image, "classic", caption, max_phrases=1).prompt

    assert classic(mediums, artists) == "a dog, pixel art by Claude Monet"
    assert classic(artists) == "a dog, by Claude Monet"
    assert classic(mediums) == "a dog, pixel art"
    assert classic(flavors) in ("a dog, soft", "a dog, bright")
    assert classic(mediums, artists, caption="pixel art of a dog") == "pixel art of a dog by Claude Monet"


def test_quotas_limit_the_phrases_of_one_bank(ci: Interrogator, image: Image.Image) -> None:
    limited = [bank.limited(1) for bank in ci.banks]
    for mode in ("fast", "best", "negative"):
        taken = [phrase.bank for phrase in with_banks(ci, limited).interrogate(image, mode).phrases]
        assert len(taken) == len(set(taken))


@pytest.mark.parametrize("mode", MODES)
def test_max_phrases_is_a_maximum_even_below_min_phrases(ci: Interrogator, image: Image.Image, mode: str) -> None:
    result = ci.interrogate(image, mode, min_phrases=10, max_phrases=2)
    flavors = [p for p in result.phrases if p.bank == "flavors"] if mode == "classic" else result.phrases
    assert len(flavors) <= 2


def test_a_phrase_in_two_banks_is_taken_once(ci: Interrogator, image: Image.Image) -> None:
    banks = [PhraseBank.from_phrases("mediums", ["pixel art"]), PhraseBank.from_phrases("mine", ["Pixel Art", "neon"])]
    result = with_banks(ci, banks).interrogate(image, "fast", caption="a dog")
    assert sorted(phrase.text for phrase in result.phrases) == ["neon", "pixel art"]


def test_beams_never_do_worse_than_the_greedy_chain_and_often_better(ci: Interrogator) -> None:
    gains = []
    for seed in range(1, 4):
        picture = interrogator.demo.creature(seed)[0]
        greedy, beams = (ci.interrogate(picture, "best", max_phrases=4, beams=count).similarity for count in (1, 3))
        assert greedy is not None and beams is not None
        gains.append(beams - greedy)
    assert min(gains) >= -1e-6 and max(gains) > 1e-4


REPEATING = [
    "red wings",
    "wings, red",
    "Red",
    "a dog with wings",
    "neon",
    "soft light",
    "light soft",
    "neon light",
    "Dog",
]


@pytest.mark.parametrize("mode", BY_SIMILARITY)
def test_a_phrase_whose_words_are_said_already_is_passed_over(ci: Interrogator, image: Image.Image, mode: str) -> None:
    flavors = PhraseBank.from_phrases("flavors", REPEATING)
    own = with_banks(ci, [PhraseBank.from_phrases("mediums", ["red ink"]), flavors])
    plain, result = (
        own.interrogate(image, mode, "a dog", min_phrases=12, max_phrases=12, avoid_repeats=on) for on in (False, True)
    )
    said = words(join("a dog", "red ink") if mode == "classic" else "a dog")
    for phrase in result.phrases:
        if phrase.bank == "flavors":
            assert not words(phrase.text) <= said
        said |= words(phrase.text)
    if mode in ("classic", "fast"):
        assert {phrase.text for phrase in plain.phrases} >= set(REPEATING)
        assert said >= words(" ".join(REPEATING))


@pytest.mark.parametrize("mode", BY_SIMILARITY)
def test_a_phrase_near_one_taken_is_passed_over(ci: Interrogator, image: Image.Image, mode: str) -> None:
    result = ci.interrogate(image, mode, min_phrases=5, max_phrases=5, min_angle=40)
    texts = [phrase.text for phrase in result.phrases]
    rows = ci.encoder.encode_texts(texts)
    angles = torch.rad2deg(torch.acos((rows @ rows.T).clamp(-1, 1)))
    for place, phrase in enumerate(result.phrases):
        if mode != "classic" or phrase.bank == "flavors":
            assert all(float(angle) > 39 for angle in angles[place][:place])
    assert len(ci.interrogate(image, "fast", min_angle=180).phrases) == 1


def test_passing_over_keeps_quotas_and_changes_nothing_where_nothing_repeats(
    ci: Interrogator, image: Image.Image
) -> None:
    # Between the phrases of one bank stand more of the other than are looked at together; every word is its own.
    many = PhraseBank.from_phrases("many", [f"soft {number}" for number in range(1500)]).limited(3)
    few = PhraseBank.from_phrases("few", ["pixel art", "neon", "fog"])
    own = with_banks(ci, [many, few])
    plain = own.interrogate(image, "fast", "a dog").phrases
    assert sorted(phrase.bank for phrase in plain) == ["few"] * 3 + ["many"] * 3
    assert plain[-1].similarity < own.rank(image, "many", top=1000)[-1].similarity
    assert own.interrogate(image, "fast", "a dog", avoid_repeats=True).phrases == plain


def test_a_phrase_passed_over_takes_nothing_of_its_quota(ci: Interrogator, image: Image.Image) -> None:
    own = with_banks(ci, [PhraseBank.from_phrases("own", ["fog", "neon", "NEON, neon"]).limited(1)])
    assert own.rank(image)[-1].text == "fog"
    taken = own.interrogate(image, "fast", "a dog in neon", avoid_repeats=True).phrases
    assert [phrase.text for phrase in taken] == ["fog"]


def test_many_images_give_what_each_gives_alone(ci: Interrogator) -> None:
    for mode, count in (("caption", 20), ("fast", 20), ("best", 2)):  # more than one group, and cheap enough
        pictures = [interrogator.demo.creature(seed)[0] for seed in range(count)]
        together = ci.interrogate_many(pictures, mode)
        assert [r.prompt for r in together] == [ci.interrogate(picture, mode).prompt for picture in pictures]


def test_captions_can_be_given_for_some_of_many_images(ci: Interrogator) -> None:
    pictures = [interrogator.demo.creature(seed)[0] for seed in (1, 2)]
    given, written = ci.interrogate_many(pictures, "caption", caption=["a hat", None])
    assert given.prompt == "a hat"
    assert written.prompt == ci.interrogate(pictures[1], "caption").prompt
    with pytest.raises(RequestError, match="got 1 captions for 2 images"):
        ci.interrogate_many(pictures, "caption", caption=["a hat"])


def test_a_path_is_as_good_as_an_image(ci: Interrogator, image: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "creature.png"
    image.save(path)
    assert ci.interrogate(path, "fast") == ci.interrogate(image, "fast") == ci.interrogate(str(path), "fast")
    with pytest.raises(interrogator.ImageReadError, match=r"absent\.png"):
        ci.interrogate(tmp_path / "absent.png")


def test_a_stand_in_captioner_needs_nothing_but_the_protocol(ci: Interrogator, image: Image.Image) -> None:
    captioner = BareCaptioner()
    expected = captioner.caption([captioner.prepare(image)])[0]
    assert Interrogator(captioner, ci.encoder, ci.banks).interrogate(image, "caption").prompt == expected


def test_the_second_start_encodes_no_phrase(ci: Interrogator, cache_dir: Path, image: Image.Image) -> None:
    ci.table()
    encoded: list[str] = []

    class Counting(interrogator.OpenClipEncoder):
        def encode_texts(self, texts: Sequence[str], progress: object = None) -> torch.Tensor:
            encoded.extend(texts)
            return super().encode_texts(texts)

    encoder = Counting(ci.encoder.model, ci.encoder.preprocess, ci.encoder.tokenizer, "again")
    cache = interrogator.EmbeddingCache(cache_dir)
    again = Interrogator(ci.captioner, encoder, ci.banks, cache)
    again.table()
    assert encoded == []
    mine = PhraseBank.from_phrases("mine", ["a phrase nobody has embedded"])
    Interrogator(ci.captioner, encoder, [*ci.banks, mine], cache).table()
    assert encoded == ["a phrase nobody has embedded"]


@pytest.mark.parametrize("mode", ["caption", *MODES])
def test_progress_may_cancel_any_mode(ci: Interrogator, image: Image.Image, mode: str) -> None:
    class Stop(Exception):
        pass

    calls: list[tuple[int, int]] = []

    def count(done: int, total: int) -> None:
        calls.append((done, total))

    ci.interrogate(image, mode, progress=count)
    assert calls and all(0 <= done <= total for done, total in calls)

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        ci.interrogate(image, mode, progress=stop)


def test_a_result_is_json(ci: Interrogator, image: Image.Image) -> None:
    record = json.loads(json.dumps(ci.interrogate(image, "classic").as_dict()))
    assert set(record) == {"prompt", "caption", "similarity", "phrases", "mode", "tags", "remarks"}
    assert set(record["phrases"][0]) == {"text", "bank", "similarity", "evidence"}


def test_brackets_are_escaped_where_asked(ci: Interrogator, image: Image.Image) -> None:
    result = ci.interrogate(image, "caption", caption="a cat (small)")
    assert (result.prompt, result.escaped_prompt) == ("a cat (small)", r"a cat \(small\)")


@pytest.mark.slow
def test_threads_and_hash_seed_do_not_change_the_prompt(tmp_path: Path) -> None:
    code = (
        "import sys, torch, interrogator\n"
        "torch.set_num_threads(int(sys.argv[1]))\n"
        "ci = interrogator.load('demo', cache_dir=sys.argv[2])\n"
        "for seed in range(4):\n"
        "    for mode in ('classic', 'best', 'negative'):\n"
        "        print(ci.interrogate(interrogator.demo.creature(seed)[0], mode).prompt)\n"
    )
    outputs = set()
    for number in ("1", "2"):
        # Two threads that wait for each other by spinning take minutes where something else has the other core.
        changed = {"PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
        run = subprocess.run(
            [sys.executable, "-c", code, number, str(tmp_path / f"cache{number}")],
            env=os.environ | changed, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        outputs.add(run.stdout)
    assert len(outputs) == 1 and len(outputs.pop().splitlines()) == 12


def test_the_encoder_can_be_left_out_for_captions_only(image: Image.Image, tmp_path: Path) -> None:
    ci = interrogator.load("demo", encoder="none", cache_dir=tmp_path)
    result = ci.interrogate(image, "caption")
    assert result.prompt and result.similarity is None
    with pytest.raises(RequestError, match="no encoder"):
        ci.interrogate(image, "fast")


def test_an_unknown_preset_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(interrogator.UnknownModelError, match="sd15"):
        interrogator.load("sd51")
