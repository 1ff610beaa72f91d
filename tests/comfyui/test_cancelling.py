"""Cancel stops a long run, wherever in it that is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .graphs import Graph, mode, output
from .server import RUN_SECONDS, Comfy, RunInterrupted, shown, succeeded

# What a run is given before it is cancelled. Uncut, each of the runs below takes several times as long.
_BEFORE_SECONDS = 1.5


def searching(graph: Graph) -> str:
    """A wide search over many images."""
    lines = "\n".join(f"a {color} {kind}" for color in _COLORS for kind in _KINDS)
    return graph.add(
        "InterrogatorAdvanced", image=graph.repeated_image(64), encoder=graph.encoder(), captioner=graph.captioner(),
        banks=graph.banks(lines=lines), **mode("best", beams=16, max_phrases=64, min_phrases=64),
    )  # fmt: skip


def captioning(graph: Graph) -> str:
    """Long captions with many beams."""
    return graph.caption_node(graph.repeated_image(512), beams=16, max_length=60, min_length=60)


def embedding(graph: Graph) -> str:
    """Phrases that no run before has embedded."""
    lines = "\n".join(f"{number} cats and {number + seed} dogs" for seed in range(20) for number in range(2000))
    return graph.add("InterrogatorRank", image=graph.image(), encoder=graph.encoder(), lines=lines, top=10)


_PICTURES = 600
_DATASET = {
    "place": "input", "folder": "many", "preset": "demo", "mode": "caption", "quality": "beam", "trigger": "",
    "template": "{caption}", "existing": "skip", "target": "txt",
}  # fmt: skip
_COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "pink", "white", "black", "brown")
_KINDS = ("cat", "dog", "bird", "fish", "rabbit", "fox", "frog", "bear", "owl", "mouse", "horse", "snail")


@pytest.fixture(scope="module", autouse=True)
def loaded_models(comfyui: Comfy) -> None:
    """So that the time before cancelling goes into the work, not into loading the models."""
    graph = Graph()
    graph.add("InterrogatorImage", image=graph.image(), preset="demo", **mode("fast"))
    comfyui.run(graph.prompt)


@pytest.mark.parametrize("build", [searching, captioning, embedding])
def test_a_cancelled_run_is_cut_short(
    comfyui: Comfy, measured: Callable[[str], None], build: Callable[[Graph], str]
) -> None:
    graph = Graph()
    node = build(graph)
    prompt_id = comfyui.queue(graph.prompt)
    time.sleep(_BEFORE_SECONDS)
    assert not comfyui.get(f"/history/{prompt_id}"), "the run was over before it could be cancelled"
    comfyui.interrupt()
    asked = time.monotonic()
    entry = comfyui.wait(prompt_id)
    measured(f"cancelled while {build.__name__}: stopped {time.monotonic() - asked:.2f} s later")
    with pytest.raises(RunInterrupted):
        succeeded(entry)
    assert node not in entry["outputs"]


def test_a_run_after_a_cancelled_one_is_whole(comfyui: Comfy) -> None:
    graph = Graph()
    searching(graph)
    prompt_id = comfyui.queue(graph.prompt)
    time.sleep(_BEFORE_SECONDS)
    comfyui.interrupt()
    comfyui.wait(prompt_id)

    graph = Graph()
    node = graph.add("InterrogatorImage", image=graph.image(), preset="demo", **mode("best"))
    assert node in comfyui.run(graph.prompt)["outputs"]


def test_a_cancelled_dataset_goes_on_where_it_was(comfyui: Comfy, measured: Callable[[str], None]) -> None:
    folder = comfyui.base_dir / "input" / "many"
    folder.mkdir()
    picture = (comfyui.base_dir / "input" / "creature-0.png").read_bytes()
    for number in range(_PICTURES):
        (folder / f"{number:04d}.png").write_bytes(picture)
    graph = Graph()
    node = graph.add("InterrogatorDataset", **_DATASET)
    prompt_id = comfyui.queue(graph.prompt)
    deadline = time.monotonic() + RUN_SECONDS
    while not list(folder.glob("*.txt")):
        assert time.monotonic() < deadline and not comfyui.get(f"/history/{prompt_id}")
        time.sleep(0.1)
    comfyui.interrupt()
    asked = time.monotonic()
    entry = comfyui.wait(prompt_id)
    measured(f"cancelled while captioning a dataset: stopped {time.monotonic() - asked:.2f} s later")
    with pytest.raises(RunInterrupted):
        succeeded(entry)
    there = {path: path.stat().st_mtime_ns for path in folder.glob("*.txt")}
    assert 0 < len(there) < _PICTURES
    report = graph.text_of(output(node, 0))
    entry = comfyui.run(graph.prompt)
    assert shown(entry, report)[0].startswith(f"{_PICTURES} captioned, 0 kept, 0 failed")
    assert len(list(folder.glob("*.txt"))) == _PICTURES
    assert {path: path.stat().st_mtime_ns for path in there} == there, "what was written is not written again"
