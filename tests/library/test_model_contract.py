"""What holds for every model, whatever its family: with a tiny checkpoint of each, and with a bare stand-in a role."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from interrogator import Captioner, Encoder, Interrogator, Matcher, PhraseBank, Tagger, catalog
from interrogator.captioners import CaptionOptions, SamplingOptions
from interrogator.captioners.sampling import sample_captions
from interrogator.dataset import CaptionRules, Models, Run, Settings
from interrogator.errors import CaptionError, ModelError, ModelLoadError, RequestError
from interrogator.markers import family_in
from interrogator.model_pool import ModelPool
from interrogator.models import Ability, Answers, Samples
from interrogator.modes import MODES, Mode
from interrogator.progress import Progress
from interrogator.qualities import QUALITIES, Quality
from interrogator.registry import load_model

from .bare_models import BareAnswerer, BareCaptioner, BareEncoder, BareMatcher, BareSampler, BareTagger, name_of
from .small_models import pictures
from .small_server import serving
from .tiny_chat import known_here
from .tiny_checkpoints import WRITERS, prepared

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

ALL_PAIRS = [(family.name, role) for family in catalog.FAMILIES for role in family.loads]
PAIRS = [pair for pair in ALL_PAIRS if pair[0] != "florence2" or known_here("florence2")]
"""Those that this version of transformers can load."""
WITH_FILES = [pair for pair in PAIRS if pair in WRITERS]
IN_A_RUNTIME = [("cl-tagger", "tagger"), ("camie-tagger", "tagger"), ("joytag", "tagger")]
"""Those whose weights a runtime keeps: they have no module."""
PROTOCOLS: dict[str, Any] = {"captioner": Captioner, "tagger": Tagger, "matcher": Matcher, "encoder": Encoder}
TEXTS = ["a cat", "a red house on a tree", "dog"]
BARE: list[Any] = [BareCaptioner, BareSampler, BareAnswerer, BareTagger, BareMatcher, BareEncoder]


with_files = pytest.mark.parametrize("pair", WITH_FILES, indirect=True, ids=map("-".join, WITH_FILES), scope="session")
"""For tests of what is on this machine: weights, their dtype, the memory they take."""


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Any, Path | str]]:
    """What each model is loaded by: its folder, or its address on a server that runs meanwhile."""
    with serving() as server:
        names: dict[Any, Path | str] = {("endpoint", "captioner"): server.name}
        yield names | {pair: WRITERS[pair](tmp_path_factory.mktemp("-".join(pair))) for pair in WITH_FILES}


@pytest.fixture(scope="session", params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def pair(request: pytest.FixtureRequest) -> tuple[str, Any]:
    given: tuple[str, Any] = request.param
    return given


@pytest.fixture(scope="session")
def model(pair: tuple[str, Any], folders: dict[Any, Path | str]) -> Any:
    return load_model(pair[1], folders[pair], device="cpu", dtype="fp32")


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    return pictures(5)


def answers(model: Any, role: str, images: Sequence[Image.Image], progress: Progress | None = None) -> list[Any]:
    """What a model of a role says of each image."""
    ready = prepared(model, images)
    if role == "captioner":
        return list(model.caption(ready, CaptionOptions(strip=(), max_new_tokens=8), progress))
    if role == "matcher":
        return list(model.match(ready, [TEXTS] * len(images), progress))
    if role == "tagger":
        return list(model.tag(ready, progress))
    return list(model.embed(ready, progress))


def assert_same(found: Sequence[Any], expected: Sequence[Any]) -> None:
    """Equal texts, and numbers that differ by rounding only."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, torch.Tensor):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        elif isinstance(other, list):
            assert [tag.text for tag in one] == [tag.text for tag in other]
            assert [tag.probability for tag in one] == pytest.approx([tag.probability for tag in other], abs=1e-5)
        else:
            assert one == other


# --- families, with a checkpoint of each ------------------------------------------------------------------------------


def test_there_is_a_tiny_checkpoint_of_every_family_with_files_and_role() -> None:
    with_files = {(family.name, role) for family in catalog.FAMILIES if family.marker for role in family.loads}
    assert with_files == set(WRITERS)


def test_a_model_says_what_it_is(pair: tuple[str, Any], model: Any, folders: dict[Any, Path | str]) -> None:
    family, role = pair
    assert isinstance(model, PROTOCOLS[role])
    assert (model.name, model.family) == (str(folders[pair]), family)
    origin = model.origin
    assert (origin.role, origin.name, origin.family) == (role, model.name, family)
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
    assert model.working_bytes > 1_000_000


@with_files
def test_a_model_from_a_folder_has_its_weights(
    pair: tuple[str, Any], model: Any, folders: dict[Any, Path | str]
) -> None:
    assert model.origin.folder == folders[pair]
    if pair in IN_A_RUNTIME:
        assert model.module is None
        return
    assert isinstance(model.module, nn.Module) and not model.module.training
    assert {parameter.device for parameter in model.module.parameters()} == {model.device}


@with_files
@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_model_computes_in_the_dtype_that_was_asked_for(
    pair: tuple[str, Any], folders: dict[Any, Path | str], images: list[Image.Image], name: str, dtype: torch.dtype
) -> None:
    half = load_model(pair[1], folders[pair], device="cpu", dtype=name)
    assert half.dtype == (dtype if pair not in IN_A_RUNTIME else torch.float32), "an ONNX file has its own"
    first = answers(half, pair[1], images[:2])
    assert_same(answers(half, pair[1], images[:2]), first)


def test_answers_differ_from_image_to_image(pair: tuple[str, Any], model: Any, images: list[Image.Image]) -> None:
    """Else the tests below compare nothing."""
    found = answers(model, pair[1], images)
    assert len({str(each) for each in found}) > 1


@with_files
def test_a_foreign_folder_is_refused_before_its_weights_are_read(
    pair: tuple[str, Any], folders: dict[Any, Path | str], tmp_path: Path
) -> None:
    _, role = pair
    for kind, other in WITH_FILES:
        if other == role or family_in(role, folders[kind, other]):  # a CoCa is a captioner and an encoder
            continue
        folder = WRITERS[kind, other](tmp_path / f"{kind}-{other}")
        for weights in (*folder.glob("*.safetensors"), *folder.glob("*.onnx")):
            weights.write_bytes(b"no weights at all")
        with pytest.raises(ModelLoadError, match=f"holds an? .*{other}.*, not an? {role}"):
            load_model(role, folder, device="cpu", dtype="fp32")


def each_tensor_missing(folder: Path) -> Iterator[str]:
    """Some names of tensors: while one is handled, the weights in the folder lack it."""
    (path,) = [*folder.glob("*.safetensors"), *folder.glob("*.onnx")]
    if path.suffix == ".onnx":
        model = onnx.load(path)
        for stored in list(model.graph.initializer)[:: max(1, len(model.graph.initializer) // 4)]:
            model.graph.initializer.remove(stored)
            onnx.save(model, path)
            yield stored.name
            model.graph.initializer.append(stored)
        return
    whole = load_file(path)
    for name in sorted(whole)[:: max(1, len(whole) // 4)]:
        save_file({key: value for key, value in whole.items() if key != name}, path, metadata={"format": "pt"})
        yield name


@with_files
def test_a_missing_tensor_is_named(pair: tuple[str, Any], tmp_path: Path) -> None:
    folder = WRITERS[pair](tmp_path / "broken")
    for name in each_tensor_missing(folder):
        with pytest.raises(ModelLoadError) as caught:
            load_model(pair[1], folder, device="cpu", dtype="fp32")
        assert name in str(caught.value) and str(folder) in str(caught.value) and "\n" not in str(caught.value)


def spoil(folder: Path) -> None:
    """Fill the weights in a folder with NaN."""
    (path,) = [*folder.glob("*.safetensors"), *folder.glob("*.onnx")]
    if path.suffix == ".onnx":
        model = onnx.load(path)
        for stored in model.graph.initializer:
            values = onnx.numpy_helper.to_array(stored)
            if values.dtype.kind == "f":
                stored.CopyFrom(onnx.numpy_helper.from_array(values * float("nan"), stored.name))
        onnx.save(model, path)
        return
    whole = {
        name: value * float("nan") if value.is_floating_point() else value for name, value in load_file(path).items()
    }
    save_file(whole, path, metadata={"format": "pt"})


@with_files
def test_nan_is_an_error_of_the_image_and_no_words(
    pair: tuple[str, Any], tmp_path: Path, images: list[Image.Image]
) -> None:
    folder = WRITERS[pair](tmp_path / "spoiled")
    spoil(folder)
    model = load_model(pair[1], folder, device="cpu", dtype="fp32")
    if pair[1] == "encoder":
        with pytest.raises(ModelError, match="computes NaN .*fetch its weights again"):
            model.encode_texts(["a cat"])
    with pytest.raises(CaptionError, match="computes NaN .*fetch its weights again"):
        answers(model, pair[1], images[:2])
    if pair[1] == "captioner":
        for options in (CaptionOptions(num_beams=2), CaptionOptions(temperature=1.0)):
            with pytest.raises(CaptionError, match="computes NaN"):
                model.caption(prepared(model, images[:2]), replace(options, max_new_tokens=4))
        with pytest.raises(CaptionError, match="computes NaN"):
            model.sample(prepared(model, images[:2]), ["a", "b"], SamplingOptions(count=2, max_new_tokens=8))


@pytest.mark.parametrize("size", [2, 5])
def test_a_batch_says_what_each_image_alone_says(
    pair: tuple[str, Any], model: Any, images: list[Image.Image], size: int
) -> None:
    alone = [answers(model, pair[1], [image])[0] for image in images[:size]]
    assert_same(answers(model, pair[1], images[:size]), alone)
    assert_same(answers(model, pair[1], images[:size][::-1]), alone[::-1])
    assert len(answers(model, pair[1], [])) == 0


class Stop(Exception):
    pass


@with_files
@pytest.mark.parametrize("part", [0.0, 0.5, 0.9])
def test_what_progress_raises_stops_a_call_between_layers_and_leaves_the_model_usable(
    pair: tuple[str, Any], model: Any, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    monkeypatch.setattr(sys.modules["interrogator.progress"], "_REPEAT_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    expected = answers(model, pair[1], images, lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 5) and calls[-1] == (5, 5) and calls == sorted(calls)
    if pair not in IN_A_RUNTIME:  # of those see test_taggers_onnx
        assert calls.count((0, 5)) > 5, "it is called inside a batch"
    last = int(part * len(calls)) + 1
    calls.clear()

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == last:
            raise Stop

    with pytest.raises(Stop):
        answers(model, pair[1], images, stop)
    assert len(calls) == last, "nothing goes on after it"
    assert_same(answers(model, pair[1], images), expected)


@contextmanager
def little_memory(monkeypatch: pytest.MonkeyPatch, room: int) -> Iterator[list[int]]:
    """The convolution of colours, with which all these models begin, runs out of memory above `room` images.

    In a runtime the whole run does."""
    sizes: list[int] = []
    forward, run = nn.Conv2d._conv_forward, onnxruntime.InferenceSession.run

    def limited(self: nn.Conv2d, images: torch.Tensor, *args: Any) -> torch.Tensor:
        if self.in_channels != 3:
            return forward(self, images, *args)
        sizes.append(len(images))
        if len(images) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, images, *args)

    def limited_run(self: Any, outputs: Any, given: dict[str, Any], *args: Any) -> Any:
        (images,) = given.values()
        sizes.append(len(images))
        if len(images) > room:
            raise RuntimeException("Failed to allocate memory for requested buffer. Tried to allocate 2.00 GiB")
        return run(self, outputs, given, *args)

    with monkeypatch.context() as patch:
        patch.setattr(onnxruntime.InferenceSession, "run", limited_run)
        patch.setattr(nn.Conv2d, "_conv_forward", limited)
        yield sizes


@with_files
def test_where_memory_runs_out_it_goes_on_with_half(
    pair: tuple[str, Any], model: Any, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(model, pair[1], images)
    with little_memory(monkeypatch, 2) as sizes:
        assert_same(answers(model, pair[1], images), expected)
    assert sizes == [5, 2, 2, 1]
    with little_memory(monkeypatch, 0) as sizes, pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        answers(model, pair[1], images[:2])
    assert sizes == [2, 1]
    assert_same(answers(model, pair[1], images), expected)


def test_threads_get_what_one_gets(
    pair: tuple[str, Any], folders: dict[Any, Path | str], images: list[Image.Image]
) -> None:
    model = load_model(pair[1], folders[pair], device="cpu", dtype="fp32")  # a fresh one: first use counts, too
    expected = [answers(load_model(pair[1], folders[pair], device="cpu", dtype="fp32"), pair[1], images[:3])] * 4

    def ask(number: int) -> list[Any]:
        return answers(model, pair[1], images[:3], lambda done, total: None)

    with ThreadPoolExecutor(4) as threads:
        for found, one in zip(threads.map(ask, range(4)), expected, strict=True):
            assert_same(found, one)


def test_a_captioner_can_do_what_its_abilities_say(
    pair: tuple[str, Any], model: Any, images: list[Image.Image]
) -> None:
    if pair[1] != "captioner":
        assert not hasattr(model, "abilities")
        return
    assert model.abilities <= set(get_args(Ability))
    assert isinstance(model, Samples) == ("sampling" in model.abilities)
    rules: dict[str, Any] = {"strip": (), "max_new_tokens": 8, "no_repeat_ngram_size": 1}
    ready = prepared(model, images)
    if "beams" in model.abilities:
        beams = model.caption(ready, CaptionOptions(**rules, num_beams=3))
        assert beams != model.caption(ready, CaptionOptions(**rules)) and all(beams)
    ready = ready[:2]
    if "prefix" in model.abilities:
        led = CaptionOptions(**rules, prefix="a cat", keep_prefix=True)
        assert all(caption.startswith("a cat") for caption in model.caption(ready, led))
    if "sampling" in model.abilities:
        options = SamplingOptions(count=6, strip=(), min_new_tokens=0, max_new_tokens=8, top_p=1.0)
        sampled = model.sample(ready, ["a", "b"], options)
        assert [len(some) for some in sampled] == [6, 6]
        assert len({one.text for some in sampled for one in some}) > 2
    if {"sampling", "forbidden words"} <= model.abilities:
        word = next(word for some in sampled for one in some for word in one.text.split() if word.isalpha())
        without = model.sample(ready, ["a", "b"], SamplingOptions(**{**options.__dict__, "forbidden": (word,)}))
        assert not any(word in one.text.split() for some in without for one in some)


# --- in front ends ----------------------------------------------------------------------------------------------------


COLORS = {"red": (200, 10, 20), "green": (20, 180, 30), "blue": (10, 40, 220)}
BANKS = [
    PhraseBank.from_phrases("mediums", ["oil on canvas", "pencil"]),
    PhraseBank.from_phrases("artists", ["by A", "by B"]),
    PhraseBank.from_phrases("flavors", ["soft", "8k", "neon", "fog"]),
    PhraseBank.from_phrases("negative", ["blurry", "ugly"]),
]


@pytest.fixture
def colored(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, color in COLORS.items():
        Image.new("RGB", (40, 30), color).save(folder / f"{name}.png")
    return folder


def count(text: str) -> int:
    return len(text.split())


def run_records(folder: Path, settings: Settings, **models: Any) -> dict[str, Any]:
    """The records of a dataset run with these models, by picture."""
    run = Run([folder], settings, out=folder.parent / f"out-{settings.digest({})}")
    run.work(lambda: Models(settings, banks=BANKS, **models), count)
    records = [record.as_dict() for record in run.parts.records(run.parts.done(run.plan))]
    assert {record["status"] for record in records} == {"done"}, [record["reason"] for record in records]
    return {Path(record["key"]).stem: record for record in records}


def test_a_model_works_in_an_interrogator_and_in_a_dataset_run(
    pair: tuple[str, Any], model: Any, colored: Path
) -> None:
    role = pair[1]
    images = [Image.open(path) for path in sorted(colored.iterdir())]
    parts: dict[str, Any] = {"captioner": BareSampler(), "encoder": BareEncoder(), "tagger": BareTagger()}
    parts[role] = model
    ci = Interrogator(parts["captioner"], parts["encoder"], BANKS, tagger=parts["tagger"], matcher=parts.get("matcher"))
    assert [each.prompt for each in ci.interrogate_many(images, "fast")] == [
        ci.interrogate(image, "fast").prompt for image in images
    ]
    pool = ModelPool()
    assert pool.use(model) is model and pool.device_of(model) == model.device, "one that the pool does not know"
    settings = {
        "captioner": Settings(preset="demo"),
        "encoder": Settings(preset="demo", score=True),
        "matcher": Settings(preset="demo", quality="capfilt"),
        "tagger": Settings(preset="demo", mode="tags"),
    }[role]
    records = run_records(colored, settings, **{each: parts[each] for each in {*settings.needs, role}}, pool=pool)
    for image, name in zip(images, sorted(COLORS), strict=True):
        if role == "captioner":
            assert records[name]["caption"] == model.caption([model.prepare(image)])[0]
        if role == "encoder":
            cosine = float(model.encode_texts([records[name]["caption"]])[0] @ model.embed([model.prepare(image)])[0])
            assert records[name]["scores"]["clip"] == pytest.approx(cosine, abs=1e-5)
        if role == "matcher":
            (row,) = model.match([model.prepare(image)], [[records[name]["caption"]]]).tolist()
            assert records[name]["scores"]["itm"] == pytest.approx(row[0], abs=1e-5)


# --- bare stand-ins ---------------------------------------------------------------------------------------------------


@cache
def members(protocol: Any) -> frozenset[str]:
    """The public members that a protocol asks for, its own and those it inherits."""
    found: set[str] = set()
    for each in protocol.__mro__:
        if getattr(each, "_is_protocol", False):
            found |= {name for name in (*vars(each), *vars(each).get("__annotations__", {})) if name[0] != "_"}
    return frozenset(found)


@pytest.mark.parametrize("bare", BARE)
def test_a_stand_in_has_exactly_the_members_of_its_protocols(bare: Any) -> None:
    protocols = [each for each in (*PROTOCOLS.values(), Samples, Answers) if isinstance(bare(), each)]
    assert protocols
    assert {name for name in dir(bare()) if name[0] != "_"} == frozenset().union(*map(members, protocols))


@pytest.mark.parametrize("mode", list(Mode))
def test_bare_models_are_enough_for_every_mode(mode: Mode) -> None:
    ci = Interrogator(BareCaptioner(), BareEncoder(), BANKS, tagger=BareTagger(), matcher=BareMatcher())
    images = [Image.new("RGB", (9, 9), color) for color in COLORS.values()]
    together = ci.interrogate_many(images, mode.value)
    assert [each.prompt for each in together] == [ci.interrogate(image, mode.value).prompt for image in images]
    for color, result in zip(COLORS, together, strict=True):
        assert result.prompt and result.mode == mode.value
        if "captioner" in MODES[mode].needs:
            assert result.caption == f"a {color} thing"
        if mode is Mode.TAGS:
            assert result.prompt == color and [tag.text for tag in result.tags] == [color]


def test_bare_models_rank_compare_and_tag() -> None:
    ci = Interrogator(None, BareEncoder(), BANKS, tagger=BareTagger())
    image = Image.new("RGB", (9, 9), COLORS["red"])
    ranked = ci.rank(image, top=3)
    assert len(ranked) == 3
    row = ci.image_embedding(image)
    for phrase in ranked:
        (cosine,) = ci.similarity(image, phrase.text)
        assert phrase.similarity == pytest.approx(float(cosine), abs=1e-3)  # the table's rows are in half precision
    assert row.shape == (32,) and [tag.text for tag in ci.tag(image)] == ["red"]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("roles", [(), ("captioner",), ("encoder",), ("tagger",)])
def test_a_mode_without_its_model_is_refused(mode: Mode, roles: tuple[str, ...]) -> None:
    models = {"captioner": BareCaptioner(), "encoder": BareEncoder(), "tagger": BareTagger()}
    given: dict[str, Any] = {role: models[role] if role in roles else None for role in models}
    ci = Interrogator(given["captioner"], given["encoder"], BANKS, tagger=given["tagger"])
    image = Image.new("RGB", (9, 9), COLORS["blue"])
    lacking = MODES[mode].needs - set(roles)
    if not lacking:
        assert ci.interrogate(image, mode.value).prompt
        return
    with pytest.raises(RequestError, match=f"there is no ({'|'.join(lacking)}): load one, or"):
        ci.interrogate(image, mode.value)


def parts_for(settings: Settings, captioner: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "captioner": captioner, "tagger": BareTagger(), "encoder": BareEncoder(), "matcher": BareMatcher(),
        "reranker": BareEncoder(),
    }  # fmt: skip
    return {role: parts[role] for role in settings.needs}


@pytest.mark.parametrize("quality", list(Quality))
def test_bare_models_are_enough_for_every_quality_that_they_can_do(quality: Quality, colored: Path) -> None:
    settings = Settings(preset="demo", quality=quality.value)
    records = run_records(colored, settings, **parts_for(settings, BareSampler()))
    for color in COLORS:
        assert (f"{color} thing" if "captioner" in settings.needs else color) in records[color]["caption"]
        assert records[color]["scores"].get("itm", 0.9) == pytest.approx(0.9)


@pytest.mark.parametrize("quality", list(Quality))
def test_a_captioner_that_cannot_do_a_quality_is_refused_before_the_run_begins(quality: Quality, colored: Path) -> None:
    settings = Settings(preset="demo", quality=quality.value)
    missing = QUALITIES[quality].abilities
    if not missing:
        records = run_records(colored, settings, **parts_for(settings, BareCaptioner()))
        by_tagger = "captioner" not in settings.needs
        expected = {color: color if by_tagger else f"a {color} thing" for color in COLORS}
        assert {color: record["caption"] for color, record in records.items()} == expected
        return
    (ability,) = missing
    with pytest.raises(RequestError, match=f"BareCaptioner cannot do {ability}, which quality {quality.value} asks"):
        run_records(colored, settings, **parts_for(settings, BareCaptioner()))
    assert not list(colored.parent.glob("out-*/*.txt"))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rules": CaptionRules(forbidden=("cat",))}, "forbidden words"),
        ({"caption_prefix": "a photo of"}, "a caption prefix"),
    ],
)
def test_options_that_a_captioner_cannot_follow_are_refused_before_the_run_begins(
    values: dict[str, Any], says: str, colored: Path
) -> None:
    settings = Settings(preset="demo", **values)
    with pytest.raises(RequestError, match=f"BareCaptioner cannot do .*, which {says} asks for"):
        run_records(colored, settings, **parts_for(settings, BareCaptioner()))
    assert run_records(colored, settings, **parts_for(settings, BareSampler()))


@pytest.mark.parametrize("mode", list(Mode))
def test_bare_models_are_enough_for_every_mode_of_a_dataset_run(mode: Mode, colored: Path) -> None:
    settings = Settings(preset="demo", mode=mode.value)
    records = run_records(colored, settings, **parts_for(settings, BareCaptioner()))
    ci = Interrogator(BareCaptioner(), BareEncoder(), BANKS, tagger=BareTagger())
    for color in COLORS:
        expected = ci.interrogate(colored / f"{color}.png", mode.value)
        assert records[color]["caption"] == expected.prompt


@pytest.mark.parametrize(
    ("options", "ability"), [(CaptionOptions(num_beams=3), "beams"), (CaptionOptions(prefix="a photo of"), "prefix")]
)
def test_options_that_a_captioner_cannot_follow_are_refused_by_name(options: CaptionOptions, ability: str) -> None:
    image = Image.new("RGB", (9, 9), COLORS["red"])
    ci = Interrogator(BareCaptioner(), BareEncoder(), BANKS, caption_options=options)
    with pytest.raises(RequestError, match=f"a bare BareCaptioner cannot do {ability}; use another captioner"):
        ci.interrogate(image, "caption")
    assert ci.interrogate(image, "caption", caption="a thing").prompt == "a thing"
    able = Interrogator(BareSampler(), BareEncoder(), BANKS, caption_options=options)
    assert able.interrogate(image, "caption").prompt == "a red thing"


def test_sampling_asks_for_a_captioner_that_samples() -> None:
    image = Image.new("RGB", (9, 9), COLORS["green"])
    with pytest.raises(RequestError, match="a bare BareCaptioner cannot do sampling; use another captioner"):
        sample_captions(BareCaptioner(), [image], ["x"])
    (found,) = sample_captions(BareSampler(), [image], ["x"], SamplingOptions(count=3))
    assert len(found) == 3 and all(name_of(COLORS["green"]) in one.text for one in found)
