"""Choosing the device and dtype that a model runs in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from .dtypes import DTYPE_NAMES
from .errors import DeviceError

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "fp32": torch.float32,
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
        "float": torch.float32,
        "half": torch.float16,
    }
)
"""Names of dtypes, short ones first."""

# Processor capabilities that multiply bfloat16 natively: AVX512-BF16 and AMX on x86, BF16 and SVE on ARM. Without them
# PyTorch converts every number, which is slower than float32.
_BF16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device to run on: `cpu`, `cuda`, `cuda:1`, `mps`, `xpu`; `auto` is cuda (or ROCm), else mps, else cpu.

    Raises DeviceError: not a device, or not available on this machine or in this PyTorch.
    """
    if isinstance(name, str) and name.strip().lower() == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name.strip().lower() if isinstance(name, str) else name)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"unknown device {name!r}; choose from auto, cpu, cuda, cuda:1, …, mps") from error
    problem = _problem(device)
    if problem:
        raise DeviceError(f"device {device} is not available: {problem}; use auto or cpu")
    return device


def choose_dtype(name: str | torch.dtype = "auto", device: str | torch.device = "cpu") -> torch.dtype:
    """The dtype to run in on `device`: `auto`, `fp32`, `bf16`, `fp16`, one of PyTorch's names, or a torch.dtype.

    `auto` is fp16 on cuda and fp32 on mps, where half precision sometimes overflows. On cpu it is bf16 if the processor
    has instructions for it, else fp32. Raises DeviceError: unknown, or not supported on this device.
    """
    device = torch.device(device)
    if isinstance(name, str) and name.strip().lower() == "auto":
        if device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if device.type == "cpu" and cpu_multiplies_bf16() else torch.float32
    dtype = DTYPES.get(name.strip().lower().removeprefix("torch.")) if isinstance(name, str) else name
    if dtype is None or dtype not in DTYPES.values():
        raise DeviceError(f"unknown dtype {name!r}; choose from {', '.join(DTYPE_NAMES)}")
    try:
        torch.ones(1, device=device, dtype=dtype).mul(2)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"{device} cannot compute in {name} here; use fp32") from error
    return dtype


def cpu_multiplies_bf16() -> bool:
    """Whether this processor and this PyTorch multiply bfloat16 matrices with native instructions."""
    mkldnn: Any = torch.backends.mkldnn
    if not mkldnn.is_available():  # the kernels that use the instructions are oneDNN's
        return False
    get_capabilities: Any = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is not None:
        known = get_capabilities()
        return any(known.get(capability, False) is True for capability in _BF16_CAPABILITIES)
    # Before about PyTorch 2.10 there are only these checks, and only for x86.
    checks = (getattr(torch.cpu, f"_is_{part}_supported", None) for part in ("avx512_bf16", "amx_tile"))
    return any(check() for check in checks if check is not None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device has run out of memory."""
    # CUDA and XPU have a class for it; MPS and others only say so in the message.
    in_words = isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    return in_words or isinstance(error, torch.cuda.OutOfMemoryError)


def release_memory(device: torch.device) -> None:
    """Release the device memory that PyTorch caches, so that an allocation of another size may fit."""
    backend: Any = getattr(torch, device.type, None)
    if hasattr(backend, "empty_cache"):  # torch.cpu caches nothing
        backend.empty_cache()


def _problem(device: torch.device) -> str:
    """Why `device` cannot be used; "" if it can."""
    if device.type == "cpu":
        return ""
    if device.type == "mps":
        return "" if torch.backends.mps.is_available() else "this machine has no Apple GPU that PyTorch can use"
    backend: Any = getattr(torch, device.type, None)  # torch.cuda, torch.xpu, …; torch.meta does not exist
    if not hasattr(backend, "is_available"):
        return "it cannot run a model"
    if not backend.is_available():
        return f"this PyTorch ({torch.__version__}) finds no {device.type} device"
    count = backend.device_count()
    if device.index is not None and device.index >= count:
        return f"the last one is {device.type}:{count - 1}"
    return ""
