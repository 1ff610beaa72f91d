"""A ComfyUI without the ComfyUI: put into sys.modules, and taken out again with all that it loaded."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from . import api, host

ROOT = Path(__file__).parents[3]
NAMES = (
    "comfy", "comfy.model_management", "comfy.model_patcher", "comfy.utils", "comfy_api", "comfy_api.latest",
    "comfy_execution", "comfy_execution.graph_utils", "comfy_execution.utils", "folder_paths", "server",
)  # fmt: skip


class ComfyUI:
    """The stand-ins of one ComfyUI, with its models and inputs below a folder; version is (minor) of 0.minor."""

    def __init__(self, base: Path, version: int = 33) -> None:
        self.base = base
        self.version = version
        interrupt = type("InterruptProcessingException", (BaseException if version >= 20 else Exception,), {})
        self.management = host.Management(interrupt, knows_oom=version >= 17)
        self.folders = host.Folders(base)
        self.progress = host.Progress(self.management)
        self.server = host.Server()

    @property
    def models(self) -> Path:
        return Path(self.folders.models_dir)

    @property
    def input(self) -> Path:
        return Path(self.folders.input_directory)

    def modules(self) -> dict[str, ModuleType]:
        """The stand-ins by the name they are imported by."""

        async def register(replacement: Any) -> None:
            self.server.node_replace_manager.register(replacement)

        latest = host.module(
            "comfy_api.latest",
            io=api.io_namespace(replaces_nodes=self.version >= 14),
            ComfyExtension=api.ComfyExtension,
            ComfyAPI=lambda: SimpleNamespace(node_replacement=SimpleNamespace(register=register)),
        )
        graph = host.module("comfy_execution.graph_utils", ExecutionBlocker=host.ExecutionBlocker)
        management = host.ManagementModule(self.management)
        patcher = host.module("comfy.model_patcher", ModelPatcher=host.ModelPatcher)
        utils = host.module("comfy.utils", ProgressBar=self.progress.bar)
        made = {
            "comfy": host.module("comfy", model_management=management, model_patcher=patcher, utils=utils),
            "comfy.model_management": management,
            "comfy.model_patcher": patcher,
            "comfy.utils": utils,
            "comfy_api": host.module("comfy_api", latest=latest),
            "comfy_api.latest": latest,
            "comfy_execution": host.module("comfy_execution", graph_utils=graph),
            "comfy_execution.graph_utils": graph,
            "comfy_execution.utils": host.module("comfy_execution.utils", get_executing_context=lambda: None),
            "folder_paths": self.folders.as_module(),
            "server": host.module("server", PromptServer=SimpleNamespace(instance=self.server)),
        }
        for name in ("comfy", "comfy_api", "comfy_execution"):
            made[name].__path__ = []
        return made

    @contextmanager
    def installed(self, root: Path = ROOT) -> Iterator[None]:
        """While the block runs, the stand-ins are what is imported; the pack at `root` leaves with them."""
        name = module_name(root)

        def taken_out() -> dict[str, ModuleType]:
            inside = [key for key in sys.modules if key in NAMES or key == name or key.startswith(f"{name}.")]
            return {key: sys.modules.pop(key) for key in inside}

        before = taken_out()
        sys.modules.update(self.modules())
        try:
            yield
        finally:
            taken_out()
            sys.modules.update(before)


def module_name(root: Path) -> str:
    """What ComfyUI calls a pack in sys.modules."""
    return str(root).replace(".", "_x_")


@dataclass(frozen=True)
class Pack:
    """A loaded pack: its nodes by id, and the ComfyUI around it."""

    comfyui: ComfyUI
    name: str
    web: Path | None
    nodes: dict[str, type[api.ComfyNode]]

    def module(self, path: str) -> Any:
        """A module of the pack: `nodes.models`, `interrogator`."""
        return import_module(f"{self.name}.{path}")

    @property
    def library(self) -> Any:
        """The library as the pack sees it: not the one that `import interrogator` gives."""
        return self.module("interrogator")


def load_pack(comfyui: ComfyUI, root: Path = ROOT) -> Pack:
    """Load the pack in a folder, in the steps of ComfyUI's load_custom_node; the stand-ins have to be installed."""
    name = module_name(root)
    spec = importlib.util.spec_from_file_location(name, os.path.join(root, "__init__.py"))
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    web = os.path.abspath(os.path.join(root, package.WEB_DIRECTORY)) if hasattr(package, "WEB_DIRECTORY") else ""
    if hasattr(package, "NODE_CLASS_MAPPINGS"):
        raise AssertionError("a pack with NODE_CLASS_MAPPINGS is never asked for its comfy_entrypoint")

    async def entered() -> Sequence[type[api.ComfyNode]]:
        extension = await package.comfy_entrypoint()
        assert isinstance(extension, api.ComfyExtension)
        if comfyui.version >= 14:
            await extension.on_load()
        return await extension.get_node_list()

    nodes = asyncio.run(entered())  # type: ignore[arg-type]
    assert isinstance(nodes, list)
    by_id = {node.GET_SCHEMA().node_id: node for node in nodes}
    assert len(by_id) == len(nodes)
    return Pack(comfyui, name, Path(web) if os.path.isdir(web) else None, by_id)
