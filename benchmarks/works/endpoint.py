"""Pictures captioned by a server: several requests in flight beside one at a time.

The server is one of our own that takes a fixed time for a request, so what is measured is how well requests overlap.
"""

from __future__ import annotations

import io
import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from huggingface_hub import InferenceClient
from PIL import Image

from benchmarks.plan import Task
from benchmarks.results import Check, Result, Row
from benchmarks.timing import Clock, in_turn
from benchmarks.works import sides
from benchmarks.works.captions import draw
from interrogator.captioners.endpoint.address import Address
from interrogator.captioners.endpoint.captioner import EndpointCaptioner
from interrogator.captioners.endpoint.limits import Limits
from interrogator.dataset import Models, Run, Settings
from interrogator.images import open_image

SECONDS = 0.2
"""What the server takes for a request, however many it has."""

_MODEL = "slow"
_QUESTION = "Describe this image."
_SIDE = 1024
_SHARE = 5  # of the pictures of other works: the loop takes a fifth of a second for each


def run(task: Task) -> Result:
    """Measure requests alone, beside the same with one in flight; then whole runs beside the loop."""
    count = max(4, task.sizes.pictures // _SHARE)
    folder = task.scratch / "pictures"
    draw(folder, count)
    clock, in_flight = Clock("cpu"), Limits().in_flight
    with serving() as (base, most):
        address = Address.parse(f"{base}#{_MODEL}")
        single, captioner = EndpointCaptioner(address, limits=Limits(1)), EndpointCaptioner(address, limits=Limits())
        prepared = [captioner.prepare(open_image(path)) for path in sorted(folder.iterdir())]
        requests = in_turn(lambda: single.caption(prepared), lambda: captioner.caption(prepared), task.times, clock)
        outs = (task.scratch / f"ours-{number}" for number in range(task.times))
        runs = in_turn(
            lambda: loop(base, folder, task.scratch / "peer"), lambda: ours(captioner, folder, next(outs)), task.times,
            clock,
        )  # fmt: skip
    measured = {"requests alone": requests, "a whole run": runs}
    result = sides.empty(task)
    sizes = f"{count} pictures, {1000 * SECONDS:.0f} ms a request, {in_flight} in flight"
    result.rows.append(
        sides.row(task, f"requests alone, {sizes}", requests, requests.median, requests.words(), ("", ""))
    )
    # Nothing was asked of it: a run reads the first 64 pictures before it captions any, whatever the captioner.
    result.rows.append(Row(f"captions by a server: a whole run beside a loop, {sizes}", "", runs.words()))
    same = requests.peer[-1].answer == requests.ours[-1].answer
    result.checks.append(Check(f"{count} captions are the same with one and with {in_flight} in flight", same))
    files = len(runs.peer[-1].answer) == len(runs.ours[-1].answer) == count
    result.checks.append(Check(f"the loop and the run wrote {count} captions", files))
    result.checks.append(Check(f"there were never more than {in_flight} requests", max(most) == in_flight))
    result.notes.append(
        "The loop is around `huggingface_hub.InferenceClient`. Ours is a whole run: plan, parts, thumbnails and report"
        " are timed, too."
    )
    result.raw = {name: {"seconds": sides.seconds(pairs), "ratios": pairs.ratios} for name, pairs in measured.items()}
    return result


def ours(captioner: EndpointCaptioner, pictures: Path, out: Path) -> dict[str, str]:
    """A run of ours; captions by the name of the picture."""
    settings = Settings(preset="demo", captioner=captioner.name, ask=_QUESTION)
    Run([pictures], settings, out).work(lambda: Models(settings, captioner), len)
    return {path.stem: path.read_text(encoding="utf-8").strip() for path in out.glob("*.txt")}


def loop(base: str, pictures: Path, out: Path) -> dict[str, str]:
    """What people write: open, shrink, encode, ask, write, one by one."""
    out.mkdir(exist_ok=True)
    client = InferenceClient(base_url=base, token="none")
    captions = {}
    for path in sorted(pictures.iterdir()):
        image = Image.open(path).convert("RGB")
        image.thumbnail((_SIDE, _SIDE))
        file = io.BytesIO()
        image.save(file, format="JPEG")
        url = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": _QUESTION}]
        messages = [{"role": "user", "content": content}]
        answer = client.chat_completion(messages, model=_MODEL, max_tokens=100, temperature=0.0)
        caption = answer.choices[0].message.content or ""
        (out / f"{path.stem}.txt").write_text(caption + "\n", encoding="utf-8")
        captions[path.stem] = caption
    return captions


@contextmanager
def serving() -> Iterator[tuple[str, list[int]]]:
    """A server that waits and then answers; its address, and how many requests it had whenever one came."""
    here: list[int] = []
    lock = threading.Lock()
    waiting = [0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({"object": "list", "data": [{"id": _MODEL, "object": "model"}]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                waiting[0] += 1
                here.append(waiting[0])
            time.sleep(SECONDS)
            with lock:
                waiting[0] -= 1
            message = {"role": "assistant", "content": f"A picture like {sha256(body).hexdigest()[:8]}."}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
            self.reply({"id": "0", "created": 0, "model": _MODEL, "choices": [choice], "usage": usage})

        def reply(self, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", here
    finally:
        server.shutdown()
        server.server_close()
