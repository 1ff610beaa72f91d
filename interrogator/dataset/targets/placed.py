"""What pictures are called that the run puts into the folder of the captions."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ...dataset_choices import PathStyle
from ..records import Item
from ..sources.source import Source, is_picture, picture_extensions
from .target import Names, inside

_USUAL = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}


class PlacedNames(Names):
    """Pictures are called as in their source, and are in `folder`.

    A name without the ending of a picture, such as `x.parquet#3`, gets that of its content behind it. Until such a
    picture is there, its name is not known.
    """

    def __init__(
        self, sources: Sequence[Source], folder: Path, style: PathStyle = "relative", base: Path | None = None
    ) -> None:
        """base: what names are relative to; None is the folder."""
        super().__init__(sources, folder if base is None else base, style=style)
        self.folder = Path(os.path.abspath(folder))

    def whole(self, item: Item) -> str:
        path = self.path(item)
        return "" if path is None else str(path)

    @property
    def are_of_one_folder(self) -> bool:
        return True

    def path(self, item: Item, data: bytes = b"") -> Path | None:
        """Where the picture goes; None if nothing can have that name, or its content would tell.

        data: the content, where the name does not say what it is.
        """
        label = self.label(item)
        if is_picture(label.rpartition("/")[2]):
            return inside(self.folder, label)
        if data:
            return inside(self.folder, label + content_extension(data))
        paths = (inside(self.folder, label + extension) for extension in _extensions())
        return next((path for path in paths if path is not None and os.path.lexists(path)), None)


def content_extension(data: bytes) -> str:
    """The usual ending of a picture file with this content; "" if it is no picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                name = image.format or ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    endings = sorted(end for end, known in Image.registered_extensions().items() if known == name)
    return _USUAL.get(name) or next((end for end in endings if end in picture_extensions()), "")


@lru_cache
def _extensions() -> list[str]:
    """All endings, the usual ones first."""
    return [*_USUAL.values(), *sorted(picture_extensions().difference(_USUAL.values()))]
