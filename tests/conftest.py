"""What holds for all tests: one thread each; no property fails because the machine is busy or the dice fell badly."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Before torch is loaded, and for the processes that tests start: small models are fastest on one thread, and tests that
# run beside others should not fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `too_slow` is a timed assertion, too. A fixture that lives as long as the test is meant wherever a property has one.
_UNTIMED = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], print_blob=True
)
# Every run of the suite draws the same examples, so that it says of a change what it said before. New ones, and
# many more of them, are drawn with INTERROGATOR_HYPOTHESIS=fuzz.
settings.register_profile("same", _UNTIMED, derandomize=True)
settings.register_profile("fuzz", _UNTIMED, max_examples=int(os.environ.get("INTERROGATOR_EXAMPLES", "2000")))
settings.load_profile(os.environ.get("INTERROGATOR_HYPOTHESIS", "same"))
