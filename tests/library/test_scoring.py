"""Choices of an encoder in reduced precision are those of float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from interrogator import Interrogator, OpenClipEncoder, PhraseBank
from interrogator.pipeline.scorer import Scorer
from interrogator.ranking import TIE, first_best, similarities

from . import small_models
from .small_models import encoder, pictures, some_phrases
from .tiny_checkpoints import prepared

EAST = torch.tensor([1.0, 0.0])


class Noisy:
    """Stands in for an encoder whose cosines with EAST are known, and wrong by `noise` unless asked for float32."""

    dtype = torch.bfloat16

    def __init__(self, cosines: Sequence[float], noise: Sequence[float]) -> None:
        self.cosines, self.noise = np.array(cosines), np.array(noise)
        self.exactly = 0

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: object = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        places = [int(phrase) for phrase in phrases]
        values = self.cosines[places] + (0 if dtype == torch.float32 else self.noise[places])
        self.exactly += len(places) if dtype == torch.float32 else 0
        return torch.from_numpy(np.stack([values, np.sqrt(1 - values**2)], axis=1)).float()


def scored(subject: Noisy, best: int) -> Tensor:
    scorer = Scorer(subject, EAST)  # type: ignore[arg-type]
    return scorer("a cat", [str(number) for number in range(len(subject.cosines))], best)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 400),
    best=st.integers(1, 8),
    shift=st.floats(-2e-3, 2e-3),
    levels=st.sampled_from([0, 3]),
)
@settings(max_examples=200)
def test_the_best_are_the_float32_best_whatever_the_noise(
    seed: int, count: int, best: int, shift: float, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    cosines = rng.normal(0.25, 1.5e-3, count)
    if levels:  # many ties
        cosines = np.round(cosines, levels)
    subject = Noisy(cosines, shift + rng.normal(0, 5e-4, count))
    scores = scored(subject, best).numpy()
    exact = torch.from_numpy(cosines).float().numpy()
    order = np.argsort(-exact, kind="stable")
    chosen = order[: min(best, count)]
    last = exact[chosen[-1]]
    among = np.flatnonzero(exact >= last - TIE / 2)  # the best and what ties with the last of them
    assert np.allclose(scores[among], exact[among], atol=1e-7)
    rest = np.setdiff1d(np.arange(count), among)
    assert (scores[rest] < last).all()
    assert first_best(torch.from_numpy(scores)) == first_best(torch.from_numpy(exact))


def test_only_what_may_be_among_the_best_is_computed_again() -> None:
    rng = np.random.default_rng(0)
    subject = Noisy(rng.normal(0.25, 1.5e-3, 2048), rng.normal(0, 1e-4, 2048))
    scored(subject, best=1)
    assert subject.exactly < 2048 // 10


def test_an_encoder_in_float32_computes_nothing_twice() -> None:
    subject = Noisy([0.1, 0.2, 0.3], [0.0, 0.0, 0.0])
    subject.dtype = torch.float32
    assert scored(subject, best=1).tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert subject.exactly == 0


def test_no_phrases_have_no_scores() -> None:
    assert scored(Noisy([], []), best=1).shape == (0,)


def pair(make: str, dtype: torch.dtype) -> tuple[OpenClipEncoder, OpenClipEncoder]:
    """The same weights in float32 and in a reduced dtype, both ways in which a model comes in it."""
    full = encoder(small_models.vit())
    if make == "autocast":
        return full, OpenClipEncoder(full.model, full.preprocess, full.tokenizer, "rough", dtype)
    half = small_models.vit().to(dtype)
    raised = small_models.vit()
    raised.load_state_dict(half.state_dict())
    return encoder(raised), encoder(half)


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", ["autocast", "half weights"])
def test_chains_in_reduced_precision_are_those_of_float32(make: str, dtype: torch.dtype) -> None:
    full, rough = pair(make, dtype)
    phrases = some_phrases(24)
    differ = 0
    for embedding in full.embed(prepared(full, pictures(6))):
        prompt = ["", ""]
        for _ in range(6):
            picks = []
            for number, subject in enumerate((full, rough)):
                scores = Scorer(subject, embedding)(prompt[number], phrases)
                picks.append(phrases[first_best(scores)])
            rows = rough.encode_continuations(prompt[1], phrases)
            differ += phrases[first_best(similarities(embedding, rows))] != picks[0]
            assert picks[0] == picks[1]
            prompt = [f"{text}, {picks[0]}" if text else picks[0] for text in prompt]
    if dtype == torch.bfloat16:
        assert differ  # the rough scores alone would have chosen otherwise


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
def test_prompts_in_bfloat16_are_those_of_float32_for_the_same_image_embedding() -> None:
    full, rough = pair("autocast", torch.bfloat16)
    banks = [PhraseBank.from_phrases("flavors", some_phrases(12))]
    rough.embed = full.embed  # type: ignore[method-assign]
    one, other = Interrogator(None, full, banks), Interrogator(None, rough, banks)
    table = one.table()
    other._table.get(lambda: table)  # rows in bfloat16 would rank otherwise: the promise is about the chain
    for image in pictures(3):
        expected = one.interrogate(image, mode="best", caption="a cat")
        got = other.interrogate(image, mode="best", caption="a cat")
        assert got.prompt == expected.prompt
        assert got.similarity == pytest.approx(expected.similarity, abs=1e-5)
