"""The stand-ins refuse what ComfyUI refuses, and pass inputs on as its executor does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from .stand_ins import ComfyUI, Listed, Refused, run
from .stand_ins.api import io_namespace
from .stand_ins.host import ExecutionBlocker, ModelPatcher

io = io_namespace(replaces_nodes=True)


class Echo(io.ComfyNode):  # type: ignore[misc]
    """Gives back what it was called with."""

    takes_lists = False

    @classmethod
    def define_schema(cls) -> Any:
        best = io.DynamicCombo.Option("best", [io.Int.Input("beams", default=2, min=1, max=4, optional=True)])
        return io.Schema(
            node_id="Echo",
            is_input_list=cls.takes_lists,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.String.Input("text", default="a"),
                io.DynamicCombo.Input("mode", options=[best, io.DynamicCombo.Option("plain", [])]),
                io.Combo.Input("kind", options=["x", "y"]),
                io.String.Input("link", optional=True, force_input=True),
            ],
            outputs=[io.Custom("ECHO").Output("echo", is_output_list=cls.takes_lists)],
        )

    @classmethod
    def execute(cls, **inputs: Any) -> Any:
        inputs["node_id"] = cls.hidden.unique_id
        return io.NodeOutput([inputs] if cls.takes_lists else inputs)


class EchoLists(Echo):
    """The same with whole lists."""

    takes_lists = True


def test_unknown_keywords_are_refused() -> None:
    for make in (
        lambda: io.Schema(node_id="a", search_aliases=[]),
        lambda: io.String.Input("a", advanced=True),
        lambda: io.Float.Input("a", steps=1),
        lambda: io.Image.Input("a", default=1),
        lambda: io.Combo.Input("a", force_input=True),
        lambda: io.String.Output("a", optional=True),
        lambda: io.NodeOutput(1, text="a"),
    ):
        with pytest.raises(TypeError, match="unexpected keyword"):
            make()


def test_a_node_keeps_no_state() -> None:
    class Stateful(Echo):
        @classmethod
        def execute(cls, **inputs: Any) -> Any:
            cls.remembered = inputs
            return io.NodeOutput(inputs)

    with pytest.raises(AttributeError, match="remembered"):
        run(Stateful)


def test_widgets_that_are_not_given_have_their_defaults() -> None:
    assert run(Echo)[0] == [{"text": "a", "mode": {"mode": "best", "beams": 2}, "kind": "x", "node_id": "7"}]
    given = {"text": "b", "mode": "plain", "kind": "y"}
    assert run(Echo, defaults=False, **given)[0] == [
        {"text": "b", "mode": {"mode": "plain"}, "kind": "y", "node_id": "7"}
    ]
    sparse = run(Echo, defaults=False, text="b", mode="best", kind="y")
    assert sparse[0][0]["mode"] == {"mode": "best", "beams": None}


def test_lists_are_taken_one_by_one_with_the_last_repeated() -> None:
    ran = run(Echo, text=Listed(["a", "b", "c"]), link=Listed(["x", "y"]))
    assert [(call["text"], call["link"], call["kind"]) for call in ran[0]] == [
        ("a", "x", "x"), ("b", "y", "x"), ("c", "y", "x"),
    ]  # fmt: skip


def test_nodes_that_take_lists_get_every_input_as_one() -> None:
    ran = run(EchoLists, text=Listed(["a", "b"]), **{"mode.beams": 3})
    assert ran[0] == [{"text": ["a", "b"], "mode": {"mode": ["best"], "beams": [3]}, "kind": ["x"], "node_id": "7"}]


def test_an_option_that_is_not_there_leaves_its_input_out() -> None:
    assert "mode" not in run(Echo, mode="poetry", **{"mode.beams": 3})[0][0]


def test_what_comfyui_does_not_run_is_refused() -> None:
    given = {"text": "a", "mode": "best", "kind": "x"}
    for wrong in ({"kind": "z"}, {"mode.beams": 9}, {"mode.beams": 0}, {"nothing": 1}):
        with pytest.raises(Refused):
            run(Echo, **{**given, **wrong})
    with pytest.raises(Refused, match="missing"):
        run(Echo, defaults=False, mode="best", kind="x")


def test_a_blocked_output_stays_one() -> None:
    class Blocking(EchoLists):
        @classmethod
        def execute(cls, **inputs: Any) -> Any:
            return io.NodeOutput(ExecutionBlocker(None))

    assert [type(value) for value in run(Blocking)[0]] == [ExecutionBlocker]


def test_models_move_in_parts_unless_somebody_sees_to_it(new_comfyui: Callable[..., ComfyUI]) -> None:
    management = new_comfyui().management
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 4))
    patcher = ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))
    management.free = 300
    management.load_models_gpu([patcher])
    assert 0 < patcher.loaded_size() < patcher.model_size()
    management.load_models_gpu([patcher], force_full_load=True)
    assert patcher.loaded_size() == patcher.model_size()
    management.make_room(10)
    assert 0 < patcher.loaded_size() < patcher.model_size()


def test_cancel_raises_once(new_comfyui: Callable[..., ComfyUI]) -> None:
    comfyui = new_comfyui()
    bar = comfyui.progress.bar(10)
    comfyui.management.interrupt_current_processing()
    with pytest.raises(comfyui.management.InterruptProcessingException):
        bar.update_absolute(1)
    bar.update_absolute(12)
    assert comfyui.progress.shown == [(10, 10)]
