"""Chat models as captioners: questions, lengths, loops, thinking, images that cannot be read, threads, cancelling."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from interrogator.captioners import CaptionOptions, SamplingOptions
from interrogator.captioners.abilities import check
from interrogator.captioners.answers import CUT, LOOPED
from interrogator.captioners.chat.captioner import ChatCaptioner
from interrogator.captioners.chat.families import FAMILIES, family_of
from interrogator.errors import CaptionError, RequestError
from interrogator.models import Answer, Answers, Samples

from .small_models import pictures
from .test_chat_families import OLD
from .tiny_chat import (
    write_blip2_opt,
    write_blip2_t5,
    write_git,
    write_joycaption,
    write_llava,
    write_qwen2_5_vl,
)

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

PLAIN = CaptionOptions(strip=(), max_new_tokens=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("chat") / "llava")


@pytest.fixture(scope="module")
def llava(folder: Path) -> ChatCaptioner:
    return load(folder)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> ChatCaptioner:
    if OLD:
        pytest.skip("transformers 4 cannot write it")
    return load(write_qwen2_5_vl(tmp_path_factory.mktemp("chat") / "qwen"))


@pytest.fixture(scope="module")
def ready() -> list[Any]:
    return [ChatCaptioner.prepare(None, image) for image in pictures(4)]  # type: ignore[arg-type]


def load(folder: Path) -> ChatCaptioner:
    return ChatCaptioner.load(folder, device="cpu", dtype="fp32")


class Script:
    """Makes a model write given tokens, one list a call of `generate`; notes the settings of each call."""

    def __init__(self, captioner: ChatCaptioner, monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
        self.settings: list[dict[str, Any]] = []
        self.rows: list[int] = []
        tokenizer = captioner.processor.tokenizer
        kind: Any = type(captioner.module)
        script = iter([tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts])
        end = captioner._ends[0]

        def generate(model: Any, input_ids: torch.Tensor, **settings: Any) -> torch.Tensor:
            self.settings.append(settings)
            self.rows.append(len(input_ids))
            tokens = next(script)
            (watch,), (rules,) = settings["stopping_criteria"], settings["logits_processor"]
            ids = input_ids
            for token in [*tokens, end][: settings["max_new_tokens"]]:
                rules(ids, torch.zeros(len(ids), len(tokenizer)))
                ids = torch.cat([ids, torch.full((len(ids), 1), token)], dim=1)
                if bool(watch(ids, None).all()):
                    break
            return ids

        monkeypatch.setattr(kind, "generate", generate)


def length(captioner: ChatCaptioner, text: str) -> int:
    """In tokens, without the end."""
    return len(captioner.processor.tokenizer(text, add_special_tokens=False)["input_ids"])


# --- questions and lengths --------------------------------------------------------------------------------------------


def test_it_follows_questions_and_says_so(llava: ChatCaptioner) -> None:
    assert isinstance(llava, Answers) and isinstance(llava, Samples)
    assert {"short", "detailed", "tags"} <= set(llava.prompts)
    assert llava.abilities >= {"prompt", "beams", "sampling", "prefix", "forbidden words", "system prompt"}


def test_the_question_is_the_familys_own_a_named_one_or_words(llava: ChatCaptioner, ready: list[Any]) -> None:
    own = llava.answer(ready, PLAIN)
    assert own == llava.answer(ready, replace(PLAIN, ask="detailed")), "which is the family's own"
    others = [llava.answer(ready, replace(PLAIN, ask=ask)) for ask in ("short", "where is the cat?")]
    assert own not in others and others[0] != others[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ask": "detailled"}, "unknown named prompt 'detailled'; choose from short, detailed"),
        ({"ask": "training"}, "give a trigger word"),
        ({"max_new_tokens": 10_000}, r"exceed the 4096 tokens .* ask less, or lower max_new_tokens"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(
    llava: ChatCaptioner, ready: list[Any], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        llava.answer(ready, replace(PLAIN, **changes))
    if "ask" in changes:
        with pytest.raises(RequestError, match=says):
            check(llava, replace(PLAIN, **changes))


@pytest.mark.parametrize(
    ("write", "changes", "lacks"),
    [
        (write_git, {"ask": "what?"}, "questions"),
        (write_git, {"system": "what?"}, "a system prompt"),
        (write_blip2_t5, {"prefix": "a"}, "prefix"),
        (write_blip2_opt, {"system": "be kind"}, "a system prompt"),
    ],
)
def test_what_a_family_cannot_do_is_a_sentence_before_any_work(
    tmp_path: Path, write: Any, changes: dict[str, Any], lacks: str
) -> None:
    captioner = load(write(tmp_path / "model"))
    for options in (replace(PLAIN, **changes), SamplingOptions(**changes)):
        with pytest.raises(RequestError, match=f"cannot do {lacks}; use another captioner"):
            check(captioner, options)
    with pytest.raises(RequestError, match=f"cannot do {lacks}"):
        captioner.answer([captioner.prepare(pictures(1)[0])], replace(PLAIN, **changes))


def test_the_tags_of_each_image_stand_in_its_question(qwen: ChatCaptioner, ready: list[Any]) -> None:
    options = replace(PLAIN, ask="tag-grounded", tags=("cat", "a red boat", "sea", "dog, tree"))
    assert qwen.answer(ready, options) != qwen.answer(ready, replace(options, tags=("dog",) * 4))
    with pytest.raises(RequestError, match="give the tags of each image"):
        qwen.answer(ready, replace(options, tags=("cat",)))


@pytest.mark.parametrize(
    ("write", "length"), [(write_llava, 256), (write_joycaption, 512), (write_git, 50), (write_blip2_opt, 50)]
)
def test_a_family_has_a_length_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: list[Any], write: Any, length: int
) -> None:
    captioner = load(write(tmp_path / "model"))
    asked: list[int] = []

    def note(*args: Any, **settings: Any) -> list[Any]:
        asked.append(settings["max_new_tokens"])
        raise InterruptedError

    monkeypatch.setattr(sys.modules["interrogator.captioners.chat.captioner"], "write", note)
    for options in (CaptionOptions(), CaptionOptions(max_new_tokens=7)):
        with pytest.raises(InterruptedError):
            captioner.answer(ready, options)
    assert asked == [length, 7]


def test_joycaption_has_a_system_prompt_of_its_own_and_other_llavas_have_none(
    tmp_path: Path, llava: ChatCaptioner
) -> None:
    joy = load(write_joycaption(tmp_path / "joy"))
    own = "You are a helpful image captioner."
    assert own in joy._texts(PLAIN, 1)[0] and own not in llava._texts(PLAIN, 1)[0]
    other = joy._texts(replace(PLAIN, system="Be brief."), 1)[0]
    assert "Be brief." in other and own not in other


def test_settings_beside_the_weights_do_not_change_captions(
    tmp_path: Path, llava: ChatCaptioner, ready: list[Any]
) -> None:
    folder = write_llava(tmp_path / "llava")
    path = folder / "generation_config.json"
    settings = {
        "do_sample": True, "temperature": 5.0, "top_k": 3, "top_p": 0.1, "num_beams": 4, "repetition_penalty": 3.0,
        "no_repeat_ngram_size": 1, "max_length": 3, "min_new_tokens": 9, "length_penalty": 9.0,
    }  # fmt: skip
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **settings}), "utf-8")
    other = load(folder)
    assert other.answer(ready, PLAIN) == llava.answer(ready, PLAIN)
    assert other.answer(ready, replace(PLAIN, num_beams=3)) == llava.answer(ready, replace(PLAIN, num_beams=3))
    assert other.module.generation_config.num_beams == 4, "what belongs to the caller stays as it is"


def test_a_temperature_samples_by_what_is_in_the_image(llava: ChatCaptioner, ready: list[Any]) -> None:
    options = replace(PLAIN, temperature=1.0, top_p=1.0)
    sampled = llava.answer(ready, options)
    assert sampled != llava.answer(ready, PLAIN) and sampled != llava.answer(ready, replace(options, seed=1))
    assert sampled[2] == llava.answer(ready[2:3], options)[0]


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_cleaned_and_in_one_line(
    llava: ChatCaptioner, ready: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Certainly! Here is a description:\n\nThe image shows a cat.\n\nIt sleeps. And the"
    Script(llava, monkeypatch, text, text)
    limit = length(llava, text)
    assert llava.answer(ready[:1], CaptionOptions(max_new_tokens=limit)) == [Answer("A cat. It sleeps.", (CUT,))]
    whole = Answer("A cat. It sleeps. And the")
    assert llava.answer(ready[:1], CaptionOptions(max_new_tokens=limit + 1)) == [whole]


def test_a_loop_is_stopped_and_tried_once_more(
    llava: ChatCaptioner, ready: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = "A cat" + " sits on a tree and" * 40
    script = Script(llava, monkeypatch, loop, "A dog.")
    assert llava.answer(ready[:2], CaptionOptions()) == [Answer("A dog.", (LOOPED,))] * 2
    first, second = script.settings
    assert first["logits_processor"][0].rules.repetition_penalty == 1.0
    assert second["logits_processor"][0].rules.repetition_penalty == pytest.approx(1.1)
    # A text that loops twice is cut at the loop.
    Script(llava, monkeypatch, loop, f"It is red. {loop}")
    (answer,) = llava.answer(ready[:1], CaptionOptions())
    assert answer == Answer("It is red.", (CUT, LOOPED))


def test_only_the_image_that_loops_is_tried_again(llava: ChatCaptioner, ready: list[Any]) -> None:
    """With a real model: those that end by themselves keep their answer."""
    options = replace(PLAIN, max_new_tokens=120)
    answers = llava.answer(ready, options)
    assert answers == [llava.answer([one], options)[0] for one in ready]
    for answer, short in zip(answers, llava.answer(ready, PLAIN), strict=True):
        if not answer.remarks:
            assert answer == short or CUT in short.remarks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the model wrote nothing about the image"),
        ("<think>It is a cat, or", "not come to an answer; raise max_new"),
    ],
)
def test_an_empty_answer_is_an_error_of_its_image(
    llava: ChatCaptioner, ready: list[Any], monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    options = replace(PLAIN, max_new_tokens=max(1, length(llava, text)))
    Script(llava, monkeypatch, text, text)
    (answer,) = llava.answer(ready[:1], options)
    assert answer.text == "" and says in answer.error
    with pytest.raises(CaptionError, match=f"image 1 of 1: .*{says}"):
        llava.caption(ready[:1], options)


@pytest.mark.skipif(OLD, reason="transformers 4 writes the template into JSON")
def test_thinking_that_the_prompt_began_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_llava(tmp_path / "thinks")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text("utf-8").replace("'ASSISTANT:'", "'ASSISTANT:<think>'"), "utf-8")
    captioner = load(folder)
    one = [captioner.prepare(pictures(1)[0])]
    Script(captioner, monkeypatch, "It may be a cat.</think>A cat.", "It may be a cat, or it")
    assert captioner.answer(one, CaptionOptions()) == [Answer("A cat.")]
    (answer,) = captioner.answer(one, replace(PLAIN, max_new_tokens=8))
    assert not answer.text and "raise max_new_tokens" in answer.error


# --- images -----------------------------------------------------------------------------------------------------------


def test_prepared_images_are_small_enough_to_keep(llava: ChatCaptioner) -> None:
    for mode, size in (("RGB", (4000, 3000)), ("RGBA", (50, 60)), ("L", (9, 7)), ("P", (5000, 200))):
        prepared = llava.prepare(Image.new(mode, size))
        assert prepared.dtype.name == "uint8" and prepared.shape[2] == 3
        assert prepared.shape[0] * prepared.shape[1] <= 2_097_152
        if size[0] * size[1] <= 2_097_152:
            assert prepared.shape[:2] == size[::-1], "nothing is enlarged"
        else:
            assert prepared.shape[1] / prepared.shape[0] == pytest.approx(size[0] / size[1], rel=0.01)


def test_images_are_shrunk_to_the_area_that_was_asked_for(qwen: ChatCaptioner, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    tensors = qwen._inputs.tensors
    monkeypatch.setattr(
        qwen._inputs, "tensors", lambda images, texts: (seen.extend(i.size for i in images), tensors(images, texts))[1]
    )
    ready = [qwen.prepare(Image.new("RGB", size, "red")) for size in ((1600, 1200), (300, 200))]
    qwen.answer(ready, PLAIN)
    qwen.answer(ready, replace(PLAIN, max_pixels=40_000))
    (wide, small, less, least) = seen
    assert wide[0] * wide[1] <= 1_048_576 and wide[0] / wide[1] == pytest.approx(4 / 3, rel=0.01)
    assert small == (300, 200)
    assert less[0] * less[1] <= 40_000 and least[0] * least[1] <= 40_000


def test_an_image_that_the_processor_refuses_is_an_error_of_its_own(qwen: ChatCaptioner, ready: list[Any]) -> None:
    narrow = np.full((900, 1, 3), 99, np.uint8)  # Qwen-VL takes no more than 200 to 1; `prepare` would pad it
    first, refused, last = qwen.answer([ready[0], narrow, ready[1]], PLAIN)
    assert refused.text == "" and "cannot read an image of 1 x 900 pixels" in refused.error
    assert [first, last] == qwen.answer(ready[:2], PLAIN)
    with pytest.raises(CaptionError, match="image 2 of 3: .*cannot read an image of 1 x 900"):
        qwen.caption([ready[0], narrow, ready[1]], PLAIN)
    (only,) = qwen.answer([narrow], PLAIN)
    assert only.error == refused.error


# --- threads, devices, cancelling -------------------------------------------------------------------------------------


def test_threads_with_questions_of_their_own_do_not_disturb_each_other(qwen: ChatCaptioner, ready: list[Any]) -> None:
    asks = [
        "what is this?",
        "describe the sea, the trees and the boat in this picture",
        "color?",
        "a long question " * 5,
    ]
    expected = [qwen.answer(ready, replace(PLAIN, ask=ask)) for ask in asks]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda ask: qwen.answer(ready, replace(PLAIN, ask=ask), lambda d, t: None), asks))
    assert found == expected


def test_a_module_that_is_moved_is_followed(folder: Path, ready: list[Any]) -> None:
    captioner = load(folder)
    captioner.module.to(torch.bfloat16)
    assert captioner.dtype == torch.bfloat16
    assert captioner.answer(ready, PLAIN)


class Stop(Exception):
    pass


def test_a_long_answer_can_be_cancelled_between_tokens(
    llava: ChatCaptioner, ready: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_REPEAT_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == 300:
            raise Stop

    rules = SamplingOptions(count=2, min_new_tokens=50, max_new_tokens=60)
    for work in (
        lambda: llava.answer(ready, replace(PLAIN, min_new_tokens=50, max_new_tokens=60), stop),
        lambda: llava.sample(ready, ["a", "b", "c", "d"], rules, stop),
    ):
        calls.clear()
        with pytest.raises(Stop):
            work()
        assert len(calls) == 300 and calls[-1] == (0, 4)


def test_keys_have_to_be_one_for_each_image(llava: ChatCaptioner, ready: list[Any]) -> None:
    with pytest.raises(RequestError, match="got 1 keys for 4 images"):
        llava.sample(ready, ["a"])
    with pytest.raises(RequestError, match="forbidden words must not be empty"):
        llava.sample(ready, ["a", "b", "c", "d"], SamplingOptions(forbidden=("cat", " ")))


def test_pictures_of_pixtral_keep_their_shape() -> None:
    from transformers import CLIPVisionConfig, LlavaConfig, PixtralVisionConfig

    assert family_of(LlavaConfig(vision_config=PixtralVisionConfig())).image_tokens == "any"
    assert family_of(LlavaConfig(vision_config=CLIPVisionConfig())).image_tokens == "run"


def test_every_family_has_a_question_or_needs_none() -> None:
    for name, kind in FAMILIES.items():
        assert kind.question or name in ("git", "blip-2")
        assert 20 <= kind.max_new_tokens <= 1024
        assert kind.asked or not kind.question
