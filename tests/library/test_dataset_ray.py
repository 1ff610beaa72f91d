"""A run on Ray writes what a run of one process writes, also when a worker is killed in the middle.

Ray is not in the test extra, being far larger than this library: `pip install image-interrogator[ray]` for these.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from interrogator.dataset import Models, Run, Settings, TargetOptions
from interrogator.dataset.captioning.images import Picture
from interrogator.dataset.captioning.result import Candidate, CaptionResult
from interrogator.dataset.engines.ray import RayWorkers
from interrogator.errors import ModelNotFoundError, RequestError, RunStopped

from .small_server import serving
from .tiny_chat import CHAT_WRITERS, known_here, write_florence2
from .tiny_checkpoints import write_coca

PICTURES = 240
BROKEN = "0123.png"
LAST = "0239.png"


def options_of(target: str) -> TargetOptions:
    """Names as the source has them, where captions are in tables that are not beside the pictures."""
    return TargetOptions(paths="key") if target == "jsonl" else TargetOptions()


class StandIn:
    """Says which colour a picture has; leaves a file that names its process, like models that were loaded.

    From the picture `held` on it waits, telling how far it is, until there is a file `go` beside the folder `started`.
    """

    def __init__(self, started: Path, held: str, deadly: str, full: str) -> None:
        self.prepare = {"colour": lambda image: image.resize((1, 1)).getpixel((0, 0))}
        self._held = held
        self._go = started.with_name("go")
        self._deadly = deadly
        self._full = full
        (started / f"{os.getpid()}-{time.time_ns()}").touch()

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> list[CaptionResult]:
        while self._held and max(picture.item.key for picture in pictures) >= self._held and not self._go.exists():
            progress(0, len(pictures))
            time.sleep(0.02)
        return [self._written(picture) for picture in pictures]

    def _written(self, picture: Picture) -> CaptionResult:
        if picture.item.key == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if picture.item.key == self._full:
            raise OSError(28, "No space left on device", "/a/file")
        red, green, blue = picture.ready["colour"]
        return CaptionResult([Candidate(f"a picture of {red} red and {green} green", {"clip": red / 255})])


def count_words(text: str) -> int:
    return len(text.split())


def no_models() -> Any:
    raise ModelNotFoundError("the files are not there")


@pytest.fixture(scope="module")
def with_ray() -> None:
    """Ray, told to send what this file defines along with the work: workers cannot import it."""
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="Ray is not installed")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(PICTURES):
        Image.new("RGB", (16, 16), (number, number // 2, 7)).save(folder / f"{number:04d}.png")
    (folder / BROKEN).write_bytes(b"no picture")
    return folder


class Captioned:
    """A run and all that is to be looked at of it."""

    def __init__(self, pictures: Path, folder: Path, target: str) -> None:
        self.out = folder / "out"
        self.started = folder / "started"
        self.started.mkdir(parents=True)
        self.run = Run([pictures], Settings(), self.out, target, shard_size=8, options=options_of(target))

    def models(self, held: str = "", deadly: str = "", full: str = "") -> Any:
        return functools.partial(StandIn, self.started, held, deadly, full)

    def processes(self) -> list[int]:
        return [int(path.name.split("-")[0]) for path in sorted(self.started.iterdir())]

    def records(self) -> list[Any]:
        run = Run.reopened(self.run.folder)
        return list(run.parts.records(run.parts.done(run.plan)))

    def files(self) -> dict[str, bytes]:
        """Captions by file, the run's own folder aside."""
        return {path.name: path.read_bytes() for path in self.out.iterdir() if path.is_file()}

    def leftovers(self) -> list[Path]:
        """Files by which workers know that they are wanted."""
        return list(self.run.folder.glob("ray-*"))


@pytest.fixture(params=["txt", "jsonl"])
def alone(pictures: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Captioned:
    """A run in this process, finished."""
    captioned = Captioned(pictures, tmp_path / "alone", request.param)
    captioned.run.work(captioned.models(), count_words, threads=1)
    return captioned


class KillsOne:
    """A watch that kills the first worker when a fourth of the pictures is done."""

    def __init__(self, captioned: Captioned) -> None:
        self._captioned = captioned
        self.killed: int | None = None
        self.told = 0

    def __call__(self, done: int, total: int, failed: int) -> None:
        self.told += 1
        assert total == PICTURES
        if self.killed is None and done > PICTURES // 4:
            self.killed = self._captioned.processes()[0]
            os.kill(self.killed, signal.SIGKILL)
            self._captioned.started.with_name("go").touch()


@pytest.mark.slow
@pytest.mark.usefixtures("with_ray")
def test_a_killed_worker_costs_a_retry_and_nothing_of_what_is_written(
    alone: Captioned, pictures: Path, tmp_path: Path
) -> None:
    import ray

    many = Captioned(pictures, tmp_path / "many", alone.run.target.kind)
    watch = KillsOne(many)
    said: list[str] = []
    summary = many.run.work(many.models(held="0160.png"), count_words, watch, engine=RayWorkers(2, said.append))
    assert watch.killed is not None and watch.killed != os.getpid()
    assert len(many.processes()) == 3, "two workers, and one in place of the one that was killed"
    assert summary.counts == {"done": PICTURES - 1, "kept": 0, "failed": 1}
    assert summary.report is not None and summary.report.exists()
    assert many.records() == alone.records()
    assert many.files() == alone.files()
    assert len(many.files()) == (1 if alone.run.target.kind == "jsonl" else PICTURES - 1)
    assert watch.told > PICTURES / 8, "it is told in between, too"
    assert said and "workers" in said[0]
    assert not ray.is_initialized() and not many.leftovers()


@pytest.mark.slow
@pytest.mark.usefixtures("with_ray")
def test_what_stops_a_worker_is_told_by_name_and_the_run_goes_on_from_there(pictures: Path, tmp_path: Path) -> None:
    import ray

    captioned = Captioned(pictures, tmp_path, "txt")

    def stop(done: int, total: int, failed: int) -> None:
        if done:
            raise KeyboardInterrupt

    with ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False):
        engine = RayWorkers(2)
        with pytest.raises(ModelNotFoundError, match="not there"):
            captioned.run.work(no_models, count_words, engine=engine)
        with pytest.raises(KeyboardInterrupt):
            captioned.run.work(captioned.models(held="0080.png"), count_words, stop, engine=engine)
        assert not captioned.leftovers()
        assert 0 < len(captioned.files()) < PICTURES / 2
        with pytest.raises(RunStopped, match="the disk is full"):
            captioned.run.work(captioned.models(full=LAST), count_words, engine=engine)
        with pytest.raises(RunStopped, match="5 workers died of one of the shards"):
            captioned.run.work(captioned.models(deadly=LAST), count_words, engine=engine)
        with pytest.raises(RequestError, match="too few processors"):
            captioned.run.work(captioned.models(), count_words, engine=RayWorkers(9))
        summary = captioned.run.work(captioned.models(), count_words, engine=engine)
        assert ray.is_initialized(), "whoever began it ends it"
    assert summary.counts == {"done": PICTURES - 1, "kept": 0, "failed": 1}
    told = json.loads((captioned.run.folder / "summary.json").read_text())
    assert told["total"] == PICTURES


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(RequestError, match=r"pip install image-interrogator\[ray\]"):
        RayWorkers()


def test_a_number_of_workers_is_at_least_one() -> None:
    with pytest.raises(RequestError, match="workers must be at least 1"):
        RayWorkers(0)


def checkpoint_of(family: str, folder: Path) -> str:
    """What a captioner of a family is named by; random weights."""
    if family == "coca":
        return str(write_coca(folder / family))
    if family == "florence2":
        return str(write_florence2(folder / family))
    return str(CHAT_WRITERS[family](folder / family))


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.usefixtures("with_ray")
def test_workers_load_captioners_of_every_kind_and_ask_servers(pictures: Path, tmp_path: Path) -> None:
    """What they write is what one process writes, in one Ray for all of them."""
    import ray

    some = tmp_path / "some"
    some.mkdir()
    for number in range(6):
        (some / f"{number:04d}.png").write_bytes((pictures / f"{40 * number:04d}.png").read_bytes())
    families = ["coca", *(name for name in ("florence2", "qwen2_vl") if known_here(name))]
    with serving() as server, ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False):
        for name in [*(checkpoint_of(family, tmp_path) for family in families), server.name]:
            settings = Settings(preset="demo", captioner=name, max_new_tokens=6)
            written = []
            for engine in (None, RayWorkers(2)):
                out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
                run = Run([some], settings, out, "jsonl", shard_size=3, options=options_of("jsonl"))
                models = functools.partial(Models.load, settings, "cpu")
                summary = run.work(models, count_words, engine=engine, threads=1)
                assert sum(summary.counts.values()) == 6 and (name != server.name or summary.counts["done"] == 6)
                stored = json.loads((run.folder / "run.json").read_text())
                assert stored["models"][0]["captioner"]["name"] == name
                done = Run.reopened(run.folder)
                written.append(list(done.parts.records(done.parts.done(done.plan))))
            assert written[0] == written[1], name
        assert len(server.requests) == 12
