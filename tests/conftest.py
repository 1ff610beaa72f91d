"""What holds for all tests: one thread each, and no property fails because the machine is busy."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Before torch is loaded, and for the processes that tests start: small models are fastest on one thread, and tests that
# run beside others should not fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `too_slow` is a timed assertion, too. A fixture that lives as long as the test is meant wherever a property has one.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("untimed")
