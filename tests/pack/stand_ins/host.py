"""What ComfyUI is to a running node: its folders, its memory management, its progress bar and its server."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

_FULL = 1e32


def module(name: str, **contents: Any) -> ModuleType:
    """A module made of values."""
    made = ModuleType(name)
    made.__dict__.update(contents)
    return made


class Folders:
    """folder_paths: names and the folders that each stands for."""

    def __init__(self, base: Path) -> None:
        self.models_dir = str(base / "models")
        self.input_directory = str(base / "input")
        self.folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}

    def add_model_folder_path(self, folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
        """Put a folder behind, or before, those that a name has already."""
        paths, _ = self.folder_names_and_paths.setdefault(folder_name, ([], set()))
        if is_default and full_folder_path in paths:
            paths.remove(full_folder_path)
        if full_folder_path not in paths:
            paths.insert(0 if is_default else len(paths), full_folder_path)

    def get_folder_paths(self, folder_name: str) -> list[str]:
        return list(self.folder_names_and_paths[folder_name][0])

    def get_input_directory(self) -> str:
        return self.input_directory

    def as_module(self) -> ModuleType:
        return module(
            "folder_paths",
            models_dir=self.models_dir,
            folder_names_and_paths=self.folder_names_and_paths,
            add_model_folder_path=self.add_model_folder_path,
            get_folder_paths=self.get_folder_paths,
            get_input_directory=self.get_input_directory,
            get_output_directory=lambda: os.path.join(os.path.dirname(self.models_dir), "output"),
            get_user_directory=lambda: os.path.join(os.path.dirname(self.models_dir), "user"),
        )


class ModelPatcher:
    """Moves a model between devices, as much of it as a budget allows.

    The tests have one device only, so a layer that was moved is marked with `moved`.
    """

    def __init__(
        self, model: Any, load_device: torch.device, offload_device: torch.device, size: int = 0,
        weight_inplace_update: bool = False,
    ) -> None:  # fmt: skip
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        self.size = size or sum(weight.nbytes for weight in model.parameters())
        self.model.device = offload_device  # refused by models of transformers, as with the real one

    def model_size(self) -> int:
        return self.size

    def loaded_size(self) -> int:
        return sum(_bytes(layer) for layer in self.layers() if getattr(layer, "moved", False))

    def layers(self) -> list[torch.nn.Module]:
        """The parts of the model that have weights, largest first."""
        parts = [part for part in self.model.modules() if _bytes(part)]
        return sorted(parts, key=_bytes, reverse=True)

    def partially_load(self, device_to: Any, extra_memory: float = 0, force_patch_weights: bool = False) -> int:
        """Move layers until the budget is spent."""
        moved = 0
        for layer in self.layers():
            if not getattr(layer, "moved", False) and moved + _bytes(layer) <= extra_memory:
                layer.moved = True  # type: ignore[assignment]
                moved += _bytes(layer)
        self.model.device = device_to
        return moved

    def partially_unload(self, device_to: Any, memory_to_free: float = 0, force_patch_weights: bool = False) -> int:
        """Move layers back until so many bytes are free."""
        freed = 0
        for layer in self.layers():
            if freed < memory_to_free and getattr(layer, "moved", False):
                layer.moved = False  # type: ignore[assignment]
                freed += _bytes(layer)
        return freed

    def detach(self, unpatch_all: bool = True) -> Any:
        """Move everything back."""
        for layer in self.layers():
            layer.moved = False  # type: ignore[assignment]
        self.model.device = self.offload_device
        return self.model


def _bytes(part: torch.nn.Module) -> int:
    return sum(weight.nbytes for weight in part.parameters(recurse=False))


class Management:
    """comfy.model_management: one CPU, a list of models on it, a flag for Cancel. Calls are written down."""

    def __init__(self, interrupt: type[BaseException], knows_oom: bool) -> None:
        self.InterruptProcessingException = interrupt
        self.interrupted = False
        self.interrupts_after: int | None = None
        """Cancel at the question after so many."""
        self.loads: list[tuple[list[ModelPatcher], float, bool]] = []
        self.loaded: list[ModelPatcher] = []
        self.emptied = 0
        self.free = _FULL
        """Bytes that a model may take where it may be loaded in part."""
        self.is_cpu = True
        self.fp16 = self.bf16 = False
        if knows_oom:
            self.is_oom = lambda error: isinstance(error, torch.OutOfMemoryError)

    def get_torch_device(self) -> torch.device:
        return torch.device("cpu")

    unet_offload_device = get_torch_device

    def is_device_cpu(self, device: torch.device) -> bool:
        return self.is_cpu

    def should_use_fp16(self, device: torch.device | None = None) -> bool:
        return self.fp16

    def should_use_bf16(self, device: torch.device | None = None) -> bool:
        return self.bf16

    def load_models_gpu(
        self, models: list[ModelPatcher], memory_required: float = 0, force_patch_weights: bool = False,
        minimum_memory_required: float | None = None, force_full_load: bool = False,
    ) -> None:  # fmt: skip
        """Load models as far as there is room, or all of them where that is asked for."""
        self.loads.append((list(models), memory_required, force_full_load))
        for patcher in models:
            patcher.partially_load(patcher.load_device, _FULL if force_full_load else self.free)
            if patcher not in self.loaded:
                self.loaded.append(patcher)

    def make_room(self, wanted: float) -> None:
        """Unload models, in part where a model allows that, until so many bytes are free."""
        for patcher in list(self.loaded):
            if wanted < patcher.loaded_size() and patcher.partially_unload(patcher.offload_device, wanted) >= wanted:
                return
            wanted -= patcher.loaded_size()
            patcher.detach()
            self.loaded.remove(patcher)
            if wanted <= 0:
                return

    def soft_empty_cache(self, force: bool = False) -> None:
        self.emptied += 1

    def interrupt_current_processing(self, value: bool = True) -> None:
        self.interrupted = value

    def throw_exception_if_processing_interrupted(self) -> None:
        """Raises once after Cancel."""
        if self.interrupts_after is not None:
            self.interrupts_after -= 1
            if self.interrupts_after < 0:
                self.interrupted, self.interrupts_after = True, None
        if self.interrupted:
            self.interrupted = False
            raise self.InterruptProcessingException()


class ManagementModule(ModuleType):
    """The object above as a module, so that what a test changes on it is seen."""

    def __init__(self, management: Management) -> None:
        super().__init__("comfy.model_management")
        self._management = management

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._management, name)


class Progress:
    """What the bars of a run showed."""

    def __init__(self, management: Management) -> None:
        self.shown: list[tuple[int, int]] = []
        progress = self

        class ProgressBar:
            """comfy.utils.ProgressBar: raises after Cancel, too."""

            def __init__(self, total: int, node_id: str | None = None) -> None:
                self.total = total
                self.current = 0

            def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
                self.total = self.total if total is None else total
                self.current = min(value, self.total)
                management.throw_exception_if_processing_interrupted()
                progress.shown.append((self.current, self.total))

            def update(self, value: int) -> None:
                self.update_absolute(self.current + value)

        self.bar = ProgressBar


class ExecutionBlocker:
    """An output that nothing downstream runs on."""

    def __init__(self, message: str | None) -> None:
        self.message = message


class Routes(list[Any]):
    """The table of the addresses that the server answers at: what our pack uses of aiohttp's."""

    def route(self, method: str, path: str) -> Callable[[Any], Any]:
        return lambda handler: self.append(SimpleNamespace(method=method, path=path, handler=handler))


class Server:
    """server.PromptServer.instance."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.told: list[tuple[str, Any]] = []
        self.routes = Routes()
        self.prompt_queue = SimpleNamespace(mutex=threading.RLock(), currently_running={}, queue=[])
        self.last_prompt_id: str | None = None
        self.node_replace_manager = SimpleNamespace(register=self._register)
        self.replacements: list[Any] = []

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        self.texts.append((node_id, text))

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        self.told.append((event, data))

    def _register(self, replacement: Any) -> None:
        self.replacements.append(replacement)
