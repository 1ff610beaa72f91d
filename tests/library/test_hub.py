"""Files on disk first, the network only when allowed, and never half a file."""

from __future__ import annotations

import hashlib
import http.server
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
from interrogator import hub
from interrogator.encoders.sources import locate
from interrogator.errors import ModelNotFoundError

from .waiting import LAST_RESORT

pytestmark = pytest.mark.models  # the oldest transformers comes with the oldest huggingface_hub

REPO = "maker/tiny"
COMMIT = "a" * 40
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def fill(folder: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def cached(tmp_path: Path, commit: str, *names: str) -> Path:
    return fill(tmp_path / "cache" / "models--maker--tiny" / "snapshots" / commit, *names)


def test_home_follows_the_variable_then_the_habits_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.home() == tmp_path / "home"
    assert hub.models_dir() == tmp_path / "home" / "models"
    assert hub.local_folder(REPO) == tmp_path / "home" / "models" / "maker--tiny"

    monkeypatch.delenv("INTERROGATOR_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub.home() == tmp_path / "xdg" / "interrogator"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert hub.home() == tmp_path / ".cache" / "interrogator"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert hub.home() == tmp_path / "Library" / "Caches" / "interrogator"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert hub.home() == tmp_path / "local" / "interrogator"
    monkeypatch.delenv("LOCALAPPDATA")
    assert hub.home() == tmp_path / "AppData" / "Local" / "interrogator"


def test_asking_where_things_are_creates_nothing(tmp_path: Path) -> None:
    hub.models_dir(), hub.local_folder(REPO), hub.find_files(REPO, ["config.json"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "config.json", "model.safetensors")
    assert hub.find_files(str(folder), ["config.json"], any_of=[WEIGHTS]) == folder


@pytest.mark.parametrize("place", ["maker--tiny", "tiny"])
def test_files_that_people_put_by_hand_are_found(place: str) -> None:
    folder = fill(hub.models_dir() / place, "config.json", "pytorch_model.bin")
    assert hub.find_files(REPO, ["config.json"], any_of=[WEIGHTS]) == folder
    assert hub.fetch_files(REPO, ["config.json"], any_of=[WEIGHTS]) == folder


def test_a_folder_with_one_file_too_few_or_empty_is_not_taken() -> None:
    folder = fill(hub.local_folder(REPO), "config.json")
    assert hub.find_files(REPO, ["config.json"], any_of=[WEIGHTS]) is None
    fill(folder, "model.safetensors", content=b"")
    assert hub.find_files(REPO, ["config.json"], any_of=[WEIGHTS]) is None
    fill(folder, "model.safetensors")
    assert hub.find_files(REPO, ["config.json"], any_of=[WEIGHTS]) == folder


def test_the_hugging_face_cache_is_read_by_branch_and_by_commit(tmp_path: Path) -> None:
    main, other = cached(tmp_path, COMMIT, "config.json"), cached(tmp_path, "b" * 40, "config.json", "extra.json")
    fill(tmp_path / "cache" / "models--maker--tiny" / "refs", "main", content=COMMIT.encode())
    assert hub.find_files(REPO, ["config.json"]) == main
    assert hub.find_files(REPO, ["config.json"], revision="b" * 40) == other
    assert hub.find_files(REPO, ["config.json"], revision="c" * 40) is None
    assert hub.find_files(REPO, ["extra.json"]) == other, "no revision asked for: any that is complete will do"
    assert hub.find_files(REPO, ["extra.json"], revision="main") is None


def test_without_a_branch_the_newest_snapshot_is_taken_whatever_its_name(tmp_path: Path) -> None:
    snapshots = [cached(tmp_path, letter * 40, "config.json") for letter in "bcad"]
    for age, snapshot in enumerate(snapshots):
        os.utime(snapshot, (1_700_000_000 - age, 1_700_000_000 - age))
    for snapshot in snapshots:
        assert hub.find_files(REPO, ["config.json"]) == snapshot
        (snapshot / "config.json").unlink()


def test_folders_of_people_come_before_the_cache(tmp_path: Path) -> None:
    cached(tmp_path, COMMIT, "config.json")
    folder = fill(hub.local_folder(REPO), "config.json")
    assert hub.find_files(REPO, ["config.json"]) == folder


def test_of_several_formats_the_first_named_is_taken() -> None:
    assert hub.find_file(REPO, WEIGHTS) is None
    folder = fill(hub.local_folder(REPO), "pytorch_model.bin")
    assert hub.find_file(REPO, WEIGHTS) == folder / "pytorch_model.bin"
    fill(folder, "model.safetensors")
    assert hub.fetch_file(REPO, WEIGHTS) == folder / "model.safetensors"


def test_what_is_missing_is_said_in_one_sentence_with_every_file_and_the_folder() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        hub.fetch_files(REPO, ["config.json", "tokenizer_config.json"], any_of=[WEIGHTS], size="1.9 GB")
    assert str(caught.value) == (
        "maker/tiny is not on this machine: put config.json, tokenizer_config.json and model.safetensors or "
        f"pytorch_model.bin into {hub.local_folder(REPO)}, "
        "or allow the download (1.9 GB) with --download or download=True"
    )


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "../x", "", "bad name/x"])
@pytest.mark.parametrize("download", [False, True])
def test_a_path_that_does_not_exist_is_never_taken_for_a_repository(name: str, download: bool) -> None:
    with pytest.raises(ModelNotFoundError, match="no folder|lacks"):
        hub.fetch_files(name, ["config.json"], download=download)


def test_a_folder_named_by_path_says_what_it_lacks(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "config.json")
    with pytest.raises(
        ModelNotFoundError, match="mine lacks tokenizer.json and model.safetensors or pytorch_model.bin"
    ):
        hub.fetch_files(str(folder), ["config.json", "tokenizer.json"], any_of=[WEIGHTS])


# --- folders of a host -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["maker--tiny", "tiny", "maker/tiny"])
def test_a_model_is_found_in_a_host_folder(tmp_path: Path, place: str) -> None:
    folder = fill(tmp_path / "second" / place, "config.json")
    assert hub.find_files(REPO, ["config.json"]) is None
    with interrogator.model_folders([tmp_path / "not there", str(tmp_path / "second")]):
        assert hub.find_files(REPO, ["config.json"]) == folder
        assert hub.fetch_files(REPO, ["config.json"]) == folder
    assert hub.find_files(REPO, ["config.json"]) is None


def test_host_folders_come_first_in_their_order_and_what_they_lack_is_found_where_it_was(tmp_path: Path) -> None:
    ours, in_cache = fill(hub.local_folder(REPO), "config.json"), cached(tmp_path, COMMIT, "extra.json")
    first, second = (fill(tmp_path / name / "maker--tiny", "config.json") for name in ("first", "second"))
    with interrogator.model_folders([tmp_path / "first", tmp_path / "second"]):
        assert hub.find_files(REPO, ["config.json"]) == first
        assert hub.find_files(REPO, ["extra.json"]) == in_cache
        (first / "config.json").unlink()
        assert hub.find_files(REPO, ["config.json"]) == second
        (second / "config.json").unlink()
        assert hub.find_files(REPO, ["config.json"]) == ours


def test_host_folders_go_for_hub_ids_only(tmp_path: Path) -> None:
    fill(tmp_path / "host" / "a" / "b" / "c", "config.json")
    with interrogator.model_folders([tmp_path / "host"]):
        for name in ("a/b/c", "../host/a/b/c", ""):
            assert hub.find_files(name, ["config.json"]) is None


def test_the_inner_block_counts_and_a_block_ends_when_something_is_raised(tmp_path: Path) -> None:
    before = hub.local_folder(REPO)
    with interrogator.model_folders([], download_to=tmp_path / "outer"):
        with pytest.raises(ZeroDivisionError), interrogator.model_folders([], download_to=tmp_path / "inner"):
            assert hub.local_folder(REPO) == tmp_path / "inner" / "maker--tiny"
            raise ZeroDivisionError
        assert hub.local_folder(REPO) == tmp_path / "outer" / "maker--tiny"
    assert hub.local_folder(REPO) == before


def test_another_thread_keeps_its_own_folders(tmp_path: Path) -> None:
    seen: list[Path] = []
    with interrogator.model_folders([], download_to=tmp_path / "host"):
        thread = threading.Thread(target=lambda: seen.append(hub.local_folder(REPO)))
        thread.start()
        thread.join()
    assert seen == [hub.local_folder(REPO)]


def test_a_host_says_what_is_missing_where_it_belongs_and_how_to_get_it_in_its_own_words(tmp_path: Path) -> None:
    offer = "switch on `download` on this node"
    with (
        interrogator.model_folders([tmp_path / "other"], download_to=tmp_path / "host", offer=offer),
        pytest.raises(ModelNotFoundError) as caught,
    ):
        hub.fetch_files(REPO, ["config.json"], size="1.9 GB")
    assert str(caught.value) == (
        f"maker/tiny is not on this machine: put config.json into {tmp_path / 'host' / 'maker--tiny'}, "
        "or switch on `download` on this node to download it (1.9 GB)"
    )
    fill(tmp_path / "host" / "maker--tiny", "config.json")
    with interrogator.model_folders([tmp_path / "other"], download_to=tmp_path / "host"):
        assert hub.find_files(REPO, ["config.json"]) == tmp_path / "host" / "maker--tiny", "the message keeps its word"


def test_weights_and_tokenizers_of_encoders_are_found_in_host_folders_too(tmp_path: Path) -> None:
    weights = fill(tmp_path / "host" / "vit_large_patch14_clip_224.openai", "open_clip_model.safetensors")
    with interrogator.model_folders([tmp_path / "host"]):
        assert locate("ViT-L-14/openai").checkpoint == weights / "open_clip_model.safetensors"

    config = {"vision_cfg": {}, "text_cfg": {"hf_tokenizer_name": "maker/words", "hf_model_name": "maker/reader"}}
    model = fill(tmp_path / "host" / "maker" / "tiny", "open_clip_pytorch_model.bin")
    (model / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    with interrogator.model_folders([tmp_path / "host"], download_to=tmp_path / "host"):
        with pytest.raises(ModelNotFoundError) as caught:
            locate("hf-hub:maker/tiny")
        for name in ("maker--words", "maker--reader"):
            assert str(tmp_path / "host" / name) in str(caught.value)
        words = fill(tmp_path / "host" / "maker--words", "tokenizer.json")
        reader = fill(tmp_path / "host" / "reader", "config.json")
        sources = locate("hf-hub:maker/tiny")
    assert (sources.tokenizer, sources.text_config) == (words, reader)


# --- with a hub of our own -------------------------------------------------------------------------------------------


class FakeHub(http.server.BaseHTTPRequestHandler):
    """The two addresses that a download uses, with faults on request. State is on the server object."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: Any = self.server
        state.asked.append(self.path)
        path = self.path.split("?")[0]
        if path.startswith("/api/models/"):
            if state.status != 200:
                self._answer(state.status, b"{}", {"X-Error-Code": state.error_code})
                return
            self._answer(200, json.dumps(self._listing()).encode(), {"Content-Type": "application/json"})
            return
        if f"/resolve/{COMMIT}/" not in path:  # newer clients may probe for other services
            self._answer(404, b"", {})
            return
        body = state.files[path.split(f"/resolve/{COMMIT}/")[1]]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        for at in range(start, len(body), 1 << 16):
            if state.break_at and at >= state.break_at:
                state.break_at = 0
                self.close_connection = True
                return
            if at and state.stall:
                state.released.wait(LAST_RESORT)
            self.wfile.write(body[at : at + (1 << 16)])

    def _listing(self) -> dict[str, Any]:
        state: Any = self.server
        siblings = []
        for name, body in state.files.items():
            row: dict[str, Any] = {"rfilename": name, "size": len(body), "blobId": "0" * 40}
            if name in WEIGHTS:
                digest = hashlib.sha256(b"other" if state.damaged else body).hexdigest()
                row["lfs"] = {"size": len(body), "sha256": digest, "pointerSize": 100}
            siblings.append(row)
        return {
            "_id": "0",
            "id": REPO,
            "modelId": REPO,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": [],
            "downloads": 0,
        }

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    state: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    state.files = {
        "config.json": b'{"a": 1}',
        "model.safetensors": os.urandom(300_000),
        "pytorch_model.bin": b"a pickle",
        "notes.md": b"#",
    }
    state.asked, state.status, state.error_code = [], 200, ""
    state.break_at, state.stall, state.damaged, state.released = 0, False, False, threading.Event()
    state.daemon_threads = True
    thread = threading.Thread(target=state.serve_forever, daemon=True)
    thread.start()
    yield state
    state.released.set()
    state.shutdown()
    state.server_close()


SCRIPT = """
import json, logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="LOG %(message)s")
from interrogator import hub
from interrogator.errors import InterrogatorError
calls, answer = [], {}
class Stop(Exception): pass
def progress(done, total):
    calls.append((done, total))
    if CANCEL is not None and done >= CANCEL: raise Stop
try:
    with hub.model_folders([], download_to=TO):
        answer["folder"] = str(hub.fetch_files("maker/tiny", ["config.json"],
            any_of=[("model.safetensors", "pytorch_model.bin")], optional=["notes.md", "no.md"],
            revision=REVISION, download=True, progress=progress))
except InterrogatorError as error:
    answer["error"], answer["kind"], answer["cause"] = str(error), type(error).__name__, repr(error.__cause__)
except Stop:
    answer["error"] = "stopped"
answer["calls"] = calls
print(json.dumps(answer))
"""


def download(
    tmp_path: Path,
    endpoint: str,
    *,
    cancel: int | None = None,
    revision: str | None = None,
    to: Path | None = None,
    **extra: str,
) -> Any:
    """Run one download in a process of its own: huggingface_hub reads HF_ENDPOINT when it is imported.

    cancel: bytes after which it is cancelled.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    env = {**inherited, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*", **extra}
    env["PYTHONPATH"] = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = f"CANCEL = {cancel!r}\nREVISION = {revision!r}\nTO = {to and str(to)!r}\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=LAST_RESORT, check=False
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "log": done.stderr}


def base(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub" / "models--maker--tiny"


def half_written(tmp_path: Path) -> list[Path]:
    return [path for path in base(tmp_path).rglob("*") if path.is_file() and "incomplete" in path.name]


def address(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_a_download_brings_what_is_wanted_says_so_first_and_is_found_afterwards(server: Any, tmp_path: Path) -> None:
    answer = download(tmp_path, address(server))
    folder = Path(answer["folder"])
    assert folder == base(tmp_path) / "snapshots" / COMMIT
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "notes.md"}
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    assert "LOG downloading config.json, model.safetensors, notes.md (300 kB) from maker/tiny" in answer["log"]
    total = sum(len(server.files[name]) for name in ("config.json", "model.safetensors", "notes.md"))
    assert answer["calls"][-1] == [total, total]
    assert half_written(tmp_path) == []

    server.asked.clear()
    assert download(tmp_path, address(server))["folder"] == str(folder)
    assert server.asked == [], "files on disk are used without asking"
    assert download(tmp_path, address(server), revision=COMMIT, HF_HUB_OFFLINE="1")["folder"] == str(folder)


def test_the_cache_we_fill_is_the_one_that_huggingface_hub_reads(server: Any, tmp_path: Path) -> None:
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    folder = Path(download(tmp_path, address(server))["folder"])
    cache = base(tmp_path).parent
    assert try_to_load_from_cache(REPO, "model.safetensors", cache_dir=cache) == str(folder / "model.safetensors")
    assert [repo.repo_id for repo in scan_cache_dir(cache).repos] == [REPO]
    assert not scan_cache_dir(cache).warnings


def test_a_broken_connection_is_taken_up_where_it_broke(server: Any, tmp_path: Path) -> None:
    server.break_at = 1 << 17
    folder = Path(download(tmp_path, address(server))["folder"])
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    assert sum("model.safetensors" in path for path in server.asked) >= 2


def test_a_damaged_file_is_refused_and_leaves_nothing(server: Any, tmp_path: Path) -> None:
    server.damaged = True
    answer = download(tmp_path, address(server))
    assert answer["kind"] == "ModelNotFoundError" and "model.safetensors came damaged" in answer["error"]
    assert half_written(tmp_path) == []
    assert not (base(tmp_path) / "snapshots" / COMMIT / "model.safetensors").exists()


def test_a_cancel_works_while_the_network_stalls_and_leaves_nothing_half_written(server: Any, tmp_path: Path) -> None:
    server.stall = True
    answer = download(tmp_path, address(server), cancel=0)
    assert answer["error"] == "stopped"
    assert not server.released.is_set()  # the server still holds the connection
    assert half_written(tmp_path) == []
    assert not (base(tmp_path) / "snapshots" / COMMIT / "model.safetensors").exists()


def test_a_repository_without_the_files_is_named(server: Any, tmp_path: Path) -> None:
    del server.files["config.json"]
    answer = download(tmp_path, address(server))
    assert "the repository has no config.json" in answer["error"]


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (404, "RepoNotFound", "no such repository"),
        (404, "RevisionNotFound", "no such revision"),
        (403, "GatedRepo", "accept its terms"),
        (500, "", "HfHubHTTPError"),
    ],
)
def test_what_the_hub_refuses_is_said_plainly(server: Any, tmp_path: Path, status: int, code: str, says: str) -> None:
    server.status, server.error_code = status, code
    answer = download(tmp_path, address(server))
    assert answer["kind"] == "ModelNotFoundError" and says in answer["error"]
    assert "\n" not in answer["error"]


@pytest.mark.parametrize("extra", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_without_a_network_the_error_names_files_and_folder(tmp_path: Path, extra: dict[str, str]) -> None:
    answer = download(tmp_path, "http://127.0.0.1:9", **extra)
    assert answer["kind"] == "ModelNotFoundError"
    assert "maker/tiny could not be downloaded" in answer["error"]
    assert "put config.json and model.safetensors or pytorch_model.bin into" in answer["error"]
    assert "maker--tiny" in answer["error"] and "\n" not in answer["error"]
    assert ("offline" in answer["error"].lower()) == bool(extra)


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("revision", [None, "v1", COMMIT])
def test_a_host_gets_a_plain_folder_and_the_second_load_asks_nobody(
    server: Any, tmp_path: Path, revision: str | None
) -> None:
    host = tmp_path / "host"
    answer = download(tmp_path, address(server), to=host, revision=revision)
    folder = host / "maker--tiny"
    assert answer["folder"] == str(folder)
    assert files_below(host) == {f"maker--tiny/{name}" for name in ("config.json", "model.safetensors", "notes.md")}
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    assert not base(tmp_path).exists(), "nothing goes into the cache"
    assert f"from maker/tiny to {folder}" in answer["log"]

    server.asked.clear()
    assert download(tmp_path, address(server), to=host)["folder"] == str(folder)
    assert server.asked == []


def test_a_host_folder_is_completed_and_what_is_in_it_stays(server: Any, tmp_path: Path) -> None:
    folder = fill(tmp_path / "host" / "maker--tiny", "mine.txt")
    fill(folder, "config.json", content=server.files["config.json"])
    fill(folder, "model.safetensors", content=b"")
    assert download(tmp_path, address(server), to=tmp_path / "host")["folder"] == str(folder)
    assert files_below(folder) == {"mine.txt", "config.json", "model.safetensors", "notes.md"}
    assert not any("config.json" in path for path in server.asked), "what is whole is not fetched again"


def test_a_cancel_leaves_no_part_of_a_file_in_a_host_folder(server: Any, tmp_path: Path) -> None:
    server.stall = True
    del server.files["notes.md"]
    answer = download(tmp_path, address(server), to=tmp_path / "host", cancel=0)
    assert answer["error"] == "stopped"
    assert not server.released.is_set()  # the server still holds the connection
    assert list((tmp_path / "host").iterdir()) == []


def test_a_cancelled_model_is_not_taken_for_a_whole_one(server: Any, tmp_path: Path) -> None:
    server.stall = True
    download(tmp_path, address(server), to=tmp_path / "host", cancel=2)
    assert files_below(tmp_path / "host") == {"maker--tiny/notes.md"}, "what came whole is there for the next attempt"
    server.stall = False
    server.asked.clear()
    folder = Path(download(tmp_path, address(server), to=tmp_path / "host")["folder"])
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    assert not any("notes.md" in path for path in server.asked)


def test_a_damaged_file_leaves_nothing_in_a_host_folder(server: Any, tmp_path: Path) -> None:
    server.damaged = True
    del server.files["notes.md"]
    answer = download(tmp_path, address(server), to=tmp_path / "host")
    assert "model.safetensors came damaged" in answer["error"]
    assert str(tmp_path / "host" / "maker--tiny") in answer["error"]
    assert list((tmp_path / "host").iterdir()) == []
