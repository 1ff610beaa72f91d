"""Who captions the shards of a run: this process, several of this machine, or workers of Ray."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..dataset import Settings
from ..errors import RequestError

if TYPE_CHECKING:
    from ..dataset.captioning.models import Models
    from ..dataset.run import Engine


def engine_of(args: argparse.Namespace, announce: Callable[[str], None]) -> Engine | None:
    """What `--engine` names; None is this process. `announce` is told, once, who works.

    Raises:
        RequestError: Ray is not installed, or an option goes with another engine only.
    """
    if args.engine == "local":
        return None
    if args.rank is not None or args.world_size is not None:
        raise RequestError("--engine ray gives the shards out itself, so --rank and --world-size do not go with it")
    from ..dataset.engines.ray import RayWorkers  # only now: it brings in Ray

    return RayWorkers(args.workers, announce)


def processes_of(args: argparse.Namespace) -> int:
    """How many processes of this machine work: as many as `--workers` says, or as there are GPUs, or one.

    Raises:
        RequestError: both, processes from here and processes that were started by somebody else.
    """
    if args.rank is not None and args.workers is not None:
        raise RequestError("--workers starts the processes; those of your own have --rank and --world-size")
    if args.workers is not None:
        return int(args.workers)
    return max(1, gpus()) if args.device == "auto" and may_have_several_gpus() else 1


def gpus() -> int:
    """How many GPUs of NVIDIA or AMD torch finds."""
    import torch  # takes a second, so see `may_have_several_gpus`

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def may_have_several_gpus() -> bool:
    """Whether it is worth asking torch; on Linux the drivers' devices tell."""
    return not sys.platform.startswith("linux") or os.path.exists("/dev/nvidia1") or os.path.exists("/dev/kfd")


def loader(args: argparse.Namespace, settings: Settings) -> Callable[[], Models]:
    """What each worker of Ray loads its models with; it has nobody to ask, so only `--download` downloads."""
    return partial(_load, settings, args.device, args.download, args.cache_dir)


def loader_of(args: argparse.Namespace, settings: Settings, rank: int) -> Callable[[], Models]:
    """What process number `rank` of this machine loads its models with; see `device_of`."""
    return partial(_load, settings, device_of(args.device, rank), args.download, args.cache_dir)


def device_of(name: str, number: int) -> str:
    """The device of one of several processes, by its number on its machine: a GPU of its own, if none was asked for.

    Raises DeviceError: no such device here.
    """
    from ..devices import choose_device

    count = gpus() if name == "auto" else 0
    return str(choose_device(f"cuda:{number % count}" if count > 1 else name))


def _load(settings: Settings, device: str, download: bool, cache_dir: Any) -> Models:
    from ..dataset.captioning.models import Models  # only in the worker: it brings in torch

    return Models.load(settings, device, download, cache_dir)
