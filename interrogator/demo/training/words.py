"""The phrases the demo encoder is taught, and ordinary words it is taught to leave alone.

`TRUE_PHRASES` say something about exactly one attribute value; each stands in one of the demo banks as well, so a bank
and the training never drift apart unnoticed (a test compares them).
"""

from __future__ import annotations

MEDIUM_NAMES: dict[str, tuple[str, ...]] = {
    "pixel art": ("pixel art", "a pixel art drawing"),
    "crayon": ("crayon", "a crayon drawing"),
    "watercolor": ("watercolor", "a watercolor painting"),
    "oil painting": ("oil painting", "an oil painting"),
    "mosaic": ("mosaic", "a mosaic"),
    "neon": ("neon", "a neon sign"),
    "flat vector": ("flat vector", "a flat vector illustration"),
    "low poly": ("low poly", "a low poly render"),
}
"""mediums.txt: what a picture was made with."""

MOVEMENTS: dict[str, tuple[str, ...]] = {
    "pixel art": ("retro game art", "8-bit style"),
    "crayon": ("naive art", "childlike art"),
    "watercolor": ("romanticism", "wet on wet style"),
    "oil painting": ("impressionism", "expressionism"),
    "mosaic": ("byzantine art", "roman art"),
    "neon": ("synthwave", "cyberpunk"),
    "flat vector": ("minimalism", "modern design"),
    "low poly": ("cubism", "geometric abstraction"),
}
"""movements.txt: the style each medium is taught as."""

QUALITIES: dict[str, tuple[str, ...]] = {
    "pixel art": ("chunky pixels", "dark pixel outline", "game sprite"),
    "crayon": ("waxy strokes", "rough hatching", "scribbled lines"),
    "watercolor": ("soft washes", "paper texture", "bleeding edges"),
    "oil painting": ("thick brush strokes", "impasto", "textured canvas"),
    "mosaic": ("small square tiles", "grout lines", "tesserae"),
    "neon": ("glowing outlines", "bright tubes", "dark plate"),
    "flat vector": ("clean shapes", "solid colors", "crisp edges"),
    "low poly": ("triangle mesh", "faceted shading", "polygonal"),
}
"""flavors.txt, in part: what one sees of each medium."""

ALWAYS_TRUE: tuple[str, ...] = ("cute creature", "cartoon character", "full body", "centered composition", "big eyes")
"""flavors.txt, in part: true of every picture."""

ALWAYS_FALSE: tuple[str, ...] = (
    "photograph",
    "blurry",
    "portrait of a woman",
    "city street",
    "landscape",
    "text",
    "watermark",
    "crowd of people",
    "empty picture",
    "black and white photo",
    "jpeg artifacts",
    "out of frame",
    "deformed",
    "signature",
    "night sky",
    "realistic fur",
)
"""negative.txt, and a few of flavors.txt: false of every picture."""

UNRELATED: tuple[str, ...] = tuple(
    """
    table window river garden engine bottle market summer winter doctor teacher kitchen money paper letter music
    science history number question answer problem company government system program student country mountain valley
    forest island ocean beach harbor bridge tower castle church temple village farmer soldier captain sailor pilot
    driver writer painter singer dancer actor lawyer judge king queen prince princess knight wizard giant hero
    apple banana cherry lemon grape melon peach bread butter cheese coffee sugar pepper salad dinner lunch
    breakfast chair couch carpet mirror candle lantern clock watch camera computer keyboard monitor printer telephone
    television radio guitar piano violin trumpet drum flute opera ballet theatre cinema novel poem story chapter
    sentence grammar language english french spanish german chinese japanese russian arabic latin greek hebrew hindi
    monday friday january october morning evening midnight century decade minute second hour moment future past
    north south east west left right above below inside outside between around through across along toward
    running walking jumping sleeping eating drinking thinking speaking reading writing building cooking driving
    happy sad angry quiet loud quick slow heavy little huge narrow broad strong weak clever stupid honest brave
    electric magnetic chemical nuclear digital optical thermal solar lunar stellar cosmic quantum atomic organic
    steel copper silver bronze marble granite wooden plastic leather cotton velvet silk woolen ceramic concrete
    horse sheep goat chicken turkey monkey tiger lion wolf whale shark salmon eagle falcon sparrow penguin camel
    rose tulip daisy orchid maple willow cactus bamboo clover mushroom pumpkin carrot potato onion garlic tomato
    vintage dramatic cinematic volumetric lighting detailed trending masterpiece award winning octane unreal
    by artist greg john maria peter claude vincent pablo hokusai studio deviantart artstation behance pinterest
    highly intricate ornate elegant moody gothic baroque rococo surreal dada fauvism futurism bauhaus deco nouveau
    ink charcoal pencil pastel gouache acrylic fresco engraving etching woodcut lithograph collage sculpture statue
    sketch photo polaroid hologram tapestry embroidery origami graffiti stencil poster comic manga anime claymation
    """.split()
)
"""Ordinary words, none of the creatures' own, taught as saying nothing about any picture."""
