"""Taggers say which words of a fixed vocabulary are true of an image.

rules         TagRules: which of them are taken, and how they read
selection     the tags that hold for an image
thresholds    from which probability a tag holds; MCut
wording       underscores, kaomoji, patterns of tags

tagger        FileTagger: a network with one output a tag, as any front end uses it
files         which files of a folder, or beside an ONNX file, make it up
layouts       the families as rows: names of files, how pictures go in, which output to take
pixels        how a picture becomes numbers
preprocess    that as a repository says it, in preprocess.json
vocabulary    what each number of the output means
text_files    reading small files: whole, in UTF-8, or an error that says what to do
timm_network, onnx_network    what computes

ram           RAM++, for photographs
"""

from .rules import DEFAULT_RULES, LABELS, SINGLE, TagRules
from .selection import join_tags, label_tags, select_tags
from .thresholds import CHARACTER_THRESHOLD, THRESHOLD

__all__ = [
    "CHARACTER_THRESHOLD",
    "DEFAULT_RULES",
    "LABELS",
    "SINGLE",
    "THRESHOLD",
    "TagRules",
    "join_tags",
    "label_tags",
    "select_tags",
]
