"""From what is there and what the models say of a picture to its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..image_models import TextEncoder, image_model
from ..image_models.token_counts import token_count
from ..modes import Mode
from .captioning.images import Picture
from .captioning.result import CaptionResult
from .context import RunContext
from .existing.joining import front_trigger, written
from .existing.texts import ExistingText
from .records import Item, Record
from .targets import text_of
from .text import CaptionRules, RenderedText, holds, render
from .text.lines import lines_of


class Recorder:
    """Makes the records of a run."""

    def __init__(self, context: RunContext, count: Callable[[str], int]) -> None:
        """count: tokens of a text."""
        self._context = context
        self._count = count

    def record(
        self, item: Item, existing: ExistingText | None, picture: Picture | None, result: CaptionResult | None
    ) -> Record:
        """The record of an item.

        Args:
            existing: what the dataset says of it already.
            picture, result: None where nobody looked at it, or no model said anything.
        """
        before = existing.raw if existing is not None and existing.in_target else None
        record = Record(item.key, "kept", "it had a caption before", item.source, existing=before)
        if item.problem:
            return failed(record, item.problem)
        if problem := self._context.refusal(item, existing):
            return failed(record, problem)
        if picture is None or self._context.keeps(existing):
            return self._kept(self._as_it_is(record, existing), picture, result)
        if picture.error or result is None or result.error:
            reason = picture.error or (result.error if result is not None else "")
            return failed(replace(record, sha256=picture.sha256), reason)
        if self._context.settings.edit is not None:
            return self._edited(record, result, existing)
        return self._captioned(record, picture, result, existing)

    def _as_it_is(self, record: Record, existing: ExistingText | None) -> Record:
        """The record of a picture with the text that it has."""
        if existing is None:
            return record
        captions = existing.several(self._context.settings.lines) if not existing.in_target else ()
        return replace(
            record, caption=existing.text, captions=captions if len(captions) > 1 else (), flags=existing.flags,
            reason=record.reason if existing.in_target else "its source has a caption",
        )  # fmt: skip

    def _kept(self, record: Record, picture: Picture | None, result: CaptionResult | None) -> Record:
        """The record of a picture whose text stays, with what was found of the text."""
        if picture is None or picture.error or result is None:
            return record
        flags = (*record.flags, *picture.flags, *(("unsupported",) if result.unsupported else ()))
        return replace(
            record, width=picture.width, height=picture.height, sha256=picture.sha256, dhash=picture.dhash,
            scores=result.texts[0].scores, flags=flags,
            unsupported=result.unsupported, distinctive=_distinctive(result),
        )  # fmt: skip

    def _captioned(
        self, record: Record, picture: Picture, result: CaptionResult, existing: ExistingText | None
    ) -> Record:  # fmt: skip
        """The record of a picture that was captioned."""
        settings = self._context.for_picture.of(picture.item)
        for_encoders = self._for_encoders(picture, result)
        texts = (
            [for_encoders[image_model(settings.image_model).main.name]]
            if for_encoders
            else self._texts_of(picture, result, existing)
        )
        unsupported = tuple(words for words in result.unsupported if holds(texts[0].text, words))
        own_flags = (*picture.flags, *(("unsupported",) if unsupported else ()))
        flags = (*result.flags, *texts[0].flags, *own_flags)
        record = replace(
            record, width=picture.width, height=picture.height, sha256=picture.sha256, dhash=picture.dhash,
            scores=result.texts[0].scores, flags=flags, tags=(*result.tags, *result.labels), unsupported=unsupported,
            distinctive=_distinctive(result),
            texts={name: each.text for name, each in for_encoders.items()} if len(for_encoders) > 1 else {},
        )  # fmt: skip
        if not texts[0].text or "empty_caption" in flags:
            return failed(record, "the caption came out empty")
        found = written(existing, tuple(each.text for each in texts), settings)
        if found is None:
            return self._as_it_is(replace(record, reason="it had the same caption before"), existing)
        caption, captions = found
        is_of_lines = existing is not None and self._context.writes_sidecars and len(lines_of(caption)) > 1
        record = replace(record, flags=(*record.flags, *(("several_lines",) if is_of_lines else ())))
        return replace(
            record, status="done", reason="", caption=caption, captions=captions, tokens=self._count(caption)
        )

    def _texts_of(
        self, picture: Picture, result: CaptionResult, existing: ExistingText | None
    ) -> list[RenderedText]:  # fmt: skip
        """The texts of a result after the rules; those that are made of what is there, one for each caption."""
        settings, texts = self._context.for_picture.of(picture.item), [each.text for each in result.texts]
        if existing is None or "existing" not in settings.rules.names:
            rules = replace(settings.rules, trigger="") if front_trigger(existing, settings) else settings.rules
            return [self._rendered(text, picture, result, rules=rules) for text in texts]
        old = existing.several(settings.lines)
        pairs = [(texts[each % len(texts)], old[each % len(old)]) for each in range(max(len(texts), len(old)))]
        return [self._rendered(text, replace(picture, existing=before), result) for text, before in pairs]

    def _edited(self, record: Record, result: CaptionResult, existing: ExistingText | None) -> Record:
        """The record of a picture whose text was edited: the new text as it is, a list where there was one."""
        if not result.texts:
            return replace(record, reason="it has no caption")
        caption = result.texts[0].text
        edit, is_same = self._context.settings.edit, text_of(record.existing or "\0") == caption
        is_list = edit is not None and edit.several or existing is not None and bool(existing.captions)
        captions = tuple(lines_of(caption)) if is_list else ()
        record = replace(record, caption=caption, captions=captions or (caption,), tokens=self._count(caption))
        if is_same and not (edit is not None and edit.is_tidy and (record.existing or "").startswith("\ufeff")):
            return replace(record, reason="the edit changes nothing")
        return replace(record, status="done", reason="")

    def _for_encoders(self, picture: Picture, result: CaptionResult) -> dict[str, RenderedText]:
        """By name of the encoder of an image model its text after the rules, within its limit; {} without a model."""
        if not result.encoder_texts:
            return {}
        found = {}
        for encoder in image_model(self._context.settings.image_model).encoders:
            text = self._rendered(result.encoder_texts[encoder.name], picture, result)
            if token_count(text.text, encoder) > encoder.limit:  # with what the rules put around it
                text = self._rendered(result.encoder_texts[encoder.name], picture, result, encoder)
            found[encoder.name] = text
        return found

    def _rendered(
        self, text: str, picture: Picture, result: CaptionResult, encoder: TextEncoder | None = None,
        rules: CaptionRules | None = None,
    ) -> RenderedText:  # fmt: skip
        """A text of a result after the rules. encoder: its limit takes the place of the rules'."""
        settings, count = self._context.for_picture.of(picture.item), self._count
        rules = rules or settings.rules
        if encoder is not None:
            count, rules = partial(token_count, encoder=encoder), replace(rules, token_limit=encoder.limit)
        is_caption = settings.mode == Mode.CAPTION.value and not settings.image_model
        return render(
            text, picture.item, rules, count, (picture.width, picture.height),
            caption=text if is_caption else result.caption, phrases=result.phrases, tags=result.tags,
            existing=picture.existing or "", by_evidence=result.by_evidence,
        )  # fmt: skip


def _distinctive(result: CaptionResult) -> tuple[str, ...]:
    return tuple(phrase.text for phrase in result.by_evidence.get("distinctive", ()))


def failed(record: Record, reason: str) -> Record:
    """The record of a picture that has no caption after all."""
    return replace(record, status="failed", reason=reason)
