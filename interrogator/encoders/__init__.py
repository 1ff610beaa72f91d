"""Encoders turn images and texts into vectors of one space.

tokens      token ids with any open_clip tokenizer, and without reading a text twice
open_clip/  the family open_clip
"""
