"""What ComfyUI makes of the pack when it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from . import pack
from .server import Comfy


def test_the_pack_is_imported(comfyui: Comfy, measured: Callable[[str], None]) -> None:
    lines = [line for line in comfyui.boot_log.splitlines() if re.search(rf"seconds.*{pack.NAME}$", line.strip())]
    assert len(lines) == 1, comfyui.boot_log
    assert "IMPORT FAILED" not in lines[0], comfyui.boot_log
    seconds = re.search(r"([\d.]+) seconds", lines[0])
    assert seconds is not None
    measured(f"in the list of import times: {seconds[1]} seconds")


def test_loading_logs_no_error_of_ours(comfyui: Comfy) -> None:
    assert "Traceback" not in comfyui.boot_log
    assert "Error while calling comfy_entrypoint" not in comfyui.boot_log


@pytest.mark.parametrize("node", pack.NODES)
class TestNode:
    def test_is_known(self, comfyui: Comfy, node: str) -> None:
        info = comfyui.object_info(node)
        assert info["category"].split("/")[0] == "interrogator"
        assert info["python_module"] == f"custom_nodes.{pack.NAME}"

    def test_every_number_has_a_step(self, comfyui: Comfy, node: str) -> None:
        """Without one the front end rounds to tenths."""
        text = json.dumps(comfyui.object_info(node)["input"])
        for kind, options in re.findall(r'\["(FLOAT|INT)", (\{.*?\})\]', text):
            assert '"step"' in options, (kind, options)

    def test_help_page_is_served(self, comfyui: Comfy, node: str) -> None:
        assert comfyui.get_bytes(f"/extensions/{pack.NAME}/docs/{node}.md").strip()


def test_nothing_else_is_registered_under_the_pack(comfyui: Comfy) -> None:
    ours = [name for name, info in comfyui.get("/object_info").items() if info["python_module"].endswith(pack.NAME)]
    assert sorted(ours) == sorted(pack.NODES)


def test_scripts_are_served(comfyui: Comfy) -> None:
    web = pack.ROOT / "web"
    scripts = sorted(path.relative_to(web).as_posix() for path in web.rglob("*.js"))
    assert scripts
    prefix = f"/extensions/{pack.NAME}/"
    listed = [name.removeprefix(prefix) for name in comfyui.get("/extensions") if name.startswith(prefix)]
    assert sorted(listed) == scripts
    for script in scripts:
        assert comfyui.get_bytes(prefix + script)


def test_languages_are_served(comfyui: Comfy) -> None:
    languages = pack.names("locales", "*")
    assert languages
    served = comfyui.get("/i18n")
    for language in languages:
        assert set(pack.NODES) <= set(served[language]["nodeDefs"]), language


def test_the_abandoned_node_is_replaced(comfyui: Comfy) -> None:
    if tuple(map(int, comfyui.version.split(".")[:2])) < (0, 14):
        pytest.skip("ComfyUI replaces nodes from 0.14 on")
    assert "ComfyUIClipInterrogator" in comfyui.get("/node_replacements")
