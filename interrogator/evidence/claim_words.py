"""The words that the splitting of captions goes by; all in lower case.

Only words that decide where a claim begins or ends. A word that is missing leaves a claim longer, never wrong.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


DETERMINERS = _set(
    "a an the this that these those his her its their my your our some several many few two three four five six seven"
    " eight nine ten another each every both multiple various numerous no any one"
)
"""Words that begin a noun phrase."""

ARTICLES = _set("a an the his her its their some several two three four five another this these those")
"""Of these, those that a tag hardly ever contains."""

PREPOSITIONS = _set(
    "on in at under over behind beside besides near next above below against through by from around between inside"
    " outside among amongst amid along across beneath underneath during into onto toward towards upon within beyond"
    " atop alongside off up down past to for without out away"
)
"""Words that begin a claim about where or how, unless they follow a verb or one another."""

SPLITTING = PREPOSITIONS - _set("to for up down off past out away")
"""Of these, those that begin a claim of their own; the others belong to what is before them."""

NEGATIONS = _set(
    "no not without never none nothing nobody isn't aren't doesn't don't hasn't cannot can't lacks lacking"
)
"""Words after which a claim says what is not there."""

LINKS = _set("is are was were looks appears seems")
"""Verbs between a thing and what it is like."""

BREAKS = _set(
    "with has have had having features feature featuring shows show showing depicts depict depicting displays display"
    " displaying contains contain containing includes include including portrays portraying presents presenting"
    " showcases showcasing captures capturing which who while where when as whose wherein there here we can see seen"
    " be being been also plus then & + w/"
)
"""Words that stand between claims and belong to none."""

CONJUNCTIONS = _set("and or but")

PRONOUNS = _set("it he she they we you i him them itself himself herself themselves one this that these those")

FILLERS = _set(
    "well just mostly mainly possibly likely perhaps maybe together overall very quite too such what how so only about"
    " respectively etc arafed araffe araffes arafes araffy arafy to be of"
)
"""Words that say nothing about an image by themselves."""

GENERIC = _set(
    "image images picture pictures scene view views depiction representation composition visual frame photo's subject"
    " element elements main focal point center takes place"
)
"""Nouns for the image itself, which any image is."""

MEDIUMS = _set(
    "painting drawing photo photograph photography illustration mosaic render rendering sketch portrait sign cartoon"
    " print poster collage selfie snapshot screenshot artwork art watercolor"
    " engraving etching woodcut fresco mural animation comic manga logo diagram map doodle still silhouette shot"
    " close-up closeup close icon sticker tapestry graphic polaroid stencil caricature emblem pattern view views"
)
"""Nouns whose `of` leads to what they show."""

POSITIONS = _set(
    "background foreground left right center centre middle top bottom distance side front back corner image picture"
    " scene photo frame photograph painting composition other"
)
"""Nouns that say where in the image something is."""

VERBS = _set(
    "wearing holding riding playing eating carrying drinking watching reading using making driving flying chasing"
    " facing pulling pushing showing taking throwing hitting catching crossing petting touching kissing hugging"
    " surfing smoking cooking cutting feeding posing sitting standing lying laying walking running looking"
)
"""Participles that are verbs whatever follows them."""

PARTICIPLES = _set(
    "made worn lit set held hung drawn built taken shown painted known grown written torn bent overgrown"
)
"""Participles that do not end in `ed`."""

FINITE = _set(
    "wears holds stands sits lies rides walks runs flies rests hangs carries plays eats drinks leads leans floats"
    " hovers overlooks surrounds covers fills rises reads stretches grows"
)
"""Finite verbs that begin a claim after the thing that does it."""

ING_NOUNS = _set(
    "building buildings painting paintings drawing ceiling evening morning clothing railing lighting string ring king"
    " wing wings spring sibling earring earrings awning wedding engraving etching stocking setting background being"
    " rendering thing something anything everything nothing sling swing duckling dumpling pudding viking wing parking"
    " swimming fishing icing frosting opening landing bedding shading coloring cushioning dressing during"
)
"""Nouns that end in `ing`."""

COLORS = _set(
    "red orange yellow green blue purple pink white black gray grey brown beige teal lavender turquoise violet gold"
    " golden silver cyan magenta maroon navy crimson scarlet indigo tan cream ivory blonde blond brunette bronze"
    " copper monochrome pale pastel bright dark light deep dim muted dull pinkish reddish bluish greenish yellowish"
    " brownish grayish greyish orangish purplish off-white"
)
"""Words for colours; several of one thing are one claim."""

ADJECTIVES = COLORS.union(("two-tone", "black-and-white")) | _set(
    # size, age, shape
    "colorful colourful multicolored vibrant vivid big small large little tiny huge giant tall short long wide"
    " narrow thick thin round square oval flat curved straight sharp pointed pointy curly wavy old young new ancient"
    " modern vintage elderly middle-aged massive fat slim slender chubby plump muscular"
    # surface and state
    " wooden metal metallic stone glass plastic leather soft hard smooth rough fluffy furry fuzzy shiny glossy matte"
    " wet dry dirty clean dusty rusty broken empty full open closed transparent translucent striped spotted dotted"
    " plain patterned checkered textured ornate intricate detailed simple bare naked nude sleeveless blurry blurred"
    " clear cloudy sunny foggy misty snowy rainy stormy starry grassy rocky sandy leafy calm still hot cold warm"
    " cool"
    # looks and moods
    " beautiful pretty cute adorable handsome elegant lovely ugly happy sad angry serious serene peaceful tranquil"
    " moody gloomy mysterious whimsical playful cheerful dramatic majestic magical mystical fantastical surreal"
    " abstract realistic photorealistic minimalist traditional rustic urban rural natural artificial neon bold"
    " delicate graceful fierce scary spooky cozy busy quiet lively lush dense sparse male female asian african"
    " american european japanese chinese"
)
"""Words for what a thing is like; only such as are seldom nouns."""

QUALITIES = frozenset(
    {
        "masterpiece", "best quality", "high quality", "highest quality", "amazing quality", "great quality",
        "good quality", "normal quality", "low quality", "worst quality", "ultra quality", "8k", "4k", "16k", "uhd",
        "hd", "hdr", "highres", "absurdres", "lowres", "high resolution", "ultra high res", "very aesthetic",
        "aesthetic", "newest", "recent", "mid", "early", "safe", "sensitive", "questionable", "explicit", "general",
    }
)  # fmt: skip
"""Tags meant for a model, which claim nothing about the image; `score_9` and the like are of their kind."""

NOUNS_TOO = _set("light dark stone glass metal plastic leather gold silver male female neon natural abstract cold")
"""Adjectives that are nouns where nothing follows them: `soft light`."""
