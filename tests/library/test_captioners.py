"""BLIP captions from files in the layout of the hub: complete or an error, the same in any batch, tidy, cancellable."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from interrogator import BlipCaptioner, catalog, hub
from interrogator.captioners import DEFAULT_OPTIONS, DEFAULT_STRIP, CaptionOptions, load_strip_list, strip_words
from interrogator.captioners.blip.vision import pixels_of
from interrogator.errors import DeviceError, ImageReadError, ModelLoadError, ModelNotFoundError, RequestError
from interrogator.images import to_rgb
from interrogator.progress import Progress

from .tiny_checkpoints import BIAS, DECODER, EMBEDDING, VOCABULARY, prepared, write_blip, write_processor

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="session")
def blip(folder: Path) -> BlipCaptioner:
    return load(folder)


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    noise = [Image.fromarray(rng.integers(0, 256, (40 + n, 50, 3), dtype=np.uint8)) for n in range(3)]
    return [*noise, Image.new("RGB", (64, 20), (250, 10, 10)), Image.linear_gradient("L"), Image.new("RGBA", (9, 9))]


RAW = CaptionOptions(strip=(), max_new_tokens=12)


def load(name: Path | str, dtype: str = "fp32") -> BlipCaptioner:
    return BlipCaptioner.load(name, device="cpu", dtype=dtype)


def captions_of(
    captioner: BlipCaptioner,
    images: list[Image.Image],
    options: CaptionOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> list[str]:
    return captioner.caption(prepared(captioner, images), options, progress)


def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def changed(folder: Path, change: Any) -> Path:
    """Rewrite the weights of a copied folder; `change` edits the dict of tensors."""
    state = dict(load_file(folder / "model.safetensors"))
    state = change(state) or state
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


# --- writing captions ------------------------------------------------------------------------------------------------


def test_each_image_gets_a_caption_of_its_own(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    captions = captions_of(blip, images, RAW)
    assert len(captions) == len(images) and len(set(captions)) > 2
    assert all(isinstance(caption, str) and caption == " ".join(caption.split()) for caption in captions)
    assert not any(special in caption for caption in captions for special in ("[", "##"))
    assert blip.caption([]) == []


OPTION_SETS = [
    {},
    {"num_beams": 3},
    {"num_beams": 3, "length_penalty": 2.0, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    {"prefix": "a picture of"},
    {"prefix": "a picture of", "num_beams": 2, "min_new_tokens": 5},
    {"prefix": "a picture of", "keep_prefix": True},
]


@pytest.mark.parametrize("settings", OPTION_SETS)
def test_a_batch_writes_what_one_at_a_time_writes(
    blip: BlipCaptioner, images: list[Image.Image], settings: dict[str, Any]
) -> None:
    one_by_one = captions_of(blip, images, CaptionOptions(strip=(), max_new_tokens=12, batch_size=1, **settings))
    for batch_size in (2, 4, 100):
        options = CaptionOptions(strip=(), max_new_tokens=12, batch_size=batch_size, **settings)
        assert captions_of(blip, images, options) == one_by_one
    assert captions_of(blip, images[::-1], options) == one_by_one[::-1]


def test_captions_are_those_of_plain_transformers(blip: BlipCaptioner, images: list[Image.Image], folder: Path) -> None:
    pixels = blip.processor.image_processor(images=images[0], return_tensors="pt")["pixel_values"]
    model: Any = blip.module
    out = model.generate(pixels, max_new_tokens=12)[0]
    text = blip.processor.tokenizer.decode(out, skip_special_tokens=True).strip()
    assert captions_of(blip, [images[0]], RAW) == [text.removeprefix("##")]
    inputs = blip.processor(images=images[0], text="a picture of", return_tensors="pt")
    out = model.generate(**inputs, max_new_tokens=12, num_beams=3)[0]
    text = blip.processor.tokenizer.decode(out, skip_special_tokens=True).strip()
    options = CaptionOptions(strip=(), max_new_tokens=12, num_beams=3, prefix="a picture of", keep_prefix=True)
    assert captions_of(blip, [images[0]], options) == [text]


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"num_beams": 5}, {"length_penalty": 0.0}, {"length_penalty": 2.0}, {"length_penalty": -1.0},
        {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2}, {"min_new_tokens": 6}, {"max_new_tokens": 1},
    ],
)  # fmt: skip
def test_beams_are_those_of_plain_transformers(
    blip: BlipCaptioner, images: list[Image.Image], settings: dict[str, Any]
) -> None:
    settings = {"num_beams": 3, "max_new_tokens": 12, **settings}
    pixels = blip.processor.image_processor(images=[to_rgb(image) for image in images], return_tensors="pt")
    model: Any = blip.module
    out = model.generate(pixels["pixel_values"], do_sample=False, **settings)
    clean = {"skip_special_tokens": True, "clean_up_tokenization_spaces": True}
    texts = [blip.processor.tokenizer.decode(ids, **clean).strip() for ids in out]
    options = CaptionOptions(strip=(), **settings)
    assert captions_of(blip, images, options) == [text.removeprefix("##") for text in texts]


def test_pixels_are_those_of_the_image_processor(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    pictures = [to_rgb(image) for image in images]
    expected = blip.processor.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
    small = prepared(blip, images)
    assert {(array.dtype.name, array.shape) for array in small} == {("uint8", (32, 32, 3))}
    torch.testing.assert_close(pixels_of(blip.processor, small, torch.device("cpu")), expected, rtol=0, atol=2e-6)


def test_the_same_image_gets_the_same_caption_again(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    torch.manual_seed(1)
    first = captions_of(blip, images, RAW)
    torch.manual_seed(2)
    assert captions_of(blip, images, RAW) == first


def test_the_prefix_steers_and_is_left_out_unless_kept(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    plain = CaptionOptions(strip=(), max_new_tokens=6, prefix="A  picture of")
    kept = CaptionOptions(strip=(), max_new_tokens=6, prefix="A  picture of", keep_prefix=True)
    without, with_it = captions_of(blip, images, plain), captions_of(blip, images, kept)
    assert all(caption.startswith("a picture of") for caption in with_it)
    assert not any(caption.startswith("a picture of") for caption in without)
    assert [caption.removeprefix("a picture of").replace(" ", "") for caption in with_it] == [
        caption.replace(" ", "") for caption in without
    ]
    assert without != captions_of(blip, images, CaptionOptions(strip=(), max_new_tokens=6))
    blank = CaptionOptions(strip=(), max_new_tokens=6, prefix="  ")
    assert captions_of(blip, images, blank) == captions_of(blip, images, CaptionOptions(strip=(), max_new_tokens=6))


def test_length_limits_hold(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    def count(caption: str) -> int:
        return len(blip.processor.tokenizer(caption, add_special_tokens=False)["input_ids"])

    for length in (1, 5):
        captions = captions_of(blip, images, CaptionOptions(strip=(), max_new_tokens=length))
        assert all(count(caption) <= length for caption in captions)
    with pytest.raises(RequestError, match="the prefix .3 tokens. and max_new_tokens .61. exceed the 63"):
        captions_of(blip, images, CaptionOptions(prefix="a picture of", max_new_tokens=61))
    assert captions_of(blip, images[:1], CaptionOptions(prefix="a picture of", max_new_tokens=60))


def test_settings_beside_the_weights_do_not_change_captions(
    folder: Path, blip: BlipCaptioner, images: list[Image.Image], tmp_path: Path
) -> None:
    copy = copied(folder, tmp_path)
    settings = {"do_sample": True, "temperature": 3.0, "num_beams": 4, "repetition_penalty": 9.0}
    (copy / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert captions_of(load(copy), images, RAW) == captions_of(blip, images, RAW)


def test_pictures_of_other_modes_are_made_upright_rgb_first(blip: BlipCaptioner) -> None:
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    assert captions_of(blip, [clear], RAW) == captions_of(blip, [Image.new("RGB", (32, 32), (255, 255, 255))], RAW)
    with pytest.raises(ImageReadError, match="not a PIL image"):
        blip.prepare("a.png")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_models_write_captions(folder: Path, images: list[Image.Image], dtype: str) -> None:
    half = load(folder, dtype)
    expected = {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    assert {parameter.dtype for parameter in half.module.parameters()} == {expected}
    captions = captions_of(half, images, RAW)
    assert len(set(captions)) > 2 and captions_of(half, images, RAW) == captions


def test_words_of_the_strip_list_are_taken_out_of_captions(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    raw = captions_of(blip, images, RAW)
    mixed = next(caption for caption in raw if len(set(caption.split())) > 2)
    words = (mixed.split()[0],)
    stripped = captions_of(blip, images, CaptionOptions(strip=words, max_new_tokens=12))
    assert stripped == [strip_words(caption, words) for caption in raw]
    assert stripped != raw


# --- out of memory ---------------------------------------------------------------------------------------------------


def small_memory(blip: BlipCaptioner, room: int) -> tuple[list[int], Any]:
    """Let the image tower run out of memory above `room` images; returns the batches it is given, and the hook."""
    sizes: list[int] = []

    def before(module: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        sizes.append(len(given["pixel_values"] if "pixel_values" in given else args[0]))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return sizes, blip.module.get_submodule("vision_model").register_forward_pre_hook(before, with_kwargs=True)


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3, "prefix": "a picture of"}])
def test_out_of_memory_halves_the_batch_and_the_captions_stay_the_same(
    blip: BlipCaptioner, images: list[Image.Image], settings: dict[str, Any]
) -> None:
    options = CaptionOptions(strip=(), max_new_tokens=8, batch_size=6, **settings)
    expected = captions_of(blip, images, options)
    told: list[tuple[int, int]] = []
    sizes, hook = small_memory(blip, 2)
    try:
        captions = captions_of(blip, images, options, lambda *call: told.append(call))
    finally:
        hook.remove()
    assert captions == expected
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    assert told == sorted(told) and told[-1] == (6, 6)


def test_one_image_that_does_not_fit_raises_what_was_raised(blip: BlipCaptioner, images: list[Image.Image]) -> None:
    sizes, hook = small_memory(blip, 0)
    try:
        with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
            captions_of(blip, images[:2], RAW)
    finally:
        hook.remove()
    assert sizes == [2, 1]
    assert captions_of(blip, images[:2], RAW)


# --- cancelling ------------------------------------------------------------------------------------------------------


class Stop(Exception):
    pass


def test_progress_counts_images_and_is_told_within_a_batch(
    blip: BlipCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_REPEAT_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    captions_of(blip, images, CaptionOptions(batch_size=4, max_new_tokens=4), lambda *call: calls.append(call))
    assert calls[0] == (0, 6) and calls[-1] == (6, 6) and calls == sorted(calls)
    assert calls.count((0, 6)) > 20 and (4, 6) in calls


@pytest.mark.parametrize("after", [0, 1, 30, 90])
def test_what_progress_raises_stops_the_model_at_once_and_leaves_it_usable(
    blip: BlipCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_REPEAT_SECONDS", 0.0)
    expected = captions_of(blip, images, RAW)
    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Stop

    with pytest.raises(Stop):
        captions_of(blip, images, RAW, progress)
    assert calls == after + 1
    assert captions_of(blip, images, RAW) == expected
    assert not any(module._forward_pre_hooks for module in blip.module.modules())


def test_on_a_cpu_a_large_model_takes_few_images_at_once(
    blip: BlipCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = captions_of(blip, images, RAW)
    scores = (1 + (32 // 8) ** 2) ** 2 * 4  # of one image of the small model
    monkeypatch.setattr(sys.modules["interrogator.captioners.blip.vision"], "_CPU_SCORES", 2 * scores)
    sizes: list[int] = []
    hook = blip.module.get_submodule("vision_model").register_forward_hook(
        lambda module, given, out: sizes.append(len(out[0]))
    )
    assert captions_of(blip, images, RAW) == expected
    hook.remove()
    assert sizes == [2, 2, 2]


def test_progress_is_called_inside_a_step_only_when_time_has_passed(
    blip: BlipCaptioner, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls(seconds: float) -> int:
        """How often it is called by a clock that goes on by so much whenever somebody looks at it."""
        clock = itertools.count(0.0, seconds)
        module = sys.modules["interrogator.progress"]
        monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
        told: list[tuple[int, int]] = []
        captions_of(blip, images, RAW, lambda *numbers: told.append(numbers))
        return len(told)

    steps = calls(0.0)
    assert 2 <= steps <= 3
    every = calls(1.0)
    assert steps < calls(0.01) <= steps + every / 9 < every


# --- loading ---------------------------------------------------------------------------------------------------------


def test_loading_says_nothing_and_leaves_the_switches_of_transformers_alone(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    load(folder)
    assert capfd.readouterr() == ("", "")
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before


def test_a_captioner_is_found_by_hub_id_where_people_put_it(folder: Path, images: list[Image.Image]) -> None:
    place = hub.local_folder("maker/tiny-blip")
    shutil.copytree(folder, place)
    captioner = load("maker/tiny-blip")
    assert captioner.name == "maker/tiny-blip"
    assert captions_of(captioner, images[:1], RAW)


def test_what_is_missing_is_named_with_every_file() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        BlipCaptioner.load("Salesforce/blip-image-captioning-large", device="cpu")
    text = str(caught.value)
    (files,) = (family.files for family in catalog.FAMILIES if family.name == "blip")
    for name in [*files.required, *(name for names in files.any_of for name in names)]:
        assert name in text
    assert "--download" in text and " GB)" in text and str(hub.models_dir()) in text and "\n" not in text


def test_an_unknown_device_is_refused_before_any_file_is_read() -> None:
    with pytest.raises(DeviceError):
        BlipCaptioner.load("no/such", device="gpu9")


@pytest.mark.parametrize("layout", ["4.50", "bin", "decoder bias only", "decoder weight only", "old buffers", "fp16"])
def test_every_way_a_checkpoint_stores_the_tied_head_gives_the_same_captions(
    folder: Path, blip: BlipCaptioner, images: list[Image.Image], tmp_path: Path, layout: str
) -> None:
    copy = copied(folder, tmp_path)

    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if layout in ("4.50", "bin", "old buffers"):
            state[f"{DECODER}.weight"] = state[EMBEDDING].clone()
        if layout in ("bin", "old buffers"):
            state[f"{DECODER}.bias"] = state[BIAS].clone()
            state["text_decoder.bert.embeddings.position_ids"] = torch.arange(64).expand(1, -1).clone()
        if layout == "decoder bias only":
            state[f"{DECODER}.bias"] = state.pop(BIAS)
        if layout == "decoder weight only":
            state[f"{DECODER}.weight"] = state.pop(EMBEDDING)
        return state

    changed(copy, change)
    if layout == "bin":
        torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
        (copy / "model.safetensors").unlink()
    if layout == "fp16":
        changed(copy, lambda state: {name: tensor.half() for name, tensor in state.items()})
        captioner = load(copy)
        assert {parameter.dtype for parameter in captioner.module.parameters()} == {torch.float32}
        assert captions_of(captioner, images, RAW)
        return
    captioner = load(copy)
    assert captions_of(captioner, images, RAW) == captions_of(blip, images, RAW)
    head: Any = captioner.module.get_submodule("text_decoder.cls.predictions")
    assert torch.equal(head.decoder.bias, blip.module.get_parameter(BIAS))
    assert torch.equal(head.decoder.weight, blip.module.get_parameter(EMBEDDING))


def test_a_head_that_is_not_tied_is_kept_as_stored(folder: Path, tmp_path: Path) -> None:
    copy = copied(folder, tmp_path)

    def change(state: dict[str, torch.Tensor]) -> None:
        state[f"{DECODER}.weight"] = state[EMBEDDING] * 2

    changed(copy, change)
    module = load(copy).module
    assert torch.equal(module.get_parameter(f"{DECODER}.weight"), module.get_parameter(EMBEDDING) * 2)


@pytest.mark.parametrize(
    "names",
    [
        ["text_decoder.bert.encoder.layer.1.crossattention.self.key.weight"],
        ["vision_model.post_layernorm.bias"],
        [BIAS],
        [EMBEDDING],
        ["text_decoder.cls.predictions.transform.dense.weight", "vision_model.embeddings.class_embedding"],
    ],
)
def test_a_missing_layer_is_an_error_never_random(folder: Path, tmp_path: Path, names: list[str]) -> None:
    copy = changed(copied(folder, tmp_path), lambda state: {k: v for k, v in state.items() if k not in names})
    with pytest.raises(ModelLoadError, match="lack [12] of the model's tensors|lack 2") as caught:
        load(copy)
    assert names[0] in str(caught.value)


def test_a_head_that_may_not_be_tied_has_to_be_stored(tmp_path: Path) -> None:
    copy = write_blip(tmp_path / "untied", tie_word_embeddings=False)
    with pytest.raises(ModelLoadError, match="text_decoder.cls.predictions.decoder.weight"):
        load(copy)


def test_other_shapes_are_an_error(folder: Path, tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        state["vision_model.post_layernorm.bias"] = torch.zeros(33)

    copy = changed(copied(folder, tmp_path), change)
    with pytest.raises(ModelLoadError):
        load(copy)


def test_tensors_that_nobody_needs_are_only_noted(folder: Path, tmp_path: Path, images: list[Image.Image]) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        state["itm_head.weight"] = torch.zeros(2, 2)

    copy = changed(copied(folder, tmp_path), change)
    assert captions_of(load(copy), images[:1], RAW)


def _broken(name: str, content: bytes) -> Any:
    return lambda folder: (folder / name).write_bytes(content)


def _edited(name: str, **changes: Any) -> Any:
    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({**content, **changes}), encoding="utf-8")

    return edit


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_broken("model.safetensors", b"not weights at all"), "does not contain a readable BLIP"),
        (_broken("config.json", b"{"), "config.json cannot be read"),
        (_broken("config.json", b"[]"), "is not a configuration"),
        (_broken("config.json", b"\xff\xfe"), "config.json cannot be read"),
        (_edited("config.json", model_type="vilt"), "of type 'vilt'.*, not a captioner"),
        (_edited("config.json", text_config="x"), "does not contain a readable BLIP"),
        (_broken("preprocessor_config.json", b"nope"), "preprocessor_config.json cannot be read"),
        (_broken("tokenizer_config.json", b"nope"), "tokenizer_config.json cannot be read"),
        (
            _broken("vocab.txt", "\n".join([*VOCABULARY, "more", "words", "than", "rows"]).encode()),
            "do not belong together",
        ),
    ],
)
def test_damaged_files_are_named(folder: Path, tmp_path: Path, damage: Any, says: str) -> None:
    copy = copied(folder, tmp_path)
    damage(copy)
    with pytest.raises(ModelLoadError, match=says) as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_a_pickle_with_code_is_refused(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    copy = copied(folder, tmp_path)
    (copy / "model.safetensors").unlink()
    torch.save({"weight": Evil()}, copy / "pytorch_model.bin")
    with pytest.raises(ModelLoadError):
        load(copy)
    assert not (tmp_path / "ran").exists()


def test_what_transformers_saves_itself_is_read(folder: Path, images: list[Image.Image], tmp_path: Path) -> None:
    one = load(folder)
    model: Any = one.module
    model.save_pretrained(tmp_path / "saved")
    one.processor.save_pretrained(tmp_path / "saved")
    assert captions_of(load(tmp_path / "saved"), images, RAW) == captions_of(one, images, RAW)


@pytest.mark.slow
def test_blip_base_at_its_real_size_loads_and_writes(tmp_path: Path) -> None:
    from transformers import BlipConfig, BlipForConditionalGeneration

    config = BlipConfig(text_config={"num_attention_heads": 12})
    vocabulary = [*VOCABULARY[:5], *(f"word{n}" for n in range(30522 - 5))]
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in BlipForConditionalGeneration(config).state_dict().items()}
    # What a tensor holds does not matter here, and a billion random numbers take a minute.
    state = {name: torch.full(shape, 0.01, dtype=torch.bfloat16) for name, shape in shapes.items()}
    for name in (f"{DECODER}.bias", "text_decoder.bert.embeddings.position_ids"):
        state.pop(name, None)
    state[f"{DECODER}.weight"] = state[EMBEDDING].clone()
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    del state
    (tmp_path / "config.json").write_text(config.to_json_string(use_diff=False), encoding="utf-8")
    write_processor(tmp_path, vocabulary, 384)
    sep = 102
    assert config.text_config.sep_token_id == sep and config.text_config.vocab_size == 30524
    captioner = load(tmp_path)  # without instructions for it, bf16 takes a minute
    assert sum(parameter.numel() for parameter in captioner.module.parameters()) > 200_000_000
    caption = captions_of(captioner, [Image.new("RGB", (64, 64), (9, 99, 199))], CaptionOptions(max_new_tokens=3))
    assert len(caption) == 1


# --- options and strip list ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be an integer of at least 1, got 0"),
        ({"max_new_tokens": 3.0}, "integer"),
        ({"num_beams": True}, "integer"),
        ({"batch_size": 0}, "batch_size"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
        ({"min_new_tokens": 33, "max_new_tokens": 32}, r"min_new_tokens \(33\) must not exceed max_new_tokens \(32\)"),
        ({"repetition_penalty": 0}, "above 0"),
        ({"repetition_penalty": float("nan")}, "above 0"),
        ({"length_penalty": "x"}, "length_penalty must be a number"),
        ({"prefix": None}, "prefix must be a string"),
        ({"strip": "arafed"}, "strip must be a list of words"),
        ({"strip": (1,)}, "strip must be a list of words"),
    ],
)
def test_wrong_options_are_refused_plainly(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        CaptionOptions(**settings)


def test_options_can_be_compared_and_kept() -> None:
    assert CaptionOptions(strip=["x"]) == CaptionOptions(strip=("x",))  # type: ignore[arg-type]
    assert hash(CaptionOptions()) == hash(CaptionOptions())


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("an arafed cat sitting on a bed", "a cat sitting on a bed"),
        ("there is a arafed owl on a tree", "there is an owl on a tree"),
        ("An Arafed cat", "A cat"),
        ("A ARAFFE owl", "An owl"),
        ("arafed cat", "cat"),
        ("arafed, a cat", "a cat"),
        ("a cat, arafed, on a mat", "a cat, on a mat"),
        ("a cat and an araffe", "a cat and"),
        ("a cat arafed.", "a cat."),
        ("two araffes arafed in a field", "two in a field"),
        ("arafed", "arafed"),
        ("a arafed", "a arafed"),
        ("a giraffe in a field", "a giraffe in a field"),
        ("a arafed-like thing", "a arafed-like thing"),
        ("a  cat , untouched", "a  cat , untouched"),
        ("a arafed 3d render", "a 3d render"),
        ("", ""),
    ],
)
def test_made_up_words_leave_a_tidy_sentence(caption: str, expected: str) -> None:
    assert strip_words(caption, DEFAULT_STRIP) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a low poly render of a yellow cat", "a yellow cat"), ("an low poly render of yellow cat", "a yellow cat"),
        ("A low poly render of a yellow cat", "A yellow cat"), ("the low poly render of a cat", "a cat"),
        ("this low poly render of the cat", "the cat"), ("a low poly render of two cats", "two cats"),
        ("there is a low poly render of his cat", "there is his cat"), ("low poly render of an owl", "an owl"),
        ("a low poly two story house", "a two story house"), ("a low poly 3 foot statue", "a 3 foot statue"),
    ],
)  # fmt: skip
def test_a_noun_has_one_article_when_what_took_it_is_gone(caption: str, expected: str) -> None:
    assert strip_words(caption, ["low poly render of", "low poly"]) == expected


def test_strip_lists_hold_phrases_and_odd_characters() -> None:
    assert strip_words("a close up of a cat (photo)", ["close up of a", "(photo)"]) == "a cat"
    assert strip_words("the cat", ["", "  "]) == "the cat"
    assert strip_words("a cat.*", [".*"]) in ("a cat", "a cat.*")


def test_a_strip_list_is_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "strip.txt"
    path.write_text("\ufeff# made-up words\narafed\n\n  close up of \narafed\n", encoding="utf-8")
    assert load_strip_list(path) == ("arafed", "close up of")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="strip list .* cannot be read"):
        load_strip_list(path)
    with pytest.raises(RequestError, match="none.txt cannot be read"):
        load_strip_list(tmp_path / "none.txt")
