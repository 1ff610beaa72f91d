"""Pictures read and decoded in threads, each once, and prepared for every model of the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import groupby
from threading import Event
from types import TracebackType
from typing import Any

from PIL import Image

from ...errors import ImageReadError, RunStopped
from ...images import DAMAGED, decode_image
from ..records import Item
from ..review.dhash import difference_hash
from ..sources import Source
from .masked import NEUTRAL, content_digest, is_transparent, mask_data, seen_through
from .pixels import hides_pixels, is_animated, is_blank

# Items that a thread reads at once: opening a tar or a table for each would cost more than its picture.
_CHUNK = 4
_POLL_SECONDS = 0.2
_UNPREPARED: tuple[type[Exception], ...] = (*DAMAGED, MemoryError)

Prepare = Mapping[str, Callable[[Image.Image], Any]]
"""By name of a model: what it wants of a picture (upright, RGB, of any size). Called in threads."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An item that was read: ready for the models, or the reason why it is not.

    Attributes:
        item: what was read.
        error: why it cannot be captioned, one sentence; "" if it can.
        ready: by name of a model, what its `Prepare` made of the picture. The picture itself is not kept: 64 pictures
            of twelve megapixels would be two gigabytes.
        width, height: pixels, upright.
        sha256: of the file's bytes and its mask's, hex; see `content_digest`.
        dhash: see `difference_hash`.
        flags: `animated`, `blank`, `hidden_pixels`, `no_mask`; see `Record.flags`.
        existing: the text that was there where its caption belongs; None if there was none.
    """

    item: Item
    error: str = ""
    ready: Mapping[str, Any] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    sha256: str = ""
    dhash: str = ""
    flags: tuple[str, ...] = ()
    existing: str | None = None


class Reader:
    """Threads that read pictures ahead of the models."""

    def __init__(self, sources: Sequence[Source], prepare: Prepare, threads: int, masked: bool = False) -> None:
        """masked: only what the masks of the pictures show is seen; see `masked`."""
        self._masked = masked
        self._sources = sources
        self._prepare = prepare
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._stopping = Event()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Not waited for: a thread may be in the middle of a large picture, and a run that is stopped stops at once.
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, items: Iterable[Item], only: Collection[str] | None = None) -> list[Future[list[Picture]]]:
        """Start reading items; `finish` waits for them. only: what they are prepared for; None is all."""
        prepare = {name: each for name, each in self._prepare.items() if only is None or name in only}
        return [self._pool.submit(self._read, chunk, prepare) for chunk in _chunks(items)]

    def _read(self, chunk: Sequence[Item], prepare: Prepare) -> list[Picture]:
        source = self._sources[chunk[0].source]
        pictures = []
        for item, data in source.read(chunk):
            if self._stopping.is_set():
                break
            if isinstance(data, RunStopped):
                raise data
            mask = mask_data(source, item) if self._masked else None
            pictures.append(_picture(item, data, prepare, mask, self._masked))
        return pictures


class NullReader(Reader):
    """Stands in where nobody looks at the pictures: they are ready at once, and not opened."""

    def __init__(self) -> None:
        super().__init__((), {}, 1)  # whose threads start with the first picture

    def begin(self, items: Iterable[Item], only: Collection[str] | None = None) -> list[Future[list[Picture]]]:
        """The items as pictures of which nothing is known."""
        done: Future[list[Picture]] = Future()
        done.set_result([Picture(item) for item in items])
        return [done]


def _picture(
    item: Item, data: bytes | Exception, prepare: Prepare, mask: bytes | Exception | None = None, masked: bool = False
) -> Picture:  # fmt: skip
    if isinstance(data, Exception):
        return Picture(item, error=data.reason if isinstance(data, ImageReadError) else str(data))
    sha256 = content_digest(data, mask if isinstance(mask, bytes) else None)
    found: dict[str, bool] = {}

    width = height = 0

    def look(original: Image.Image, size: tuple[int, int]) -> None:
        nonlocal width, height
        width, height = size
        found["hidden_pixels"] = hides_pixels(original)
        found["no_mask"] = masked and mask is None and not is_transparent(original)

    try:
        image = decode_image(data, item.key, look, NEUTRAL) if masked else decode_image(data, item.key, look)
        image = image if mask is None else seen_through(image, mask, item)
    except ImageReadError as error:
        return Picture(item, error=error.reason, sha256=sha256)
    try:
        ready = {name: each(image) for name, each in prepare.items()}
        dhash = difference_hash(image)
        found |= {"animated": is_animated(data), "blank": is_blank(image, dhash)}
        flags = tuple(name for name, is_so in found.items() if is_so)
        return Picture(item, "", ready, width, height, sha256, dhash, flags)
    except _UNPREPARED as error:  # one odd picture of a million does not end the run
        reason = " ".join(f"cannot be prepared ({type(error).__name__}: {error})".split())
        return Picture(item, error=reason, sha256=sha256)


def finish(begun: Iterable[Future[list[Picture]]], waiting: Callable[[], None]) -> Iterator[Picture]:
    """The pictures of `Reader.begin`, in the order of their items; `waiting` is called while they are read."""
    for future in begun:
        while not wait([future], _POLL_SECONDS).done:
            waiting()
        yield from future.result()


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """A few items of one source at a time."""
    for _, own in groupby(items, key=lambda item: item.source):
        chunk: list[Item] = []
        for item in own:
            chunk.append(item)
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
