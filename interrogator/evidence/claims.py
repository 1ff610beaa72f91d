"""Claims: the pieces of a caption, a prompt or a tag list that can be true or false of an image by themselves.

Rules instead of a parser, so that splitting needs no model, takes linear time and treats a caption, a prompt and a tag
list alike. A text is cut at sentences and commas, and what is between them by its function words: `with` and verbs of
having stand between claims, prepositions and verb phrases begin one, `and` joins two unless it joins adjectives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from . import claim_words as known
from .pieces import Piece, Word, sentences, without_markup


@dataclass(frozen=True)
class ClaimText:
    """A claim in a caption.

    Attributes:
        text: the claim in words that stand for themselves, to be scored: without weights, escapes and underscores, and
            `white fur` where the caption says `its fur is white`.
        start, end: the span of the caption that says it, for marking; its end is exclusive.
    """

    text: str
    start: int
    end: int


def split_claims(text: str) -> list[ClaimText]:
    """The claims of a caption, a prompt or a tag list, in order; [] where it claims nothing.

    `a mosaic of a red cat with a blue tail on a white background` gives `a mosaic`, `a red cat`, `a blue tail` and `on
    a white background`; of tags (`1girl, looking at viewer`) each is a claim. Emphasis such as `(word:1.2)`, `<lora:…>`
    and words that claim nothing (`there is`, `masterpiece`) are left out. What is not in Latin letters is split at
    sentences and commas only. Takes time linear in the length of the text.
    """
    plain = without_markup(text)
    claims: list[ClaimText] = []
    things = _Things()
    for sentence in sentences(plain):
        things.subject = ""
        tags = len(sentence) > 2 and not any(_has(piece.words, _ARTICLES_AND_LINKS) for piece in sentence)
        for piece in _joined_adjectives(sentence):
            claims += _Splitter(plain, piece.words, tags, len(sentence) > 1, things).claims()
    return claims


@dataclass
class _Things:
    """The things that a text has named so far.

    Attributes:
        topic: the first one, which `it` and `she` stand for; "" before one.
        subject: the first one of this sentence, to which an attribute without a noun belongs; "" before one.
        named: all of them, in lower case.
    """

    topic: str = ""
    subject: str = ""
    named: set[str] = field(default_factory=set)

    def name(self, noun: str) -> None:
        """Note a noun; "" is none."""
        if noun:
            self.topic, self.subject = self.topic or noun, self.subject or noun
            self.named.add(noun.casefold())


# Sets put together of those that are known, named for what they decide here.
_ARTICLES_AND_LINKS = known.ARTICLES | known.LINKS
_BEGINNINGS = known.DETERMINERS | known.CONJUNCTIONS | known.PREPOSITIONS | known.BREAKS
_OPENINGS = known.DETERMINERS | known.PREPOSITIONS | {"with", "has", "have", "having"}
_NOTHING = known.DETERMINERS | known.PRONOUNS | known.GENERIC | known.FILLERS | known.PREPOSITIONS | known.LINKS
_ENDS = known.PREPOSITIONS | known.BREAKS | known.CONJUNCTIONS | known.LINKS | {"of"}
_NO_SUBJECT = known.PRONOUNS | known.ADJECTIVES | known.DETERMINERS | known.MEDIUMS | known.GENERIC
_DANGLING = known.FILLERS | known.CONJUNCTIONS | {"a", "an", "the"}
_PARTS = known.POSITIONS - known.MEDIUMS
_CLAUSES = known.PRONOUNS | known.DETERMINERS | known.BREAKS | known.LINKS
_SENTENCE_WORDS = known.ARTICLES | known.LINKS | {"has", "have", "there", "she", "he", "it"}


def _joined_adjectives(sentence: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces, `with long` and `flowing hair` as one: the comma is between adjectives of one noun."""
    waiting: list[Word] = []
    for number, piece in enumerate(sentence):
        words = [*waiting, *piece.words]
        after = sentence[number + 1].words[0].lower if number + 1 < len(sentence) else "and"
        waiting = words if after not in _BEGINNINGS and len(words) < 20 and _lacks_noun(words) else []
        if not waiting:
            yield Piece(words)


def _lacks_noun(words: Sequence[Word]) -> bool:
    """Whether words end in adjectives that wait for a noun: `a girl with long`."""
    at = len(words)
    while at and words[at - 1].lower in known.ADJECTIVES:
        at -= 1
    return 0 < at < len(words) and words[at - 1].lower in _OPENINGS


def _has(words: Sequence[Word], wanted: frozenset[str]) -> bool:
    return any(word.lower in wanted for word in words)


class _Splitter:
    """Splits one piece of a sentence."""

    def __init__(self, plain: str, words: list[Word], tags: bool, in_list: bool, things: _Things) -> None:
        """Look at a piece.

        Args:
            plain: the whole text without markup.
            words: those of the piece.
            tags: whether its sentence is a list of tags.
            in_list: whether its sentence has other pieces.
            things: as the pieces before leave them; the piece adds its own.
        """
        self._plain = plain
        self._words = words
        self._lower = [word.lower for word in words]
        self._tags = tags
        self._things = things
        short = in_list and len(words) <= 4 and not _has(words, _SENTENCE_WORDS)
        self._is_phrase = short or (tags and len(words) <= 5)

    def claims(self) -> Iterator[ClaimText]:
        """The claims of the piece, in order."""
        if _is_other_script("".join(word.text for word in self._words)):
            yield self._claim(0, len(self._words))
            return
        if not self._tags and self._things.subject and self._only_adjectives():
            yield from self._attributes(0, len(self._words), self._things.subject)
            return
        start = 0
        for at in range(len(self._words)):
            if at < start:
                continue  # part of a predicate that is done
            end = self._end_of_predicate(at)
            noun = (self._noun(start, at) or self._things.topic) if end > at else ""
            if noun:
                yield from self._attributes(at + 1, end, noun, start)
                start = end
                continue
            drops, begins = self._is_between(at, start), self._begins(at, start)
            if drops or begins:
                yield from self._whole(start, at)
                start = at + 1 if drops else at
        yield from self._whole(start, len(self._words))

    def _is_between(self, at: int, start: int) -> bool:
        """Whether a word stands between claims and belongs to none."""
        word, after = self._lower[at], self._lower[at + 1] if at + 1 < len(self._lower) else ""
        before = self._lower[at - 1] if at > start else ""
        if self._is_phrase and word != "with" and not (word == "and" and not self._tags):
            return False
        if word == "with":
            return not (before and self._is_verb(at - 1, start))
        if word in known.CONJUNCTIONS:
            joins_adjectives = before in known.ADJECTIVES and after not in known.DETERMINERS
            return not joins_adjectives and "between" not in self._lower[start:at]
        if word in known.LINKS:
            # `The woman is smiling` is one claim; `the woman is sitting on a bench` has two.
            return at + 2 < len(self._words) or self._is_generic(start, at)
        if word == "as" and before and self._is_verb(at - 1, start):
            return False
        if word == "that":
            return bool(before) and before not in known.PREPOSITIONS and after not in {"says", "reads", "say"}
        if word == "of":
            close_up = before == "up" and "close" in self._lower[start:at]
            return before in known.MEDIUMS or close_up or self._is_generic(start, at)
        return word in known.BREAKS

    def _begins(self, at: int, start: int) -> bool:
        """Whether a word begins a claim: a preposition or a verb behind a thing."""
        if at == start or self._is_phrase:
            return False
        if self._is_verb(at, start):
            return not self._is_verb(at - 1, start)
        if self._lower[at] not in known.SPLITTING or self._lower[at - 1] in known.PREPOSITIONS | {"of"}:
            return False
        return not self._is_verb(at - 1, start) and not self._is_position(at)

    def _is_verb(self, at: int, start: int) -> bool:
        """Whether a word is a participle that begins a verb phrase: `sitting on`, `covered with`, `wearing glasses`."""
        word = self._lower[at]
        after = self._lower[at + 1] if at + 1 < len(self._lower) else ""
        before = self._lower[at - 1] if at > start else ""
        if before in known.DETERMINERS or before in known.ADJECTIVES or before in known.PREPOSITIONS:
            return False
        leads = after in known.PREPOSITIONS or after == "with" or after == "as"
        if word in known.FINITE:
            return bool(after)
        if word in known.PARTICIPLES or (word.endswith("ed") and len(word) > 4 and word not in known.ADJECTIVES):
            return leads or after == "of"
        if not word.endswith("ing") or len(word) < 5 or word in known.ING_NOUNS:
            return False
        return word in known.VERBS and bool(after) or leads or after in known.DETERMINERS

    def _is_position(self, at: int) -> bool:
        """Whether `in the background` stands at a word: it says where the thing before is, and is no claim itself."""
        if self._lower[at] not in known.PREPOSITIONS or self._lower[at + 1 : at + 2] != ["the"]:
            return False
        end = at + 2
        while end < len(self._lower) and self._lower[end] in known.POSITIONS:
            end += 1
        return end > at + 2 and (end == len(self._lower) or self._lower[end] in _ENDS)

    def _end_of_predicate(self, at: int) -> int:
        """Where the adjectives end that a word links with a thing, as in `the wings are blue and shiny`; `at` if none.

        What follows them may be the next clause, but no noun that they belong to.
        """
        if self._lower[at] not in known.LINKS:
            return at
        end = at + 1
        while end < len(self._lower) and _is_attribute(self._lower[end]):
            end += 1
        if not any(word in known.ADJECTIVES for word in self._lower[at + 1 : end]):
            return at
        return end if end == len(self._lower) or self._lower[end] in _ENDS or self._begins_clause(end) else at

    def _begins_clause(self, at: int) -> bool:
        return self._lower[at - 1] in known.CONJUNCTIONS and self._lower[at] in _CLAUSES

    def _only_adjectives(self) -> bool:
        last = self._lower[-1]
        return last in known.ADJECTIVES and last not in known.NOUNS_TOO and all(map(_is_attribute, self._lower))

    def _attributes(self, at: int, end: int, noun: str, start: int | None = None) -> Iterator[ClaimText]:
        """The adjectives from `at` to `end`, each with the noun; colours together. A single one spans from `start`."""
        self._things.name(noun)
        colors = all(word in known.COLORS or word in known.CONJUNCTIONS for word in self._lower[at:end])
        if not colors and any(word in known.CONJUNCTIONS for word in self._lower[at : end - 1]):
            start = None
        first = at
        for stop in range(at, end + 1):
            if stop < end and (colors or self._lower[stop] not in known.CONJUNCTIONS):
                continue
            last = stop
            while last > first and self._lower[last - 1] in known.CONJUNCTIONS:
                last -= 1
            if last > first:
                span = self._claim(first if start is None else start, last)
                yield ClaimText(f"{self._claim(first, last).text} {noun}", span.start, span.end)
                start = None
            first = stop + 1

    def _whole(self, start: int, end: int) -> Iterator[ClaimText]:
        """The words from start to end as a claim, if they are one."""
        while start < end and (self._lower[start] in known.FILLERS or self._lower[start] in known.CONJUNCTIONS):
            start += 1
        while end > start and (self._lower[end - 1] in _DANGLING):
            end -= 1
        if start >= end or self._is_generic(start, end):
            return
        claim = self._claim(start, end)
        noun = self._things.topic if start > 1 and self._lower[start - 2] in known.PRONOUNS else self._things.subject
        if end == start + 1 and noun and not self._is_phrase and _is_participle(self._lower[start]):
            claim = ClaimText(f"{noun} {claim.text}", claim.start, claim.end)
        yield claim
        self._things.name(self._noun(start, end))

    def _is_generic(self, start: int, end: int) -> bool:
        """Whether words claim nothing: `the image`, `it`, `on the left`, `masterpiece`, a thing that was named."""
        words = self._lower[start:end]
        text = " ".join(words).replace("_", " ")
        if text in known.QUALITIES or re.fullmatch(r"(?:score|rating|source) \S+( up)?|[\W\d_]+", text):
            return True
        if self._tags or not words:
            return not words
        if words[0] == "the" and len(words) == 2 and words[1] in self._things.named | _PARTS:
            return True
        position = self._is_position(start)
        return all(word in _NOTHING or (position and word in known.POSITIONS) for word in words)

    def _noun(self, start: int, end: int) -> str:
        """The noun of a noun phrase: its last word before `of`; "" where it is a pronoun, a verb or a preposition's."""
        words = self._lower[start:end]
        if not words or words[0] in known.PREPOSITIONS or self._is_verb(start, start):
            return ""
        end = start + words.index("of") if "of" in words[1:] else end
        if end - start > 1 and _is_participle(self._lower[end - 1]):
            end -= 1
        last = self._lower[end - 1]
        return "" if last in _NO_SUBJECT else self._words[end - 1].text

    def _claim(self, start: int, end: int) -> ClaimText:
        first, last = self._words[start].start, self._words[end - 1].end
        return ClaimText(_readable(self._plain[first:last]), first, last)


def _is_participle(word: str) -> bool:
    return word.endswith("ing") and len(word) > 4 and word not in known.ING_NOUNS


def _is_attribute(word: str) -> bool:
    return word in known.ADJECTIVES or word in known.CONJUNCTIONS or word in known.FILLERS


def _is_other_script(text: str) -> bool:
    """Whether most letters are not Latin."""
    letters = [each for each in text if each.isalpha()]
    return sum(each > "\u024f" for each in letters) * 2 > len(letters)


def _readable(text: str) -> str:
    """A slice as one reads it: without backslashes before brackets, with spaces for underscores and line breaks."""
    text = re.sub(r"\\([()\[\]{}])", r"\1", text)
    text = re.sub(r"(?<=\w)_(?=[\w(])", " ", text)
    return " ".join(text.split())
