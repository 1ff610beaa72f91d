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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from .address import Address

CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.1
LONGEST_REPLY = 4_000_000  # bytes; what a model thinks may come along

BROKEN = (OSError, http.client.HTTPException)
"""What a connection that cannot be made, or breaks, raises; also `TimeoutError`."""


class Reply(NamedTuple):
    """What a server answered; of a body longer than `LONGEST_REPLY` one byte more than that."""

    status: int
    body: bytes
    location: str = ""
    retry_after: str = ""

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
        self._open: dict[socket.socket, float] = {}  # with the time when an answer is overdue
        self._overdue: set[socket.socket] = set()

    def end(self) -> None:
        """Close every connection; threads that wait on one get on at once."""
        self._over.set()
        with self._lock:
            for sock in self._open:
                _shut(sock)

    def close_overdue(self) -> None:
        """Close connections whose answer has taken too long, even where it trickles in byte by byte."""
        with self._lock:
            for sock, until in self._open.items():
                if time.monotonic() > until and sock not in self._overdue:
                    self._overdue.add(sock)
                    _shut(sock)

    @contextmanager
    def turn(self, slots: threading.Semaphore) -> Iterator[None]:
        """One of so many slots, waited for unless the call ends first. Raises Cancelled."""
        while not slots.acquire(timeout=_POLL_SECONDS):
            self.sleep(0.0)
        try:
            yield
        finally:
            slots.release()

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
        if self._over.is_set():
            raise Cancelled
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = kind(address.host, address.port, timeout=min(CONNECT_SECONDS, seconds))
        sock: socket.socket | None = None
        try:
            connection.connect()
            sock = self._begin(connection.sock, seconds)
            connection.request("GET" if body is None else "POST", address.path + path, body, dict(headers))
            with connection.getresponse() as response:
                content = response.read(LONGEST_REPLY + 1)
                if len(content) <= LONGEST_REPLY and (response.length or self._is_shut(sock)):
                    raise http.client.IncompleteRead(content, response.length)  # which `read` of so many bytes hides
                location, retry_after = (response.headers.get(name) or "" for name in ("Location", "Retry-After"))
                return Reply(response.status, content, location, retry_after)
        except (*BROKEN, ValueError) as error:  # ValueError: from a socket that was closed meanwhile
            if self._over.is_set():
                raise Cancelled from error
            if sock in self._overdue:
                raise TimeoutError("timed out") from error
            if isinstance(error, BROKEN):
                raise
            raise ConnectionError(str(error)) from error
        finally:
            with self._lock:
                if sock is not None:
                    self._open.pop(sock, None)
                    self._overdue.discard(sock)
            connection.close()

    def _is_shut(self, sock: socket.socket) -> bool:
        """Whether we have closed a connection, so that an answer that just ends may not be whole."""
        return self._over.is_set() or sock in self._overdue

    def _begin(self, sock: socket.socket, seconds: float) -> socket.socket:
        """Let the call know of a connection. Raises Cancelled."""
        sock.settimeout(seconds)
        with self._lock:
            self._open[sock] = time.monotonic() + seconds
        if self._over.is_set():  # while it was made
            raise Cancelled
        return sock


def _shut(sock: socket.socket) -> None:
    """End a connection under the thread that reads from it."""
    with suppress(OSError):
        # Not the method of SSLSocket, which would take the TLS object away from that thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
