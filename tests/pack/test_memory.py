"""Models are in ComfyUI's care: brought in before every use, whole, and let go when others need the room."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from .conftest import Demo, images, load_demo
from .stand_ins import ComfyUI, Pack, load_pack, run
from .stand_ins.host import ModelPatcher

pytestmark = pytest.mark.models

TOO_LITTLE = "The device is out of memory even with one image at a time"


def is_moved(patcher: ModelPatcher) -> bool:
    return all(getattr(layer, "moved", False) for layer in patcher.layers())


def is_away(patcher: ModelPatcher) -> bool:
    return not any(getattr(layer, "moved", False) for layer in patcher.layers())


@pytest.fixture
def kept(pack: Pack) -> Demo:
    """The demo's models that Interrogate Image uses too."""
    return load_demo(pack)


@pytest.fixture
def watched(demo: Demo, comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which work the models did; each time the model has to be in, whole, and others may come right after."""
    done: list[str] = []

    def watch(model: Any, method: str) -> None:
        work = getattr(model, method)

        def checked(*args: Any, **options: Any) -> Any:
            (patcher,) = [patcher for patcher in comfyui.management.loaded if holds(patcher, model.module)]
            assert is_moved(patcher), f"{method} ran with its model moved out"
            done.append(method)
            result = work(*args, **options)
            comfyui.management.make_room(1e30)
            return result

        monkeypatch.setattr(model, method, checked)

    for method in ("embed", "encode_texts", "encode_continuations", "identity"):
        watch(demo.encoder[0].model, method)
    watch(demo.captioner[0].model, "caption")
    comfyui.management.make_room(1e30)
    comfyui.management.loads.clear()
    return done


def holds(patcher: ModelPatcher, module: torch.nn.Module) -> bool:
    return any(part is module for part in patcher.model.modules())


def test_models_are_brought_in_before_every_use(
    pack: Pack, demo: Demo, comfyui: ComfyUI, creatures: list[Image.Image], watched: list[str]
) -> None:
    node, image = pack.nodes["InterrogatorAdvanced"], images(creatures[:1])
    parts = {"captioner": demo.captioner, "encoder": demo.encoder, "banks": demo.banks}
    run(node, image=image, mode="caption", **parts)
    for mode in ("best", "fast", "classic", "negative"):
        run(node, image=image, mode=mode, **{"mode.max_phrases": 2}, **parts)
    run(pack.nodes["InterrogatorRank"], image=image, encoder=demo.encoder, lines="a\nb")
    run(pack.nodes["InterrogatorSimilarity"], image=image, encoder=demo.encoder, text="a")
    run(pack.nodes["InterrogatorNegative"], image=image, encoder=demo.encoder, banks=demo.banks, max_phrases=2)
    run(pack.nodes["InterrogatorCaption"], image=image, captioner=demo.captioner)
    assert {"embed", "encode_texts", "encode_continuations", "identity", "caption"} == set(watched)
    assert len(comfyui.management.loads) >= len(watched)
    for patchers, activations, is_whole in comfyui.management.loads:
        assert len(patchers) == 1 and activations > 1e8 and is_whole


def test_a_model_never_lies_on_two_devices(
    pack: Pack, demo: Demo, comfyui: ComfyUI, creatures: list[Image.Image]
) -> None:
    management = comfyui.management
    run(pack.nodes["InterrogatorSimilarity"], image=images(creatures[:1]), encoder=demo.encoder, text="a")
    (patcher,) = [patcher for patcher in management.loaded if holds(patcher, demo.encoder[0].module)]
    assert patcher.partially_unload(patcher.offload_device, 1000) == 0
    assert is_moved(patcher)
    management.make_room(1000)  # a little would do; it goes whole
    assert is_away(patcher) and patcher not in management.loaded
    patcher.partially_load(patcher.load_device, 1000)  # there is room for a little; it comes whole
    assert is_moved(patcher)
    patcher.detach()


def test_loading_brings_nothing_in(pack: Pack, demo: Demo, comfyui: ComfyUI) -> None:
    """A graph may load models in one place and use them much later."""
    comfyui.management.loads.clear()
    run(pack.nodes["InterrogatorLoadEncoder"], model="demo", precision="bf16")
    run(pack.nodes["InterrogatorLoadCaptioner"], model="demo", precision="bf16")
    assert comfyui.management.loads == []


@pytest.mark.parametrize("kind", ["Captioner", "Encoder"])
def test_two_models_of_a_kind_are_kept(new_comfyui: Callable[..., ComfyUI], kind: str) -> None:
    loader = load_pack(new_comfyui()).nodes[f"InterrogatorLoad{kind}"]

    def load(precision: str) -> Any:
        return run(loader, model="demo", precision=precision)[0][0]

    first, second = load("fp16"), load("fp32")
    assert load("auto") is second, "what auto means for the demo is loaded twice"
    assert load("fp16") is first and load("fp32") is second and load("fp16") is first
    third = load("bf16")  # the second was used longest ago
    assert load("fp16") is first and load("bf16") is third
    gone = weakref.ref(second)
    del second
    gc.collect()
    assert gone() is None, "a model that is not kept is still somewhere"
    assert len({id(model) for model in (first, third, load("fp32"))}) == 3


@pytest.mark.parametrize(
    ("is_cpu", "fp16", "bf16", "expected"),
    [
        (True, True, True, "auto"),
        (False, True, True, "fp16"),
        (False, False, True, "bf16"),
        (False, False, False, "fp32"),
    ],
)
def test_auto_is_the_number_format_that_comfyui_would_take(
    pack: Pack, comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch, is_cpu: bool, fp16: bool, bf16: bool, expected: str
) -> None:
    for name, value in (("is_cpu", is_cpu), ("fp16", fp16), ("bf16", bf16)):
        monkeypatch.setattr(comfyui.management, name, value)
    precision = pack.module("nodes.host").precision
    assert precision("auto") == expected
    assert [precision(asked) for asked in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_number_format_runs(pack: Pack, demo: Demo, creatures: list[Image.Image], precision: str) -> None:
    encoder = run(pack.nodes["InterrogatorLoadEncoder"], model="demo", precision=precision)[0][0]
    captioner = run(pack.nodes["InterrogatorLoadCaptioner"], model="demo", precision=precision)[0][0]
    ran = run(
        pack.nodes["InterrogatorAdvanced"], image=images(creatures[:1]), mode="fast", encoder=encoder,
        captioner=captioner, banks=demo.banks,
    )  # fmt: skip
    assert ran[0][0] and -1 <= ran[3][0] <= 1


def run_each(pack: Pack, demo: Demo, pictures: list[Image.Image]) -> dict[str, Callable[[], Any]]:
    """A run of each node that computes, by node id."""
    image, parts = images(pictures), {"encoder": demo.encoder, "banks": demo.banks}
    return {
        "InterrogatorImage": lambda: run(pack.nodes["InterrogatorImage"], image=image, preset="demo", mode="fast"),
        "InterrogatorAdvanced": lambda: run(
            pack.nodes["InterrogatorAdvanced"], image=image, mode="fast", captioner=demo.captioner, **parts
        ),
        "InterrogatorNegative": lambda: run(pack.nodes["InterrogatorNegative"], image=image, **parts),
        "InterrogatorRank": lambda: run(pack.nodes["InterrogatorRank"], image=image, **parts),
        "InterrogatorSimilarity": lambda: run(
            pack.nodes["InterrogatorSimilarity"], image=image, encoder=demo.encoder, text="a"
        ),
        "InterrogatorCaption": lambda: run(pack.nodes["InterrogatorCaption"], image=image, captioner=demo.captioner),
    }


COMPUTING = (
    "InterrogatorImage", "InterrogatorAdvanced", "InterrogatorNegative", "InterrogatorRank", "InterrogatorSimilarity",
    "InterrogatorCaption",
)  # fmt: skip


def break_models(demo: Demo, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Every forward pass of an image raises."""

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(demo.encoder[0].model.model, "encode_image", broken)
    monkeypatch.setattr(demo.captioner[0].module.vision_model, "forward", broken)


@pytest.mark.parametrize("node", COMPUTING)
def test_memory_that_does_not_suffice_for_one_image_is_said(
    pack: Pack, kept: Demo, comfyui: ComfyUI, creatures: list[Image.Image], monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    emptied = comfyui.management.emptied
    break_models(kept, monkeypatch, torch.OutOfMemoryError("Tried to allocate 2 GiB"))
    with pytest.raises(RuntimeError, match=TOO_LITTLE) as caught:
        run_each(pack, kept, creatures)[node]()
    assert "Unload Models" in str(caught.value) and "\n" not in str(caught.value)
    assert comfyui.management.emptied > emptied


@pytest.mark.parametrize("node", COMPUTING)
@pytest.mark.parametrize("error", [RuntimeError("a kernel broke"), ValueError("a shape is wrong"), KeyboardInterrupt()])
def test_other_errors_come_out_as_they_are(
    pack: Pack, kept: Demo, creatures: list[Image.Image], monkeypatch: pytest.MonkeyPatch, node: str,
    error: BaseException,
) -> None:  # fmt: skip
    break_models(kept, monkeypatch, error)
    with pytest.raises(type(error)) as caught:
        run_each(pack, kept, creatures)[node]()
    assert caught.value is error


def test_older_comfyui_is_read_by_the_errors_text(new_comfyui: Callable[..., ComfyUI]) -> None:
    host = load_pack(new_comfyui(8)).module("nodes.host")
    for error in (torch.OutOfMemoryError("CUDA out of memory. Tried …"), RuntimeError("MPS backend out of memory")):
        with pytest.raises(RuntimeError, match=TOO_LITTLE), host.explain_out_of_memory():
            raise error
    with pytest.raises(RuntimeError, match="^a kernel broke$"), host.explain_out_of_memory():
        raise RuntimeError("a kernel broke")


def test_memory_for_some_images_at_a_time_is_enough(
    pack: Pack, demo: Demo, creatures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_it = run_each(pack, demo, creatures)["InterrogatorAdvanced"]
    expected = run_it()
    model, captioner = demo.encoder[0].model.model, demo.captioner[0].module
    encode_image, generate = model.encode_image, captioner.generate

    def small_only(work: Callable[..., Any]) -> Callable[..., Any]:
        def limited(pixels: torch.Tensor, *args: Any, **options: Any) -> Any:
            if len(pixels) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return work(pixels, *args, **options)

        return limited

    monkeypatch.setattr(model, "encode_image", small_only(encode_image))
    monkeypatch.setattr(captioner, "generate", small_only(generate))
    ran = run_it()
    assert ran[0] == expected[0] and ran[1] == expected[1]
