"""Trainers read what we write; `TRAINERS_PATH` says where checkouts of them are, and without it that is skipped.

TRAINERS_PATH: a folder with the checkouts, each under the name of its repository: sd-scripts, OneTrainer and mgds,
    SimpleTuner, ai-toolkit, musubi-tuner, diffusion-pipe, diffusers, DiffSynth-Studio, EveryDream2trainer, taggui,
    finetrainers. One that is missing is skipped. A folder `site` in it holds packages that they import and this
    environment lacks: attrs, pyyaml, toml, voluptuous, imagesize.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_WHY_SKIPPED = (
    "set TRAINERS_PATH to a folder with checkouts of the trainers to run these; see tests/trainers/conftest.py"
)


@pytest.fixture(scope="session")
def clones() -> Path:
    """The folder with the checkouts."""
    if not os.environ.get("TRAINERS_PATH"):
        pytest.skip(_WHY_SKIPPED)
    return Path(os.environ["TRAINERS_PATH"]).expanduser().resolve()
