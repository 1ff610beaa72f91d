"""CoCa (arXiv 2205.01917): a model of open_clip that embeds images and texts, and also writes captions.

captioner     CocaCaptioner: images in, captions out
files         finds the parts of a CoCa by its names in open_clip
text_decoder  its text tower and decoder as captions are decoded with them
"""
