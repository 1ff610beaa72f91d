"""Peaks of Python's memory in runs of different sizes; started by test_dataset_runs in a process of its own.

    python -m tests.library.run_memory FOLDER

Prints them as JSON, in bytes by number of pictures. A process of its own, because `pathlib` interns names of files and
the interpreter's table of interned strings grows by megabytes at a time: in a process that holds many strings, those
megabytes would count as the run's.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import tracemalloc
from pathlib import Path

from PIL import Image

from tests.library.stand_in import StandIn, count, names, run


def peak(folder: Path, number: int) -> int:
    """The most memory that a run over so many pictures holds at a time."""
    rng = random.Random(0)
    for name in names(number):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        Image.frombytes("L", (9, 8), rng.randbytes(72)).save(folder / name)
    gc.collect()
    tracemalloc.start()
    run(folder, shard_size=64).work(StandIn, count)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


if __name__ == "__main__":
    home = Path(sys.argv[1])
    peak(home / "first", 100)  # what is imported and cached at first use is nobody's picture
    sys.stdout.write(json.dumps({number: peak(home / str(number), number) for number in (1_000, 10_000)}))
