"""What each quality makes of the samples and scores of its models; the models are stand-ins whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from interrogator.captioners import LAION_COCO, Sampled
from interrogator.dataset import CaptionRules, Settings
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.result import Candidate
from interrogator.dataset.captioning.roles import Roles
from interrogator.dataset.captioning.strategies import STRATEGIES, Batch
from interrogator.dataset.records import Item
from interrogator.qualities import SHORT_LIST

from .bare_models import BareEncoder, BareMatcher, BareSampler


class Captioner(BareSampler):
    """Writes the given texts, and keeps the options that it gets."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self._texts = texts
        self.options: list[Any] = []
        self.keys: list[str] = []

    def sample(self, prepared: Any, keys: Any, options: Any = None, progress: Any = None) -> list[list[Sampled]]:
        self.options.append(options)
        self.keys += keys
        return [[Sampled(text, (), -1.0 - index, True) for index, text in enumerate(self._texts)] for _ in prepared]

    def caption(self, prepared: Any, options: Any = None, progress: Any = None) -> list[str]:
        self.options.append(options)
        return [self._texts[0] for _ in prepared]


class Encoder(BareEncoder):
    """Gives texts the given cosines; an image is [1, 0]."""

    def __init__(self, cosines: dict[str, float]) -> None:
        super().__init__()
        self._cosines = cosines
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str], progress: Any = None, dtype: Any = None) -> torch.Tensor:
        self.asked += texts
        return torch.tensor([[self._cosines[text], 0.0] for text in texts])

    def embed(self, prepared: Sequence[Any], progress: Any = None) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0]] * len(prepared))


class Matcher(BareMatcher):
    """The longer a text, the likelier it belongs to the image."""

    def match(self, prepared: Sequence[Any], texts: Sequence[Sequence[str]], progress: Any = None) -> torch.Tensor:
        return torch.tensor([[len(text) / 100 for text in own] for own in texts])


def candidates(
    quality: Any, texts: Sequence[str], clip: dict[str, float] | None = None,
    reranked: dict[str, float] | None = None, **settings: Any,
) -> tuple[list[Candidate], Any]:  # fmt: skip
    """What a quality makes of one picture, and its models."""
    roles = Roles(
        Settings(quality=quality, **settings), Captioner(texts), None, None if clip is None else Encoder(clip),
        Matcher(), None if reranked is None else Encoder(reranked),
    )  # fmt: skip
    ready = dict.fromkeys(("captioner", "encoder", "reranker", "matcher"), 0)
    rows = [None if clip is None else torch.tensor([1.0, 0.0])]
    (found,) = STRATEGIES[quality](roles, Batch([Picture(Item("a.png", 3), "", ready)], rows, [None]))
    return found, roles


def texts_of(found: Sequence[Candidate]) -> list[str]:
    return [each.text for each in found]


CLIP = {"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.3}


def test_best_of_n_puts_the_sample_most_like_the_picture_first_and_the_earlier_of_equal_ones() -> None:
    found, models = candidates("best-of-n", "abacd", CLIP, samples=5)
    assert texts_of(found) == ["b", "d", "c", "a"]
    assert [each.scores["clip"] for each in found] == pytest.approx([0.3, 0.3, 0.2, 0.1])
    assert [each.scores["log_probability"] for each in found] == [-2.0, -5.0, -4.0, -1.0], "of the first of equal texts"
    assert models.captioner.options[0].count == 5 and models.captioner.keys == ["3/a.png"]


def test_a_sample_without_words_is_no_candidate() -> None:
    assert texts_of(candidates("best-of-n", ["", "a", ""], CLIP)[0]) == ["a"]


def test_laion_coco_takes_a_short_list_by_one_encoder_and_ranks_it_by_the_other() -> None:
    texts = [f"text {number}" for number in range(SHORT_LIST + 3)]
    clip = {text: number / 100 for number, text in enumerate(texts)}  # the last ones are the most alike
    reranked = {text: 1.0 - cosine for text, cosine in clip.items()}  # the first ones are
    found, models = candidates("laion-coco", texts, clip, reranked, reranker="x")
    assert texts_of(found) == texts[-SHORT_LIST:]
    assert set(models.reranker.asked) == set(texts[-SHORT_LIST:]), "the reranker reads the short list only"
    assert found[0].scores["second"] == pytest.approx(reranked[texts[-SHORT_LIST]])
    options = models.captioner.options[0]
    assert (options.count, options.top_p, options.top_k) == (LAION_COCO.count, LAION_COCO.top_p, LAION_COCO.top_k)
    assert options.min_new_tokens == LAION_COCO.min_new_tokens


def test_capfilt_has_one_sample_with_the_answer_of_the_matching_head() -> None:
    found, models = candidates("capfilt", ["four"])
    assert texts_of(found) == ["four"] and found[0].scores["itm"] == pytest.approx(0.04)
    assert models.captioner.options[0].count == 1


def test_beam_is_searched_as_in_blips_demo_and_greedy_is_not() -> None:
    greedy, beam = (candidates(quality, ["a"])[1].captioner.options[0] for quality in ("greedy", "beam"))
    assert (greedy.num_beams, greedy.min_new_tokens) == (1, 0) and (beam.num_beams, beam.min_new_tokens) == (3, 5)


def test_greedy_that_may_not_say_words_samples_the_likeliest() -> None:
    found, models = candidates("greedy", ["a"], rules=CaptionRules(forbidden=("cat",)))
    options = models.captioner.options[0]
    assert texts_of(found) == ["a"]
    assert (options.count, options.temperature, options.min_new_tokens) == (1, 0.0, 0)
    assert options.forbidden == ("cat",)


@pytest.mark.parametrize("quality", ["beam", "best-of-n", "capfilt", "laion-coco"])
def test_no_caption_has_to_be_longer_than_it_may_be(quality: Any) -> None:
    _, models = candidates(quality, ["a"], CLIP, CLIP, max_new_tokens=2, reranker="x")
    assert models.captioner.options[0].min_new_tokens == models.captioner.options[0].max_new_tokens == 2


@pytest.mark.parametrize("quality", ["greedy", "beam", "best-of-n"])
def test_settings_reach_the_captioner(quality: Any) -> None:
    _, models = candidates(
        quality, ["a"], CLIP, caption_prefix="a photo of", repetition_penalty=1.5, max_new_tokens=33, score=True
    )
    options = models.captioner.options[0]
    assert (options.prefix, options.repetition_penalty, options.max_new_tokens) == ("a photo of", 1.5, 33)
    if quality == "best-of-n":
        assert options.seed == models.settings.seed and options.min_new_tokens == 5


@pytest.mark.parametrize("quality", ["greedy", "beam", "best-of-n", "capfilt"])
def test_an_encoder_that_is_there_scores_every_candidate(quality: Any) -> None:
    found, _ = candidates(quality, ["a"], CLIP)
    assert found[0].scores["clip"] == pytest.approx(0.1)
