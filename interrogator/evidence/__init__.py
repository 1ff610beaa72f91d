"""Evidence: how sure we are that a phrase is true of an image, a probability that means the same for every bank.

calibration       Calibration: an encoder's similarities made into odds, learned from captions of reference images
calibration_file  a calibration on disk
logistic          logistic regression, in NumPy
phrase_evidence   PhraseEvidence: the odds of every phrase of a table, and how many to accept
selection         which of the phrases that hold a prompt states, and in which order
words             what a caption claims, and words that exclude each other
"""

from __future__ import annotations

from .calibration import MAX_REFERENCES, MIN_REFERENCES, Calibration
from .calibration_file import load_calibration, save_calibration
from .phrase_evidence import PhraseEvidence, probabilities
from .selection import Held, in_order, select
from .words import claims_of

__all__ = [
    "MAX_REFERENCES",
    "MIN_REFERENCES",
    "Calibration",
    "Held",
    "PhraseEvidence",
    "claims_of",
    "in_order",
    "load_calibration",
    "probabilities",
    "save_calibration",
    "select",
]
