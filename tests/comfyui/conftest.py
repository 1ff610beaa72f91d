"""Tests in a real ComfyUI; `COMFYUI_PATH` says where one is, and without it they are skipped.

Environment variables:
    COMFYUI_PATH: a checkout of ComfyUI.
    COMFYUI_PYTHON: the Python that has its requirements and open_clip_torch; by default the one that runs the tests.
    COMFYUI_FRONTEND: a folder with another front end than the installed one.
    COMFYUI_SHOTS: a folder to keep pictures of the front end in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import pack
from .browser import Browser, opened
from .server import Comfy

CREATURES = 3

_WHY_SKIPPED = "set COMFYUI_PATH (make test-comfyui COMFYUI_PATH=/path/to/ComfyUI) to run these"
_MEASURED = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("COMFYUI_PATH"):
        return
    skip = pytest.mark.skip(reason=_WHY_SKIPPED)
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured; times are told, never asserted."""
    if not os.environ.get("COMFYUI_PATH"):
        terminalreporter.write_line(f"tests/comfyui skipped: {_WHY_SKIPPED}")
    if config.stash[_MEASURED]:
        terminalreporter.section("measured in ComfyUI")
        for line in config.stash[_MEASURED]:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line for the end of the report."""
    return request.config.stash[_MEASURED].append


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory, measured: Callable[[str], None]) -> Iterator[Comfy]:
    """A ComfyUI with this pack and a few pictures of creatures."""
    comfy = started(tmp_path_factory.mktemp("comfyui"))
    measured(f"ComfyUI {comfy.version}: answered after {comfy.boot_seconds:.1f} s")
    yield comfy
    comfy.stop()


def started(base_dir: Path, hub: str | None = None) -> Comfy:
    """A new ComfyUI with this pack and the pictures; `hub` as for `Comfy.start`."""
    for name in ("custom_nodes", "input", "models", "output", "user"):
        (base_dir / name).mkdir()
    (base_dir / "custom_nodes" / pack.NAME).symlink_to(pack.ROOT, target_is_directory=True)
    _draw_creatures(base_dir / "input")

    python = os.environ.get("COMFYUI_PYTHON") or sys.executable
    checkout = Path(os.environ["COMFYUI_PATH"]).expanduser().resolve()
    return Comfy.start(checkout, python, base_dir, os.environ.get("COMFYUI_FRONTEND"), hub)


@pytest.fixture(params=[False, True], ids=["canvas", "nodes2"])
def browser(request: pytest.FixtureRequest, comfyui: Comfy, tmp_path: Path) -> Iterator[Browser]:
    """The front end in a headless browser, once with each of its renderers."""
    shots = Path(os.environ.get("COMFYUI_SHOTS") or tmp_path)
    with opened(comfyui, vue_nodes=request.param, shots=shots) as browser:
        yield browser


def _draw_creatures(folder: Path) -> None:
    from interrogator import demo

    for seed in range(CREATURES):
        demo.creature(seed)[0].save(folder / f"creature-{seed}.png")
