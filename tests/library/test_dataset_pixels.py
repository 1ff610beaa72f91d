"""Pictures whose pixels are wrong: of one color, or with others under their transparency."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from interrogator.dataset.captioning.pixels import hides_pixels, is_blank
from interrogator.dataset.review.dhash import difference_hash

from .stand_in import StandIn, count, run

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def sprite(hidden: tuple[int, int, int]) -> Image.Image:
    """A red disk with a smooth edge, on nothing."""
    alpha = Image.new("L", (256, 256), 0)
    ImageDraw.Draw(alpha).ellipse((32, 32, 224, 224), fill=255)
    image = Image.new("RGB", (256, 256), hidden)
    image.paste((200, 30, 30), mask=alpha)
    image.putalpha(alpha.resize((128, 128), Image.Resampling.BOX).resize((256, 256), Image.Resampling.BILINEAR))
    return image


def palette() -> Image.Image:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.info["transparency"] = 1
    return image


def grey_of_one_clear_value() -> Image.Image:
    image = Image.new("L", (64, 64), 7)
    image.info["transparency"] = 7
    return image


@pytest.mark.parametrize(
    ("image", "hides"),
    [
        (sprite(BLACK), True),
        (sprite(WHITE), False),
        (Image.new("RGBA", (64, 64), (10, 20, 30, 255)), False),
        (Image.new("RGBA", (64, 64), (10, 20, 30, 240)), False),
        (Image.new("RGBA", (64, 64), (10, 20, 30, 100)), True),
        (Image.new("LA", (64, 64), (0, 0)), True),
        (palette(), True),
        (grey_of_one_clear_value(), True),
        (Image.new("RGB", (64, 64)), False),
    ],
)
def test_hidden_pixels_are_those_that_look_different_without_transparency(image: Image.Image, hides: bool) -> None:
    assert hides_pixels(image) is hides


def test_blank_is_of_one_color_alone() -> None:
    plain = Image.new("RGB", (300, 200), (9, 9, 9))
    assert is_blank(plain, difference_hash(plain))
    plain.putpixel((150, 100), (9, 9, 10))
    assert not is_blank(plain, difference_hash(plain))


def test_both_are_findings(tmp_path: Path) -> None:
    sprite(BLACK).save(tmp_path / "black.png")
    sprite(WHITE).save(tmp_path / "white.webp", lossless=True, exact=True)
    Image.new("RGB", (64, 64), (3, 3, 3)).save(tmp_path / "blank.jpg")
    findings = run(tmp_path).work(StandIn, count).findings
    assert findings is not None
    found = {finding.id: finding for finding in findings.found}
    assert found["blank"].keys == ("blank.jpg",) and found["hidden_pixels"].keys == ("black.png",)
    assert found["blank"].severity == found["hidden_pixels"].severity == "warning"
