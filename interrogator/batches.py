"""Work on a list in batches that get smaller when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from .devices import is_out_of_memory, release_memory

logger = logging.getLogger("interrogator")

Result = TypeVar("Result")


def in_batches(
    count: int,
    most: int,
    work: Callable[[int, int], Result],
    device: torch.device,
    stop_of: Callable[[int, int], int] | None = None,
) -> Iterator[Result]:
    """The results of `work(start, stop)` for batches that make up `range(count)`, in order.

    Where a batch does not fit into the memory of `device`, it and all that follow are taken at half the size, down to
    one item; where that does not fit either, what `work` raised comes out.

    Args:
        most: how large a batch may be: how many items, or whatever `stop_of` takes it for; at least 1.
        stop_of: (start, most) -> where a batch that begins at `start` stops, one item later at least. It has to take
            a single item where `most` is 1. None counts items.
    """
    stop_of = stop_of or (lambda start, most: min(start + most, count))
    start = 0
    while start < count:
        stop = stop_of(start, most)
        try:
            result = work(start, stop)
        except RuntimeError as error:
            if stop - start == 1 or not is_out_of_memory(error):
                raise
        else:
            yield result
            start = stop
            continue
        # Out here the error is gone, and with it all that the failed batch held.
        half = (stop - start) // 2
        while stop_of(start, most) - start > half:
            most = max(1, most // 2)
        logger.info("out of memory with a batch of %d; going on with %d", stop - start, stop_of(start, most) - start)
        release_memory(device)
