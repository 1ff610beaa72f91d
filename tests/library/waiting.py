"""Waiting for an event in a test, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

LAST_RESORT = 600.0
"""Seconds after which a test gives up waiting."""


def wait_until(happened: Callable[[], bool], what: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Wait for an event that `happened` notices; `meanwhile` is called again and again, and may raise to end it."""
    end = time.monotonic() + LAST_RESORT
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {LAST_RESORT:.0f} seconds: {what}")
        meanwhile()
        time.sleep(0.02)
