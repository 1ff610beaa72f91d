"""Encoders turn images and texts into vectors of one space: the protocol, and any open_clip model behind it."""

from .open_clip_encoder import OpenClipEncoder
from .protocol import Encoder
from .sources import locate

__all__ = ["Encoder", "OpenClipEncoder", "locate"]
