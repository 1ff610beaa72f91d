"""Calling a node as ComfyUI's executor does."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import api, host

DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
_WIDGETS = ("STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", DYNAMIC)


class Refused(ValueError):
    """ComfyUI would not even run the node with these inputs."""


class Listed(list[Any]):
    """What came over a link: one value, or as many as the output of another node had."""


@dataclass(frozen=True)
class Ran:
    """The outputs of a node, each the list that goes over its links, and what the front end was told."""

    outputs: Sequence[list[Any]]
    ui: dict[str, list[Any]]

    def __getitem__(self, place: int) -> list[Any]:
        return self.outputs[place]


def run(node: type[api.ComfyNode], node_id: str = "7", defaults: bool = True, **given: Any) -> Ran:
    """Run a node.

    Args:
        given: values of widgets; `Listed` is what came over a link. Inputs of a dynamic combo have the combo's id
            and a dot before theirs: `**{"mode.beams": 2}`.
        defaults: whether widgets that are not given have their defaults, as a node from the front end has.
    """
    schema = node.GET_SCHEMA()
    inputs, dynamic = _live_inputs(schema, dict(given), defaults)
    values = {name: value if isinstance(value, Listed) else [value] for name, value in inputs.items()}
    hidden = api.HiddenValues({"unique_id": node_id} if api.Hidden.unique_id in schema.hidden else {})
    locked = _locked(node, hidden)
    if schema.is_input_list:
        calls = [values]
    else:
        most = max((len(value) for value in values.values()), default=0)
        calls = [{name: value[min(place, len(value) - 1)] for name, value in values.items()} for place in range(most)]
    results = []
    with torch.inference_mode():
        for call in calls or [{}]:
            result = locked.execute(**_nested(call, dynamic))
            assert isinstance(result, api.NodeOutput) and len(result.args) == len(schema.outputs)
            results.append(result)
    return Ran(_merged(schema, results), _merged_ui(results))


def _live_inputs(schema: api.Schema, given: dict[str, Any], defaults: bool) -> tuple[dict[str, Any], list[str]]:
    """The inputs that the executor passes on by their full id, and the ids of all inputs of dynamic combos."""
    live: dict[str, Any] = {}
    dynamic: list[str] = []
    pieces = [(piece.id, piece) for piece in schema.inputs]
    ignored: list[str] = []
    while pieces:
        name, piece = pieces.pop(0)
        if name not in given and defaults and is_widget(piece):
            given[name] = _default(piece)
        if piece.io_type == DYNAMIC:
            option = next((option for option in piece.options if option.key == given.get(name)), None)
            if option is None:  # the executor then passes on neither the combo nor its inputs
                ignored.append(name)
                continue
            dynamic.append(name)
            pieces = [(f"{name}.{inner.id}", inner) for inner in option.inputs] + pieces
        if "." in name:
            dynamic.append(name)
        if name in given:
            live[name] = checked(name, piece, given[name])
        elif not piece.optional:
            raise Refused(f"Required input is missing: {name}")
    unknown = [name for name in given if name not in live and name.partition(".")[0] not in ignored]
    if unknown:
        raise Refused(f"{schema.node_id} has no input {unknown}")
    return live, dynamic


def is_widget(piece: api.Piece) -> bool:
    """Whether the front end draws a widget for an input; others have sockets only."""
    return piece.io_type in _WIDGETS and not getattr(piece, "force_input", None)


def _default(piece: api.Piece) -> Any:
    if piece.io_type == DYNAMIC:
        return piece.options[0].key
    if piece.default is None and piece.io_type == "COMBO":
        return piece.options[0]
    return piece.default


def checked(name: str, piece: api.Piece, value: Any) -> Any:
    """The value, refused where the executor would: constants out of range, and no option of a combo."""
    if isinstance(value, Listed) or piece.io_type not in _WIDGETS:
        return value
    if piece.io_type in ("INT", "FLOAT"):
        if piece.min is not None and value < piece.min:
            raise Refused(f"Value {value} smaller than min of {piece.min}: {name}")
        if piece.max is not None and value > piece.max:
            raise Refused(f"Value {value} bigger than max of {piece.max}: {name}")
    if piece.io_type == "COMBO" and value not in piece.options:
        raise Refused(f"Value not in list: {name}: {value!r}")
    return value


def _nested(call: dict[str, Any], dynamic: Sequence[str]) -> dict[str, Any]:
    """`mode` and `mode.beams` become `mode={"mode": …, "beams": …}`; what was not given is None."""
    nested = {name: value for name, value in call.items() if name not in dynamic}
    for name in dynamic:
        combo, _, inner = name.partition(".")
        nested.setdefault(combo, {})[inner or combo] = call.get(name)
    return nested


def _locked(node: type[api.ComfyNode], hidden: api.HiddenValues) -> Any:
    """A copy of the node's class that keeps no state: setting an attribute is refused."""

    class Locked(type(node)):  # type: ignore[misc]
        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError(f"Cannot modify class attribute '{name}' on locked class '{cls.__name__}'")

    if inspect.iscoroutinefunction(node.execute):
        raise NotImplementedError("no node of this pack is async")
    return Locked(node.__name__, (node,), {"hidden": hidden})


def _merged(schema: api.Schema, results: Sequence[api.NodeOutput]) -> list[list[Any]]:
    """Lists end to end, other values as a list with one of each call."""
    merged: list[list[Any]] = []
    for place, output in enumerate(schema.outputs):
        values: list[Any] = []
        for result in results:
            value = result.args[place]
            if output.is_output_list and not isinstance(value, host.ExecutionBlocker):
                values += value
            else:
                values.append(value)
        merged.append(values)
    return merged


def _merged_ui(results: Sequence[api.NodeOutput]) -> dict[str, list[Any]]:
    shown = [result.ui for result in results if result.ui]
    return {key: [entry for ui in shown for entry in ui[key]] for key in shown[0]} if shown else {}
