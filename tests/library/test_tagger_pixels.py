"""How pictures go into each kind of tagger, against code written here from the cards and demos of the models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import timm
import timm.data
import torch
from PIL import Image, ImageColor
from torchvision import transforms

from interrogator.errors import ImageReadError, ModelLoadError
from interrogator.images import open_image
from interrogator.registry import load_tagger
from interrogator.taggers.pixels import Input, Step
from interrogator.taggers.preprocess import read_preprocess

from . import tiny_taggers
from .tiny_taggers import CLIP, HALF, IMAGENET, SIZE, Array

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with soft and hard edges."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 20, 90), (width // 3, height // 4, width // 2, height // 2))
    return image


def white_square(image: Image.Image) -> Image.Image:
    """The space of SmilingWolf's: transparency on white, then a white square around it."""
    canvas = Image.new("RGBA", image.size, (255, 255, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    side = max(image.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(canvas.convert("RGB"), ((side - image.width) // 2, (side - image.height) // 2))
    return square.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def normalized(image: Image.Image, mean: Any, std: Any) -> Array:
    """[1, 3, H, W], as torchvision does it."""
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    found: Array = steps(image)[None].numpy()
    return found


def wd_onnx(image: Image.Image) -> Array:
    return np.asarray(white_square(image), dtype=np.float32)[None, :, :, ::-1]


def wd_timm(image: Image.Image) -> Array:
    return normalized(white_square(image), HALF, HALF)[:, ::-1]


def cl(image: Image.Image) -> Array:
    values = np.asarray(white_square(image), dtype=np.float32).transpose(2, 0, 1)[::-1] / 255
    return ((values - 0.5) / 0.5)[None]


def joytag(image: Image.Image) -> Array:
    return normalized(white_square(image), *CLIP)


def on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def pixai(image: Image.Image) -> Array:
    return normalized(on_white(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR), HALF, HALF)


def camie(image: Image.Image) -> Array:
    image = on_white(image)
    ratio = image.width / image.height
    size = (SIZE, int(SIZE / ratio)) if ratio > 1 else (int(SIZE * ratio), SIZE)
    resized = image.resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (SIZE, SIZE), (124, 116, 104))
    canvas.paste(resized, ((SIZE - size[0]) // 2, (SIZE - size[1]) // 2))
    return normalized(canvas, *IMAGENET)


def anime_timm(image: Image.Image) -> Array:
    image = on_white(image)
    ratio = min(48 / image.width, 48 / image.height)
    size = (round(image.width * ratio), round(image.height * ratio))
    canvas = Image.new("RGB", (48, 48), "white")
    canvas.paste(image.resize(size, Image.Resampling.BILINEAR), ((48 - size[0]) // 2, (48 - size[1]) // 2))
    bicubic = transforms.InterpolationMode.BICUBIC
    return normalized(transforms.CenterCrop(SIZE)(transforms.Resize(SIZE, bicubic)(canvas)), *IMAGENET)


LAYOUTS: dict[str, tuple[Callable[[Path], Path], Callable[[Image.Image], Array], str]] = {
    "wd-onnx": (tiny_taggers.write_wd_onnx, wd_onnx, "output"),
    "wd-timm": (tiny_taggers.write_wd_timm, wd_timm, ""),
    "pixai": (tiny_taggers.write_pixai, pixai, "prediction"),
    "cl": (tiny_taggers.write_cl, cl, "output"),
    "camie": (tiny_taggers.write_camie, camie, "refined_predictions"),
    "joytag": (tiny_taggers.write_joytag, joytag, "output"),
    "anime-timm": (tiny_taggers.write_anime_timm, anime_timm, ""),
}


@pytest.fixture(scope="module", params=list(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def tagger(layout: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tagger(LAYOUTS[layout][0](tmp_path_factory.mktemp(layout)), device="cpu", dtype="fp32")


def expected(tagger: Any, layout: str, image: Image.Image) -> Array:
    """Probabilities of a picture by the plain use of the runtime."""
    _, prepare, output = LAYOUTS[layout]
    pixels = np.ascontiguousarray(prepare(image))
    if tagger.module is not None:
        with torch.inference_mode():
            found: Array = tagger.module(torch.from_numpy(pixels)).sigmoid()[0].numpy()
            return found
    (path,) = tagger.origin.folder.glob("*.onnx")
    (values,) = onnxruntime.InferenceSession(path).run([output], {"input": pixels})
    if layout in ("wd-onnx", "pixai"):
        return np.asarray(values[0])
    return np.asarray(1 / (1 + np.exp(-values[0])))


def transparent(image: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(image.size)
    image = image.copy()
    image.putalpha(alpha)
    return image


PICTURES = {
    "landscape": picture(97, 41),
    "portrait": picture(53, 120, 1),
    "square": picture(64, 64, 2),
    "its size": picture(SIZE, SIZE, 3),
    "small": picture(13, 9, 4),
    "large": picture(1301, 977, 5),
    "odd": picture(33, 31, 6),
    "transparent": transparent(picture(90, 70, 7)),
}


@pytest.mark.parametrize("kind", list(PICTURES))
def test_probabilities_are_those_of_the_documented_preparation(tagger: Any, layout: str, kind: str) -> None:
    (tags,) = tagger.tag([tagger.prepare(PICTURES[kind])])
    found = [tag.probability for tag in tags]
    np.testing.assert_allclose(found, expected(tagger, layout, PICTURES[kind]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_timm_folder_that_crops_is_prepared_as_timm_does(kept: float, tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["pretrained_cfg"] |= {"crop_pct": kept, "interpolation": "bilinear"}
    tiny_taggers.write_json(folder / "config.json", config)
    tagger = load_tagger(folder, device="cpu", dtype="fp32")
    transform = timm.data.create_transform(**timm.data.resolve_data_config(config["pretrained_cfg"]))
    image = on_white(PICTURES["landscape"])
    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    found = tagger.network.pixels.tensor([tagger.prepare(image)], torch.device("cpu"))[0]
    torch.testing.assert_close(found, transform(square)[[2, 1, 0]], rtol=0, atol=1e-6)


def left_and_right(mean: Any = (0, 0, 0), std: Any = (1, 1, 1), bgr: bool = False, scale: float = 1.0) -> Array:
    """What red at the left and blue at the right become: [2, 3]."""
    colors = np.array([RED, BLUE], dtype=np.float32) / scale
    colors = colors[:, ::-1] if bgr else colors
    return (colors - np.array(mean, np.float32)) / np.array(std, np.float32)


ENDS = {
    "wd-onnx": left_and_right(bgr=True),
    "wd-timm": left_and_right(HALF, HALF, bgr=True, scale=255),
    "pixai": left_and_right(HALF, HALF, scale=255),
    "cl": left_and_right(HALF, HALF, bgr=True, scale=255),
    "camie": left_and_right(*IMAGENET, scale=255),
    "joytag": left_and_right(*CLIP, scale=255),
    "anime-timm": left_and_right(*IMAGENET, scale=255),
}


def test_of_a_picture_whose_left_half_is_red_the_channels_are_in_the_order_of_the_model(
    tagger: Any, layout: str
) -> None:
    image = Image.new("RGB", (64, 64), BLUE)
    image.paste(RED, (0, 0, 32, 64))
    first = layout != "wd-onnx"
    pixels = tagger.network.pixels.tensor([tagger.prepare(image)], torch.device("cpu"), first)
    pixels = (pixels.permute(0, 2, 3, 1) if first else pixels)[0].numpy()  # [H, W, 3]
    assert pixels.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(pixels[SIZE // 2, [2, -3]], ENDS[layout], rtol=0, atol=1e-6)


def test_the_order_of_channels_matters_to_these_models(tagger: Any) -> None:
    """Else the test above would prove nothing."""
    red, blue = (tagger.tag([tagger.prepare(Image.new("RGB", (64, 64), color))])[0] for color in (RED, BLUE))
    assert max(abs(one.probability - other.probability) for one, other in zip(red, blue, strict=True)) > 0.01


def test_margins_have_the_color_of_the_model(tagger: Any, layout: str) -> None:
    prepared = tagger.prepare(Image.new("RGB", (64, 16), (0, 128, 0)))
    assert prepared.shape == (SIZE, SIZE, 3) and prepared.dtype == np.uint8
    margin = {"camie": (124, 116, 104), "pixai": (0, 128, 0)}.get(layout, (255, 255, 255))
    assert tuple(prepared[0, 0]) == tuple(prepared[-1, -1]) == margin
    assert tuple(prepared[SIZE // 2, SIZE // 2]) == (0, 128, 0)


def test_what_is_no_picture_or_lies_on_its_side_is_handled_as_everywhere(tagger: Any, tmp_path: Path) -> None:
    upright = picture(90, 40, 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    expected = tagger.prepare(upright)
    assert np.array_equal(tagger.prepare(Image.open(tmp_path / "turned.png")), expected)
    assert np.array_equal(tagger.prepare(open_image(tmp_path / "turned.png")), expected)
    for wrong in (Image.new("RGB", (0, 5)), "a.png"):
        with pytest.raises(ImageReadError):
            tagger.prepare(wrong)


@pytest.mark.parametrize("size", [(4000, 1), (1, 4000), (1, 1)])
def test_a_line_is_a_picture(tagger: Any, size: tuple[int, int]) -> None:
    assert tagger.prepare(Image.new("RGB", size, RED)).shape == (SIZE, SIZE, 3)


def test_a_large_picture_is_never_copied_into_a_square_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    new = Image.new
    image = picture(2000, 1500)
    monkeypatch.setattr(Image, "new", lambda mode, size, *color: made.append(size) or new(mode, size, *color))
    Input((Step("pad"),)).sized(448, 448).prepare(image)
    assert (448, 2000) in made and (2000, 2000) not in made


class TestPreprocessFile:
    def read(self, tmp_path: Path, content: Any) -> Input:
        path = tmp_path / "preprocess.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return read_preprocess(path)

    def test_every_way_to_write_a_size(self, tmp_path: Path) -> None:
        crop = {"type": "center_crop", "size": 30}
        image = picture(80, 60)
        for size, shape in ((40, (40, 53)), ([40], (40, 53)), ([20, 50], (20, 50))):
            found = self.read(tmp_path, [{"type": "resize", "size": size}])
            assert found.prepare(image).shape == (*shape, 3)
        assert self.read(tmp_path, {"stages": [{"type": "resize", "size": 40}, crop]}).prepare(image).shape == (
            30,
            30,
            3,
        )
        padded = {"type": "pad_to_size", "size": [50, 20], "background_color": [1, 2, 3]}
        found = self.read(tmp_path, [padded]).prepare(image)
        assert found.shape == (20, 50, 3) and tuple(found[0, 0]) == (1, 2, 3)

    def test_colors_and_filters_by_name_and_number(self, tmp_path: Path) -> None:
        for color, value in (("black", (0, 0, 0)), ("#102030", (16, 32, 48)), (7, (7, 7, 7))):
            step = {"type": "pad_to_size", "size": 20, "background_color": color, "interpolation": 1}
            found = self.read(tmp_path, [step]).prepare(picture(80, 20))
            assert tuple(found[0, 0]) == value
        assert ImageColor.getrgb("black") == (0, 0, 0)
        for name in ("bicubic", 3):
            found = self.read(tmp_path, [{"type": "resize", "size": [20, 20], "interpolation": name}])
            resized = picture(80, 60).resize((20, 20), Image.Resampling.BICUBIC)
            assert np.array_equal(found.prepare(picture(80, 60)), np.asarray(resized))

    def test_values_are_scaled_only_where_a_step_does_so(self, tmp_path: Path) -> None:
        resize = {"type": "resize", "size": [4, 4]}
        image = [np.full((4, 4, 3), 255, np.uint8)]
        for steps, value in (
            ([resize], 255.0),
            ([resize, {"type": "to_tensor"}], 1.0),
            ([resize, {"type": "to_tensor"}, {"type": "normalize", "mean": 0.5, "std": [0.5, 0.25, 0.5]}], 1.0),
        ):
            pixels = self.read(tmp_path, steps).tensor(image, torch.device("cpu"))
            assert pixels.shape == (1, 3, 4, 4) and float(pixels[0, 0, 0, 0]) == value
        assert float(pixels[0, 1, 0, 0]) == 2.0

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ({"train": []}, "lists no steps under 'stages' or 'test'"),
            ([3], "lists no steps"),
            ([{"type": "to_tensor"}], "says nothing about the size"),
            (
                [{"type": "random_crop", "size": 3}],
                "has a step 'random_crop' that cannot be followed: this version knows",
            ),
            ([{"type": "resize"}], "has a step 'resize' that cannot be followed: it lacks 'size'"),
            ([{"type": "resize", "size": [1, 2, 3]}], "is no size"),
            ([{"type": "resize", "size": 8, "max_size": 9}], "max_size is not supported"),
            ([{"type": "resize", "size": 8, "interpolation": "magic"}], "unknown filter 'magic'"),
            ([{"type": "resize", "size": 8}, {"type": "normalize", "mean": [1, 2]}], "'normalize' that cannot"),
            ([{"type": "pad_to_size", "size": 8, "background_color": "bluish"}], "unknown color"),
        ],
    )
    def test_what_cannot_be_followed_is_an_error_and_never_passed_over(
        self, tmp_path: Path, content: Any, says: str
    ) -> None:
        with pytest.raises(ModelLoadError, match="preprocess.json") as caught:
            self.read(tmp_path, content)
        assert says in str(caught.value) and "\n" not in str(caught.value)
