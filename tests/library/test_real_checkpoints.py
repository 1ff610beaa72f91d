"""The loading code for real checkpoints, offline: open_clip's architectures with random weights saved to disk."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import load_file, save_file
from torch import nn

from interrogator import ModelLoadError, ModelNotFoundError, OpenClipEncoder, UnknownModelError
from interrogator.encoders.open_clip.files import CONFIG_FILE

from . import small_models
from .small_models import expected_texts, pictures, unit_rows
from .tiny_checkpoints import MEAN, prepared, write_open_clip

pytestmark = [pytest.mark.models, pytest.mark.filterwarnings("ignore::UserWarning")]

TEXTS = ["a cat", "oil on canvas, by Claude Monet"]
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and hub cache, and no network."""
    from huggingface_hub import constants

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path / "home"


def save_random(architecture: str, path: Path) -> Path:
    """A checkpoint of this architecture with random weights, in half precision to keep it small."""
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, pretrained=None, pretrained_text=False)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


@pytest.fixture(scope="module")
def vit_b_32(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("b32")
    yield save_random("ViT-B-32", folder / "vit-b-32.pt")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def vit_l_14(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("l14")
    yield save_random("ViT-L-14", folder / "open_clip_model.safetensors")
    shutil.rmtree(folder)


def activations(model: nn.Module) -> set[type]:
    return {type(module) for module in model.modules() if isinstance(module, (nn.GELU, QuickGELU))}


def normalisation(encoder: OpenClipEncoder) -> tuple[float, ...]:
    transforms: Any = encoder.preprocess
    return tuple(transforms.transforms[-1].mean)


def assert_answers_like(encoder: OpenClipEncoder, architecture: str, checkpoint: Path, **settings: Any) -> None:
    """The encoder against open_clip's own model with the same file, in texts and images."""
    model = open_clip.create_model(architecture, pretrained=str(checkpoint), **settings).eval()
    assert torch.allclose(encoder.encode_texts(TEXTS), expected_texts(model, encoder.tokenizer, TEXTS), atol=1e-4)
    pixels = torch.stack([encoder.preprocess(image) for image in pictures(1)])
    with torch.no_grad():
        expected = unit_rows(model.encode_image(pixels))
    assert torch.allclose(encoder.embed(prepared(encoder, pictures(1))), expected, atol=1e-4)


@pytest.mark.slow
def test_a_bare_architecture_with_a_checkpoint_keeps_the_architectures_activation(vit_b_32: Path) -> None:
    encoder = OpenClipEncoder.load("ViT-B-32", device="cpu", dtype="fp32", checkpoint=vit_b_32)
    assert activations(encoder.model) == {nn.GELU}
    assert encoder.dtype == encoder.weights_dtype == torch.float32
    assert_answers_like(encoder, "ViT-B-32", vit_b_32)


@pytest.mark.slow
def test_an_openai_tag_is_quick_gelu_also_with_a_checkpoint_of_ones_own(vit_l_14: Path) -> None:
    encoder = OpenClipEncoder.load("ViT-L-14/openai", device="cpu", dtype="fp32", checkpoint=vit_l_14)
    assert activations(encoder.model) == {QuickGELU}
    assert normalisation(encoder) == pytest.approx(OPENAI_MEAN)
    assert encoder.context_length == 77
    assert_answers_like(encoder, "ViT-L-14-quickgelu", vit_l_14)


@pytest.mark.slow
def test_weights_in_the_models_folder_are_found_by_name(vit_l_14: Path, home: Path) -> None:
    folder = home / "models" / "timm--vit_large_patch14_clip_224.openai"
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").symlink_to(vit_l_14)
    encoder = OpenClipEncoder.load("ViT-L-14/openai", device="cpu", dtype="fp32")
    assert activations(encoder.model) == {QuickGELU}
    assert encoder.encode_texts(TEXTS).shape == (2, 768)


@pytest.mark.slow
def test_a_tags_image_settings_are_used(tmp_path: Path) -> None:
    checkpoint = save_random("ViT-B-16", tmp_path / "b16.safetensors")
    inception = OpenClipEncoder.load("ViT-B-16/dfn2b", device="cpu", dtype="fp32", checkpoint=checkpoint)
    settings = open_clip.get_pretrained_cfg("ViT-B-16", "dfn2b")
    assert normalisation(inception) == pytest.approx(settings.get("mean", OPENAI_MEAN))
    assert activations(inception.model) == {QuickGELU if settings.get("quick_gelu") else nn.GELU}
    webli = next(
        tag for tag in open_clip.list_pretrained_tags_by_model("ViT-B-16")
        if open_clip.get_pretrained_cfg("ViT-B-16", tag).get("mean", OPENAI_MEAN) == OPENAI_MEAN
    )  # fmt: skip
    assert normalisation(
        OpenClipEncoder.load(f"ViT-B-16/{webli}", device="cpu", dtype="fp32", checkpoint=checkpoint)
    ) == (pytest.approx(OPENAI_MEAN))


@pytest.mark.slow
def test_a_checkpoint_of_another_architecture_is_named_in_the_error(vit_b_32: Path, vit_l_14: Path) -> None:
    with pytest.raises(ModelLoadError, match=re.escape(str(vit_b_32))) as error:
        OpenClipEncoder.load("ViT-B-16", device="cpu", dtype="fp32", checkpoint=vit_b_32)
    assert "ViT-B-16" in str(error.value)


@pytest.mark.slow
def test_a_checkpoint_that_lacks_a_weight_is_refused_by_name(vit_b_32: Path, tmp_path: Path) -> None:
    weights = torch.load(vit_b_32, weights_only=True)
    del weights["visual.conv1.weight"]
    broken = tmp_path / "broken.safetensors"
    save_file(weights, broken)
    with pytest.raises(ModelLoadError, match="visual.conv1.weight") as error:
        OpenClipEncoder.load("ViT-B-32", device="cpu", dtype="fp32", checkpoint=broken)
    assert str(broken) in str(error.value)


# Small models in folders


@pytest.mark.parametrize("weights", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_model_folder_is_loaded_with_its_own_settings(tmp_path: Path, weights: str) -> None:
    model = small_models.vit()
    folder = write_open_clip(tmp_path / "a model", model, small_models.TEXT, weights)
    encoder = OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")
    assert normalisation(encoder) == pytest.approx(MEAN)
    rows = encoder.encode_texts(TEXTS)
    assert torch.allclose(rows, expected_texts(model, encoder.tokenizer, TEXTS), atol=1e-5)


def test_a_hub_model_is_found_in_the_models_folder(home: Path) -> None:
    folder = home / "models" / "org--name"
    write_open_clip(folder, small_models.vit(), small_models.TEXT, "open_clip_model.safetensors")
    encoder = OpenClipEncoder.load("hf-hub:org/name", device="cpu", dtype="fp32")
    expected = expected_texts(small_models.vit(), encoder.tokenizer, TEXTS)
    assert torch.allclose(encoder.encode_texts(TEXTS), expected, atol=1e-5)


def test_a_hub_model_is_found_in_the_hub_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / ("a" * 40)
    write_open_clip(snapshot, small_models.vit(), small_models.TEXT, "open_clip_model.safetensors")
    encoder = OpenClipEncoder.load("hf-hub:org/name", device="cpu", dtype="fp32")
    assert encoder.encode_texts(TEXTS).shape == (2, small_models.WIDTH)


def test_a_folder_with_a_hugging_face_text_tower_brings_tokenizer_and_tower(tmp_path: Path) -> None:
    folder = small_models.write_hf_folder(tmp_path / "model")
    tower = small_models.write_hf_folder(tmp_path / "model" / "tower")
    model = small_models.hf_text(tower)
    text_cfg = {**small_models.hf_text_cfg("tower"), "hf_tokenizer_name": "org/elsewhere"}
    write_open_clip(folder, model, text_cfg, "open_clip_model.safetensors")
    encoder = OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")
    expected = expected_texts(model, small_models.hf_tokenizer(tower), TEXTS)
    assert torch.allclose(encoder.encode_texts(TEXTS), expected, atol=1e-5)


def test_a_folder_whose_tokenizer_and_tower_are_elsewhere_names_them(tmp_path: Path, home: Path) -> None:
    model = small_models.hf_text(small_models.write_hf_folder(tmp_path / "source"))
    text_cfg = {**small_models.hf_text_cfg("org/tower"), "hf_tokenizer_name": "org/words"}
    folder = write_open_clip(tmp_path / "model", model, text_cfg, "open_clip_model.safetensors")
    with pytest.raises(ModelNotFoundError) as error:
        OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")
    for wanted in ("org/tower", "org/words", "config.json", "tokenizer.json", str(home / "models" / "org--words")):
        assert wanted in str(error.value)
    small_models.write_hf_folder(home / "models" / "org--words")
    small_models.write_hf_folder(home / "models" / "org--tower")
    encoder = OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")
    expected = expected_texts(model, small_models.hf_tokenizer(tmp_path / "source"), TEXTS)
    assert torch.allclose(encoder.encode_texts(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", lambda path: path.write_bytes(path.read_bytes()[:5000])),
        ("model.safetensors", lambda path: path.write_text("<html>not found</html>")),
        ("pytorch_model.bin", lambda path: path.write_bytes(path.read_bytes()[:5000])),
        ("pytorch_model.bin", lambda path: path.write_text("<html>not found</html>")),
        ("pytorch_model.bin", lambda path: torch.save({}, path)),
        ("pytorch_model.bin", lambda path: torch.save([1], path)),
    ],
    ids=["cut safetensors", "page as safetensors", "cut pickle", "page as pickle", "empty pickle", "pickled list"],
)
def test_a_weights_file_that_is_damaged_is_named(tmp_path: Path, name: str, damage: Callable[[Path], object]) -> None:
    folder = write_open_clip(tmp_path / "model", small_models.vit(), small_models.TEXT, name)
    damage(folder / name)
    with pytest.raises(ModelLoadError, match=name):
        OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")


def test_a_weights_file_that_lacks_a_weight_is_refused_by_name(tmp_path: Path) -> None:
    name = "open_clip_model.safetensors"
    folder = write_open_clip(tmp_path / "model", small_models.vit(), small_models.TEXT, name)
    weights = load_file(folder / name)
    del weights["ln_final.weight"]
    save_file(weights, folder / name)
    with pytest.raises(ModelLoadError, match="ln_final.weight") as error:
        OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")
    assert name in str(error.value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    folder = write_open_clip(tmp_path, small_models.vit(), small_models.TEXT, "open_clip_pytorch_model.bin")
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    torch.save({"logit_scale": Trap()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="open_clip_pytorch_model.bin"):
        OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")
    assert not marker.exists()


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "{}",
        '{"model_cfg": null}',
        '{"model_cfg": {}}',
        '{"model_cfg": {"text_cfg": []}}',
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, config: str) -> None:
    folder = write_open_clip(tmp_path, small_models.vit(), small_models.TEXT, "open_clip_model.safetensors")
    (folder / CONFIG_FILE).write_text(config, encoding="utf-8")
    with pytest.raises(ModelLoadError, match=CONFIG_FILE):
        OpenClipEncoder.load(f"local-dir:{folder}", device="cpu", dtype="fp32")


# What is not there


def test_a_missing_model_names_files_and_folder(home: Path) -> None:
    with pytest.raises(ModelNotFoundError) as error:
        OpenClipEncoder.load("ViT-L-14/openai", device="cpu", dtype="fp32")
    message = str(error.value)
    assert "open_clip_model.safetensors" in message
    assert str(home / "models" / "timm--vit_large_patch14_clip_224.openai") in message
    assert "download" in message


def test_a_missing_checkpoint_folder_or_hub_model_is_named(tmp_path: Path) -> None:
    for name, checkpoint, wanted in (
        ("ViT-B-32", tmp_path / "none.pt", "none.pt"),
        (f"local-dir:{tmp_path / 'nowhere'}", None, "nowhere"),
        ("hf-hub:org/name", None, "open_clip_config.json"),
    ):
        with pytest.raises(ModelNotFoundError, match=re.escape(wanted)):
            OpenClipEncoder.load(name, device="cpu", dtype="fp32", checkpoint=checkpoint)


def test_a_missing_tokenizer_and_text_tower_are_named_with_the_weights() -> None:
    with pytest.raises(ModelNotFoundError) as error:
        OpenClipEncoder.load("roberta-ViT-B-32/laion2b_s12b_b32k", device="cpu", dtype="fp32")
    message = str(error.value)
    assert "laion/CLIP-ViT-B-32-roberta-base-laion2B-s12B-b32k" in message
    assert message.count("roberta-base is not on this machine") == 2  # its tokenizer and its config.json
    assert "tokenizer.json" in message
    assert "config.json" in message


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ViT-L14/openai", "ViT-L-14"),
        ("ViT-L-14/opanai", "openai"),
        ("vit-b-32/openai", "ViT-B-32"),
        ("ViT-B-32", "laion2b_s34b_b79k"),
        ("", "ViT-L-14/openai"),
        ("ViT-L-14/openai/extra", "openai"),
    ],
)
def test_an_unknown_name_lists_the_nearest_known_ones(name: str, near: str) -> None:
    with pytest.raises(UnknownModelError, match=re.escape(near)):
        OpenClipEncoder.load(name, device="cpu", dtype="fp32")


@pytest.mark.parametrize("name", ["/".join(pair) for pair in open_clip.list_pretrained()])
def test_every_published_model_is_located_without_network(name: str) -> None:
    with pytest.raises(ModelNotFoundError) as error:
        OpenClipEncoder.load(name, device="cpu", dtype="fp32")
    assert re.search(r"\w\.(safetensors|bin|pt|pth)\b", str(error.value)), error.value
    wanted = open_clip.get_model_config(name.partition("/")[0])["text_cfg"]
    for key in ("hf_tokenizer_name", "hf_model_name"):
        assert wanted.get(key, "") in str(error.value)


@pytest.mark.parametrize("architecture", open_clip.list_models())
def test_every_architecture_without_weights_is_answered_with_a_named_error(architecture: str) -> None:
    with pytest.raises(UnknownModelError, match=re.escape(architecture)):
        OpenClipEncoder.load(architecture, device="cpu", dtype="fp32")
    with pytest.raises(ModelNotFoundError, match="none.safetensors"):
        OpenClipEncoder.load(architecture, device="cpu", dtype="fp32", checkpoint="none.safetensors")
