"""What a caption goes through before it is written: strings only, no models.

Importing this loads no torch; a template of one's own and a strip list do when they are used.
"""

from .policy import Policy, apply_policy
from .rendering import FLAGS, RenderedText, choose, render
from .rules import OWN_NAMES, CaptionRules
from .words import holds, repeated, split_words, tidy

__all__ = [
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
