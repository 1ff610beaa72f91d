"""comfy_api.latest: what nodes are declared with. Knows the keywords of 0.8.0 and raises TypeError for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any

_OF_INPUTS: Mapping[str, Any] = MappingProxyType(
    {"display_name": None, "optional": False, "tooltip": None, "lazy": None, "extra_dict": None, "raw_link": None}
)
_OF_WIDGETS: Mapping[str, Any] = MappingProxyType(
    {**_OF_INPUTS, "default": None, "socketless": None, "force_input": None}
)
_OF_NUMBERS: Mapping[str, Any] = MappingProxyType(
    {**_OF_WIDGETS, "min": None, "max": None, "step": None, "display_mode": None}
)
_OF_COMBOS: Mapping[str, Any] = MappingProxyType(
    {name: value for name, value in _OF_WIDGETS.items() if name != "force_input"}
    | {"options": None, "control_after_generate": None, "upload": None, "image_folder": None, "remote": None}
)


class Piece:
    """An input or output: an id, and the keywords that its kind knows."""

    io_type = ""
    known: Mapping[str, Any] = _OF_INPUTS

    def __init__(self, id: str, **given: Any) -> None:
        unknown = sorted(given.keys() - self.known.keys())
        if unknown:
            raise TypeError(f"{self.io_type}.{type(self).__name__} got an unexpected keyword argument {unknown[0]!r}")
        self.id = id
        self.given = given

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self.known:
            raise AttributeError(name)
        return self.given.get(name, self.known[name])


class Input(Piece):
    """What goes into a node."""


class Output(Piece):
    """What comes out of a node."""

    known = MappingProxyType({"display_name": None, "tooltip": None, "is_output_list": False})


def comfy_type(io_type: str, known: Mapping[str, Any] = _OF_INPUTS) -> Any:
    """A type of sockets with the classes of its inputs and outputs."""
    kind = type(io_type, (), {"io_type": io_type})
    kind.Input = type("Input", (Input,), {"io_type": io_type, "known": known})  # type: ignore[attr-defined]
    kind.Output = type("Output", (Output,), {"io_type": io_type})  # type: ignore[attr-defined]
    return kind


@dataclass
class DynamicOption:
    """One choice of a dynamic combo, with the inputs that it brings."""

    key: str
    inputs: Sequence[Piece]


class Hidden(str, Enum):
    """What a node may ask the executor for."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"


class HiddenValues:
    """What a node was given of that; anything else is None."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __getattr__(self, name: str) -> Any:
        return self.values.get(name)


@dataclass
class Schema:
    """The fields of 0.8.0; a dataclass, so any other keyword is a TypeError."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Piece] = field(default_factory=list)
    outputs: list[Piece] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False


class ComfyNode:
    """The base of nodes."""

    hidden: HiddenValues | None = None

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema, with ids checked and the hidden inputs of output nodes added."""
        schema = cls.define_schema()
        for pieces in (schema.inputs, schema.outputs):
            twice = [id for id, count in Counter(piece.id for piece in pieces).items() if count > 1]
            if twice:
                raise ValueError(f"ids must be unique, but {twice} are not")
        if schema.is_output_node:
            schema.hidden += [name for name in (Hidden.prompt, Hidden.extra_pnginfo) if name not in schema.hidden]
        return schema


class NodeOutput:
    """What execute gives: a value for each output, and what the front end is to show."""

    def __init__(
        self, *args: Any, ui: Any = None, expand: dict[str, Any] | None = None, block_execution: str | None = None
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution


class ComfyExtension:
    """The base of extensions."""

    async def on_load(self) -> None:
        """Called from 0.14 on."""

    async def get_node_list(self) -> list[type[ComfyNode]]:
        raise NotImplementedError


class NodeReplace:
    """Which node may stand in for another one, from 0.14 on."""

    def __init__(
        self, new_node_id: str, old_node_id: str, old_widget_ids: list[str] | None = None,
        input_mapping: list[dict[str, Any]] | None = None, output_mapping: list[dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self.new_node_id = new_node_id
        self.old_node_id = old_node_id
        self.old_widget_ids = old_widget_ids or []
        self.input_mapping = input_mapping or []
        self.output_mapping = output_mapping or []


def io_namespace(replaces_nodes: bool) -> SimpleNamespace:
    """`comfy_api.latest.io`."""
    dynamic = comfy_type("COMFY_DYNAMICCOMBO_V3", MappingProxyType({**_OF_INPUTS, "options": None}))
    dynamic.Option = DynamicOption
    texts = {"multiline": False, "placeholder": None, "dynamic_prompts": None}
    io = SimpleNamespace(
        Schema=Schema,
        ComfyNode=ComfyNode,
        NodeOutput=NodeOutput,
        Hidden=Hidden,
        Input=Input,
        Output=Output,
        Custom=comfy_type,
        Image=comfy_type("IMAGE"),
        String=comfy_type("STRING", MappingProxyType({**_OF_WIDGETS, **texts})),
        Int=comfy_type("INT", MappingProxyType({**_OF_NUMBERS, "control_after_generate": None})),
        Float=comfy_type("FLOAT", MappingProxyType({**_OF_NUMBERS, "round": None})),
        Boolean=comfy_type("BOOLEAN", MappingProxyType({**_OF_WIDGETS, "label_on": None, "label_off": None})),
        Combo=comfy_type("COMBO", _OF_COMBOS),
        DynamicCombo=dynamic,
    )
    if replaces_nodes:
        io.NodeReplace = NodeReplace
    return io
