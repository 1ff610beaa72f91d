"""From an image to a prompt: captioner, encoder, banks and search put together."""

from .interrogator import Interrogator
from .loader import load
from .results import Interrogation, Mode, RankedPhrase
from .templates import assemble

__all__ = ["Interrogation", "Interrogator", "Mode", "RankedPhrase", "assemble", "load"]
