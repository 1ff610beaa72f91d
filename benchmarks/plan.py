"""The benchmarks by name: target and module of each. Loads no torch, so the command responds at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sizes import CHAT_MODELS, DEMO_MODEL, TAGGER_MODELS, TINY_MODEL, Sizes


@dataclass(frozen=True)
class Work:
    """One benchmark.

    Attributes:
        title: the benchmark in words.
        module: the module with its `run(Task) -> Result`.
        asked: the target: the least ratio of the peer's time to ours; None if the target is something else.
        pairs: default number of runs of both sides; None if the steps of the chain are the pairs.
        one_model: run on `Sizes.end_to_end_model` only.
        on_gpu: also part of the benchmark `gpu`, with each side's default dtype.
        gpu_only: only part of the benchmark `gpu`.
        own_models: the models it runs on, if these are not all architectures of open_clip.
    """

    title: str
    module: str
    asked: float | None = None
    pairs: int | None = None
    one_model: bool = False
    on_gpu: bool = False
    gpu_only: bool = False
    own_models: tuple[str, ...] = ()


WORKS: dict[str, Work] = {
    "tables": Work("build tables", "tables", asked=18, pairs=2, on_gpu=True),
    "chain": Work("best-mode chain, fp32 both", "chain", asked=17),
    "chain-defaults": Work("best-mode chain, each one's defaults, same prompt", "chain", asked=50, on_gpu=True),
    "disk": Work("from bank and cache files on disk to the first rank", "disk", asked=30, pairs=5),
    "rank": Work("rank, same result as fp32", "rank", asked=10, pairs=15, on_gpu=True),
    "image": Work("image embedding, each one's defaults", "image", asked=4, pairs=15, on_gpu=True),
    "batches": Work(
        "batches of 2, 4 and 8 beside one item, for each family and dtype",
        "batches",
        pairs=5,
        own_models=("ViT-B-32", "ViT-L-14", "blip-base", "blip-large"),
    ),
    "end-to-end": Work("one image in best mode end to end", "end_to_end", asked=40, pairs=1, one_model=True),
    "precise": Work("one image in mode precise, beside mode best", "precise", asked=8, pairs=2, one_model=True),
    "captions": Work(
        "captions of a folder, beside a loop around transformers",
        "captions",
        pairs=1,
        own_models=("blip-base",),
    ),
    "chat": Work(
        "captions by chat models, beside a loop around transformers", "chat", asked=1.5, pairs=2, own_models=CHAT_MODELS
    ),
    "tags": Work(
        "tags, beside a loop of one picture after the other", "tags", asked=1.5, pairs=3, own_models=TAGGER_MODELS
    ),
    "endpoint": Work(
        "captions by a server, beside one request at a time", "endpoint", asked=3.5, pairs=3, own_models=(TINY_MODEL,)
    ),
    "dataset": Work("a run over many small pictures", "dataset", own_models=(TINY_MODEL,)),
    "samples": Work(
        "40 sampled captions of one picture, beside generate() of transformers",
        "samples",
        asked=2,
        pairs=3,
        own_models=("blip-large",),
    ),
    "rate": Work("the chain beside the machine's matrix-product rate", "rate"),
    "profile": Work("where the time of a step goes", "profile"),
    "truth": Work("how much of a prompt is true, on creatures whose truth is known", "truth", own_models=(DEMO_MODEL,)),
    "candidates": Work("ways to tell what is true, in three worlds", "candidates", own_models=(DEMO_MODEL,)),
    "claims": Work("wrong attributes found in captions, on creatures", "claims", own_models=(DEMO_MODEL,)),
    "gpu-best": Work(
        "best mode on a GPU, caption given", "gpu_best", pairs=3, one_model=True, on_gpu=True, gpu_only=True
    ),
}
GPU = "gpu"


@dataclass(frozen=True)
class Task:
    """One run of one work.

    Attributes:
        work: key of `WORKS`.
        model: an open_clip architecture, or `sizes.TINY_MODEL`.
        device: cpu or cuda.
        pairs: number of runs of both sides; None is the benchmark's default.
        steps: number of chain steps.
        sizes: the sizes to run at.
        scratch: an empty folder, deleted afterwards.
    """

    work: str
    model: str
    device: str
    pairs: int | None
    steps: int
    sizes: Sizes
    scratch: Path

    @property
    def asked(self) -> float | None:
        """The target ratio."""
        return WORKS[self.work].asked

    @property
    def times(self) -> int:
        """Number of runs of both sides."""
        return max(1, self.pairs or WORKS[self.work].pairs or 1)


def chosen(works: list[str], models: list[str], sizes: Sizes) -> Iterator[tuple[str, str, str]]:
    """Benchmark, model and device of every selected run; an empty selection means all."""
    for name, work in WORKS.items():
        if work.gpu_only or (works and name not in works):
            continue
        for model in _models(work, models, sizes):
            yield name, model, "cpu"
    if not works or GPU in works:
        for name, work in WORKS.items():
            for model in _models(work, models, sizes) if work.on_gpu else ():
                yield name, model, "cuda"


def _models(work: Work, models: list[str], sizes: Sizes) -> list[str]:
    if work.own_models:
        own = work.own_models if TINY_MODEL not in sizes.models else (TINY_MODEL,)
        return [model for model in own if not models or model in models]
    if work.one_model:
        return [sizes.end_to_end_model] if not models or sizes.end_to_end_model in models else []
    return models or list(sizes.models)
