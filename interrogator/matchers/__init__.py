"""Matchers judge whether a text belongs to an image.

blip  BLIP's image-text matching and contrastive heads
"""
