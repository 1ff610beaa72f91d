"""Many captions of an image: reproducible, as the model gives them, the image read once, rules kept."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from interrogator import BlipCaptioner, demo
from interrogator.captioners import LAION_COCO, CaptionOptions, Sampled, SamplingOptions
from interrogator.captioners.blip.forbidden_words import ForbiddenWords
from interrogator.captioners.sampling import sample_captions
from interrogator.captioners.token_choice import Draw, exponential, forbid, repeating, row_seed
from interrogator.errors import ImageReadError, ModelError, RequestError

from .tiny_checkpoints import prepared, write_blip

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]


def load(name: Path | str, dtype: str = "fp32") -> BlipCaptioner:
    return BlipCaptioner.load(name, device="cpu", dtype=dtype)


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> BlipCaptioner:
    return load(write_blip(tmp_path_factory.mktemp("blip")))


@pytest.fixture(scope="module")
def demo_blip() -> BlipCaptioner:
    return load("demo")


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    noise = [Image.fromarray(rng.integers(0, 256, (40 + n, 50, 3), dtype=np.uint8)) for n in range(3)]
    return [*noise, Image.new("RGB", (64, 20), (250, 10, 10)), Image.linear_gradient("L")]


KEYS = ["a.jpg", "b.jpg", "c/ä.jpg", "d", "e"]
FREE = SamplingOptions(count=6, min_new_tokens=0, max_new_tokens=12, strip=(), top_p=1.0)


def options(**settings: Any) -> SamplingOptions:
    return SamplingOptions(**{**FREE.__dict__, **settings})


def texts(found: list[list[Sampled]]) -> list[list[str]]:
    return [[one.text for one in some] for some in found]


def tokens(found: list[list[Sampled]]) -> list[list[tuple[int, ...]]]:
    return [[one.tokens for one in some] for some in found]


def pixels(blip: BlipCaptioner, some: list[Image.Image]) -> torch.Tensor:
    rgb = [image.convert("RGB") for image in some]
    values: torch.Tensor = blip.processor.image_processor(images=rgb, return_tensors="pt")["pixel_values"]
    return values


def generated(blip: BlipCaptioner, image: Image.Image, prefix: str = "", **settings: Any) -> tuple[int, ...]:
    """The greedy token ids of transformers' own generate, without start, prefix and end."""
    model: Any = blip.module
    prompt = blip.processor.tokenizer(prefix, add_special_tokens=False)["input_ids"]
    text = model.config.text_config
    ids = torch.tensor([[text.bos_token_id, *prompt, text.sep_token_id]])
    mask = torch.ones_like(ids)
    out = model.generate(pixels(blip, [image]), input_ids=ids, attention_mask=mask, do_sample=False, **settings)
    written = out[0, 1 + len(prompt) :].tolist()
    return tuple(written[: written.index(text.sep_token_id)] if text.sep_token_id in written else written)


# --- as the model gives them -----------------------------------------------------------------------------------------


GREEDY: list[dict[str, Any]] = [
    {},
    {"prefix": "a picture of"},
    {"repetition_penalty": 1.7},
    {"no_repeat_ngram_size": 2, "prefix": "a cat a"},
    {"no_repeat_ngram_size": 1},
    {"min_new_tokens": 12, "repetition_penalty": 0.8},
]


@pytest.mark.parametrize("settings", GREEDY)
def test_without_chance_the_tokens_are_those_of_transformers(
    blip: BlipCaptioner, images: list[Image.Image], settings: dict[str, Any]
) -> None:
    found = sample_captions(blip, images, KEYS, options(count=1, temperature=0, max_new_tokens=20, **settings))
    assert [some[0].tokens for some in found] == [
        generated(blip, image, max_new_tokens=20, **settings) for image in images
    ]
    assert len({some[0].tokens for some in found}) > 1


def test_without_chance_the_demo_captioner_writes_its_captions(demo_blip: BlipCaptioner) -> None:
    some = [demo.creature(seed)[0] for seed in range(4)]
    found = sample_captions(demo_blip, some, KEYS[:4], options(count=2, temperature=0, max_new_tokens=32))
    assert texts(found) == [[caption, caption] for caption in demo_blip.caption(prepared(demo_blip, some))]
    assert [one.tokens for one, _ in found] == [generated(demo_blip, image, max_new_tokens=32) for image in some]


def test_only_the_most_likely_token_is_the_greedy_caption(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    greedy = sample_captions(blip, images, KEYS, options(temperature=0))
    assert tokens(sample_captions(blip, images, KEYS, options(top_k=1))) == tokens(greedy)
    assert tokens(sample_captions(blip, images, KEYS, options(top_p=1e-9))) == tokens(greedy)
    assert tokens(sample_captions(blip, images, KEYS, options(temperature=1e-4))) == tokens(greedy)


@pytest.mark.parametrize("prefix", ["", "a picture of"])
def test_probabilities_are_those_of_the_model_whatever_the_rules(
    blip: BlipCaptioner, images: list[Image.Image], prefix: str
) -> None:
    rules = options(prefix=prefix, temperature=2.0, repetition_penalty=1.5, top_p=0.9, max_new_tokens=8)
    model: Any = blip.module
    text = model.config.text_config
    prompt = [text.bos_token_id, *blip.processor.tokenizer(prefix, add_special_tokens=False)["input_ids"]]
    found = sample_captions(blip, images[:2], KEYS[:2], rules)
    assert {one.ended for some in found for one in some} == {True, False}
    for image, some in zip(images[:2], found, strict=True):
        for one in some:
            new = [*one.tokens, *([text.sep_token_id] if one.ended else [])]
            ids = torch.tensor([[*prompt, *new]])
            with torch.inference_mode():
                logits = model(pixel_values=pixels(blip, [image]), input_ids=ids).logits[0]  # [L, V]
            each = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, torch.tensor(new)[:, None])
            assert one.log_probability == pytest.approx(float(each.sum()), abs=1e-3)
            assert one.mean_log_probability == pytest.approx(float(each.mean()), abs=1e-3)


def first_probabilities(blip: BlipCaptioner, image: Image.Image) -> torch.Tensor:
    model: Any = blip.module
    with torch.inference_mode():
        start = torch.tensor([[model.config.text_config.bos_token_id]])
        logits: torch.Tensor = model(pixel_values=pixels(blip, [image]), input_ids=start).logits[0, -1]
    return logits.softmax(-1)


@pytest.mark.parametrize(
    "settings", [{}, {"top_p": 0.6}, {"top_k": 5}, {"top_k": 8, "top_p": 0.7}, {"temperature": 0.5}]
)
def test_first_tokens_come_as_often_as_the_model_says(
    blip: BlipCaptioner, images: list[Image.Image], settings: dict[str, Any]
) -> None:
    count = 4000
    expected = first_probabilities(blip, images[0]).double() ** (1 / settings.get("temperature", 1.0))
    expected /= expected.sum()
    order = expected.argsort(descending=True).tolist()
    kept = order[: settings.get("top_k") or len(order)]
    mass, before = float(expected[kept].sum()), 0.0
    for place, token in enumerate(list(kept)):
        if before >= settings.get("top_p", 1.0) * mass:
            kept = kept[:place]
            break
        before += float(expected[token])
    expected[[token for token in order if token not in kept]] = 0.0
    expected /= expected.sum()
    found = sample_captions(blip, images[:1], ["x"], options(count=count, max_new_tokens=1, **settings))[0]
    model: Any = blip.module
    seen = Counter(one.tokens[0] if one.tokens else model.config.text_config.sep_token_id for one in found)
    assert set(seen) <= set(kept)
    distance = sum(abs(seen[token] / count - float(expected[token])) for token in order) / 2
    assert distance < 1.2 * math.sqrt(len(kept) / count)


# --- the same again --------------------------------------------------------------------------------------------------


def test_an_image_gets_the_same_captions_in_any_batch(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    rules = options(count=7, temperature=1.3)
    alone = [sample_captions(blip, [image], [key], rules)[0] for image, key in zip(images, KEYS, strict=True)]
    assert len({one.tokens for some in alone for one in some}) > 20
    for batch_size in (1, 3, 100):
        together = sample_captions(blip, images, KEYS, options(count=7, temperature=1.3, batch_size=batch_size))
        assert tokens(together) == tokens(alone)
        reverse = sample_captions(blip, images[::-1], KEYS[::-1], options(count=7, temperature=1.3))
        assert tokens(reverse) == tokens(alone[::-1])
    for one, other in zip(sum(together, []), sum(alone, []), strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)


def test_fewer_captions_are_the_first_of_more(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    many = sample_captions(blip, images, KEYS, options(count=9))
    assert tokens(sample_captions(blip, images, KEYS, options(count=2))) == [some[:2] for some in tokens(many)]


def test_threads_do_not_matter(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    one = sample_captions(blip, images, KEYS, FREE)
    torch.set_num_threads(2)
    try:
        assert tokens(sample_captions(blip, images, KEYS, FREE)) == tokens(one)
    finally:
        torch.set_num_threads(1)


def test_seed_and_key_make_the_captions_and_nothing_else_does(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    torch.manual_seed(1)
    one = tokens(sample_captions(blip, images[:1], ["x"], FREE))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert tokens(sample_captions(blip, images[:1], ["x"], FREE)) == one
    assert torch.equal(torch.get_rng_state(), before)
    assert tokens(sample_captions(blip, images[:1], ["y"], FREE)) != one
    assert tokens(sample_captions(blip, images[:1], ["x"], options(seed=1))) != one
    assert tokens(sample_captions(blip, images[:1], ["x"], options(seed=-(2**70)))) != one


PINNED_SEEDS = [(1187513805, 1941334363), (2137947919, 1103065741)]
PINNED_NUMBERS = [1.17532, 0.248048, 0.277215, 1.05899, 1.18617, 1.42124]


def test_random_numbers_stay_what_they_are() -> None:
    seeds = [row_seed(0, "a.jpg", 0, 0), row_seed(7, "ä\udcff", 39, 29)]
    assert seeds == PINNED_SEEDS
    numbers = exponential(seeds, 30_000, torch.device("cpu"))
    assert numbers[:, :3].flatten().tolist() == pytest.approx(PINNED_NUMBERS, rel=1e-5)
    assert torch.equal(exponential(seeds, 5, torch.device("cpu")), numbers[:, :5])
    assert numbers.mean(dim=1).tolist() == pytest.approx([1, 1], abs=0.03)
    assert numbers.var(dim=1).tolist() == pytest.approx([1, 1], abs=0.08)
    assert abs(float(torch.corrcoef(numbers)[0, 1])) < 0.03
    assert 0 < float(numbers.min()) and float(numbers.max()) < 33


# --- how the work is done --------------------------------------------------------------------------------------------


def counted(blip: BlipCaptioner, names: Sequence[str]) -> tuple[dict[str, list[int]], list[Any]]:
    """How large the batches are with which each of the named modules is called."""
    calls: dict[str, list[int]] = {name: [] for name in names}

    def note(name: str) -> Any:
        return lambda module, given, out: calls[name].append(len(out[0] if isinstance(out, tuple) else out))

    return calls, [blip.module.get_submodule(name).register_forward_hook(note(name)) for name in names]


def test_the_image_is_read_once_however_many_captions_it_gets(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    layers = [f"text_decoder.bert.encoder.layer.{n}." for n in range(2)]
    shared = [layer + f"crossattention.self.{part}" for layer in layers for part in ("key", "value")]
    vision = ["vision_model.encoder.layers.0.mlp.fc1"]
    calls, hooks = counted(blip, [*vision, *shared, layers[0] + "attention.self.key"])
    sample_captions(blip, images[:3], KEYS[:3], options(count=10, batch_size=2, min_new_tokens=12))
    for hook in hooks:
        hook.remove()
    for name in (*vision, *shared):
        assert calls[name] == [2, 1], name
    assert calls[layers[0] + "attention.self.key"] == [2, *[20] * 11, 1, *[10] * 11]


def test_captions_that_ended_leave_the_batch(
    blip: BlipCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = options(count=12, max_new_tokens=40, temperature=3.0)
    name = "text_decoder.bert.encoder.layer.0.attention.self.key"
    calls, hooks = counted(blip, [name])
    found = sample_captions(blip, images, KEYS, rules)
    hooks[0].remove()
    sizes = calls[name][1:]
    assert sizes[0] == 60 and sizes[-1] < 45 and sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(sys.modules["interrogator.captioners.decoding.decoder"], "_WORTH_CUTTING", 0.0)
    assert tokens(sample_captions(blip, images, KEYS, rules)) == tokens(found)
    monkeypatch.setattr(sys.modules["interrogator.captioners.decoding.decoder"], "_WORTH_CUTTING", 1.0)
    assert tokens(sample_captions(blip, images, KEYS, rules)) == tokens(found)


@pytest.mark.parametrize("room", [1, 4, 11])
def test_where_memory_runs_out_it_goes_on_with_less(blip: BlipCaptioner, images: list[Image.Image], room: int) -> None:
    expected = sample_captions(blip, images, KEYS, FREE)
    sizes: list[int] = []

    def too_much(module: Any, given: Any, out: torch.Tensor) -> None:
        sizes.append(len(out))
        if len(out) > room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    name = "text_decoder.bert.encoder.layer.1.attention.self.key"
    hook = blip.module.get_submodule(name).register_forward_hook(too_much)
    found = sample_captions(blip, images, KEYS, FREE)
    hook.remove()
    assert tokens(found) == tokens(expected)
    assert sum(size > room for size in sizes) <= 8


def test_other_errors_of_the_model_come_out(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("something else")

    hook = blip.module.get_submodule("text_decoder.cls").register_forward_pre_hook(fails)
    with pytest.raises(RuntimeError, match="something else"):
        sample_captions(blip, images, KEYS, FREE)
    hook.remove()


class Stop(Exception):
    pass


def test_progress_is_told_between_layers_and_may_stop_the_work(
    blip: BlipCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_REPEAT_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    expected = sample_captions(
        blip, images, KEYS, options(batch_size=2), lambda done, total: calls.append((done, total))
    )
    assert calls[0] == (0, 5) and calls[-1] == (5, 5) and calls == sorted(calls)
    assert calls.count((2, 5)) > 50

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) > 100:
            raise Stop

    calls.clear()
    with pytest.raises(Stop):
        sample_captions(blip, images, KEYS, FREE, stop)
    assert len(calls) == 101
    assert tokens(sample_captions(blip, images, KEYS, FREE)) == tokens(expected)
    assert not any(module._forward_pre_hooks for module in blip.module.modules())


def test_half_precision_works(tmp_path: Path, images: list[Image.Image]) -> None:
    half = load(write_blip(tmp_path / "blip"), "bf16")
    found = sample_captions(half, images, KEYS, FREE)
    assert len({one.tokens for some in found for one in some}) > 10
    assert all(math.isfinite(one.log_probability) and one.log_probability < 0 for some in found for one in some)


# --- rules -----------------------------------------------------------------------------------------------------------


def test_length_limits_hold(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    found = sample_captions(blip, images, KEYS, options(count=20, min_new_tokens=3, max_new_tokens=6, temperature=2.0))
    lengths = {len(one.tokens) for some in found for one in some}
    assert lengths == {3, 4, 5, 6}
    assert all(one.ended or len(one.tokens) == 6 for some in found for one in some)
    one = sample_captions(blip, images[:1], ["x"], options(max_new_tokens=1, min_new_tokens=1))
    assert all(len(caption.tokens) == 1 and not caption.ended for caption in one[0])
    with pytest.raises(RequestError, match="the prefix .3 tokens. and max_new_tokens .61. exceed the 63"):
        sample_captions(blip, images, KEYS, options(prefix="a picture of", max_new_tokens=61))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_tokens_comes_twice(blip: BlipCaptioner, images: list[Image.Image], size: int) -> None:
    rules = options(no_repeat_ngram_size=size, temperature=0.3, max_new_tokens=20)
    for one in sum(sample_captions(blip, images, KEYS, rules), []):
        runs = [one.tokens[start : start + size] for start in range(len(one.tokens) - size + 1)]
        assert len(set(runs)) == len(runs)
    assert repeating([1, 2, 3, 1, 2], 3) == {3} and repeating([1, 2], 3) == set()


def test_a_caption_that_may_go_on_with_nothing_ends() -> None:
    scores = torch.zeros(2, 4)
    forbid(scores, [(1, token) for token in range(4)] + [(0, 2)], end=2)
    assert Draw(1.0, 0, 1.0).choose(scores, [(1, 2), (3, 4)]).tolist()[1] == 2
    assert scores[0].tolist() == [0, 0, float("-inf"), 0]


def test_the_prefix_steers_and_is_left_out_unless_kept(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    left = sample_captions(blip, images, KEYS, options(prefix="A picture  of", max_new_tokens=6))
    kept = sample_captions(blip, images, KEYS, options(prefix="A picture  of", max_new_tokens=6, keep_prefix=True))
    assert tokens(left) == tokens(kept) != tokens(sample_captions(blip, images, KEYS, options(max_new_tokens=6)))
    assert all(one.text.startswith("a picture of") for some in kept for one in some)


def test_words_are_stripped_from_finished_captions(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    free = sample_captions(blip, images, KEYS, FREE)
    word = next(word for some in free for one in some if len(one.text.split()) > 3 for word in one.text.split())
    stripped = sample_captions(blip, images, KEYS, options(strip=(word,)))
    assert tokens(stripped) == tokens(free) and texts(stripped) != texts(free)
    assert not any(word in one.text.split() for some in stripped for one in some if one.text != word)


FORBIDDEN = ("A", "cat", "Blue", "red  of", "of on", "ab", "b-c", "with a1", ".")


def holds(tokenizer: Any, text: str, phrase: str) -> bool:
    def words(of: str) -> list[str]:
        return [part for part, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(of.lower())]

    inside, looked_for = words(text), words(phrase)
    return any(inside[place : place + len(looked_for)] == looked_for for place in range(len(inside)))


@pytest.mark.parametrize("prefix", [{}, {"prefix": "a drawing of"}, {"prefix": "red", "keep_prefix": True}])
def test_forbidden_words_are_never_written(demo_blip: BlipCaptioner, prefix: dict[str, Any]) -> None:
    """At this temperature every token is about as likely, so words are cut into letters in every way."""
    wild: dict[str, Any] = {"count": 400, "temperature": 1000.0, "max_new_tokens": 20, **prefix}
    some = [demo.creature(1)[0]]
    tokenizer = demo_blip.processor.tokenizer
    free = [one.text for one in sample_captions(demo_blip, some, ["x"], options(**wild))[0]]
    held = [one.text for one in sample_captions(demo_blip, some, ["x"], options(forbidden=FORBIDDEN, **wild))[0]]
    assert sum(holds(tokenizer, text, phrase) for text in free for phrase in FORBIDDEN) > 100
    assert not [(text, phrase) for text in held for phrase in FORBIDDEN if holds(tokenizer, text, phrase)]
    assert len(set(held)) > 300


def test_a_forbidden_word_is_known_however_it_is_cut(demo_blip: BlipCaptioner) -> None:
    tokenizer = demo_blip.processor.tokenizer
    ids = tokenizer.get_vocab()

    def after(phrase: str, *tokens: str) -> list[str]:
        found = ForbiddenWords([phrase], tokenizer).after([ids[token] for token in tokens])
        return sorted(tokenizer.convert_ids_to_tokens(list(found)))

    assert after("Cat") == ["cat"]  # `##cat` is no token here
    assert after("cat", "red", "c", "##a") == ["##t", "cat"]
    assert after("CÁT", "##c", "##a") == ["##t", "cat"]  # a text may begin inside a word
    assert after("t") == ["##t", "t"] and after("t", "cat") == ["t"]
    assert after("red cat", "red") == ["cat"] and after("red cat", "a") == []
    assert after("red cat", "r", "##e", "##d", "c", "##a") == ["##t"]
    assert after("red cat", "red", "[SEP]", "c", "##a") == ["##t"]
    assert after("b-c", "b") == [] and after("b-c", "a", "##b", "-") == []
    assert after("cat", "cat") == ["cat"]
    assert after(".", "cat") == ["##.", "."] and after("b-c", "b", "##-") == ["##c", "c"]
    assert not ForbiddenWords([], tokenizer) and list(ForbiddenWords([], tokenizer).after([1])) == []
    with pytest.raises(RequestError, match="must not be empty"):
        ForbiddenWords([" "], tokenizer)


def test_the_greedy_caption_goes_round_a_forbidden_word(demo_blip: BlipCaptioner) -> None:
    image, truth = demo.creature(3)
    rules = options(count=1, temperature=0, max_new_tokens=32, forbidden=(truth.color.upper(),))
    plain = demo_blip.caption(prepared(demo_blip, [image]))[0]
    assert truth.color in plain.split()
    around = sample_captions(demo_blip, [image], ["x"], rules)[0][0].text
    assert truth.color not in around.split() and len(around.split()) > 4


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"count": 0}, "count must be an integer of at least 1, got 0"),
        ({"count": True}, "count must be"),
        ({"top_k": -1}, "top_k must be"),
        ({"top_p": 0.0}, "top_p must be a number above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p"),
        ({"temperature": -1}, "temperature must be a number of at least 0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"seed": 1.0}, "seed must be an integer"),
        ({"forbidden": "cat"}, "forbidden must be a list of words"),
        ({"forbidden": (3,)}, "forbidden"),
        ({"min_new_tokens": 31, "max_new_tokens": 30}, r"min_new_tokens \(31\) must not exceed max_new_tokens \(30\)"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"batch_size": 0}, "batch_size"),
        ({"strip": "x"}, "strip must be a list"),
    ],
)
def test_wrong_options_are_refused_plainly(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        SamplingOptions(**settings)


def test_options_can_be_compared_and_kept() -> None:
    assert SamplingOptions(forbidden=["x"], strip=["y"]) == SamplingOptions(  # type: ignore[arg-type]
        forbidden=("x",), strip=("y",)
    )
    assert hash(SamplingOptions()) == hash(SamplingOptions())


def test_the_numbers_of_laion_coco_can_be_used(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    assert (LAION_COCO.count, LAION_COCO.top_k, round(LAION_COCO.top_p, 4)) == (40, 9607, 0.2427)
    assert [len(some) for some in sample_captions(blip, images[:2], KEYS[:2], LAION_COCO)] == [40, 40]


def test_wrong_calls_are_refused_plainly(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    assert sample_captions(blip, [], []) == []
    with pytest.raises(RequestError, match="got 4 keys for 5 images"):
        sample_captions(blip, images, KEYS[:4])
    with pytest.raises(ImageReadError, match="not a PIL image"):
        sample_captions(blip, ["x.jpg"], ["x"])  # type: ignore[list-item]
    with pytest.raises(ModelError, match="not a BLIP captioner"):
        BlipCaptioner(torch.nn.Linear(2, 2), blip.processor)


def test_a_text_decoder_of_another_build_is_refused(tmp_path: Path, images: list[Image.Image]) -> None:
    changed: Any = load(write_blip(tmp_path / "blip"))
    del changed.module.text_decoder.bert.encoder.layer[1].crossattention
    with pytest.raises(ModelError, match="does not have the text transformer of a BLIP: .*crossattention"):
        sample_captions(changed, images, KEYS, FREE)


def test_both_ways_of_asking_share_their_defaults() -> None:
    one, many = CaptionOptions(), SamplingOptions()
    assert (one.strip, one.prefix, one.batch_size) == (many.strip, many.prefix, many.batch_size)
