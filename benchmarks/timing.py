"""Times of two sides run in turn, compared pair by pair, and the peak memory of each."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Run:
    """One timed call: seconds, the peak of the process's memory meanwhile in bytes, and what it answered."""

    seconds: float
    peak: int | None
    answer: Any


@dataclass
class Pairs:
    """Runs of the peer and of us, in turn."""

    peer: list[Run] = field(default_factory=list)
    ours: list[Run] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """How many times as long as us the peer took, pair by pair."""
        return [peer.seconds / ours.seconds for peer, ours in zip(self.peer, self.ours, strict=True)]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def of_sums(self) -> float:
        """The ratio of all the peer's time to all of ours."""
        return self.seconds("peer") / self.seconds("ours")

    def seconds(self, side: str) -> float:
        runs: list[Run] = getattr(self, side)
        return sum(run.seconds for run in runs)

    def peaks(self) -> tuple[int | None, int | None]:
        """The highest peak memory of each side, in bytes."""
        return _highest(self.peer), _highest(self.ours)

    def add(self, peer: Callable[[], Any], ours: Callable[[], Any], clock: Clock) -> tuple[Any, Any]:
        """Run both sides once more, the one first that was second before; their answers."""
        if len(self.peer) % 2 == 0:
            first, second = clock.run(peer), clock.run(ours)
        else:
            second, first = clock.run(ours), clock.run(peer)
        self.peer.append(first)
        self.ours.append(second)
        return first.answer, second.answer

    def forget_answers(self) -> None:
        """Let go of what was answered so far, so that it takes no memory in the next runs."""
        for runs in (self.peer, self.ours):
            runs[:] = [Run(run.seconds, run.peak, None) for run in runs]

    def words(self) -> str:
        """The median ratio and its range."""
        return spread_words(self.median, self.ratios, "pair")

    def sum_words(self) -> str:
        """The ratio of the sums over the steps, and the range over them."""
        return spread_words(self.of_sums, self.ratios, "step")


def spread_words(value: float, ratios: list[float], unit: str) -> str:
    """`18.3x (17.9 to 18.8, 3 pairs)`."""
    count = f"{len(ratios)} {unit}{'s' if len(ratios) > 1 else ''}"
    return f"{value:.1f}x ({min(ratios):.1f} to {max(ratios):.1f}, {count})"


def in_turn(peer: Callable[[], Any], ours: Callable[[], Any], times: int, clock: Clock) -> Pairs:
    """Both sides run `times` times, in turn; of their answers only the last stay alive."""
    pairs = Pairs()
    for _ in range(times):
        pairs.forget_answers()
        pairs.add(peer, ours, clock)
    return pairs


class Clock:
    """Times calls on one device."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"

    def run(self, call: Callable[[], Any]) -> Run:
        """Time one call, rubbish collected before and the GPU's work done after."""
        gc.collect()
        self._wait()
        self._forget_peak()
        began = time.perf_counter()
        answer = call()
        self._wait()
        seconds = time.perf_counter() - began
        return Run(seconds, self._peak(), answer)

    def _wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def _forget_peak(self) -> None:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            forget_peak_memory()

    def _peak(self) -> int | None:
        return torch.cuda.max_memory_allocated() if self.cuda else peak_memory()


def forget_peak_memory() -> None:
    """Let the peak of this process's memory begin anew at what it holds now; where the system cannot, the peak stays.

    5 is what proc(5) asks for.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory() -> int | None:
    """The peak of this process's resident memory in bytes; None where the system does not tell.

    `resource.getrusage` would tell too, but on Linux a child inherits there what its parent had.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)


def _highest(runs: list[Run]) -> int | None:
    return max((run.peak for run in runs if run.peak is not None), default=None)
