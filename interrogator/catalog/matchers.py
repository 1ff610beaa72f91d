"""The known matchers."""

from __future__ import annotations

from .kinds import KnownModel
from .licences import BSD

_BLIP_BASE = "Salesforce/blip-itm-base-coco"
_BLIP_LARGE = "Salesforce/blip-itm-large-coco"

MATCHERS: tuple[KnownModel, ...] = (
    KnownModel(_BLIP_BASE, "matcher", "blip", "BLIP ITM base", _BLIP_BASE, 895, BSD, "filters captions, fast"),
    KnownModel(_BLIP_LARGE, "matcher", "blip", "BLIP ITM large", _BLIP_LARGE, 1_780, BSD, "filters captions"),
)
