"""Loading models at a terminal: what is missing is downloaded if the user says so."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TypeVar

from ..errors import ModelNotFoundError
from .terminal import Bar, ask, say

T = TypeVar("T")

_WORTH_MENTIONING = 5.0  # seconds


def load_with_consent(args: argparse.Namespace, load: Callable[[bool, Bar], T]) -> T:
    """Run `load(download, progress)`; where files are missing, offer the download to a person at the terminal."""
    if sys.stderr.isatty():
        say("loading models …")
    started = time.monotonic()
    with Bar("downloading", in_bytes=True) as bar, redirect_stdout(None):  # libraries may print while they load
        try:
            loaded = load(args.download, bar)
        except ModelNotFoundError as error:
            if args.download or not ask(f"{error}\nDownload it now?"):
                raise
            loaded = load(True, bar)
    seconds = time.monotonic() - started
    if seconds > _WORTH_MENTIONING:
        say(f"models loaded in {seconds:.0f} s")
    return loaded
