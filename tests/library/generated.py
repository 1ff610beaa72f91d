"""Pictures with their prompts in their metadata, as generators write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

MODEL, MAKE, DESCRIPTION, EXIF_IFD, USER_COMMENT = 0x0110, 0x010F, 0x010E, 0x8769, 0x9286

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of a graph as ComfyUI executes it; a link is ["7", 0]."""
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def text_to_image(prompt: str, negative: str = "blurry, ugly") -> Graph:
    """ComfyUI's default graph."""
    return {
        "3": node("KSampler", seed=1, steps=20, cfg=8.0, model=["4", 0], positive=["6", 0], negative=["7", 0],
                  latent_image=["5", 0]),
        "4": node("CheckpointLoaderSimple", ckpt_name="v1-5.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
        "6": node("CLIPTextEncode", text=prompt, clip=["4", 1]),
        "7": node("CLIPTextEncode", text=negative, clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }  # fmt: skip


def workflow(prompt: str) -> dict[str, Any]:
    """The same on the canvas, without the names of widgets, as older front ends write it."""
    return {
        "nodes": [
            {"id": 3, "type": "KSampler", "mode": 0, "widgets_values": [1, "randomize", 20, 8, "euler", "normal", 1],
             "inputs": [{"name": "model", "link": 1}, {"name": "positive", "link": 4}, {"name": "negative", "link": 6},
                        {"name": "latent_image", "link": 2}]},
            {"id": 6, "type": "CLIPTextEncode", "mode": 0, "widgets_values": [prompt],
             "inputs": [{"name": "clip", "link": 3}]},
            {"id": 7, "type": "CLIPTextEncode", "mode": 0, "widgets_values": ["blurry"],
             "inputs": [{"name": "clip", "link": 5}]},
            {"id": 8, "type": "VAEDecode", "mode": 0, "inputs": [{"name": "samples", "link": 7}]},
            {"id": 9, "type": "SaveImage", "mode": 0, "widgets_values": ["x"],
             "inputs": [{"name": "images", "link": 9}]},
        ],
        "links": [[4, 6, 0, 3, 1, "CONDITIONING"], [6, 7, 0, 3, 2, "CONDITIONING"], [7, 3, 0, 8, 0, "LATENT"],
                  [9, 8, 0, 9, 0, "IMAGE"]],
    }  # fmt: skip


def parameters(prompt: str, negative: str = "blurry, ugly") -> str:
    """The text that A1111 and Forge write."""
    settings = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: 6ce0161689, Model: v1-5"
    return f"{prompt}\nNegative prompt: {negative}\n{settings}"


def save_png(path: Path, image: Image.Image, chunks: Mapping[str, str]) -> Path:
    """A PNG with text chunks."""
    info = PngInfo()
    for name, text in chunks.items():
        info.add_text(name, text)
    image.save(path, pnginfo=info)
    return path


def save_exif(path: Path, image: Image.Image, tags: Mapping[int, str], comment: bytes | None = None) -> Path:
    """A JPEG or WebP with EXIF tags, and with a user comment."""
    exif = Image.Exif()
    for tag, text in tags.items():
        exif[tag] = text
    if comment is not None:
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    image.save(path, exif=exif)
    return path


def user_comment(text: str, order: str = "utf-16-be") -> bytes:
    """A user comment in UTF-16; A1111 writes the big-endian one."""
    return b"UNICODE\x00" + text.encode(order)
