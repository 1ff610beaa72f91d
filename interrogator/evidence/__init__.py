"""Evidence: how sure we are that a phrase or claim is true of an image, a probability that means the same everywhere.

calibration       Calibration: an encoder's similarities made into odds, learned from captions of reference images
calibration_file  a calibration on disk
references        References: the embeddings of pictures and of what their captions claim, to learn from
reference_files   references on disk
logistic          logistic regression, in NumPy
phrase_evidence   PhraseEvidence: the odds of every phrase of a table, and how many to accept
overview          Overview: how many pictures each phrase holds for
selection         which of the phrases that hold a prompt states, and in which order
additions         which phrases add to a caption, and how much
exclusions        words of which one picture has one
words             colours of one thing, and what a caption says already
checking          ClaimChecker: which claims of a caption a picture supports
dropping          a caption without the claims that a picture does not support
claims            split_claims: a caption, prompt or tag list as claims
pieces            text cut at its punctuation
claim_words       the words that the splitting goes by
"""

from __future__ import annotations

from .additions import additions
from .calibration import MAX_REFERENCES, MIN_REFERENCES, Calibration
from .calibration_file import load_calibration, save_calibration
from .checking import SUPPORTED, UNSUPPORTED, Claim, ClaimChecker, Verdict
from .claims import ClaimText, split_claims
from .dropping import without_claims
from .logistic import log_odds
from .overview import COMMON, Overview
from .phrase_evidence import USUAL, PhraseEvidence, probabilities
from .reference_files import ReferenceFolder, clear_references, count_references
from .references import MOST_CLAIMS, References
from .selection import SAME_ANGLE, Held, in_order, select
from .words import claims_of

__all__ = [
    "COMMON",
    "MAX_REFERENCES",
    "MIN_REFERENCES",
    "MOST_CLAIMS",
    "SAME_ANGLE",
    "SUPPORTED",
    "UNSUPPORTED",
    "USUAL",
    "Calibration",
    "Claim",
    "ClaimChecker",
    "ClaimText",
    "Held",
    "Overview",
    "PhraseEvidence",
    "ReferenceFolder",
    "References",
    "Verdict",
    "additions",
    "claims_of",
    "clear_references",
    "count_references",
    "in_order",
    "load_calibration",
    "log_odds",
    "probabilities",
    "save_calibration",
    "select",
    "split_claims",
    "without_claims",
]
