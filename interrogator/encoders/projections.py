"""Projections of a batch that read their weights once, whatever the memory layout of the batch.

`nn.MultiheadAttention` with `batch_first` passes a transposed view [L, B, W] to its input projection. PyTorch
multiplies contiguous input as one matrix [L B, W], but such a view as L small ones, each with a copy of the weights: in
bfloat16 on a CPU that takes up to 60 times as long. A single image is unaffected, since [L, 1, W] is contiguous anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PROJECTED = ("query", "key", "value")  # of `multi_head_attention_forward`, its first arguments too


class FlatProjections(TorchFunctionMode):
    """Makes the inputs of projections contiguous while the block runs: the same products, computed as one matrix.

    It affects only the calling thread and changes no module, so other threads may compute with the same model. It is
    reentrant.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is F.multi_head_attention_forward:
            laid_out: dict[int, Tensor] = {}  # query, key and value of self-attention must stay one tensor
            args = [_contiguous(value, laid_out) for value in args[:3]] + list(args[3:])
            named |= {name: _contiguous(named[name], laid_out) for name in _PROJECTED if name in named}
        elif func is F.linear and args:
            args = [_contiguous(args[0], {}), *args[1:]]
        return func(*args, **named)


def _contiguous(tensor: Tensor, laid_out: dict[int, Tensor]) -> Tensor:
    """The tensor in contiguous layout; the same result for the same tensor."""
    return laid_out.setdefault(id(tensor), tensor.contiguous())
