"""Projections of a batch that read their weight once, whatever the layout of the batch.

`nn.MultiheadAttention` with `batch_first` hands its input projection a transposed view [L, B, W]. PyTorch multiplies
contiguous input as one matrix [L B, W], but such a view as L small ones with a copy of the weight for each: in bfloat16
on a CPU that takes up to 60 times as long. One picture is not hit, as [L, 1, W] is contiguous either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PROJECTED = ("query", "key", "value")  # of `multi_head_attention_forward`, its first arguments too


class FlatProjections(TorchFunctionMode):
    """While the block runs, what this thread projects is contiguous: the same products, summed as one matrix.

    Acts on the calls of this thread alone and touches no module, so others may compute with the same model meanwhile.
    A thread may enter it within itself.
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
            laid_out: dict[int, Tensor] = {}  # self-attention is known by query, key and value being one tensor
            args = [_contiguous(value, laid_out) for value in args[:3]] + list(args[3:])
            named |= {name: _contiguous(named[name], laid_out) for name in _PROJECTED if name in named}
        elif func is F.linear and args:
            args = [_contiguous(args[0], {}), *args[1:]]
        return func(*args, **named)


def _contiguous(tensor: Tensor, laid_out: dict[int, Tensor]) -> Tensor:
    """A tensor in contiguous layout; the same one for the same tensor."""
    return laid_out.setdefault(id(tensor), tensor.contiguous())
