"""Token ids from any open_clip tokenizer; its padding id is read off its output, and no text is tokenised twice.

Text after a comma and a space is tokenised in the same way whatever precedes it, unless text cleaning reaches across.
The ids of a prompt and a phrase are therefore those of the prompt, its comma and the phrase concatenated, and a phrase
is tokenised once, however many prompts it is appended to.
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

# Printable ASCII except `&` (entities such as `&amp;`), `<` and `[` (control words such as `<end_of_text>`, `[SEP]`):
# characters that every tokenizer cleans within their own word. ftfy, which open_clip uses for cleaning, decides on the
# whole text if there are characters outside ASCII.
_LOCAL = re.compile(r"[ !-%'-;=-Z\\-~]+")

# Texts to verify that ids can be composed from parts: words split into pieces, digits, quotes, capitals, repeats.
_TRIED_PROMPTS = ("a cat", "A painting of two dogs, by Claude Monet!", "8k", ", ".join(["a very long prompt"] * 40))
_TRIED_PHRASES = ("oil on canvas", "'s hat", "8k", "!", "trending on Artstation", "(soft-light:1.2) and_more", "x, y,")

# Maximum number of phrases whose ids are cached, so that a process with ever new texts does not grow forever.
_REMEMBERED = 400_000
_LONG = 200  # characters
_READ_TOGETHER = 1024


@dataclass(frozen=True)
class _Frame:
    """The ids that a tokenizer puts before and after a text."""

    head: Ints64
    tail: Ints64


class Tokens:
    """Token ids of texts, their lengths and their number, according to one tokenizer.

    open_clip has three kinds of tokenizers (its own byte-pair one, Hugging Face's, and Hugging Face's in `clips` mode
    with a class token after the padding). All can be called with `context_length`, so everything this class needs is
    read off their output.

    Several threads may use it. They take turns at the tokenizer: Hugging Face's are reconfigured for each length, which
    fails ("Already borrowed") while another thread tokenises.
    """

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length
        # In an empty text of length 16, all ids but the first few and, in `clips` mode, the last are padding.
        self.pad_id = int(tokenizer([""], context_length=16)[0, -2])
        # CLIPA's tokenizers replace the separator by padding after counting it.
        self._blanked = 1 if getattr(tokenizer, "strip_sep_token", False) else 0
        self._remembered: dict[str, Ints32] = {}
        self._tried_frame: Lazy[_Frame | None] = Lazy()
        self._lock = Lock()  # guards the tokenizer and the cached ids

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids [N, context_length], int64; texts are truncated to the context."""
        return self._ids(texts, self.context_length)

    def continuations(self, prompt: str, phrases: Sequence[str]) -> Tensor:
        """The `ids` of `f"{prompt}, {phrase}"` for each phrase, or of the phrase alone if the prompt is empty."""
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
        """Ids of each text without start and end: concatenated, int32 [T], and where each ends, int64 [N].

        All empty if the ids of this tokenizer cannot be composed from parts.
        """
        if self._frame() is None:
            return np.empty(0, dtype=np.int32), np.zeros(len(texts), dtype=np.int64)
        contents = self._contents(texts)
        ends = np.cumsum([len(content) for content in contents], dtype=np.int64)
        return np.concatenate(contents) if contents else np.empty(0, dtype=np.int32), ends

    def remember(self, texts: Sequence[str], ids: Ints32, ends: Ints64) -> None:
        """Accept ids that `contents` returned earlier, possibly in another process."""
        start = 0
        with self._lock:
            for text, end in zip(texts, ends.tolist(), strict=True):
                if end > start:
                    self._remembered[text] = ids[start:end]
                start = end

    def lengths(self, ids: Tensor) -> Tensor:
        """The length of each row of `ids` [N, L] without the padding at its end: int64 [N]."""
        lengths = torch.arange(1, ids.shape[1] + 1)  # [L]
        return ((ids != self.pad_id) * lengths).amax(dim=1)

    def count(self, text: str) -> int:
        """Number of tokens of a text without truncation, including start and end tokens."""
        ids = self._ids([text], _room(text))  # [1, L]
        if int(ids[0, -1]) != self.pad_id:  # a class token after the padding
            return int(self.lengths(ids[:, :-1])[0]) + 1
        return int(self.lengths(ids)[0]) + self._blanked

    def digest(self) -> str:
        """A digest that differs between tokenizers that give different ids; see `embeddings.tokenizer_digest`."""
        return tokenizer_digest(self.ids(TOKENIZER_PROBES).tolist())

    def _ids(self, texts: Sequence[str], context_length: int) -> Tensor:
        with self._lock:
            return torch.as_tensor(self.tokenizer(list(texts), context_length=context_length))

    def _frame(self) -> _Frame | None:
        """Start and end ids, if ids can be composed from parts; else None. Verified on first use."""
        return self._tried_frame.get(self._try_frame)

    def _try_frame(self) -> _Frame | None:
        frame = self._read_frame()
        return frame if frame is not None and self._parts_make_wholes(frame) else None

    def _read_frame(self) -> _Frame | None:
        short, long = (self._ids([text], 32)[0] for text in ("", "a cat"))
        if int(short[-1]) != self.pad_id:
            return None  # a class token after the padding
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
        """The ids of each text without start and end; tokenised once, then cached."""
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
        """Rows [N, L] of start, beginning, one of the contents and end; truncated as tokenizers do, before the end."""
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
    """`texts` in order, in batches; a long text gets its own, because a batch is padded to its longest text."""
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
    """A length that holds all tokens of a text: no tokenizer makes more tokens than bytes plus a few special ones."""
    return len(text.encode("utf-8", "surrogatepass")) + 16
