"""Caption and phrases as sentences, for encoders that were trained on language: T5, Qwen.

The template is ours: `A {medium} of {caption} by {artist}, with {light}. The style is {movement}. The mood is {mood}.
Details: {other phrases}.` What there is no phrase for is left out. Phrases of sites are left out, too: `trending on
ArtStation` is a keyword for models whose captions came from such pages, and says nothing that a picture shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..banks import role_of
from ..prompts import SEPARATOR, without_stop
from .words import Word, Words

_LIGHT, _MOOD, _DETAILS = "lighting", "mood", "details"
_LEADS = {"movements": "the style is", _MOOD: "the mood is"}
"""By part: how its sentence begins."""
_PARTS = ("mediums", "artists", _LIGHT, *_LEADS, _DETAILS)

# What a caption calls the picture: `a photo of …`, `a low poly render of …`, `this image shows …`.
_KINDS = (
    "art|artwork|cartoon|collage|comic|drawing|embroidery|engraving|etching|illustration|image|lithograph|mosaic|mural|"
    "painting|photo|photograph|picture|portrait|poster|print|render|rendering|screenshot|sculpture|sketch|snapshot|"
    "statue|tapestry|view|watercolou?r|woodcut"
)
_NAMES_ITS_MEDIUM = re.compile(
    rf"(?:(?:an?|the|this)\s+)?(?:[\w'-]+\s+){{0,4}}?(?:{_KINDS})\s+(?:of|showing|depicting|in which|with)\b",
    re.IGNORECASE,
)
_THERE_IS = re.compile(r"there\s+(?:is|are)\s+(?=\S)", re.IGNORECASE)
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|shows?|depicts?|features?)\b", re.IGNORECASE)
_ENDS = re.compile(r"[.!?。！？][\"')\]]*(?:\s|$)")
# Light as a state of the picture, which follows a comma without `with`: `backlit`, `lit from above`, `sun-drenched`.
_STATE = re.compile(
    r"(?:\w+ly\s+)?(?:\S+-|back)?lit(?:\s+(?:from|by|on)\b.*)?|overcast|diffused by\b.*"
    r"|\S+-(?:drenched|dappled|bleached)",
    re.IGNORECASE,
)
# Mediums without an article: `oil on canvas`, `pixel art`.
_UNCOUNTED = re.compile(
    r"(?!.*\b(?:painting|photogram)\b).*\bon\b.*|.*(?:\band\s+\w+|\bart|\bporcelain)"
    r"|origami|kirigami|claymation|neon|low poly",
    re.IGNORECASE,
)
# Vowels that sound like consonants, and numbers and letters that sound like vowels.
_A_BEFORE_VOWEL = re.compile(r"(?:uni|eu|one\b|uk[iu])", re.IGNORECASE)
_AN = re.compile(r"(?:[aeiou]|8|11\b|18|x-ray)", re.IGNORECASE)
_ARTICLE = re.compile(r"(?:an?|the)\s", re.IGNORECASE)


def sentences(words: Words) -> str:
    """The sentences; "" where there are neither caption nor phrases nor tags. Tags serve where nothing else does."""
    parts = _by_part(words.phrases)
    caption = _THERE_IS.sub("", words.caption.strip(), count=1)
    if not caption and not words.phrases and words.tags:
        return _sentence(f"a picture of {SEPARATOR.join(tag.text for tag in words.tags)}")
    details = parts[_DETAILS]
    said = [_opening(caption, parts)] if _is_phrase(caption) else [_stopped(caption), _remark(parts)]
    if not any(said) and details:
        said, details = [_sentence(f"a picture with {_listed(details)}")], []
    said += [_sentence(f"{lead} {_listed(parts[part])}") for part, lead in _LEADS.items() if parts[part]]
    said += [f"Details: {SEPARATOR.join(details)}."] if details else []
    return " ".join(text for text in said if text)


def _by_part(phrases: Iterable[Word]) -> dict[str, list[str]]:
    """The phrases by their part of the template; a second medium is a detail."""
    parts: dict[str, list[str]] = {part: [] for part in _PARTS}
    for phrase in phrases:
        role = role_of(phrase.bank)
        part = phrase.bank if phrase.bank in (_LIGHT, _MOOD) else role
        if part == "mediums" and parts["mediums"]:
            part = _DETAILS
        if role != "sites":
            parts[part if part in _PARTS else _DETAILS].append(phrase.text)
    return parts


def _is_phrase(caption: str) -> bool:
    """Whether a caption, such as `a red dragon on a hill`, can be a part of a sentence; an empty one can."""
    return not _ENDS.search(caption) and not _VERB.search(caption)


def _opening(caption: str, parts: dict[str, list[str]]) -> str:
    """`A {medium} of {caption} by {artist}, with {light}.` around a caption that is no sentence by itself."""
    medium = "".join(parts["mediums"])
    if not caption:
        return _remark(parts, subject="")
    if _NAMES_ITS_MEDIUM.match(caption):
        # The caption's own word for the medium stays, and the phrase follows it if it says more.
        more = f", {_counted(medium)}" if medium and not _words(medium) <= _words(caption) else ""
        head = f"{caption}{more}"
    elif medium or parts["artists"]:
        head = f"{_counted(medium or 'picture')} of {caption}"
    else:
        head = caption
    return _sentence(head + _by(parts) + _lit(parts))


def _remark(parts: dict[str, list[str]], subject: str = "this is ") -> str:
    """A sentence about the medium, the artists and the light, apart from the caption; "" without any of them."""
    if not (parts["mediums"] or parts["artists"] or parts[_LIGHT]):
        return ""
    return _sentence(subject + _counted("".join(parts["mediums"]) or "picture") + _by(parts) + _lit(parts))


def _by(parts: dict[str, list[str]]) -> str:
    """` by A and B`; phrases of artists begin with `by`, those of a list of one's own may not."""
    names = [re.sub(r"^by\s+", "", artist, flags=re.IGNORECASE) for artist in parts["artists"]]
    return f" by {_listed(names)}" if names else ""


def _lit(parts: dict[str, list[str]]) -> str:
    """`, with {light}`, and states of light after it: `, backlit`."""
    states = [light for light in parts[_LIGHT] if _STATE.fullmatch(light)]
    lights = [light for light in parts[_LIGHT] if light not in states]
    return "".join([f", with {_listed(lights)}" if lights else "", *(f", {state}" for state in states)])


def _counted(medium: str) -> str:
    """A medium with its article: `an oil painting`, `pixel art`."""
    if _ARTICLE.match(medium) or _UNCOUNTED.fullmatch(medium):
        return medium
    return f"{'an' if _AN.match(medium) and not _A_BEFORE_VOWEL.match(medium) else 'a'} {medium}"


def _listed(texts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([SEPARATOR.join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.casefold())) - {"a", "an", "the"}


def _stopped(text: str) -> str:
    """A caption of its own sentences, with a stop at its end."""
    text = text[:1].upper() + text[1:]
    return text if not text or _ENDS.search(text[-2:]) else f"{text}."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{without_stop(text[1:])}."
