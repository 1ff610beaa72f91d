"""One text file for all captions: Hugging Face's metadata.jsonl, kohya's json and jsonl, csv."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from tempfile import TemporaryFile
from typing import IO

from ..records import Item
from ..sources.source import is_picture, stem
from .existing_rows import LineRows, MemoryRows, Row, Rows, csv_file_rows, json_object_rows
from .target import is_utf8
from .text_table import TextTable


class MetadataJsonl(TextTable):
    """metadata.jsonl of `datasets.load_dataset("imagefolder")`: the same columns of the same kinds in every row.

    With `several`, or where some picture has several captions, the caption of every row is a list of strings;
    diffusers' training scripts pick one at random. `tags` is a list of strings, where the run had a tagger; `texts` are
    those for the encoders of an image model, where it has several.
    """

    lists = True
    has_tags = True

    def _load(self) -> Rows:
        usual = MetadataJsonl.name_column
        return LineRows(self._file, self.name_column, usual if self.name_column != usual else "")

    def _dump(self, file: IO[bytes], rows: Iterable[tuple[str, Row]], columns: Sequence[str]) -> None:
        as_lists = self._several or self._column in self._rows().lists or self._shared.has_lists
        has_texts = False
        for name, row in rows:
            value = row.get(self._column)
            if as_lists and isinstance(value, str):
                row[self._column] = [value]
            elif isinstance(value, list) and not as_lists:
                as_lists = True
                if has_texts:
                    self._list_texts(file)
            has_texts = has_texts or isinstance(value, str)
            cells = {column: row.get(column, self._shared.empty.get(column)) for column in columns}
            file.write(self._line({self.name_column: name, **cells} if name else cells))

    def _list_texts(self, file: IO[bytes]) -> None:
        """Make lists of the captions that were written as texts: a column is of one kind."""
        with TemporaryFile() as written:
            file.flush()
            with open(file.name, "rb") as before:
                shutil.copyfileobj(before, written)
            written.seek(0)
            file.seek(0)
            file.truncate()
            for line in written:
                row = json.loads(line)
                value = row.get(self._column)
                row[self._column] = [value] if isinstance(value, str) else value
                file.write(self._line(row))


class KohyaTable(TextTable):
    """What kohya's two forms share: names have their extension, for its loader joins them to image_dir and opens that.

    Names are relative to the source's folder (give that as image_dir), or whole paths where pictures are elsewhere or
    in several folders. A row that is there keeps its name, whether that is relative or whole, for other files name
    pictures by it; but one that older scripts named without extension gets it. No image_size is written: the loader
    reads it from the file as it stores it, while ours is of the upright picture.
    """

    def _name(self, item: Item) -> tuple[str, str]:
        whole = self._names.whole(item)
        is_below = self._names.are_of_one_folder and bool(self._names.below(item))
        if whole and self._names.style != "key" and not is_below:
            return whole, "" if is_utf8(whole) else "its name is not UTF-8"
        return self._names.of(item)

    def _spellings(self, item: Item) -> Sequence[str]:
        spellings = [self._name(item)[0], self._names.whole(item) or item.key, item.key]
        return [*spellings, *map(stem, spellings)]

    def _spelled(self, name: str, spelling: str) -> str:
        return spelling if is_picture(spelling) else name


class KohyaJson(KohyaTable):
    """`{"a.jpg": {"caption": …}, …}`; the file that was there is read into memory."""

    def _load(self) -> Rows:
        return json_object_rows(self._file)

    def _dump(self, file: IO[bytes], rows: Iterable[tuple[str, Row]], columns: Sequence[str]) -> None:
        before = b"{\n"
        for name, row in rows:
            file.write(before + self._json(name) + b": " + self._json(row))
            before = b",\n"
        file.write(b"\n}\n" if before != b"{\n" else b"{}\n")


class KohyaJsonl(KohyaTable):
    """`{"image_path": "a.jpg", "caption": …}` a line."""

    name_column = "image_path"

    def _load(self) -> Rows:
        return LineRows(self._file, self.name_column)

    def _dump(self, file: IO[bytes], rows: Iterable[tuple[str, Row]], columns: Sequence[str]) -> None:
        for name, row in rows:
            file.write(self._line({self.name_column: name, **row} if name else row))


class Csv(TextTable):
    """A header and a row for each picture, every cell in quotes; the file that was there is read into memory."""

    def _load(self) -> MemoryRows:
        return csv_file_rows(self._file, self.name_column)

    def _dump(self, file: IO[bytes], rows: Iterable[tuple[str, Row]], columns: Sequence[str]) -> None:
        columns = list(dict.fromkeys(columns))
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([self.name_column, *columns])
        for name, row in rows:
            writer.writerow([name, *("" if row.get(column) is None else row[column] for column in columns)])
        text.flush()
        text.detach()
