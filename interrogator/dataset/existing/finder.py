"""Finds what a dataset says of a picture already: in the target, in its source, or in files beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...dataset_choices import TARGETS
from ...errors import RequestError
from ..records import Item
from ..sources import Source
from ..targets import Target, open_target
from ..targets.sidecars import SIDECAR_ENDINGS, SidecarTarget, read_sidecar
from .tables import caption_column
from .texts import ExistingText

logger = logging.getLogger("interrogator")


class ExistingTexts:
    """The texts that the pictures of a run have already.

    What stands in the target comes first, for that is what a run would change; then what the source says of the
    picture: the members beside it in a tar, a column of its table, the metadata of its folder; then a .txt or .caption
    file beside it, and last the other tables that captions of these pictures are usually in: captions.csv,
    meta_cap.json, meta_cap.jsonl and captions.parquet in the source's folder, captions.json in any. Only the target's
    own is ever changed.
    """

    def __init__(self, sources: Sequence[Source], target: Target) -> None:
        self._sources = sources
        self._target = target
        is_beside = isinstance(target, SidecarTarget) and target.is_beside
        # Of one whose files are beside the pictures `existing` has looked at them.
        self._endings = [end for end in SIDECAR_ENDINGS if not (is_beside and end == f".{target.kind}")]
        self._tables: dict[int, list[Target]] = {}

    def of(self, item: Item) -> ExistingText | None:
        """The text of an item; None if there is none."""
        raw = self._target.existing(item)
        if raw is not None:
            is_file = self._target.kind in ("txt", "caption")
            return ExistingText(raw, self._target.captions(item), in_target=True, is_file=is_file)
        if item.caption is not None:
            is_file = self._sources[item.source].kind == "webdataset"
            return ExistingText("\n".join(item.captions) or item.caption, item.captions, is_file=is_file)
        return self._beside(item) or self._in_tables(item)

    def _beside(self, item: Item) -> ExistingText | None:
        source, blank = self._sources[item.source], None
        for ending in self._endings:
            path = source.sidecar(item, ending)
            raw = None if path is None else read_sidecar(path)
            if raw is None:
                continue
            found = ExistingText(raw, is_file=True)
            if found.text:
                return found
            blank = blank or found
        return blank

    def _in_tables(self, item: Item) -> ExistingText | None:
        if item.source not in self._tables:
            self._tables[item.source] = _tables_of(self._sources[item.source], self._target)
        for table in self._tables[item.source]:
            raw = table.existing(item)
            if raw is not None:
                return ExistingText(raw, table.captions(item))
        return None


def _tables_of(source: Source, target: Target) -> list[Target]:
    """The tables in a source's folder that our targets write there, the run's own and metadata.jsonl aside.

    That one is the source's: whoever asks for a plain folder wants it passed over.
    """
    found: list[Target] = []
    if source.folder is None or source.containers:
        return found
    own = {path.absolute() for path in target.files()}
    kinds = [
        (kind, caption_column(path))
        for kind, row in TARGETS.items()
        if row.file and kind != "jsonl" and (path := source.folder / row.file).absolute() not in own and path.is_file()
    ]
    for kind, column in [*kinds, *([("captions-json", "text")] if target.kind != "captions-json" else [])]:
        try:
            table = open_target(kind, None, [source], column)
        except RequestError as error:  # somebody else's file of the same name
            logger.warning("%s; captions in it are not read", error)
            continue
        if table.files():
            found.append(table)
    return found
