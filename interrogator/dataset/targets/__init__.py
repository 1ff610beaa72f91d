"""Where captions go: files beside the pictures, tables that trainers read, or tars parallel to the pictures'."""

from .kinds import KINDS, Kind, open_target
from .target import Rejected, Target, text_of

__all__ = ["KINDS", "Kind", "Rejected", "Target", "open_target", "text_of"]
