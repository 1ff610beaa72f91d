"""Interrogator: an image in, a prompt out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..banks import PhraseBank
from ..captioners import DEFAULT_OPTIONS, CaptionOptions
from ..embeddings import EmbeddingCache, ListRows, PhraseList
from ..errors import CaptionError, RequestError
from ..evidence import Calibration, Claim, ClaimChecker, PhraseEvidence
from ..images import ImageSource, as_image
from ..models import Captioner, Encoder, Matcher, Tagger
from ..modes import STRICTNESS, Mode
from ..needs import needs_of
from ..progress import Progress, StickyProgress, share_of
from ..reading import Models, Reading
from ..rows import Rows
from ..taggers import DEFAULT_RULES, TagRules
from ..threads import Lazy
from .calibrations import EncoderEvidence, Evidence
from .checks import check_images, learned_checker
from .completion import check_numbers, complete
from .composer import Composer, ranked_phrases
from .image_reader import ENCODER, GROUP, TAGGER, ImageReader, one_each
from .interrogation import Interrogation, RankedPhrase
from .phrase_table import PhraseTable
from .prompt_builder import SearchOptions
from .remembered import are_wanted
from .survey import Compared, Survey

logger = logging.getLogger("interrogator")


class Interrogator(ImageReader):
    """Turns images into prompts with models and phrase banks.

    The table of phrase embeddings is built, or opened from the cache, when it is first needed. Several threads may
    share an interrogator; each reports to, and is cancelled by, its own `progress`.
    """

    def __init__(
        self,
        captioner: Captioner | None,
        encoder: Encoder | None,
        banks: Sequence[PhraseBank],
        cache: EmbeddingCache | None = None,
        caption_options: CaptionOptions = DEFAULT_OPTIONS,
        *,
        tagger: Tagger | None = None,
        matcher: Matcher | None = None,
        tag_rules: TagRules = DEFAULT_RULES,
        calibration: Calibration | None = None,
        references: bool | None = None,
    ) -> None:
        """Combine the parts; nothing is computed yet.

        Args:
            captioner: None if captions are supplied or not wanted.
            encoder: None if only the modes `caption` and `tags` are used.
            banks: in the order that breaks ties; a phrase in two banks belongs to the first.
            cache: stores text embeddings between runs; None keeps them in memory.
            caption_options: how captions are decoded.
            tagger: None if neither mode nor template needs one; with one, every `Interrogation` has tags.
            matcher: None if neither mode nor template needs one.
            tag_rules: which tags hold, and how they read.
            calibration: what similarities are worth in mode precise; None is the one stored for the encoder, see
                `calibrate`.
            references: whether the embeddings of the first images and of what their captions claim are kept, beside the
                cached embeddings, to learn from where there is no calibration; see `remember`. None is yes, unless the
                environment variable INTERROGATOR_REFERENCES is `off`.
        """
        super().__init__(Models(captioner, tagger, encoder, matcher), caption_options, tag_rules)
        self.banks = list(banks)
        self.cache = cache
        self._table: Lazy[PhraseTable] = Lazy()
        self._evidence = EncoderEvidence(lambda: self.encoder, cache, matcher, calibration, are_wanted(references))

    def interrogate(
        self,
        image: ImageSource,
        mode: str = "best",
        caption: str | None = None,
        min_phrases: int = 8,
        max_phrases: int | None = None,
        progress: Progress | None = None,
        beams: int = 1,
        avoid_repeats: bool = False,
        min_angle: float = 0.0,
        strictness: float = STRICTNESS,
    ) -> Interrogation:
        """Make a prompt for one image.

        Args:
            image: a PIL image, a path, a numpy array uint8 [H, W, C], the bytes of a file, or a file object.
            mode: best, fast, classic, caption, negative, tags or precise.
            caption: a description of the image; None lets the captioner write it, "" means no caption.
            min_phrases: number of chain steps (best) that may lower similarity; more than `max_phrases` means all of
                them.
            max_phrases: maximum number of phrases; None is the mode's default (classic 3 flavors, precise and negative
                12, best and fast 32).
            progress: called with (done, total) of the current work, at least about once a second; may raise to cancel.
            beams: number of prompts that the chain (best) grows side by side; 1 is the greedy chain. N beams
                take N times as long and find a chain at least as similar as the greedy one, which is among them.
            avoid_repeats: skip a phrase (in classic, a flavor) whose words are all in the prompt already.
            min_angle: in degrees; skip a phrase (in classic, a flavor) whose embedding is within this angle of the
                embedding of one already taken. 0 is off.
            strictness: share of the accepted phrases that may be false (precise), or how likely a style may still be
                true (negative).

        Raises:
            ImageReadError: the image cannot be read.
            RequestError: an unknown mode, a number out of range, a role that the mode needs has no model, or nothing
                to make a prompt from.
            CaptionError: the captioner wrote nothing about the image, or no tag holds for it.
        """
        return self.interrogate_many(
            [image], mode, caption, min_phrases, max_phrases, progress, beams, avoid_repeats, min_angle, strictness
        )[0]

    def interrogate_many(
        self,
        images: Sequence[ImageSource],
        mode: str = "best",
        caption: str | Sequence[str | None] | None = None,
        min_phrases: int = 8,
        max_phrases: int | None = None,
        progress: Progress | None = None,
        beams: int = 1,
        avoid_repeats: bool = False,
        min_angle: float = 0.0,
        strictness: float = STRICTNESS,
    ) -> list[Interrogation]:
        """Make prompts for many images, captioned and embedded in batches; arguments as in `interrogate`.

        caption: one for all images, or a list with one for each.
        """
        chosen = Mode.of(mode)
        search = SearchOptions.of(chosen, min_phrases, max_phrases, beams, avoid_repeats, min_angle, strictness)
        if caption is None or isinstance(caption, str):
            caption = [caption] * len(images)
        captions = one_each(caption, images)
        if chosen is Mode.CAPTION and "" in captions:
            raise RequestError("mode caption needs a caption that is not empty")
        score = chosen is Mode.CAPTION and self.models.encoder is not None
        needs = needs_of(chosen, score=score, ask=self.caption_options.ask)
        if self.models.tagger is not None:
            needs |= TAGGER
        composer = self._composer(self._evidence.begin())
        results: list[Interrogation] = []
        for start in range(0, len(images), GROUP):
            group = slice(start, start + GROUP)
            readings = self.read(images[group], needs, captions=captions[group], progress=progress)
            results += [composer.compose(reading, chosen, search, progress) for reading in readings]
            self.remember(readings)
        return results

    def compose(
        self,
        reading: Reading,
        mode: str = "best",
        min_phrases: int = 8,
        max_phrases: int | None = None,
        progress: Progress | None = None,
        beams: int = 1,
        avoid_repeats: bool = False,
        min_angle: float = 0.0,
        strictness: float = STRICTNESS,
    ) -> Interrogation:
        """Make a prompt from the reading of an image; arguments and errors as in `interrogate`."""
        chosen = Mode.of(mode)
        search = SearchOptions.of(chosen, min_phrases, max_phrases, beams, avoid_repeats, min_angle, strictness)
        return self._composer(self._evidence.now).compose(reading, chosen, search, progress)

    def rank(
        self, image: ImageSource, bank: str | None = None, top: int = 10, progress: Progress | None = None
    ) -> list[RankedPhrase]:
        """The phrases most similar to an image, most similar first.

        Args:
            bank: a bank or a role (`flavors`); None is every bank except negative.

        Raises:
            BankError: the bank is unknown or switched off.
        """
        return self.rank_many([image], bank, top, progress)[0]

    def rank_many(
        self, images: Sequence[ImageSource], bank: str | None = None, top: int = 10, progress: Progress | None = None
    ) -> list[list[RankedPhrase]]:
        """`rank` for many images, embedded in batches."""
        table = self.table(progress)
        positions = table.merged if bank is None else table.bank(bank)
        ranked = []
        for reading in self.read(images, ENCODER, progress=progress):
            assert reading.embedding is not None
            scores = table.scores(reading.embedding)  # [N]
            chosen = table.candidates(scores, positions, top)
            ranked.append(sorted(ranked_phrases(table, scores, chosen), key=lambda phrase: -phrase.similarity))
        return ranked

    def complete(
        self, image: ImageSource, caption: str | None = None, top: int = 10, strictness: float = STRICTNESS,
        progress: Progress | None = None,
    ) -> list[RankedPhrase]:  # fmt: skip
        """The phrases that are true of an image and that its caption lacks, the one that adds most first.

        Phrases that the caption says, that mean the same as one of its claims or that contradict one are left out, and
        of phrases that say the same there is one. Without a calibration, see `calibrate`, the claims of the caption
        show what is similar enough, and nothing is added to an empty caption.

        Args:
            caption: None lets the captioner write it, "" means no caption.
            top: phrases at most.
            strictness: share of the accepted phrases that may be false.

        Raises:
            ImageReadError: the image cannot be read.
            RequestError: a number is out of range, or a role that is needed has no model.
            CaptionError: the captioner wrote nothing about the image.
        """
        return self.complete_many([image], [caption], top, strictness, progress)[0]

    def complete_many(
        self, images: Sequence[ImageSource], captions: Sequence[str | None] | None = None, top: int = 10,
        strictness: float = STRICTNESS, progress: Progress | None = None,
    ) -> list[list[RankedPhrase]]:  # fmt: skip
        """`complete` for many images, captioned and embedded in batches; captions: one for each image, or None."""
        check_numbers(top, strictness)
        given = [None] * len(images) if captions is None else one_each(captions, images)
        table = self.table(progress)
        evidence = self._evidence.begin().of_table(table, progress)
        needs = ENCODER if None not in given else ENCODER | {"captioner"}
        found = []
        for reading in self.read(images, needs, captions=given, progress=progress):
            if reading.error:
                raise CaptionError(reading.error)
            assert reading.embedding is not None
            found.append(
                complete(table, self.encoder, reading.embedding, reading.caption, evidence, top, strictness, progress)
            )
        return found

    def survey(self, strictness: float = STRICTNESS, progress: Progress | None = None) -> Survey:
        """Takes in embeddings of pictures, any number, a few at a time, and compares them; see `compare`."""
        check_numbers(1, strictness)
        table = self.table(progress)
        return Survey(table, self.encoder, self._evidence.begin().of_table(table, progress), strictness)

    def compare(
        self, images: Sequence[ImageSource], captions: Sequence[str] | None = None, top: int = 10,
        strictness: float = STRICTNESS, progress: Progress | None = None,
    ) -> Compared:  # fmt: skip
        """What images share, as a model that is trained on them would learn it, and what each has of its own.

        Phrases hold by evidence. Without a calibration, see `calibrate`, claims of each caption show what is similar
        enough, and of an image without a caption no phrase is known.

        Args:
            captions: one for each image, "" for none; their claims are compared, too.
            top: phrases and claims at most, in common and of each image.
            strictness: share of the accepted phrases that may be false.

        Raises as `complete`.
        """
        check_numbers(top, strictness)
        texts = [""] * len(images) if captions is None else one_each(captions, images)
        survey = self.survey(strictness, progress)
        for start in range(0, len(images), GROUP):
            group = slice(start, start + GROUP)
            readings = self.read(images[group], ENCODER, progress=share_of(progress, start, len(images)))
            for reading, caption in zip(readings, texts[group], strict=True):
                assert reading.embedding is not None
                survey.add(reading.embedding, caption)
        return survey.compared(top)

    def check(self, image: ImageSource, caption: str, progress: Progress | None = None) -> list[Claim]:
        """The claims of a caption in order, each with its evidence and a verdict; [] where it claims nothing.

        Raises ImageReadError: the image cannot be read. RequestError: this interrogator has no encoder.
        """
        return self.check_many([image], [caption], progress)[0]

    def check_many(
        self,
        images: Sequence[ImageSource],
        captions: Sequence[str],
        progress: Progress | None = None,
        *,
        checker: ClaimChecker | None = None,
    ) -> list[list[Claim]]:
        """`check` for many images, embedded in batches.

        Where nothing is known of what the encoder's similarities are worth, many captions show it by themselves: what
        most of them claim is true of their own image and false of others.

        Args:
            captions: one for each image.
            checker: None is `claim_checker()`, calibrated on these captions if it has to be.
        """
        if checker is None:
            images = [
                as_image(image) if hasattr(image, "read") else image for image in images
            ]  # which may be read twice
            checker = learned_checker(self._evidence.begin().checker(), images, captions, self._embedded, progress)
        return check_images(images, captions, checker, self._embedded, progress)

    def claim_checker(self) -> ClaimChecker:
        """What checks captions with this encoder and, where there is one, this matcher; made once."""
        return self._evidence.now.checker()

    def table(self, progress: Progress | None = None) -> PhraseTable:
        """The phrases of all banks with their embeddings; built once, from the cache as far as possible.

        progress: called with (phrases embedded, phrases to embed); while another thread builds the table, with (0, all
            phrases). May raise to cancel; the next thread that needs the table then builds it.
        """
        phrases = sum(map(len, self.banks))
        return self._table.get(
            lambda: PhraseTable(self.banks, lambda texts: self._text_rows(texts, progress), self.encoder),
            (lambda: progress(0, phrases)) if progress else None,
        )

    def calibrate(
        self, images: Sequence[ImageSource], captions: Sequence[str | None] | None = None,
        progress: Progress | None = None,
    ) -> Calibration:  # fmt: skip
        """Learn from reference images what the encoder's similarities are worth, for mode precise.

        The result is used from now on and, if there is a cache, stored beside the encoder's embeddings: image
        embeddings and a few numbers, no pictures and no captions.

        Args:
            images: at least `evidence.MIN_REFERENCES`, of the kind that will be interrogated.
            captions: a true caption for each image; None, as a whole or for an image, lets the captioner write it.

        Raises:
            RequestError: too few images have captions, or these claim the same or do not belong to the images.
            ImageReadError: an image cannot be read.
        """
        given = [None] * len(images) if captions is None else one_each(captions, images)
        needs = ENCODER if None not in given else ENCODER | {"captioner"}
        readings = self.read(images, needs, captions=given, progress=progress)
        if self.cache is not None:
            self.table(progress)  # the store has a folder once it holds a row
        return self._evidence.learn(readings)

    def evidence(self, progress: Progress | None = None) -> PhraseEvidence | None:
        """The odds of the phrases of all banks; None where the encoder has no calibration. Computed once."""
        return self._evidence.now.of_table(self.table(progress), progress)

    def remember(self, readings: Sequence[Reading]) -> None:
        """Take readings with a caption and an embedding as references to learn from, as `interrogate_many` does.

        Kept are embeddings in float16, of the image and of what its caption claims: no image and no text. A sample of
        at most 512 images is stored beside the encoder's cached embeddings, or in memory without a cache. From 20 on,
        mode precise and checking go by what it shows; each call of `interrogate_many`, and a call of `compose`
        outside, by what was known when it began. Nothing is kept where the encoder is calibrated or references are
        switched off.
        """
        self._evidence.remember(readings)

    def hold_evidence(self) -> None:
        """Make everything from now on one run: references that are added count in the next process only."""
        self._evidence.hold()

    def _embedded(self, images: Sequence[ImageSource], progress: Progress | None) -> list[Reading]:
        return self.read(images, ENCODER, progress=progress)

    def _composer(self, evidence: Evidence) -> Composer:
        def of_table(progress: Progress | None) -> PhraseEvidence | None:
            return evidence.of_table(self.table(progress), progress)

        return Composer(lambda: self.encoder, self.table, self.tag_rules, of_table, self._evidence.claim_rows)

    def _text_rows(self, texts: PhraseList, progress: Progress | None) -> ListRows:
        """float16 rows [N, D] and notes of texts on the encoder's device, from the cache if there is one."""
        if self.cache is None:
            rows = self.encoder.encode_texts(list(texts.phrases), progress).half()  # rounded as in the cache
            return ListRows(Rows([rows]), texts.notes)
        steps = StickyProgress(progress) if progress else None
        inside = steps.again if steps else None
        store = self.cache.open(self.encoder.identity())
        embedded = store.embed_list(
            texts, lambda missing: self.encoder.encode_texts(missing, inside), steps, self.encoder.encode_texts
        )
        return ListRows(embedded.rows.to(self.encoder.device), embedded.notes)
