"""What a caption goes through before it is written: strings only, no models.

Importing this loads no torch; a template of one's own and a strip list do when they are used.
"""

from .merging import Policy, merged
from .splitting import holds, repeated, split_words, tidy
from .wording import OWN_NAMES, Wording
from .writing import FLAGS, Worded, choose, worded

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
