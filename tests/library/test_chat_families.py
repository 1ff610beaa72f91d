"""What holds for every family of chat models, with a tiny checkpoint of each in the files of transformers 4 and 5."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from interrogator import catalog
from interrogator.captioners import CaptionOptions, SamplingOptions
from interrogator.captioners.answers import clean
from interrogator.captioners.chat.captioner import ChatCaptioner
from interrogator.captioners.chat.families import FAMILIES
from interrogator.errors import ModelLoadError, RequestError
from interrogator.registry import load_captioner

from .small_models import pictures
from .tiny_chat import CHAT_WRITERS, known_here

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

NAMES = [name for name in CHAT_WRITERS if name != "florence2"]  # which has its own captioner, and tests
LAYOUTS = ("5", "4")
OLD = int(version("transformers").partition(".")[0]) < 5
ASK = "what is in this picture?"
PLAIN = CaptionOptions(strip=(), max_new_tokens=10)
LONG = "lake, sea, tall trees, a boat, two dogs, a man with a hat"

Files = Callable[[str, str], Path]


def written_by(name: str, folder: Path, layout: str) -> Path:
    """A checkpoint, or the test is skipped where the transformers installed here is too old to write it."""
    try:
        return CHAT_WRITERS[name](folder, layout=layout)
    except (ImportError, TypeError):
        if not OLD:
            raise
        pytest.skip("transformers 4 cannot write it")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Writes each checkpoint once."""
    written: dict[tuple[str, str], Path] = {}

    def write(name: str, layout: str) -> Path:
        if (name, layout) not in written:
            folder = tmp_path_factory.mktemp("chat") / name.replace("/", "-")
            written[name, layout] = written_by(name, folder, layout)
        return written[name, layout]

    return write


@pytest.fixture(scope="session", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    given: str = request.param
    if not known_here(given):
        pytest.skip("needs a newer transformers")
    if given == "gemma3" and OLD:
        pytest.skip("its checkpoint has an image size that only transformers 5 reads")
    if given == "smolvlm":
        pytest.importorskip("num2words", reason="transformers wants it for SmolVLM")
    return given


@pytest.fixture(scope="session")
def model(name: str, files: Files) -> ChatCaptioner:
    return ChatCaptioner.load(files(name, "5"), device="cpu", dtype="fp32")


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    return pictures(4, seed=1)


def prepared(model: ChatCaptioner, images: list[Image.Image]) -> list[Any]:
    return [model.prepare(image) for image in images]


def asked(model: ChatCaptioner, options: CaptionOptions = PLAIN) -> CaptionOptions:
    """Options with a question for those that can be asked."""
    return replace(options, ask=ASK) if "prompt" in model.abilities else options


def one_line(text: str) -> str:
    return " ".join(text.split())


# --- against transformers, one image at a time ------------------------------------------------------------------------


def reference(name: str, folder: Path, images: list[Image.Image], length: int) -> list[str]:
    """Captions by the loop that model cards show: processor and `generate`, one image at a time, greedy.

    An unfinished last sentence is cut as `answers.clean` does.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    captions = []
    for image in images:
        inputs = reference_inputs(name, processor, image)
        inputs.pop("labels", None)
        if "token_type_ids" not in signature(model.forward).parameters:
            inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            ids = model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=length)[0]
        ask = inputs.get("input_ids")
        if ask is not None and torch.equal(ids[: ask.shape[1]], ask[0]):
            ids = ids[ask.shape[1] :]
        text = processor.decode(ids, skip_special_tokens=True)
        ends = model.generation_config.eos_token_id
        finished = int(ids[-1]) in (ends if isinstance(ends, list) else [ends]) and len(ids) > 1
        captions.append(one_line(clean(text, finished)[0]))
    return captions


def reference_inputs(name: str, processor: Any, image: Image.Image) -> dict[str, Any]:
    if name == "llava/joycaption":  # as its author has it: contents are texts
        turns = [
            {"role": "system", "content": "You are a helpful image captioner."},
            {"role": "user", "content": ASK},
        ]
        text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return dict(processor(text=[text], images=[image], add_special_tokens=False, return_tensors="pt"))
    if getattr(processor, "chat_template", None):
        turns = [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": ASK}]}]
        return dict(
            processor.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
                enable_thinking=False,
            )
        )  # fmt: skip
    if name == "git":
        return dict(processor(images=image, return_tensors="pt"))
    text = f"<image>{ASK}" if name == "paligemma" else ASK
    return dict(processor(images=image, text=text, return_tensors="pt"))


def test_captions_are_those_of_the_loop_around_transformers(
    name: str, model: ChatCaptioner, files: Files, images: list[Image.Image]
) -> None:
    expected = reference(name, files(name, "5"), images, 10)
    assert len(set(expected)) > 1, "else nothing is compared"
    answers = model.answer(prepared(model, images), asked(model))
    assert [answer.text for answer in answers] == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_load_to_the_same_captioner(
    name: str, model: ChatCaptioner, files: Files, images: list[Image.Image], layout: str
) -> None:
    other = load_captioner(files(name, layout), device="cpu", dtype="fp32")
    assert isinstance(other, ChatCaptioner) and other.abilities == model.abilities
    ready = prepared(model, images)
    for options in (PLAIN, asked(model)):
        assert other.answer(ready, options) == model.answer(ready, options)


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_says_what_each_image_alone_says(model: ChatCaptioner, images: list[Image.Image], beams: int) -> None:
    ready = prepared(model, images)
    options = asked(model, replace(PLAIN, num_beams=beams))
    together = model.answer(ready, options)
    assert together == [model.answer([one], options)[0] for one in ready]
    assert model.answer(ready[::-1], options) == together[::-1]
    assert model.answer(ready, replace(options, batch_size=3)) == together
    assert model.answer([], options) == []


def test_questions_of_different_lengths_do_not_disturb_each_other(
    model: ChatCaptioner, images: list[Image.Image]
) -> None:
    if "prompt" not in model.abilities:
        pytest.skip("asks nothing")
    tags = ("cat", LONG, "", "sea, sky")
    options = replace(PLAIN, ask="these tags may help: {tags}.", repetition_penalty=1.3, no_repeat_ngram_size=2)
    ready = prepared(model, images)
    together = model.answer(ready, replace(options, tags=tags))
    alone = [model.answer([one], replace(options, tags=(tag,)))[0] for one, tag in zip(ready, tags, strict=True)]
    assert together == alone
    assert together != model.answer(ready, replace(options, tags=("",) * 4)), "the tags are read"


def test_samples_of_an_image_do_not_hang_on_the_batch(model: ChatCaptioner, images: list[Image.Image]) -> None:
    ready, keys = prepared(model, images), ["a", "b", "c", "d"]
    rules = SamplingOptions(count=3, min_new_tokens=2, max_new_tokens=8, strip=(), ask=asked(model).ask)
    sampled = model.sample(ready, keys, rules)
    assert len({one.text for some in sampled for one in some}) > 4
    assert all(len(one.tokens) >= 2 and one.log_probability < 0 for some in sampled for one in some)
    for batch_size in (1, 5):
        again = model.sample(ready, keys, replace(rules, batch_size=batch_size))
        assert [[one.tokens for one in some] for some in again] == [[one.tokens for one in some] for some in sampled]
    first = model.sample(ready[1:2], keys[1:2], replace(rules, count=1))
    assert first[0][0].text == sampled[1][0].text
    assert model.sample(ready, keys, replace(rules, seed=1)) != sampled
    likeliest = model.sample(ready, keys, replace(rules, count=1, temperature=0.0, min_new_tokens=0))
    greedy = model.answer(ready, asked(model, replace(PLAIN, max_new_tokens=8)))
    assert [some[0].text for some in likeliest] == [answer.text for answer in greedy]


def test_a_vision_tower_may_read_pictures_one_by_one(
    model: ChatCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = prepared(model, images)
    expected = model.answer(ready, asked(model))
    groups = sys.modules["interrogator.captioners.chat.vision_groups"]
    forward, sizes = nn.Conv2d._conv_forward, []

    def note(self: nn.Conv2d, pixels: torch.Tensor, *args: Any) -> torch.Tensor:
        sizes.append(len(pixels))
        return forward(self, pixels, *args)

    monkeypatch.setattr(groups, "_CPU_SCORES", 1)
    monkeypatch.setattr(groups, "_CPU_PIXELS", 1)
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", note)
    assert model.answer(ready, asked(model)) == expected
    if hasattr(model.module.config.vision_config, "image_size") and sizes:
        assert set(sizes) == {1}
    assert not any("forward" in vars(module) for module in model.module.modules()), "only the view was changed"


# --- what was asked for -----------------------------------------------------------------------------------------------


def test_an_answer_can_be_begun(model: ChatCaptioner, images: list[Image.Image]) -> None:
    if "prefix" not in model.abilities:
        pytest.skip("no answer can be begun")
    ready = prepared(model, images)
    options = asked(model, replace(PLAIN, prefix="a red boat"))
    kept = model.answer(ready, replace(options, keep_prefix=True))
    bare = model.answer(ready, options)
    for whole, rest in zip(kept, bare, strict=True):
        assert whole.text.startswith("a red boat")
        assert whole.remarks or whole.text.endswith(rest.text)
    assert bare != model.answer(ready, asked(model)), "it steers the answer"
    assert [answer.text for answer in bare] == [model.answer([one], options)[0].text for one in ready]


def test_words_are_forbidden(model: ChatCaptioner, images: list[Image.Image]) -> None:
    ready, keys = prepared(model, images), ["a", "b", "c", "d"]
    rules = SamplingOptions(count=2, max_new_tokens=8, strip=())
    words = [word for some in model.sample(ready, keys, rules) for one in some for word in one.text.split()]
    word = max((word for word in set(words) if word.isalpha()), key=words.count)
    without = model.sample(ready, keys, replace(rules, forbidden=(word.upper(),)))
    assert without != model.sample(ready, keys, rules)
    assert not any(word in one.text.split() for some in without for one in some)


def test_the_system_prompt_is_followed_where_it_can_be(model: ChatCaptioner, images: list[Image.Image]) -> None:
    if "system prompt" not in model.abilities:
        pytest.skip("knows no system prompt")
    ready = prepared(model, images)
    assert model.answer(ready, replace(asked(model), system="You like boats.")) != model.answer(ready, asked(model))


def test_a_caption_longer_than_the_model_has_positions_for_is_refused(
    model: ChatCaptioner, images: list[Image.Image]
) -> None:
    module: Any = model.module
    if not hasattr(module.config.get_text_config(), "max_position_embeddings"):
        pytest.skip("has positions without end")
    with pytest.raises(RequestError, match="tokens that .* can read and write"):
        model.answer(prepared(model, images[:1]), replace(asked(model), max_new_tokens=1_000_000))


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_tensor_is_named(name: str, tmp_path: Path, layout: str) -> None:
    folder = written_by(name, tmp_path / "broken", layout)
    (path,) = folder.glob("*.safetensors")
    whole = load_file(path)
    for lost in sorted(whole)[:: max(1, len(whole) // 3)]:
        save_file({key: value for key, value in whole.items() if key != lost}, path, metadata={"format": "pt"})
        with pytest.raises(ModelLoadError) as caught:
            load_captioner(folder, device="cpu", dtype="fp32")
        assert lost in str(caught.value) and str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_it_computes_in_the_dtype_that_was_asked_for(
    name: str, files: Files, images: list[Image.Image], dtype: str
) -> None:
    model = load_captioner(files(name, "5"), device="cpu", dtype=dtype)
    assert model.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    ready = [model.prepare(image) for image in images[:2]]
    assert model.answer(ready, PLAIN) == model.answer(ready, PLAIN)


def test_every_listed_type_has_a_row_and_a_checkpoint() -> None:
    (family,) = [each for each in catalog.FAMILIES if each.name == "chat"]
    assert family.marker is not None
    listed = set(family.marker.model_types)
    assert listed == set(FAMILIES) - {"florence2"}
    tried = {name.split("/")[0] for name in NAMES}
    assert listed - tried == {"qwen3_vl_moe", "qwen3_5_moe"}, "which differ in the text part only"
