"""Batches that get smaller when memory runs out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interrogator.batches import in_batches

CPU = torch.device("cpu")


class Small:
    """Work that takes at most `room` items at once, and remembers the sizes that it was asked for."""

    def __init__(self, room: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        self.room = room
        self.error = error
        self.sizes: list[int] = []

    def __call__(self, start: int, stop: int) -> list[int]:
        self.sizes.append(stop - start)
        if stop - start > self.room:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB")
        return list(range(start, stop))


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20))
def test_every_item_is_done_once_and_in_order(count: int, most: int, room: int) -> None:
    work = Small(room)
    done = [item for batch in in_batches(count, most, work, CPU) for item in batch]
    assert done == list(range(count))
    failures = [size for size in work.sizes if size > room]
    assert work.sizes[: len(failures)] == failures, "a size that was too large is not tried again"
    assert all(2 * smaller <= larger for larger, smaller in zip(failures, failures[1:], strict=False))


def test_a_batch_is_halved_for_good() -> None:
    work = Small(5)
    list(in_batches(20, 16, work, CPU))
    assert work.sizes == [16, 8, 4, 4, 4, 4, 4]


def test_a_short_last_batch_is_halved_as_well() -> None:
    work = Small(2)
    list(in_batches(7, 100, work, CPU))
    assert work.sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_single_item_that_does_not_fit_raises_what_was_raised() -> None:
    work = Small(0)
    with pytest.raises(torch.OutOfMemoryError, match=r"2\.00 GiB"):
        list(in_batches(3, 4, work, CPU))
    assert work.sizes == [3, 1]


def test_devices_without_a_class_for_it_are_understood() -> None:
    work = Small(2, RuntimeError)
    assert [len(batch) for batch in in_batches(4, 4, work, CPU)] == [2, 2]


def test_other_errors_come_out_at_once() -> None:
    calls: list[int] = []

    def fail(start: int, stop: int) -> None:
        calls.append(stop)
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        list(in_batches(3, 4, fail, CPU))
    assert calls == [3]


def test_what_counts_may_be_something_else_than_items() -> None:
    lengths = [1, 1, 2, 4, 8, 8, 30]

    def stop_of(start: int, positions: int) -> int:
        stop = start + 1
        while stop < len(lengths) and (stop + 1 - start) * lengths[stop] <= positions:
            stop += 1
        return stop

    work = Small(3)
    done = [item for batch in in_batches(len(lengths), 16, work, CPU, stop_of) for item in batch]
    assert done == list(range(len(lengths)))
    assert work.sizes == [4, 2, 1, 1, 1, 1, 1]
