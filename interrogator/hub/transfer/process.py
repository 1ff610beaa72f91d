"""Serving one download: orders from stdin, answers to stdout."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from typing import Any

from .answers import client_errors
from .explanation import explain
from .listing import list_files
from .reception import fetch
from .remote import RemoteFile, Transfer, TransferError


def _lines_until_it_closes() -> queue.SimpleQueue[bytes]:
    """Lines of stdin. When it closes, whoever started us is gone or has cancelled: the process ends at once."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    """Serve one download."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to all of a terminal; who started us decides
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    lines = _lines_until_it_closes()
    order = json.loads(lines.get())
    sys.path[:] = order["sys_path"]  # a host may have extended it while it ran
    from huggingface_hub.errors import HFValidationError

    repo_id = order["repo_id"]
    try:
        commit, files = list_files(repo_id, order["revision"])
        answer({"commit": commit, "files": [asdict(file) for file in files]})
        for row in json.loads(lines.get()):
            transfer = Transfer(**{**row, "file": RemoteFile(**row["file"])})
            fetch(repo_id, order["cache"], transfer)
            answer({"arrived": transfer.file.name})
        answer({"finished": True})
    except TransferError as error:
        answer({"error": str(error)})
    except (HFValidationError, *client_errors()) as error:
        answer({"error": explain(error, repo_id)})
    os._exit(0)  # not the usual way out: the thread above is still reading
