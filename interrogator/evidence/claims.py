"""Claims: the pieces of a caption, a prompt or a tag list that can be true or false of an image by themselves.

Rules instead of a parser, so that splitting needs no model, takes linear time and treats a caption, a prompt and a tag
list alike. A text is cut at sentences and commas, and what is between them by its function words: `with` and verbs of
having stand between claims, prepositions and verb phrases begin one, `and` joins two unless it joins adjectives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from . import claim_words as known


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


@dataclass(frozen=True)
class _Word:
    text: str
    start: int
    end: int

    @cached_property
    def lower(self) -> str:
        return self.text.casefold().strip("()'’")


@dataclass
class _Piece:
    """What is between two commas, and how it ends: at a comma, or at the end of its sentence."""

    words: list[_Word] = field(default_factory=list)
    ends_sentence: bool = False


def split_claims(text: str) -> list[ClaimText]:
    """The claims of a caption, a prompt or a tag list, in order; [] where it claims nothing.

    `a mosaic of a red cat with a blue tail on a white background` gives `a mosaic`, `a red cat`, `a blue tail` and `on
    a white background`; of tags (`1girl, looking at viewer`) each is a claim. Emphasis such as `(word:1.2)`, `<lora:…>`
    and words that claim nothing (`there is`, `masterpiece`) are left out. What is not in Latin letters is split at
    sentences and commas only. Takes time linear in the length of the text.
    """
    plain = _without_markup(text)
    claims: list[ClaimText] = []
    topic, subject = "", ""
    for sentence in _sentences(_pieces(plain)):
        tags = len(sentence) > 2 and not any(_has(piece.words, _ARTICLES_AND_LINKS) for piece in sentence)
        for piece in _joined_adjectives(sentence):
            splitter = _Splitter(plain, piece.words, tags, len(sentence) > 1, topic, subject)
            claims += splitter.claims()
            topic, subject = splitter.topic, splitter.subject
    return claims


# Emphasis, networks, and what separates: all replaced by as many characters, so that spans stay those of the caption.
_NETWORK = re.compile(r"<[^<>\n]{1,200}>")
_WEIGHT = re.compile(r":\s*[+-]?\d*\.?\d+\s*(?=[)\]}])")
_BRACKET = re.compile(r"(?<![\\_\w])[(\[{]+|(?<!\\)[)\]}]+")
_QUALIFIER = re.compile(r"(?<=\w)_\([^()\n]{1,80}\)")
_KEYWORD = re.compile(r"\b(?:BREAK|AND)\b")
_CHARACTERS = str.maketrans(
    {
        "、": ",", "，": ",", "،": ",", "・": ",", "。": "\n", "！": "\n", "？": "\n", "；": "\n", "।": "\n", "؟": "\n",
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "「": '"', "」": '"', "*": " ", "#": " ", "`": " ", "•": "\n",
        "—": ",", "–": ",", "|": ",", ";": ",", "\r": "\n", "’": "'",
    }
)  # fmt: skip


def _without_markup(text: str) -> str:
    """The text without emphasis, markup and networks, blank where they were: as long as before."""
    plain = _NETWORK.sub(lambda found: " " * len(found[0]), text.translate(_CHARACTERS))
    plain = _KEYWORD.sub(lambda found: "\n" + " " * (len(found[0]) - 1), plain)
    plain = _WEIGHT.sub(lambda found: " " * len(found[0]), plain)
    kept = {at for found in _QUALIFIER.finditer(plain) for at in (found.start() + 1, found.end() - 1)}
    return _BRACKET.sub(
        lambda found: "".join(each if found.start() + at in kept else " " for at, each in enumerate(found[0])), plain
    )


# Sets put together of those that are known, named for what they decide here.
_ARTICLES_AND_LINKS = known.ARTICLES | known.LINKS
_BEGINNINGS = known.DETERMINERS | known.CONJUNCTIONS | known.PREPOSITIONS | known.BREAKS
_OPENINGS = known.DETERMINERS | known.PREPOSITIONS | {"with", "has", "have", "having"}
_NOTHING = known.DETERMINERS | known.PRONOUNS | known.GENERIC | known.FILLERS | known.PREPOSITIONS | known.LINKS
_ENDS = known.PREPOSITIONS | known.BREAKS | known.CONJUNCTIONS | known.LINKS | {"of"}
_NO_SUBJECT = known.PRONOUNS | known.ADJECTIVES | known.DETERMINERS | known.MEDIUMS | known.GENERIC
_DANGLING = known.FILLERS | (known.DETERMINERS - {"one"})

# A quotation is one word; a comma between digits belongs to the number.
_TOKEN = re.compile(r'"[^"\n]{1,300}"|[,\n]|(?:(?<=\d),(?=\d{3}\b)|[^\s,"])+|"')
_ENDING = re.compile(r"[.!?…:]+$")
_ABBREVIATION = re.compile(r"^(?:mr|mrs|ms|dr|st|vs|no|jr|sr|approx|e\.g|i\.e|[a-z])\.$", re.IGNORECASE)


def _pieces(plain: str) -> Iterator[_Piece]:
    """What is between commas and sentence ends. A label such as `Background:` is left out."""
    piece = _Piece()
    for found in _TOKEN.finditer(plain):
        token = found[0]
        if token in {",", "\n", '"', "-", "--"}:
            piece.ends_sentence = token == "\n"
            yield piece
            piece = _Piece()
            continue
        ending = None if _ABBREVIATION.match(token) else _ENDING.search(token)
        whole = _Word(token[: ending.start()] if ending else token, found.start(), found.start() + len(token))
        word = _Word(whole.text, whole.start, whole.start + len(whole.text))
        if word.text:
            piece.words.append(word)
        if ending:
            is_label = ending[0] == ":" and len(piece.words) <= 3
            yield _Piece([] if is_label else piece.words, ends_sentence=True)
            piece = _Piece()
    piece.ends_sentence = True
    yield piece


def _sentences(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces by sentence, without empty ones."""
    sentence: list[_Piece] = []
    for piece in pieces:
        if piece.words:
            sentence.append(piece)
        if piece.ends_sentence and sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _joined_adjectives(sentence: Sequence[_Piece]) -> Iterator[_Piece]:
    """The pieces, `with long` and `flowing hair` as one: the comma is between adjectives of one noun."""
    waiting: list[_Word] = []
    for number, piece in enumerate(sentence):
        words = [*waiting, *piece.words]
        after = sentence[number + 1].words[0].lower if number + 1 < len(sentence) else "and"
        waiting = words if after not in _BEGINNINGS and len(words) < 20 and _lacks_noun(words) else []
        if not waiting:
            yield _Piece(words)


def _lacks_noun(words: Sequence[_Word]) -> bool:
    """Whether words end in adjectives that wait for a noun: `a girl with long`."""
    at = len(words)
    while at and words[at - 1].lower in known.ADJECTIVES:
        at -= 1
    return 0 < at < len(words) and words[at - 1].lower in _OPENINGS


def _has(words: Sequence[_Word], wanted: frozenset[str]) -> bool:
    return any(word.lower in wanted for word in words)


class _Splitter:
    """Splits one piece of a sentence.

    Attributes:
        topic: the first thing that the text names, which `it` and `she` stand for; "" before one.
        subject: the last thing named, to which an attribute without a noun belongs; "" before one.
    """

    def __init__(
        self, plain: str, words: list[_Word], tags: bool, in_list: bool, topic: str, subject: str
    ) -> None:  # fmt: skip
        """Look at a piece.

        Args:
            plain: the whole text without markup.
            words: those of the piece.
            tags: whether its sentence is a list of tags.
            in_list: whether its sentence has other pieces.
            topic, subject: as the pieces before leave them.
        """
        self._plain = plain
        self._words = words
        self._lower = [word.lower for word in words]
        self._tags = tags
        short = in_list and len(words) <= 4 and not _has(words, _ARTICLES_AND_LINKS)
        self._is_phrase = short or (tags and len(words) <= 5)
        self.topic, self.subject = topic, subject

    def claims(self) -> Iterator[ClaimText]:
        """The claims of the piece, in order."""
        if _is_other_script("".join(word.text for word in self._words)):
            yield self._claim(0, len(self._words))
            return
        if not self._tags and self.subject and self._only_adjectives():
            yield from self._attributes(0, self.subject)
            return
        start = 0
        for at in range(len(self._words)):
            if at < start:
                continue
            if self._is_predicate(at):
                noun = self._noun(start, at) or self.topic
                if noun:
                    yield from self._attributes(at + 1, noun, start)
                    return
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
        if word in known.PARTICIPLES or (word.endswith("ed") and len(word) > 4 and word not in known.ADJECTIVES):
            return leads or after == "of"
        if not word.endswith("ing") or len(word) < 5 or word in known.ING_NOUNS:
            return False
        return word in known.VERBS and bool(after) or leads or after in known.DETERMINERS

    def _is_position(self, at: int) -> bool:
        """Whether `in the background` stands at a word: it says where the thing before is, and is no claim itself."""
        rest = self._lower[at + 1 : at + 4]
        if not rest or rest[0] != "the":
            return False
        noun = next((number for number, word in enumerate(rest) if word in known.POSITIONS), None)
        after = at + 2 + (noun or 0)
        return noun is not None and (after >= len(self._lower) or self._lower[after] in _ENDS)

    def _is_predicate(self, at: int) -> bool:
        """Whether a word links a thing with nothing but adjectives: `the wings are blue and shiny`."""
        if self._lower[at] not in known.LINKS or at + 1 == len(self._lower):
            return False
        return all(_is_attribute(self._lower[each]) for each in range(at + 1, len(self._lower)))

    def _only_adjectives(self) -> bool:
        return all(map(_is_attribute, self._lower)) and any(word in known.ADJECTIVES for word in self._lower)

    def _attributes(self, at: int, noun: str, start: int | None = None) -> Iterator[ClaimText]:
        """The adjectives from a word on, each with the noun; the first one's span begins at `start`."""
        self._name(noun)
        first = at
        for end in range(at, len(self._words) + 1):
            if end < len(self._words) and self._lower[end] not in known.CONJUNCTIONS:
                continue
            if end > first:
                span = self._claim(first if start is None else start, end)
                yield ClaimText(f"{self._claim(first, end).text} {noun}", span.start, span.end)
                start = None
            first = end + 1

    def _whole(self, start: int, end: int) -> Iterator[ClaimText]:
        """The words from start to end as a claim, if they are one."""
        while start < end and (self._lower[start] in known.FILLERS or self._lower[start] in known.CONJUNCTIONS):
            start += 1
        while end > start and (self._lower[end - 1] in _DANGLING):
            end -= 1
        if start >= end or self._is_generic(start, end) or (self._is_position(start) and end - start <= 4):
            return
        claim = self._claim(start, end)
        after_pronoun = start > 1 and self._lower[start - 2] in known.PRONOUNS
        noun = self.topic if after_pronoun else self.subject
        if end == start + 1 and noun and not self._is_phrase and _is_participle(self._lower[start]):
            claim = ClaimText(f"{noun} {claim.text}", claim.start, claim.end)
        yield claim
        self._name(self._noun(start, end))

    def _name(self, noun: str) -> None:
        self.topic, self.subject = self.topic or noun, noun or self.subject

    def _is_generic(self, start: int, end: int) -> bool:
        """Whether words claim nothing: `the image`, `it`, `masterpiece`, `score_9`."""
        words = self._lower[start:end]
        if all(word in _NOTHING for word in words):
            return True
        text = " ".join(words).replace("_", " ")
        return text in known.QUALITIES or re.fullmatch(r"(?:score|rating|source) \S+( up)?|[\W\d_]+", text) is not None

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
