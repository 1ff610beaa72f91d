"""A hub of our own for tests: serves the files of some repositories and keeps a list of what was asked of it."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

COMMIT = "a" * 40


class SmallHub:
    """Repositories by `org/name`, each with its files; `sent` lists the files asked for, as `org/name/file`.

    Use it as a context manager.

    listings: by repository, what the hub answers in place of its list of files.  bodies: by `org/name/file`, what it
    sends in place of the file that it lists: headers, and pieces for as long as they are taken.
    """

    def __init__(
        self,
        repos: Mapping[str, Mapping[str, bytes]],
        *,
        listings: Mapping[str, bytes] | None = None,
        bodies: Mapping[str, tuple[Mapping[str, str], Iterable[bytes]]] | None = None,
    ) -> None:
        self.sent: list[str] = []
        self._server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.repos, self._server.sent = repos, self.sent
        self._server.listings = listings or {}
        self._server.bodies = {} if bodies is None else bodies  # a test may change them
        self._server.handle_error = lambda *_: None  # clients that have had enough are what we test

    @property
    def address(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> SmallHub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a repository has them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        repos: Mapping[str, Mapping[str, bytes]] = self.server.repos  # type: ignore[attr-defined]
        path = self.path.split("?")[0]
        for repo, files in repos.items():
            if path.startswith((f"/api/models/{repo}/", f"/api/models/{repo}")):
                listing = self.server.listings.get(repo)  # type: ignore[attr-defined]
                listing = json.dumps(listing_of(repo, files)).encode() if listing is None else listing
                return self._answer(200, listing, "application/json")
            name = path.removeprefix(f"/{repo}/resolve/{COMMIT}/")
            if name != path and name in files:
                if self.command == "GET":
                    self.server.sent.append(f"{repo}/{name}")  # type: ignore[attr-defined]
                    if f"{repo}/{name}" in self.server.bodies:  # type: ignore[attr-defined]
                        return self._send(*self.server.bodies[f"{repo}/{name}"])  # type: ignore[attr-defined]
                return self._answer(200, files[name], "application/octet-stream", _etag(name, files[name]))
        return self._answer(404, b"{}", "application/json")

    def _answer(self, status: int, body: bytes, kind: str, etag: str = "") -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0] or 0) if status == 200 else 0
        self.send_response(206 if start else status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - start))
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        if etag:
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[start:])

    def _send(self, headers: Mapping[str, str], pieces: Iterable[bytes]) -> None:
        self.close_connection = True
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        pass


def listing_of(repo: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """What a hub answers when asked what a repository holds."""
    siblings = []
    for name, body in files.items():
        row: dict[str, Any] = {"rfilename": name, "size": len(body), "blobId": _etag("", body)}
        if name.endswith((".safetensors", ".bin")):
            row["lfs"] = {"size": len(body), "sha256": _etag(name, body), "pointerSize": 100}
        siblings.append(row)
    return {
        "_id": "0", "id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "tags": [], "downloads": 0,
    }  # fmt: skip


def _etag(name: str, body: bytes) -> str:
    """What the hub calls a file: the SHA-256 of one in large-file storage, else the name of its blob in git."""
    if name.endswith((".safetensors", ".bin")):
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
