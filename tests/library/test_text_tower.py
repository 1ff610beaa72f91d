"""The text tower against the models' own `encode_text`: random trees of tokens, every supported tower."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from open_clip.model import convert_weights_to_lp
from torch import Tensor, nn

from interrogator.text_tower import CausalTower, NotCausal, tower
from interrogator.text_tower.trie import Trie

from . import small_models
from .small_models import unit_rows

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

START, END, ZERO = 49406, 49407, 0
CONTEXT = 12
# fp32 answers of one small tower differ by about 3e-7 between two orders of summation.
SAME = 2e-6


def _coca(correct: bool = False) -> Any:
    model = small_models.coca(context_length=CONTEXT)
    model.text.correct_cls_mask = correct
    return model


def _blocks_of_lp(dtype: torch.dtype) -> Any:
    """A model in half precision as open_clip makes it: LayerNorm and embeddings stay in float32."""
    model = small_models.vit(context_length=CONTEXT)
    convert_weights_to_lp(model, dtype)
    return model


TOWERS: dict[str, Callable[[], Any]] = {
    "native": lambda: small_models.vit(context_length=CONTEXT),
    "native, QuickGELU": lambda: small_models.vit(quick_gelu=True, context_length=CONTEXT),
    "native, wide and deep": lambda: small_models.vit(context_length=CONTEXT, width=96, heads=6, layers=5),
    "native, LayerScale": lambda: small_models.vit(context_length=CONTEXT, ls_init_value=0.5),
    "custom_text": lambda: small_models.custom_text(context_length=CONTEXT),
    "custom_text, end token by id": lambda: small_models.custom_text(
        context_length=CONTEXT, pool_type="eos", eos_id=END
    ),
    "custom_text, last place": lambda: small_models.custom_text(context_length=CONTEXT, pool_type="last"),
    "custom_text, first place": lambda: small_models.custom_text(context_length=CONTEXT, pool_type="first"),
    "custom_text, projection with bias": lambda: small_models.custom_text(context_length=CONTEXT, proj_bias=True),
    "custom_text, no projection": lambda: small_models.custom_text(context_length=CONTEXT, proj_type="none"),
    "CoCa": _coca,
    "CoCa, corrected mask": lambda: _coca(correct=True),
}


@cache
def towers(kind: str) -> tuple[Any, CausalTower]:
    model = TOWERS[kind]()
    return model, CausalTower(model)


def plain(model: Any, ids: Tensor) -> Tensor:
    with torch.no_grad():
        return unit_rows(model.encode_text(ids))


def shared(tower: CausalTower, ids: Tensor, in_float32: bool = False) -> Tensor:
    with torch.no_grad():
        return unit_rows(tower.features(ids, in_float32))


def rows_of(texts: list[list[int]], end: bool = True) -> Tensor:
    """Token ids [N, CONTEXT] of texts: start, tokens, end (where it fits, or not at all), padding."""
    ids = torch.zeros(len(texts), CONTEXT, dtype=torch.int64)
    for row, text in zip(ids, texts, strict=True):
        tokens = [START, *text, END][:CONTEXT] if end else [START, *text][:CONTEXT]
        if end:
            tokens[-1] = END
        row[: len(tokens)] = torch.tensor(tokens)
    return ids


# Few different tokens, so that random texts form trees; the padding id is one of them.
trees = st.lists(st.lists(st.sampled_from([ZERO, 5, 6, 320]), max_size=CONTEXT), min_size=1, max_size=24)


@pytest.mark.parametrize("kind", sorted(TOWERS))
def test_random_trees_of_random_tokens_give_the_models_own_answers(kind: str) -> None:
    model, subject = towers(kind)

    @given(texts=trees, prompt=st.lists(st.sampled_from([ZERO, 7, 8]), max_size=6), end=st.booleans())
    @settings(max_examples=60)
    @example(texts=[[]], prompt=[], end=True)  # an empty text
    @example(texts=[[], [], []], prompt=[], end=True)  # the same tokens again
    @example(texts=[[5], [6], [5, 6]], prompt=[], end=True)  # one token; a beginning of another
    @example(texts=[[5] * (CONTEXT - 2), [5] * (CONTEXT - 3)], prompt=[], end=True)  # the context is full, and almost
    @example(texts=[[5] * CONTEXT, [6] * CONTEXT], prompt=[], end=True)  # and exceeded
    @example(texts=[[ZERO], [ZERO, ZERO], [5, ZERO, 6]], prompt=[], end=True)  # content that looks like padding
    @example(texts=[[5], [5, 6]], prompt=[], end=False)  # no end token anywhere
    @example(texts=[[5]], prompt=[7, 7, 7], end=True)  # a single continuation
    def holds(texts: list[list[int]], prompt: list[int], end: bool) -> None:
        ids = rows_of([prompt + text for text in texts], end)
        assert float((shared(subject, ids) - plain(model, ids)).abs().max()) < SAME

    holds()


@pytest.mark.parametrize("kind", sorted(TOWERS))
def test_all_tokens_at_random_give_the_models_own_answers(kind: str) -> None:
    model, subject = towers(kind)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 4, (200, CONTEXT), generator=generator)
    ids[ids == 3] = END
    assert float((shared(subject, ids) - plain(model, ids)).abs().max()) < SAME


@pytest.mark.parametrize("kind", sorted(TOWERS))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_stay_as_near_to_float32_as_the_models_own_answers(
    kind: str, dtype: torch.dtype
) -> None:
    full, _ = towers(kind)
    half = copy.deepcopy(full).to(dtype)
    raised = copy.deepcopy(half).float()
    subject = CausalTower(half)

    @given(texts=trees)
    @settings(max_examples=15)
    def holds(texts: list[list[int]]) -> None:
        ids = rows_of(texts)
        exact = plain(raised, ids)
        own = float((plain(half, ids) - exact).abs().max())
        assert float((shared(subject, ids) - exact).abs().max()) < 2 * own + 4 * torch.finfo(dtype).eps
        assert float((shared(subject, ids, in_float32=True) - exact).abs().max()) < SAME

    holds()
    assert all(parameter.dtype == dtype for parameter in half.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_as_open_clip_loads_it_keeps_norms_and_embeddings_in_float32(dtype: torch.dtype) -> None:
    model = _blocks_of_lp(dtype)
    ids = rows_of([[5, 6], [5, 7, 8], [9]])
    got = shared(CausalTower(model), ids)
    assert torch.allclose(got, plain(model, ids), atol=8 * torch.finfo(dtype).eps)
    assert model.ln_final.weight.dtype == torch.float32


def test_autocast_runs_float32_weights_in_half_precision_and_float32_on_demand() -> None:
    model, subject = towers("native")
    ids = rows_of([[5, 6], [5, 7, 8], [9]])
    with torch.autocast("cpu", torch.bfloat16):
        rough = shared(subject, ids)
    exact = shared(subject, ids)
    assert 1e-5 < float((rough - exact).abs().max()) < 0.05


@given(
    sequences=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=20),
    group=st.integers(1, 20),
)
@settings(max_examples=300)
def test_every_sequence_is_a_path_of_the_trie(sequences: list[list[int]], group: int) -> None:
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.full((len(sequences), 8), 9)  # what stands behind an end does not matter
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    trie = Trie.of(padded, lengths, group)
    slots = trie.tokens.shape[1]
    for sequence, end in zip(sequences, trie.where.tolist(), strict=True):
        home = end // trie.ends.shape[1]
        slot = trie.ends.reshape(-1)[end]
        path = np.flatnonzero(trie.visible[home, slot])
        path = path[np.argsort(trie.depths[home, path])]
        assert [*trie.trunk, *trie.tokens[home, path]] == sequence
        assert trie.depths[home, path].tolist() == list(range(len(trie.trunk), len(sequence)))
        assert [-1, *sequence[:-1]][len(trie.trunk) :] == trie.before[home, path].tolist()
    beginnings = {tuple(s[: n + 1]) for s in sequences for n in range(len(trie.trunk), len(s))}
    assert trie.nodes >= len(beginnings)
    assert slots >= max(lengths) - len(trie.trunk)
    if len(trie.tokens) == 1:
        assert trie.nodes == len(beginnings)


def test_a_beginning_is_computed_once() -> None:
    _, subject = towers("native")
    before = subject.nodes
    shared(subject, rows_of([[5, 6, 7], [5, 6, 8], [5, 6], [5, 6, 7]]))
    # start, 5 and 6 are the trunk; then 7 and 8 with an end each, and the end behind 6
    assert subject.nodes - before == 3 + 5


def wide(count: int) -> Tensor:
    """Texts of three tokens each that share nothing but the start."""
    return rows_of([[100 + n, 200 + n, 300 + n] for n in range(count)])


def chunk_sizes(model: Any) -> tuple[list[int], Any]:
    """The nodes that go through the first layer together, told as it happens."""
    sizes: list[int] = []
    handle = model.transformer.resblocks[0].ln_2.register_forward_pre_hook(
        lambda _, inputs: sizes.append(inputs[0].shape[0] * inputs[0].shape[1])
    )
    return sizes, handle


def test_memory_is_bounded_by_the_nodes_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    model, subject = towers("native")
    monkeypatch.setattr(tower, "NODES_ON_CPU", 256)
    sizes, handle = chunk_sizes(model)
    ids = wide(500)
    got = shared(subject, ids)
    handle.remove()
    assert max(sizes) <= 256
    assert len(sizes) > 7
    assert float((got - plain(model, ids)).abs().max()) < SAME


def exhausted(most: int) -> Callable[..., None]:
    """A layer's hook that runs out of memory above `most` nodes: what a small GPU would do, which is not here."""

    def raise_above(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nodes = inputs[0].shape[0] * inputs[0].shape[1]
        if nodes > most:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {nodes} nodes")

    return raise_above


def test_out_of_memory_halves_the_chunk_and_goes_on() -> None:
    model = TOWERS["native"]()
    subject = CausalTower(model)
    sizes, _ = chunk_sizes(model)
    model.transformer.resblocks[1].register_forward_pre_hook(exhausted(300))
    model.transformer.resblocks[1].ln_1.register_forward_pre_hook(exhausted(300))
    ids = wide(400)
    got = shared(subject, ids)
    assert max(sizes) > 300  # it was tried
    assert float((got - plain(TOWERS["native"](), ids)).abs().max()) < SAME
    sizes.clear()
    shared(subject, ids)
    assert max(sizes) <= 300  # and is remembered


def test_out_of_memory_with_a_single_group_is_an_error_and_so_is_any_other() -> None:
    model = TOWERS["native"]()
    handle = model.transformer.resblocks[1].ln_1.register_forward_pre_hook(exhausted(10))
    with pytest.raises(torch.OutOfMemoryError):
        shared(CausalTower(model), wide(400))
    handle.remove()

    def fail(*_: Any) -> None:
        raise RuntimeError("something else")

    model.transformer.resblocks[1].ln_1.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="something else"):
        shared(CausalTower(model), wide(400))


def test_weights_are_used_where_they_are() -> None:
    model = TOWERS["native"]()
    subject = CausalTower(model)
    ids = rows_of([[5, 6], [7]])
    before = shared(subject, ids)
    with torch.no_grad():
        for parameter in model.transformer.parameters():
            parameter.mul_(1.5)
    after = shared(subject, ids)
    assert not torch.allclose(before, after)
    assert float((after - plain(model, ids)).abs().max()) < SAME
    assert set(model.state_dict()) == set(TOWERS["native"]().state_dict())


@pytest.mark.parametrize(
    "model",
    [
        lambda: small_models.siglip_like(),
        lambda: small_models.custom_text(no_causal_mask=True),
        lambda: small_models.custom_text(pool_type="none", proj_type="none"),
        lambda: small_models.vit(qk_norm=True),
        lambda: nn.Linear(2, 2),
    ],
    ids=["siglip", "no causal mask", "all places", "blocks of another kind", "no tower"],
)
def test_what_is_not_a_causal_tower_of_known_structure_is_refused(model: Callable[[], Any]) -> None:
    with pytest.raises(NotCausal):
        CausalTower(model())
