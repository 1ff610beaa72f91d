"""Loading the pack: quick, without side effects, in the way that ComfyUI does it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .stand_ins import ComfyUI, load_pack
from .stand_ins.loading import ROOT, module_name

# Loads the pack and asks each node for its schema, as ComfyUI does for every page load; writes down what it did.
LOAD = """
import json, sys, pathlib
from tests.pack.stand_ins import ComfyUI, load_pack
from tests.pack.stand_ins.loading import module_name

touched = []
WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.copyfile"}

def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        touched.append(f"open {arguments[0]}")
    elif event in WRITES or event.startswith(("socket.connect", "subprocess.Popen", "os.system")):
        touched.append(f"{event} {arguments[0]}")

comfyui = ComfyUI(pathlib.Path(sys.argv[1]))
sys.addaudithook(watch)
with comfyui.installed():
    nodes = load_pack(comfyui).nodes
    for node in nodes.values():
        node.GET_SCHEMA()
    heavy = [name for name in ("transformers", "open_clip", "timm", "torchvision") if name in sys.modules]
    found = {"nodes": list(nodes), "heavy": heavy, "touched": list(touched)}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a process of its own did while it loaded the pack, and the nodes it found."""
    base = tmp_path_factory.mktemp("alone")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(base)], cwd=base, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(base.iterdir()) == []
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_no_model_code_is_imported(loaded_alone: dict[str, list[str]]) -> None:
    assert loaded_alone["heavy"] == []


def test_nothing_is_written_and_nobody_is_called(loaded_alone: dict[str, list[str]]) -> None:
    assert loaded_alone["touched"] == []


def test_every_node_is_offered(loaded_alone: dict[str, list[str]]) -> None:
    assert len(loaded_alone["nodes"]) == 16


@pytest.mark.parametrize("version", [8, 33])
def test_the_pack_loads_in_older_and_newer_comfyui(new_comfyui: Callable[..., ComfyUI], version: int) -> None:
    pack = load_pack(new_comfyui(version))
    assert len(pack.nodes) == 16
    assert "interrogator" not in {name.partition(".")[0] for name in sys.modules if name.startswith(pack.name)}


def test_the_front_ends_files_are_where_the_pack_says(new_comfyui: Callable[..., ComfyUI]) -> None:
    web = load_pack(new_comfyui()).web
    assert web is not None, "WEB_DIRECTORY names no folder"
    assert list(web.glob("**/*.js")), f"{web} holds no JavaScript"


def test_a_folder_of_any_name_is_a_pack(new_comfyui: Callable[..., ComfyUI], tmp_path: Path) -> None:
    other = tmp_path / "some.other name"
    try:
        other.symlink_to(ROOT, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    comfyui = new_comfyui()
    with comfyui.installed(other):
        pack = load_pack(comfyui, other)
        assert pack.name == module_name(other) and "some_x_other name" in pack.name
        assert len(pack.nodes) == 16


def test_nodes_of_an_abandoned_pack_are_replaced_where_comfyui_can(new_comfyui: Callable[..., ComfyUI]) -> None:
    comfyui = new_comfyui()
    pack = load_pack(comfyui)
    (replacement,) = comfyui.server.replacements
    assert replacement.old_node_id == "ComfyUIClipInterrogator"
    schema = pack.nodes[replacement.new_node_id].GET_SCHEMA()
    inputs = {piece.id: piece for piece in schema.inputs}
    for mapping in replacement.input_mapping:
        assert mapping["new_id"] in inputs
        if "set_value" in mapping:
            assert mapping["set_value"] in inputs[mapping["new_id"]].options
    assert {mapping["new_id"] for mapping in replacement.input_mapping} >= {
        piece.id for piece in schema.inputs if not piece.optional
    }
    assert all(mapping["new_idx"] < len(schema.outputs) for mapping in replacement.output_mapping)


def test_where_nodes_cannot_be_replaced_none_are(new_comfyui: Callable[..., ComfyUI]) -> None:
    comfyui = new_comfyui(8)
    pack = load_pack(comfyui)
    asyncio.run(pack.module("nodes.node_replacements").register())
    assert comfyui.server.replacements == []
