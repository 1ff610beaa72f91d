"""The names of the dtypes that models run in. Loads no torch, so that listing them costs nothing."""

from __future__ import annotations

DTYPE_NAMES: tuple[str, ...] = ("auto", "fp32", "bf16", "fp16")
"""The choices for users; `devices.choose_dtype` also accepts PyTorch's names. auto picks what suits the device."""
