"""Taggers say which words of a fixed vocabulary are true of an image.

selection     which tags hold
tagger        FileTagger: a network and its vocabulary, as any front end uses them
files         which files of a folder make it up
layouts       the families as rows: names of files, how pictures go in, which output to take
pixels        how a picture becomes numbers
preprocess    that as a repository says it, in preprocess.json
vocabulary    what each number of the output means
text_files    reading small files: whole, in UTF-8, or an error that says what to do
timm_network, onnx_network    what computes
"""

from .selection import CHARACTER_THRESHOLD, THRESHOLD, select_tags

__all__ = ["CHARACTER_THRESHOLD", "THRESHOLD", "select_tags"]
