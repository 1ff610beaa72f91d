"""Captions from a server in front ends: the command line, and dataset runs that outlive it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from interrogator import PhraseBank
from interrogator.captioners.endpoint import server as server_module
from interrogator.cli import main
from interrogator.dataset import Models, Run, Settings
from interrogator.errors import EndpointError, RequestError
from interrogator.registry import load_model

from .bare_models import BareEncoder
from .small_server import MODEL, Gate, Reply, Request, SmallServer, describe, error, said, serving
from .waiting import LAST_RESORT, wait_until

pytestmark = pytest.mark.models

COUNT = 23
KEY = "sk-hunter2-0123456789"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERROGATOR_ENDPOINT_PATIENCE", "0")
    monkeypatch.setenv("INTERROGATOR_API_KEY", KEY)
    monkeypatch.setattr(server_module, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of a color each; the first is white."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(COUNT):
        color = (255 - 5 * number, 255 - 10 * number, 255)
        Image.new("RGB", (32, 32), color).save(folder / f"{number:03d}.png")
    return folder


def words(text: str) -> int:
    return len(text.split())


def run_of(folder: Path, settings: Settings) -> Run:
    return Run([folder], settings, shard_size=4)


def work(run: Run, **models: Any) -> Any:
    load = (lambda: Models.load(run.settings, "cpu")) if not models else (lambda: Models(run.settings, **models))
    return run.work(load, words)


def records(run: Run) -> dict[str, Any]:
    found = Run.reopened(run.folder)
    return {Path(each.key).stem: each for each in found.parts.records(found.parts.done(found.plan))}


class DiesAfter:
    """Answers so many requests, then the server dies."""

    def __init__(self, server: SmallServer, count: int) -> None:
        self.server, self.left = server, count
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.server.die()
        return describe(request) if self.left > 0 else Reply(breaks=True)


def test_a_run_whose_server_dies_stops_and_the_same_run_goes_on_where_it_stopped(
    server: SmallServer, folder: Path
) -> None:
    settings = Settings(preset="demo", captioner=server.name)
    server.answer = DiesAfter(server, 14)
    with pytest.raises(EndpointError, match="no server answers at .*: start it.*continues where it stopped"):
        work(run_of(folder, settings))
    before = records(run_of(folder, settings))
    assert 4 <= len(before) <= 13 and {each.status for each in before.values()} == {"done"}
    written = {path: path.read_text() for path in folder.glob("*.txt")}
    assert len(written) == len(before)
    with pytest.raises(EndpointError, match="no server answers"):
        work(run_of(folder, settings))  # still down
    server.answer = describe
    server.requests.clear()
    server.start()
    summary = work(run_of(folder, settings))
    assert summary.counts == {"done": COUNT, "kept": 0, "failed": 0}
    assert len(server.requests) == COUNT - len(before), "what was done is not asked for again"
    after = records(run_of(folder, settings))
    assert {name: after[name] for name in before} == before
    for path, text in written.items():
        assert path.read_text() == text
    for number in range(COUNT):
        image = Image.open(folder / f"{number:03d}.png")
        color: Any = image.getpixel((0, 0))
        found = [int(value) for value in after[f"{number:03d}"].caption.rstrip(".").split()[-3:]]
        assert max(abs(one - other) for one, other in zip(found, color, strict=True)) <= 3
        assert (folder / f"{number:03d}.txt").read_text().strip() == after[f"{number:03d}"].caption


def test_a_run_records_who_wrote_and_no_key(server: SmallServer, folder: Path, tmp_path: Path) -> None:
    settings = Settings(preset="demo", captioner=server.base)
    run = run_of(folder, settings)
    work(run)
    assert {each.headers["Authorization"] for each in server.requests} == {f"Bearer {KEY}"}
    stored = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    (described,) = [each for each in stored["models"] if "captioner" in each]
    assert described["captioner"] == {"name": f"{server.base}#{MODEL}", "device": "cpu", "dtype": "float32"}
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_a_run_goes_on_past_pictures_without_a_caption(server: SmallServer, folder: Path) -> None:
    """One reason for each fault; afterwards the failed ones can be tried again."""
    faults = [
        error(400, "too white"),
        said(""),
        Reply(200, b"<html></html>"),
        said("cat " * 25_000),
        Reply(200, {"choices": []}),
    ]

    def answer(request: Request) -> Reply:
        color: Any = request.image.getpixel((0, 0))
        number = round((255 - color[1]) / 10)
        return faults[number] if number < len(faults) else describe(request)

    server.answer = answer
    settings = Settings(preset="demo", captioner=server.name)
    assert work(run_of(folder, settings)).counts == {"done": COUNT - 5, "kept": 0, "failed": 5}
    reasons = [record.reason for record in records(run_of(folder, settings)).values() if record.status == "failed"]
    expected = ["status 400: too white", "answer is empty", "a web page", "99,999 characters", "no choice"]
    for reason, part in zip(reasons, expected, strict=True):
        assert part in reason and "\n" not in reason
    assert not (folder / "000.txt").exists()
    server.answer = describe
    server.requests.clear()
    run = run_of(folder, settings)
    summary = run.work(lambda: Models.load(settings, "cpu"), words, retry_failed=True)
    assert summary.counts["done"] == COUNT and len(server.requests) == 5


def test_remarks_are_flags_of_records(server: SmallServer, folder: Path) -> None:
    server.answer = lambda request: said("A thing. It is un", "length")
    run = run_of(folder, Settings(preset="demo", captioner=server.name))
    work(run)
    found = records(run)
    assert {each.caption for each in found.values()} == {"A thing."}
    assert {each.flags for each in found.values()} == {("cut", "blank")}, "each is of one color"


def test_the_best_of_several_samples_is_kept(server: SmallServer, folder: Path) -> None:
    settings = Settings(preset="demo", captioner=server.name, quality="best-of-n", samples=3, captions_per_image=3)
    run = Run([folder], settings, target="jsonl", shard_size=8)
    captioner = load_model("captioner", server.name)
    work(run, captioner=captioner, encoder=BareEncoder(), banks=[PhraseBank.from_phrases("flavors", ["soft"])])
    assert len(server.requests) == 3 * COUNT
    for record in records(run).values():
        assert len(record.captions) == 3 and set(record.scores) == {"clip"}, "probabilities stay on the server"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"caption_prefix": "a photo of"}, "cannot do prefix"),
        ({"quality": "beam"}, "cannot do beams"),
        ({"repetition_penalty": 1.5}, "cannot do repetition_penalty"),
    ],
)
def test_a_run_that_asks_for_what_a_server_cannot_do_does_not_begin(
    server: SmallServer, folder: Path, given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RequestError, match=reason):
        work(run_of(folder, Settings(preset="demo", captioner=server.name, **given)))
    assert not server.requests and not list(folder.glob("*.txt"))


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_prompt_asks_a_server(server: SmallServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.models = ("some-llm", MODEL)
    server.answer = lambda request: (
        error(400, "too blue") if request.image.getpixel((0, 0))[1] < 40 else describe(request)
    )
    named = ["--captioner", server.base, "--captioner-model", MODEL, "--preset", "demo", "--mode", "caption", "--json"]
    asked = ["--ask", "What is it?", "--system", "Be brief.", "--max-caption-tokens", "50"]
    images = [str(folder / f"{number:03d}.png") for number in (0, 22, 7)]
    assert main(["prompt", *images, *named, *asked, "--encoder", "none"]) == 1
    first, second, third = printed(capsys)
    assert first["caption"] == "A thing colored 255 255 255." and third["caption"].startswith("A thing colored")
    assert "too blue" in second["error"]
    assert {each.question for each in server.requests} == {"What is it?"}
    assert {each.body["max_tokens"] for each in server.requests} == {50}
    assert main(["prompt", images[0], "--captioner", server.base, *named[4:], "--encoder", "none"]) != 0
    assert "several models: choose from some-llm, tiny-vl" in capsys.readouterr().err


def test_caption_goes_on_with_the_same_command(
    server: SmallServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["caption", str(folder), "--captioner", server.base, "--captioner-model", MODEL, "--preset", "demo"]
    command += ["--shard-size", "4", "--device", "cpu"]
    server.answer = DiesAfter(server, 14)
    assert main(command) != 0
    said_of_it = capsys.readouterr().err
    assert "no server answers at" in said_of_it and "Traceback" not in said_of_it and KEY not in said_of_it
    done = len(list(folder.glob("*.txt")))
    assert 4 <= done <= 13
    server.answer = describe
    server.start()
    assert main(command) == 0
    assert f"{COUNT} captioned" in capsys.readouterr().err
    assert len(list(folder.glob("*.txt"))) == COUNT


def test_a_server_gets_pictures_of_the_next_shards_while_it_answers_the_last_of_one(
    server: SmallServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERROGATOR_ENDPOINT_REQUESTS", "6")  # more than a shard has pictures
    busy = threading.Event()

    def answer(request: Request) -> Reply:
        if server.at_once == 6:
            busy.set()
        assert busy.wait(LAST_RESORT), "the server never had six requests"
        return describe(request)

    server.answer = answer
    told: list[int] = []
    run = run_of(folder, Settings(preset="demo", captioner=server.name))
    summary = run.work(
        lambda: Models.load(run.settings, "cpu"), words, watch=lambda done, total, failed: told.append(done)
    )
    assert summary.counts == {"done": COUNT, "kept": 0, "failed": 0} and server.most_at_once == 6
    assert told == sorted(told) and told[-1] == COUNT
    for name, record in records(run).items():
        red = int(record.caption.rstrip(".").split()[-3])
        assert abs(red - (255 - 5 * int(name))) <= 3, "each picture has its own caption"


def test_a_stopped_run_asks_for_nothing_more(
    server: SmallServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERROGATOR_ENDPOINT_REQUESTS", "9")
    gate = Gate()
    server.answer = gate

    def stop(done: int, total: int, failed: int) -> None:
        if server.at_once == 9:
            raise KeyboardInterrupt

    run = run_of(folder, Settings(preset="demo", captioner=server.name))
    with pytest.raises(KeyboardInterrupt):
        run.work(lambda: Models.load(run.settings, "cpu"), words, watch=stop)
    wait_until(lambda: server.closed_by_client(), "the connections are closed")
    asked = len(server.requests)
    gate.open.set()
    wait_until(lambda: server.at_once == 0, "the server is done")
    assert len(server.requests) == asked < COUNT, "those in hand, which were broken off"


def test_a_run_with_other_models_beside_the_server_writes_shard_by_shard(server: SmallServer, folder: Path) -> None:
    captioner = load_model("captioner", server.name)
    alone = Models(Settings(preset="demo", captioner=server.name), captioner)
    scored = Settings(preset="demo", captioner=server.name, score=True)
    assert alone.in_flight == 4
    assert Models(scored, captioner, BareEncoder()).in_flight == 0, "they would compute in several threads"
