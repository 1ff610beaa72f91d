"""The text of each encoder of an image model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import RequestError
from ..prompts import cut_at_word, escape_brackets, without_stop
from .keywords import keywords
from .sentences import sentences
from .table import IMAGE_MODELS, ImageModel, TextEncoder
from .token_counts import token_count
from .words import Word, Words

Fits = Callable[[str], bool]

_EMPTY = " \t\r\n.,;。"
_ROUND = re.compile(r"\\([()])")
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s)|[。！？]")


@dataclass(frozen=True)
class TextOptions:
    """What may be asked of texts beside the image model.

    Attributes:
        weights: weight phrases and tags by their strength, `(word:1.2)`, where they are in a row; escape as well.
        quality_tags: begin with the tags for quality that the image model was trained with.
        escape: put a backslash before brackets where they would be read as weights.
    """

    weights: bool = False
    quality_tags: bool = False
    escape: bool = False

    def check(self, model: ImageModel, *, negative: bool = False) -> None:
        """Raises RequestError: an image model does not read what these ask for. negative: for a negative prompt."""
        if negative and not model.negative:
            raise RequestError(f"{model.name} reads no negative prompt; those that do are {_having('negative')}")
        if self.weights and not model.weights:
            raise RequestError(f"{model.name} reads no weights; the image models that do are {_having('weights')}")
        if self.quality_tags and not model.quality_tags:
            raise RequestError(f"{model.name} has no tags for quality; those that do are {_having('quality_tags')}")
        if self.quality_tags and negative:
            raise RequestError("tags for quality have no place in a negative prompt: ask for one or the other")


_DEFAULT = TextOptions()


def texts_for(model: ImageModel, words: Words, options: TextOptions = _DEFAULT) -> dict[str, str]:
    """By name of the encoder, the text that it gets; each within its encoder's limit.

    Keywords are the caption and the phrases, in order, as many as fit. Sentences are those of `sentences.sentences`.
    Tags are the tagger's, in order, as many as fit; keywords where there are none. A caption that is too long by itself
    loses sentences, then words, at its end.

    Raises:
        RequestError: the options ask for what the model does not read, or there are no words.
    """
    options.check(model, negative=words.negative)
    words = words if words.caption.strip(_EMPTY) else replace(words, caption="")
    if not (words.phrases or not words.negative and (words.caption or words.tags)):
        raise RequestError("there are no words to make texts of: give a caption, phrases or tags")
    return {encoder.name: _text(encoder, model, words, options) for encoder in model.encoders}


def _text(encoder: TextEncoder, model: ImageModel, words: Words, options: TextOptions) -> str:
    escapes = encoder.reads_weights and (options.escape or options.weights)  # no bracket is a weight by accident

    def fits(text: str) -> bool:
        return token_count(_as_read(text) if escapes else text, encoder) <= encoder.limit

    if encoder.form == "sentences" and not words.negative and (text := _longest_sentences(words, fits)):
        return escape_brackets(text) if escapes else text
    head, phrases = _in_a_row(words, encoder.form == "tags")
    quality = model.quality_tags if options.quality_tags else ()
    beginning = ", ".join(quality)
    room = (lambda text: fits(f"{beginning}, {text}")) if beginning else fits
    if not head and not room(phrases[0].text):
        head, phrases = phrases[0].text, ()  # alone longer than the limit
    row = keywords(
        _cut(head, room), phrases, room,
        weights=options.weights and encoder.form != "sentences",  # T5 reads a negative prompt, or sites alone, in a row
        escape=escapes,
    )  # fmt: skip
    return f"{beginning}, {row}" if beginning else row


def _as_read(text: str) -> str:
    r"""A text to be escaped as ComfyUI's encoders will read it: they take off backslashes before `(` and `)` only."""
    return _ROUND.sub(r"\1", escape_brackets(text))


def _in_a_row(words: Words, as_tags: bool) -> tuple[str, tuple[Word, ...]]:
    """What keywords begin with, and the words that follow."""
    if words.negative:
        return "", words.phrases
    caption = without_stop(words.caption.strip())
    if words.tags and (as_tags or not (caption or words.phrases)):
        return "", words.tags
    return caption, words.phrases


def _longest_sentences(words: Words, fits: Fits) -> str:
    """Sentences of the caption and as many phrases as fit; a caption that is too long alone is cut."""
    for count in range(len(words.phrases), -1, -1):
        kept = replace(words, phrases=words.phrases[:count])
        if (text := sentences(kept)) and fits(text):
            return text
    for count in range(len(words.tags) - 1, 0, -1):
        if not words.caption and fits(text := sentences(Words(tags=words.tags[:count]))):
            return text
    return _cut(sentences(Words(words.caption)) or sentences(words), fits)


def _cut(text: str, fits: Fits) -> str:
    """The longest beginning of a text that fits: whole sentences, else whole words, else characters."""
    if fits(text):
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    for end in reversed(ends):
        if fits(text[:end]):
            return text[:end]
    if words := cut_at_word(text, fits):
        return words
    return next((text[:end] for end in range(len(text) - 1, 0, -1) if fits(text[:end])), "")


def _having(trait: str) -> str:
    return ", ".join(row.name for row in IMAGE_MODELS if getattr(row, trait))
