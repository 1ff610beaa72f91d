"""A creature laid out as a scene: polygons in picture coordinates, each with its colour, ready for any medium."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .attributes import BACKGROUNDS, COLORS, RGB, Creature
from .features import with_feature
from .shapes import BODIES, Points

SIZE = 192
"""Side of a finished picture in pixels."""

Pixels = npt.NDArray[np.float32]  # [H, W, 3], 0 … 255


@dataclass(frozen=True)
class Shape:
    """One polygon in picture coordinates (0 … 1), its colour, and whether it is a face detail."""

    points: Points
    color: RGB
    detail: bool


@dataclass(frozen=True)
class Scene:
    """Everything a medium needs: shapes back to front, the background, and where the creature stands."""

    shapes: list[Shape]
    background: RGB
    ground: tuple[float, float, float]  # x, y, half-width of the shadow


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` with `share` of `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def palette(creature: Creature) -> dict[str, RGB]:
    """The colour of every role."""
    body = COLORS[creature.color]
    feature = COLORS[creature.feature_color or creature.color]
    dark = (24, 20, 34)
    return {
        "body": body,
        "shade": mix(body, dark, 0.26),
        "light": mix(body, (255, 255, 255), 0.36) if creature.color != "white" else (226, 228, 234),
        "feature": feature,
        "feature_shade": mix(feature, dark, 0.3),
        "ink": dark,
        "eye": (255, 255, 255),
        "gap": BACKGROUNDS[creature.background],
    }


def lay_out(creature: Creature, rng: random.Random) -> Scene:
    """Lay out the creature with small random variations of size, position, tilt and direction."""
    paints = palette(creature)
    scale = rng.uniform(0.375, 0.425)
    tilt = math.radians(rng.uniform(-6, 6))
    facing = rng.choice((-1.0, 1.0))
    stretch = rng.uniform(0.94, 1.06)
    x, y = rng.uniform(0.46, 0.54), rng.uniform(0.525, 0.565)
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    shapes = []
    for part in with_feature(BODIES[creature.kind](), creature.feature):
        points = part.points * np.array([facing * stretch, 1.0]) * scale
        points = points @ turn.T + np.array([x, y])
        shapes.append(Shape(points, paints[part.role], part.role in ("ink", "eye")))
    return Scene(shapes, BACKGROUNDS[creature.background], (x, y + 0.92 * scale, 0.7 * scale))


def flat(scene: Scene, size: int = SIZE, smooth: int = 2, shadow: bool = False, disc: bool = False) -> Image.Image:
    """The scene in plain colours, drawn `smooth` times larger and reduced."""
    large = size * smooth
    image = Image.new("RGB", (large, large), scene.background)
    draw = ImageDraw.Draw(image)
    if disc:
        # Towards middle grey, so that it is visible on white and on black and keeps the hue.
        toward: RGB = (255, 255, 255) if sum(scene.background) < 560 else (90, 90, 100)
        draw.ellipse((0.08 * large, 0.08 * large, 0.92 * large, 0.92 * large), fill=mix(scene.background, toward, 0.2))
    if shadow:
        x, y, half = (value * large for value in scene.ground)
        draw.ellipse(
            (x - half, y - 0.16 * half, x + half, y + 0.16 * half), fill=mix(scene.background, (24, 20, 34), 0.3)
        )
    for shape in scene.shapes:
        draw.polygon(corners(shape, large), fill=shape.color)
    return image.resize((size, size), Image.Resampling.BOX) if smooth > 1 else image


def mask(scene: Scene, size: int = SIZE, smooth: int = 2) -> npt.NDArray[np.float32]:
    """Where the creature is: [size, size] in 0 … 1."""
    large = size * smooth
    image = Image.new("L", (large, large), 0)
    draw = ImageDraw.Draw(image)
    for shape in scene.shapes:
        if shape.color != scene.background:
            draw.polygon(corners(shape, large), fill=255)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255.0


def corners(shape: Shape, size: int) -> list[tuple[float, float]]:
    """The polygon's corners in pixels of a picture `size` wide."""
    return [(float(x), float(y)) for x, y in shape.points * size]


def smooth_noise(noise: np.random.RandomState, cells: int, size: int = SIZE) -> npt.NDArray[np.float32]:
    """A cloudy field [size, size], about -1 … 1, with features of size/cells pixels."""
    grid = Image.fromarray(noise.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


def warped(
    pixels: npt.NDArray[np.float32], dx: npt.NDArray[np.float32], dy: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """`pixels` sampled at coordinates shifted by (dx, dy) pixels."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    at_row = np.clip(np.rint(rows + dy), 0, height - 1).astype(int)
    at_column = np.clip(np.rint(columns + dx), 0, width - 1).astype(int)
    moved: npt.NDArray[np.float32] = pixels[at_row, at_column]
    return moved


def to_image(pixels: npt.NDArray[np.float32]) -> Image.Image:
    """Float pixels 0 … 255 as an RGB picture."""
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), "RGB")
