"""How sure we are that a text is true of an image, and which pieces of a caption are.

claims       split_claims: a caption or tag list as claims
pieces       text cut at its punctuation
claim_words  the words that the splitting goes by
"""

from .claims import ClaimText, split_claims

__all__ = ["ClaimText", "split_claims"]
