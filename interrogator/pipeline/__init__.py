"""From an image to a prompt: models, banks and search combined.

interrogator    Interrogator: read images, compose prompts
image_reader    what the models say of images
composer        a prompt out of a reading, in the way of a mode
interrogation   Interrogation and RankedPhrase: the result
checks          captions checked against images
prompt_builder  the modes that search for phrases
precise         the mode that states what is most likely true
negative        the mode that names what is not, and common faults
completion      the phrases that a caption lacks
holding         which phrases hold for an image, by evidence
survey          what many pictures share, and what each has of its own
calibrations    learning, keeping and using what an encoder's similarities are worth
remembered      references from the images that are read
phrase_table    the phrases of all banks with their embeddings
scorer          similarities of texts with one image, exact in float32
templates       prompts from custom templates
loader          load an Interrogator by preset
"""

from .interrogation import Interrogation, RankedPhrase
from .interrogator import Interrogator
from .loader import load
from .survey import Compared, SharedPhrase, Survey
from .templates import assemble

__all__ = ["Compared", "Interrogation", "Interrogator", "RankedPhrase", "SharedPhrase", "Survey", "assemble", "load"]
