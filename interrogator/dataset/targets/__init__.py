"""Where captions go: files beside the pictures, tables that trainers read, or tars parallel to the pictures'.

opener         from a kind and an address to a target; start here
target         what every target is, and what a picture is called in it
sidecars       a caption file beside each picture
text_tables    metadata.jsonl, kohya's json and jsonl, csv
existing_rows  the rows of such a table that is there already
captions_json  lists of captions, a file in each folder
parquet        one parquet file with everything that is known of each picture
webdataset     tars parallel to those of the pictures
"""

from .opener import open_target
from .target import Rejected, Target, text_of

__all__ = ["Rejected", "Target", "open_target", "text_of"]
