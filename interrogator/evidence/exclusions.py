"""Words of which one picture has one: day or night, indoors or outdoors, a photograph or a painting.

Each question has several answers, and each answer the words that give it, as a regular expression. A text that gives
several answers, such as `a warm room seen from outside`, leaves the question open between them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_ANSWERS: dict[str, dict[str, str]] = {
    "time of day": {
        "night": r"(?<!for[ -])night(?! vision)|nighttime|midnight(?! blue| sun)|moonlit|moonlight|nocturnal|starry",
        "day": r"daytime|daylight|noon|midday|afternoon|sunny|(?:by|during the|bright|clear|hot|cloudy|rainy) day",
        "dawn": r"dawn(?! of)|sunrise|morning(?! after| cartoon)|golden hour|blue hour|twilight",
        "dusk": r"dusk|sunset(?! grad)|evening(?! gown| dress| wear)|golden hour|blue hour|twilight",
    },
    "where": {
        "indoors": r"indoors?|interior|inside",
        "outdoors": r"outdoors?|exterior|outside|open air|landscape photograph(?:y)?",
    },
    "season": {
        "winter": r"winter|wintry|snow\w*(?! globe| simulation)|blizzard",
        "spring": r"(?<!hot )spring|springtime|snow(?! globe| simulation)|snowmelt|snowdrops",
        "summer": r"summer(?! of love)|summertime|midsummer",
        "autumn": r"autumn|autumnal|fall foliage|fall colou?rs|fallen leaves|snow(?! globe| simulation)",
    },
    "weather": {
        "clear": r"clear (?:blue )?sk(?:y|ies)|cloudless|sunny|(?:bright|harsh) sun(?:light|shine)?",
        "covered": r"overcast|rain|rainy|rainstorm|downpour|drizzle|monsoon|thunderstorm|stormy|snowstorm|blizzard"
        r"|snowfall|falling snow|fog|foggy",
    },
    "colours": {
        "black and white": r"black[- ]and[- ]white|gr[ae]yscale|monochrom\w*|film noir",
        "sepia": r"sepia|monochrom\w*",
        "many": r"colou?rful|multicolou?red|full[- ]colou?r|vibrant|vivid|\w*-?saturated|rainbow|technicolor"
        r"|red|orange|yellow|green|blue|purple|pink|teal|turquoise|violet|magenta|scarlet|crimson",
    },
    "saturation": {
        "low": r"desaturated|muted|washed[- ]out|faded colou?rs?|pastel (?:colou?rs|palette|tones)",
        "high": r"vibrant|vivid|(?:hyper-|highly |over)?saturated|technicolor",
    },
    "contrast": {"low": r"low[- ]contrast", "high": r"high[- ]contrast"},
    "key": {"low": r"low[- ]key|underexposed", "high": r"high[- ]key|overexposed"},
    "distance": {
        "close": r"close-?ups?|macro|head ?shot",
        "half": r"half-length|waist[- ]up|cowboy shot|medium shot|upper body",
        "whole": r"full[- ]body|full[- ]length|wide shot|long shot",
        "far": r"wide shot|long shot|aerial(?! perspective)|panorama|panoramic|satellite",
    },
    "angle": {
        "low": r"low[- ]angle|worm's[- ]eye|(?<!lit )(?<!lightbox )from below",
        "level": r"eye[- ]level",
        "high": r"high[- ]angle|bird's[- ]eye|(?<!lit )(?<!light )from above|top[- ]down|overhead (?:view|shot)"
        r"|flat[- ]lay|aerial(?! perspective)",
    },
    "format": {
        "upright": r"portrait (?:orientation|format)|vertical (?:format|scroll|composition)",
        "wide": r"landscape (?:orientation|format)|horizontal (?:format|scroll|composition)|widescreen",
        "square": r"square (?:format|crop|negative)",
    },
    "balance": {"even": r"symmetr(?:y|ical)", "uneven": r"asymmetr(?:y|ical)"},
    "amount": {
        "little": r"minimal(?:ist|ism)?|uncluttered|(?:empty|simple|plain) background",
        "much": r"maximal(?:ist|ism)|cluttered|busy background|crowded",
    },
    "depth of field": {
        "deep": r"deep focus|everything sharp|from front to back",
        "shallow": r"shallow depth of field|shallow focus|bokeh|(?:background|foreground) blur"
        r"|blurr(?:ed|y) background",
    },
    "finish": {"matte": r"matte (?:finish|print|paper|edit)", "glossy": r"glossy (?:finish|print|paper)"},
    "spirits": {
        "high": r"joyful|cheerful|happy|playful|euphoric",
        "low": r"melanchol(?:y|ic)|sad|gloomy|mournful|somber|sombre|sorrowful",
    },
    "calm": {
        "calm": r"calm(?! before)|serene|peaceful|tranquil",
        "not calm": r"chaotic|frantic|frenzied|tense|violent|turbulent",
    },
    "made as": {
        "photograph": r"photo|photograph|photography|polaroid|snapshot|daguerreotype|dslr|selfie",
        "painting": r"(?<!light )(?<!matte )painting|watercolou?r|gouache|fresco|oil on canvas|impasto",
        "drawing": r"drawing|sketch|charcoal|crayon|engraving|etching|woodcut",
        "render": r"3d render(?:ing)?|cgi|low[- ]poly|voxel art|octane render|unreal engine",
        "pixels": r"pixel art|(?:8|16)-bit",
        "pieces": r"mosaic|(?<!through )stained glass|collage",
    },
    "age": {
        "prehistoric": r"prehistoric|stone age|ice age",
        "ancient": r"ancient(?! oak| tree)|antiquity",
        "medieval": r"medieval|middle ages|dark ages",
        "Victorian": r"victorian",
        "future": r"futuristic|far future|2[1-9]\d\ds?",
    },
}  # fmt: skip
# A decade is an age of its own.
_DECADE = re.compile(r"\b(?:1[4-9]|20)\d0s\b")
_PATTERNS = {
    question: {answer: re.compile(rf"\b(?:{words})\b") for answer, words in answers.items()}
    for question, answers in _ANSWERS.items()
}

_ANY = re.compile("|".join(each.pattern for answers in _PATTERNS.values() for each in answers.values()))
_NONE: Mapping[str, frozenset[str]] = {}


@lru_cache(maxsize=8192)
def answers_of(text: str) -> Mapping[str, frozenset[str]]:
    """What a text says, by question; a question of which it says nothing is left out."""
    plain = text.casefold().replace("’", "'")
    if not _ANY.search(plain) and not _DECADE.search(plain):
        return _NONE
    found = {
        question: frozenset(answer for answer, pattern in patterns.items() if pattern.search(plain))
        for question, patterns in _PATTERNS.items()
    }
    found["age"] |= frozenset(_DECADE.findall(plain))
    return {question: answers for question, answers in found.items() if answers}


def excludes(text: str, other: str) -> bool:
    """Whether two texts answer one question differently, so that no picture is both."""
    one, two = answers_of(text), answers_of(other)
    return any(answers.isdisjoint(two[question]) for question, answers in one.items() if question in two)
