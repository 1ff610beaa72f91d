"""Draw a cartoon creature for a seed, with the truth about it."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image

from .attributes import Creature, draw_attributes
from .mediums import RENDERERS
from .scene import lay_out


def creature(seed: int, only_held_out: bool | None = None) -> tuple[Image.Image, Creature]:
    """The picture (RGB, 192 x 192) and the truth that belong to a seed.

    The same seed gives the same creature on every machine. Seeds from `training.data.FIRST_SEED` on are what the
    demo models were trained with; any below are new to them. `only_held_out` True draws only
    kind x colour x medium combinations that training left out, False only the others, None any.
    """
    rng = random.Random(seed)
    truth = draw_attributes(rng, only_held_out)
    return picture(truth, rng.randrange(2**32)), truth


def picture(truth: Creature, seed: int) -> Image.Image:
    """A picture of exactly these attributes; `seed` chooses pose and texture."""
    scene = lay_out(truth, random.Random(seed))
    return RENDERERS[truth.medium](scene, np.random.RandomState(seed))
