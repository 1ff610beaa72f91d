"""Answers of a server as they come.

A server may be anyone's: HF_ENDPOINT names a mirror, and a redirect leads anywhere. So nothing is decoded (a kilobyte
of gzip in gzip becomes gigabytes), nothing is read to its end without a limit, and one that only drips is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .remote import TransferError

_PIECE = 1 << 16  # bytes read at once; what is lost when the process is killed
_LARGEST_REFUSAL = 1 << 16  # bytes of an answer that only says why there is none
_WINDOW = 60.0  # seconds over which the speed is taken
_SLOWEST = 200  # bytes a second


@contextmanager
def answer_to(url: str, headers: dict[str, str]) -> Iterator[tuple[Any, Iterator[bytes]]]:
    """The response to a GET, and its bytes as they were sent.

    Raises TransferError: it is compressed, which we asked it not to be, or drips; and what the hub's client raises.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    # Not compressed, so that sizes and ranges count the bytes of the file.
    asked = {**build_hf_headers(), "Accept-Encoding": "identity", **headers}
    timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    session: Any = get_session()
    with_httpx = _is_httpx(session)
    opened = (
        session.stream("GET", url, headers=asked, timeout=timeout)
        if with_httpx
        else session.get(url, headers=asked, timeout=timeout, stream=True)
    )
    with opened as response:
        pieces = response.iter_raw() if with_httpx else response.raw.stream(_PIECE, decode_content=False)
        if response.status_code >= 400:
            # Both clients keep here what was read; without it they would read on, and decode.
            response._content = _beginning(pieces, _LARGEST_REFUSAL)
            hf_raise_for_status(response)
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise TransferError(f"the server sends it compressed ({coding[:20]}), which was not asked for")
        yield response, paced(pieces)


def whole_answer(url: str, limit: int) -> bytes:
    """All bytes of an answer. Raises TransferError: there are more than `limit`; and as `answer_to`."""
    with answer_to(url, {}) as (_, pieces):
        content = _beginning(pieces, limit + 1)
    if len(content) > limit:
        raise TransferError(f"the server's list of files is longer than {limit / 1e6:.0f} MB")
    return content


def paced(pieces: Iterator[bytes], clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """The pieces, as long as they come at a speed at which they end in a lifetime. Raises TransferError."""
    since, count = clock(), 0
    for piece in pieces:
        count += len(piece)
        now = clock()
        if now - since >= _WINDOW:
            if count < _SLOWEST * (now - since):
                raise TransferError(f"the server sends less than {_SLOWEST} bytes a second: try again later")
            since, count = now, 0
        yield piece


def client_errors() -> tuple[type[BaseException], ...]:
    """What the hub's client raises: OSError (requests, DNS, sockets, disk) and the base class of httpx's errors."""
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import get_session

    # httpx errors are no OSErrors; the client's package has had several names, its base class is always this one.
    known: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    if _is_httpx(get_session()):
        return known
    from urllib3.exceptions import HTTPError  # what requests reads from

    return (*known, HTTPError)


def _is_httpx(session: Any) -> bool:
    """Whether the hub's client is httpx, as from huggingface_hub 1 on; it was requests before."""
    return callable(getattr(session, "stream", None))


def _beginning(pieces: Iterator[bytes], limit: int) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece[: limit - len(content)]
        if len(content) >= limit:
            break
    return bytes(content)
