"""RAM++ (arXiv 2310.15200): English tags of photographs.

tagger      RamTagger: images in, tags out
files       finds weights, tag list and thresholds
checkpoint  from those files to a complete network, or an error
weights     the tensors of a weights file, one at a time
network     Swin trunk and tagging head
"""
