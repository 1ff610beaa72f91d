"""This folder is a ComfyUI custom-node pack as well as a Python project.

ComfyUI imports this file under the folder's path as its name; the nodes and the library beside it are reached
relatively, and only when ComfyUI asks for the nodes.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """The extension that ComfyUI loads (V3 schema)."""
    from .nodes import InterrogatorExtension

    return InterrogatorExtension()
