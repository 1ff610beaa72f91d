"""What is done to a caption before it is written: strings only, no models.

rules        CaptionRules, checked when made
rendering    render: the rules applied to one text; choose: the candidate that keeps them
policy       what happens where a caption exists
words        splitting, finding and tidying words in any script
tags         tags, sections and wildcards of a line, as trainers read them
lines        the lines of a text, each a caption
token_count  CLIP tokens of a text

Importing this loads no torch; a template and a strip list do when they are used.
"""

from .policy import Policy, apply_policy
from .rendering import FLAGS, RenderedText, choose, render
from .rules import COMPARED_NAMES, EVIDENCE_NAMES, OWN_NAMES, CaptionRules
from .words import holds, repeated, split_words, tidy

__all__ = [
    "COMPARED_NAMES",
    "EVIDENCE_NAMES",
    "FLAGS",
    "OWN_NAMES",
    "Policy",
    "RenderedText",
    "CaptionRules",
    "choose",
    "holds",
    "apply_policy",
    "repeated",
    "split_words",
    "tidy",
    "render",
]
