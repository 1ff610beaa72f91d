"""HTTP with one server, on the standard library's `http.client`.

`huggingface_hub.InferenceClient(base_url=…)` speaks the same protocol and is installed anyway, but cannot be used:
  - Without a key of its own, or with an empty one, it sends the user's Hugging Face token to whatever server was named
    (0.36 and 2.4, tried).
  - It follows redirects, so that pictures go to hosts nobody has named (0.36 and 2.4, tried).
  - It takes proxies from the environment, for loopback addresses, too.
  - It reads answers of any length, and a request that waits cannot be cancelled.
  - Its transport, and with it every exception, is requests, httpx or httpx2, depending on its version.
urllib shares the redirects and the proxies. `http.client` has neither, and lets another thread close a connection.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from .address import Address

CONNECT_SECONDS = 10.0
LONGEST_REPLY = 4_000_000  # bytes; what a model thinks may come along

BROKEN = (OSError, http.client.HTTPException)
"""What a connection that cannot be made, or breaks, raises; also `TimeoutError`."""


class Reply(NamedTuple):
    """What a server answered; of a body longer than `LONGEST_REPLY` one byte more than that."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_too_long(self) -> bool:
        return len(self.body) > LONGEST_REPLY


class Cancelled(Exception):
    """The call to which a request belongs is over."""


class Call:
    """The requests of one call of ours: when it ends, however it ends, they end."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[http.client.HTTPConnection, float] = {}  # with the time when an answer is overdue
        self._overdue: set[http.client.HTTPConnection] = set()

    def end(self) -> None:
        """Close every connection; threads that wait on one get on at once."""
        self._over.set()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def close_overdue(self) -> None:
        """Close connections whose answer has taken too long, even where it trickles in byte by byte."""
        with self._lock:
            for connection, until in self._open.items():
                if time.monotonic() > until and connection not in self._overdue:
                    self._overdue.add(connection)
                    _shut(connection)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the call ends first. Raises Cancelled."""
        if self._over.wait(seconds):
            raise Cancelled

    def exchange(
        self, address: Address, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Reply:
        """Send one request and read the answer; GET without a body, else POST. No redirect is followed.

        Raises:
            Cancelled: the call is over.
            TimeoutError: there was no whole answer within so many seconds.
            OSError, HTTPException: no connection, or a broken one; see `BROKEN`.
        """
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = kind(address.host, address.port, timeout=min(CONNECT_SECONDS, seconds))
        try:
            self._begin(connection, seconds)
            connection.request("GET" if body is None else "POST", address.path + path, body, dict(headers))
            with connection.getresponse() as response:
                return Reply(response.status, response.headers, response.read(LONGEST_REPLY + 1))
        except (*BROKEN, ValueError) as error:  # ValueError: the file object of a connection that was closed meanwhile
            if self._over.is_set():
                raise Cancelled from error
            if connection in self._overdue:
                raise TimeoutError("timed out") from error
            if isinstance(error, ValueError) and not isinstance(error, BROKEN):
                raise http.client.HTTPException(str(error)) from error
            raise
        finally:
            with self._lock:
                self._open.pop(connection, None)
                self._overdue.discard(connection)
            connection.close()

    def _begin(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        """Connect, and let the call know of it."""
        if self._over.is_set():
            raise Cancelled
        connection.connect()
        connection.sock.settimeout(seconds)
        with self._lock:
            self._open[connection] = time.monotonic() + seconds
        if self._over.is_set():  # in between
            raise Cancelled


def _shut(connection: http.client.HTTPConnection) -> None:
    """End a connection under a thread that reads from it."""
    sock = connection.sock
    if sock is not None:  # http.client lets go of it when the server is going to close
        with suppress(OSError):
            # Not the method of SSLSocket, which would take the TLS object away from the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
