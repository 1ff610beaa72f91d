"""Sizes of the benchmarks: full ones, and tiny ones that only show that everything runs."""

from __future__ import annotations

from dataclasses import dataclass

TINY_MODEL = "tiny"
CHAT_MODELS = ("smolvlm2-256m", "florence2-base")
TAGGER_MODELS = ("wd-vit-v3",)
DEMO_MODEL = "demo"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the benchmarks.

    Attributes:
        models: the architectures, by open_clip's names.
        end_to_end_model: the architecture of the benchmark from picture to prompt.
        list_lines: lines used of each of the peer's lists; None is all.
        table_phrases: phrases embedded when building tables.
        candidates: phrases that a chain step chooses from.
        top: phrases ranked.
        padded_texts: texts passed to the padded encoder when it is profiled.
        caption_tokens: length of captions, which a captioner with random weights never ends by itself.
        peer_steps: chain steps of the peer in the benchmark from picture to prompt.
        batch: images per call on a GPU.
        rate_seconds: how long matrix products run to measure their rate.
        pictures: pictures captioned in a run over a folder.
        few_pictures: pictures captioned by a chat model, or tagged.
        answer_tokens: length of an answer of a chat model, which with random weights never ends by itself.
        samples: captions of one picture.
        draws: seeds that creatures whose prompts are judged are drawn with.
        creatures: pictures of each draw, in mode precise.
        best_creatures: of these, in mode best.
        few, many: pictures in two runs whose memory is compared.
        processes: whether each benchmark, and each side where memory is compared, gets its own process.
    """

    models: tuple[str, ...] = ("ViT-B-32", "ViT-L-14")
    end_to_end_model: str = "ViT-L-14"
    list_lines: int | None = None
    table_phrases: int = 4000
    candidates: int = 2048
    top: int = 2048
    padded_texts: int = 512
    caption_tokens: int = 12
    peer_steps: int = 2
    batch: int = 64
    rate_seconds: float = 1.0
    pictures: int = 500
    few_pictures: int = 8
    answer_tokens: int = 64
    samples: int = 40
    draws: int = 3
    creatures: int = 300
    best_creatures: int = 60
    few: int = 1000
    many: int = 50_000
    processes: bool = True


FULL = Sizes()
TINY = Sizes(
    models=(TINY_MODEL,), end_to_end_model=TINY_MODEL, list_lines=30, table_phrases=40, candidates=24, top=20,
    padded_texts=24, caption_tokens=4, peer_steps=2, batch=3, rate_seconds=0.01,
    pictures=6, few_pictures=4, answer_tokens=6, samples=3,
    draws=1, creatures=3, best_creatures=1, few=20, many=150, processes=False,
)  # fmt: skip
