"""Whether a text belongs to an image: as transformers answers, in any batch, each image read once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from interrogator import catalog, hub
from interrogator.errors import ImageReadError, ModelError, ModelLoadError, ModelNotFoundError, RequestError
from interrogator.matchers.blip import MAX_TEXT_TOKENS, BlipMatcher

from .test_captioners import ROWS, START, VOCABULARY, write_blip, write_processor

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

CLS, ENC = 2, START + 1


def write_matcher(folder: Path, seed: int = 0, rows: int = ROWS) -> Path:
    """A tiny random BLIP in the files of Salesforce/blip-itm-base-coco, by whatever transformers is here."""
    from transformers import BlipConfig, BlipForImageTextRetrieval

    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": START, "sep_token_id": 3, "eos_token_id": 2, "pad_token_id": 0}
    text = {**size, **ids, "vocab_size": rows, "max_position_embeddings": 64, "encoder_hidden_size": 48}
    vision = {**size, "hidden_size": 48, "image_size": 32, "patch_size": 8}
    config = BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=16)
    model = BlipForImageTextRetrieval(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.3, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(config.to_json_string(use_diff=False), encoding="utf-8")
    write_processor(folder, VOCABULARY, 32)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matcher(tmp_path_factory.mktemp("matcher"))


@pytest.fixture(scope="module")
def matcher(folder: Path) -> BlipMatcher:
    return BlipMatcher.load(str(folder), "cpu", "fp32")


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    noise = [Image.fromarray(rng.integers(0, 256, (40 + n, 50, 3), dtype=np.uint8)) for n in range(2)]
    return [*noise, Image.new("RGB", (64, 20), (250, 10, 10)), Image.linear_gradient("L")]


TEXTS = [
    ["a cat", "a big red dog sitting on the house", "", "photo of a small blue cat with a tree in the round house"],
    ["the dog"],
    [],
    ["a cat", "tree tree tree tree tree tree", "A CAT"],
]


def transformers_answer(
    matcher: BlipMatcher, image: Image.Image, text: str, first: int | None, itm: bool = True
) -> float:
    """What transformers' own forward says of one image and one text."""
    pixels = matcher.processor.image_processor(images=[image.convert("RGB")], return_tensors="pt")["pixel_values"]
    given = matcher.processor.tokenizer([text], return_tensors="pt", truncation=True, max_length=MAX_TEXT_TOKENS)
    ids = given["input_ids"].clone()
    if first is not None:
        ids[:, 0] = first
    model: Any = matcher.module
    with torch.inference_mode():
        out = model(input_ids=ids, pixel_values=pixels, attention_mask=given["attention_mask"], use_itm_head=itm)
    return float(out.itm_score.softmax(-1)[0, 1] if itm else out.itm_score[0, 0])


def flat(rows: list[list[float]]) -> list[float]:
    return [value for row in rows for value in row]


@pytest.mark.parametrize("enc", [True, False])
def test_probabilities_are_those_of_transformers_for_the_same_tokens(
    matcher: BlipMatcher, images: list[Image.Image], enc: bool
) -> None:
    found = matcher.match(images, TEXTS, enc_token=enc)
    assert [len(row) for row in found] == [4, 1, 0, 3]
    expected = [
        [transformers_answer(matcher, image, text, ENC if enc else CLS) for text in some]
        for image, some in zip(images, TEXTS, strict=True)
    ]
    assert flat(found) == pytest.approx(flat(expected), abs=1e-5)
    assert max(flat(found)) - min(flat(found)) > 0.1 and all(0 <= value <= 1 for value in flat(found))
    assert found[3][0] == pytest.approx(found[3][2], abs=1e-6)  # case


def test_the_first_token_changes_the_answer(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    enc, cls = matcher.match(images, TEXTS), matcher.match(images, TEXTS, enc_token=False)
    assert max(abs(one - other) for one, other in zip(flat(enc), flat(cls), strict=True)) > 0.01


def test_similarities_are_those_of_transformers(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    found = matcher.similarity(images, TEXTS)
    expected = [
        [transformers_answer(matcher, image, text, None, itm=False) for text in some]
        for image, some in zip(images, TEXTS, strict=True)
    ]
    assert [len(row) for row in found] == [4, 1, 0, 3]
    assert flat(found) == pytest.approx(flat(expected), abs=1e-5)
    assert max(flat(found)) - min(flat(found)) > 0.05 and all(-1 <= value <= 1 for value in flat(found))


def test_both_answers_at_once_are_the_same(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    both = matcher.compare(images, TEXTS)
    assert [[one.probability for one in row] for row in both] == matcher.match(images, TEXTS)
    assert [[one.similarity for one in row] for row in both] == matcher.similarity(images, TEXTS)


def test_answers_do_not_depend_on_the_batch(
    matcher: BlipMatcher, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = matcher.compare(images, TEXTS)
    for image, some, row in zip(images, TEXTS, together, strict=True):
        for text, one in zip(some, row, strict=True):
            alone = matcher.compare([image], [[text]])[0][0]
            assert alone.probability == pytest.approx(one.probability, abs=1e-5)
            assert alone.similarity == pytest.approx(one.similarity, abs=1e-5)
    monkeypatch.setattr(sys.modules["interrogator.matchers.blip"], "_TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(sys.modules["interrogator.matchers.blip"], "_IMAGES_AT_ONCE", 3)
    again = [one.probability for row in together for one in row]
    assert flat(matcher.match(images, TEXTS)) == pytest.approx(again, abs=1e-5)


def test_texts_are_cut_at_35_tokens(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    long = " ".join(["cat"] * 33)  # 35 with the first and the last token
    one, more, less = matcher.match(images[:1], [[long, long + " dog dog dog", long.removesuffix(" cat")]])[0]
    assert one == pytest.approx(more, abs=1e-6) and abs(one - less) > 1e-6


def test_an_image_is_read_once_however_many_texts_it_gets(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    calls: dict[str, list[int]] = {}
    names = ["vision_model.encoder.layers.1.mlp.fc1"]
    names += [f"text_encoder.encoder.layer.{n}.crossattention.self.{part}" for n in (0, 1) for part in ("key", "value")]

    def note(name: str) -> Any:
        return lambda module, given, out: calls.setdefault(name, []).append(len(out))

    hooks = [matcher.module.get_submodule(name).register_forward_hook(note(name)) for name in names]
    matcher.compare(images[:2], [["a cat", "a dog", "a house"], ["a tree"] * 100])
    for hook in hooks:
        hook.remove()
    assert calls == {name: [2] for name in names}


def test_a_shrunk_picture_gets_the_same_answer(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    small = [matcher.shrunk(image) for image in images]
    assert {image.size for image in small} == {(32, 32)}
    assert matcher.compare(small, TEXTS) == matcher.compare(images, TEXTS)


@pytest.mark.parametrize("room", [1, 3, 5])
def test_where_memory_runs_out_it_goes_on_with_less(matcher: BlipMatcher, images: list[Image.Image], room: int) -> None:
    def too_much(module: Any, given: Any, out: torch.Tensor) -> None:
        if len(out) > room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    hook = matcher.module.get_submodule("text_encoder.encoder.layer.0.attention.self.key").register_forward_hook(
        too_much
    )
    found = matcher.compare(images, TEXTS)
    hook.remove()
    expected = matcher.compare(images, TEXTS)
    assert [one.probability for row in found for one in row] == pytest.approx(
        [one.probability for row in expected for one in row], abs=1e-5
    )


class Stop(Exception):
    pass


def test_progress_is_told_between_layers_and_may_stop_the_work(
    matcher: BlipMatcher, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_TELL_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    matcher.match(images, TEXTS, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 4) and calls[-1] == (4, 4) and calls.count((0, 4)) > 20

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) > 10:
            raise Stop

    calls.clear()
    with pytest.raises(Stop):
        matcher.match(images, TEXTS, progress=stop)
    assert len(calls) == 11
    assert not any(module._forward_pre_hooks for module in matcher.module.modules())


def test_wrong_calls_are_refused_plainly(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    assert matcher.match([], []) == [] and matcher.compare(images[:1], [[]]) == [[]]
    with pytest.raises(RequestError, match="4 images need as many lists of texts, not 1"):
        matcher.match(images, [["a cat"]])
    with pytest.raises(RequestError, match="texts of image 0 have to be a list of texts, not 'a cat'"):
        matcher.match(images[:1], ["a cat"])
    with pytest.raises(RequestError, match="texts of image 0"):
        matcher.similarity(images[:1], [[3]])  # type: ignore[list-item]
    with pytest.raises(ImageReadError, match="image 0"):
        matcher.match(["x.jpg"], [["a cat"]])  # type: ignore[list-item]


def test_a_model_without_the_first_token_says_so(tmp_path: Path, images: list[Image.Image]) -> None:
    small = BlipMatcher.load(str(write_matcher(tmp_path / "small", rows=ENC)), "cpu", "fp32")
    with pytest.raises(RequestError, match=r"has no token \[ENC\]"):
        small.match(images[:1], [["a cat"]])
    assert small.match(images[:1], [["a cat"]], enc_token=False)


def test_a_tokenizer_that_knows_the_first_token_is_asked_for_it(tmp_path: Path, images: list[Image.Image]) -> None:
    copy = write_matcher(tmp_path / "copy")
    plain = BlipMatcher.load(str(copy), "cpu", "fp32")
    (copy / "vocab.txt").write_text("\n".join([*VOCABULARY, "[ENC]", "[DEC]"]) + "\n", encoding="utf-8")
    other = BlipMatcher.load(str(copy), "cpu", "fp32")
    assert plain._enc() == ENC and other._enc() == START
    assert other.match(images[:1], [["a cat"]]) != plain.match(images[:1], [["a cat"]])


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_captioner_is_no_matcher(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="lack .* of the model's tensors"):
        BlipMatcher.load(str(write_blip(tmp_path / "blip")), "cpu", "fp32")
    from interrogator.captioners import BlipCaptioner

    captioner = BlipCaptioner.load(str(tmp_path / "blip"), "cpu", "fp32")
    with pytest.raises(ModelError, match="no BLIP for matching: it has no vision_proj, text_proj, itm_head"):
        BlipMatcher(captioner.module, captioner.processor, "x")


@pytest.mark.parametrize(
    "name", ["itm_head.weight", "text_proj.bias", "text_encoder.encoder.layer.1.crossattention.self.key.weight"]
)
def test_a_missing_layer_is_an_error_never_random(tmp_path: Path, name: str) -> None:
    copy = write_matcher(tmp_path / "copy")
    state = dict(load_file(copy / "model.safetensors"))
    del state[name]
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match="lack 1 of the model's tensors") as caught:
        BlipMatcher.load(str(copy), "cpu", "fp32")
    assert name in str(caught.value)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    copy = write_matcher(tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "clip"}), encoding="utf-8")
    with pytest.raises(ModelLoadError, match="of type 'clip', not a BLIP"):
        BlipMatcher.load(str(copy), "cpu", "fp32")


def test_files_of_older_layouts_are_read(folder: Path, tmp_path: Path, images: list[Image.Image]) -> None:
    copy = write_matcher(tmp_path / "copy")
    state = dict(load_file(copy / "model.safetensors"))
    state["text_encoder.embeddings.position_ids"] = torch.arange(64).expand(1, -1).clone()
    torch.save(state, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    one, other = BlipMatcher.load(str(copy), "cpu", "fp32"), BlipMatcher.load(str(folder), "cpu", "fp32")
    assert one.compare(images, TEXTS) == other.compare(images, TEXTS)


def test_nothing_is_fetched_unless_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelNotFoundError) as caught:
        BlipMatcher.load(device="cpu")
    assert "blip-itm-base-coco" in str(caught.value) and "0.9 GB" in str(caught.value)
    assert str(hub.models_dir()) in str(caught.value)


def test_the_catalog_knows_the_matchers() -> None:
    rows = {row.name: row for row in catalog.MODELS if row.kind == "matcher"}
    assert list(rows) == ["Salesforce/blip-itm-base-coco", "Salesforce/blip-itm-large-coco"]
    assert all(row.source == row.name for row in rows.values())


def test_half_precision_works(folder: Path, images: list[Image.Image], matcher: BlipMatcher) -> None:
    half = BlipMatcher.load(str(folder), "cpu", "bf16")
    assert flat(half.match(images, TEXTS)) == pytest.approx(flat(matcher.match(images, TEXTS)), abs=0.1)
