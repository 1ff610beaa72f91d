"""Where pictures come from: folders, Hugging Face imagefolders, webdataset tars, parquet files and lists of paths."""

from .kinds import KINDS, Kind, open_source
from .source import Source, picture_extensions, stem, stem_collisions

__all__ = ["KINDS", "Kind", "Source", "open_source", "picture_extensions", "stem", "stem_collisions"]
