"""Captioner at an Endpoint: captions come from a server, and pictures go to no server that a graph's author chose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.library.small_server import MODEL, SmallServer, error, serving

from .conftest import images
from .stand_ins import ComfyUI, Listed, Pack, run

RED, BLUE = Image.new("RGB", (32, 32), (200, 0, 0)), Image.new("RGB", (32, 32), (0, 0, 200))
ELSEWHERE = "http://captions.example.org:8000/v1"


@pytest.fixture(autouse=True)
def nobodys_settings(pack: Pack, comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither settings nor environment name a server."""
    monkeypatch.delenv("INTERROGATOR_ENDPOINT", raising=False)
    monkeypatch.delenv("INTERROGATOR_API_KEY", raising=False)
    yield
    settings_file(comfyui).unlink(missing_ok=True)


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as found:
        yield found


@pytest.fixture
def no_network(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a captioner would have been loaded for; nobody is called."""
    called: list[str] = []

    def load(located: Any, **_: Any) -> Any:
        called.append(located.name)
        raise RuntimeError("this test calls nobody")

    monkeypatch.setattr(pack.module("interrogator.model_pool"), "load", load)
    return called


def settings_file(comfyui: ComfyUI) -> Any:
    return comfyui.base / "user" / "default" / "comfy.settings.json"


def put_settings(comfyui: ComfyUI, content: str) -> None:
    path = settings_file(comfyui)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def set_address(comfyui: ComfyUI, address: Any) -> None:
    put_settings(comfyui, json.dumps({"Comfy.Locale": "en", "Interrogator.Endpoint": address}))


def captioner_of(pack: Pack, **given: Any) -> Any:
    return run(pack.nodes["InterrogatorEndpoint"], **given)[0][0]


def test_a_server_captions_each_image(pack: Pack, server: SmallServer) -> None:
    captioner = Listed([captioner_of(pack, address=server.base)])
    ran = run(pack.nodes["InterrogatorCaption"], image=images([RED, BLUE]), captioner=captioner, ask="What is it?")
    assert len(ran[0]) == 2 and all("A thing colored" in text for text in ran[0]) and ran[0][0] != ran[0][1]
    assert {request.question for request in server.requests} == {"What is it?"}
    assert {request.body["model"] for request in server.requests} == {MODEL}


def test_it_stands_in_for_the_captioner_of_a_preset(pack: Pack, server: SmallServer) -> None:
    captioner = Listed([captioner_of(pack, address=server.base, model=MODEL)])
    ran = run(
        pack.nodes["InterrogatorImage"], image=images([RED]), preset="demo", mode="fast", captioner=captioner
    )  # fmt: skip
    assert ran[1][0].startswith("A thing colored") and ran[0][0].startswith(ran[1][0].rstrip("."))


def test_memory_is_never_asked_for(pack: Pack, comfyui: ComfyUI, server: SmallServer) -> None:
    captioner = Listed([captioner_of(pack, address=server.base)])
    comfyui.management.loads.clear()
    run(pack.nodes["InterrogatorCaption"], image=images([RED]), captioner=captioner)
    assert comfyui.management.loads == []


def test_cancel_comes_out_while_the_server_works(pack: Pack, comfyui: ComfyUI, server: SmallServer) -> None:
    captioner = Listed([captioner_of(pack, address=server.base)])
    server.frozen.set()
    comfyui.management.interrupts_after = 2
    with pytest.raises(comfyui.management.InterruptProcessingException):
        run(pack.nodes["InterrogatorCaption"], image=images([RED]), captioner=captioner)
    server.frozen.clear()
    assert run(pack.nodes["InterrogatorCaption"], image=images([RED]), captioner=captioner)[0][0]


def test_a_server_out_of_memory_is_not_this_machine_out_of_memory(pack: Pack, server: SmallServer) -> None:
    captioner = Listed([captioner_of(pack, address=server.base)])
    server.answer = lambda request: error(400, "CUDA out of memory")
    with pytest.raises(Exception, match="CUDA out of memory") as caught:
        run(pack.nodes["InterrogatorCaption"], image=images([RED]), captioner=captioner)
    assert "one image at a time" not in str(caught.value)


def test_a_server_that_is_gone_is_said(pack: Pack, server: SmallServer) -> None:
    server.die()
    with pytest.raises(pack.module("interrogator.errors").EndpointError, match="no server answers at"):
        captioner_of(pack, address=server.base)


# --- which servers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        ELSEWHERE, "https://api.openai.com/v1", "http://192.168.1.20:1234/v1", "http://127.0.0.1.example.org/v1",
        "http://localhost.example.org/v1", "http://0.0.0.0:1234/v1", "http://[::]:1234/v1", "HTTP://EXAMPLE.ORG",
    ],
)  # fmt: skip
def test_a_graph_cannot_send_pictures_to_another_machine(pack: Pack, no_network: list[str], address: str) -> None:
    for given in ({"address": address}, {"address": f" {address}#{MODEL}"}):
        with pytest.raises(ValueError, match="not on this machine, so a graph must not send pictures there"):
            captioner_of(pack, **given)
    # Nor through the loader, whose combo takes any text that comes over a link.
    with pytest.raises(ValueError, match="a graph must not send pictures there"):
        run(pack.nodes["InterrogatorLoadCaptioner"], model=Listed([address]))
    assert no_network == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:1234/v1", "http://localhost:1234", "http://[::1]:1234/v1"])
def test_a_graph_may_name_a_server_on_this_machine(pack: Pack, no_network: list[str], address: str) -> None:
    with pytest.raises(RuntimeError, match="calls nobody"):
        captioner_of(pack, address=address, model="a")
    (called,) = no_network
    assert called.endswith(":1234/v1#a")


def test_the_settings_may_name_any_server(pack: Pack, comfyui: ComfyUI, no_network: list[str]) -> None:
    set_address(comfyui, f"{ELSEWHERE}/#their-model")
    for given in ({}, {"model": "another"}, {"address": ELSEWHERE, "model": "another"}):
        with pytest.raises(RuntimeError, match="calls nobody"):
            captioner_of(pack, **given)
    assert no_network == [f"{ELSEWHERE}#their-model", f"{ELSEWHERE}#another", f"{ELSEWHERE}#another"]
    for other in ("http://captions.example.org:8001/v1", "https://captions.example.org:8000/v1", f"{ELSEWHERE}/b"):
        with pytest.raises(ValueError, match="not on this machine"):
            captioner_of(pack, address=other)


def test_the_environment_may_name_any_server(
    pack: Pack, comfyui: ComfyUI, no_network: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERROGATOR_ENDPOINT", ELSEWHERE)
    with pytest.raises(RuntimeError, match="calls nobody"):
        captioner_of(pack)
    set_address(comfyui, "http://127.0.0.1:1234/v1")
    for given in ({}, {"address": ELSEWHERE}):
        with pytest.raises(RuntimeError, match="calls nobody"):
            captioner_of(pack, **given)
    assert no_network == [ELSEWHERE, "http://127.0.0.1:1234/v1", ELSEWHERE]


@pytest.mark.parametrize(
    "content", ["", "[", "[]", "null", '{"Interrogator.Endpoint": 7}', '{"Interrogator.Endpoint": "  "}', "\0"]
)
def test_without_an_address_the_node_says_where_to_set_one(pack: Pack, comfyui: ComfyUI, content: str) -> None:
    put_settings(comfyui, content)
    with pytest.raises(ValueError, match="There is no address: type one of this machine.*Settings > Interrogator"):
        captioner_of(pack)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1234", "ftp://127.0.0.1/v1", "http://me:secret@127.0.0.1/v1", "nonsense"]
)
def test_what_is_no_address_is_said_without_its_secrets(pack: Pack, address: str) -> None:
    with pytest.raises(pack.library.RequestError) as caught:
        captioner_of(pack, address=address)
    assert "http://127.0.0.1:1234/v1" in str(caught.value) or "no password" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_wrong_address_in_the_settings_allows_nothing(pack: Pack, comfyui: ComfyUI) -> None:
    set_address(comfyui, "http://[broken")
    with pytest.raises(ValueError, match="not on this machine"):
        captioner_of(pack, address=ELSEWHERE)
    with pytest.raises(pack.library.RequestError):
        captioner_of(pack)


def test_a_changed_setting_runs_the_node_again(pack: Pack, comfyui: ComfyUI) -> None:
    node: Any = pack.nodes["InterrogatorEndpoint"]
    assert node.fingerprint_inputs(address="", model="") == node.fingerprint_inputs() == ""
    set_address(comfyui, ELSEWHERE)
    assert node.fingerprint_inputs(address="", model="a") == f"{ELSEWHERE}#a"


def test_a_key_comes_from_the_environment_alone(
    pack: Pack, server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not {"key", "api_key", "token"} & {
        piece.id for piece in pack.nodes["InterrogatorEndpoint"].GET_SCHEMA().inputs
    }
    monkeypatch.setenv("INTERROGATOR_API_KEY", "k-1")
    captioner = Listed([captioner_of(pack, address=server.base, model=MODEL)])
    run(pack.nodes["InterrogatorCaption"], image=images([RED]), captioner=captioner)
    assert server.requests[-1].headers["Authorization"] == "Bearer k-1"
