"""Any file is an upright RGB picture or a named error; checked on real files of every kind Pillow writes."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from interrogator import images
from interrogator.errors import ImageReadError
from interrogator.images import decode_image, open_image, to_rgb

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in pixel) for pixel in np.asarray(image).reshape(-1, 3)]


def encoded(image: Image.Image, fmt: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def save(tmp_path: Path, data: bytes, name: str = "picture") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(color: int, depth: int, rows: bytes, size: tuple[int, int], *extra: bytes) -> bytes:
    """A PNG written by hand, for the kinds that Pillow cannot write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def arrow() -> Image.Image:
    """32x16, left half red, bottom right quarter blue: every turn of it looks different."""
    image = Image.new("RGB", (32, 16), WHITE)
    image.paste(RED, (0, 0, 16, 16))
    image.paste((0, 0, 255), (16, 8, 32, 16))
    return image


INVERSE = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that a camera's turn amounts to


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_turn_is_applied_once(tmp_path: Path, fmt: str, orientation: int) -> None:
    stored = arrow()
    if INVERSE[orientation] is not None:
        stored = stored.transpose(Image.Transpose(INVERSE[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if fmt in ("JPEG", "MPO") else {}
    if fmt == "WEBP":
        options = {"lossless": True}
    image = open_image(save(tmp_path, encoded(stored, fmt, exif=exif, **options)))
    assert image.mode == "RGB" and image.size == (32, 16)
    assert np.abs(np.asarray(image).astype(int) - np.asarray(arrow()).astype(int)).mean() < 12
    assert to_rgb(image).tobytes() == image.tobytes(), "a second pass must not turn it again"


def test_an_odd_or_damaged_orientation_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert open_image(save(tmp_path, encoded(arrow(), "PNG", exif=exif))).size == (32, 16)
    data = encoded(arrow(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40)
    assert open_image(save(tmp_path, data)).size == (32, 16)


def faded(mode: str) -> Image.Image:
    """Two pixels: fully clear over a hidden colour, and opaque black."""
    rgba = Image.new("RGBA", (2, 1))
    rgba.putpixel((0, 0), (200, 0, 0, 0))
    rgba.putpixel((1, 0), (0, 0, 0, 255))
    if mode in ("La", "RGBa"):
        return rgba.convert("LA" if mode == "La" else "RGBA").convert(mode)
    return rgba.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "La", "PA", "RGBa"])
def test_clear_pixels_of_every_alpha_mode_are_white(mode: str) -> None:
    assert pixels(to_rgb(faded(mode))) == [WHITE, BLACK]


def test_half_clear_pixels_are_mixed_with_white() -> None:
    assert pixels(to_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 128)))) == [(255, 127, 127)]


def test_transparency_of_palette_grey_and_colour_files_is_white(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 0])
    palette.putpixel((1, 0), 1)
    for fmt in ("PNG", "GIF"):
        assert pixels(open_image(save(tmp_path, encoded(palette, fmt, transparency=0)))) == [WHITE, BLACK]
    assert pixels(open_image(save(tmp_path, encoded(palette, "PNG", transparency=b"\x00\xff")))) == [WHITE, BLACK]

    grey = Image.new("L", (2, 1))
    grey.putpixel((0, 0), 9)
    assert pixels(open_image(save(tmp_path, encoded(grey, "PNG", transparency=9)))) == [WHITE, BLACK]
    color = Image.new("RGB", (2, 1))
    color.putpixel((0, 0), (1, 2, 3))
    assert pixels(open_image(save(tmp_path, encoded(color, "PNG", transparency=(1, 2, 3))))) == [WHITE, BLACK]


def test_transparency_of_other_bit_depths_is_white(tmp_path: Path) -> None:
    clear = struct.pack(">H", 1000)
    data = png(0, 16, b"\0" + struct.pack(">2H", 1000, 0), (2, 1), chunk(b"tRNS", clear))
    assert pixels(open_image(save(tmp_path, data))) == [WHITE, BLACK]
    data = png(0, 2, b"\0" + bytes([0b01000000]), (2, 1), chunk(b"tRNS", struct.pack(">H", 1)))
    assert pixels(open_image(save(tmp_path, data))) == [WHITE, BLACK]
    data = png(0, 4, b"\0" + bytes([0x30]), (2, 1), chunk(b"tRNS", struct.pack(">H", 3)))
    assert pixels(open_image(save(tmp_path, data))) == [WHITE, BLACK]
    rows = b"\0" + struct.pack(">6H", 0x1234, 0x2345, 0x3456, 0, 0, 0)
    data = png(2, 16, rows, (2, 1), chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x2345, 0x3456)))
    assert pixels(open_image(save(tmp_path, data))) == [WHITE, BLACK]
    data = png(4, 16, b"\0" + struct.pack(">4H", 1000, 0, 0, 65535), (2, 1))
    assert pixels(open_image(save(tmp_path, data))) == [WHITE, BLACK]


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I"])
def test_sixteen_bit_grey_is_scaled_not_clipped(mode: str) -> None:
    image = Image.new(mode, (4, 1))
    for x, value in enumerate((0, 30000, 257, 65535)):
        image.putpixel((x, 0), value)
    assert [pixel[0] for pixel in pixels(to_rgb(image))] == [0, 117, 1, 255]


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_a_dark_sixteen_bit_file_stays_dark(tmp_path: Path, fmt: str) -> None:
    image = Image.fromarray(np.full((2, 2), 250, dtype=np.uint16))
    assert pixels(open_image(save(tmp_path, encoded(image, fmt))))[0] == (1, 1, 1)


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("F", (0.0, 0.5, 1.0), (0, 128, 255)),
        ("F", (0.0, 128.0, 255.0), (0, 128, 255)),
        ("F", (0.0, 32768.0, 65535.0), (0, 128, 255)),
        ("F", (-1.0, 0.0, 1.0), (0, 128, 255)),
        ("F", (float("nan"), 0.5, float("inf")), (0, 128, 255)),
        ("F", (float("nan"),) * 3, (0, 0, 0)),
        ("I", (0, 100, 255), (0, 100, 255)),
        ("I", (0, 500_000, 1_000_000), (0, 128, 255)),
        ("I", (-10, -10, -10), (0, 0, 0)),
    ],
)
def test_float_and_integer_grey_uses_its_range(mode: str, values: tuple[Any, ...], expected: tuple[int, ...]) -> None:
    kind = np.float32 if mode == "F" else np.int32
    image = Image.fromarray(np.array([values], dtype=kind))
    assert image.mode == mode
    assert tuple(pixel[0] for pixel in pixels(to_rgb(image))) == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_other_modes_keep_their_colours(mode: str) -> None:
    gradient = Image.linear_gradient("L").convert("RGB")
    out = to_rgb(gradient.convert(mode))
    assert out.mode == "RGB" and out.size == gradient.size
    off = np.abs(np.asarray(out).astype(int) - np.asarray(gradient).astype(int)).mean()
    assert off < {"1": 200, "P": 20}.get(mode, 6)  # few colours: dithered


def test_lab_is_turned_into_srgb() -> None:
    profile, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.new("RGB", (4, 4), (200, 80, 40)), profile, lab, outputMode="LAB")
    assert image is not None and image.mode == "LAB"
    assert np.abs(np.asarray(to_rgb(image)).astype(int) - (200, 80, 40)).max() <= 3


def test_an_adobe_cmyk_jpeg_is_not_a_negative(tmp_path: Path) -> None:
    # Pillow writes CMYK JPEGs the Adobe way: inverted, with the APP14 marker that says so.
    data = encoded(Image.new("RGB", (16, 16), (250, 20, 20)).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(np.asarray(open_image(save(tmp_path, data))).astype(int) - (250, 20, 20)).max() <= 6


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, fmt: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, (0, 0, 255))]
    data = encoded(frames[0], fmt, save_all=True, append_images=frames[1:])
    got = np.asarray(open_image(save(tmp_path, data))).astype(int)
    assert np.abs(got - RED).max() <= 4


def test_what_comes_back_is_a_copy_without_metadata() -> None:
    image = Image.new("RGB", (2, 2), RED)
    image.info["comment"] = "kept"
    out = to_rgb(image)
    out.putpixel((0, 0), WHITE)
    assert image.getpixel((0, 0)) == RED and image.info == {"comment": "kept"}
    assert out.info == {}


def test_files_are_closed_again(tmp_path: Path) -> None:
    path = save(tmp_path, encoded(arrow(), "PNG"))
    bad = save(tmp_path, encoded(arrow(), "PNG")[:60], "bad")
    before = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
    for _ in range(20):
        open_image(path)
        with pytest.raises(ImageReadError):
            open_image(bad)
    assert not before or len(os.listdir("/dev/fd")) <= before


# --- errors ----------------------------------------------------------------------------------------------------------


def refusal(path: str | Path) -> str:
    with pytest.raises(ImageReadError) as caught:
        open_image(path)
    assert caught.value.path == str(path)
    assert str(caught.value) == f"{path}: {caught.value.reason}" and "\n" not in caught.value.reason
    return caught.value.reason


def test_what_is_no_picture_file_is_named_with_the_reason(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.png") == "no such file"
    assert refusal(tmp_path) == "is a folder"
    assert refusal(save(tmp_path, b"")) == "is empty"
    assert "not an image in a format" in refusal(save(tmp_path, b"just text"))
    assert "cannot be opened" in refusal("zero\0byte.png")
    assert "cannot be opened" in refusal(tmp_path / ("x" * 4000))
    assert "damaged" in refusal(save(tmp_path, encoded(arrow(), "PNG")[:70]))
    assert refusal(
        save(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    ).startswith("is EPS")


@pytest.mark.skipif(os.name == "nt", reason="pipes, sockets and devices are files on Unix only")
def test_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "is a pipe, not a file"
    assert refusal("/dev/zero") == "is a device, not a file"
    with socket.socket(socket.AF_UNIX) as listener:
        short = Path(os.path.relpath(tmp_path / "s"))  # the name of a socket may have 108 bytes only
        listener.bind(str(short))
        assert refusal(short) == "is a socket, not a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_named(tmp_path: Path) -> None:
    path = save(tmp_path, encoded(arrow(), "PNG"))
    path.chmod(0)
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_texts_and_profiles_that_unpack_to_megabytes_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    """A workflow, a profile of 2 MB, or a bomb: no pixel depends on it."""
    head = b"note\0\x01\0\0\0" if kind == b"iTXt" else b"note\0\0"
    long = chunk(kind, head + zlib.compress(b"x" * 20_000_000))
    assert pixels(open_image(save(tmp_path, png(0, 8, b"\0\x07", (1, 1), long)))) == [(7, 7, 7)]
    assert pixels(decode_image(png(0, 8, b"\0\x07", (1, 1), long, long))) == [(7, 7, 7)]


def test_a_picture_with_long_texts_keeps_its_turn(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><a tiff:Orientation="6"/>'
    turned = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp + b"</x:xmpmeta>")
    bomb = chunk(b"zTXt", b"note\0\0" + zlib.compress(b"x" * 20_000_000))
    for extra in ([turned], [turned, bomb], [bomb, turned]):
        assert open_image(save(tmp_path, png(0, 8, b"\0\1\2", (2, 1), *extra))).size == (1, 2)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I;16B", "I", "F", "LAB", "PA"])
def test_pictures_are_converted_in_bands_as_in_one(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = _noise(mode, (13, 37))
    whole = to_rgb(image)
    for pixels_at_once in (1, 13 * 5, 13 * 36):
        monkeypatch.setattr(images, "_BAND_PIXELS", pixels_at_once)
        assert to_rgb(image).tobytes() == whole.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "F"])
@given(size=st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_a_large_picture_is_shrunk_as_it_is_read(mode: str, size: tuple[int, int]) -> None:
    image = _noise(mode, size)
    with pytest.MonkeyPatch.context() as patch:
        whole = to_rgb(image)
        patch.setattr(images, "_KEPT_PIXELS", 100)
        patch.setattr(images, "_KEPT_SIDE", 40)
        patch.setattr(images, "_BAND_PIXELS", 50)
        shrunk = to_rgb(image)
    assert shrunk.width <= whole.width and shrunk.height <= whole.height
    if shrunk.size == whole.size:
        assert shrunk.tobytes() == whole.tobytes()
    else:
        assert shrunk.width * shrunk.height < 540 and max(shrunk.size) <= 80
        means = [np.asarray(each).astype(float).mean() for each in (shrunk, whole)]
        assert abs(means[0] - means[1]) < 16  # the last row and column weigh as much as whole ones


def test_pictures_of_cameras_are_read_as_they_are() -> None:
    assert {images.reduction(size) for size in [(6000, 4000), (7008, 4672), (16383, 2000)]} == {1}
    assert images.reduction((13300, 13300)) == 4
    assert images.reduction((1_000_000, 1)) == 122


@pytest.mark.parametrize("size", [(1_000_000, 1), (30_000, 1), (1, 5000), (900, 20)])
def test_extreme_shapes_are_padded_to_what_a_square_crop_can_enlarge(tmp_path: Path, size: tuple[int, int]) -> None:
    image = open_image(save(tmp_path, encoded(Image.new("L", size), "PNG")))
    assert max(image.size) <= 32 * (min(image.size) + 1) and max(image.size) < 16384
    colors = image.getcolors()
    assert colors and {color for _, color in colors} == {WHITE, BLACK}
    assert to_rgb(image).tobytes() == image.tobytes(), "a second pass must not pad it again"


def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, encoded(Image.new("RGB", (8200, 4200), RED), "JPEG", exif=exif))
    seen: list[tuple[tuple[int, int], tuple[int, int]]] = []
    image = decode_image(path.read_bytes(), seen=lambda original, size: seen.append((original.size, size)))
    assert image.size == (2100, 4100)
    assert seen == [((4100, 2100), (4200, 8200))], "decoded at a half, and told at its full size"
    assert np.abs(np.asarray(image).astype(int) - RED).max() < 4


def test_a_large_jpeg_that_somebody_opened_keeps_its_size(tmp_path: Path) -> None:
    path = save(tmp_path, encoded(Image.new("RGB", (8200, 4200), RED), "JPEG"))
    with Image.open(path) as opened:
        assert to_rgb(opened).size == (4100, 2100)
        assert opened.size == (8200, 4200)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads the most memory held from /proc")
@pytest.mark.parametrize("mode", ["I;16", "F", "RGBA"])
def test_a_large_picture_takes_little_more_memory_than_its_pixels(tmp_path: Path, mode: str) -> None:
    """44 million pixels, of 2 or 4 bytes; all at once, their conversion would take 700 MB and more."""
    path = tmp_path / "large.tif"
    Image.new(mode, (9000, 4900)).save(path, compression="tiff_deflate")
    code = """if True:
        import sys
        from interrogator.images import decode_image, open_image
        def peak():
            return next(int(line.split()[1]) / 1000 for line in open("/proc/self/status") if line.startswith("VmHWM"))
        from PIL import ImageFile, TiffImagePlugin
        before = peak()
        open_image(sys.argv[1])
        print(peak() - before)
    """
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 44.1 * (2 if mode == "I;16" else 4) + 100


def test_large_pictures_are_read_quietly_and_bombs_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    path = save(tmp_path, encoded(Image.new("L", (100, 15)), "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert open_image(path).size == (100, 15)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    assert refusal(path) == "is too large: more than 1,400 pixels"
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_image(path).size == (100, 15)


def test_pictures_in_memory_are_refused_by_name() -> None:
    with pytest.raises(ImageReadError, match="frame 3: has no pixels"):
        to_rgb(Image.new("RGB", (0, 4)), "frame 3")
    with pytest.raises(ImageReadError, match="image: is a ndarray, not a PIL image"):
        to_rgb(np.zeros((2, 2, 3)))  # type: ignore[arg-type]


def test_a_lazily_opened_damaged_picture_in_memory_is_refused(tmp_path: Path) -> None:
    with Image.open(io.BytesIO(encoded(Image.effect_noise((64, 64), 50), "PNG")[:600])) as image:
        with pytest.raises(ImageReadError, match="damaged"):
            to_rgb(image)


def test_importing_this_module_loads_no_torch() -> None:
    code = "import sys, interrogator.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _noise(mode: str, size: tuple[int, int]) -> Image.Image:
    """A picture of random pixels of any mode."""
    rng = np.random.default_rng(0)
    if mode in ("I;16", "I;16B", "I", "F"):
        kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}[mode]
        values = (rng.random(size[::-1]) * 60_000).astype(kind)
        return Image.frombytes(mode, size, values.tobytes())
    if mode in ("P", "PA", "1"):
        return Image.effect_noise(size, 90).convert("RGB").convert("P").convert(mode)
    bands = Image.new(mode, (1, 1)).getbands()
    return Image.frombytes(mode, size, rng.integers(0, 256, (*size, len(bands)), dtype=np.uint8).tobytes())


def _samples() -> list[bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    with_exif = [encoded(noise, fmt, exif=exif) for fmt in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")]
    plain = [encoded(noise, fmt) for fmt in ("GIF", "BMP", "ICO", "TGA", "PPM", "QOI", "PCX", "SGI", "JPEG2000")]
    odd = [encoded(noise.convert("RGBA"), "DDS"), encoded(noise.convert("P"), "BLP")]
    odd += [encoded(noise, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
    return with_exif + plain + odd


def _must_be_picture_or_named_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        image = open_image(path)
    except ImageReadError as error:
        assert error.reason
    else:
        assert image.mode == "RGB" and 0 not in image.size


FUZZ = settings(max_examples=300, derandomize=True)


@FUZZ
@given(data=st.binary(max_size=300))
@example(data=b"BM")
@example(data=b"P5\n1 1\n65535\n\0")
def test_any_bytes_are_a_picture_or_a_named_error(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # keeps the test small, not the rule
    _must_be_picture_or_named_error(tmp_path / "any", data)


@FUZZ
@given(
    sample=st.sampled_from(_samples()),
    cut=st.integers(0, 2000),
    changes=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=8),
)
def test_damaged_pictures_are_read_or_named(
    sample: bytes, cut: int, changes: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    data = bytearray(sample[: cut or None])
    for at, value in changes:
        data[at % len(data)] = value
    _must_be_picture_or_named_error(tmp_path / "damaged", bytes(data))
