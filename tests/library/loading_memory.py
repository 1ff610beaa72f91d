"""The most memory that loading a model takes; started by test_loading_memory in a process of its own.

    python -m tests.library.loading_memory ROLE SMALL LARGE DTYPE

Loads SMALL first, so that what is imported and made at first use is nobody's weights, then LARGE. Prints JSON: the
bytes of its weights, the peak of resident memory meanwhile above what there was before, and that of private memory.
Resident memory includes what was read of files that are mapped into memory; the system takes that back when it needs
to, so it is no second copy. Linux has no peak of private memory: a thread looks at it again and again.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch

from interrogator.registry import load_model


def main(role: Any, small: str, large: str, dtype: str) -> None:
    """Load both and print what the second took."""
    torch.set_num_threads(1)
    load_model(role, small, device="cpu", dtype=dtype)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew, see proc(5)
    resident, private = _bytes("VmRSS"), _bytes("RssAnon")
    most, done = [private], Event()

    def watch() -> None:
        while not done.wait(0.002):
            most[0] = max(most[0], _bytes("RssAnon"))

    watching = Thread(target=watch)
    watching.start()
    model = load_model(role, large, device="cpu", dtype=dtype)
    done.set()
    watching.join()
    most[0] = max(most[0], _bytes("RssAnon"))
    module: Any = model.module
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in module.parameters()}
    found = {"weights": sum(storages.values()), "resident": _bytes("VmHWM") - resident, "private": most[0] - private}
    sys.stdout.write(json.dumps(found))


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
