"""Taggers say which words of a fixed vocabulary are true of an image: `selection` of those that hold."""

from .selection import select_tags

__all__ = ["select_tags"]
