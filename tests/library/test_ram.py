"""RAM++: its head against one written from the paper's equations, its files, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor

from interrogator import load_tagger, registry
from interrogator.errors import ModelLoadError, ModelNotFoundError
from interrogator.hub import local_folder
from interrogator.taggers.ram.checkpoint import load_network, sizes_of, stored_name
from interrogator.taggers.ram.network import RamNetwork

from .small_models import pictures
from .tiny_checkpoints import prepared
from .tiny_ram import DESCRIPTIONS, LIMITS, SIZE, TAGS, WIDTH, tensors, write_ram

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

NAME = "xinyu1205/recognize-anything-plus-model"
PTH = "ram_plus_swin_large_14m.pth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ram(tmp_path_factory.mktemp("ram"))


def head(weights: dict[str, Tensor], patches: Tensor) -> Tensor:
    """Logits [C] for one image by its patches [P, width of the trunk]: one tag and one head of attention at a time."""

    def linear(name: str, values: Tensor) -> Tensor:
        return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, values: Tensor) -> Tensor:
        centred = values - values.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    states = linear("image_proj", torch.cat([patches.mean(0, keepdim=True), patches]))  # [1 + P, E]
    whole = states[0] / states[0].norm()
    logits = []
    for tag in range(len(TAGS)):
        some = weights["label_embed"][tag * DESCRIPTIONS : (tag + 1) * DESCRIPTIONS]  # [d, E]
        share = (weights["reweight_scale"].exp() * (some @ whole)).exp()
        hidden = linear("wordvec_proj", (share / share.sum()) @ some).clamp(min=0)  # [D]
        for number in range(2):
            layer = f"tagging_head.encoder.layer.{number}"
            query = linear(f"{layer}.crossattention.self.query", hidden)
            key = linear(f"{layer}.crossattention.self.key", states)
            value = linear(f"{layer}.crossattention.self.value", states)
            found = []
            for part in torch.arange(WIDTH).chunk(4):
                scores = (key[:, part] @ query[part] / len(part) ** 0.5).exp()
                found.append((scores / scores.sum()) @ value[:, part])
            attended = linear(f"{layer}.crossattention.output.dense", torch.cat(found))
            hidden = norm(f"{layer}.crossattention.output.LayerNorm", attended + hidden)
            wide = linear(f"{layer}.intermediate.dense", hidden)
            wide = wide * (1 + torch.erf(wide / 2**0.5)) / 2
            hidden = norm(f"{layer}.output.LayerNorm", linear(f"{layer}.output.dense", wide) + hidden)
        logits.append(linear("fc", hidden)[0])
    return torch.stack(logits)


def test_logits_are_those_of_the_head_written_down(folder: Path) -> None:
    network, size = load_network(folder / "ram_plus_swin_large_14m.safetensors", len(TAGS), torch.float32)
    assert size == SIZE
    network.eval()
    images = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        patches = network.trunk.forward_features(images).flatten(1, 2)  # [B, P, width]
        logits = network(images)  # [B, C]
    expected = torch.stack([head(tensors(), one) for one in patches])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert logits.std() > 0.1 and (logits[0] - logits[1]).abs().max() > 1e-3


def test_each_tensor_of_the_file_is_one_parameter(folder: Path) -> None:
    network, _ = load_network(folder / "ram_plus_swin_large_14m.safetensors", len(TAGS), torch.float32)
    weights = tensors()
    parameters = {stored_name(name): parameter for name, parameter in network.named_parameters()}
    assert parameters.keys() == weights.keys()
    for name, parameter in parameters.items():
        assert torch.equal(parameter, weights[name]), name


def test_the_sizes_of_the_published_model_come_from_its_shapes() -> None:
    """Swin-L at 384 pixels; nothing but shapes is there."""
    sizes = sizes_of(Path("published.pth"), Shapes(), 4585)
    assert sizes.image == 384 and sizes.descriptions == 51
    with torch.device("meta"):
        network = RamNetwork(sizes)
        trunk = timm.create_model("swin_large_patch4_window12_384", num_classes=0, global_pool="")
    shapes = {name: parameter.shape for name, parameter in trunk.named_parameters()}
    assert {name: parameter.shape for name, parameter in network.trunk.named_parameters()} == shapes


class Shapes:
    """Names and shapes of the published weights that the sizes are read from."""

    def __init__(self) -> None:
        table = "visual_encoder.layers.{}.blocks.{}.attn.relative_position_bias_table"
        self.shapes: dict[str, tuple[int, ...]] = {
            table.format(stage, block): (23 * 23, heads)
            for stage, (depth, heads) in enumerate(zip((2, 2, 18, 2), (6, 12, 24, 48), strict=True))
            for block in range(depth)
        }
        self.shapes |= {
            "visual_encoder.patch_embed.proj.weight": (192, 3, 4, 4),
            "wordvec_proj.weight": (768, 512),
            "label_embed": (4585 * 51, 512),
            "tagging_head.encoder.layer.0.intermediate.dense.weight": (3072, 768),
            "tagging_head.encoder.layer.1.intermediate.dense.weight": (3072, 768),
        }
        self.names = frozenset(self.shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name]

    def tensor(self, name: str) -> Tensor:
        raise AssertionError("no values are read for sizes")


def test_tags_have_thresholds_of_their_own(folder: Path) -> None:
    tagger = load_tagger(folder, device="cpu", dtype="fp32")
    found = tagger.tag(prepared(tagger, pictures(6)))
    for tags in found:
        assert [tag.text for tag in tags] == TAGS
        assert [tag.threshold for tag in tags] == LIMITS
        assert {tag.category for tag in tags} == {"general"}
    assert len({tuple(tag.probability for tag in tags) for tags in found}) == 6


def test_pixels_are_squashed_and_scaled_as_imagenets(folder: Path) -> None:
    """Red on the left, half transparent blue on the right."""
    image = Image.new("RGBA", (300, 50), (255, 0, 0, 255))
    image.paste((0, 0, 255, 0), (150, 0, 300, 50))
    tagger = load_tagger(folder, device="cpu", dtype="fp32")
    seen: list[Tensor] = []
    assert tagger.module is not None
    hook = tagger.module.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
    tagger.tag(prepared(tagger, [image]))
    hook.remove()
    (pixels,) = seen[0]
    assert pixels.shape == (3, SIZE, SIZE)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(pixels[:, 10, 10], (np.array([1, 0, 0]) - mean) / std, rtol=1e-5)
    np.testing.assert_allclose(pixels[:, 10, -10], (np.array([1, 1, 1]) - mean) / std, rtol=1e-5)


def test_a_checkpoint_of_torch_gives_what_safetensors_give(folder: Path, tmp_path: Path) -> None:
    expected = load_tagger(folder, device="cpu", dtype="fp32")
    ready = prepared(expected, pictures(3))
    older = {name.replace("tagging_head.", "vision_multi."): tensor for name, tensor in tensors().items()}
    extra = {"visual_encoder.layers.0.blocks.0.attn.relative_position_index": torch.zeros(9, 9)}
    (write_ram(tmp_path / "older") / "ram_plus_swin_large_14m.safetensors").unlink()
    torch.save({"model": {**older, **extra}}, tmp_path / "older" / PTH)
    trained = write_ram(tmp_path / "pth", name=PTH, epoch=4, config={"lr": 1e-4}, optimizer={"state": {}})
    for path in (trained, tmp_path / "older"):
        tagger = load_tagger(path, device="cpu", dtype="fp32")
        assert tagger.tag(ready) == expected.tag(ready)


class Evil:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return print, ("this must never run",)


def test_what_a_pickle_holds_beside_tensors_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_tagger(write_ram(tmp_path / "evil", name=PTH, config=Evil()), device="cpu")
    assert "never run" not in capsys.readouterr().out


def damage(folder: Path, kind: str) -> None:
    weights, tags, limits = folder / PTH, folder / "ram_tag_list.txt", folder / "ram_tag_list_threshold.txt"
    if kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif kind == "pointer":
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3010000000\n")
    elif kind == "list":
        weights.unlink()
        torch.save([1, 2], weights)
    elif kind == "another model":
        torch.save({"model": {"encoder.weight": torch.zeros(2)}}, weights)
    elif kind == "longer list":
        tags.write_text("\n".join([*TAGS, "one more"]))
        limits.write_text("0.5\n" * (len(TAGS) + 1))
    elif kind == "fewer thresholds":
        limits.write_text("0.5\n")
    elif kind == "no numbers":
        limits.write_text("half\n")
    elif kind == "another shape":
        state = tensors()
        state["fc.weight"] = torch.zeros(1, WIDTH + 1)
        torch.save({"model": state}, weights)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "is cut off: download it again"),
        ("pointer", "is a pointer of Git LFS"),
        ("list", "holds no named tensors: it is no checkpoint"),
        ("another model", "is not a RAM.*: it holds no Swin transformer with a tagging head"),
        ("longer list", "has 21 descriptions, which 8 tags cannot share: the tag list is of another model"),
        ("fewer thresholds", "has 7 tags, but .* 1 thresholds: take both from folder ram/data of github.com"),
        ("no numbers", "is not a list of numbers .*: take it from folder ram/data of github.com"),
        ("another shape", r"is not a RAM.*: fc.weight is \[1, 25\], not \[1, 24\]"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, kind: str, says: str) -> None:
    folder = write_ram(tmp_path / "ram", name=PTH)
    damage(folder, kind)
    with pytest.raises(ModelLoadError, match=says) as caught:
        load_tagger(folder, device="cpu")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_who_has_no_lists_is_told_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before three gigabytes are downloaded; then weights and lists may lie apart."""
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    target = local_folder(NAME)
    where = "needs ram_tag_list.txt and ram_tag_list_threshold.txt from folder ram/data of github.com/xinyu1205/"
    for download in (False, True):
        with pytest.raises(ModelNotFoundError, match=f"{where}.*put them into {re.escape(str(target))}"):
            registry.locate("tagger", NAME, download=download)
    whole = write_ram(tmp_path / "ram", name=PTH)
    target.mkdir(parents=True)
    for name in ("ram_tag_list.txt", "ram_tag_list_threshold.txt"):
        (whole / name).rename(target / name)
    with pytest.raises(ModelNotFoundError, match=f"put .* or {re.escape(PTH)} or .*3.0 GB"):
        registry.locate("tagger", NAME)
    (whole / PTH).rename(target / PTH)
    located = registry.locate("tagger", NAME)
    assert (located.family, located.folder) == ("ram", target)
    assert len(registry.load(located, device="cpu").tag([])) == 0  # type: ignore[attr-defined]
