"""Damaged folders of models: a campaign with a seed, for a test with a small budget and for a long run.

python -m tests.library.damaged_folders [TRIALS] [SEED]
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from interrogator.catalog import Role
from interrogator.errors import InterrogatorError
from interrogator.registry import load_model

from .tiny_checkpoints import WRITERS

_SMALL = (".json", ".txt", ".csv", ".model", ".jinja")
_VALUES = (None, True, -1, 0, 1, 3, 10**6, 10**12, 1e308, "", "x", [], {}, [1, 2], {"a": 1}, "../..", "0" * 300)


def fuzz(trials: int, seed: int, folder: Path) -> list[str]:
    """Load folders that are damaged in one place; returns what ended in anything but a model or one sentence."""
    draw, faults = random.Random(seed), []
    whole = {pair: writer(folder / "-".join(pair)) for pair, writer in WRITERS.items()}
    pairs = sorted(whole)
    for trial in range(trials):
        pair = pairs[trial % len(pairs)]
        damaged = folder / "damaged"
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(whole[pair], damaged)
        done = _damage(damaged, draw)
        try:
            load_model(cast(Role, pair[1]), damaged, device="cpu", dtype="fp32")
        except InterrogatorError as error:
            if "\n" in str(error):
                faults.append(f"{pair} {done}: more than a sentence: {error}")
        except Exception as error:  # noqa: BLE001  what the campaign looks for
            faults.append(f"{pair} {done}: {type(error).__name__}: {error}"[:300])
    return faults


def _damage(folder: Path, draw: random.Random) -> str:
    """Damage one of the small files; returns what was done."""
    path = draw.choice(sorted(each for each in folder.iterdir() if each.suffix in _SMALL))
    if path.suffix == ".json" and draw.random() < 0.6:
        content = json.loads(path.read_text(encoding="utf-8"))
        where: Any = content
        key: Any = None
        while isinstance(where, (dict, list)) and where:
            key = draw.choice(sorted(where)) if isinstance(where, dict) else draw.randrange(len(where))
            if not isinstance(where[key], (dict, list)) or not where[key] or draw.random() < 0.2:
                break
            where = where[key]
        if key is not None:
            where[key] = draw.choice(_VALUES)
            path.write_text(json.dumps(content), encoding="utf-8")
            return f"{path.name}: {key} = {where[key]!r:.40}"
    data = bytearray(path.read_bytes())
    kind = draw.choice(("cut", "flipped", "page", "removed"))
    if kind == "cut":
        del data[draw.randrange(len(data)) :]
    elif kind == "flipped":
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(b"<!doctype html>" if kind == "page" else data)
    if kind == "removed":
        path.unlink()
    return f"{path.name} {kind}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found = fuzz(int((sys.argv[1:2] or ["2000"])[0]), int((sys.argv[2:3] or ["0"])[0]), Path(name))
    sys.stdout.write("\n".join([*found, f"{len(found)} faults\n"]))
    sys.exit(bool(found))
