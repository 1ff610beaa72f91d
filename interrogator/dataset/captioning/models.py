"""The models of a run: prepared pictures in, captions out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from ...banks import load_banks
from ...captioners import BlipCaptioner, BlipMatcher, Captioner, Sampled, SamplingOptions
from ...catalog import preset as find_preset
from ...encoders import OpenClipEncoder
from ...pipeline import Interrogator, RankedPhrase
from ...pipeline.loader import embedding_cache
from ...progress import Progress
from ..progress import share
from ..settings import Settings
from ..state.fingerprints import described
from ..text import choose
from .images import Picture, Prepare
from .residency import Residents
from .result import Candidate, Written
from .strategies import WAYS

__all__ = ["MATCHES", "Candidate", "Models", "Voice", "Written"]

# A caption with a lower probability of matching is noise (CapFilt, BLIP's author in salesforce/BLIP#46).
MATCHES = 0.5


class Voice(Captioner, Protocol):
    """A captioner that datasets are captioned with: `BlipCaptioner`, or a stand-in."""

    def sample(
        self, images: Sequence[Image.Image], keys: Sequence[str], options: SamplingOptions,
        progress: Progress | None = None,
    ) -> Sequence[Sequence[Sampled]]:  # fmt: skip
        """Several captions an image; see `sample_captions`."""

    def shrunk(self, image: Image.Image) -> Image.Image:
        """A picture at the size that the model reads it in."""


class Models:
    """The models that settings ask for, loaded: what turns pictures into captions.

    Attributes:
        prepare: what each model wants of a picture; called in threads, once a picture.
    """

    def __init__(
        self, settings: Settings, captioner: Voice | None, interrogator: Interrogator | None = None,
        second: OpenClipEncoder | None = None, matcher: BlipMatcher | None = None, residents: Residents | None = None,
    ) -> None:  # fmt: skip
        """Put loaded models together.

        Args:
            captioner: None in mode negative only.
            interrogator: with the encoder and the banks, where settings want an encoder.
            second: for quality laion-coco.
            matcher: for quality capfilt.
            residents: who moves the models; None leaves them where they are.
        """
        self.settings = settings
        self.captioner = captioner
        self.interrogator = interrogator
        self.second = second
        self.matcher = matcher
        self.residents = residents or Residents()
        self.prepare: Prepare = dict(self._prepared())

    @classmethod
    def load(
        cls, settings: Settings, device: str = "auto", download: bool = False, cache_dir: Any = None,
        progress: Progress | None = None,
    ) -> Models:  # fmt: skip
        """Load what the settings need, as `interrogator.load` does, and raise what it raises."""
        row = find_preset(settings.preset)
        dtype = row.dtype_for(settings.dtype)
        where: dict[str, Any] = {"device": device, "dtype": dtype, "download": download, "progress": progress}
        captioner = interrogator = second = matcher = None
        residents = Residents()
        if settings.mode != "negative":
            captioner = residents.load(lambda: BlipCaptioner.load(settings.captioner or row.captioner, **where))
        if settings.wants_encoder:
            block = (*settings.block, *settings.wording.forbidden)
            banks = load_banks(settings.banks or row.banks, block, settings.quota, settings.artists)  # type: ignore[arg-type]
            encoder = residents.load(lambda: OpenClipEncoder.load(settings.encoder or row.encoder, **where))
            interrogator = Interrogator(captioner, encoder, banks, embedding_cache(cache_dir))
        if settings.quality == "laion-coco":
            second = residents.load(lambda: OpenClipEncoder.load(settings.second_encoder, **where))
        if settings.quality == "capfilt":
            matcher = residents.load(lambda: BlipMatcher.load(settings.matcher, **where))
        return cls(settings, captioner, interrogator, second, matcher, residents)

    def described(self) -> dict[str, dict[str, str]]:
        """By role: each model's name, device, dtype and a fingerprint of its weights, for the record of the run."""
        encoder = self.interrogator.encoder if self.interrogator else None
        found = {
            "captioner": self.captioner,
            "encoder": encoder,
            "second encoder": self.second,
            "matcher": self.matcher,
        }
        return {
            role: {**described(model), "device": str(self.residents.device_of(model))}
            for role, model in found.items()
            if model is not None
        }

    def write(self, pictures: Sequence[Picture], progress: Progress | None = None) -> list[Written]:
        """Captions and phrases of pictures, in their order; may be cancelled by the progress."""
        count = len(pictures)
        captioned = 1.0 if self.settings.mode == "caption" else 0.5  # of the work, about
        rows = self._embedded(pictures, share(progress, 0.0, 0.0, count))  # [B, D] or None
        found: list[list[Candidate]] = [[] for _ in pictures]
        if self.captioner is not None:
            found = WAYS[self.settings.quality](
                self, pictures, _each(rows, count), share(progress, 0.0, captioned, count)
            )
        written = [self._chosen(candidates) for candidates in found]
        if self.settings.mode != "caption":
            written = self._as_prompts(written, rows, share(progress, captioned, 1.0, count))
        told = share(progress, 1.0, 1.0, count)
        return [self._with_phrases(*pair, told) for pair in zip(written, _each(rows, count), strict=True)]

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
        encoder: Any = self.residents.use(self.interrogator.encoder)
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
        self.residents.use(self.interrogator.encoder)
        results = self.interrogator.interrogate_embeddings(
            rows, captions, self.settings.mode, max_phrases=self.settings.max_phrases, progress=progress
        )
        prompts = []
        for each, result in zip(written, results, strict=True):
            # What was found of the caption alone stays, but for its similarity, which is now the prompt's.
            scores = {name: score for name, score in each.captions[0].scores.items() if name != "clip"}
            if result.similarity is not None:
                scores["clip"] = float(result.similarity)
            prompts.append(Written([Candidate(result.prompt, scores)], result.phrases, each.flags))
        return prompts

    def _with_phrases(self, written: Written, row: Tensor | None, progress: Progress | None) -> Written:
        """With the phrases that the template names, most similar first."""
        if not self.settings.template_fields or row is None or self.interrogator is None:
            return written
        self.residents.use(self.interrogator.encoder)
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


def _each(rows: Tensor | None, count: int) -> list[Tensor | None]:
    return [None] * count if rows is None else list(rows)
