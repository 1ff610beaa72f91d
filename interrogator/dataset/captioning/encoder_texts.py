"""The text of each encoder of an image model, made of what the models say of a picture."""

from __future__ import annotations

from dataclasses import replace

from ...errors import RequestError
from ...modes import Mode
from ...pipeline import Interrogation
from ..settings import Settings
from ..text import holds
from .result import Candidate, CaptionResult


def with_encoder_texts(result: CaptionResult, settings: Settings) -> CaptionResult:
    """The result with a text for each encoder; with an error where there is nothing to say.

    What was left out of the first text is left out of these, too.
    """
    if result.error:
        return result
    text = result.texts[0].text
    caption = text if settings.mode == Mode.CAPTION.value else result.caption
    phrases = [phrase for phrase in result.phrases if holds(text, phrase.text)]  # others are for the template alone
    said = Interrogation(text, caption, None, phrases, settings.mode, list(result.tags))
    try:
        texts = said.texts(
            settings.image_model, weights=settings.weights, quality_tags=settings.quality_tags, escape=settings.escape
        )
    except RequestError as error:  # the options were checked, so there are no words
        return replace(result, texts=(Candidate(""),), error=str(error))
    return replace(result, encoder_texts=texts)
