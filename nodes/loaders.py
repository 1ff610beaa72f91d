"""Load Captioner, Load Tagger, Load CLIP Encoder, Load Phrase Banks: the parts of Interrogate (advanced)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from comfy_api.latest import io

from .. import interrogator
from ..interrogator.banks import ARTISTS
from . import host, models
from .own_phrases import OWN, own_bank
from .sockets import Banks, Captioner, Encoder, Tagger
from .widgets import FREE, memory_input

if TYPE_CHECKING:
    from ..interrogator.catalog import Role

_PRECISION_TOOLTIP = (
    "Number format. auto: what ComfyUI would choose for this device, fp16 or bf16; fp32 on a CPU without bf16"
    " instructions."
)
_DOWNLOAD_TOOLTIP = (
    "Download the model, if it is missing, once from the Hugging Face hub into models/interrogator. If off, the"
    " network is never used."
)


def _loading_inputs() -> list[Any]:
    """The inputs after `model`, which all loaders of models share; `_loaded` takes their values."""
    return [
        io.Combo.Input(
            "precision", options=["auto", "fp32", "bf16", "fp16"], default="auto", tooltip=_PRECISION_TOOLTIP
        ),
        io.Boolean.Input("download", default=False, tooltip=_DOWNLOAD_TOOLTIP),
        memory_input(),
    ]


def _loaded(
    role: Role, model: str, precision: str, download: bool, node_id: str | None, memory: str | None
) -> io.NodeOutput:  # fmt: skip
    return io.NodeOutput(
        models.load(role, model, precision=precision, download=download, node_id=node_id, frees=memory == FREE)
    )


class InterrogatorLoadCaptioner(io.ComfyNode):
    """A captioner from disk or the catalog."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorLoadCaptioner",
            display_name="Load Captioner",
            category="interrogator/loaders",
            description="Loads a model that writes captions.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "model", options=models.names("captioner"), default="Salesforce/blip-image-captioning-large",
                    tooltip="Known models, and models found in models/interrogator/captioners, blip, LLM, florence2,"
                    " LLavacheckpoints and clip_interrogator. demo: a tiny built-in model that knows only cartoon"
                    " creatures.",
                ),
                *_loading_inputs(),
            ],
            outputs=[
                Captioner.Output(
                    "captioner", display_name="captioner",
                    tooltip="For Caption Image, Interrogate Image and Interrogate (advanced).",
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: str, precision: str, download: bool, memory: str | None = None) -> io.NodeOutput:
        return _loaded("captioner", model, precision, download, cls.hidden.unique_id, memory)


class InterrogatorLoadTagger(io.ComfyNode):
    """A tagger from disk or the catalog."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorLoadTagger",
            display_name="Load Tagger",
            category="interrogator/loaders",
            description="Loads a model that tags images with words from a fixed list.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "model", options=models.names("tagger"), default="SmilingWolf/wd-eva02-large-tagger-v3",
                    tooltip="Known models, and models found in models/interrogator/taggers, wd14_tagger and the folder"
                    " of ComfyUI-WD14-Tagger. demo: a tiny built-in model that knows only cartoon creatures.",
                ),
                *_loading_inputs(),
            ],
            outputs=[
                Tagger.Output(
                    "tagger", display_name="tagger",
                    tooltip="For Tag Image, Interrogate Image and Interrogate (advanced).",
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: str, precision: str, download: bool, memory: str | None = None) -> io.NodeOutput:
        return _loaded("tagger", model, precision, download, cls.hidden.unique_id, memory)


class InterrogatorLoadEncoder(io.ComfyNode):
    """An encoder from disk or the catalog."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorLoadEncoder",
            display_name="Load CLIP Encoder",
            category="interrogator/loaders",
            description="Loads a CLIP model that compares images with texts.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "model", options=models.names("encoder"), default="ViT-L-14/openai",
                    tooltip="ViT-L-14/openai for Stable Diffusion 1.x, ViT-H-14 for 2.x, ViT-bigG-14 for XL; also"
                    " models found in models/interrogator/encoders. demo: a tiny built-in model.",
                ),
                *_loading_inputs(),
            ],
            outputs=[
                Encoder.Output("encoder", display_name="encoder", tooltip="For every node with an encoder input.")
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: str, precision: str, download: bool, memory: str | None = None) -> io.NodeOutput:
        return _loaded("encoder", model, precision, download, cls.hidden.unique_id, memory)


class InterrogatorLoadBanks(io.ComfyNode):
    """Which phrases a prompt may be made of."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorLoadBanks",
            display_name="Load Phrase Banks",
            category="interrogator/loaders",
            description="Chooses the phrases for prompts: built-in banks, lines you type, your own lists.",
            inputs=[
                io.Combo.Input(
                    "artists", options=list(ARTISTS), default="all",
                    tooltip="Which artists prompts may name: all, long_dead (dead for at least 70 years) or none.",
                ),
                io.Boolean.Input("mediums", default=True, tooltip="`an oil painting`, `a charcoal drawing` …"),
                io.Boolean.Input("movements", default=True, tooltip="`art nouveau`, `bauhaus` …"),
                io.Boolean.Input("sites", default=True, tooltip="`trending on artstation` …"),
                io.String.Input(
                    "flavors", default="all",
                    tooltip="all, none, or names of flavor banks, separated by commas: camera_and_lens, color,"
                    " composition, detail_and_quality, era, figure_and_clothing, genre_and_aesthetic, lighting,"
                    " mood, nature_and_weather, photography, rendering, setting, technique, texture_and_material.",
                ),
                io.Boolean.Input(
                    "negative", default=True, tooltip="Phrases for negative prompts, in addition to flavors."
                ),
                io.String.Input(
                    "lines", default="", multiline=True, placeholder="your own phrases, one per line",
                    tooltip="Your own phrases, one per line. They fill the same slot as flavors.",
                ),
                io.String.Input(
                    "file", default="", placeholder="my_list.txt",
                    tooltip="Your own list, or a folder of lists, in models/interrogator/banks or ComfyUI's input"
                    " folder: one phrase per line.",
                ),
                io.String.Input(
                    "block", default="", multiline=True, placeholder="words never to use, one per line",
                    tooltip="Words or phrases, one per line. Phrases that contain one of them are removed from every"
                    " bank.",
                ),
                io.String.Input(
                    "quota", default="", placeholder="artists: 1, lighting: 2",
                    tooltip="Maximum number of phrases a prompt takes from a bank; separate entries with commas. A"
                    " role such as flavors applies to each of its banks.",
                ),
            ],
            outputs=[Banks.Output("banks", display_name="banks", tooltip="For every node with a banks input.")],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, **_: Any) -> Any:
        """Changes when a list is edited; everything else is in the inputs."""
        try:
            path = _list_path(file or "")
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            states = [(each.name, os.stat(each)) for each in files]
        except (OSError, ValueError):
            return ""
        return [f"{name} {state.st_mtime_ns} {state.st_size}" for name, state in states]

    @classmethod
    def execute(
        cls, artists: Literal["all", "long_dead", "none"], mediums: bool, movements: bool, sites: bool, flavors: str,
        negative: bool, lines: str, file: str, block: str, quota: str,
    ) -> io.NodeOutput:  # fmt: skip
        switches = {
            "artists": artists != "none", "mediums": mediums, "movements": movements, "sites": sites,
            "negative": negative,
        }  # fmt: skip
        names: list[str | Path] = [name for name, is_on in switches.items() if is_on]
        names += _flavor_names(flavors)
        if file.strip():
            names.append(_list_path(file))
        own = own_bank(lines)
        blocked = [line.strip() for line in block.splitlines() if line.strip()]
        limits = _limits(quota)

        banks = []
        if names:
            known = {name: most for name, most in limits.items() if name != OWN}
            banks = interrogator.load_banks(names, blocked, known, artists)
        own = own.without(blocked).limited(limits.get(OWN, limits.get("flavors")))
        if own.phrases:
            banks.append(own)
        if not banks:
            raise ValueError("There are no phrases: switch on a bank, type lines, or name a file.")
        return io.NodeOutput(banks)


def _flavor_names(text: str) -> list[str | Path]:
    names = [name.strip() for name in text.replace("\n", ",").split(",") if name.strip()]
    if names == ["none"]:
        return []
    return ["flavors"] if names == ["all"] else list(names)


def _list_path(file: str) -> Path:
    """The list or folder of lists that a node names, in one of the folders that nodes may read.

    Raises:
        ValueError: it does not exist, or is elsewhere: a graph from the web must not read any file on this machine.
    """
    name = file.strip()
    folders = [folder.resolve() for folder in host.list_folders()]
    where = " or ".join(map(str, folders))
    outside = False
    for folder in folders:
        try:
            path = (folder / name).resolve()
            if not path.is_relative_to(folder):
                outside = True
            elif path != folder and path.exists():
                return path
        except (OSError, ValueError):  # no name that a file can have
            continue
    if outside:
        raise ValueError(f"{name!r} is outside the folders for lists: put it into {where}.")
    raise ValueError(f"There is no list {name[:200]!r}: put it into {where}.")


def _limits(text: str) -> dict[str, int]:
    """`artists: 1, lighting: 2` as a number per bank."""
    limits = {}
    for entry in text.replace("\n", ",").split(","):
        if not entry.strip():
            continue
        name, _, number = entry.partition(":")
        if not number.strip().isdecimal():
            raise ValueError(
                f"Invalid quota {entry.strip()!r}: write banks and numbers, such as artists: 1, lighting: 2."
            )
        limits[name.strip()] = int(number)
    return limits
