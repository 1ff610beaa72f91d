"""Weights that `torch.save` and TorchScript wrote: read as they are, without running what is in them."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor, nn

from interrogator import ModelLoadError, OpenClipEncoder
from interrogator.pickled_weights import is_torchscript, read_weights

from . import small_models
from .small_models import expected_texts
from .tiny_checkpoints import write_blip, write_open_clip

pytestmark = [pytest.mark.models, pytest.mark.filterwarnings("ignore")]

ARCHITECTURE = "interrogator-tiny"
TEXTS = ["a cat", "oil on canvas"]


class Runs:
    """Runs when it is unpickled as Python does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.folder),)


class Holder(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A tiny model that open_clip knows by a name."""
    configs = tmp_path_factory.mktemp("configs")
    config = {"embed_dim": small_models.WIDTH, "vision_cfg": small_models.VISION, "text_cfg": dict(small_models.TEXT)}
    (configs / f"{ARCHITECTURE}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(configs)
    torch.manual_seed(0)
    yield open_clip.create_model(ARCHITECTURE).eval()
    factory: Any = open_clip.factory
    factory._MODEL_CONFIG_PATHS.remove(configs)
    factory._rescan_model_configs()


def write_torchscript(path: Path, state: dict[str, Tensor]) -> Path:
    """An archive as OpenAI published its models: modules in half precision, with numbers beside the weights."""
    root = Holder()
    for name, value in state.items():
        *modules, own = name.split(".")
        module: nn.Module = root
        for each in modules:
            if each not in module._modules:
                module.add_module(each, Holder())
            module = module._modules[each]  # type: ignore[assignment]
        module.register_parameter(own, nn.Parameter(value.half(), requires_grad=False))
    for name, number in (("input_resolution", 224), ("context_length", 77), ("vocab_size", 49408)):
        root.register_buffer(name, torch.tensor(number))
    torch.jit.save(torch.jit.script(root), str(path))
    return path


def write_training(path: Path, state: dict[str, Tensor], **more: Any) -> Path:
    """A checkpoint of a training of open_clip on several GPUs."""
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": np.float64(1e-4)}]}
    torch.save(
        {
            "epoch": np.int64(3), "name": "run", "args": argparse.Namespace(lr=1e-4, folder=Path("logs")),
            "state_dict": {f"module.{name}": value for name, value in state.items()}, "optimizer": optimizer, **more,
        },
        path,
    )  # fmt: skip
    return path


def texts_of(path: Path, name: str = ARCHITECTURE) -> tuple[OpenClipEncoder, Tensor]:
    encoder = OpenClipEncoder.load(name, device="cpu", dtype="fp32", checkpoint=path)
    return encoder, encoder.encode_texts(TEXTS)


def test_openais_archive_loads_with_the_activation_of_its_models(model: Any, tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "ViT-L-14.pt", model.state_dict())
    assert is_torchscript(path)
    encoder, rows = texts_of(path)
    quick = open_clip.create_model(ARCHITECTURE, force_quick_gelu=True).eval()
    quick.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    assert torch.allclose(rows, expected_texts(quick, encoder.tokenizer, TEXTS), atol=1e-4)


def test_a_checkpoint_of_a_training_loads(model: Any, tmp_path: Path) -> None:
    path = write_training(tmp_path / "epoch_3.pt", model.state_dict())
    assert not is_torchscript(path)
    encoder, rows = texts_of(path)
    assert torch.allclose(rows, expected_texts(model, encoder.tokenizer, TEXTS), atol=1e-4)


def test_nothing_in_a_checkpoint_runs(model: Any, tmp_path: Path) -> None:
    path = write_training(tmp_path / "epoch_3.pt", model.state_dict(), hook=Runs(tmp_path / "ran"))
    assert set(read_weights(path)) == set(model.state_dict())
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").is_dir(), "as Python would have done"


def test_tensors_are_those_that_torch_reads(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    state = {
        "part": whole[:, 1], "turned": whole.permute(2, 0, 1), "number": torch.tensor(2), "none": torch.empty(0, 3),
        "half": whole.half(), "brain": whole.bfloat16(), "yes": whole > 3, "trained": nn.Parameter(whole.clone()),
    }  # fmt: skip
    torch.save(state, tmp_path / "w.pt")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("w.pt", "old.pt"):
        read = read_weights(tmp_path / name)
        assert list(read) == list(state)
        for key, value in state.items():
            assert torch.equal(read[key], value) and read[key].dtype == value.dtype


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html><html>Log in</html>", "page of a website"),
        (b"", "is empty"),
        (b"PK\x03\x04 and then nothing", "cut off"),
        (b"any other bytes", "damaged, or no file of PyTorch"),
    ],
)
def test_what_is_no_checkpoint_is_said(content: bytes, says: str, model: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=says) as error:
        texts_of(path)
    assert "weights_only" not in str(error.value) and str(path) in str(error.value)


def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(ModelLoadError, match="no named tensors"):
        read_weights(tmp_path / "w.pt")
    shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path, "w.pt")
    with pytest.raises(ModelLoadError, match="none with a checkpoint of PyTorch"):
        read_weights(tmp_path / "other.zip")


def test_a_folder_with_such_files_is_refused_in_our_words(tmp_path: Path) -> None:
    from interrogator import load_captioner

    folder = write_blip(tmp_path / "blip")
    (folder / "model.safetensors").unlink()
    torch.save({"a": Runs(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError) as error:
        load_captioner(folder, device="cpu")
    assert "weights_only" not in str(error.value) and not (tmp_path / "ran").exists()
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelLoadError, match="pytorch_model.bin is cut off"):
        load_captioner(folder, device="cpu")


def test_a_folder_of_open_clip_takes_a_checkpoint_of_a_training(tmp_path: Path) -> None:
    expected = OpenClipEncoder.load(write_open_clip(tmp_path / "a"), device="cpu", dtype="fp32").encode_texts(TEXTS)
    folder = write_open_clip(tmp_path / "b", name="open_clip_pytorch_model.bin")
    write_training(folder / "open_clip_pytorch_model.bin", small_models.vit().state_dict())
    assert torch.equal(OpenClipEncoder.load(folder, device="cpu", dtype="fp32").encode_texts(TEXTS), expected)


def test_damaged_checkpoints_end_in_a_sentence(tmp_path: Path) -> None:
    draw = random.Random(16)
    state = {"layer.weight": torch.ones(4, 4), "layer.bias": torch.ones(4)}
    files = [
        write_torchscript(tmp_path / "a.pt", state).read_bytes(),
        write_training(tmp_path / "b.pt", state, hook=Runs(tmp_path / "ran")).read_bytes(),
    ]
    path = tmp_path / "w.pt"
    for trial in range(600):
        content = bytearray(files[trial % 2])
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(content))
            content[at : at + draw.randint(0, 4)] = draw.randbytes(draw.randint(0, 4))
        path.write_bytes(content)
        try:
            assert all(isinstance(tensor, Tensor) for tensor in read_weights(path).values())
        except ModelLoadError as error:
            assert "\n" not in str(error)
    assert not (tmp_path / "ran").exists()
