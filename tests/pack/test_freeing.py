"""Models leave memory after a run where a loader says so, and come back by themselves; the front end is told."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from tests.library.bare_models import BareCaptioner

from .conftest import images
from .stand_ins import ComfyUI, Listed, Pack, load_pack, run

pytestmark = pytest.mark.models


@pytest.fixture
def here(new_comfyui: Callable[..., ComfyUI]) -> ComfyUI:
    return new_comfyui()


@pytest.fixture
def loaded(here: ComfyUI) -> Iterator[Pack]:
    pack = load_pack(here)
    host = pack.module("nodes.host")
    host._POLL_SECONDS = 0.001
    yield pack
    end_run(here)
    wait_until(lambda: not host._when_idle)


def begin_run(comfyui: ComfyUI, name: str = "run") -> None:
    comfyui.server.prompt_queue.currently_running = {1: (0, name)}
    comfyui.server.last_prompt_id = name


def end_run(comfyui: ComfyUI) -> None:
    comfyui.server.prompt_queue.currently_running = {}


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.001)


def load(pack: Pack, memory: str, kind: str = "Encoder") -> Any:
    return run(pack.nodes[f"InterrogatorLoad{kind}"], model="demo", memory=memory)[0][0]


def similarity(pack: Pack, encoder: Any, picture: Image.Image) -> float:
    ran = run(
        pack.nodes["InterrogatorSimilarity"], image=images([picture]), encoder=Listed([encoder]), text="a green crab"
    )
    return float(ran[0][0])


def states(pack: Pack) -> dict[str, str]:
    return {each["role"]: each["state"] for each in pack.module("nodes.hosted").listed()}


def test_a_model_that_is_freed_after_a_run_says_the_same_in_the_next(
    loaded: Pack, here: ComfyUI, creatures: list[Image.Image]
) -> None:
    begin_run(here)
    encoder = load(loaded, "free")
    first = similarity(loaded, encoder, creatures[0])
    gone, name = weakref.ref(encoder.module), encoder.name
    assert states(loaded) == {"encoder": "ready"}
    end_run(here)
    here.management.loaded.clear(), here.management.loads.clear()  # ComfyUI's own holds on to no model
    wait_until(lambda: encoder.module is None)
    wait_until(lambda: gone() is None)
    assert (encoder.name, str(encoder.device)) == (name, "cpu") and encoder.module is None, "looking at it loads it"
    wait_until(lambda: here.management.emptied > 0)
    assert states(loaded) == {"encoder": "freed"}
    begin_run(here, "next")
    assert similarity(loaded, encoder, creatures[0]) == first
    end_run(here)
    wait_until(lambda: encoder.module is None)


def test_a_model_stays_while_runs_go_on_or_wait(loaded: Pack, here: ComfyUI, creatures: list[Image.Image]) -> None:
    begin_run(here)
    encoder = load(loaded, "free")
    here.server.prompt_queue.queue = [(1, "another")]
    end_run(here)
    time.sleep(0.05)
    assert encoder.module is not None
    here.server.prompt_queue.queue = []
    wait_until(lambda: encoder.module is None)


def test_a_model_stays_unless_it_is_to_be_freed(loaded: Pack, here: ComfyUI, creatures: list[Image.Image]) -> None:
    begin_run(here)
    encoder, captioner = load(loaded, "keep"), load(loaded, "free", "Captioner")
    similarity(loaded, encoder, creatures[0])
    end_run(here)
    wait_until(lambda: captioner.module is None)
    assert encoder.module is not None
    assert load(loaded, "keep") is encoder


def test_of_two_loaders_of_a_model_the_one_that_keeps_it_wins(
    loaded: Pack, here: ComfyUI, creatures: list[Image.Image]
) -> None:
    begin_run(here)
    freeing, keeping = load(loaded, "free"), load(loaded, "keep")
    for encoder in (freeing, keeping):
        similarity(loaded, encoder, creatures[0])
    assert freeing.module is keeping.module
    end_run(here)
    wait_until(lambda: not loaded.module("nodes.host")._when_idle)
    assert keeping.module is not None
    begin_run(here, "next")
    similarity(loaded, freeing, creatures[0])
    end_run(here)
    wait_until(lambda: keeping.module is None)


def test_what_a_preset_loads_is_freed_where_the_node_says_so(
    loaded: Pack, here: ComfyUI, creatures: list[Image.Image]
) -> None:
    begin_run(here)
    node, asked = loaded.nodes["InterrogatorImage"], {"image": images(creatures[:1]), "preset": "demo", "mode": "fast"}
    first = run(node, **asked, memory="free")[0]
    assert set(states(loaded).values()) == {"ready"}
    end_run(here)
    wait_until(lambda: set(states(loaded).values()) == {"freed"})
    assert run(node, **asked, memory="keep")[0] == first


def test_the_front_end_hears_of_every_change(loaded: Pack, here: ComfyUI, creatures: list[Image.Image]) -> None:
    def told() -> list[str]:
        return [each["state"] for event, data in here.server.told for each in data["models"]]

    begin_run(here)
    encoder = load(loaded, "free")
    (model,) = here.server.told[-1][1]["models"]
    assert (model["role"], model["name"], model["state"], model["device"]) == ("encoder", "demo", "waiting", "")
    assert model["bytes"] > 1e5 and model["precision"] in ("fp32", "bf16")
    similarity(loaded, encoder, creatures[0])
    assert told()[-1] == "ready"
    here.management.make_room(1e30)  # Unload Models
    assert told()[-1] == "waiting"
    similarity(loaded, encoder, creatures[0])
    end_run(here)
    wait_until(lambda: told()[-1] == "freed")
    assert {event for event, _ in here.server.told} == {"interrogator.loaded"}
    assert ("GET", "/interrogator/loaded") in [(route.method, route.path) for route in here.server.routes]


def test_models_that_take_no_memory_here_are_not_listed(loaded: Pack) -> None:
    model = loaded.module("nodes.hosted").hosted(BareCaptioner())  # somewhere else, such as behind an endpoint
    assert model.module is None and states(loaded) == {}


def test_a_model_that_nobody_holds_any_more_is_not_listed(loaded: Pack) -> None:
    encoder = load(loaded, "keep")
    loaded.module("nodes.models").POOL._models.clear()
    assert states(loaded) == {"encoder": "waiting"}
    del encoder
    gc.collect()
    assert states(loaded) == {}
