"""Composing: a prompt out of what the models said of an image, in the way of a mode."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from ..errors import CaptionError, RequestError
from ..evidence import PhraseEvidence
from ..models import Encoder, Tag
from ..modes import MODES, Mode
from ..progress import Progress
from ..prompts import cut_at_word, without_stop
from ..ranking import Scores, similarities
from ..reading import Reading
from ..taggers import TagRules, join_tags, select_tags
from .holding import check_finite
from .interrogation import Interrogation, RankedPhrase
from .negative import negative
from .phrase_table import PhraseTable
from .precise import precise
from .prompt_builder import METHODS, PromptBuilder, SearchOptions

logger = logging.getLogger("interrogator")

SHORTENED = "shortened"
"""Remark: the prompt has the beginning of the caption only, as much as the encoder's context holds."""

_BY_EVIDENCE = (Mode.PRECISE, Mode.NEGATIVE)


class Composer:
    """Makes prompts of readings."""

    def __init__(
        self, encoder: Callable[[], Encoder], table: Callable[[Progress | None], PhraseTable], tag_rules: TagRules,
        evidence: Callable[[Progress | None], PhraseEvidence | None], claim_rows: Callable[[Sequence[str]], Tensor],
    ) -> None:  # fmt: skip
        """Combine the parts.

        Args:
            encoder, table, evidence: give what only some modes need; they may raise where there is none.
            claim_rows: unit rows [C, D] of claims, by the encoder.
        """
        self._encoder = encoder
        self._table = table
        self._tag_rules = tag_rules
        self._evidence = evidence
        self._claim_rows = claim_rows

    def compose(self, reading: Reading, mode: Mode, search: SearchOptions, progress: Progress | None) -> Interrogation:
        """The result of a mode for the reading of an image. Raises CaptionError: there is no caption, or no tag."""
        if reading.error and "captioner" in MODES[mode].needs:
            raise CaptionError(reading.error)
        remarks = reading.captions[0].remarks if reading.captions else ()
        made = self._made(reading, mode, search, progress)
        return replace(made, remarks=(*remarks, *made.remarks))

    def _made(self, reading: Reading, mode: Mode, search: SearchOptions, progress: Progress | None) -> Interrogation:
        caption = reading.caption
        if mode is Mode.TAGS:
            return self._tagged(reading)
        if mode is Mode.CAPTION:
            return self._captioned(reading)
        if reading.embedding is None:
            raise RequestError(f"mode {mode.value} needs an image embedding: read the image with the encoder as well")
        if mode in _BY_EVIDENCE:
            check_finite(reading.embedding)
        whole = without_stop(caption)
        opening = self._fitting(whole)
        builder = PromptBuilder(self._encoder(), self._table(progress), reading.embedding, opening, progress)
        if mode is Mode.PRECISE:
            scored = precise(builder, search, self._evidence(progress), self._claim_rows)
        elif mode is Mode.NEGATIVE:
            scored = negative(builder, search, self._evidence(progress))
        else:
            scored = METHODS[mode](builder, search)
        phrases = ranked_phrases(builder.table, builder.scores, scored.positions)
        if scored.evidence:
            phrases = [replace(each, evidence=known) for each, known in zip(phrases, scored.evidence, strict=True)]
        tags = self._held(reading)
        shortened = (SHORTENED,) if opening != whole and mode is not Mode.NEGATIVE else ()
        remarks = (*shortened, *scored.remarks)
        return Interrogation(scored.prompt, caption, scored.similarity, phrases, mode.value, tags, remarks)

    def _tagged(self, reading: Reading) -> Interrogation:
        tags = self._held(reading)
        if not tags:
            raise CaptionError("no tag of the tagger holds for this image; lower the threshold, or use another mode")
        prompt = join_tags(tags)
        similarity = None if reading.embedding is None else self._similarity(reading.embedding, prompt)
        return Interrogation(prompt, reading.caption, similarity, [], Mode.TAGS.value, tags)

    def _captioned(self, reading: Reading) -> Interrogation:
        caption, tags = reading.caption, self._held(reading)
        if not caption:
            raise CaptionError("the captioner wrote nothing about this image; use another captioner or mode")
        if reading.embedding is None:
            return Interrogation(caption, caption, None, [], Mode.CAPTION.value, tags)
        prompt = self._fitting(caption)
        similarity = self._similarity(reading.embedding, prompt)
        remarks = (SHORTENED,) if prompt != caption else ()
        return Interrogation(prompt, caption, similarity, [], Mode.CAPTION.value, tags, remarks)

    def _held(self, reading: Reading) -> list[Tag]:
        return select_tags(reading.tags or (), self._tag_rules)

    def _similarity(self, embedding: Tensor, text: str) -> float:
        return float(similarities(embedding, self._encoder().encode_texts([text]))[0])

    def _fitting(self, caption: str) -> str:
        """The caption, cut at a word boundary if it alone exceeds the encoder's context."""
        cut = cut_at_word(caption, self._encoder().fits)
        if cut != caption:
            tokens, most = self._encoder().count(caption), self._encoder().context_length
            logger.warning("the caption of %d tokens was cut to the %d that fit: %s", tokens, most, cut)
        return cut


def ranked_phrases(table: PhraseTable, scores: Scores, positions: Sequence[int]) -> list[RankedPhrase]:
    """The phrases at these indexes of the table, with their similarities, in the same order."""
    scored = zip(positions, scores.at(positions).tolist(), strict=True)
    return [
        RankedPhrase(table.texts[position], table.banks[position].name, similarity) for position, similarity in scored
    ]
