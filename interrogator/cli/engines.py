"""Who captions the shards of a run: this process, or workers of Ray."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..dataset import Settings
from ..errors import RequestError
from .terminal import say

if TYPE_CHECKING:
    from ..dataset.captioning import Models
    from ..dataset.running import Engine


def engine_of(args: argparse.Namespace) -> Engine | None:
    """What `--engine` names; None is this process.

    Raises:
        RequestError: Ray is not installed, or an option goes with another engine only.
    """
    if args.engine == "local":
        if args.workers is not None:
            raise RequestError("--workers goes with --engine ray; processes of your own have --rank and --world-size")
        return None
    if args.rank is not None or args.world_size is not None:
        raise RequestError("--engine ray gives the shards out itself, so --rank and --world-size do not go with it")
    from ..dataset.ray_engine import RayWorkers  # only now: it brings in Ray

    return RayWorkers(args.workers, say)


def loader(args: argparse.Namespace, settings: Settings) -> Callable[[], Models]:
    """What each worker loads its models with; a worker has nobody to ask, so only `--download` downloads."""
    return partial(_load, settings, args.device, args.download, args.cache_dir)


def _load(settings: Settings, device: str, download: bool, cache_dir: Any) -> Models:
    from ..dataset.captioning import Models  # only in the worker: it brings in torch

    return Models.load(settings, device, download, cache_dir)
