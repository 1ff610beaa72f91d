"""Which processes caption the shards of a run: this one, several of this machine, or workers of Ray."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..dataset import Settings
from ..dataset.captioning.loader import Loader
from ..errors import RequestError

if TYPE_CHECKING:
    from ..dataset.captioning.models import Models
    from ..dataset.run import Engine


def start_engine(args: argparse.Namespace, announce: Callable[[str], None]) -> Engine | None:
    """The engine that `--engine` names; None is this process.

    Args:
        announce: called once, with a line that says who works.

    Raises:
        RequestError: Ray is not installed, or an option does not go with it.
    """
    if args.engine == "local":
        return None
    if args.rank is not None or args.world_size is not None:
        raise RequestError("--engine ray assigns shards itself: drop --rank and --world-size")
    from ..dataset.engines.ray import RayWorkers  # only now: it brings in Ray

    return RayWorkers(args.workers, announce)


def process_count(args: argparse.Namespace) -> int:
    """How many processes of this machine work: as many as `--workers` says, or one for each GPU, or one.

    Raises:
        RequestError: the user starts processes, and wants some started, too.
    """
    if args.rank is not None and args.workers is not None:
        raise RequestError("choose one: --workers starts processes here, --rank is for processes that you start")
    if args.workers is not None:
        return int(args.workers)
    return max(1, gpu_count()) if args.device == "auto" and may_have_several_gpus() else 1


def gpu_count() -> int:
    """The number of NVIDIA or AMD GPUs that torch finds."""
    import torch  # takes a second, so see `may_have_several_gpus`

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def may_have_several_gpus() -> bool:
    """Whether asking torch is worth its time; on Linux the drivers' device files tell."""
    return not sys.platform.startswith("linux") or os.path.exists("/dev/nvidia1") or os.path.exists("/dev/kfd")


def loader(args: argparse.Namespace, settings: Settings) -> Loader:
    """Loads the models of a Ray worker; nobody is there to ask, so only `--download` downloads."""
    return Loader(partial(_load, settings, args.device, args.download, args.cache_dir, args.references))


def loader_of(args: argparse.Namespace, settings: Settings, rank: int) -> Loader:
    """Loads the models of process `rank` of this machine; see `device_of`."""
    device = device_of(args.device, rank)
    return Loader(partial(_load, settings, device, args.download, args.cache_dir, args.references))


def device_of(name: str, local_rank: int) -> str:
    """The device of one of several processes, by its rank on the machine: a GPU of its own unless one was asked for.

    Raises:
        DeviceError: this machine has no such device.
    """
    from ..devices import choose_device

    count = gpu_count() if name == "auto" else 0
    return str(choose_device(f"cuda:{local_rank % count}" if count > 1 else name))


def _load(
    settings: Settings,
    device: str,
    download: bool,
    cache_dir: Any,
    references: bool | None,
    only: frozenset[str] | None,
) -> Models:
    from ..dataset.captioning.models import Models  # only in the worker: it brings in torch

    return Models.load(settings, device, download, cache_dir, only=only, references=references)
