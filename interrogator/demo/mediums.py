"""The eight mediums: each paints the same scene its own way and lets every colour survive."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from .attributes import RGB
from .scene import SIZE, Scene, corners, flat, mask, mix, smooth_noise, to_image, warped

Noise = np.random.RandomState
"""The legacy generator: its streams are frozen, so that a seed means the same picture in every numpy."""

_QUARTERS = (
    (slice(None, -1), slice(None, -1)),
    (slice(None, -1), slice(1, None)),
    (slice(1, None), slice(1, None)),
    (slice(1, None), slice(None, -1)),
)
"""The four corners of every cell of a grid of corners, clockwise."""

_INK: RGB = (24, 20, 34)
_PAPER: RGB = (252, 249, 240)


def _array(image: Image.Image) -> npt.NDArray[np.float32]:
    return np.asarray(image, dtype=np.float32)


def flat_vector(scene: Scene, noise: Noise) -> Image.Image:
    """Clean even shapes before a plain disc, a shadow, no outline, no texture."""
    return flat(scene, smooth=3, shadow=True, disc=True)


def pixel_art(scene: Scene, noise: Noise) -> Image.Image:
    """A 32 x 32 sprite with a one-pixel outline, enlarged without smoothing."""
    grid = 32
    sprite = flat(scene, grid * 4, smooth=1).resize((grid, grid), Image.Resampling.NEAREST)
    body = Image.fromarray((mask(scene, grid, smooth=4) > 0.5).astype(np.uint8) * 255)
    rim = ImageChops.subtract(body.filter(ImageFilter.MaxFilter(3)), body)
    # On black an ink outline would vanish, and with it the sprite's look.
    outline = (96, 92, 110) if sum(scene.background) < 120 else _INK
    sprite.paste(outline, mask=rim)
    return sprite.resize((SIZE, SIZE), Image.Resampling.NEAREST)


def crayon(scene: Scene, noise: Noise) -> Image.Image:
    """Waxy diagonal strokes that leave specks of paper, wobbly dark outlines."""
    wobble = [smooth_noise(noise, 14) * 3.0 for _ in range(2)]
    colors = warped(_array(flat(scene)), wobble[0], wobble[1])
    shape = warped(mask(scene), wobble[0], wobble[1])
    grain = noise.uniform(-1, 1, (SIZE, SIZE)).astype(np.float32)
    # Averaging along the diagonal turns grain into strokes; the creature is hatched across the background.
    along = sum(np.roll(grain, (i, i), (0, 1)) for i in range(-5, 6)) / 3.4
    against = sum(np.roll(grain, (i, -i), (0, 1)) for i in range(-5, 6)) / 3.4
    strokes = np.where(shape > 0.5, along, against) + 0.35 * grain
    bare = np.clip((strokes - 0.66) * 2.2, 0, 0.7)[..., None]
    waxed = colors * (1 + 0.09 * strokes[..., None])
    paper = np.asarray(_PAPER, dtype=np.float32)
    painted = waxed * (1 - bare) + paper * bare
    edge = _edges(shape) * (0.65 + 0.35 * (grain > -0.3))
    ink = np.asarray((104, 98, 110) if sum(scene.background) < 120 else (52, 44, 56), dtype=np.float32)
    return to_image(painted * (1 - edge[..., None]) + ink * edge[..., None])


def _edges(shape: npt.NDArray[np.float32], width: int = 5) -> npt.NDArray[np.float32]:
    """The outline of a mask: [H, W] in 0 … 1."""
    image = Image.fromarray(np.rint(shape * 255).astype(np.uint8))
    rim = ImageChops.subtract(image.filter(ImageFilter.MaxFilter(width)), image.filter(ImageFilter.MinFilter(3)))
    return np.asarray(rim.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float32) / 255.0


def watercolor(scene: Scene, noise: Noise) -> Image.Image:
    """Transparent washes: clouded pigment, darker where a wash dried at its edge, a deckled white margin."""
    wobble = [smooth_noise(noise, 10) * 4.0 + smooth_noise(noise, 40) * 1.2 for _ in range(2)]
    soft = flat(scene).filter(ImageFilter.GaussianBlur(1.2))
    colors = warped(_array(soft), wobble[0], wobble[1])
    shape = warped(mask(scene), wobble[0], wobble[1])
    blurred = np.asarray(
        Image.fromarray(np.rint(shape * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(6)), dtype=np.float32
    )
    rim = np.clip(shape - blurred / 255.0, 0, 0.5)
    clouds = smooth_noise(noise, 6) * 0.6 + smooth_noise(noise, 20) * 0.4
    strength = np.clip(0.8 + 0.2 * clouds + 0.3 * rim, 0.5, 1.0)[..., None]
    paper = np.asarray(_PAPER, dtype=np.float32)
    washed = colors * strength + paper * (1 - strength)
    washed *= (1 - 0.35 * rim)[..., None]
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    border = np.minimum(np.minimum(rows, columns), SIZE - 1 - np.maximum(rows, columns)) + 3.0 * smooth_noise(noise, 24)
    inside = np.clip((border - 8) / 2, 0, 1)[..., None]
    tooth = 1 + 0.025 * noise.uniform(-1, 1, (SIZE, SIZE, 1))
    return to_image((washed * inside + paper * (1 - inside)) * tooth)


def oil_painting(scene: Scene, noise: Noise) -> Image.Image:
    """Short thick brush strokes that carry the colour under them, lit like raised paint, in a wooden frame."""
    source = _array(flat(scene, shadow=True))
    canvas = Image.fromarray(source.astype(np.uint8), "RGB").filter(ImageFilter.GaussianBlur(1.5))
    relief = Image.new("L", canvas.size, 128)
    draw, draw_relief = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    flow = smooth_noise(noise, 5) * 1.6
    # Broad strokes lay in the picture; short ones, only where the creature is, bring its outline back.
    standing = np.argwhere(mask(scene, smooth=1) > 0.5)[:, ::-1]
    passes = ((20, 8, noise.randint(0, SIZE, (260, 2))), (8, 4, standing[noise.randint(0, len(standing), 520)]))
    for length, width, centers in passes:
        x, y = centers[:, 0], centers[:, 1]
        angle = flow[y, x]
        dx, dy = length / 2 * np.cos(angle), length / 2 * np.sin(angle)
        lines = np.stack([x - dx, y - dy, x + dx, y + dy], 1).tolist()
        jitter = noise.normal(0, 10, (len(x), 1)) + noise.normal(0, 4, (len(x), 3))
        paints = np.clip(source[y, x] + jitter, 0, 255).astype(int).tolist()
        heights = noise.randint(60, 200, len(x)).tolist()
        for line, paint, height in zip(lines, paints, heights, strict=True):
            draw.line(line, fill=tuple(paint), width=width)
            draw_relief.line(line, fill=height, width=width)
    painted = 0.7 * _array(canvas) + 0.3 * source
    height_map = np.asarray(relief.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float32)
    light = (height_map - np.roll(height_map, (2, 2), (0, 1))) * 0.26
    return _framed(to_image(painted + light[..., None]))


def _framed(image: Image.Image) -> Image.Image:
    """A wooden frame with a gilt inner edge around the picture."""
    draw = ImageDraw.Draw(image)
    last = SIZE - 1
    for inset, width, paint in ((0, 10, (112, 70, 34)), (0, 2, (82, 50, 24)), (8, 3, (206, 164, 76))):
        draw.rectangle((inset, inset, last - inset, last - inset), outline=paint, width=width)
    return image


def mosaic(scene: Scene, noise: Noise) -> Image.Image:
    """Small square tiles, each of one colour and a little off, in grout."""
    tiles = 28
    colors = _array(flat(scene, tiles * 4, smooth=1).resize((tiles, tiles), Image.Resampling.NEAREST))
    uneven = noise.normal(0, 9, (tiles, tiles, 1)) + noise.normal(0, 3, (tiles, tiles, 3))
    grout = mix(scene.background, (120, 116, 110), 0.5)
    image = Image.new("RGB", (SIZE * 2, SIZE * 2), grout)
    draw = ImageDraw.Draw(image)
    step, gap = SIZE * 2 / tiles, 1.6
    left, top = (axis.reshape(-1, 1) * step for axis in np.meshgrid(np.arange(tiles), np.arange(tiles)))
    right, bottom = left + step - gap, top + step - gap
    left, top = left + gap, top + gap
    squares = np.concatenate([left, top, right, top, right, bottom, left, bottom], 1)
    squares += noise.uniform(-1.2, 1.2, squares.shape)
    paints = np.clip(colors + uneven, 0, 255).astype(int).reshape(-1, 3).tolist()
    for square, paint in zip(squares.tolist(), paints, strict=True):
        draw.polygon(square, fill=tuple(paint))
    return image.resize((SIZE, SIZE), Image.Resampling.BOX)


def neon(scene: Scene, noise: Noise) -> Image.Image:
    """Glowing tubes on a dark plate, hung on a wall in the background's colour."""
    image = Image.new("RGB", (SIZE * 2, SIZE * 2), scene.background)
    draw = ImageDraw.Draw(image)
    inset = int(SIZE * 2 * 0.075)
    plate = (inset, inset, SIZE * 2 - inset, SIZE * 2 - inset)
    draw.rounded_rectangle(plate, radius=40, fill=(30, 26, 46), outline=(92, 88, 104), width=5)
    tubes = Image.new("RGB", image.size, (0, 0, 0))
    pen = ImageDraw.Draw(tubes)
    for shape in scene.shapes:
        points = corners(shape, SIZE * 2)
        if shape.detail:
            pen.polygon(points, fill=shape.color if sum(shape.color) > 300 else (16, 14, 24))
            continue
        if shape.color == scene.background:
            pen.polygon(points, fill=(0, 0, 0))
            continue
        pen.polygon(points, fill=mix((0, 0, 0), shape.color, 0.42))
        pen.line([*points, points[0], points[1]], fill=shape.color, width=8, joint="curve")
        pen.line([*points, points[0]], fill=mix(shape.color, (255, 255, 255), 0.55), width=3)
    image, tubes = (layer.resize((SIZE, SIZE), Image.Resampling.BOX) for layer in (image, tubes))
    glow = ImageChops.add(
        tubes.filter(ImageFilter.GaussianBlur(7)), tubes.filter(ImageFilter.GaussianBlur(2)), scale=1.6
    )
    lit = ImageChops.add(ImageChops.lighter(image, tubes), glow, scale=1.0)
    inside = Image.new("L", lit.size, 0)
    ImageDraw.Draw(inside).rounded_rectangle(tuple(v // 2 for v in plate), radius=20, fill=255)
    solid = Image.fromarray(np.rint(mask(scene) * 255).astype(np.uint8))
    image.paste(lit, mask=inside)
    # Inside the creature the plate must not tint the tubes' colours.
    image.paste(ImageChops.add(tubes, glow, scale=1.25), mask=solid)
    return image


def low_poly(scene: Scene, noise: Noise) -> Image.Image:
    """A mesh of triangles, each in one shade as if it caught the light differently."""
    cells = 21
    source = _array(flat(scene, smooth=1))
    corner = np.stack(np.meshgrid(np.arange(cells + 1), np.arange(cells + 1)), -1) * (SIZE / cells)
    corner[1:-1, 1:-1] += noise.uniform(-0.3, 0.3, (cells - 1, cells - 1, 2)) * (SIZE / cells)
    a, b, c, d = (corner[rows, columns].reshape(-1, 2) for rows, columns in _QUARTERS)
    slanted = (np.indices((cells, cells)).sum(0) % 2 == 1).reshape(-1, 1)
    upper = np.stack([a, b, np.where(slanted, c, d)], 1)
    lower = np.stack([np.where(slanted, a, b), c, d], 1)
    triangles = np.concatenate([upper, lower])  # [T, 3, 2]
    x, y = np.clip(triangles.mean(1), 0, SIZE - 1).astype(int).T
    tilt = np.repeat([0.055, -0.055], len(upper)) + noise.normal(0, 0.07, len(triangles))
    paints = np.clip(source[y, x] * (1 + tilt[:, None]) + 8 * tilt[:, None], 0, 255).astype(int).tolist()
    image = Image.new("RGB", (SIZE * 2, SIZE * 2), scene.background)
    draw = ImageDraw.Draw(image)
    for triangle, paint in zip((triangles * 2).reshape(-1, 6).tolist(), paints, strict=True):
        draw.polygon(triangle, fill=tuple(paint))
    return _with_details(image, scene)


def _with_details(large: Image.Image, scene: Scene) -> Image.Image:
    """Faces drawn whole over the mesh: facets as large as these would lose the eyes."""
    draw = ImageDraw.Draw(large)
    for shape in scene.shapes:
        if shape.detail:
            draw.polygon(corners(shape, SIZE * 2), fill=shape.color)
    return large.resize((SIZE, SIZE), Image.Resampling.BOX)


RENDERERS: dict[str, Callable[[Scene, Noise], Image.Image]] = {
    "pixel art": pixel_art,
    "crayon": crayon,
    "watercolor": watercolor,
    "oil painting": oil_painting,
    "mosaic": mosaic,
    "neon": neon,
    "flat vector": flat_vector,
    "low poly": low_poly,
}
