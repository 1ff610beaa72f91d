"""Results for programs: the script in docs/, and the shape of /history that docs/automation.md describes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .graphs import Graph, mode
from .pack import ROOT
from .server import Comfy, shown


def ask(comfyui: Comfy, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script as it stands in docs/."""
    script, image = ROOT / "docs" / "read_prompts.py", comfyui.base_dir / "input" / "creature-0.png"
    command = [sys.executable, str(script), str(image), "--server", comfyui.base_url, *options]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_the_script_prints_the_prompt_that_the_node_gives(comfyui: Comfy) -> None:
    ran = ask(comfyui, "--preset", "demo")
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    graph = Graph()
    node = graph.add("InterrogatorImage", image=graph.image(), preset="demo", **mode("fast"))
    (result,) = shown(comfyui.run(graph.prompt), node, "interrogator")
    assert json.loads(line) == {"prompt": result["text"], **{key: result[key] for key in ("caption", "similarity")}}


def test_the_script_says_what_a_node_says(comfyui: Comfy) -> None:
    ran = ask(comfyui, "--preset", "sdxl")
    assert ran.returncode != 0 and "node 2: " in ran.stderr


def test_every_field_of_a_result_is_described(comfyui: Comfy) -> None:
    text = (ROOT / "docs" / "automation.md").read_text(encoding="utf-8")
    graph = Graph()
    node = graph.add("InterrogatorImage", image=graph.image(2), preset="demo", **mode("fast"))
    output: dict[str, Any] = comfyui.run(graph.prompt)["outputs"][node]
    for name in (*output, *output["interrogator"][0]):
        assert f"| {name} |" in text, name


def test_texts_are_files_that_app_mode_can_fetch(comfyui: Comfy) -> None:
    graph = Graph()
    node = graph.add("InterrogatorImage", image=graph.image(2), preset="demo", **mode("fast"))
    output = comfyui.run(graph.prompt)["outputs"][node]
    addresses = ["/view?" + "&".join(f"{key}={value}" for key, value in file.items()) for file in output["files"]]
    assert [comfyui.get_bytes(address).decode() for address in addresses] == output["text"]


@pytest.mark.parametrize("kind", ["InterrogatorImage", "InterrogatorAssemble", "InterrogatorRank", "InterrogatorCheck"])
def test_braces_typed_into_our_widgets_reach_the_node(comfyui: Comfy, kind: str) -> None:
    """The front end picks one of `{a|b}` only in widgets that ask for it."""
    info = comfyui.object_info(kind)["input"]
    given = [spec for part in ("required", "optional") for spec in info.get(part, {}).values()]
    assert not any(spec[1].get("dynamicPrompts") for spec in given if len(spec) > 1)
