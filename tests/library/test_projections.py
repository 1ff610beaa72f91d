"""A batch projects its input with one product, whatever the layout: no weight is copied for each position or picture.

What that is worth is measured in benchmarks/; here it is held by the products that PyTorch ran.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from interrogator import BlipCaptioner, OpenClipEncoder
from interrogator.captioners.options import CaptionOptions
from interrogator.encoders.projections import FlatProjections
from interrogator.matchers.blip import BlipMatcher

from . import small_models
from .small_models import encoder, pictures
from .tiny_checkpoints import prepared, write_blip, write_matcher

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
KINDS: dict[str, Callable[[], Any]] = {
    "vit": small_models.vit,
    "custom text": small_models.custom_text,
    "coca": small_models.coca,
    "resnet": small_models.resnet,
    "siglip": small_models.siglip_like,
}


def embed(subject: OpenClipEncoder, images: Sequence[Any], progress: Any = None) -> Tensor:
    """Embeddings of pictures."""
    return subject.embed(prepared(subject, images), progress)


def repeated_weights(module: nn.Module, work: Callable[[], Any]) -> list[list[list[int]]]:
    """Shapes of the batched products of `work` in which a weight of the module stands once for each matrix."""
    weights = {parameter.shape[::-1] for parameter in module.parameters() if parameter.ndim == 2}
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as ran:
        work()
    products = [event.input_shapes for event in ran.events() if event.name in ("aten::bmm", "aten::baddbmm")]
    return [shapes for shapes in products if any(tuple(shape[1:]) in weights for shape in shapes if len(shape) == 3)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_images_repeats_no_weight_and_is_what_each_image_is_alone(kind: str, dtype: torch.dtype) -> None:
    subject = encoder(KINDS[kind](), dtype=dtype)
    images = pictures(5)
    alone = torch.cat([embed(subject, [image]) for image in images])
    found: list[Tensor] = []
    assert repeated_weights(subject.module, lambda: found.append(embed(subject, images))) == []
    noise = max(1e-5, 4 * torch.finfo(dtype).eps)
    assert torch.allclose(found[0], alone, atol=noise)
    full = embed(encoder(KINDS[kind]()), images)
    assert float((found[0] * full).sum(-1).min()) > float((alone * full).sum(-1).min()) - noise


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_texts_repeats_no_weight(kind: str, dtype: torch.dtype) -> None:
    subject = encoder(KINDS[kind](), dtype=dtype)
    texts = ["a cat", "two dogs", "a house by the sea"]
    assert repeated_weights(subject.module, lambda: subject.encode_texts(texts)) == []  # its trial too
    assert repeated_weights(subject.module, lambda: subject.encode_texts(texts)) == []


def test_the_models_own_forward_repeats_the_weight_for_each_position() -> None:
    model = small_models.vit()
    pixels = torch.zeros(3, 3, small_models.IMAGE_SIZE, small_models.IMAGE_SIZE)
    positions = (small_models.IMAGE_SIZE // 8) ** 2 + 1
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        plain = repeated_weights(model, lambda: model.encode_image(pixels))
        with FlatProjections():
            flat = repeated_weights(model, lambda: model.encode_image(pixels))
    assert {shapes[0][0] for shapes in plain} == {positions}, "nothing is left to mend: FlatProjections may go"
    assert flat == []


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_captions_and_matches_of_a_batch_repeat_no_weight(tmp_path: Path, dtype: str) -> None:
    captioner = BlipCaptioner.load(write_blip(tmp_path / "captioner"), device="cpu", dtype=dtype)
    four = prepared(captioner, pictures(4))
    for beams in (1, 3):
        options = CaptionOptions(max_new_tokens=4, num_beams=beams)
        write = partial(captioner.caption, four, options)
        assert repeated_weights(captioner.module, write) == []
    matcher = BlipMatcher.load(write_matcher(tmp_path / "matcher"), device="cpu", dtype=dtype)
    texts = [["a cat", "a big red dog"]] * 4
    assert repeated_weights(matcher.module, lambda: matcher.match(prepared(matcher, pictures(4)), texts)) == []


class TransposedLinear(nn.Module):
    """A projection of a transposed view, as the attention of MobileCLIP's image tower has it."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(24, 40)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.projection(x.transpose(1, 2))  # [B, 24, L] -> [B, L, 40]
        return answer


def test_a_linear_layer_on_a_transposed_view_repeats_no_weight_and_answers_the_same() -> None:
    module, x = TransposedLinear().eval().requires_grad_(False), torch.randn(3, 24, 7)
    assert repeated_weights(module, lambda: module(x)) != []
    answers: list[Tensor] = []

    def work() -> None:
        with FlatProjections():
            answers.append(module(x))

    assert repeated_weights(module, work) == []
    assert torch.allclose(answers[0], module(x), atol=1e-6)


@pytest.mark.parametrize("named", [False, True])
def test_self_attention_stays_known_as_such_and_cross_attention_keeps_its_inputs(named: bool) -> None:
    attention = nn.MultiheadAttention(24, 3).eval().requires_grad_(False)
    first, second = (torch.randn(2, 7, 24).transpose(0, 1) for _ in range(2))
    for query, key in ((first, first), (first, second)):
        inputs = {"query": query, "key": key, "value": key}
        expected = attention(**inputs)[0]
        with FlatProjections():
            answer = attention(**inputs)[0] if named else attention(*inputs.values())[0]
        assert torch.allclose(answer, expected, atol=1e-6)


def test_other_threads_and_the_module_are_left_alone() -> None:
    module, x = TransposedLinear().eval().requires_grad_(False), torch.randn(3, 24, 7)
    elsewhere: list[Any] = []
    before = dict(vars(module.projection))
    with FlatProjections():
        thread = threading.Thread(target=lambda: elsewhere.extend(repeated_weights(module, lambda: module(x))))
        thread.start()
        thread.join()
    assert elsewhere
    assert vars(module.projection) == before


def test_a_batch_cut_by_memory_or_stopped_between_layers_leaves_no_trace() -> None:
    subject = encoder(small_models.vit(), dtype=torch.bfloat16)
    images = pictures(4)
    expected = embed(subject, images)
    room = [True]

    def exhausted(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if room and len(inputs[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    subject.model.visual.register_forward_pre_hook(exhausted)
    assert torch.allclose(embed(subject, images), expected, atol=4 * torch.finfo(torch.bfloat16).eps)
    room.clear()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(subject, images, stop)
    module, x = TransposedLinear().eval().requires_grad_(False), torch.randn(3, 24, 7)
    assert repeated_weights(module, lambda: module(x)) != [], "it acts only while the call runs"
    assert torch.equal(embed(subject, images), expected)
