"""Calibrate the demo encoder on creatures: `python -m interrogator.demo.calibrate` writes the file beside its weights.

The references are creatures that were neither trained on nor measured, with the demo captioner's own words.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import ENCODER_DIR

FIRST_SEED = 3_000_000
"""First seed of the references; the measurement starts at 2,000,000 and the training at 10,000,000."""
COUNT = 400


def calibrate(folder: Path = ENCODER_DIR, count: int = COUNT) -> Path:
    """Write the calibration of the demo encoder to a folder and return the file."""
    from ..evidence import save_calibration
    from ..pipeline import load
    from .creatures import creature

    ci = load("demo", tagger="none", device="cpu")
    ci.cache = None  # nothing of the user's changes
    images = [creature(FIRST_SEED + number, only_held_out=False)[0] for number in range(count)]
    return save_calibration(folder, ci.calibrate(images))


def main() -> None:
    """Read the argument and calibrate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ENCODER_DIR, help="folder to write the file into")
    sys.stdout.write(f"{calibrate(parser.parse_args().out)}\n")


if __name__ == "__main__":
    main()
