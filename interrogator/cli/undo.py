"""`--undo` of the commands that write captions."""

from __future__ import annotations

import argparse

from ..dataset import Run
from .terminal import printable, put_json, say


def undo(args: argparse.Namespace) -> int:
    """Put captions back as they were before the run in the folder `args.undo`. Returns the exit status."""
    left = Run.reopened(args.undo).undo()
    if args.json:
        rows = [{"key": printable(each.key), "reason": each.reason} for each in left]
        put_json({"run": printable(args.undo), "left": rows})
        return 1 if left else 0
    for each in left:
        say(f"interrogator: {printable(each.key)}: {each.reason}")
    say(f"undone, except for {len(left)} captions" if left else "undone: every caption is as it was before the run")
    return 1 if left else 0
