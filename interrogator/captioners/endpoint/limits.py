"""How long an endpoint is waited for, and how much it is asked at once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import RequestError

IN_FLIGHT = "INTERROGATOR_ENDPOINT_REQUESTS"
TIMEOUT = "INTERROGATOR_ENDPOINT_TIMEOUT"
PATIENCE = "INTERROGATOR_ENDPOINT_PATIENCE"


@dataclass(frozen=True)
class Limits:
    """Limits for requests to one server. Invalid values raise RequestError on construction.

    Attributes:
        in_flight: requests at a time.
        timeout: minutes for one answer. A large model on a CPU that serves one request after the other takes several.
        patience: minutes for which a request is repeated while the server is busy, loads a model or restarts.
    """

    in_flight: int = 4
    timeout: float = 10.0
    patience: float = 2.0

    def __post_init__(self) -> None:
        if isinstance(self.in_flight, bool) or not isinstance(self.in_flight, int) or not 1 <= self.in_flight <= 256:
            raise RequestError(f"in_flight must be an integer from 1 to 256, got {self.in_flight!r}")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise RequestError(f"timeout must be a number of minutes above 0, got {self.timeout!r}")
        if not (math.isfinite(self.patience) and self.patience >= 0):
            raise RequestError(f"patience must be a number of minutes of at least 0, got {self.patience!r}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """The limits that the user has set; see the constants above.

        Raises RequestError: a value is no number; names the variable.
        """
        try:
            return cls(
                int(environment.get(IN_FLIGHT) or cls.in_flight),
                float(environment.get(TIMEOUT) or cls.timeout),
                float(environment.get(PATIENCE) or cls.patience),
            )
        except (ValueError, RequestError) as error:
            names = f"{IN_FLIGHT}, {TIMEOUT} and {PATIENCE}"
            raise RequestError(f"one of the environment variables {names} is wrong: {error}") from error
