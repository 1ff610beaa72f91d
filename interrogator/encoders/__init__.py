"""Encoders embed images and texts in one vector space.

tokens       token ids from any open_clip tokenizer, without tokenising a text twice
projections  attention projections that stay fast for batches
open_clip/   the family open_clip
"""
