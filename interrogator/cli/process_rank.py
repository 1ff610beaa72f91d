"""Which of several processes this one is, by options or by what SLURM, torchrun or MPI say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..errors import RequestError

# Variables that hold the rank, the number of processes, and the rank on the machine. SLURM_NTASKS says nothing: a batch
# script has it, too, while its commands run once unless srun starts them.
_VARIABLES = (
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
)


class ProcessRank(NamedTuple):
    """A process: its rank, the number of processes, and its rank among those of its machine; ranks start at 0."""

    rank: int
    world_size: int
    local_rank: int


def find_process_rank(rank: int | None, world_size: int | None, environment: Mapping[str, str]) -> ProcessRank:
    """The rank that the options give, else the environment.

    Raises:
        RequestError: one option without the other, or a rank that is out of range.
    """
    if (rank is None) != (world_size is None):
        raise RequestError("--rank and --world-size go together")
    if rank is not None and world_size is not None:
        found = ProcessRank(rank, world_size, rank)
    else:
        found = _from_environment(environment)
    if not 0 <= found.rank < found.world_size:
        raise RequestError(f"rank {found.rank} is out of range: {found.world_size} processes have ranks from 0")
    return found


def _from_environment(environment: Mapping[str, str]) -> ProcessRank:
    for names in _VARIABLES:
        rank, world_size, local_rank = (environment.get(name, "") for name in names)
        if rank.isdecimal() and world_size.isdecimal():
            return ProcessRank(int(rank), int(world_size), int(local_rank if local_rank.isdecimal() else rank))
    return ProcessRank(0, 1, 0)
