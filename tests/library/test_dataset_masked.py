"""--masked: models see only what the mask of a picture shows."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from interrogator.cli import main
from interrogator.dataset import Run, Settings
from interrogator.dataset.captioning.masked import NEUTRAL

from .stand_in import StandIn, count, records, run, texts

RED = (200, 30, 30)


class Corners(StandIn):
    """Says which colors are left and right."""

    def __init__(self) -> None:
        super().__init__()
        self.prepare: Any = {
            "captioner": lambda image: (*image.getpixel((0, 0)), *image.getpixel((image.width - 1, image.height - 1)))
        }


def plain(path: Path, size: tuple[int, int] = (16, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, RED).save(path)


def left_half(path: Path, size: tuple[int, int] = (16, 8), shown: int = 255) -> None:
    """A mask that shows the left half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size, 0)
    mask.paste(shown, (0, 0, size[0] // 2, size[1]))
    mask.save(path)


def seen(source: Path, out: Path | None = None, **values: Any) -> dict[str, str]:
    found = Run([source], Settings(masked=True, **values), out)
    found.work(Corners, count)
    return {record["key"]: record["caption"].rpartition(" in ")[2] or record["reason"] for record in records(found)}


HALF = "-".join(map(str, (*RED, *NEUTRAL)))
WHOLE = "-".join(map(str, (*RED, *RED)))


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("a.png", "a-masklabel.png"),
        ("a.png", "masks/a.png"),
        ("x/a.png", "x/mask/a.webp"),
        ("images/x/a.png", "masks/x/a.png"),
        ("cats/a.png", "cats_mask/a.png"),
    ],
)
def test_what_lies_outside_the_mask_is_neutral(tmp_path: Path, picture: str, mask: str) -> None:
    plain(tmp_path / picture)
    left_half(tmp_path / mask) if mask.endswith("png") else left_half(tmp_path / "m.png")
    if mask.endswith("webp"):
        (tmp_path / mask).parent.mkdir(parents=True)
        Image.open(tmp_path / "m.png").save(tmp_path / mask, lossless=True)
        (tmp_path / "m.png").unlink()
    assert seen(tmp_path) == {picture: HALF}


def test_controls_and_masks_of_others_are_no_masks_of_a_picture(tmp_path: Path) -> None:
    plain(tmp_path / "a.png")
    left_half(tmp_path / "a-condlabel.png")
    left_half(tmp_path / "control" / "a.png")
    left_half(tmp_path / "b-masklabel.png")
    assert seen(tmp_path) == {"a.png": WHOLE}


def test_a_mask_of_another_size_is_laid_over_the_upright_picture(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 16), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: upright it is 16 x 8
    image.save(tmp_path / "a.png", exif=exif)
    left_half(tmp_path / "a-masklabel.png", (32, 16))
    assert seen(tmp_path) == {"a.png": HALF}


def test_transparency_is_a_mask_where_there_is_no_other(tmp_path: Path) -> None:
    image = Image.new("RGBA", (16, 8), (*RED, 255))
    image.paste((0, 0, 0, 0), (8, 0, 16, 8))
    image.save(tmp_path / "a.png")
    assert seen(tmp_path) == {"a.png": HALF}
    assert "no_mask" not in records(Run([tmp_path], Settings(masked=True)))[0]["flags"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"no picture"), "its mask a-masklabel.png is not an image"),
        (lambda path: left_half(path, (8, 16)), "has another shape: 8 x 16 pixels, not 16 x 8"),
        (lambda path: left_half(path, shown=0), "shows nothing"),
        (lambda path: path.symlink_to("nowhere.png"), "its mask a-masklabel.png is a link that leads nowhere"),
    ],
)
def test_a_mask_that_cannot_be_used_fails_its_picture_alone(tmp_path: Path, make: Any, reason: str) -> None:
    plain(tmp_path / "a.png")
    plain(tmp_path / "b.png")
    make(tmp_path / "a-masklabel.png")
    found = seen(tmp_path)
    assert reason in found["a.png"] and found["b.png"] == WHOLE


def test_a_changed_mask_captions_its_picture_anew_and_no_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        plain(tmp_path / f"{name}.png")
        left_half(tmp_path / f"{name}-masklabel.png")
    assert seen(tmp_path) == {"a.png": HALF, "b.png": HALF}
    (tmp_path / "b.txt").write_text("mine", encoding="utf-8")
    Image.new("L", (16, 8), 255).save(tmp_path / "a-masklabel.png")
    assert seen(tmp_path) == {"a.png": WHOLE, "b.png": HALF}
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "mine"
    assert WHOLE in (tmp_path / "a.txt").read_text(encoding="utf-8")
    (tmp_path / "a-masklabel.png").unlink()
    plain(tmp_path / "a.png", (32, 8))
    left_half(tmp_path / "masks" / "a.png", (32, 8))
    assert seen(tmp_path) == {"a.png": HALF, "b.png": HALF}


def test_a_mask_that_was_only_written_again_captions_nothing(tmp_path: Path) -> None:
    plain(tmp_path / "a.png")
    left_half(tmp_path / "a-masklabel.png")
    seen(tmp_path)
    data = (tmp_path / "a-masklabel.png").read_bytes()
    (tmp_path / "a-masklabel.png").write_bytes(data)

    def never() -> StandIn:
        raise AssertionError("nothing changed")

    assert Run([tmp_path], Settings(masked=True)).work(never, count).counts["done"] == 1


def test_masks_in_tars_are_found_in_them(tmp_path: Path) -> None:
    plain(tmp_path / "a.png")
    left_half(tmp_path / "m.png")
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        for name in ("a.png", "masks/a.png", "b-masklabel.png", "b.png"):
            file.add(tmp_path / ("m.png" if "mask" in name else "a.png"), name)
    assert seen(tmp_path / "x.tar", tmp_path / "out") == {"x.tar/a.png": HALF, "x.tar/b.png": HALF}


def test_a_run_without_it_sees_the_whole(tmp_path: Path) -> None:
    plain(tmp_path / "a.png")
    left_half(tmp_path / "a-masklabel.png")
    run(tmp_path).work(Corners, count)
    assert WHOLE in texts(tmp_path)["a.txt"].decode()


@pytest.mark.models
def test_the_command_counts_pictures_without_a_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    for name in "abc":
        plain(folder / f"{name}.png")
    left_half(folder / "a-masklabel.png")
    arguments = ["caption", str(folder), "--preset", "demo", "--device", "cpu", "--masked"]
    assert main(arguments) == 0
    assert "2 pictures have no mask and were captioned whole" in capsys.readouterr().err
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without_mask"] == 2


def test_png_bytes_are_what_they_were() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(buffer, "PNG")
    from interrogator.images import decode_image

    assert decode_image(buffer.getvalue()).getpixel((0, 0)) == (255, 255, 255)
    assert decode_image(buffer.getvalue(), background=NEUTRAL).getpixel((0, 0)) == NEUTRAL
