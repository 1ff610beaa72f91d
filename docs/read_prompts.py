"""Have ComfyUI interrogate an image, and print what it finds. Needs nothing but Python.

python read_prompts.py photo.png --server http://127.0.0.1:8188 --preset demo
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

PROMPT_NODE = "2"


def graph(image: str, preset: str, mode: str) -> dict[str, Any]:
    """A graph in ComfyUI's API format; `image` is a name in its input folder."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        PROMPT_NODE: {
            "class_type": "InterrogatorImage",
            "inputs": {"image": ["1", 0], "preset": preset, "mode": mode, "negative": False, "escape": True},
        },
    }


def upload(server: str, image: Path) -> str:
    """Put an image into ComfyUI's input folder; the name it has there."""
    border = uuid.uuid4().hex
    head = f'--{border}\r\nContent-Disposition: form-data; name="image"; filename="{image.name}"\r\n\r\n'
    body = head.encode() + image.read_bytes() + f"\r\n--{border}--\r\n".encode()
    answer = ask(f"{server}/upload/image", body, f"multipart/form-data; boundary={border}")
    return "/".join(filter(None, (answer["subfolder"], answer["name"])))


def run(server: str, nodes: dict[str, Any]) -> dict[str, Any]:
    """Run a graph; its entry in /history once it has come to its end.

    Raises:
        RuntimeError: a node failed; with what it says.
    """
    asked = {"prompt": nodes, "client_id": uuid.uuid4().hex}
    prompt_id = ask(f"{server}/prompt", json.dumps(asked).encode(), "application/json")["prompt_id"]
    while prompt_id not in (history := ask(f"{server}/history/{prompt_id}")):
        time.sleep(0.2)
    entry: dict[str, Any] = history[prompt_id]
    for event, told in entry["status"]["messages"]:
        if event == "execution_error":
            raise RuntimeError(f"node {told['node_id']}: {told['exception_message'].strip()}")
    return entry


def ask(address: str, body: bytes | None = None, kind: str = "") -> Any:
    """The JSON that an address answers."""
    request = urllib.request.Request(address, body, {"Content-Type": kind} if kind else {})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--server", default="http://127.0.0.1:8188")
    parser.add_argument("--preset", default="sd15")
    parser.add_argument("--mode", default="fast")
    args = parser.parse_args()
    name = upload(args.server, args.image)
    entry = run(args.server, graph(name, args.preset, args.mode))
    for result in entry["outputs"][PROMPT_NODE]["interrogator"]:
        found = {"prompt": result["text"], "caption": result["caption"], "similarity": result["similarity"]}
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
