"""The types of sockets between our nodes."""

from __future__ import annotations

from comfy_api.latest import io

Captioner = io.Custom("INTERROGATOR_CAPTIONER")
"""A `Captioner` of the library as `models.hosted` gives it; so are the next two."""

Tagger = io.Custom("INTERROGATOR_TAGGER")

Encoder = io.Custom("INTERROGATOR_ENCODER")

Banks = io.Custom("INTERROGATOR_BANKS")
"""A list of the library's `PhraseBank`."""
