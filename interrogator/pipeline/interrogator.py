"""Interrogator: an image in, a prompt out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from ..banks import PhraseBank
from ..captioners import DEFAULT_OPTIONS, Captioner, CaptionOptions
from ..embeddings import EmbeddingCache, KeptList, Listing
from ..encoders import Encoder
from ..errors import RequestError
from ..images import open_image
from ..progress import Progress, Retold
from ..prompts import cut_at_word
from ..ranking import Scores, similarities
from ..rows import Rows
from ..threads import Lazy
from .modes import METHODS, Search, Sitting
from .results import Interrogation, Mode, RankedPhrase
from .table import PhraseTable

logger = logging.getLogger("interrogator")

ImageOrPath = Image.Image | str | PathLike[str]

# Images decoded and held at a time by `interrogate_many`.
_GROUP = 16


class Interrogator:
    """Turns images into prompts with a captioner, an encoder and phrase banks.

    The table of phrase embeddings is made, or opened from the cache, when the first mode needs it. Several threads may
    use one interrogator from the start; each is told, and cancelled, through its own `progress`.
    """

    def __init__(
        self,
        captioner: Captioner | None,
        encoder: Encoder | None,
        banks: Sequence[PhraseBank],
        cache: EmbeddingCache | None = None,
        caption_options: CaptionOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Put the parts together; nothing is computed yet.

        Args:
            captioner: None where captions are given, or none are wanted.
            encoder: None is enough for mode `caption` only.
            banks: in the order that breaks ties; of a phrase in two banks the first counts.
            cache: where text embeddings are kept between runs; None keeps them in memory.
            caption_options: how captions are decoded.
        """
        self.captioner = captioner
        self._encoder = encoder
        self.banks = list(banks)
        self.cache = cache
        self.caption_options = caption_options
        self._table: Lazy[PhraseTable] = Lazy()

    @property
    def encoder(self) -> Encoder:
        """The encoder.

        Raises:
            RequestError: this interrogator has none.
        """
        if self._encoder is None:
            raise RequestError("this interrogator has no encoder, so it can only write captions")
        return self._encoder

    def interrogate(
        self,
        image: ImageOrPath,
        mode: str = "best",
        caption: str | None = None,
        min_phrases: int = 8,
        max_phrases: int | None = None,
        progress: Progress | None = None,
        beams: int = 1,
        avoid_repeats: bool = False,
        min_angle: float = 0.0,
    ) -> Interrogation:
        """A prompt for one image.

        Args:
            image: a PIL image or the path of one.
            mode: caption, classic, fast, best or negative.
            caption: what is in the picture; None lets the captioner write it, "" means no caption.
            min_phrases: steps of the chain (best, negative) that may lower similarity; more than `max_phrases`
                means all of them.
            max_phrases: phrases at most; None is the mode's default (classic 3 flavors, others 32).
            progress: called with (done, total) of the work at hand, at least about once a second; may raise to cancel.
            beams: prompts that the chain (best, negative) grows side by side, of which one is what 1, the greedy chain,
                would grow: takes so many times as long and finds a chain that is at least as similar.
            avoid_repeats: pass over a phrase (in classic: a flavor) all of whose words are in the prompt already.
            min_angle: degrees; pass over a phrase (in classic: a flavor) whose embedding is within this angle of the
                embedding of one already taken. 0 is off.

        Raises:
            ImageReadError: the path is no picture.
            RequestError: an unknown mode, a number out of its range, no captioner and no caption, or nothing to make a
                prompt of.
        """
        return self.interrogate_many(
            [image], mode, caption, min_phrases, max_phrases, progress, beams, avoid_repeats, min_angle
        )[0]

    def interrogate_many(
        self,
        images: Sequence[ImageOrPath],
        mode: str = "best",
        caption: str | Sequence[str | None] | None = None,
        min_phrases: int = 8,
        max_phrases: int | None = None,
        progress: Progress | None = None,
        beams: int = 1,
        avoid_repeats: bool = False,
        min_angle: float = 0.0,
    ) -> list[Interrogation]:
        """Prompts for many images, captioned and embedded in batches; arguments as in `interrogate`.

        caption: one for all, or one for each image.
        """
        asked = Mode.of(mode)
        search = Search.of(asked, min_phrases, max_phrases, beams, avoid_repeats, min_angle)
        captions = [caption] * len(images) if caption is None or isinstance(caption, str) else list(caption)
        if len(captions) != len(images):
            raise RequestError(f"{len(captions)} captions were given for {len(images)} images")
        results: list[Interrogation] = []
        for start in range(0, len(images), _GROUP):
            group = [_opened(image) for image in images[start : start + _GROUP]]
            results += self._group(group, captions[start : start + _GROUP], asked, search, progress)
        return results

    def interrogate_embeddings(
        self,
        embeddings: Tensor,
        captions: Sequence[str],
        mode: str = "best",
        min_phrases: int = 8,
        max_phrases: int | None = None,
        progress: Progress | None = None,
        beams: int = 1,
        avoid_repeats: bool = False,
        min_angle: float = 0.0,
    ) -> list[Interrogation]:
        """Prompts for images that were captioned and embedded before; further arguments as in `interrogate`.

        Args:
            embeddings: of the images, [B, D] unit rows of this interrogator's encoder.
            captions: one for each; "" means no caption.
        """
        asked = Mode.of(mode)
        search = Search.of(asked, min_phrases, max_phrases, beams, avoid_repeats, min_angle)
        if asked is Mode.CAPTION and not all(captions):
            raise RequestError("mode caption was asked for with an empty caption, so there is no prompt")
        return [self._prompt(*pair, asked, search, progress) for pair in zip(embeddings, captions, strict=True)]

    def rank(
        self, image: ImageOrPath, bank: str | None = None, top: int = 10, progress: Progress | None = None
    ) -> list[RankedPhrase]:
        """The phrases most like an image, most similar first.

        Args:
            bank: a bank or a role (`flavors`); None is every bank but negative.

        Raises:
            BankError: no such bank is switched on.
        """
        table = self.table(progress)
        places = table.merged if bank is None else table.bank(bank)
        scores = table.scores(self._embed([_opened(image)], progress)[0])  # [N]
        chosen = table.candidates(scores, places, top)
        return sorted(_ranked(table, scores, chosen), key=lambda phrase: -phrase.similarity)

    def similarity(self, image: ImageOrPath, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Cosine similarity of an image with each text: float32 [n_texts]."""
        embedding = self._embed([_opened(image)])[0]  # [D]
        return _numpy(similarities(embedding, self.encoder.encode_texts(list(texts))))

    def image_embedding(self, image: ImageOrPath) -> npt.NDArray[np.float32]:
        """The encoder's embedding of an image: float32 [D], unit length."""
        return _numpy(self._embed([_opened(image)])[0])

    def table(self, progress: Progress | None = None) -> PhraseTable:
        """The phrases of all banks with their embeddings; made once, from the cache where that has them.

        progress: called with the phrases embedded and to embed; where another thread is at it, with (0, phrases) until
            the table is there. May raise to cancel: then the next thread that needs the table makes it.
        """
        phrases = sum(map(len, self.banks))
        return self._table.get(
            lambda: PhraseTable(self.banks, lambda texts: self._text_rows(texts, progress), self.encoder),
            (lambda: progress(0, phrases)) if progress else None,
        )

    def _text_rows(self, texts: Listing, progress: Progress | None) -> KeptList:
        """float16 rows [N, D] and notes of texts on the encoder's device, from the cache where one is there."""
        if self.cache is None:
            rows = self.encoder.encode_texts(list(texts.phrases), **_told(progress)).half()  # rounded as in the cache
            return KeptList(Rows([rows]), texts.notes)
        steps = Retold(progress) if progress else None
        inside = _told(steps.again if steps else None)
        store = self.cache.open(self.encoder.identity())
        kept = store.listed(texts, lambda missing: self.encoder.encode_texts(missing, **inside), steps)
        return KeptList(kept.rows.to(next(self.encoder.module.parameters()).device), kept.notes)

    def _group(
        self, images: list[Image.Image], captions: Sequence[str | None], mode: Mode, search: Search,
        progress: Progress | None,
    ) -> list[Interrogation]:  # fmt: skip
        said = self._captions(images, captions, mode, progress)
        if mode is Mode.CAPTION and self._encoder is None:
            return [Interrogation(caption, caption, None, [], mode.value) for caption in said]
        embeddings = self._embed(images, progress)  # [B, D]
        return [self._prompt(*pair, mode, search, progress) for pair in zip(embeddings, said, strict=True)]

    def _prompt(
        self, embedding: Tensor, caption: str, mode: Mode, search: Search, progress: Progress | None
    ) -> Interrogation:
        """The answer for the embedding [D] of an image and what is said of it."""
        if mode is Mode.CAPTION:
            return self._captioned(caption, embedding)
        sitting = Sitting(self.encoder, self.table(progress), embedding, self._fitting(caption), progress)
        draft = METHODS[mode](sitting, search)
        phrases = _ranked(sitting.table, sitting.scores, draft.places)
        return Interrogation(draft.prompt, caption, draft.similarity, phrases, mode.value)

    def _captions(
        self, images: list[Image.Image], given: Sequence[str | None], mode: Mode, progress: Progress | None
    ) -> list[str]:
        """The captions given, with those written that are missing and wanted."""
        wanted = [place for place, caption in enumerate(given) if caption is None and mode is not Mode.NEGATIVE]
        written: list[str] = []
        if wanted:
            if self.captioner is None:
                raise RequestError("there is no captioner: load one, or give a caption ('' for a prompt without one)")
            asked = [images[place] for place in wanted]
            written = self.captioner.caption(asked, self.caption_options, **_told(progress))
        filled = [caption or "" for caption in given]
        for place, caption in zip(wanted, written, strict=True):
            filled[place] = caption
        if mode is Mode.CAPTION and not all(filled):
            raise RequestError("mode caption was asked for with an empty caption, so there is no prompt")
        return filled

    def _captioned(self, caption: str, embedding: Tensor) -> Interrogation:
        prompt = self._fitting(caption)
        similarity = float(similarities(embedding, self.encoder.encode_texts([prompt]))[0])
        return Interrogation(prompt, caption, similarity, [], Mode.CAPTION.value)

    def _fitting(self, caption: str) -> str:
        """The caption, cut at a word where it alone exceeds the encoder's context."""
        cut = cut_at_word(caption, self.encoder.fits)
        if cut != caption:
            tokens, most = self.encoder.count(caption), self.encoder.context_length
            logger.warning("the caption has %d tokens of at most %d and was cut to: %s", tokens, most, cut)
        return cut

    def _embed(self, images: list[Image.Image], progress: Progress | None = None) -> Tensor:
        return self.encoder.embed_images(images, **_told(progress))  # [B, D]


def _opened(image: ImageOrPath) -> Image.Image:
    return image if isinstance(image, Image.Image) else open_image(image)


def _ranked(table: PhraseTable, scores: Scores, places: Sequence[int]) -> list[RankedPhrase]:
    found = zip(places, scores.at(places).tolist(), strict=True)
    return [RankedPhrase(table.texts[place], table.banks[place].name, similarity) for place, similarity in found]


def _told(progress: Progress | None) -> dict[str, Any]:
    # A stand-in for a captioner or encoder need not know the argument as long as nobody watches.
    return {} if progress is None else {"progress": progress}


def _numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), dtype=np.float32)
