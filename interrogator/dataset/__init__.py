"""Captioning whole datasets: sources in, captions where a trainer looks for them, and a report on them.

run              Run: plan, caption, write, report; start here
settings         Settings: everything that decides what is written
stored_settings  settings as run.json holds them, and the digest that names a run
records          Item and Record: a picture when it is found, and when it is done
recording        from what the models say to records
existing         what a dataset says of a picture already
worker           the work of one process, shard by shard
preview          what a run would do, counted
in_hand          shards that a writer has in hand at a time
survey           the first pass of a run that compares pictures
rounds           the same run again when it is finished
finish           tables, findings and report of a whole run
triggers         which trigger a picture gets
context          everything that a run works with
progress         how far a run is
sources          where pictures come from
captioning       from pictures to the models' texts
text             rules for texts
editing          captions that are there, edited without a model
targets          where captions go
state            what a run keeps on disk
engines          runs in several processes
review           findings and report
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engines.processes import work_in_processes
from .finish import Summary
from .records import Item, Record
from .rounds import next_round
from .run import Run
from .settings import Settings
from .sources.selection import LeftOut, Selection
from .targets import TRAINERS, TargetOptions, written_for
from .text import CaptionRules
from .text.token_count import count_tokens
from .triggers import read_triggers

if TYPE_CHECKING:
    from .captioning.models import Models

__all__ = [
    "Item",
    "LeftOut",
    "Models",
    "Record",
    "Run",
    "Selection",
    "Settings",
    "Summary",
    "TRAINERS",
    "TargetOptions",
    "written_for",
    "CaptionRules",
    "count_tokens",
    "next_round",
    "read_triggers",
    "work_in_processes",
]


def __getattr__(name: str) -> Any:
    if name == "Models":  # brings in torch, which a finished run does without
        from .captioning.models import Models

        return Models
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
