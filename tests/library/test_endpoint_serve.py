"""Captions from `transformers serve`, a server that others wrote, with a tiny random model.

It takes packages that no extra of this project installs. Where they are not in this environment, SERVE_PYTHON may name
the Python of another that has `transformers[serving]`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from interrogator import load_captioner
from interrogator.captioners import CaptionOptions
from interrogator.errors import EndpointError

from .tiny_chat import CHAT_WRITERS
from .waiting import LAST_RESORT

pytestmark = pytest.mark.models

PYTHON = os.environ.get("SERVE_PYTHON", sys.executable)
_PACKAGES = "from transformers.utils.import_utils import is_serve_available as found; raise SystemExit(not found())"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs until the end of the module."""
    if subprocess.run([PYTHON, "-c", _PACKAGES], capture_output=True, check=False).returncode:
        pytest.skip("transformers serve takes `pip install transformers[serving]` here, or in SERVE_PYTHON")
    home = tmp_path_factory.mktemp("serve")
    model = CHAT_WRITERS["qwen3_vl"](home / "qwen3_vl")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "transformers.cli.transformers", "serve", str(model)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/v1", process, home / "log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def wait_for(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LAST_RESORT
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        with suppress(EndpointError):
            load_captioner(base)
            return
        time.sleep(0.2)
    raise TimeoutError(log.read_text(encoding="utf-8", errors="replace"))


def test_a_real_server_writes_captions_of_several_pictures_at_a_time(address: str) -> None:
    model = load_captioner(address)
    assert model.name.endswith("/qwen3_vl"), "the only model there"
    options = CaptionOptions(max_new_tokens=12, strip=(), ask="short", system="Be brief.")
    colors = ("red", "green", "blue", "white", "black", "yellow")
    prepared = [model.prepare(Image.new("RGB", (96, 64), color)) for color in colors]
    found = model.caption(prepared, options)
    assert len(set(found)) > 1 and all(found)
    assert found == [model.caption([each], options)[0] for each in prepared]


def test_a_model_that_a_real_server_does_not_have_is_an_error(address: str) -> None:
    model = load_captioner(f"{address}#another")
    with pytest.raises(EndpointError, match="has no model 'another' .* choose from .*/qwen3_vl"):
        model.caption([model.prepare(Image.new("RGB", (64, 64)))])
