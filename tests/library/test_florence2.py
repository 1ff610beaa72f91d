"""Florence-2: the layout of its first code computes what that code computed, and is refused where it is not whole."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from interrogator.captioners import CaptionOptions
from interrogator.captioners.florence2.captioner import Florence2Captioner
from interrogator.captioners.florence2.checkpoint import load_florence2
from interrogator.captioners.florence2.legacy import EMBEDDINGS, legacy_name
from interrogator.errors import ModelLoadError, ModelNotFoundError, RequestError
from interrogator.registry import load_captioner

from .legacy_florence import (
    LegacyFlorence,
    Stored,
    legacy_florence,
    pixels_of,
    question_ids,
    write_legacy_florence2,
)
from .tiny_chat import known_here, write_florence2

pytestmark = [
    pytest.mark.models,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not known_here("florence2"), reason="needs a newer transformers"),
]

CPU, FP32 = torch.device("cpu"), torch.float32
COLORS = [(200, 10, 20), (20, 180, 30), (10, 40, 220), (250, 240, 20), (128, 128, 128), (0, 0, 0)]
LENGTH = 24


def pictures() -> list[Image.Image]:
    """Pictures of several sizes with a colour each."""
    found = [Image.new("RGB", (50 + 20 * index, 90 - 7 * index), color) for index, color in enumerate(COLORS)]
    for image, color in zip(found, reversed(COLORS), strict=True):
        image.paste(color, (10, 10, 30, 40))
    return found


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_legacy_florence2(tmp_path_factory.mktemp("legacy"))


@pytest.fixture(scope="module")
def captioner(legacy: Path) -> Any:
    return load_captioner(legacy, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def first() -> tuple[LegacyFlorence, Any]:
    """The model as its first code had it, and its tokenizer."""
    return legacy_florence()


def first_texts(first: tuple[LegacyFlorence, Any], task: str, beams: int) -> list[str]:
    model, tokenizer = first
    images = pictures()
    ids = question_ids(tokenizer, task, len(images))
    with torch.inference_mode():
        found = model.write(pixels_of(images), ids, num_beams=beams, max_new_tokens=LENGTH)
    return [" ".join(text.split()) for text in tokenizer.batch_decode(found, skip_special_tokens=True)]


# --- the same as the first code -----------------------------------------------------------------------------------


def test_the_converted_model_computes_what_the_first_code_computed(
    legacy: Path, first: tuple[LegacyFlorence, Any]
) -> None:
    """In double precision, so that what differs is not rounding."""
    model, processor = load_florence2(legacy, CPU, FP32)
    old, tokenizer = copy.deepcopy(first[0]).double(), first[1]
    model = model.double()
    images = pictures()
    inputs = processor(images=images, text=["<DETAILED_CAPTION>"] * len(images), return_tensors="pt")
    torch.testing.assert_close(inputs["pixel_values"], pixels_of(images), rtol=0, atol=1e-5)
    inputs["pixel_values"] = pixels = inputs["pixel_values"].double()
    answer = torch.tensor([[2, 0, 9, 300]] * len(images))
    with torch.inference_mode():
        features = model.model.get_image_features(pixels).pooler_output
        torch.testing.assert_close(features, old.image_features(pixels), rtol=0, atol=1e-10)
        given = old.inputs(pixels, question_ids(tokenizer, "<DETAILED_CAPTION>", len(images)))
        before = old.language_model(inputs_embeds=given, decoder_input_ids=answer).logits
        now = model(**inputs, decoder_input_ids=answer).logits
    assert now.shape == before.shape, "there is no token more than before"
    torch.testing.assert_close(now, before, rtol=0, atol=1e-9)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("task", ["<CAPTION>", "<MORE_DETAILED_CAPTION>", "<GENERATE_TAGS>"])
def test_captions_are_those_of_the_first_code(
    captioner: Any, first: tuple[LegacyFlorence, Any], task: str, beams: int
) -> None:
    options = CaptionOptions(ask=task, num_beams=beams, max_new_tokens=LENGTH, strip=())
    expected = first_texts(first, task, beams)
    prepared = [captioner.prepare(image) for image in pictures()]
    answers = captioner.answer(prepared, options)
    assert len(set(expected)) == len(expected)
    for answer, text in zip(answers, expected, strict=True):
        assert text.startswith(answer.text) if "cut" in answer.remarks else answer.text == text
    assert [answer.text for one in prepared for answer in captioner.answer([one], options)] == [
        answer.text for answer in answers
    ]


def test_every_tensor_has_a_place(first: tuple[LegacyFlorence, Any]) -> None:
    from transformers import Florence2ForConditionalGeneration

    from .tiny_chat.florence import florence_config

    with torch.device("meta"):
        native = Florence2ForConditionalGeneration(florence_config(300, 4)).state_dict()
    names = [legacy_name(name) for name in native]
    assert len(set(names)) == len(names)
    assert set(names) == set(first[0].state_dict()) - {"language_model.final_logits_bias"}


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("stored", ["shared", "head"])
def test_embeddings_may_be_in_the_file_under_one_name_only(
    captioner: Any, tmp_path: Path, stored: Stored, weights: str
) -> None:
    again = load_captioner(write_legacy_florence2(tmp_path, stored=stored, weights=weights), device="cpu", dtype="fp32")
    for (name, one), (other, two) in zip(
        again.module.state_dict().items(), captioner.module.state_dict().items(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_weights_may_come_in_parts(captioner: Any, legacy: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(legacy, tmp_path / "parts")
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, name in enumerate(whole)}
    for part in set(places.values()):
        save_file({name: whole[name] for name in whole if places[name] == part}, folder / part)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")
    model, _ = load_florence2(folder, CPU, FP32)
    for name, tensor in captioner.module.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    (folder / part).unlink()
    with pytest.raises(ModelLoadError, match=f"fetch {part}|missing .*{part}"):
        load_florence2(folder, CPU, FP32)


def test_the_model_computes_in_the_dtype_that_was_asked_for(legacy: Path) -> None:
    model, _ = load_florence2(legacy, CPU, torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.lm_head.weight is model.get_input_embeddings().weight


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), encoding="utf-8")


def test_a_tensor_that_is_missing_or_has_no_place_is_named(legacy: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(legacy, tmp_path / "broken")
    path = folder / "model.safetensors"
    whole = load_file(path)
    for name in ("vision_tower.blocks.2.1.channel_block.ffn.fn.net.fc1.weight", "image_projection"):
        save_file({key: value for key, value in whole.items() if key != name}, path)
        with pytest.raises(ModelLoadError, match=f"lack 1 of the model's tensors: {name}"):
            load_florence2(folder, CPU, FP32)
    save_file({key: value for key, value in whole.items() if key not in EMBEDDINGS}, path)
    with pytest.raises(ModelLoadError, match="lack 1 of the model's tensors: language_model.model.shared.weight"):
        load_florence2(folder, CPU, FP32)
    save_file({**whole, "vision_tower.head.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelLoadError, match="no Florence-2 has: vision_tower.head.weight"):
        load_florence2(folder, CPU, FP32)
    save_file({**whole, "image_projection": torch.zeros(3, 3)}, path)
    with pytest.raises(ModelLoadError, match="not have the shapes of its config.json: image_projection"):
        load_florence2(folder, CPU, FP32)
    bias = "language_model.final_logits_bias"
    save_file({**whole, bias: torch.ones_like(whole[bias])}, path)
    with pytest.raises(ModelLoadError, match=f"no Florence-2 has: {bias}"):
        load_florence2(folder, CPU, FP32)


def test_what_transformers_does_not_compute_is_refused(legacy: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(legacy, tmp_path / "other")
    vision = json.loads((folder / "config.json").read_text("utf-8"))["vision_config"]
    change(folder, vision_config={**vision, "image_feature_source": ["last_frame"]})
    with pytest.raises(ModelLoadError, match="image_feature_source"):
        load_florence2(folder, CPU, FP32)
    change(folder, vision_config={**vision, "image_pos_embed": {"type": "sine"}})
    with pytest.raises(ModelLoadError, match="image_pos_embed of type 'sine'"):
        load_florence2(folder, CPU, FP32)


def test_files_that_cannot_be_read_are_named(legacy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(legacy, tmp_path / "broken")
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ModelLoadError, match="model.safetensors is a pointer of Git LFS"):
        load_florence2(folder, CPU, FP32)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="model.safetensors"):
        load_captioner(folder)
    change(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ModelLoadError, match="use the weights in 16 bit"):
        load_florence2(folder, CPU, FP32)
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES as CONFIGS
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES

    monkeypatch.delitem(NAMES, "florence2")
    monkeypatch.delitem(CONFIGS, "florence2")
    with pytest.raises(ModelLoadError, match="holds a Florence-2, which transformers .* does not know"):
        load_florence2(legacy, CPU, FP32)


def test_a_tokenizer_of_another_model_is_refused(legacy: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(legacy, tmp_path / "other")
    text = json.loads((folder / "config.json").read_text("utf-8"))["text_config"]
    state = load_file(folder / "model.safetensors")
    state = {name: value[:300].clone() if name in EMBEDDINGS else value for name, value in state.items()}
    state.pop("language_model.final_logits_bias")
    save_file(state, folder / "model.safetensors")
    change(folder, text_config={**text, "vocab_size": 300})
    with pytest.raises(ModelLoadError, match="tokens, but its model 300: they do not belong together"):
        load_florence2(folder, CPU, FP32)


def test_tokens_of_the_first_code_are_left_out_of_captions(captioner: Any) -> None:
    tokenizer = captioner.processor.tokenizer
    rows = captioner.module.get_input_embeddings().weight.shape[0]
    assert tokenizer.convert_tokens_to_ids("<and>") == rows - 1
    assert tokenizer.decode(tokenizer.convert_tokens_to_ids(["<loc_7>", "Ġcat"]), skip_special_tokens=True) == " cat"


# --- tasks --------------------------------------------------------------------------------------------------------


def test_only_tasks_are_asked(captioner: Any) -> None:
    captioner.check(CaptionOptions())
    captioner.check(CaptionOptions(ask="more-detailed"))
    captioner.check(CaptionOptions(ask="<DESCRIPTION>Describe this image in great detail."))
    choices = r"short \(<CAPTION>\), detailed \(<DETAILED_CAPTION>\), more-detailed \(<MORE_DETAILED_CAPTION>\)"
    for question in ("What is this?", "sd-prompt", "tags", "caption"):
        with pytest.raises(RequestError, match=f"knows tasks, not questions; choose from {choices}"):
            captioner.check(CaptionOptions(ask=question))
        with pytest.raises(RequestError, match="choose from"):
            captioner.caption([captioner.prepare(pictures()[0])], CaptionOptions(ask=question))
    with pytest.raises(RequestError, match="<OD> answers with boxes"):
        captioner.check(CaptionOptions(ask="<OD>"))
    with pytest.raises(RequestError, match="ask <CAPTION> alone"):
        captioner.check(CaptionOptions(ask="<CAPTION> of a cat"))


def test_a_caption_is_as_long_as_the_model_has_positions(captioner: Any) -> None:
    prepared = [captioner.prepare(image) for image in pictures()[:2]]
    room = captioner.module.config.text_config.max_position_embeddings
    assert room < 1024, "the length that Florence-2 takes where nobody says"
    assert all(captioner.caption(prepared))
    with pytest.raises(RequestError, match=rf"max_new_tokens \({room + 1}\) exceed the {room} tokens"):
        captioner.caption(prepared, CaptionOptions(max_new_tokens=room + 1))


def test_a_prompt_gen_knows_more(tmp_path: Path) -> None:
    named = "MiaoshouAI/Florence-2-base-PromptGen-v2.0"
    other = load_captioner(write_legacy_florence2(tmp_path / "by-file", based_on=named), device="cpu", dtype="fp32")
    assert other.prompts["tags"] == "<GENERATE_TAGS>" and other.prompts["short"] == "<CAPTION>"
    folder = write_legacy_florence2(tmp_path / "Florence-2-large-PromptGen-v2.0")
    assert "analyze" in load_captioner(folder, device="cpu", dtype="fp32").prompts
    prepared = [other.prepare(image) for image in pictures()[:2]]
    by_name = other.caption(prepared, CaptionOptions(ask="mixed", max_new_tokens=8))
    assert by_name == other.caption(prepared, CaptionOptions(ask="<MIXED_CAPTION>", max_new_tokens=8))
    assert by_name != other.caption(prepared, CaptionOptions(ask="short", max_new_tokens=8))


# --- the layout of transformers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["5", "4"])
def test_the_layout_of_transformers_loads_by_the_same_name(tmp_path: Path, layout: Any) -> None:
    model = load_captioner(write_florence2(tmp_path / "native", layout=layout), device="cpu", dtype="fp32")
    assert isinstance(model, Florence2Captioner) and model.family == "florence2"
    prepared = [model.prepare(image) for image in pictures()]
    options = CaptionOptions(max_new_tokens=12)
    captions = model.caption(prepared, options)
    assert len(set(captions)) == len(captions)
    assert captions == [model.caption([one], options)[0] for one in prepared]
    assert captions == model.caption(prepared, CaptionOptions(max_new_tokens=12, ask="<DETAILED_CAPTION>"))
