"""From an image to a prompt: models, banks and search put together.

interrogator    Interrogator: read images, compose prompts
interrogation   what an interrogation answers
prompt_builder  the modes that search phrases
phrase_table    the phrases of all banks beside their embeddings
scorer          similarities of texts with one image, exact in float32
templates       prompts by a template of one's own
loader          an Interrogator by preset
"""

from .interrogation import Interrogation, RankedPhrase
from .interrogator import Interrogator
from .loader import load
from .templates import assemble

__all__ = ["Interrogation", "Interrogator", "RankedPhrase", "assemble", "load"]
