"""A small server of the OpenAI-compatible protocol, with faults that a test switches on.

Its model says what color a picture has; it really decodes the picture that it gets.
"""

from __future__ import annotations

import io
import json
import select
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from .waiting import LAST_RESORT, wait_until

MODEL = "tiny-vl"


@dataclass
class Reply:
    """What the server answers: a status with a body, or a break of the connection.

    trickles: the body comes byte by byte.  stops_after: so many bytes of it come, though more are promised.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks: bool = False
    trickles: bool = False
    stops_after: int | None = None

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def image(self) -> Image.Image:
        """The picture in it."""
        (part,) = [part for part in self.body["messages"][-1]["content"] if part["type"] == "image_url"]
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == "data:image/jpeg;base64"
        return Image.open(io.BytesIO(b64decode(data))).convert("RGB")

    @property
    def question(self) -> str:
        (part,) = [part for part in self.body["messages"][-1]["content"] if part["type"] == "text"]
        return str(part["text"])


def said(text: Any, finish: str | None = "stop", **message: Any) -> Reply:
    """A chat completion with this text."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    return Reply(body={"id": "1", "object": "chat.completion", "model": MODEL, "choices": [choice]})


def error(status: int, message: str, **headers: str) -> Reply:
    """An error in the form of most servers."""
    return Reply(status, {"error": {"message": message, "type": "invalid_request_error"}}, headers)


def color_of(image: Image.Image) -> tuple[int, int, int]:
    """The mean color of a picture."""
    color: Any = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return color


def describe(request: Request) -> Reply:
    """What the model says: the color of the picture, and where it samples a number that hangs on the seed."""
    text = "A thing colored {} {} {}.".format(*color_of(request.image))
    if request.body.get("temperature"):
        text = text.replace("A thing", f"A thing {request.body['seed'] % 1000}")
    return said(text)


class SmallServer:
    """The server, in threads of this process.

    Attributes:
        answer: what it answers to a chat request; a test replaces it.
        models: that it lists; None where it does not list them.
        listing: the reply to `/v1/models` where that is no list.
        requests: chat requests that came in, in order.
        at_once, most_at_once: chat requests that are in work, and the most that ever were.
        frozen: while it is set, nothing is answered.
    """

    def __init__(
        self, answer: Callable[[Request], Reply] = describe, models: tuple[str, ...] | None = (MODEL,)
    ) -> None:
        self.answer = answer
        self.models = models
        self.listing: Reply | None = None
        self.lists = 0
        self.requests: list[Request] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.frozen = threading.Event()
        self.port = 0
        self._sockets: set[socket.socket] = set()
        self._http: ThreadingHTTPServer | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def name(self) -> str:
        """What a captioner is loaded by."""
        return f"{self.base}#{MODEL}"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Http(("127.0.0.1", self.port), handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def closed_by_client(self) -> bool:
        """Whether a client has broken off a connection on which nothing has been answered yet."""
        with self.lock:
            open_ones = list(self._sockets)
        return any(bool(select.select([each], [], [], 0)[0]) for each in open_ones)

    def die(self) -> None:
        """Stop listening and break off every connection, as a process does that is killed."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        with self.lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    owner: SmallServer

    def setup(self) -> None:
        super().setup()
        with self.owner.lock:
            self.owner._sockets.add(self.connection)

    def finish(self) -> None:
        with self.owner.lock:
            self.owner._sockets.discard(self.connection)
        super().finish()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        owner = self.owner
        owner.lists += 1
        listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in owner.models or ()]}
        reply = owner.listing or (
            Reply(body=listed) if owner.models is not None else Reply(404, {"detail": "Not Found"})
        )
        self.send(reply if self.path == "/v1/models" else Reply(404, {"detail": "Not Found"}))

    def do_POST(self) -> None:
        owner = self.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.path, dict(self.headers), body)
        with owner.lock:
            owner.requests.append(request)
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
        try:
            reply = (
                owner.answer(request) if self.path == "/v1/chat/completions" else Reply(404, {"detail": "Not Found"})
            )
        finally:
            with owner.lock:
                owner.at_once -= 1
        self.send(reply)

    def send(self, reply: Reply) -> None:
        wait_until(lambda: not self.owner.frozen.is_set(), "the server is no longer frozen")
        if reply.breaks:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(reply.data)))
        self.end_headers()
        if not reply.trickles:
            self.wfile.write(reply.data[: reply.stops_after])
            return
        for byte in reply.data:
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)


@contextmanager
def serving(server: SmallServer | None = None) -> Iterator[SmallServer]:
    """A server that listens until the end of the block."""
    server = server or SmallServer()
    server.start()
    try:
        yield server
    finally:
        server.die()


class Gate:
    """Holds requests until it is opened; a request that passes it is answered by `describe`."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, request: Request) -> Reply:
        if not self.open.wait(LAST_RESORT):
            raise TimeoutError("the gate was never opened")
        return describe(request)
