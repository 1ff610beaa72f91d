"""Downloads from a hub of our own: only when allowed, cancelled at any moment, taken up where they ended, never half a
file under its name."""

from __future__ import annotations

import errno
import hashlib
import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import interrogator
from interrogator.hub.transfer.explanation import explain

pytestmark = pytest.mark.models  # the oldest transformers comes with the oldest huggingface_hub

REPO = "maker/tiny"
COMMIT, NEXT_COMMIT = "a" * 40, "b" * 40
WEIGHTS = "model.safetensors"
LAST_RESORT = 60  # seconds; waits end by an event


class FakeHub(http.server.BaseHTTPRequestHandler):
    """The addresses that a download uses, with faults on request. State is on the server object."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        state: Any = self.server
        path = self.path.removeprefix("http://hub.invalid").split("?")[0]  # the whole address where we are a proxy
        state.asked.append(self.path)
        state.tokens.append((self.path, self.headers.get("Authorization")))
        if state.status != 200:
            self._answer(state.status, b"{}", state.refusal)
        elif path.startswith("/api/models/"):
            if state.stall_listing:
                self._stall()
            self._answer(200, json.dumps(self._listing()).encode(), {"Content-Type": "application/json"})
        elif f"/resolve/{state.commit}/" in path:
            self._send_file(path.split(f"/resolve/{state.commit}/")[1])
        else:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})

    def _send_file(self, name: str) -> None:
        state: Any = self.server
        body = state.files[name]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if state.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("X-Repo-Commit", state.commit)
        self.send_header("ETag", f'"{etag(name, body)}"')
        self.end_headers()
        if self.command == "HEAD":
            return
        state.ranges_sent.append((name, start))
        for at in range(start, len(body), 1 << 16):
            if name == WEIGHTS and state.break_at and at >= state.break_at:
                state.break_at = 0
                self.close_connection = True
                return
            if name == WEIGHTS and state.stall_at and at >= state.stall_at:
                self._stall()
            self.wfile.write(body[at : at + (1 << 16)])

    def _stall(self) -> None:
        """Send nothing until the test says so; note when the other side closes the connection."""
        state: Any = self.server
        self.connection.settimeout(0.02)
        state.stalled.set()
        while not state.released.is_set():
            try:
                if self.connection.recv(1) == b"":
                    raise ConnectionResetError
            except TimeoutError:
                continue
            except ConnectionError:
                state.disconnected.set()
                self.close_connection = True
                raise
        self.connection.settimeout(None)

    def _listing(self) -> dict[str, Any]:
        state: Any = self.server
        siblings = []
        for name, body in state.files.items():
            row: dict[str, Any] = {"rfilename": name, "size": len(body), "blobId": etag("pointer", body)}
            if name == WEIGHTS:
                digest = hashlib.sha256(b"other" if state.damaged else body).hexdigest()
                row["lfs"] = {"size": len(body), "sha256": digest, "pointerSize": 100}
            siblings.append(row)
        names = {"_id": "0", "id": REPO, "modelId": REPO, "sha": state.commit}
        return {**names, "siblings": siblings, "tags": [], "downloads": 0}

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that are killed are what we test."""


def etag(name: str, body: bytes) -> str:
    if name == WEIGHTS:
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@pytest.fixture
def server() -> Iterator[Any]:
    state: Any = Server(("127.0.0.1", 0), FakeHub)
    state.files = {
        "config.json": b'{"a": 1}',
        WEIGHTS: os.urandom(300_000),
        "pytorch_model.bin": b"a pickle",
        "notes.md": b"#",
    }
    state.commit, state.asked, state.tokens, state.ranges_sent = COMMIT, [], [], []
    state.status, state.refusal, state.ranges, state.damaged = 200, {}, True, False
    state.break_at = state.stall_at = 0
    state.stall_listing = False
    state.stalled, state.released, state.disconnected = threading.Event(), threading.Event(), threading.Event()
    threading.Thread(target=state.serve_forever, daemon=True).start()
    yield state
    state.released.set()
    state.shutdown()
    state.server_close()


SCRIPT = """
import json, logging, os, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="LOG %(message)s")
calls, answer = [], {}
class Stop(Exception): pass
def progress(done, total):
    calls.append((done, total))
    print("PROGRESS", total, file=sys.stderr, flush=True)
    if CANCEL is not None and done >= CANCEL and os.path.exists(SIGN): raise Stop
try:
    with hub.model_folders([], download_to=TO):
        answer["folder"] = str(hub.fetch_files("maker/tiny", required=["config.json"],
            any_of=[("model.safetensors", "pytorch_model.bin")] if WHOLE else (), optional=["notes.md", "no.md"],
            revision=REVISION, download=True, progress=progress))
except ModelNotFoundError as error:
    answer["error"] = str(error)
except Stop:
    answer["error"] = "stopped"
answer["calls"] = calls
print(json.dumps(answer))
"""
IMPORTS = "from interrogator import hub\nfrom interrogator.errors import ModelNotFoundError"
AS_A_HOST_LOADS_US = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("custom node/a-name", {interrogator.__file__!r})
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
hub = importlib.import_module(".hub", spec.name)
ModelNotFoundError = importlib.import_module(".errors", spec.name).ModelNotFoundError
assert "interrogator" not in sys.modules
"""


def start(
    tmp_path: Path,
    endpoint: str,
    *,
    cancel: int | None = None,
    sign: str = ".",
    revision: str | None = None,
    to: Path | None = None,
    whole: bool = True,
    imports: str = IMPORTS,
    **extra: str,
) -> subprocess.Popen[str]:
    """One download in a process of its own: huggingface_hub reads HF_ENDPOINT when it is imported.

    cancel: bytes after which it is cancelled, once the file `sign` exists.  whole: with weights.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    env = {**inherited, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*"}
    env["INTERROGATOR_HOME"] = str(tmp_path / "home")
    paths = [str(Path(interrogator.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    if imports == AS_A_HOST_LOADS_US:
        paths = paths[1:]
    env["PYTHONPATH"] = os.pathsep.join(paths)
    given = f"CANCEL, SIGN, REVISION, TO, WHOLE = {cancel!r}, {sign!r}, {revision!r}, {to and str(to)!r}, {whole}"
    return subprocess.Popen(
        [sys.executable, "-c", f"{imports}\n{given}\n{SCRIPT}"],
        env={**env, **extra}, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def download(tmp_path: Path, endpoint: str, **arguments: Any) -> Any:
    with start(tmp_path, endpoint, **arguments) as process:
        out, log = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0, log
    return {**json.loads(out), "log": log}


def address(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def base(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub" / "models--maker--tiny"


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.incomplete") if path.is_file()]


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def fill(folder: Path, *names: str, content: bytes = b"x") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content)
    return folder


def test_a_download_brings_what_is_wanted_says_so_first_and_is_found_afterwards(server: Any, tmp_path: Path) -> None:
    answer = download(tmp_path, address(server))
    folder = Path(answer["folder"])
    assert folder == base(tmp_path) / "snapshots" / COMMIT
    assert {path.name for path in folder.iterdir()} == {"config.json", WEIGHTS, "notes.md"}
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert f"LOG downloading notes.md, config.json, {WEIGHTS} (300 kB) from {REPO} to {folder}" in answer["log"]
    assert [name for name, _ in server.ranges_sent] == ["notes.md", "config.json", WEIGHTS], "weights come last"
    total = sum(len(server.files[name]) for name in ("config.json", WEIGHTS, "notes.md"))
    assert answer["calls"][-1] == [total, total]
    assert parts(base(tmp_path)) == []

    server.asked.clear()
    assert download(tmp_path, address(server))["folder"] == str(folder)
    assert server.asked == [], "files on disk are used without asking"
    assert download(tmp_path, address(server), revision=COMMIT, HF_HUB_OFFLINE="1")["folder"] == str(folder)


def test_the_cache_we_fill_is_the_one_that_huggingface_hub_reads(server: Any, tmp_path: Path) -> None:
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    folder = Path(download(tmp_path, address(server))["folder"])
    cache = base(tmp_path).parent
    assert try_to_load_from_cache(REPO, WEIGHTS, cache_dir=cache) == str(folder / WEIGHTS)
    assert [repo.repo_id for repo in scan_cache_dir(cache).repos] == [REPO]
    assert not scan_cache_dir(cache).warnings


def test_weights_that_two_commits_share_are_downloaded_once(server: Any, tmp_path: Path) -> None:
    first = Path(download(tmp_path, address(server), revision=COMMIT)["folder"])
    server.commit, server.files["config.json"] = NEXT_COMMIT, b'{"a": 2}'
    second = Path(download(tmp_path, address(server), revision=NEXT_COMMIT)["folder"])
    assert second != first and (second / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert (second / "config.json").read_bytes() == b'{"a": 2}' and (first / "config.json").read_bytes() == b'{"a": 1}'
    assert [name for name, _ in server.ranges_sent].count(WEIGHTS) == 1


def test_where_links_do_not_work_the_cache_holds_plain_files(server: Any, tmp_path: Path) -> None:
    fill(tmp_path / "site", "sitecustomize.py", content=b"import os\ndef no(*a, **k): raise OSError\nos.symlink = no\n")
    paths = [str(tmp_path / "site"), str(Path(interrogator.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    folder = Path(download(tmp_path, address(server), PYTHONPATH=os.pathsep.join(paths))["folder"])
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS] and not (folder / WEIGHTS).is_symlink()
    assert files_below(base(tmp_path) / "blobs") == set(), "nothing is there twice"
    assert (base(tmp_path) / "refs" / "main").read_text() == COMMIT


def test_it_works_in_a_host_that_gives_the_package_another_name(server: Any, tmp_path: Path) -> None:
    answer = download(tmp_path, address(server), imports=AS_A_HOST_LOADS_US)
    assert (Path(answer["folder"]) / WEIGHTS).read_bytes() == server.files[WEIGHTS]


# --- cancelled, killed, broken: what has arrived is not fetched again ------------------------------------------------


@pytest.mark.parametrize("host", ["", "host"])
def test_a_cancelled_download_goes_on_where_it_ended(server: Any, tmp_path: Path, host: str) -> None:
    to, where = (tmp_path / host, tmp_path / host) if host else (None, base(tmp_path))
    server.stall_at = 1 << 17
    answer = download(tmp_path, address(server), to=to, cancel=100_000)
    assert answer["error"] == "stopped"
    assert server.disconnected.wait(LAST_RESORT), "the process that downloads is gone"
    assert not server.released.is_set()
    (part,) = parts(where)
    here = part.stat().st_size
    assert here >= 1 << 16 and not any(path.name == WEIGHTS for path in where.rglob("*"))

    server.stall_at = 0
    server.ranges_sent.clear()
    answer = download(tmp_path, address(server), to=to)
    assert (Path(answer["folder"]) / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert server.ranges_sent == [(WEIGHTS, here)], "only the rest, and no other file"
    assert f"of which {here // 1000} kB are here" in answer["log"]
    assert parts(where) == []


def test_a_cancel_works_while_the_hub_says_nothing(server: Any, tmp_path: Path) -> None:
    server.stall_listing = True
    with start(tmp_path, address(server), cancel=0, sign="now") as process:
        assert server.stalled.wait(LAST_RESORT)
        fill(tmp_path, "now")
        answer = json.loads(process.communicate(timeout=LAST_RESORT)[0])
    assert answer["error"] == "stopped" and set(map(tuple, answer["calls"])) == {(0, 0)}
    assert server.disconnected.wait(LAST_RESORT) and not server.released.is_set()
    assert not (tmp_path / "hf" / "hub").exists()


def test_a_download_ends_with_the_program_that_wanted_it(server: Any, tmp_path: Path) -> None:
    server.stall_at = 1 << 17
    with start(tmp_path, address(server)) as process:
        assert server.stalled.wait(LAST_RESORT)
        process.kill()
    assert server.disconnected.wait(LAST_RESORT)
    (part,) = parts(base(tmp_path))
    assert not (base(tmp_path) / "snapshots" / COMMIT / WEIGHTS).exists()

    here, server.stall_at = part.stat().st_size, 0
    server.ranges_sent.clear()
    folder = Path(download(tmp_path, address(server))["folder"])
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert server.ranges_sent == [(WEIGHTS, here)]


def test_two_programs_download_a_file_once(server: Any, tmp_path: Path) -> None:
    server.stall_at = 1 << 17
    with start(tmp_path, address(server)) as first:
        assert server.stalled.wait(LAST_RESORT)
        with start(tmp_path, address(server)) as second:
            # Time enough for the second to ask for the file, if the first did not hold the lock.
            lines = (line for line in second.stderr or () if line.startswith("PROGRESS 3"))
            assert len(list(itertools.islice(lines, 15))) == 15
            server.released.set()
            answers = [json.loads(process.communicate(timeout=LAST_RESORT)[0]) for process in (first, second)]
    assert answers[0]["folder"] == answers[1]["folder"]
    assert (Path(answers[0]["folder"]) / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert [start for name, start in server.ranges_sent if name == WEIGHTS] == [0]


def test_a_broken_connection_is_taken_up_where_it_broke(server: Any, tmp_path: Path) -> None:
    server.break_at = 1 << 17
    folder = Path(download(tmp_path, address(server))["folder"])
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    (first, second) = [start for name, start in server.ranges_sent if name == WEIGHTS]
    assert first == 0 and second >= 1 << 16


@pytest.mark.parametrize("ranges", [True, False])
def test_what_does_not_fit_is_started_again(server: Any, tmp_path: Path, ranges: bool) -> None:
    """The beginning on disk is of something else; or the server cannot send the rest alone."""
    server.ranges = ranges
    fill(base(tmp_path) / "blobs", f"{etag(WEIGHTS, server.files[WEIGHTS])}.incomplete", content=b"0" * 150_000)
    folder = Path(download(tmp_path, address(server))["folder"])
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert server.ranges_sent[-1] == (WEIGHTS, 0)


@pytest.mark.parametrize("host", ["", "host"])
def test_a_damaged_file_is_refused_and_leaves_nothing(server: Any, tmp_path: Path, host: str) -> None:
    server.damaged = True
    answer = download(tmp_path, address(server), to=tmp_path / host if host else None)
    assert f"{WEIGHTS} came damaged" in answer["error"]
    assert parts(tmp_path) == [] and not list(tmp_path.rglob(WEIGHTS))


def test_a_small_file_alone_does_not_make_a_model(server: Any, tmp_path: Path) -> None:
    folder = Path(download(tmp_path, address(server), whole=False)["folder"])
    assert {path.name for path in folder.iterdir()} == {"config.json", "notes.md"}
    assert WEIGHTS not in [name for name, _ in server.ranges_sent]
    server.ranges_sent.clear()
    assert download(tmp_path, address(server))["folder"] == str(folder)
    assert server.ranges_sent == [(WEIGHTS, 0)]
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]


# --- a plain folder of a host ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [None, "v1", COMMIT])
def test_a_host_gets_a_plain_folder_and_the_second_load_asks_nobody(
    server: Any, tmp_path: Path, revision: str | None
) -> None:
    host = tmp_path / "host"
    answer = download(tmp_path, address(server), to=host, revision=revision)
    folder = host / "maker--tiny"
    assert answer["folder"] == str(folder)
    assert {path.name for path in folder.iterdir()} == {"config.json", WEIGHTS, "notes.md"}
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert not base(tmp_path).exists(), "nothing goes into the cache"
    assert f"from {REPO} to {folder}" in answer["log"]

    server.asked.clear()
    assert download(tmp_path, address(server), to=host)["folder"] == str(folder)
    assert server.asked == []


def test_a_host_folder_is_completed_and_what_is_in_it_stays(server: Any, tmp_path: Path) -> None:
    folder = fill(tmp_path / "host" / "maker--tiny", "mine.txt")
    fill(folder, "config.json", content=server.files["config.json"])
    fill(folder, WEIGHTS, content=b"")
    assert download(tmp_path, address(server), to=tmp_path / "host")["folder"] == str(folder)
    assert files_below(folder) == {"mine.txt", "config.json", WEIGHTS, "notes.md"}
    assert not any("config.json" in path for path in server.asked), "what is whole is not fetched again"


def test_files_of_two_commits_are_not_mixed(server: Any, tmp_path: Path) -> None:
    to = tmp_path / "host"
    server.stall_at = 1 << 17
    download(tmp_path, address(server), to=to, cancel=100_000)
    assert (to / "maker--tiny" / "config.json").read_bytes() == b'{"a": 1}'
    server.stall_at = 0
    server.commit, server.files["config.json"], server.files[WEIGHTS] = NEXT_COMMIT, b'{"a": 2}', os.urandom(300_000)
    folder = Path(download(tmp_path, address(server), to=to)["folder"])
    assert (folder / "config.json").read_bytes() == b'{"a": 2}', "of the same size, but another"
    assert (folder / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert parts(to) == [], "nor does the beginning of the other stay"


# --- what goes wrong is said plainly ---------------------------------------------------------------------------------


def test_a_repository_without_the_files_is_named(server: Any, tmp_path: Path) -> None:
    del server.files["config.json"]
    assert "the repository has no config.json" in download(tmp_path, address(server))["error"]


BAD_TOKEN = "Invalid credentials in Authorization header"


@pytest.mark.parametrize(
    ("status", "headers", "token", "says"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "", "no such repository (404): check the name; set HF_TOKEN or run"),
        (401, {}, "", "no such repository (401): check the name; set HF_TOKEN or run `hf auth login` if it is private"),
        (401, {}, "hf_x", "no such repository (401): check the name; your access token may not read it"),
        (401, {"X-Error-Message": BAD_TOKEN}, "hf_x", "refuses the access token (401): set HF_TOKEN or run"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "", "it has no such revision: name a branch, a tag or a commit"),
        (401, {"X-Error-Code": "GatedRepo"}, "", "(401): accept its terms at {hub}/maker/tiny, then set HF_TOKEN or"),
        (403, {"X-Error-Code": "GatedRepo"}, "hf_x", "{hub}/maker/tiny with the account of your access token"),
        (403, {}, "hf_x", "forbids it (403): your access token needs the permission to read"),
        (503, {}, "", "the hub has trouble (503): try again later"),
    ],
)
def test_what_the_hub_refuses_is_said_plainly(
    server: Any, tmp_path: Path, status: int, headers: dict[str, str], token: str, says: str
) -> None:
    server.status, server.refusal = status, headers
    answer = download(tmp_path, address(server), **({"HF_TOKEN": token} if token else {}))
    assert says.format(hub=address(server)) in answer["error"]
    assert "\n" not in answer["error"] and "put config.json" in answer["error"]


@pytest.mark.parametrize("extra", [{}, {"HF_HUB_OFFLINE": "1"}, {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}])
def test_without_a_network_the_error_names_files_and_folder(tmp_path: Path, extra: dict[str, str]) -> None:
    error = download(tmp_path, "http://127.0.0.1:9", **extra)["error"]
    assert "maker/tiny could not be downloaded" in error
    assert "put config.json and model.safetensors or pytorch_model.bin into" in error
    assert "maker--tiny" in error and "\n" not in error
    if "HF_HUB_OFFLINE" in extra:
        assert "offline mode is on: unset HF_HUB_OFFLINE" in error
    else:
        assert "check" in error and "HTTPS_PROXY" in error


def test_token_and_proxy_are_used(server: Any, tmp_path: Path) -> None:
    through = {"HTTP_PROXY": address(server), "NO_PROXY": "", "HF_TOKEN": "hf_x"}
    answer = download(tmp_path, "http://hub.invalid", **through)
    assert (Path(answer["folder"]) / WEIGHTS).read_bytes() == server.files[WEIGHTS]
    assert all(path.startswith("http://hub.invalid/") for path in server.asked)
    assert {token for path, token in server.tokens if REPO in path} == {"Bearer hf_x"}


def test_a_disk_without_room_is_named_before_anything_is_written(server: Any, tmp_path: Path) -> None:
    little = "import shutil, types\nshutil.disk_usage = lambda path: types.SimpleNamespace(free=200_000)\n"
    answer = download(tmp_path, address(server), imports=little + IMPORTS)
    assert "it takes 300 kB and" in answer["error"] and "has 200 kB free" in answer["error"]
    assert server.ranges_sent == [] and files_below(tmp_path) == set()

    # What is here already takes no more room.
    fill(base(tmp_path) / "blobs", f"{etag(WEIGHTS, server.files[WEIGHTS])}.incomplete")
    (part,) = parts(base(tmp_path))
    part.write_bytes(server.files[WEIGHTS][:200_000])
    assert "folder" in download(tmp_path, address(server), imports=little + IMPORTS)


def test_a_folder_that_cannot_be_written_is_named(server: Any, tmp_path: Path) -> None:
    fill(tmp_path, "file")
    error = download(tmp_path, address(server), to=tmp_path / "file" / "below")["error"]
    assert f"cannot write {tmp_path / 'file'}" in error


def test_trouble_of_the_disk_and_of_certificates_is_explained() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert explain(full, REPO) == "the disk is full: free some space; what has arrived is kept"
    bad = OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert "SSL_CERT_FILE" in explain(bad, REPO)


def test_a_process_that_dies_is_reported_with_its_last_words(server: Any, tmp_path: Path) -> None:
    fill(tmp_path / "site", "sitecustomize.py", content=b"""
import sys
if "transfer.process" in " ".join(sys.orig_argv): raise SystemExit("no way")
""")  # fmt: skip
    paths = [str(tmp_path / "site"), str(Path(interrogator.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    error = download(tmp_path, address(server), PYTHONPATH=os.pathsep.join(paths))["error"]
    assert "the process that downloads has died: SystemExit: no way" in error
