"""BLIP (arXiv 2201.12086): a vision tower encodes the image, a text decoder writes about it.

model            what every BLIP shares
captioner        BlipCaptioner: images in, captions out
checkpoint       from a folder to a complete model and its processor, or an error
vision           images to states of the vision tower
text_layers      the text transformer, with the image's keys and values computed once
text_decoder     the text decoder as captions are decoded with it
forbidden_words  words that are never generated
"""
