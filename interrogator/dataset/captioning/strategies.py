"""What each quality asks of the models. All strategies give candidates, the best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ...captioners import LAION_COCO, CaptionOptions, SamplingOptions
from ...progress import Progress
from ...qualities import SHORT_LIST, Quality
from ...reading import Candidate
from .images import Picture
from .roles import Roles, prepared

# Pictures whose captions are written together: the more, the less often the weights are read for a token. Keys and
# values of each, 42 MB in float32, have to fit; beams have three times as many.
_AT_ONCE = 32
# BLIP's own demo: beams of three, at least five tokens (github.com/salesforce/BLIP). LAION-COCO's samples, too.
_BEAMS, _LEAST_TOKENS = 3, 5

Rows = Sequence["Tensor | None"]
"""The embedding [D] of each picture, None where there is no encoder."""

Strategy = Callable[[Roles, Sequence[Picture], Rows, "Progress | None"], list[list[Candidate]]]


def _greedy(roles: Roles, pictures: Sequence[Picture], rows: Rows, progress: Progress | None) -> Any:
    if not roles.settings.rules.forbidden:
        return _scored(roles, _captions(roles, pictures, progress, batch_size=_AT_ONCE), rows, progress)
    # Greedy by the sampler, which can leave words out.
    options = _sampling(roles, 1, temperature=0.0, min_new_tokens=0)
    return _scored(roles, _sampled(roles, pictures, options, progress), rows, progress)


def _beam(roles: Roles, pictures: Sequence[Picture], rows: Rows, progress: Progress | None) -> Any:
    least = min(_LEAST_TOKENS, roles.settings.max_new_tokens)
    found = _captions(roles, pictures, progress, num_beams=_BEAMS, min_new_tokens=least)
    return _scored(roles, found, rows, progress)


def _best_of_n(roles: Roles, pictures: Sequence[Picture], rows: Rows, progress: Progress | None) -> Any:
    sampled = _sampled(roles, pictures, _sampling(roles, roles.settings.samples), progress)
    return [_by(candidates, "clip") for candidates in _scored(roles, sampled, rows, progress)]


def _capfilt(roles: Roles, pictures: Sequence[Picture], rows: Rows, progress: Progress | None) -> Any:
    sampled = _sampled(roles, pictures, _sampling(roles, 1), progress)
    images = prepared("matcher", pictures)
    texts = [[each.text for each in candidates] for candidates in sampled]
    matches = roles.use("matcher").match(images, texts, progress)
    found = _scored(roles, sampled, rows, progress)
    return [
        _with(candidates, "itm", scores[: len(candidates)])
        for candidates, scores in zip(found, matches.tolist(), strict=True)  # [B, N], NaN behind a short list
    ]


def _laion_coco(roles: Roles, pictures: Sequence[Picture], rows: Rows, progress: Progress | None) -> Any:
    options = _sampling(
        roles, LAION_COCO.count, top_p=LAION_COCO.top_p, top_k=LAION_COCO.top_k,
        min_new_tokens=min(LAION_COCO.min_new_tokens, roles.settings.max_new_tokens),
    )  # fmt: skip
    sampled = _sampled(roles, pictures, options, progress)
    short = [_by(candidates, "clip")[:SHORT_LIST] for candidates in _scored(roles, sampled, rows, progress)]
    reranker = roles.use("reranker")
    reranker_rows = reranker.embed(prepared("reranker", pictures), progress)  # [B, D2]
    return [
        _by(_compared(reranker, "second", candidates, row, progress), "second")
        for candidates, row in zip(short, reranker_rows, strict=True)
    ]


STRATEGIES: dict[str, Strategy] = {
    Quality.GREEDY.value: _greedy,
    Quality.BEAM.value: _beam,
    Quality.BEST_OF_N.value: _best_of_n,
    Quality.CAPFILT.value: _capfilt,
    Quality.LAION_COCO.value: _laion_coco,
}


def _captions(
    roles: Roles, pictures: Sequence[Picture], progress: Progress | None, **given: Any
) -> list[list[Candidate]]:
    """The one caption of each picture."""
    settings = roles.settings
    options = CaptionOptions(
        max_new_tokens=settings.max_new_tokens, repetition_penalty=settings.repetition_penalty,
        prefix=settings.caption_prefix, **given,
    )  # fmt: skip
    captioner = roles.use("captioner")
    texts = captioner.caption(prepared("captioner", pictures), options, progress)
    return [[Candidate(text)] for text in texts]


def _sampling(roles: Roles, count: int, **given: Any) -> SamplingOptions:
    settings = roles.settings
    return SamplingOptions(
        count=count, seed=settings.seed, max_new_tokens=settings.max_new_tokens, prefix=settings.caption_prefix,
        repetition_penalty=settings.repetition_penalty, forbidden=settings.rules.forbidden, batch_size=_AT_ONCE,
        **{"min_new_tokens": min(_LEAST_TOKENS, settings.max_new_tokens), **given},
    )  # fmt: skip


def _sampled(
    roles: Roles, pictures: Sequence[Picture], options: SamplingOptions, progress: Progress | None
) -> list[list[Candidate]]:
    """Different captions of each picture, in the order they were sampled."""
    images = prepared("captioner", pictures)
    keys = [f"{picture.item.source}/{picture.item.key}" for picture in pictures]
    found = []
    for samples in roles.use("captioner").sample(images, keys, options, progress):
        first = {each.text: each for each in reversed(samples)}
        kept = dict.fromkeys(each.text for each in samples if each.text)
        found.append([Candidate(text, {"log_probability": first[text].mean_log_probability}) for text in kept])
    return found


def _scored(roles: Roles, found: list[list[Candidate]], rows: Rows, progress: Progress | None) -> list[list[Candidate]]:
    """The candidates with their similarity, where there is an encoder to tell."""
    if roles.encoder is None:
        return found
    encoder = roles.use("encoder")
    return [
        candidates if row is None else _compared(encoder, "clip", candidates, row, progress)
        for candidates, row in zip(found, rows, strict=True)
    ]


def _compared(
    encoder: Any, score: str, candidates: list[Candidate], row: Tensor, progress: Progress | None
) -> list[Candidate]:
    """The candidates with their cosine with an image [D]; computed for one picture alone, whatever the batch."""
    texts: Tensor = encoder.encode_texts([each.text for each in candidates], progress)  # [N, D]
    return _with(candidates, score, (texts.float() @ row.float()).tolist())


def _with(candidates: Sequence[Candidate], name: str, scores: Sequence[float]) -> list[Candidate]:
    return [each.with_score(name, score) for each, score in zip(candidates, scores, strict=True)]


def _by(candidates: Sequence[Candidate], score: str) -> list[Candidate]:
    """The candidates with the highest score first; of equal ones the one that was first."""
    return sorted(candidates, key=lambda each: -each.scores[score])
