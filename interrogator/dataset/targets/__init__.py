"""Where captions go: files beside the pictures, tables that trainers read, or tars parallel to the pictures'.

opener         from a kind and an address to a target; start here
target         what every target is, and what a picture is called in it
options        how targets write what they write
trainers       what each trainer reads, and so what is written for it
reach          whether readers find the pictures by their names
placed         names of pictures that the run brings to the captions
sidecars       a caption file beside each picture
link_check     links that are not written through
text_table     what tables that are text files share
text_tables    metadata.jsonl, kohya's json and jsonl, csv
metadata_tables  metadata.jsonl or metadata.csv, one in each split of a folder
existing_rows  the rows of such a table that is there already
captions_json  lists of captions, a file in each folder
parquet        one parquet file with everything that is known of each picture
repack         tars with pictures and captions
webdataset     tars parallel to those of the pictures
"""

from .opener import open_target
from .options import TargetOptions
from .placed import PlacedNames
from .reach import check_reach
from .target import Rejected, Target, text_of
from .trainers import TRAINERS, Written, written_for

__all__ = [
    "TRAINERS",
    "PlacedNames",
    "Rejected",
    "Target",
    "TargetOptions",
    "Written",
    "check_reach",
    "open_target",
    "text_of",
    "written_for",
]
