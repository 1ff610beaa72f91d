"""Bodies and features as flat polygons, back to front, in a frame of -1 … 1 with y downwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # [N, 2]


@dataclass(frozen=True)
class Part:
    """One filled polygon. `role` names its paint: body, shade, light, feature, feature_shade, ink, eye."""

    role: str
    points: Points


@dataclass(frozen=True)
class Body:
    """The polygons of a kind and the anchor points for features."""

    parts: list[Part]
    head_top: tuple[float, float]
    head_width: float
    back: tuple[float, float]
    rump: tuple[float, float]
    belly: tuple[float, float, float]  # x, y, radius of the patch that spots may cover
    horn_apart: float = 0.22
    wing_lift: float = 1.0  # 1 raises the wings, -1 lets them hang where claws are in the way


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> Points:
    """A closed ellipse around (x, y), turned clockwise by `degrees`."""
    t = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    turn = math.radians(degrees)
    dx, dy = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + dx * math.cos(turn) - dy * math.sin(turn), y + dx * math.sin(turn) + dy * math.cos(turn)], 1)


def tube(path: Sequence[tuple[float, float]], start: float, end: float) -> Points:
    """A limb along a smooth curve through `path`, its half-width going from `start` to `end`."""
    knots = np.asarray(path, dtype=np.float64)
    at = np.linspace(0, len(knots) - 1, 8 * (len(knots) - 1) + 1)
    line = np.stack([_smooth(knots[:, axis], at) for axis in (0, 1)], 1)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.stack([-along[:, 1], along[:, 0]], 1) * np.linspace(start, end, len(line))[:, None]
    cap = ellipse(float(line[-1][0]), float(line[-1][1]), end, end)[:: 1 if end > 0.03 else 28]
    tip = cap[((cap - line[-1]) @ along[-1]) > 0]
    order = np.argsort((tip - line[-1]) @ np.array([-along[-1][1], along[-1][0]]))[::-1]
    return np.concatenate([line + across, tip[order], (line - across)[::-1]])


def _smooth(values: npt.NDArray[np.float64], at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Catmull-Rom through `values` at the fractional indices `at`."""
    padded = np.concatenate([[2 * values[0] - values[1]], values, [2 * values[-1] - values[-2]]])
    i = np.minimum(at.astype(int), len(values) - 2)
    t = at - i
    a, b, c, d = padded[i], padded[i + 1], padded[i + 2], padded[i + 3]
    curve: npt.NDArray[np.float64] = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return curve


def polygon(*points: tuple[float, float]) -> Points:
    """A closed polygon through the given corners."""
    return np.asarray(points, dtype=np.float64)


def mirrored(part: Part) -> list[Part]:
    """The part and its mirror image left to right."""
    return [part, Part(part.role, part.points * np.array([-1.0, 1.0]))]


def _eyes(x: float, y: float, r: float, center: float = 0.0) -> list[Part]:
    parts = []
    for side in (-1, 1):
        parts.append(Part("eye", ellipse(center + side * x, y, r, r * 1.12)))
        parts.append(Part("ink", ellipse(center + side * x * 0.94, y + r * 0.1, r * 0.58, r * 0.7)))
        parts.append(Part("eye", ellipse(center + side * x * 0.94 - r * 0.2, y - r * 0.22, r * 0.2, r * 0.22)))
    return parts


def _sitting(x: float = 0.0) -> list[Part]:
    """A plump sitting torso with two paws, shared by the furry kinds."""
    return [
        Part("body", ellipse(x, 0.46, 0.4, 0.42)),
        Part("light", ellipse(x, 0.52, 0.22, 0.27)),
        *mirrored(Part("body", ellipse(0.27, 0.82, 0.19, 0.12))),
    ]


def _cat() -> Body:
    ear = Part("body", polygon((0.14, -0.5), (0.5, -0.84), (0.5, -0.2)))
    inner = Part("shade", polygon((0.25, -0.52), (0.44, -0.71), (0.44, -0.36)))
    whiskers = [Part("ink", tube([(0.26, y), (0.62, y + dy)], 0.014, 0.014)) for y, dy in ((-0.07, -0.06), (0.0, 0.06))]
    parts = [
        *_sitting(),
        *mirrored(ear),
        *mirrored(inner),
        Part("body", ellipse(0, -0.16, 0.5, 0.42)),
        *_eyes(0.21, -0.2, 0.12),
        Part("ink", polygon((-0.07, -0.03), (0.07, -0.03), (0, 0.05))),
        *[piece for whisker in whiskers for piece in mirrored(whisker)],
    ]
    return Body(parts, (0.0, -0.54), 0.3, (0.3, 0.3), (0.33, 0.66), (0.0, 0.42, 0.34))


def _rabbit() -> Body:
    parts = [
        *_sitting(),
        *mirrored(Part("body", ellipse(0.15, -0.62, 0.115, 0.38, 5))),
        *mirrored(Part("shade", ellipse(0.15, -0.62, 0.05, 0.28, 5))),
        Part("body", ellipse(0, -0.08, 0.42, 0.36)),
        *_eyes(0.18, -0.13, 0.1),
        Part("ink", polygon((-0.06, 0.02), (0.06, 0.02), (0, 0.08))),
        Part("eye", polygon((-0.075, 0.11), (0.075, 0.11), (0.075, 0.24), (-0.075, 0.24))),
        Part("ink", tube([(0, 0.08), (0, 0.24)], 0.014, 0.014)),
    ]
    return Body(parts, (0.0, -0.42), 0.28, (0.3, 0.32), (0.33, 0.66), (0.0, 0.48, 0.34), horn_apart=0.36)


def _frog() -> Body:
    parts = [
        *mirrored(Part("shade", ellipse(0.5, 0.56, 0.26, 0.3, -20))),
        Part("body", ellipse(0, 0.42, 0.46, 0.42)),
        Part("light", ellipse(0, 0.52, 0.28, 0.27)),
        *mirrored(Part("body", ellipse(0.54, 0.84, 0.24, 0.09))),
        *mirrored(Part("body", ellipse(0.38, -0.36, 0.2, 0.2))),
        Part("body", ellipse(0, -0.06, 0.6, 0.36)),
        *_eyes(0.38, -0.38, 0.15),
        Part("ink", tube([(-0.42, 0.0), (0, 0.14), (0.42, 0.0)], 0.026, 0.026)),
    ]
    return Body(parts, (0.0, -0.42), 0.22, (0.4, 0.3), (0.4, 0.66), (0.0, 0.46, 0.36))


def _elephant() -> Body:
    parts = [
        Part("body", ellipse(0, 0.46, 0.44, 0.4)),
        *mirrored(Part("body", polygon((0.1, 0.6), (0.42, 0.6), (0.42, 0.93), (0.1, 0.93)))),
        *mirrored(Part("shade", ellipse(0.52, -0.14, 0.34, 0.38, 15))),
        *mirrored(Part("light", ellipse(0.54, -0.12, 0.22, 0.26, 15))),
        Part("body", ellipse(0, -0.14, 0.4, 0.4)),
        *_eyes(0.19, -0.2, 0.095),
        Part("shade", tube([(0, -0.06), (0.0, 0.26), (0.04, 0.5), (0.24, 0.52)], 0.13, 0.08)),
        *mirrored(Part("eye", polygon((0.15, 0.14), (0.25, 0.12), (0.26, 0.34)))),
    ]
    return Body(parts, (0.0, -0.5), 0.28, (0.5, 0.2), (0.4, 0.64), (0.0, 0.5, 0.36))


def _octopus() -> Body:
    arms = []
    for x, bend, drop in ((0.12, 0.16, 0.9), (0.3, 0.46, 0.86), (0.42, 0.74, 0.62)):
        arm = [(x, 0.2), (x + 0.06, 0.5), (bend + 0.04, drop), (bend + 0.18, drop - 0.1)]
        arms += mirrored(Part("body" if x < 0.4 else "shade", tube(arm, 0.14, 0.055)))
    parts = [
        *arms,
        Part("body", ellipse(0, -0.2, 0.52, 0.54)),
        *_eyes(0.2, 0.0, 0.13),
        Part("ink", ellipse(0, 0.2, 0.07, 0.05)),
    ]
    return Body(parts, (0.0, -0.7), 0.28, (0.4, -0.02), (0.3, 0.3), (0.0, -0.32, 0.4))


def _snail() -> Body:
    spiral = [(0.22 + r * math.cos(a), 0.16 + r * math.sin(a)) for a, r in _spiral()]
    parts = [
        Part("body", tube([(0.86, 0.8), (0.3, 0.74), (-0.3, 0.74), (-0.56, 0.5), (-0.58, 0.0)], 0.06, 0.24)),
        Part("body", polygon((0.9, 0.88), (-0.5, 0.88), (-0.5, 0.62), (0.4, 0.6))),
        Part("shade", ellipse(0.22, 0.16, 0.52, 0.54)),
        Part("light", tube(spiral, 0.05, 0.05)),
        Part("body", tube([(-0.66, -0.06), (-0.78, -0.42)], 0.06, 0.05)),
        Part("body", tube([(-0.46, -0.06), (-0.38, -0.42)], 0.06, 0.05)),
        *_eyes(0.21, -0.48, 0.13, center=-0.58),
        Part("ink", tube([(-0.72, 0.14), (-0.6, 0.2), (-0.48, 0.14)], 0.022, 0.022)),
    ]
    return Body(parts, (0.22, -0.34), 0.3, (0.3, -0.1), (0.56, 0.5), (0.22, 0.16, 0.42))


def _spiral() -> list[tuple[float, float]]:
    return [(0.7 * i, 0.4 * (1 - i / 17)) for i in range(17)]


def _crab() -> Body:
    legs = []
    for y, reach in ((0.42, 0.86), (0.56, 0.8), (0.66, 0.64)):
        legs += mirrored(Part("shade", tube([(0.36, y), (reach - 0.1, y - 0.04), (reach, y + 0.24)], 0.06, 0.03)))
    claw = [
        Part("body", tube([(0.48, 0.2), (0.82, 0.1), (0.8, -0.14)], 0.08, 0.07)),
        Part("body", ellipse(0.78, -0.34, 0.21, 0.25, 12)),
    ]
    notch = Part("gap", polygon((0.76, -0.32), (0.66, -0.68), (0.88, -0.68)))
    parts = [
        *legs,
        *[piece for part in claw for piece in mirrored(part)],
        *mirrored(notch),
        Part("body", ellipse(0, 0.36, 0.58, 0.38)),
        Part("light", ellipse(0, 0.52, 0.34, 0.16)),
        *mirrored(Part("body", tube([(0.34, 0.14), (0.38, -0.16)], 0.05, 0.05))),
        *_eyes(0.38, -0.2, 0.13),
        Part("ink", tube([(-0.16, 0.36), (0, 0.42), (0.16, 0.36)], 0.024, 0.024)),
    ]
    return Body(parts, (0.0, -0.02), 0.24, (0.5, 0.3), (0.5, 0.82), (0.0, 0.38, 0.44), horn_apart=0.16, wing_lift=-1.0)


def _dragon() -> Body:
    spikes = [
        Part("shade", polygon((x - 0.13, y + 0.05), (x + 0.15, y - 0.15), (x + 0.1, y + 0.15)))
        for x, y in ((-0.14, -0.42), (-0.02, -0.18), (0.1, 0.06), (0.3, 0.2), (0.5, 0.34))
    ]
    parts = [
        *spikes,
        Part("shade", polygon((0.32, 0.6), (0.54, 0.6), (0.56, 0.92), (0.3, 0.92))),
        Part("body", tube([(0.2, 0.5), (-0.12, 0.2), (-0.24, -0.12), (-0.3, -0.42)], 0.32, 0.2)),
        Part("body", ellipse(0.2, 0.5, 0.46, 0.32)),
        Part("light", tube([(0.1, 0.68), (-0.2, 0.46), (-0.34, 0.1)], 0.13, 0.07)),
        Part("body", polygon((-0.14, 0.6), (0.12, 0.6), (0.1, 0.93), (-0.18, 0.93))),
        Part("body", ellipse(-0.34, -0.46, 0.32, 0.26)),
        Part("body", ellipse(-0.66, -0.36, 0.28, 0.17, -6)),
        Part("ink", ellipse(-0.84, -0.42, 0.036, 0.036)),
        Part("ink", tube([(-0.88, -0.28), (-0.6, -0.25), (-0.44, -0.32)], 0.02, 0.02)),
        Part("eye", ellipse(-0.36, -0.54, 0.13, 0.145)),
        Part("ink", ellipse(-0.39, -0.52, 0.075, 0.09)),
        Part("eye", ellipse(-0.42, -0.56, 0.028, 0.03)),
    ]
    return Body(parts, (-0.28, -0.68), 0.2, (0.24, 0.22), (0.56, 0.5), (0.22, 0.46, 0.3))


BODIES: dict[str, Callable[[], Body]] = {
    "dragon": _dragon,
    "cat": _cat,
    "rabbit": _rabbit,
    "frog": _frog,
    "elephant": _elephant,
    "octopus": _octopus,
    "snail": _snail,
    "crab": _crab,
}
