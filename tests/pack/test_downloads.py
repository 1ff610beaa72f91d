"""What a node lacks, and downloads that people start from it: a hub of our own has one model of the catalog."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import interrogator
from tests.library.small_hub import SmallHub, files_of

from .stand_ins import ComfyUI, Pack, load_pack

BLIP = "Salesforce/blip-image-captioning-base"
BLIP_LARGE = "Salesforce/blip-image-captioning-large"
ORDER = {"models": [{"role": "captioner", "name": BLIP}]}
FILES = files_of(Path(interrogator.__file__).parent / "demo" / "captioner")


def asked(pack: Pack, node: str, connected: tuple[str, ...] = (), **inputs: Any) -> dict[str, Any]:
    query = {"node": node, "inputs": json.dumps(inputs), "connected": json.dumps(connected)}
    answer: dict[str, Any] = pack.module("nodes.downloads").models_of(query)
    return answer


def lacking(pack: Pack, node: str, *connected: str, **inputs: Any) -> list[str]:
    return [model["name"] for model in asked(pack, node, connected, **inputs)["missing"]]


IMAGE, DATASET = "InterrogatorImage", "InterrogatorDataset"
RUN = {"preset": "small", "mode": "caption", "quality": "greedy", "template": "{prompt}"}


@pytest.mark.parametrize(
    ("node", "connected", "inputs", "expected"),
    [
        (IMAGE, (), {"preset": "sd15", "mode": "best"}, [BLIP_LARGE, "ViT-L-14/openai"]),
        (IMAGE, (), {"preset": "sd15", "mode": "caption"}, [BLIP_LARGE]),
        (IMAGE, (), {"preset": "sd15", "mode": "caption", "negative": True}, [BLIP_LARGE, "ViT-L-14/openai"]),
        (IMAGE, ("image", "caption"), {"preset": "sd15", "mode": "fast"}, ["ViT-L-14/openai"]),
        (IMAGE, ("captioner", "encoder"), {"preset": "sdxl", "mode": "best"}, []),
        (IMAGE, (), {"preset": "anime", "mode": "tags"}, ["SmilingWolf/wd-eva02-large-tagger-v3"]),
        (IMAGE, (), {"preset": "demo", "mode": "best"}, []),
        (IMAGE, ("preset",), {"preset": "sd15", "mode": "best"}, []),
        ("InterrogatorLoadCaptioner", (), {"model": BLIP}, [BLIP]),
        ("InterrogatorLoadTagger", (), {"model": "demo"}, []),
        ("InterrogatorLoadEncoder", (), {"model": "models/one-of-mine"}, []),
        (DATASET, (), RUN, [BLIP]),
        (DATASET, (), {**RUN, "template": "{prompt}, {lighting}"}, [BLIP, "ViT-B-32/laion2b_s34b_b79k"]),
        ("InterrogatorRank", (), {"top": 3}, []),
    ],
)  # fmt: skip
def test_a_node_lacks_what_its_settings_need(
    pack: Pack, node: str, connected: tuple[str, ...], inputs: dict[str, Any], expected: list[str]
) -> None:
    assert lacking(pack, node, *connected, **inputs) == expected


def test_what_is_missing_is_described_for_a_person(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    (model,) = asked(pack, "InterrogatorLoadCaptioner", model=BLIP)["missing"]
    assert model["megabytes"] == 990 and model["licence"] == "BSD-3-Clause"
    assert model["page"] == f"https://mirror.example/{BLIP}"
    captioners = pack.comfyui.models / "interrogator" / "captioners"
    assert Path(model["folder"]) == captioners / BLIP.replace("/", "--")


def test_where_a_model_is_that_is_here(pack: Pack) -> None:
    found = asked(pack, "InterrogatorLoadCaptioner", model="demo")
    assert found["missing"] == [] and Path(found["folders"][0]).name == "captioner"


@pytest.mark.parametrize("query", [{}, {"node": IMAGE, "inputs": "{"}, {"node": IMAGE, "inputs": "[]"},
                                   {"node": IMAGE, "inputs": '{"preset": "sd99", "mode": "best"}'},
                                   {"node": IMAGE, "inputs": '{"preset": "sd15", "mode": "fastest"}'},
                                   {"node": "InterrogatorLoadTagger"}, {"node": IMAGE, "connected": "3"}])  # fmt: skip
def test_a_strange_query_is_refused_or_finds_nothing(pack: Pack, query: dict[str, str]) -> None:
    try:
        assert pack.module("nodes.downloads").models_of(query)["missing"] == []
    except ValueError as error:
        assert "no settings of a node" in str(error)


def test_a_failed_run_names_all_models_and_their_whole_size(pack: Pack) -> None:
    error = pack.module("interrogator.errors").ModelNotFoundError
    row = pack.library.catalog.preset("sd15")
    with pytest.raises(error) as told:
        pack.module("nodes.models").load_preset(row, {"captioner", "encoder"}, download=False, node_id=None)
    text = str(told.value)
    assert BLIP_LARGE in text and "ViT-L-14/openai" in text and "3.6 GB in all" in text
    assert "Download and run" in text and "captioners" in text and "encoders" in text


# --- downloads --------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(new_comfyui: Callable[..., ComfyUI]) -> Pack:
    return load_pack(new_comfyui())


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SmallHub, dict[str, Any]]]:
    """The hub, and what it sends in place of its files."""
    bodies: dict[str, Any] = {}
    with SmallHub({BLIP: FILES}, bodies=bodies) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub, bodies


@pytest.mark.models
def test_a_cancelled_download_goes_on_from_there(loaded: Pack, served: tuple[SmallHub, dict[str, Any]]) -> None:
    hub, bodies = served
    weights = FILES["model.safetensors"]
    half, is_half, is_over = weights[: len(weights) // 2], threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield half
        is_half.set()
        is_over.wait(60)

    bodies[f"{BLIP}/model.safetensors"] = ({"Content-Length": str(len(weights))}, pieces())
    downloads = loaded.module("nodes.downloads")
    assert downloads.start(ORDER)["status"] == "running"
    is_half.wait(60)
    while downloads.DOWNLOAD.state()["done"] < len(half):
        pass  # the process is told of what has arrived a moment later
    downloads.cancel({})
    downloads.DOWNLOAD.wait()
    state = downloads.DOWNLOAD.state()
    assert state["status"] == "cancelled" and len(half) <= state["done"] < state["total"] == 990_000_000
    assert lacking(loaded, "InterrogatorLoadCaptioner", model=BLIP) == [BLIP]

    is_over.set()
    bodies.clear()
    downloads.start(ORDER)
    downloads.DOWNLOAD.wait()
    state = downloads.DOWNLOAD.state()
    assert (state["status"], state["done"]) == ("done", state["total"])
    found = asked(loaded, "InterrogatorLoadCaptioner", model=BLIP)
    assert found["missing"] == []
    assert Path(found["folders"][0]).is_relative_to(loaded.comfyui.models / "interrogator" / "captioners")
    assert (Path(found["folders"][0]) / "model.safetensors").read_bytes() == weights


@pytest.mark.models
def test_a_download_that_fails_says_why(loaded: Pack, served: tuple[SmallHub, dict[str, Any]]) -> None:
    downloads = loaded.module("nodes.downloads")
    downloads.start({"models": [{"role": "captioner", "name": BLIP_LARGE}]})
    downloads.DOWNLOAD.wait()
    state = downloads.DOWNLOAD.state()
    assert state["status"] == "failed" and BLIP_LARGE in state["error"]


@pytest.mark.parametrize("order", [None, [], {}, 3, {"models": []}, {"models": 3}, {"models": ["demo"]},
                                   {"models": [{"role": "captioner", "name": "maker/other"}]},
                                   {"models": [{"role": "captioner", "name": "https://example.com/x"}]},
                                   {"models": [*ORDER["models"], {"role": "x", "name": BLIP}]}])  # fmt: skip
def test_only_models_of_the_catalog_are_downloaded(pack: Pack, order: Any) -> None:
    downloads = pack.module("nodes.downloads")
    with pytest.raises(ValueError, match=r"catalog|role and name"):
        downloads.start(order)
    assert downloads.DOWNLOAD.state()["status"] == "none"


# --- answering requests -----------------------------------------------------------------------------------------------


def request(body: Any, content_type: str = "application/json", **headers: str) -> Any:
    async def read() -> Any:
        return json.loads(body)

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(headers=named, content_type=content_type, json=read, query={})


def test_posts_come_from_our_own_page_as_json(loaded: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = SimpleNamespace(json_response=lambda content, status=200: (status, content))
    monkeypatch.setitem(sys.modules, "aiohttp", SimpleNamespace(web=answers))
    routes = loaded.comfyui.server.routes
    routes.clear()
    host = loaded.module("nodes.host")

    def refuse(asked: Any) -> dict[str, Any]:
        if asked is None:
            raise ValueError("no JSON")
        return {"said": asked}

    host.serve("POST", "/here", refuse)
    host.serve("POST", "/here", refuse)
    (route,) = routes  # a second copy of the pack must not keep ComfyUI from starting

    def answer(*args: Any, **headers: str) -> Any:
        return asyncio.run(route.handler(request(*args, **headers)))

    assert answer("[1]") == (200, {"said": [1]})
    assert answer("[1]", Sec_Fetch_Site="same-origin")[0] == 200
    assert answer("{") == (400, {"error": "no JSON"})
    assert answer("[1]", Sec_Fetch_Site="cross-site")[0] == answer("[1]", "text/plain")[0] == 403
