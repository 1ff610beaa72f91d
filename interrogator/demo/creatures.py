"""Draw a cartoon creature and its truth from a seed."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image

from .attributes import Creature, draw_attributes
from .mediums import RENDERERS
from .scene import lay_out


def creature(seed: int, only_held_out: bool | None = None) -> tuple[Image.Image, Creature]:
    """The picture (RGB, 192 x 192) and the truth for a seed.

    The same seed gives the same creature on every machine. The demo models were trained on seeds from
    `training.data.FIRST_SEED` on; lower seeds are new to them. `only_held_out` True draws only combinations of kind,
    colour and medium that training left out, False only the others, None any.
    """
    rng = random.Random(seed)
    truth = draw_attributes(rng, only_held_out)
    return picture(truth, rng.randrange(2**32)), truth


def picture(truth: Creature, seed: int) -> Image.Image:
    """A picture with exactly these attributes; `seed` determines pose and texture."""
    scene = lay_out(truth, random.Random(seed))
    return RENDERERS[truth.medium](scene, np.random.RandomState(seed))
