"""Readers of picture formats that Pillow itself cannot read, where somebody has installed them."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module


@lru_cache
def register_readers() -> None:
    """Give Pillow the readers of HEIC (pillow-heif) and JPEG XL (pillow-jxl-plugin) that are installed, once."""
    for name, function in (("pillow_heif", "register_heif_opener"), ("pillow_jxl", "")):
        try:
            module = import_module(name)  # that of JPEG XL registers itself
            if function:
                getattr(module, function)()
        except (ImportError, AttributeError, OSError):  # OSError: a library behind it is missing
            continue
