"""From tokens to captions: decoded, cleaned, in one line, with remarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import RequestError
from ...models import Answer
from ...threads import Lock
from ..answers import LOOPED, clean, loops, without_loop
from ..options import CaptionOptions
from ..sampling_options import Sampled
from ..strip import strip_words
from .writing import Written

_LOOK_BACK = 24  # tokens that are decoded to see whether a forbidden phrase was completed: more than any has


class AnswerText:
    """Makes captions of the tokens of one call."""

    def __init__(
        self, tokenizer: Any, options: CaptionOptions, tokenizing: Lock, forbidden: Sequence[str] = ()
    ) -> None:
        """Store what the answers of one call have in common. Raises RequestError: a forbidden phrase is empty.

        tokenizing: held while the tokenizer works.
        """
        self._tokenizer = tokenizer
        self._options = options
        self._tokenizing = tokenizing
        self._prefix = options.prefix.strip()
        self._forbidden = _pattern(forbidden)

    def answer(self, one: Written | str, again: bool, thinks: bool) -> Answer:
        """The caption in what was written, or the error that stands in its place.

        again: whether it is a second try.  thinks: whether the prompt ends in the midst of thinking.
        """
        if isinstance(one, str):
            return Answer("", error=one)
        text, remarks = self._text(one, thinks)
        if again:
            remarks = (*remarks, LOOPED)
        if not text:
            unfinished = "the model did not come to an answer; raise max_new_tokens"
            error = "the model wrote nothing about the image; ask it differently" if one.ended else unfinished
            return Answer("", remarks, error)
        return Answer(text, remarks)

    def sampled(self, one: Written, thinks: bool) -> Sampled:
        """A sampled answer."""
        text, _ = self._text(one, thinks)
        return Sampled(text, tuple(one.tokens), one.log_probability, one.ended)

    @property
    def forbids(self) -> Callable[[list[int], int], bool] | None:
        """Whether a token completes a forbidden phrase, as `TokenRules` asks; None where nothing is forbidden."""
        return self._completes if self._forbidden is not None else None

    def _completes(self, tokens: list[int], token: int) -> bool:
        """Whether the text of tokens and one more ends with a forbidden phrase. Not held against `catfish`: `cat`."""
        assert self._forbidden is not None
        before = self._decoded(tokens[-_LOOK_BACK:])
        text = self._decoded([*tokens[-_LOOK_BACK:], token])
        return any(found.end() > len(before) for found in self._forbidden.finditer(text))

    def _text(self, one: Written, thinks: bool) -> tuple[str, tuple[str, ...]]:
        text = self._decoded(one.tokens)
        if thinks:
            text = f"<think>{text}"
        if self._prefix:
            # The first token says whether it continues a word; decoding drops the space in front of a text.
            if self._options.keep_prefix:
                text = self._joined(text, one.tokens)
            return self._finished(" ".join(text.split()), one.ended)
        return self._finished(text, one.ended)

    def _finished(self, text: str, ended: bool) -> tuple[str, tuple[str, ...]]:
        text, remarks = clean(text, ended)
        return strip_words(" ".join(text.split()), self._options.strip), remarks

    def _joined(self, text: str, tokens: list[int]) -> str:
        """The prefix and the text behind it, with a space between them where the tokens have one."""
        if not tokens:
            return self._prefix
        with self._tokenizing:
            start: list[int] = self._tokenizer(self._prefix, add_special_tokens=False)["input_ids"]
        whole = self._decoded([*start, *tokens])
        known = self._decoded(start)
        return self._prefix + whole[len(known) :] if whole.startswith(known) else f"{self._prefix} {text.lstrip()}"

    def _decoded(self, tokens: Sequence[int]) -> str:
        with self._tokenizing:
            text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def looped(one: Written | str) -> bool:
    """Whether an answer ends in a loop."""
    return isinstance(one, Written) and not one.ended and loops(one.tokens)


def unlooped(one: Written | str) -> Written | str:
    """An answer up to its loop."""
    return Written(without_loop(one.tokens), False) if isinstance(one, Written) and looped(one) else one


def _pattern(phrases: Sequence[str]) -> re.Pattern[str] | None:
    spaced = [r"\s+".join(map(re.escape, phrase.split())) for phrase in dict.fromkeys(phrases)]
    if not all(spaced):
        raise RequestError("forbidden words must not be empty")
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)", re.IGNORECASE) if spaced else None
