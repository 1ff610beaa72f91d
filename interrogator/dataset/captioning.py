"""The models of a run: prepared pictures in, captions out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from ..banks import load_banks
from ..captioners import (
    LAION_COCO,
    BlipCaptioner,
    BlipMatcher,
    Captioner,
    CaptionOptions,
    Sampled,
    SamplingOptions,
)
from ..catalog import preset as find_preset
from ..encoders import OpenClipEncoder
from ..pipeline import Interrogator, RankedPhrase
from ..pipeline.loading import embedding_cache
from ..progress import Progress
from .pictures import Picture, Prepare
from .settings import Settings
from .words import choose

# BLIP's own demo: beams of three, at least five tokens (github.com/salesforce/BLIP).
_BEAMS, _BEAM_MIN_TOKENS = 3, 5
# A caption with a lower probability of matching is noise (CapFilt, BLIP's author in salesforce/BLIP#46).
MATCHES = 0.5
# How many of its forty captions LAION-COCO keeps for the second model.
_SHORT_LIST = 5


class Voice(Captioner, Protocol):
    """A captioner that datasets are captioned with: `BlipCaptioner`, or a stand-in."""

    def sample(
        self, images: Sequence[Image.Image], keys: Sequence[str], options: SamplingOptions,
        progress: Progress | None = None,
    ) -> Sequence[Sequence[Sampled]]:  # fmt: skip
        """Several captions an image; see `sample_captions`."""

    def shrunk(self, image: Image.Image) -> Image.Image:
        """A picture at the size that the model reads it in."""


@dataclass(frozen=True)
class Candidate:
    """One caption of a picture, and what is known of it by name of the score."""

    text: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """What the models say of a picture.

    Attributes:
        captions: the best first; at least one.
        phrases: that the template or the mode asked for.
    """

    captions: Sequence[Candidate]
    phrases: Sequence[RankedPhrase] = ()
    flags: tuple[str, ...] = ()


class Models:
    """The models that settings ask for, loaded: what turns pictures into captions.

    Attributes:
        prepare: what each model wants of a picture; called in threads, once a picture.
    """

    def __init__(
        self, settings: Settings, captioner: Voice | None, interrogator: Interrogator | None = None,
        second: OpenClipEncoder | None = None, matcher: BlipMatcher | None = None,
    ) -> None:  # fmt: skip
        """Put loaded models together.

        Args:
            captioner: None in mode negative only.
            interrogator: with the encoder and the banks, where settings want an encoder.
            second: for quality laion-coco.
            matcher: for quality capfilt.
        """
        self.settings = settings
        self.captioner = captioner
        self.interrogator = interrogator
        self.second = second
        self.matcher = matcher
        self.prepare: Prepare = dict(self._prepared())

    @classmethod
    def load(
        cls, settings: Settings, device: str = "auto", download: bool = False, cache_dir: Any = None,
        progress: Progress | None = None,
    ) -> Models:  # fmt: skip
        """Load what the settings need, as `interrogator.load` does, and raise what it raises."""
        row = find_preset(settings.preset)
        dtype = row.dtype if settings.dtype == "auto" else settings.dtype
        where: dict[str, Any] = {"device": device, "dtype": dtype, "download": download, "progress": progress}
        captioner = interrogator = second = matcher = None
        if settings.mode != "negative":
            captioner = BlipCaptioner.load(settings.captioner or row.captioner, **where)
        if settings.wants_encoder:
            banks = load_banks(settings.banks or row.banks, settings.block, settings.quota, settings.artists)  # type: ignore[arg-type]
            encoder = OpenClipEncoder.load(settings.encoder or row.encoder, **where)
            interrogator = Interrogator(captioner, encoder, banks, embedding_cache(cache_dir))
        if settings.quality == "laion-coco":
            second = OpenClipEncoder.load(settings.second_encoder, **where)
        if settings.quality == "capfilt":
            matcher = BlipMatcher.load(settings.matcher, **where)
        return cls(settings, captioner, interrogator, second, matcher)

    def described(self) -> dict[str, str]:
        """Each model's name, device and dtype, for the record of the run."""
        encoder = self.interrogator.encoder if self.interrogator else None
        found = {
            "captioner": self.captioner,
            "encoder": encoder,
            "second encoder": self.second,
            "matcher": self.matcher,
        }
        return {role: _described(model) for role, model in found.items() if model is not None}

    def write(self, pictures: Sequence[Picture], progress: Progress | None = None) -> list[Written]:
        """Captions and phrases of pictures, in their order; may be cancelled by the progress."""
        rows = self._embedded(pictures, progress)  # [B, D] or None
        if self.captioner is None:
            found: list[list[Candidate]] = [[] for _ in pictures]
        else:
            found = _WAYS[self.settings.quality](self, pictures, rows, progress)
        written = [self._chosen(candidates) for candidates in found]
        if self.settings.mode != "caption":
            written = self._as_prompts(written, rows, progress)
        return [self._with_phrases(*pair, progress) for pair in zip(written, _each(rows, len(pictures)), strict=True)]

    def _prepared(self) -> Iterator[tuple[str, Callable[[Image.Image], Any]]]:
        if self.captioner is not None:
            yield "captioner", self.captioner.shrunk
        if self.interrogator is not None:
            yield "encoder", self.interrogator.encoder.preprocess
        if self.second is not None:
            yield "second", self.second.preprocess
        if self.matcher is not None:
            yield "matcher", self.matcher.shrunk

    def _embedded(self, pictures: Sequence[Picture], progress: Progress | None) -> Tensor | None:
        if self.interrogator is None:
            return None
        encoder: Any = self.interrogator.encoder
        rows: Tensor = encoder.embed_pixels([picture.ready["encoder"] for picture in pictures], progress)
        return rows

    def _chosen(self, candidates: list[Candidate]) -> Written:
        """The best that has all required and no forbidden words first; the best of all where none has."""
        if not candidates:
            return Written([Candidate("")])
        place = choose([each.text for each in candidates], [-float(n) for n in range(len(candidates))],
                       self.settings.wording)  # fmt: skip
        best = candidates[place or 0]
        order = [best, *(each for each in candidates if each is not best)]
        low = best.scores.get("itm", 1.0) < MATCHES
        return Written(order[: self.settings.several], flags=("review",) if low else ())

    def _as_prompts(self, written: list[Written], rows: Tensor | None, progress: Progress | None) -> list[Written]:
        """Prompts in the settings' mode in place of the captions."""
        assert self.interrogator is not None and rows is not None
        captions = [each.captions[0].text for each in written]
        results = self.interrogator.interrogate_embeddings(
            rows, captions, self.settings.mode, max_phrases=self.settings.max_phrases, progress=progress
        )
        return [
            Written([Candidate(result.prompt, {"clip": float(result.similarity or 0.0)})], result.phrases, each.flags)
            for result, each in zip(results, written, strict=True)
        ]

    def _with_phrases(self, written: Written, row: Tensor | None, progress: Progress | None) -> Written:
        """With the phrases that the template names, most similar first."""
        if not self.settings.template_fields or row is None or self.interrogator is None:
            return written
        table = self.interrogator.table(progress)
        scores = table.scores(row)
        taken = {phrase.text for phrase in written.phrases}
        phrases = list(written.phrases)
        for name in self.settings.template_fields:
            if name == "phrases":
                continue
            for place in table.top(scores, table.bank(name), self.settings.phrases):
                if table.texts[place] not in taken:
                    phrases.append(RankedPhrase(table.texts[place], table.banks[place].name, scores[place]))
        return Written(written.captions, phrases, written.flags)

    def _similarities(self, encoder: Any, row: Tensor, texts: Sequence[str]) -> list[float]:
        """Cosines of an image [D] with texts."""
        found: list[float] = (encoder.encode_texts(list(texts)).float() @ row.float()).tolist()
        return found

    def _scored(self, texts: Sequence[str], row: Tensor | None) -> list[Candidate]:
        """Texts as candidates, with their similarity where there is an encoder to tell."""
        if row is None or self.interrogator is None:
            return [Candidate(text) for text in texts]
        cosines = self._similarities(self.interrogator.encoder, row, texts)
        return [Candidate(text, {"clip": cosine}) for text, cosine in zip(texts, cosines, strict=True)]

    def _sampled(
        self, pictures: Sequence[Picture], options: SamplingOptions, progress: Progress | None
    ) -> list[list[str]]:
        """Different captions of each picture, in the order they were sampled."""
        assert self.captioner is not None
        images = [picture.ready["captioner"] for picture in pictures]
        keys = [f"{picture.item.source}/{picture.item.key}" for picture in pictures]
        found = self.captioner.sample(images, keys, options, progress)
        return [list(dict.fromkeys(each.text for each in samples if each.text)) for samples in found]

    def _sampling(self, count: int, **given: Any) -> SamplingOptions:
        settings = self.settings
        return SamplingOptions(
            count=count, seed=settings.seed, max_new_tokens=settings.max_tokens, prefix=settings.caption_prefix,
            repetition_penalty=settings.repetition_penalty, forbidden=settings.wording.forbidden,
            **{"min_new_tokens": min(5, settings.max_tokens), **given},
        )  # fmt: skip


def _greedy(models: Models, pictures: Sequence[Picture], rows: Tensor | None, progress: Progress | None) -> Any:
    if models.settings.wording.forbidden:
        # Greedy by the sampler, which knows words that may not be written.
        options = models._sampling(1, temperature=0.0, min_new_tokens=0)
        texts = [found[0] if found else "" for found in models._sampled(pictures, options, progress)]
    else:
        texts = _captions(models, pictures, progress, num_beams=1)
    return [models._scored([text], row) for text, row in zip(texts, _each(rows, len(pictures)), strict=True)]


def _beam(models: Models, pictures: Sequence[Picture], rows: Tensor | None, progress: Progress | None) -> Any:
    least = min(_BEAM_MIN_TOKENS, models.settings.max_tokens)
    texts = _captions(models, pictures, progress, num_beams=_BEAMS, min_new_tokens=least)
    return [models._scored([text], row) for text, row in zip(texts, _each(rows, len(pictures)), strict=True)]


def _best_of_n(models: Models, pictures: Sequence[Picture], rows: Tensor | None, progress: Progress | None) -> Any:
    sampled = models._sampled(pictures, models._sampling(models.settings.samples), progress)
    scored = [models._scored(texts, row) for texts, row in zip(sampled, _each(rows, len(pictures)), strict=True)]
    return [_by(candidates, "clip") for candidates in scored]


def _capfilt(models: Models, pictures: Sequence[Picture], rows: Tensor | None, progress: Progress | None) -> Any:
    assert models.matcher is not None
    sampled = models._sampled(pictures, models._sampling(1), progress)
    images = [picture.ready["matcher"] for picture in pictures]
    matches = models.matcher.match(images, sampled, progress=progress)
    found = []
    for texts, row, probabilities in zip(sampled, _each(rows, len(pictures)), matches, strict=True):
        scored = models._scored(texts, row)
        found.append(
            [Candidate(each.text, {**each.scores, "itm": p}) for each, p in zip(scored, probabilities, strict=True)]
        )
    return found


def _laion_coco(models: Models, pictures: Sequence[Picture], rows: Tensor | None, progress: Progress | None) -> Any:
    assert models.second is not None
    options = models._sampling(
        LAION_COCO.count, top_p=LAION_COCO.top_p, top_k=LAION_COCO.top_k, min_new_tokens=LAION_COCO.min_new_tokens
    )
    sampled = models._sampled(pictures, options, progress)
    seconds = models.second.embed_pixels([picture.ready["second"] for picture in pictures], progress)  # [B, D2]
    found = []
    for texts, row, second in zip(sampled, _each(rows, len(pictures)), seconds, strict=True):
        short = _by(models._scored(texts, row), "clip")[:_SHORT_LIST]
        cosines = models._similarities(models.second, second, [each.text for each in short])
        judged = [Candidate(e.text, {**e.scores, "second": cosine}) for e, cosine in zip(short, cosines, strict=True)]
        found.append(_by(judged, "second"))
    return found


_WAYS: dict[str, Callable[[Models, Sequence[Picture], Tensor | None, Progress | None], list[list[Candidate]]]] = {
    "greedy": _greedy,
    "beam": _beam,
    "best-of-n": _best_of_n,
    "capfilt": _capfilt,
    "laion-coco": _laion_coco,
}


def _captions(models: Models, pictures: Sequence[Picture], progress: Progress | None, **given: Any) -> list[str]:
    assert models.captioner is not None
    settings = models.settings
    options = CaptionOptions(
        max_new_tokens=settings.max_tokens, repetition_penalty=settings.repetition_penalty,
        prefix=settings.caption_prefix, **given,
    )  # fmt: skip
    return models.captioner.caption([picture.ready["captioner"] for picture in pictures], options, progress)


def _by(candidates: Sequence[Candidate], score: str) -> list[Candidate]:
    """The candidates with the highest score first; of equal ones the one that was first."""
    return sorted(candidates, key=lambda each: -each.scores[score])


def _each(rows: Tensor | None, count: int) -> list[Tensor | None]:
    return [None] * count if rows is None else list(rows)


def _described(model: Any) -> str:
    device = next(model.module.parameters()).device
    dtype = getattr(model, "dtype", None) or next(model.module.parameters()).dtype
    return f"{model.name} on {device} in {str(dtype).removeprefix('torch.')}"
