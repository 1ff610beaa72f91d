"""Taggers say which words of a fixed vocabulary are true of an image: `selection` of those that hold."""

from .selection import CHARACTER_THRESHOLD, THRESHOLD, select_tags

__all__ = ["CHARACTER_THRESHOLD", "THRESHOLD", "select_tags"]
