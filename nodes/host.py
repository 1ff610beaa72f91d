"""Everything the nodes ask ComfyUI for: folders, devices, memory, progress, cancelling. No other module asks.

Based on the source of ComfyUI 0.8.0 and 0.33.0: folder_paths, comfy/model_management.py, comfy/model_patcher.py,
comfy/utils.py, server.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import comfy.model_management as management
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..interrogator.errors import InterrogatorError

logger = logging.getLogger("interrogator")

Progress = Callable[[int, int], None]

FOLDER = "interrogator"
# Where other packs keep the same models; we look for models there, and never write there.
_SHARED_FOLDERS = ("blip", "LLM", "clip_interrogator")
# The same, and never registered: a pack that finds the name registered keeps its models elsewhere than before.
_UNREGISTERED_FOLDERS = ("florence2", "LLavacheckpoints", "wd14_tagger")
# Packs that keep their models in a folder of their own, by the name of the pack's folder in lower case.
_FOLDERS_IN_PACKS = {"comfyui-wd14-tagger": "models"}
# Where ComfyUI keeps the settings of its user; with --multi-user, each has a folder of another name.
_SETTINGS = Path("default", "comfy.settings.json")
# A model moved layer by layer would end up on two devices, so it moves whole: any budget is enough.
_WHOLE = 1e32


def register_folders() -> None:
    """Register our folders, keeping those from the user's extra_model_paths.yaml. Creates nothing."""
    for name in (FOLDER, *_SHARED_FOLDERS):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))


def model_folders(role: str) -> list[Path]:
    """Folders that may hold models of a role (`captioner`), ours first: captioners, taggers … They may not exist."""
    own = [Path(path) for path in folder_paths.get_folder_paths(FOLDER)]
    shared = [path for name in (*_SHARED_FOLDERS, *_UNREGISTERED_FOLDERS) for path in _folders_called(name)]
    found = [*(path / f"{role}s" for path in own), *own, *shared, *_folders_in_packs()]
    return list(dict.fromkeys(found))


def _folders_called(name: str) -> list[Path]:
    """The folders that are registered under a name, and the one of that name among ComfyUI's models."""
    registered, _ = folder_paths.folder_names_and_paths.get(name, ((), None))
    return [Path(path) for path in (*registered, os.path.join(folder_paths.models_dir, name))]


def _folders_in_packs() -> list[Path]:
    """The folders with models inside the folders of other packs."""
    registered, _ = folder_paths.folder_names_and_paths.get("custom_nodes", ((), None))
    packs: list[Path] = []
    for folder in registered:
        try:
            packs += sorted(Path(folder).iterdir())
        except OSError:
            continue
    return [pack / _FOLDERS_IN_PACKS[pack.name.lower()] for pack in packs if pack.name.lower() in _FOLDERS_IN_PACKS]


def setting(name: str) -> Any:
    """A value from the settings that the user made in the front end; None where there is none."""
    try:
        held = json.loads((Path(folder_paths.get_user_directory()) / _SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held.get(name) if isinstance(held, dict) else None


def embeddings_folder() -> Path:
    """Where text embeddings are kept between runs."""
    return Path(folder_paths.get_folder_paths(FOLDER)[0]) / "embeddings"


def list_folders() -> list[Path]:
    """The folders a node may read a phrase list from."""
    own = [Path(path) / "banks" for path in folder_paths.get_folder_paths(FOLDER)]
    return [*own, Path(folder_paths.get_input_directory())]


def dataset_root(name: str) -> Path:
    """ComfyUI's folder `input` or `output`, which nodes may write to."""
    return Path(folder_paths.get_output_directory() if name == "output" else folder_paths.get_input_directory())


def save_temporary(ending: str, contents: Sequence[bytes]) -> list[str]:
    """Put files into our subfolder of ComfyUI's temp folder, which it empties when it starts; their names."""
    folder = Path(folder_paths.get_temp_directory(), FOLDER)
    if contents:
        folder.mkdir(parents=True, exist_ok=True)
    run = uuid.uuid4().hex[:12]
    names = [f"{run}_{number}.{ending}" for number in range(1, len(contents) + 1)]
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)
    return names


def temporary(name: str) -> dict[str, str]:
    """What ComfyUI's /view is asked for a file of `save_temporary`."""
    return {"filename": name, "subfolder": FOLDER, "type": "temp"}


def blocked() -> Any:
    """An output that keeps the nodes after it from running."""
    return ExecutionBlocker(None)


def load_device() -> torch.device:
    """Where models compute."""
    device: torch.device = management.get_torch_device()
    return device


def offload_device() -> torch.device:
    """Where models wait."""
    device: torch.device = management.unet_offload_device()
    return device


def precision(asked: str) -> str:
    """The number format for a model: `auto` is what ComfyUI would choose for this device."""
    device = load_device()
    if asked != "auto" or management.is_device_cpu(device):
        return asked
    if management.should_use_fp16(device):
        return "fp16"
    return "bf16" if management.should_use_bf16(device) else "fp32"


class _Box(torch.nn.Module):
    """Wraps a model for the patcher, which sets `device` on it; models of transformers refuse that."""

    def __init__(self, inside: torch.nn.Module) -> None:
        super().__init__()
        self.inside = inside


class _WholePatcher(ModelPatcher):
    """Moves a model whole or not at all: layers that are not ComfyUI's own cannot compute across two devices."""

    def partially_load(self, device_to: Any, extra_memory: float = 0, force_patch_weights: bool = False) -> Any:
        return super().partially_load(device_to, _WHOLE, force_patch_weights)

    def partially_unload(self, *_: Any, **__: Any) -> int:
        return 0  # nothing freed: ComfyUI then unloads the whole model

    def detach(self, unpatch_all: bool = True) -> Any:
        left = super().detach(unpatch_all)
        if unpatch_all and (on_leave := getattr(self, "on_leave", None)) is not None:  # not on deletion
            on_leave()
        return left


class Memory:
    """The weights of one model, managed by ComfyUI, which moves them out when others need the memory."""

    def __init__(self, module: torch.nn.Module, on_leave: Callable[[], None] | None = None) -> None:
        """on_leave: called when ComfyUI has moved the model out."""
        self._patcher = _WholePatcher(_Box(module), load_device=load_device(), offload_device=offload_device())
        self._patcher.on_leave = on_leave

    def bring(self, working_bytes: int) -> None:
        """Move the model to where it computes, with `working_bytes` free beside it. Call right before every use."""
        management.load_models_gpu([self._patcher], memory_required=working_bytes, force_full_load=True)

    @property
    def is_here(self) -> bool:
        """Whether the model is where it computes."""
        return bool(self._patcher.loaded_size())


def empty_device_cache() -> None:
    """Give memory back that nothing uses any more."""
    management.soft_empty_cache()


def current_run() -> str | None:
    """The id of the run that is going on; None outside of any."""
    context = get_executing_context()
    if context is not None:
        return str(context.prompt_id)
    return getattr(_server(), "last_prompt_id", None)  # in a thread of the node's own


def when_idle(act: Callable[[], object]) -> None:
    """Call a function, once however often it is given, as soon as no run goes on and none waits.

    It is called in a thread of its own that holds the queue, so that no run begins meanwhile.
    """
    with _idle_lock:
        if act in _when_idle:
            return
        _when_idle.append(act)
        if len(_when_idle) == 1:
            threading.Thread(target=_wait_until_idle, name="interrogator idle", daemon=True).start()


_when_idle: list[Callable[[], object]] = []
_idle_lock = threading.Lock()
_POLL_SECONDS = 0.25


def _wait_until_idle() -> None:
    queue = getattr(_server(), "prompt_queue", None)
    while True:
        time.sleep(_POLL_SECONDS)
        with getattr(queue, "mutex", None) or nullcontext():
            if getattr(queue, "currently_running", None) or getattr(queue, "queue", None):
                continue
            with _idle_lock:
                acts = list(_when_idle)
                _when_idle.clear()
            for act in acts:
                act()
            return


def tell(event: str, data: dict[str, Any]) -> None:
    """Tell every open page something; nothing where there is no server."""
    if (server := _server()) is not None:
        server.send_sync(event, data)


def _server() -> Any:
    return getattr(PromptServer, "instance", None)


def progress() -> Progress:
    """A `progress(done, total)` that draws ComfyUI's bar and raises when the user cancels."""
    bar = ProgressBar(1)

    def show(done: int, total: int) -> None:
        management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, max(total, 1))

    return show


def download_progress(node_id: str | None, what: str) -> Progress:
    """Like `progress`, in bytes, with a line of text on the node."""
    show = progress()
    server = _server()

    def show_bytes(done: int, total: int) -> None:
        show(done, total)
        if server is not None and node_id is not None and total:
            line = f"downloading {what}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
            server.send_progress_text(line, node_id)

    return show_bytes


def serve(method: str, path: str, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Have ComfyUI's server answer at a path: with what a function says, in a thread, to a query or (POST) to JSON.

    What the function refuses with a ValueError is answered with status 400. A POST has to come from a page of this
    server and as JSON, which no other site's page can send here unasked.
    """
    routes = _routes_without(method, path)
    if routes is None:
        return

    @routes.route(method, path)  # type: ignore[untyped-decorator]
    async def handle(request: Any) -> Any:
        from aiohttp import web  # what ComfyUI's server is made of

        asked: Any = request.query
        if method == "POST":
            is_own = request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
            if not is_own or request.content_type != "application/json":
                return web.json_response({"error": "Only ComfyUI's own page may ask for this."}, status=403)
            try:
                asked = await request.json()
            except ValueError:
                asked = None
        try:
            return web.json_response(await asyncio.to_thread(answer, asked))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)


def serve_file(path: str, find: Callable[[Mapping[str, str]], tuple[Path, Mapping[str, str]]]) -> None:
    """Have ComfyUI's server answer a GET by a file, with headers for it.

    find: from the parts of the path, in a thread, to file and headers. What it refuses with a FileNotFoundError is
        answered with status 404, with a ValueError 409.
    """
    routes = _routes_without("GET", path)
    if routes is None:
        return

    @routes.route("GET", path)  # type: ignore[untyped-decorator]
    async def handle(request: Any) -> Any:
        from aiohttp import web

        try:
            file, headers = await asyncio.to_thread(find, dict(request.match_info))
        except FileNotFoundError as error:
            return web.Response(text=str(error), status=404)
        except ValueError as error:
            return web.Response(text=str(error), status=409)
        return web.FileResponse(file, headers=headers)


def _routes_without(method: str, path: str) -> Any:
    """The server's routes; None where there is no server, or another copy of this pack answers at the path."""
    routes = getattr(_server(), "routes", None)
    is_taken = routes is not None and any((route.method, route.path) == (method, path) for route in routes)
    return None if is_taken else routes


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Say what to do when even the smallest batch does not fit into memory."""
    try:
        yield
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        management.soft_empty_cache()
        raise RuntimeError(
            "The device is out of memory even with one image at a time: use a smaller preset or model, precision fp16,"
            " or press Unload Models first."
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, InterrogatorError):  # says so of another machine, such as a server
        return False
    known = getattr(management, "is_oom", None)  # from 0.17 on
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower():
        return True
    return bool(known and known(error))


register_folders()
