"""Captions from a server: requests, answers, faults, and who is never sent anything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest
import torch
from PIL import Image

from interrogator import load_captioner
from interrogator.captioners import CaptionOptions, SamplingOptions
from interrogator.captioners.abilities import check
from interrogator.captioners.endpoint import captioner as captioner_module
from interrogator.captioners.endpoint import connection
from interrogator.captioners.endpoint import server as server_module
from interrogator.captioners.endpoint.address import Address
from interrogator.captioners.endpoint.captioner import EndpointCaptioner
from interrogator.captioners.endpoint.limits import Limits
from interrogator.captioners.endpoint.pictures import Picture
from interrogator.dataset import Settings
from interrogator.errors import (
    CaptionError,
    EndpointError,
    ModelLoadError,
    ModelNotFoundError,
    RequestError,
    UnknownModelError,
)
from interrogator.models import Answers, Samples
from interrogator.registry import load_as, locate

from .small_models import pictures
from .small_server import MODEL, Gate, Reply, Request, SmallServer, color_of, describe, error, said, serving
from .waiting import LAST_RESORT, wait_until

COLORS = ("red", "green", "blue", "white", "black", "yellow")
QUICK = Limits(patience=0.0)


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.delenv("INTERROGATOR_API_KEY", raising=False)


def captioner(server: SmallServer, limits: Limits = QUICK) -> EndpointCaptioner:
    return EndpointCaptioner(Address.parse(server.name), limits=limits)


def ready(model: EndpointCaptioner, count: int = 1) -> list[Picture]:
    return [model.prepare(Image.new("RGB", (40, 30), COLORS[number % len(COLORS)])) for number in range(count)]


def only(model: EndpointCaptioner, options: CaptionOptions | None = None) -> Any:
    (found,) = model.answer(ready(model), options or CaptionOptions())
    return found


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "base", "model"),
    [
        ("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234/v1", ""),
        ("http://127.0.0.1:1234/v1/#qwen3-vl-8b", "http://127.0.0.1:1234/v1", "qwen3-vl-8b"),
        (" HTTP://LOCALHOST:11434#llava:7b ", "http://localhost:11434/v1", "llava:7b"),
        ("http://[::1]:8000/v1#Qwen/Qwen3-VL-4B", "http://[::1]:8000/v1", "Qwen/Qwen3-VL-4B"),
        ("https://example.org/api/v1/chat/completions", "https://example.org/api/v1", ""),
        ("https://example.org:443/", "https://example.org/v1", ""),
        ("http://example.org:80/v1#a#b", "http://example.org/v1", "a#b"),
    ],
)
def test_an_address_names_a_server_and_a_model(written: str, base: str, model: str) -> None:
    address = Address.parse(written)
    assert (address.base, address.model) == (base, model)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("http://", "complete address"),
        ("http:///v1", "complete address"),
        ("ftp://127.0.0.1/v1", "complete address"),
        ("http://127.0.0.1:port/v1", "cannot be read"),
        ("http://127.0.0.1:99999/v1", "cannot be read"),
        ("http://[::1/v1", "cannot be read"),
        ("http://127.0.0.1/v 1", "no spaces"),
        ("http://127.0.0.1/\u00fc", "only ASCII"),
        ("http://user:hunter2@127.0.0.1/v1", "no user and no password"),
        ("http://hunter2@127.0.0.1/v1", "no user and no password"),
        ("http://127.0.0.1/v1?key=hunter2", "holds no query"),
    ],
)
def test_a_wrong_address_is_refused_without_its_secrets(written: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        Address.parse(written)
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["http://user:hunter2@127.0.0.1/v1#m", "http://127.0.0.1/v1?key=hunter2"])
def test_no_settings_hold_a_secret(name: str) -> None:
    with pytest.raises(RequestError):
        Settings(captioner=name)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("[::1]", True), ("[::ffff:127.0.0.1]", True),
        ("0.0.0.0", False), ("10.0.0.5", False), ("127.0.0.1.example.org", False), ("localhost.example.org", False),
        ("[fe80::1]", False), ("[::ffff:8.8.8.8]", False),
    ],
)  # fmt: skip
def test_loopback_is_a_matter_of_the_address(host: str, loopback: bool) -> None:
    assert Address.parse(f"http://{host}:8000/v1").is_loopback is loopback


def test_another_machine_is_asked_only_where_it_is_written_out_and_not_in_silence(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, server: SmallServer
) -> None:
    sent: list[str] = []

    def exchange(self: Any, address: Address, path: str, *_: Any) -> connection.Reply:
        sent.append(address.base + path)
        return connection.Reply(200, b'{"data": [{"id": "m"}]}')

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "interrogator"):
        patch.setattr(connection.Call, "exchange", exchange)
        load_captioner("http://10.1.2.3:1234/v1#m")
    assert sent == ["http://10.1.2.3:1234/v1/models"]
    assert "pictures are sent to http://10.1.2.3:1234/v1, which is not on this machine" in caplog.text
    caplog.clear()
    load_captioner(server.name)
    assert not caplog.text


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_model_behind_a_server_says_what_it_is(server: SmallServer) -> None:
    located = locate("captioner", server.name)
    assert server.lists == 0, "to find it takes no request"
    model = load_as(EndpointCaptioner, "captioner", server.name, device="cpu", dtype="bf16")
    assert (model.name, model.family, model.origin) == (server.name, "endpoint", located)
    assert (model.module, model.device, model.dtype) == (None, torch.device("cpu"), torch.float32)
    assert (located.folder, located.revision) == (None, None)
    assert isinstance(model, Answers) and isinstance(model, Samples)


def test_the_only_model_of_a_server_need_not_be_named(server: SmallServer) -> None:
    assert load_captioner(server.base).name == server.name
    server.models = ("text-embedding-nomic-embed-text-v1.5", MODEL)  # which LM Studio has of its own accord
    assert load_captioner(server.base).name == server.name


def test_one_of_several_models_is_to_be_named(server: SmallServer) -> None:
    server.models = ("a/llava", "b/qwen", "c/gemma")
    with pytest.raises(EndpointError, match="several models: choose from a/llava, b/qwen, c/gemma, and name it behind"):
        load_captioner(server.base)
    server.models = ()
    with pytest.raises(EndpointError, match="has no model: load a model there"):
        load_captioner(server.base)
    server.models = None
    with pytest.raises(EndpointError, match="does not list its models"):
        load_captioner(server.base)
    assert load_captioner(server.name).name == server.name


def test_no_other_role_has_an_address(server: SmallServer) -> None:
    for role in ("tagger", "encoder", "matcher"):
        with pytest.raises(UnknownModelError, match=f"no {role} has an address"):
            locate(role, server.name)  # type: ignore[arg-type]
    with pytest.raises(ModelLoadError, match="checkpoint"):
        locate("captioner", server.name, checkpoint="weights.safetensors")
    with pytest.raises(RequestError, match="write http://localhost:1234/v1"):
        locate("captioner", "localhost:1234/v1")
    with pytest.raises(ModelNotFoundError, match="some-org/some-model is not on this machine"):
        locate("captioner", "some-org/some-model")


def test_a_server_that_is_down_is_named_at_once(server: SmallServer) -> None:
    server.die()
    with pytest.raises(EndpointError, match=rf"no server answers at {server.base} \(Connection refused\): start it"):
        EndpointCaptioner(Address.parse(server.name), limits=Limits(patience=60.0))


def test_what_is_no_api_is_named(server: SmallServer) -> None:
    server.listing = Reply(200, b"<!DOCTYPE html><html><body>Hello</body></html>", {"Content-Type": "text/html"})
    with pytest.raises(EndpointError, match="/v1/models is a web page: correct the address"):
        captioner(server)
    server.listing = Reply(500, {"error": "out of order"})
    with pytest.raises(EndpointError, match=r"status 500 \(out of order\)"):
        captioner(server)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"INTERROGATOR_ENDPOINT_REQUESTS": "many"}, "many"),
        ({"INTERROGATOR_ENDPOINT_REQUESTS": "0"}, "in_flight must be"),
        ({"INTERROGATOR_ENDPOINT_TIMEOUT": "-1"}, "timeout must be"),
        ({"INTERROGATOR_ENDPOINT_PATIENCE": "nan"}, "patience must be"),
    ],
)
def test_limits_come_from_the_environment(variables: dict[str, str], reason: str) -> None:
    given = {"INTERROGATOR_ENDPOINT_REQUESTS": "9", "INTERROGATOR_ENDPOINT_TIMEOUT": "0.5"}
    assert Limits.from_environment(given) == Limits(9, 0.5, 2.0)
    assert Limits.from_environment({}) == Limits(4, 10.0, 2.0)
    with pytest.raises(RequestError, match=reason):
        Limits.from_environment(variables)


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_carries_the_options(server: SmallServer) -> None:
    model = captioner(server)
    options = CaptionOptions(
        ask="What is it? {trigger}", trigger="ohwx", system="Be brief.", max_new_tokens=77, temperature=0.5, top_p=0.7
    )
    check(model, options)
    model.caption(ready(model), options)
    (request,) = server.requests
    body = request.body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert request.question == "What is it? ohwx" and request.image.size == (40, 30)
    assert (body["model"], body["max_tokens"], body["temperature"], body["top_p"]) == (MODEL, 77, 0.5, 0.7)
    assert body["stream"] is False and 0 <= body["seed"] < 2**31
    assert "Authorization" not in request.headers
    model.caption(ready(model))
    body = server.requests[-1].body
    assert (body["max_tokens"], body["temperature"]) == (captioner_module.LENGTH, 0.0) and len(body["messages"]) == 1
    assert server.requests[-1].question == model.prompts["detailed"]


def test_each_image_is_asked_about_with_its_own_tags(server: SmallServer) -> None:
    model = captioner(server)
    model.caption(ready(model, 2), CaptionOptions(ask="tag-grounded", tags=("1girl, solo", "no humans")))
    asked = {color_of(each.image)[0] > 128: each.question for each in server.requests}  # red, then green
    assert "1girl, solo" in asked[True] and "no humans" in asked[False]
    assert "no humans" not in asked[True] and "1girl" not in asked[False]


@pytest.mark.parametrize(
    "options",
    [
        CaptionOptions(prefix="a picture of"),
        CaptionOptions(num_beams=3),
        CaptionOptions(repetition_penalty=1.2),
        CaptionOptions(no_repeat_ngram_size=3),
        CaptionOptions(ask="detaild"),
    ],
)
def test_what_no_request_can_carry_is_refused_before_anything_is_sent(
    server: SmallServer, options: CaptionOptions
) -> None:
    model = captioner(server)
    with pytest.raises(RequestError):
        check(model, options)
    with pytest.raises(RequestError):
        model.answer(ready(model), options)
    assert not server.requests


@pytest.mark.parametrize(
    ("size", "pixels", "sent"),
    [
        ((40, 30), 1_048_576, (40, 30)),
        ((3000, 1000), 1_048_576, (1773, 591)),
        ((1000, 3000), 90_000, (173, 519)),
        ((2000, 2000), 2_097_152, (1448, 1448)),
        ((14_000, 700), 2_097_152, (6476, 323)),
    ],
)
def test_a_picture_is_shrunk_and_never_enlarged(
    server: SmallServer, size: tuple[int, int], pixels: int, sent: tuple[int, int]
) -> None:
    model = captioner(server)
    prepared = model.prepare(Image.new("RGB", size, (200, 30, 90)))
    assert prepared.width * prepared.height <= 2_097_152 and len(prepared.jpeg) < 500_000
    model.caption([prepared], CaptionOptions(max_pixels=pixels))
    image = server.requests[0].image
    assert abs(image.width - sent[0]) <= 1 and abs(image.height - sent[1]) <= 1 and image.width * image.height <= pixels
    color: Any = image.getpixel((image.width // 2, image.height // 2))
    assert max(abs(one - other) for one, other in zip(color, (200, 30, 90), strict=True)) < 6


def test_samples_have_seeds_of_their_own_that_hang_on_the_key(server: SmallServer) -> None:
    model = captioner(server)
    options = SamplingOptions(count=5, seed=3)
    first = model.sample(ready(model, 2), ["a", "b"], options)
    assert [len(some) for some in first] == [5, 5] and len({each.text for some in first for each in some}) == 10
    (alone,) = model.sample(ready(model, 2)[1:], ["b"], replace(options, count=2))
    assert alone == first[1][:2], "whatever the batch and the number"
    assert model.sample(ready(model), ["a"], replace(options, seed=4))[0] != first[0]
    assert model.sample(ready(model), ["other"], options)[0] != first[0]
    assert all(each.log_probability is None and each.tokens == () and each.ended for each in first[0])
    assert "top_k" not in server.requests[0].body
    model.sample(ready(model), ["a"], SamplingOptions(count=1, top_k=50))
    assert server.requests[-1].body["top_k"] == 50
    with pytest.raises(RequestError, match="forbidden words"):
        model.sample(ready(model), ["a"], SamplingOptions(forbidden=("red",)))
    with pytest.raises(RequestError, match="1 keys for 2 images"):
        model.sample(ready(model, 2), ["a"])


def test_a_sample_that_is_refused_does_not_cost_the_others_theirs(server: SmallServer) -> None:
    model = captioner(server)
    (whole,) = model.sample(ready(model), ["a"], SamplingOptions(count=3))
    refused = min(each.body["seed"] for each in server.requests)
    server.answer = lambda request: error(400, "no") if request.body["seed"] == refused else describe(request)
    (found,) = model.sample(ready(model), ["a"], SamplingOptions(count=3))
    lacking = [one for one, before in zip(found, whole, strict=True) if one != before]
    assert [each.text for each in lacking] == [""] and f" {refused % 1000} " not in "".join(each.text for each in found)
    server.answer = lambda request: error(400, "never")
    with pytest.raises(CaptionError, match="never"):
        model.sample(ready(model), ["a"], SamplingOptions(count=3))


def test_a_temperature_samples_by_the_content_of_a_picture(server: SmallServer) -> None:
    model = captioner(server)
    options = CaptionOptions(temperature=1.0)
    prepared = [model.prepare(image) for image in pictures(3)]
    first = model.caption(prepared, options)
    assert model.caption(prepared[::-1], options) == first[::-1]
    assert model.caption(prepared, replace(options, seed=1)) != first


# --- several at a time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_flight", [1, 3, 4])
def test_so_many_requests_are_in_flight_and_their_order_is_kept(server: SmallServer, in_flight: int) -> None:
    """The server answers only when as many are there as may be, the last first."""
    total = 12
    together = threading.Barrier(in_flight)

    def answer(request: Request) -> Reply:
        together.wait(LAST_RESORT)
        return describe(request)

    server.answer = answer
    model = captioner(server, Limits(in_flight))
    prepared = ready(model, total)
    found = model.caption(prepared)
    server.answer = describe
    assert found == [model.caption([each])[0] for each in prepared] and len(set(found)) == len(COLORS)
    assert server.most_at_once == in_flight


class Stop(Exception):
    pass


def test_progress_is_called_while_the_server_works_and_cancels_at_once(server: SmallServer) -> None:
    server.answer = gate = Gate()
    model = captioner(server)
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if server.at_once == 4 and len(calls) > 5:
            raise Stop

    with pytest.raises(Stop):
        model.caption(ready(model, 6), CaptionOptions(), progress)
    assert set(calls) == {(0, 6)}
    count = len(calls)
    gate.open.set()
    wait_until(lambda: server.at_once == 0, "the server is done with the four it had")
    assert len(calls) == count and len(server.requests) == 4, "the two that waited are never sent"
    calls.clear()
    model.caption(ready(model, 6), CaptionOptions(), lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 6) and calls[-1] == (6, 6) and calls == sorted(calls)


def test_a_cancelled_request_breaks_its_connection(server: SmallServer) -> None:
    """So the server can stop to write."""
    gone = threading.Event()

    def answer(request: Request) -> Reply:
        wait_until(lambda: server.closed_by_client(), "the client is gone")
        gone.set()
        return describe(request)

    server.answer = answer
    model = captioner(server, Limits(1))

    def progress(done: int, total: int) -> None:
        if server.at_once:
            raise Stop

    with pytest.raises(Stop):
        model.caption(ready(model), CaptionOptions(), progress)
    assert gone.wait(LAST_RESORT)


def test_a_wait_between_two_tries_is_cancelled_too(server: SmallServer) -> None:
    server.answer = lambda request: error(429, "later", Retry_After="60")
    model = captioner(server, Limits(patience=60.0))

    def progress(done: int, total: int) -> None:
        if len(server.requests) == 2:
            raise Stop

    with pytest.raises(Stop):
        model.caption(ready(model, 2), CaptionOptions(), progress)
    assert len(server.requests) == 2


def test_callers_in_several_threads_share_the_limit(server: SmallServer) -> None:
    model = captioner(server)
    expected = model.caption(ready(model, 6))
    server.most_at_once = 0
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(lambda _: model.caption(ready(model, 6)), range(5))) == [expected] * 5
    assert server.most_at_once <= 4


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "text", "remarks"),
    [
        (said("A red cat."), "A red cat.", ()),
        (said("<think>It is red.\nA cat?</think>\n\nA red cat."), "A red cat.", ()),
        (said("It is red.</think>A red cat."), "A red cat.", ()),
        (said("A red cat.", reasoning_content="Let me see. A picture …"), "A red cat.", ()),
        (said("A red cat.", reasoning="Let me see."), "A red cat.", ()),
        (said("A red cat. It sits on a m", "length"), "A red cat.", ("cut",)),
        (said("The image shows a red cat."), "A red cat.", ()),
        (said("A red cat\n\n on a mat.\n"), "A red cat on a mat.", ()),
        (said([{"type": "text", "text": "A red "}, {"type": "text", "text": "cat."}]), "A red cat.", ()),
        (said("A red\x00 cat\ud800."), "A red cat .", ()),
        (said("A red cat.", None), "A red cat.", ()),
        (said("An araffed cat."), "A cat.", ()),
    ],
)
def test_an_answer_becomes_a_caption(server: SmallServer, reply: Reply, text: str, remarks: tuple[str, ...]) -> None:
    server.answer = lambda request: reply
    found = only(captioner(server))
    assert (found.text, found.remarks, found.error) == (text, remarks, "")
    found.text.encode("utf-8")


def test_an_answer_that_goes_in_circles_is_asked_for_once_more(server: SmallServer) -> None:
    circle = "A red cat. " + "It sits on a mat and looks up. " * 30
    replies = iter([said(circle, "length"), said("A red cat on a mat.")])
    server.answer = lambda request: next(replies)
    found = only(captioner(server))
    assert (found.text, found.remarks) == ("A red cat on a mat.", ("looped",))
    first, second = (each.body for each in server.requests)
    assert first["temperature"] == 0 and second["temperature"] > 0 and second["seed"] != first["seed"]
    server.answer = lambda request: said(circle, "length")
    found = only(captioner(server))
    assert found.text == "A red cat. It sits on a mat and looks up." and "looped" in found.remarks
    assert len(server.requests) == 4


REFUSED: list[tuple[Reply, str]] = [
    (Reply(200, b"<html><body>Welcome</body></html>"), "answers a web page where a chat completion should be"),
    (Reply(200, b"hello"), "answers plain text"),
    (Reply(200, b""), "answers nothing"),
    (Reply(200, b"\xff\xfe{"), "answers plain text"),
    (Reply(200, {"captions": ["a cat"]}), "JSON that is no chat completion"),
    (Reply(200, [1, 2]), "JSON that is no chat completion"),
    (Reply(200, {"choices": [{"text": "a cat"}]}), "JSON that is no chat completion"),
    (Reply(200, {"choices": []}), "holds no choice"),
    (Reply(200, {"error": {"message": "context exceeded"}}), "refuses: context exceeded"),
    (said(""), "answer is empty"),
    (said(None), "answer is empty"),
    (said("  \n "), "answer is empty"),
    (said("<think>Hm, let me think about", "length"), "thought until its 1024 tokens were used up"),
    (said("", "length", reasoning_content="Hm, let me think about"), "thought until its 1024 tokens were used up"),
    (said("half a", "content_filter"), "content filter withholds"),
    (said(None, refusal="I cannot describe people."), "refuses: I cannot describe people."),
    (said("Generation failed: no pixel_values", "error"), "failed: Generation failed: no pixel_values"),
    (said("cat " * 25_000, "stop"), "99,999 characters where 1024 tokens were asked for"),
    (said("cat " * 2_000_000, "stop"), "answers more than 4 MB"),
    (error(400, "the picture is 1 pixel wide"), "refuses the request with status 400: the picture is 1 pixel wide"),
    (
        Reply(422, {"detail": [{"msg": "Input should be a valid string", "input": "x" * 5000}]}),
        "Input should be a valid",
    ),
    (Reply(413, b"Payload Too Large"), "status 413: Payload Too Large"),
    (Reply(400, b""), "status 400: no reason given"),
    (Reply(500, b"<html>Internal error</html>"), "failed with status 500: a web page"),
    (error(400, "the model could not open it: file not found"), "status 400: the model could not open it"),
    (error(500, "unsupported image format: image type is not supported"), "failed with status 500: unsupported image"),
]


@pytest.mark.parametrize(("reply", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_a_picture_that_gets_no_caption_has_a_reason_and_the_others_have_theirs(
    server: SmallServer, reply: Reply, reason: str
) -> None:
    server.answer = lambda request: reply if min(request.image.getpixel((0, 0))) > 200 else describe(request)
    model = captioner(server)
    prepared = ready(model, 5)  # the fourth is white
    found = model.answer(prepared)
    assert [bool(each.error) for each in found] == [False, False, False, True, False]
    sentence = found[3].error
    assert reason in sentence and found[3].text == "" and "\n" not in sentence and len(sentence) < 300
    assert all(each.text for each in (*found[:3], found[4]))
    with pytest.raises(CaptionError, match="\\w") as caught:
        model.caption(prepared)
    assert str(caught.value) == sentence


def test_a_reason_is_quoted_shortened(server: SmallServer) -> None:
    server.answer = lambda request: error(400, "no \x1b[31m" + "and on " * 200)
    sentence = only(captioner(server)).error
    assert len(sentence) < 280 and sentence.endswith("…") and "\x1b" not in sentence


# --- servers that are no use ------------------------------------------------------------------------------------------

USELESS: list[tuple[Reply, str]] = [
    (
        error(401, "missing bearer"),
        r"wants a key \(missing bearer\): set it in the environment variable INTERROGATOR_API",
    ),
    (error(403, "forbidden"), r"wants a key \(forbidden\)"),
    (error(404, "model not found"), r"has no model 'tiny-vl' \(model not found\); choose from other-vl, third-vl"),
    (error(400, "tiny-vl is not a valid model ID"), "has no model 'tiny-vl'"),
    (Reply(400, {"detail": "Server is pinned to 'b'; requested 'tiny-vl'."}), "'tiny-vl' .*; choose from other-vl"),
    (error(400, 'Model "tiny-vl" not found, try pulling it first'), "has no model 'tiny-vl'"),
    (error(500, "image input is not supported - hint: you may need to provide the mmproj"), "takes no pictures"),
    (Reply(400, {"error": "Model does not support images. Please use a model that does."}), "takes no pictures"),
    (error(400, "tiny-vl is not a multimodal model"), "takes no pictures"),
    (Reply(307, b"", {"Location": "https://evil.example/v1"}), "redirects to https://evil.example/v1, and pictures go"),
]


@pytest.mark.parametrize(("reply", "reason"), USELESS, ids=[reason for _, reason in USELESS])
def test_what_holds_for_every_picture_is_an_error_of_the_server(server: SmallServer, reply: Reply, reason: str) -> None:
    server.models = ("other-vl", "third-vl")
    server.answer = lambda request: reply
    model = captioner(server)
    with pytest.raises(EndpointError, match=reason) as caught:
        model.answer(ready(model, 3))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_wrong_path_is_named(server: SmallServer) -> None:
    model = EndpointCaptioner(Address.parse(server.name.replace("/v1", "/openai")), limits=QUICK)
    with pytest.raises(EndpointError, match=r"/openai has no chat completions or no model 'tiny-vl' .* ends in /v1"):
        model.answer(ready(model))


def test_redirects_are_not_followed(server: SmallServer) -> None:
    with serving() as other:
        moved = Reply(302, b"", {"Location": f"{other.base}/models"})
        server.listing = moved
        with pytest.raises(EndpointError, match="redirects to"):
            captioner(server)
        server.listing = None
        server.answer = lambda request: Reply(308, b"", {"Location": f"{other.base}/chat/completions"})
        model = captioner(server)
        with pytest.raises(EndpointError, match="redirects to"):
            model.answer(ready(model))
        assert other.lists == 0 and not other.requests


def test_proxies_of_the_environment_are_not_used(server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        model = captioner(server)
        assert model.caption(ready(model)) and proxy.lists == 0 and not proxy.requests


def test_what_speaks_no_http_is_an_error(server: SmallServer) -> None:
    with pytest.raises(EndpointError, match="no server answers at https://127.0.0.1"):
        EndpointCaptioner(Address.parse(server.name.replace("http:", "https:")), limits=QUICK)


# --- patience ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        error(429, "slow down"),
        error(503, "Loading model"),
        error(429, "slow down", Retry_After="0.01"),
        error(503, "soon", Retry_After=format_datetime(datetime.now(UTC) - timedelta(minutes=5), usegmt=True)),
        error(503, "soon", Retry_After="whenever"),
        Reply(502, b"<html>Bad Gateway</html>"),
        Reply(breaks=True),
        replace(said("A red cat."), stops_after=20),
    ],
)
def test_a_busy_server_is_asked_again(server: SmallServer, trouble: Reply) -> None:
    replies = iter([trouble, trouble, trouble])
    server.answer = lambda request: next(replies, None) or describe(request)
    assert only(captioner(server, Limits(patience=10.0))).text == "A thing colored 254 0 0."
    assert len(server.requests) == 4


def test_patience_has_an_end(server: SmallServer) -> None:
    server.answer = lambda request: error(503, "Loading model", Retry_After="3600")
    model = captioner(server, Limits(patience=1.0))
    with pytest.raises(EndpointError, match=r"is busy \(status 503: Loading model\): run the same again later"):
        model.answer(ready(model))
    assert len(server.requests) == 1, "an hour is more than a minute"


def test_a_picture_over_which_the_connection_breaks_again_and_again_has_an_error(server: SmallServer) -> None:
    server.answer = lambda request: Reply(breaks=True)
    assert "breaks off the connection over this picture" in only(captioner(server)).error


def test_a_server_that_dies_is_an_error_that_says_so(server: SmallServer) -> None:
    model = captioner(server)
    assert only(model).text
    server.die()
    with pytest.raises(EndpointError, match=r"no server answers at .*: start it.* a dataset run continues"):
        model.answer(ready(model, 5))
    server.start()
    assert only(model).text


def test_a_server_that_restarts_meanwhile_is_waited_for(server: SmallServer) -> None:
    tries = threading.Event()

    def answer(request: Request) -> Reply:
        tries.set()
        return Reply(breaks=True)

    server.answer = answer
    model = captioner(server, Limits(patience=LAST_RESORT / 60))
    restarted = threading.Event()

    def restart() -> None:
        tries.wait(LAST_RESORT)
        server.die()
        server.answer = describe
        server.start()
        restarted.set()

    thread = threading.Thread(target=restart)
    thread.start()
    assert all(each.text for each in model.answer(ready(model, 6)))
    thread.join(LAST_RESORT)
    assert restarted.is_set()


def test_a_request_that_hangs_times_out_and_only_its_picture_fails(server: SmallServer) -> None:
    gate = Gate()
    server.answer = lambda request: gate(request) if min(request.image.getpixel((0, 0))) > 200 else describe(request)
    model = captioner(server, Limits(timeout=0.005, patience=0.0))
    try:
        (found,) = model.answer([model.prepare(Image.new("RGB", (40, 30), "white"))])
    finally:
        gate.open.set()
    assert "has not answered within 0.3 seconds" in found.error and "INTERROGATOR_ENDPOINT_TIMEOUT" in found.error


def test_a_server_that_answers_nothing_at_all_any_more_is_gone(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_LOOK_SECONDS", 0.2)
    model = captioner(server, Limits(timeout=0.005, patience=0.0))
    server.frozen.set()
    try:
        with pytest.raises(EndpointError, match="does not answer within 0 seconds: restart it"):
            model.answer(ready(model, 2))
        with pytest.raises(EndpointError, match="does not answer within"):
            captioner(server)
    finally:
        server.frozen.clear()


def test_an_answer_that_trickles_in_is_overdue_too(server: SmallServer) -> None:
    server.answer = lambda request: Reply(200, b" " * 100_000, trickles=True)
    found = only(captioner(server, Limits(timeout=0.01, patience=0.0)))
    assert "has not answered within 0.6 seconds" in found.error


# --- keys -------------------------------------------------------------------------------------------------------------

KEY = "sk-hunter2-0123456789"


def refuse(status: int, request: Request) -> Reply:
    return error(status, f"Incorrect API key provided: {KEY}")


def test_a_key_comes_from_the_environment_and_is_nowhere_else(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    plain = captioner(server)
    plain.caption(ready(plain))
    assert "Authorization" not in server.requests[-1].headers
    monkeypatch.setenv("INTERROGATOR_API_KEY", KEY)
    with caplog.at_level(logging.DEBUG):
        model = captioner(server, Limits(patience=10.0))
        replies = iter([error(429, f"wait, {KEY}"), describe])
        server.answer = lambda request: (lambda reply: reply(request) if callable(reply) else reply)(next(replies))
        model.caption(ready(model))
        assert server.requests[-1].headers["Authorization"] == f"Bearer {KEY}"
        server.answer = lambda request: error(400, f"you, {KEY}, are wrong")
        assert "you, ***, are wrong" in only(model).error
        for status in (401, 404):
            server.answer = partial(refuse, status)
            with pytest.raises(EndpointError) as caught:
                only(model)
            assert KEY not in str(caught.value) and KEY not in repr(caught.getrepr(style="long"))
    assert "trying again" in caplog.text and KEY not in caplog.text
    for each in (model, model.name, model.origin, vars(model), vars(model._server)):
        assert KEY not in repr(each) and KEY not in str(each)


def test_a_wrong_key_is_named(server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERROGATOR_API_KEY", KEY)
    server.listing = error(401, "no such key")
    with pytest.raises(EndpointError, match=r"refuses the key in INTERROGATOR_API_KEY \(no such key\)"):
        captioner(server)


@pytest.mark.parametrize("key", ["hunter2 hunter2", "hunter2\r\nX-Evil: 1", "hunt\u00e9r2"])
def test_what_cannot_be_a_key_is_refused_unquoted(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("INTERROGATOR_API_KEY", key)
    with pytest.raises(RequestError, match="INTERROGATOR_API_KEY holds") as caught:
        captioner(server)
    assert "hunt" not in str(caught.value) and server.lists == 0
