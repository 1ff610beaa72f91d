"""Wings, horns, a tail, a crown or spots, attached to a body at its anchor points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .shapes import Body, Part, ellipse, polygon, tube


def with_feature(body: Body, feature: str | None) -> list[Part]:
    """The body's parts with the feature's polygons behind or in front of them."""
    if feature is None:
        return body.parts
    behind, before = _FEATURES[feature](body)
    if feature == "spots":
        # Spots are on the skin: over the torso, under the face and everything drawn after it.
        first_face = next(i for i, part in enumerate(body.parts) if part.role in ("eye", "ink"))
        return [*body.parts[:first_face], *before, *body.parts[first_face:]]
    return [*behind, *body.parts, *before]


def _wings(body: Body) -> tuple[list[Part], list[Part]]:
    x, y = body.back
    center = x - abs(x) if body.head_top[0] == 0 else x - 0.1
    wing = polygon(
        (0.0, 0.1),
        (0.3, -0.42),
        (0.62, -0.66),
        (0.72, -0.34),
        (0.64, -0.3),
        (0.7, 0.0),
        (0.54, 0.0),
        (0.5, 0.2),
        (0.2, 0.24),
    )
    bone = tube([(0.02, 0.1), (0.3, -0.24), (0.56, -0.5)], 0.045, 0.02)
    parts = []
    for side in (-1, 1):
        flip = np.array([side, body.wing_lift])
        reach = abs(x) * 0.8 if body.head_top[0] == 0 else 0.12
        at = np.array([center + side * reach, y])
        parts += [Part("feature", wing * flip + at), Part("feature_shade", bone * flip + at)]
    if body.head_top[0] == 0:
        return parts, []
    # Seen from the side the near wing lies over the back.
    return parts[:2], parts[2:]


def _horns(body: Body) -> tuple[list[Part], list[Part]]:
    x, y = body.head_top
    parts = []
    for side in (-1, 1):
        at = x + side * body.horn_apart
        horn = tube([(at, y + 0.12), (at + side * 0.2, y - 0.16), (at + side * 0.16, y - 0.56)], 0.17, 0.03)
        parts.append(Part("feature", horn))
    return [], parts


def _tail(body: Body) -> tuple[list[Part], list[Part]]:
    x, y = body.rump
    curve = [(x - 0.12, y + 0.02), (x + 0.28, y + 0.14), (x + 0.46, y - 0.16), (x + 0.36, y - 0.5)]
    tip_x, tip_y = curve[-1]
    tip = polygon(
        (tip_x - 0.22, tip_y + 0.08), (tip_x - 0.06, tip_y - 0.28), (tip_x + 0.2, tip_y - 0.02), (tip_x, tip_y)
    )
    return [Part("feature", tube(curve, 0.13, 0.09)), Part("feature", tip)], []


def _crown(body: Body) -> tuple[list[Part], list[Part]]:
    x, y = body.head_top
    w = max(0.24, body.head_width * 1.05)
    crown = polygon(
        (x - w, y + 0.1),
        (x - w * 1.12, y - 0.34),
        (x - w * 0.5, y - 0.1),
        (x, y - 0.42),
        (x + w * 0.5, y - 0.1),
        (x + w * 1.12, y - 0.34),
        (x + w, y + 0.1),
    )
    band = polygon((x - w, y + 0.1), (x - w, y + 0.0), (x + w, y + 0.0), (x + w, y + 0.1))
    return [], [Part("feature", crown), Part("feature_shade", band)]


def _spots(body: Body) -> tuple[list[Part], list[Part]]:
    x, y, r = body.belly
    patches = (
        (-0.62, -0.28, 0.3),
        (0.62, -0.34, 0.3),
        (0.0, 0.12, 0.32),
        (-0.58, 0.6, 0.27),
        (0.58, 0.58, 0.27),
        (0.02, -0.72, 0.26),
    )
    return [], [Part("feature", ellipse(x + r * dx, y + r * dy, r * s, r * s)) for dx, dy, s in patches]


_FEATURES: dict[str, Callable[[Body], tuple[list[Part], list[Part]]]] = {
    "wings": _wings,
    "horns": _horns,
    "tail": _tail,
    "crown": _crown,
    "spots": _spots,
}
