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

from interrogator import BlipCaptioner, catalog, hub
from interrogator.errors import ImageReadError, ModelError, ModelLoadError, ModelNotFoundError, RequestError
from interrogator.matchers.blip import MAX_TEXT_TOKENS, BlipMatcher, Match

from .tiny_checkpoints import CLS, ENC, START, VOCABULARY, prepared, write_blip, write_matcher

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]


def load(name: Path, dtype: str = "fp32") -> BlipMatcher:
    return BlipMatcher.load(name, device="cpu", dtype=dtype)


def matches(matcher: BlipMatcher, images: list[Image.Image], texts: Any, **options: Any) -> list[list[float]]:
    """The probability of each text of each image."""
    rows = matcher.match(prepared(matcher, images), texts, **options)
    assert rows.dtype == torch.float32 and rows.shape == (len(images), max(map(len, texts)))
    for row, some in zip(rows, texts, strict=True):
        assert row[len(some) :].isnan().all()
    return [row[: len(some)].tolist() for row, some in zip(rows, texts, strict=True)]


def compared(matcher: BlipMatcher, images: list[Image.Image], texts: Any = None) -> list[list[Match]]:
    return matcher.compare(prepared(matcher, images), TEXTS if texts is None else texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_matcher(tmp_path_factory.mktemp("matcher"))


@pytest.fixture(scope="module")
def matcher(folder: Path) -> BlipMatcher:
    return load(folder)


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
    found = matches(matcher, images, TEXTS, enc_token=enc)
    assert [len(row) for row in found] == [4, 1, 0, 3]
    expected = [
        [transformers_answer(matcher, image, text, ENC if enc else CLS) for text in some]
        for image, some in zip(images, TEXTS, strict=True)
    ]
    assert flat(found) == pytest.approx(flat(expected), abs=1e-5)
    assert max(flat(found)) - min(flat(found)) > 0.1 and all(0 <= value <= 1 for value in flat(found))
    assert found[3][0] == pytest.approx(found[3][2], abs=1e-6)  # case


def test_the_first_token_changes_the_answer(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    enc, cls = matches(matcher, images, TEXTS), matches(matcher, images, TEXTS, enc_token=False)
    assert max(abs(one - other) for one, other in zip(flat(enc), flat(cls), strict=True)) > 0.01


def test_similarities_are_those_of_transformers(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    found = matcher.similarity(prepared(matcher, images), TEXTS)
    expected = [
        [transformers_answer(matcher, image, text, None, itm=False) for text in some]
        for image, some in zip(images, TEXTS, strict=True)
    ]
    assert [len(row) for row in found] == [4, 1, 0, 3]
    assert flat(found) == pytest.approx(flat(expected), abs=1e-5)
    assert max(flat(found)) - min(flat(found)) > 0.05 and all(-1 <= value <= 1 for value in flat(found))


def test_both_answers_at_once_are_the_same(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    both = compared(matcher, images)
    assert [[one.probability for one in row] for row in both] == matches(matcher, images, TEXTS)
    assert [[one.similarity for one in row] for row in both] == matcher.similarity(prepared(matcher, images), TEXTS)


def test_answers_do_not_depend_on_the_batch(
    matcher: BlipMatcher, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = compared(matcher, images)
    for image, some, row in zip(images, TEXTS, together, strict=True):
        for text, one in zip(some, row, strict=True):
            alone = compared(matcher, [image], [[text]])[0][0]
            assert alone.probability == pytest.approx(one.probability, abs=1e-5)
            assert alone.similarity == pytest.approx(one.similarity, abs=1e-5)
    monkeypatch.setattr(sys.modules["interrogator.matchers.blip"], "_TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(sys.modules["interrogator.matchers.blip"], "_IMAGES_AT_ONCE", 3)
    again = [one.probability for row in together for one in row]
    assert flat(matches(matcher, images, TEXTS)) == pytest.approx(again, abs=1e-5)


def test_texts_are_cut_at_35_tokens(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    long = " ".join(["cat"] * 33)  # 35 with the first and the last token
    one, more, less = matches(matcher, images[:1], [[long, long + " dog dog dog", long.removesuffix(" cat")]])[0]
    assert one == pytest.approx(more, abs=1e-6) and abs(one - less) > 1e-6


def test_an_image_is_read_once_however_many_texts_it_gets(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    calls: dict[str, list[int]] = {}
    names = ["vision_model.encoder.layers.1.mlp.fc1"]
    names += [f"text_encoder.encoder.layer.{n}.crossattention.self.{part}" for n in (0, 1) for part in ("key", "value")]

    def note(name: str) -> Any:
        return lambda module, given, out: calls.setdefault(name, []).append(len(out))

    hooks = [matcher.module.get_submodule(name).register_forward_hook(note(name)) for name in names]
    compared(matcher, images[:2], [["a cat", "a dog", "a house"], ["a tree"] * 100])
    for hook in hooks:
        hook.remove()
    assert calls == {name: [2] for name in names}


def test_a_shrunk_picture_gets_the_same_answer(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    small = prepared(matcher, images)
    assert {(array.dtype.name, array.shape) for array in small} == {("uint8", (32, 32, 3))}
    again = [matcher.prepare(Image.fromarray(array)) for array in small]
    assert matcher.compare(again, TEXTS) == compared(matcher, images)


@pytest.mark.parametrize("room", [1, 3, 5])
def test_where_memory_runs_out_it_goes_on_with_less(matcher: BlipMatcher, images: list[Image.Image], room: int) -> None:
    def too_much(module: Any, given: Any, out: torch.Tensor) -> None:
        if len(out) > room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    hook = matcher.module.get_submodule("text_encoder.encoder.layer.0.attention.self.key").register_forward_hook(
        too_much
    )
    found = compared(matcher, images)
    hook.remove()
    expected = compared(matcher, images)
    assert [one.probability for row in found for one in row] == pytest.approx(
        [one.probability for row in expected for one in row], abs=1e-5
    )


class Stop(Exception):
    pass


def test_progress_is_told_between_layers_and_may_stop_the_work(
    matcher: BlipMatcher, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_REPEAT_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    matches(matcher, images, TEXTS, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 4) and calls[-1] == (4, 4) and calls.count((0, 4)) > 20

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) > 10:
            raise Stop

    calls.clear()
    with pytest.raises(Stop):
        matches(matcher, images, TEXTS, progress=stop)
    assert len(calls) == 11
    assert not any(module._forward_pre_hooks for module in matcher.module.modules())


def test_wrong_calls_are_refused_plainly(matcher: BlipMatcher, images: list[Image.Image]) -> None:
    assert matcher.match([], []).shape == (0, 0) and compared(matcher, images[:1], [[]]) == [[]]
    with pytest.raises(RequestError, match="got 1 lists of texts for 4 images"):
        matcher.match(prepared(matcher, images), [["a cat"]])
    with pytest.raises(RequestError, match="texts of image 0 must be a list of strings, got 'a cat'"):
        matcher.match(prepared(matcher, images[:1]), ["a cat"])
    with pytest.raises(RequestError, match="texts of image 0"):
        matcher.similarity(prepared(matcher, images[:1]), [[3]])  # type: ignore[list-item]
    with pytest.raises(ImageReadError, match="not a PIL image"):
        matcher.prepare("x.jpg")  # type: ignore[arg-type]


def test_a_model_without_the_first_token_says_so(tmp_path: Path, images: list[Image.Image]) -> None:
    small = load(write_matcher(tmp_path / "small", rows=ENC))
    with pytest.raises(RequestError, match=r"has no token \[ENC\]"):
        matches(small, images[:1], [["a cat"]])
    assert matches(small, images[:1], [["a cat"]], enc_token=False)


def test_a_tokenizer_that_knows_the_first_token_is_asked_for_it(tmp_path: Path, images: list[Image.Image]) -> None:
    copy = write_matcher(tmp_path / "copy")
    plain = load(copy)
    (copy / "vocab.txt").write_text("\n".join([*VOCABULARY, "[ENC]", "[DEC]"]) + "\n", encoding="utf-8")
    other = load(copy)
    assert plain._enc() == ENC and other._enc() == START
    assert matches(other, images[:1], [["a cat"]]) != matches(plain, images[:1], [["a cat"]])


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_captioner_is_no_matcher(tmp_path: Path) -> None:
    folder = write_blip(tmp_path / "blip")
    with pytest.raises(ModelLoadError, match="blip holds a captioner, not a matcher"):
        load(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "architectures": None}), encoding="utf-8")
    with pytest.raises(ModelLoadError, match="lack .* of the model's tensors"):
        load(folder)
    captioner = BlipCaptioner.load(tmp_path / "blip", device="cpu", dtype="fp32")
    with pytest.raises(ModelError, match="not a BLIP for matching: it lacks vision_proj, text_proj, itm_head"):
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
        load(copy)
    assert name in str(caught.value)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    copy = write_matcher(tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "clip"}), encoding="utf-8")
    with pytest.raises(ModelLoadError, match="of type 'clip' .*, not a matcher"):
        load(copy)


def test_files_of_older_layouts_are_read(folder: Path, tmp_path: Path, images: list[Image.Image]) -> None:
    copy = write_matcher(tmp_path / "copy")
    state = dict(load_file(copy / "model.safetensors"))
    state["text_encoder.embeddings.position_ids"] = torch.arange(64).expand(1, -1).clone()
    torch.save(state, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    one, other = load(copy), load(folder)
    assert compared(one, images) == compared(other, images)


def test_nothing_is_fetched_unless_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelNotFoundError) as caught:
        BlipMatcher.load(device="cpu")
    assert "blip-itm-base-coco" in str(caught.value) and "0.9 GB" in str(caught.value)
    assert str(hub.models_dir()) in str(caught.value)


def test_the_catalog_knows_the_matchers() -> None:
    rows = {row.name: row for row in catalog.MODELS if row.role == "matcher"}
    assert list(rows) == ["Salesforce/blip-itm-base-coco", "Salesforce/blip-itm-large-coco"]
    assert all(row.source == row.name for row in rows.values())


def test_half_precision_works(folder: Path, images: list[Image.Image], matcher: BlipMatcher) -> None:
    half = load(folder, "bf16")
    assert flat(matches(half, images, TEXTS)) == pytest.approx(flat(matches(matcher, images, TEXTS)), abs=0.1)
