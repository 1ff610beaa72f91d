"""A tagger's network in an ONNX file, computed by onnxruntime, which keeps the weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, ModelLoadError
from ..progress import Progress, StickyProgress
from .layouts import Layout, Output
from .pixels import Input, Pixels

logger = logging.getLogger("interrogator")

_ON_CPU, _ON_ACCELERATOR = 8, 32  # images at once, where the file takes any number
_POLL_SECONDS = 0.1
_DTYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
_NO_MEMORY = ("out of memory", "failed to allocate memory", "allocaterawinternal", "bad_alloc")
_INSTALL = "pip install image-interrogator[onnx]"


class OnnxNetwork:
    """A session of onnxruntime that gives one probability a tag.

    Attributes:
        module: None: the runtime keeps the weights.
        device: where it computes: a CUDA device, or the CPU.
        dtype: of what goes into it.
        most: images to give it at once.
    """

    module = None

    def __init__(self, path: Path, layout: Layout, pixels: Input | None, width: int, device: torch.device) -> None:
        """Open a file.

        Args:
            pixels: how pictures go in; None where the layout says so.
            width: how many tags there are.

        Raises ModelLoadError: onnxruntime is not installed, or the file is damaged or of another kind of model.
        """
        self._path = path
        self._width = width
        self._errors = _errors()
        self._session, self.device = _open(path, device, self._errors)
        (given,) = _checked_inputs(path, self._session)
        self._input: str = given.name
        self.dtype = _DTYPES[given.type]
        self._channels_first = _channels_first(path, given.shape, layout.channels_first or pixels is not None)
        self.pixels = _sized(path, given.shape, self._channels_first, pixels or layout.onnx, layout.size)
        self._output = _chosen(path, self._session, layout.outputs, width)
        batch = given.shape[0]
        self.most = batch if isinstance(batch, int) else _ON_CPU if self.device.type == "cpu" else _ON_ACCELERATOR
        self._fixed = isinstance(batch, int)

    def watched(self, progress: Progress | None) -> tuple[Callable[[Sequence[Pixels]], Tensor], Progress]:
        """As `TimmNetwork.watched`; a run in the middle of which `progress` raises is broken off."""
        sticky = StickyProgress(progress or (lambda done, total: None))

        def compute(prepared: Sequence[Pixels]) -> Tensor:
            count = len(prepared)
            if self._fixed and count < self.most:
                prepared = [*prepared, *[prepared[-1]] * (self.most - count)]
            pixels = self.pixels.tensor(prepared, torch.device("cpu"), self._channels_first).to(self.dtype)
            values = pixels.contiguous().numpy()
            found = torch.from_numpy(self._run(values, sticky if progress else None)).float()  # [B, tags]
            if found.ndim != 2 or found.shape[1] != self._width:
                raise ModelLoadError(_other_width(self._path, found.shape[-1], self._width))
            found = found[:count]
            return found.sigmoid() if self._output.logits else found

        return compute, sticky

    def _run(self, values: Any, watcher: StickyProgress | None) -> Any:
        """The output for pixels. `watcher` is called several times a second meanwhile; if it raises, the run ends."""
        from onnxruntime import RunOptions

        options = RunOptions()
        arguments: tuple[Any, ...] = ([self._output.name], {self._input: values}, options)
        try:
            if watcher is None:
                return self._session.run(*arguments)[0]
            with ThreadPoolExecutor(1) as thread:
                running = thread.submit(self._session.run, *arguments)
                try:
                    while not wait([running], _POLL_SECONDS).done:
                        watcher.again()
                except BaseException:
                    options.terminate = True
                    raise
                return running.result()[0]
        except self._errors as error:
            reason = " ".join(str(error).split())
            if any(words in reason.lower() for words in _NO_MEMORY):
                raise torch.OutOfMemoryError(f"out of memory in {self._path.name}: {reason}") from error
            raise ModelError(f"onnxruntime cannot compute {self._path}: {reason}") from error


def _errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises. Raises ModelLoadError: it is not installed."""
    try:
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise ModelLoadError(f"an ONNX file needs onnxruntime, which is not installed: {_INSTALL}") from error
    kinds = [getattr(state, name) for name in dir(state)]
    found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*found, RuntimeError)


def _open(path: Path, device: torch.device, errors: tuple[type[Exception], ...]) -> tuple[Any, torch.device]:
    """A session, and the device that it computes on."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for work without sleeping take the cores from those that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors, which are raised as well
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except errors as error:
        raise ModelLoadError(_unreadable(path, " ".join(str(error).split()))) from error
    if session.get_providers()[0] == "CUDAExecutionProvider":
        return session, device
    if device.type != "cpu":
        hint = "pip install onnxruntime-gpu"
        logger.warning("%s runs on the CPU: this onnxruntime cannot use %s (%s)", path, device.type, hint)
    return session, torch.device("cpu")


def _unreadable(path: Path, reason: str) -> str:
    if "external data" in reason.lower():
        return f"{path} keeps its weights in a second file, such as {path.name}.data: put it beside it ({reason})"
    return f"{path} is damaged, or needs a newer onnxruntime: download it again ({reason})"


def _checked_inputs(path: Path, session: Any) -> Any:
    """The one input of a session, if it takes pictures."""
    inputs = session.get_inputs()
    told = "; ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _DTYPES:
        raise ModelLoadError(f"{path} is no tagger: it takes {told}, and not pictures of three channels as numbers")
    return inputs


def _channels_first(path: Path, shape: Sequence[Any], expected: bool) -> bool:
    """Whether the channels come before the rows. Raises ModelLoadError: not as the rest of the files says."""
    here, elsewhere = (shape[1], shape[3]) if expected else (shape[3], shape[1])
    if here == 3 or (not isinstance(here, int) and elsewhere != 3):
        return expected
    wanted = "[batch, 3, height, width]" if expected else "[batch, height, width, 3]"
    raise ModelLoadError(
        f"{path} takes {list(shape)}, and models with such a table of tags {wanted}: "
        "how its pictures go in must be in a preprocess.json beside it"
    )


def _sized(path: Path, shape: Sequence[Any], channels_first: bool, pixels: Input, size: int) -> Input:
    """`pixels` for pictures of the size that a file takes."""
    height, width = (side if isinstance(side, int) else size for side in (shape[2:] if channels_first else shape[1:3]))
    sized = pixels.sized(width, height)
    fixed = [side for side in (shape[2:] if channels_first else shape[1:3]) if isinstance(side, int)]
    if fixed and sized.size != (width, height):
        raise ModelLoadError(f"{path} takes pictures of {width}x{height}, and its preprocess.json gives {sized.size}")
    return sized


def _chosen(path: Path, session: Any, wanted: Sequence[Output], width: int) -> Output:
    """The output with one number a tag: by its name, else the only one of this width."""
    outputs = session.get_outputs()
    flat = [each for each in outputs if len(each.shape) == 2]
    for row in wanted:
        named = [each for each in flat if each.name == row.name]
        if not row.name:
            named = [each for each in flat if each.shape[1] == width] or flat
            named = named if len(named) == 1 else []
        if not named:
            continue
        (found,) = named
        if isinstance(found.shape[1], int) and found.shape[1] != width:
            raise ModelLoadError(_other_width(path, found.shape[1], width))
        return Output(found.name, row.logits)
    told = ", ".join(f"{each.name} {each.shape}" for each in outputs)
    raise ModelLoadError(f"{path} gives {told}: none of these is known to hold the probabilities of {width} tags")


def _other_width(path: Path, found: int, width: int) -> str:
    return f"{path} gives {found} numbers, and its table has {width} tags: they are of different models"
