"""The machine in general words, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import interrogator
from interrogator.devices import cpu_multiplies_bf16

INSTRUCTIONS = ("avx2", "avx512_f", "avx512_bf16", "amx_tile", "amx_bf16", "bf16", "sve_bf16")
PACKAGES = ("torch", "open_clip_torch", "transformers", "clip-interrogator", "numpy", "safetensors")


def describe() -> dict[str, Any]:
    """Processor, cores, threads, memory, instructions for matrix products, and a GPU that CUDA finds."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": _memory_gib(),
        "instructions": {name: bool(known[name]) for name in INSTRUCTIONS if name in known},
        "bf16": cpu_multiplies_bf16(),
        "system": platform.system(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def versions() -> dict[str, str]:
    """Versions of Python and of all libraries that matter."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        numbers[package] = metadata.version(package)
    return {**numbers, "interrogator": interrogator.__version__}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None
