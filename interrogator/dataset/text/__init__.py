"""What a caption goes through before it is written: strings only, no models.

Importing this loads no torch; a template of one's own and a strip list do when they are used.
"""

from .policy import Policy, merged
from .rendering import FLAGS, Worded, choose, worded
from .rules import OWN_NAMES, Wording
from .words import holds, repeated, split_words, tidy

__all__ = [
    "FLAGS",
    "OWN_NAMES",
    "Policy",
    "Worded",
    "Wording",
    "choose",
    "holds",
    "merged",
    "repeated",
    "split_words",
    "tidy",
    "worded",
]
