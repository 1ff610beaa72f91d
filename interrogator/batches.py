"""Work through a list in batches that shrink when memory runs out."""

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
    """The results of `work(start, stop)` for batches that together cover `range(count)`, in order.

    If a batch does not fit into the memory of `device`, the batch size is halved for it and all that follow, down to
    one item. If a single item does not fit, the error of `work` is raised.

    Args:
        most: maximum batch size, at least 1: a number of items, or whatever unit `stop_of` uses.
        stop_of: (start, most) -> the end of a batch that begins at `start`, at least one item later; exactly one item
            later if `most` is 1. None counts items.
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
        # Out here the error is gone, and with it everything the failed batch held in memory.
        half = (stop - start) // 2
        while stop_of(start, most) - start > half:
            most = max(1, most // 2)
        logger.info("out of memory with a batch of %d; continuing with %d", stop - start, stop_of(start, most) - start)
        release_memory(device)
