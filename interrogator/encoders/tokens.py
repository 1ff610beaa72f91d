"""Token ids with any open_clip tokenizer, without naming a context length or a padding id, and without reading twice.

Text that follows a comma and a space is tokenised alike whatever stands before it, as long as cleaning the text does
not reach across. So the ids of a prompt and a phrase are those of the prompt, its comma and the phrase in a row, and
a phrase is read once however many prompts it is tried behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..embeddings import TOKENIZER_PROBES, tokenizer_digest
from ..prompts import SEPARATOR, join
from ..threads import Lazy, Lock

Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]

# Printable ASCII less `&` (entities such as `&amp;`), `<` and `[` (control words such as `<end_of_text>`, `[SEP]`):
# what no tokenizer's cleaning looks beyond its word for. ftfy, which open_clip cleans with, judges all of a text by
# its characters outside ASCII.
_LOCAL = re.compile(r"[ !-%'-;=-Z\\-~]+")

# What is tried before ids are put together from parts: words cut in pieces, digits, quotes, capitals, repeats.
_TRIED_PROMPTS = ("a cat", "A painting of two dogs, by Claude Monet!", "8k", ", ".join(["a very long prompt"] * 40))
_TRIED_PHRASES = ("oil on canvas", "'s hat", "8k", "!", "trending on Artstation", "(soft-light:1.2) and_more", "x, y,")

# Phrases whose ids are remembered; beyond that a process that meets ever new texts would grow for ever.
_REMEMBERED = 400_000
_LONG = 200  # characters
_READ_TOGETHER = 1024


@dataclass(frozen=True)
class _Frame:
    """The ids that a tokenizer puts in front of a text and behind it."""

    head: Ints64
    tail: Ints64


class Tokens:
    """Token ids of texts, their lengths and their number, as one tokenizer has them.

    open_clip has three kinds of tokenizer (its own byte-pair one, Hugging Face's, and Hugging Face's in `clips` mode
    with a class token behind the padding). All are callable with `context_length`, so what this class needs is read
    off their answers.

    Several threads may use it. They take turns at the tokenizer: those of Hugging Face are set anew for each length,
    and refuse that ("Already borrowed") while another thread reads with them.
    """

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length
        # An empty text in 16 places: all but the first few and, in `clips` mode, the last are padding.
        self.pad_id = int(tokenizer([""], context_length=16)[0, -2])
        # CLIPA's tokenizers blank the separator after they have counted it.
        self._blanked = 1 if getattr(tokenizer, "strip_sep_token", False) else 0
        self._remembered: dict[str, Ints32] = {}
        self._tried_frame: Lazy[_Frame | None] = Lazy()
        self._lock = Lock()  # of the tokenizer, and of what is remembered

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids [N, context_length], int64; what exceeds the context is cut off."""
        return self._ids(texts, self.context_length)

    def continuations(self, prompt: str, phrases: Sequence[str]) -> Tensor:
        """What `ids` gives for `f"{prompt}, {phrase}"` for each phrase, of the phrase alone after an empty prompt."""
        frame = self._frame()
        if frame is None or (prompt and not _LOCAL.fullmatch(prompt)):
            return self.ids([join(prompt, phrase) for phrase in phrases])
        local = [bool(_LOCAL.fullmatch(phrase)) for phrase in phrases]
        contents = self._contents([phrase for phrase, alike in zip(phrases, local, strict=True) if alike])
        beginning = self._contents([prompt + SEPARATOR.rstrip()])[0] if prompt else np.empty(0, dtype=np.int32)
        ids = torch.empty(len(phrases), self.context_length, dtype=torch.int64)
        where = torch.tensor(local, dtype=torch.bool)
        ids[where] = torch.from_numpy(self._put_together(frame, beginning, contents))
        whole = [join(prompt, phrase) for phrase, alike in zip(phrases, local, strict=True) if not alike]
        if whole:
            ids[~where] = self.ids(whole)
        return ids

    def contents(self, texts: Sequence[str]) -> tuple[Ints32, Ints64]:
        """Ids of each text alone, without start and end: one after the other int32 [T], and where each ends [N].

        None of a text where this tokenizer's ids cannot be put together from parts.
        """
        if self._frame() is None:
            return np.empty(0, dtype=np.int32), np.zeros(len(texts), dtype=np.int64)
        contents = self._contents(texts)
        ends = np.cumsum([len(content) for content in contents], dtype=np.int64)
        return np.concatenate(contents) if contents else np.empty(0, dtype=np.int32), ends

    def remember(self, texts: Sequence[str], ids: Ints32, ends: Ints64) -> None:
        """Take ids over that `contents` gave at another time, perhaps in another process."""
        start = 0
        with self._lock:
            for text, end in zip(texts, ends.tolist(), strict=True):
                if end > start:
                    self._remembered[text] = ids[start:end]
                start = end

    def lengths(self, ids: Tensor) -> Tensor:
        """How many places of each row of `ids` [N, L] come before the padding at its end: int64 [N]."""
        places = torch.arange(1, ids.shape[1] + 1)  # [L]
        return ((ids != self.pad_id) * places).amax(dim=1)

    def count(self, text: str) -> int:
        """Number of tokens of a text, start and end tokens included, were there no limit."""
        ids = self._ids([text], _room(text))  # [1, places]
        if int(ids[0, -1]) != self.pad_id:  # a class token behind the padding
            return int(self.lengths(ids[:, :-1])[0]) + 1
        return int(self.lengths(ids)[0]) + self._blanked

    def digest(self) -> str:
        """Differs between tokenizers that read texts differently; see `embeddings.tokenizer_digest`."""
        return tokenizer_digest(self.ids(TOKENIZER_PROBES).tolist())

    def _ids(self, texts: Sequence[str], context_length: int) -> Tensor:
        with self._lock:
            return torch.as_tensor(self.tokenizer(list(texts), context_length=context_length))

    def _frame(self) -> _Frame | None:
        """Start and end ids, once parts have been seen to make wholes; None where they do not."""
        return self._tried_frame.get(self._try_frame)

    def _try_frame(self) -> _Frame | None:
        frame = self._read_frame()
        return frame if frame is not None and self._parts_make_wholes(frame) else None

    def _read_frame(self) -> _Frame | None:
        short, long = (self._ids([text], 32)[0] for text in ("", "a cat"))
        if int(short[-1]) != self.pad_id:
            return None  # a class token behind the padding
        empty = short[: int(self.lengths(short[None])[0])].numpy()
        cat = long[: int(self.lengths(long[None])[0])].numpy()
        head = next((n for n in range(len(empty)) if empty[n] != cat[n]), len(empty))
        tail = empty[head:]
        if len(tail) and not np.array_equal(cat[-len(tail) :], tail):
            return None
        return _Frame(empty[:head], tail)

    def _parts_make_wholes(self, frame: _Frame) -> bool:
        for prompt in _TRIED_PROMPTS:
            beginning, *contents = self._read([prompt + SEPARATOR.rstrip(), *_TRIED_PHRASES], frame)
            expected = self.ids([join(prompt, phrase) for phrase in _TRIED_PHRASES]).numpy()
            if not np.array_equal(self._put_together(frame, beginning, contents), expected):
                return False
        return True

    def _contents(self, texts: Sequence[str]) -> list[Ints32]:
        """The ids of each text without start and end; read once, then remembered."""
        frame = self._frame()
        assert frame is not None
        with self._lock:
            contents = {text: self._remembered[text] for text in texts if text in self._remembered}
        unknown = list(dict.fromkeys(text for text in texts if text not in contents))
        if unknown:
            contents |= zip(unknown, self._read(unknown, frame), strict=True)
            with self._lock:
                if len(self._remembered) + len(unknown) > _REMEMBERED:
                    self._remembered.clear()
                self._remembered |= contents
        return [contents[text] for text in texts]

    def _read(self, texts: Sequence[str], frame: _Frame) -> list[Ints32]:
        contents: list[Ints32] = []
        for batch in _of_like_length(texts):
            ids = self._ids(batch, max(map(_room, batch)))
            stops = (self.lengths(ids) - len(frame.tail)).tolist()
            rows = ids.numpy().astype(np.int32)
            contents += [row[len(frame.head) : stop].copy() for row, stop in zip(rows, stops, strict=True)]
        return contents

    def _put_together(self, frame: _Frame, beginning: Ints32, contents: Sequence[Ints32]) -> Ints64:
        """Rows [N, L] of start, beginning, one of the contents and end; cut as tokenizers do, the end kept."""
        room = self.context_length - len(frame.head) - len(frame.tail)
        lengths = np.array([len(content) for content in contents], dtype=np.int64)  # [N]
        widest = len(beginning) + int(lengths.max(initial=0))
        body = np.full((len(contents), max(widest, room)), self.pad_id, dtype=np.int64)
        body[:, : len(beginning)] = beginning
        columns = np.arange(body.shape[1]) - len(beginning)
        if len(contents):
            body[(columns >= 0) & (columns < lengths[:, None])] = np.concatenate(contents)
        stops = len(frame.head) + np.minimum(len(beginning) + lengths, room)  # [N]
        ids = np.full((len(contents), self.context_length), self.pad_id, dtype=np.int64)
        ids[:, : len(frame.head)] = frame.head
        ids[:, len(frame.head) : len(frame.head) + room] = body[:, :room]
        for number, token in enumerate(frame.tail):
            ids[np.arange(len(contents)), stops + number] = token
        return ids


def _of_like_length(texts: Sequence[str]) -> Iterator[list[str]]:
    """`texts` in order, in batches; a long one is alone, as all of a batch are padded to its longest."""
    batch: list[str] = []
    for text in texts:
        if len(text) > _LONG:
            yield from (batch, [text]) if batch else ([text],)
            batch = []
        else:
            batch.append(text)
            if len(batch) == _READ_TOGETHER:
                yield batch
                batch = []
    if batch:
        yield batch


def _room(text: str) -> int:
    """Places that hold any reading of a text: no tokenizer makes more tokens than bytes, and some special ones."""
    return len(text.encode("utf-8", "surrogatepass")) + 16
