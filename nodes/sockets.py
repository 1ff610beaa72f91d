"""The types of sockets between our nodes."""

from __future__ import annotations

from comfy_api.latest import io

Captioner = io.Custom("INTERROGATOR_CAPTIONER")
"""A `models.HostedCaptioner`."""

Encoder = io.Custom("INTERROGATOR_ENCODER")
"""A `models.HostedEncoder`."""

Banks = io.Custom("INTERROGATOR_BANKS")
"""A list of the library's `PhraseBank`."""
