"""Decoding of captions for models whose code is here: every image read once, every token computed once.

captioner   what captioners that are decoded here share
text_model  what a text decoder must do: the protocol, and attention over stored keys and values
caches      the keys and values of texts in progress
decoder     greedy search and sampling, many texts about each image
beams       beam search
likeliest   the likeliest caption, by whichever of the two the options ask for
sampler     many different captions of an image
"""
