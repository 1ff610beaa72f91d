"""From an image to a prompt: captioner, encoder, banks and search put together."""

from .assembling import assemble
from .interrogator import Interrogator
from .loading import load
from .results import Interrogation, Mode, RankedPhrase

__all__ = ["Interrogation", "Interrogator", "Mode", "RankedPhrase", "assemble", "load"]
