"""Matchers say whether a text belongs to an image: `blip`."""
