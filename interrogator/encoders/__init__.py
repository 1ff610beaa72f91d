"""Encoders turn images and texts into vectors of one space: the protocol, and any open_clip model behind it."""

from .open_clip.encoder import OpenClipEncoder
from .open_clip.files import locate
from .protocol import Encoder

__all__ = ["Encoder", "OpenClipEncoder", "locate"]
