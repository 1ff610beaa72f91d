"""The number formats that models run in, by name. Loads no torch, so that a list of them costs nothing."""

from __future__ import annotations

DTYPE_NAMES: tuple[str, ...] = ("auto", "fp32", "bf16", "fp16")
"""What people choose from; `devices.choose_dtype` also takes PyTorch's own names. auto is what suits the device."""
