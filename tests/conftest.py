"""What holds for all tests: no property fails because the machine is busy."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# `too_slow` is a timed assertion, too. A fixture that lives as long as the test is meant wherever a property has one.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("untimed")
