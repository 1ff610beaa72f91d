"""Where pictures come from: folders, Hugging Face imagefolders, webdataset tars, parquet files and lists of paths.

opener       from an address to a source, by looking at what is there; start here
source       what every source is, and how a name becomes a key
captions     what a source says of its pictures
folder       a folder of pictures
imagefolder  a folder with Hugging Face's metadata files
webdataset   tars of samples
parquet      parquet files that hold or name pictures
path_list    a text file with one path or URL per line
selection    which pictures a run takes, and what it leaves out
patterns     patterns for keys
companions   masks and controls, by their names
unread       pictures and videos that cannot be read, by their endings
folders      what the folder of a picture says of it
links        the pictures that a table or list names
io/          reading what sources are made of
"""

from .opener import open_source, open_sources
from .source import Source, picture_extensions, stem

__all__ = ["Source", "open_source", "open_sources", "picture_extensions", "stem"]
