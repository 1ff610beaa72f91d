"""A real ComfyUI, started for the tests and spoken to over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOOT_SECONDS = 600.0
RUN_SECONDS = 900.0
# How often the server is asked; the times that tests print are no finer than this.
_POLL_SECONDS = 0.05


class Rejected(Exception):
    """ComfyUI refused a prompt before running anything of it.

    Attributes:
        nodes: node id -> sentences about its inputs.
    """

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(answer, ensure_ascii=False))
        errors = answer.get("node_errors") or {}
        self.nodes = {
            node: [f"{error['message']}: {error['details']}" for error in told["errors"]]
            for node, told in errors.items()
        }


class RunFailed(Exception):
    """A node raised; the message is the one that the user reads on it."""

    def __init__(self, node: str, message: str, kind: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message
        self.kind = kind


class RunInterrupted(Exception):
    """The run was cancelled. `node`: the one that was running."""

    def __init__(self, node: str) -> None:
        super().__init__(f"cancelled in node {node}")
        self.node = node


@dataclass(frozen=True)
class Comfy:
    """A running ComfyUI with a base directory of its own.

    Attributes:
        boot_seconds: how long it took until it answered.
        boot_log: what it had logged by then.
    """

    base_url: str
    base_dir: Path
    log_path: Path
    process: subprocess.Popen[bytes]
    boot_seconds: float
    boot_log: str

    @classmethod
    def start(
        cls, checkout: Path, python: str, base_dir: Path, front_end: str | None = None, hub: str | None = None
    ) -> Comfy:
        """Start the ComfyUI of a checkout on a free port, and wait until it answers.

        Args:
            hub: the address that models are downloaded from; None is no network.

        Raises:
            RuntimeError: it stopped, or did not answer in time; with the end of its log.
        """
        port = _free_port()
        log_path = base_dir / "comfyui.log"
        begun = time.monotonic()
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [python, "main.py", *_flags(base_dir, port, front_end)],
                cwd=checkout,
                env=_environment(base_dir, hub),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        base_url = f"http://127.0.0.1:{port}"
        while not _answers(f"{base_url}/system_stats"):
            late = time.monotonic() - begun > BOOT_SECONDS
            if late or process.poll() is not None:
                process.kill()
                process.wait()
                end = log_path.read_text(encoding="utf-8", errors="replace")[-4000:]
                raise RuntimeError(f"ComfyUI {'did not answer in time' if late else 'stopped'}:\n{end}")
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - begun
        return cls(base_url, base_dir, log_path, process, seconds, log_path.read_text(encoding="utf-8"))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        """All that ComfyUI has logged so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def version(self) -> str:
        return str(self.get("/system_stats")["system"]["comfyui_version"])

    def get(self, path: str) -> Any:
        """The JSON at a path of the server."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """What stands at a path of the server; nothing where it knows none."""
        try:
            return _request(self.base_url + path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return b""

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON; the JSON that comes back, or None."""
        answer = _request(self.base_url + path, json.dumps(body).encode())
        return json.loads(answer) if answer else None

    def object_info(self, node: str) -> dict[str, Any]:
        """What ComfyUI tells its front end of a node."""
        info: dict[str, Any] = self.get(f"/object_info/{node}")[node]
        return info

    def queue(self, prompt: dict[str, Any]) -> str:
        """Hand in a prompt in API format; its id.

        Raises:
            Rejected: an input does not pass ComfyUI's own checks.
        """
        try:
            # Older versions leave what comes from the cache out of the history where nobody would be told of it.
            return str(self.post("/prompt", {"prompt": prompt, "client_id": "tests"})["prompt_id"])
        except urllib.error.HTTPError as error:
            raise Rejected(json.loads(error.read())) from error

    def wait(self, prompt_id: str, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """The history entry of a prompt, once it has come to its end, whatever that is."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            entry: dict[str, Any] | None = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                return entry
            if self.process.poll() is not None:
                raise RuntimeError(f"ComfyUI stopped:\n{self.log[-4000:]}")
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"The run did not end within {seconds:.0f} s.")

    def run(self, prompt: dict[str, Any], seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """Run a prompt in API format; its history entry.

        Raises:
            Rejected: ComfyUI does not take the prompt.
            RunFailed: a node raised.
            RunInterrupted: the run was cancelled.
        """
        return succeeded(self.wait(self.queue(prompt), seconds))

    def interrupt(self) -> None:
        """What the Cancel button does."""
        self.post("/interrupt", {})

    def unload_models(self) -> None:
        """What the button Unload Models and Execution Cache does: ComfyUI will do it soon, and tells nobody when."""
        self.post("/free", {"unload_models": True, "free_memory": True})


def succeeded(entry: dict[str, Any]) -> dict[str, Any]:
    """A history entry, if its run went to the end; raises as `Comfy.run`."""
    for event, told in entry["status"]["messages"]:
        if event == "execution_error":
            raise RunFailed(told["node_id"], told["exception_message"].strip(), told["exception_type"])
        if event == "execution_interrupted":
            raise RunInterrupted(told["node_id"])
    assert entry["status"]["status_str"] == "success", entry["status"]
    return entry


def shown(entry: dict[str, Any], node: str, key: str = "text") -> list[Any]:
    """What a node showed in a run: a list with one entry an image, or an item."""
    values: list[Any] = entry["outputs"][node][key]
    return values


def run_seconds(entry: dict[str, Any]) -> float:
    """How long a run took, by ComfyUI's own clock."""
    times = [told["timestamp"] for _, told in entry["status"]["messages"]]
    return float(max(times) - min(times)) / 1000


def served_from_cache(entry: dict[str, Any]) -> set[str]:
    """The nodes that did not run again."""
    lists = [told["nodes"] for event, told in entry["status"]["messages"] if event == "execution_cached"]
    return {node for nodes in lists for node in nodes}


def _flags(base_dir: Path, port: int, front_end: str | None) -> list[str]:
    flags = ["--cpu", "--listen", "127.0.0.1", "--port", str(port), "--disable-auto-launch", "--disable-api-nodes"]
    flags += ["--base-directory", str(base_dir)]
    # The base directory does not move the database.
    flags += ["--database-url", f"sqlite:///{base_dir / 'user' / 'comfyui.db'}"]
    return [*flags, "--front-end-root", front_end] if front_end else flags


def _environment(base_dir: Path, hub: str | None) -> dict[str, str]:
    """Nothing of the user's own is read or written, and no model is found by luck."""
    network = {"HF_HUB_OFFLINE": "1"} if hub is None else {"HF_ENDPOINT": hub, "NO_PROXY": "*"}
    return {
        **{name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "HF_ENDPOINT")},
        **network,
        "HF_HUB_CACHE": str(base_dir / "hub"),
        "INTERROGATOR_HOME": str(base_dir / "home"),
        "PYTHONUNBUFFERED": "1",
        # Small models are fastest on one thread, and several threads on a busy machine wait for each other.
        "OMP_NUM_THREADS": "1",
    }


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        _request(url)
    except OSError:
        return False
    return True


def _request(url: str, body: bytes | None = None) -> bytes:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=RUN_SECONDS) as answer:
        content: bytes = answer.read()
        return content
