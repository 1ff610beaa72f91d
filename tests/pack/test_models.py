"""Models of every role in ComfyUI's care: one proxy that has what its model has, memory asked for before each call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from interrogator.captioners import CaptionOptions
from interrogator.errors import RequestError
from tests.library import added_family, bare_models, tiny_taggers
from tests.library.bare_models import (
    BareAnswerer,
    BareCaptioner,
    BareEncoder,
    BareMatcher,
    BareSampler,
    BareTagger,
)

from .conftest import Demo, images
from .stand_ins import ComfyUI, Listed, Pack, load_pack, run
from .stand_ins.host import ExecutionBlocker

pytestmark = pytest.mark.models

WORKING_BYTES = 12_345_678
RED = Image.new("RGB", (8, 8), (250, 100, 3))
BLUE = Image.new("RGB", (8, 8), (5, 90, 200))

PROTOCOLS = {
    BareCaptioner: {"Captioner"},
    BareSampler: {"Captioner", "Samples"},
    BareAnswerer: {"Captioner", "Answers"},
    BareTagger: {"Tagger"},
    BareMatcher: {"Matcher"},
    BareEncoder: {"Encoder"},
}
CALLS: dict[type[Any], dict[str, Callable[[Any, Any], Any]]] = {
    BareSampler: {
        "caption": lambda model, ready: model.caption(ready),
        "sample": lambda model, ready: model.sample(ready, ["a"]),
    },
    BareAnswerer: {
        "caption": lambda model, ready: model.caption(ready),
        "answer": lambda model, ready: model.answer(ready),
    },
    BareTagger: {"tag": lambda model, ready: model.tag(ready)},
    BareMatcher: {"match": lambda model, ready: model.match(ready, [["red", "blue"]])},
    BareEncoder: {
        "embed": lambda model, ready: model.embed(ready),
        "encode_texts": lambda model, ready: model.encode_texts(["a"]),
        "encode_continuations": lambda model, ready: model.encode_continuations("a", ["b"]),
        "identity": lambda model, ready: model.identity(),
    },
}
EACH_CALL = [pytest.param(kind, name, id=name) for kind, calls in CALLS.items() for name in calls]


class FolderTagger(BareTagger):
    """A tagger that loads from a folder: the whole code of a family."""

    family = "colors"

    @classmethod
    def from_files(cls, located: Any, device: torch.device, dtype: torch.dtype) -> FolderTagger:
        made = cls()
        made.origin, made.name = located, located.name
        return made


def with_weights(kind: type[Any]) -> Any:
    """A stand-in with weights of its own, which somebody has to move."""
    model = kind()
    model.module, model.working_bytes = torch.nn.Linear(2, 2), WORKING_BYTES
    return model


def protocols_of(pack: Pack, model: Any) -> set[str]:
    models = pack.module("interrogator.models")
    names = ("Captioner", "Samples", "Answers", "Tagger", "Matcher", "Encoder")
    return {name for name in names if isinstance(model, getattr(models, name))}


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, torch.Tensor):
        return torch.equal(found, expected)
    return bool(repr(found) == repr(expected))


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_hosted_model_is_of_its_own_role_and_no_other(pack: Pack, kind: type[Any]) -> None:
    model = pack.module("nodes.models").hosted(kind())
    assert protocols_of(pack, model) == PROTOCOLS[kind]


def test_the_demos_models_are_of_their_roles(pack: Pack, demo: Demo) -> None:
    assert protocols_of(pack, demo.captioner[0]) == {"Captioner", "Samples"}
    assert protocols_of(pack, demo.encoder[0]) == {"Encoder"}
    # Without this, every start of ComfyUI would read 100,000 phrases again.
    token_cache = pack.module("interrogator.embeddings").TokenCache
    assert isinstance(demo.encoder[0], token_cache)
    assert not isinstance(pack.module("nodes.models").hosted(BareEncoder()), token_cache)


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_what_a_model_says_of_itself_is_passed_on(pack: Pack, kind: type[Any]) -> None:
    bare = kind()
    model = pack.module("nodes.models").hosted(bare)
    for name in ("name", "family", "origin", "module", "device", "dtype", "working_bytes"):
        assert getattr(model, name) is getattr(bare, name), name
    assert model.prepare(RED) == bare.prepare(RED)
    if kind is BareEncoder:
        assert (model.context_length, model.count("a b"), model.fits("a b")) == (bare_models.CONTEXT, 4, True)
    if "Captioner" in PROTOCOLS[kind]:
        assert model.abilities is bare.abilities
    if "Answers" in PROTOCOLS[kind]:
        assert model.prompts is bare.prompts
        with pytest.raises(RequestError, match="asks for the moon"):
            model.check(CaptionOptions(ask="the moon"))


@pytest.mark.parametrize(("kind", "name"), EACH_CALL)
def test_memory_is_asked_for_before_each_call_as_much_as_the_model_says(
    pack: Pack, comfyui: ComfyUI, kind: type[Any], name: str
) -> None:
    bare = with_weights(kind)
    model, call = pack.module("nodes.models").hosted(bare), CALLS[kind][name]
    ready = [model.prepare(RED)]
    comfyui.management.loads.clear()
    for calls in (1, 2):  # others may have taken the room meanwhile
        assert same(call(model, ready), call(bare, ready))
        assert [(activations, whole) for _, activations, whole in comfyui.management.loads] == [
            (WORKING_BYTES, True)
        ] * calls
    (patcher,) = comfyui.management.loads[-1][0]
    assert any(part is bare.module for part in patcher.model.modules())


@pytest.mark.parametrize(("kind", "name"), EACH_CALL)
def test_a_model_without_weights_is_not_moved(pack: Pack, comfyui: ComfyUI, kind: type[Any], name: str) -> None:
    bare = kind()
    model, call = pack.module("nodes.models").hosted(bare), CALLS[kind][name]
    comfyui.management.loads.clear()
    assert same(call(model, [model.prepare(RED)]), call(bare, [bare.prepare(RED)]))
    assert comfyui.management.loads == []


def test_a_models_device_is_where_it_computes_wherever_it_waits(
    pack: Pack, comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comfyui.management, "get_torch_device", lambda: torch.device("meta"), raising=False)
    models = pack.module("nodes.models")
    assert models.hosted(with_weights(BareEncoder)).device == torch.device("meta")
    assert models.hosted(BareEncoder()).device == torch.device("cpu")  # nobody moves it


@pytest.mark.parametrize(("weights", "expected"), [("model.onnx", "meta"), ("model.safetensors", "cpu")])
def test_a_model_whose_runtime_keeps_its_weights_is_loaded_where_it_computes(
    tagger_family: Pack, monkeypatch: pytest.MonkeyPatch, weights: str, expected: str
) -> None:
    """ComfyUI moves weights of torch from where they wait; onnxruntime's stay where they were loaded."""
    put_tagger(tagger_family.comfyui)
    monkeypatch.setattr(
        tagger_family.comfyui.management, "get_torch_device", lambda: torch.device("meta"), raising=False
    )
    pool, loaded = tagger_family.module("interrogator.model_pool"), []
    located = tagger_family.module("interrogator.models").Located
    monkeypatch.setattr(
        pool, "locate",
        lambda role, name, **_: located(role, str(name), "colors", parts=SimpleNamespace(weights=Path(weights))),
    )  # fmt: skip

    def load(found: Any, device: Any, dtype: Any) -> Any:
        loaded.append(str(device))
        return BareTagger()

    monkeypatch.setattr(pool, "load", load)
    run(tagger_family.nodes["InterrogatorLoadTagger"], model="taggers/colors")
    assert loaded == [expected]


def test_the_pool_leaves_moving_to_comfyui(new_comfyui: Callable[..., ComfyUI]) -> None:
    """A pool that puts a model back where it was loaded would fight with ComfyUI for it."""
    pack = load_pack(new_comfyui())
    model = run(pack.nodes["InterrogatorLoadEncoder"], model="demo")[0][0]
    model.module.to("meta")
    assert pack.module("nodes.models").POOL.use(model) is model
    assert next(model.module.parameters()).is_meta


def test_files_are_found_once(new_comfyui: Callable[..., ComfyUI], monkeypatch: pytest.MonkeyPatch) -> None:
    pack = load_pack(new_comfyui())
    pool = pack.module("interrogator.model_pool")
    found: list[str] = []
    locate = pool.locate

    def counted(role: str, name: str, **options: Any) -> Any:
        found.append(role)
        return locate(role, name, **options)

    monkeypatch.setattr(pool, "locate", counted)
    for _ in range(2):
        run(pack.nodes["InterrogatorLoadEncoder"], model="demo")
        run(pack.nodes["InterrogatorLoadCaptioner"], model="demo")
    assert sorted(found) == ["captioner", "encoder"]


@pytest.fixture
def calls(pack: Pack, demo: Demo, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """How many items each call of the demo's models got."""
    found: dict[str, list[int]] = {}

    def count(model: Any, name: str) -> None:
        work = getattr(model, name)

        def counted(items: Any, *args: Any, **options: Any) -> Any:
            found.setdefault(name, []).append(len(items))
            return work(items, *args, **options)

        monkeypatch.setattr(model, name, counted)

    encoder = run(pack.nodes["InterrogatorLoadEncoder"], model="demo")[0][0]
    captioner = run(pack.nodes["InterrogatorLoadCaptioner"], model="demo")[0][0]
    count(encoder.model, "embed")
    count(encoder.model, "encode_texts")
    count(captioner.model, "caption")
    return found


def test_a_picture_is_read_once_for_prompt_and_negative_prompt(
    pack: Pack, creatures: list[Image.Image], calls: dict[str, list[int]]
) -> None:
    given = {"image": images(creatures), "preset": "demo", "mode": "fast", "negative": True}
    assert len(run(pack.nodes["InterrogatorImage"], **given)[2]) == 3
    assert calls["embed"] == [3] and calls["caption"] == [3]


def test_a_mode_without_an_encoder_loads_none(
    pack: Pack, creatures: list[Image.Image], calls: dict[str, list[int]]
) -> None:
    given = {"image": images(creatures), "preset": "demo", "mode": "caption"}
    assert all(run(pack.nodes["InterrogatorImage"], **given)[0])
    assert calls == {"caption": [3]}


def test_ranking_and_comparing_read_a_batch_at_once(
    pack: Pack, creatures: list[Image.Image], calls: dict[str, list[int]]
) -> None:
    encoder = Listed([run(pack.nodes["InterrogatorLoadEncoder"], model="demo")[0][0]])
    run(pack.nodes["InterrogatorRank"], image=images(creatures), encoder=encoder, lines="a\nb")
    assert calls["embed"] == [3]
    calls.clear()
    texts = Listed(["a whale", "a frog", "a whale"])
    run(pack.nodes["InterrogatorSimilarity"], image=images(creatures), encoder=encoder, text=texts)
    assert calls == {"embed": [3], "encode_texts": [2]}, "texts that are the same are encoded once"


@pytest.fixture
def tagger_family(new_comfyui: Callable[..., ComfyUI], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pack]:
    """A pack whose library knows a family of taggers: one row and one class."""
    pack = load_pack(new_comfyui())
    catalog = pack.library.catalog
    row = catalog.Family(
        "colors", {"tagger": f"{FolderTagger.__module__}:FolderTagger"},
        pack.module("interrogator.hub").FileSet(required=("tags.json",)), catalog.Marker("tags.json"),
    )  # fmt: skip
    monkeypatch.setattr(catalog, "FAMILIES", (*catalog.FAMILIES, row))
    yield pack


def put_tagger(comfyui: ComfyUI) -> Path:
    folder = comfyui.models / "interrogator" / "taggers" / "colors"
    folder.mkdir(parents=True)
    (folder / "tags.json").write_text(json.dumps({"tags": ["red", "green", "blue"]}), encoding="utf-8")
    return folder


def test_a_tagger_of_the_users_is_offered_and_loaded(tagger_family: Pack) -> None:
    folder = put_tagger(tagger_family.comfyui)
    loader = tagger_family.nodes["InterrogatorLoadTagger"]
    (model,) = [piece for piece in loader.GET_SCHEMA().inputs if piece.id == "model"]
    assert model.options[-1] == "taggers/colors" and model.default in model.options
    tagger = run(loader, model="taggers/colors")[0][0]
    assert tagger.origin.folder == folder and protocols_of(tagger_family, tagger) == {"Tagger"}
    assert run(loader, model="taggers/colors")[0][0] is tagger


@pytest.mark.parametrize("folder", ["wd14_tagger", "comfyui-wd14-tagger", "taggers"])
def test_a_tagger_of_two_files_among_others_is_offered_and_tags(
    new_comfyui: Callable[..., ComfyUI], tmp_path: Path, folder: str
) -> None:
    """So ComfyUI-WD14-Tagger keeps them, in its own folder unless the user named another."""
    comfyui = new_comfyui()
    place = {
        "wd14_tagger": comfyui.models / "wd14_tagger",
        "comfyui-wd14-tagger": tmp_path / "custom_nodes" / "ComfyUI-WD14-Tagger" / "models",
        "taggers": comfyui.models / "interrogator" / "taggers",
    }[folder]
    comfyui.folders.add_model_folder_path("custom_nodes", str(tmp_path / "custom_nodes"))
    weights = tiny_taggers.vit()
    tiny_taggers.write_table(place / "wd-v1-4-moat-tagger-v2.csv")
    tiny_taggers.write_wd_model(place / "wd-v1-4-moat-tagger-v2.onnx", weights)
    (place / "lonely.onnx").write_bytes(b"x")
    (place / "other.csv").write_bytes(b"x")
    pack = load_pack(comfyui)
    models = pack.module("nodes.models")
    known = {row.name for row in pack.library.catalog.MODELS}
    assert set(models.names("tagger")) - known == {f"{place.name}/wd-v1-4-moat-tagger-v2.onnx"}
    assert not any("moat" in name for name in models.names("captioner"))
    loader = pack.nodes["InterrogatorLoadTagger"]
    tagger = run(loader, model=f"{place.name}/wd-v1-4-moat-tagger-v2.onnx")[0][0]
    assert protocols_of(pack, tagger) == {"Tagger"} and tagger.module is None
    comfyui.management.loads.clear()
    (found,) = run(pack.nodes["InterrogatorTag"], image=images([RED]), tagger=tagger, threshold=0.0001)[2]
    assert {entry["text"] for entry in json.loads(found)} >= {"hatsune miku"}
    assert comfyui.management.loads == []  # onnxruntime keeps the weights


def test_a_family_added_as_one_module_and_one_row_works_in_the_nodes(
    new_comfyui: Callable[..., ComfyUI], monkeypatch: pytest.MonkeyPatch
) -> None:
    comfyui = new_comfyui()
    for role in ("captioner", "tagger", "encoder"):
        added_family.write(comfyui.models / "interrogator" / f"{role}s" / "colors")
    pack = load_pack(comfyui)
    catalog = pack.library.catalog
    row = catalog.Family(
        added_family.FAMILY.name, added_family.FAMILY.loads,
        pack.module("interrogator.hub").FileSet(required=added_family.FAMILY.files.required),
        catalog.Marker(added_family.FAMILY.marker.file),
    )  # fmt: skip
    monkeypatch.setattr(catalog, "FAMILIES", (*catalog.FAMILIES, row))
    loaders = {"captioner": "LoadCaptioner", "tagger": "LoadTagger", "encoder": "LoadEncoder"}
    loaded = {}
    for role, name in loaders.items():
        loader = pack.nodes[f"Interrogator{name}"]
        (model,) = [piece for piece in loader.GET_SCHEMA().inputs if piece.id == "model"]
        assert f"{role}s/colors" in model.options
        loaded[role] = run(loader, model=f"{role}s/colors")[0][0]
    banks = [pack.library.PhraseBank.from_phrases("own", ["teal sea", "gold light"])]
    teal = images([Image.new("RGB", (8, 8), added_family.COLORS["teal"])])
    prompt, caption, _, _, tags = (
        output[0] for output in run(pack.nodes["InterrogatorAdvanced"], image=teal, banks=banks, mode="fast", **loaded)
    )
    assert caption == "a teal picture" and prompt.startswith("a teal picture, teal sea")
    assert tags == "teal"


def test_tags_are_a_mode_and_an_output_of_their_own(pack: Pack, demo: Demo) -> None:
    tagger = pack.module("nodes.models").hosted(BareTagger())
    node = pack.nodes["InterrogatorAdvanced"]
    parts = {"image": images([RED, BLUE]), "encoder": demo.encoder, "banks": demo.banks, "tagger": tagger}
    ran = run(node, mode="tags", **parts)
    assert ran[0] == ran[4] == ["red, green", "blue, green"]  # the most probable first, what is below 0.35 is not held
    assert ran[1] == ["", ""] and [entry["text"] for entry in ran.ui["interrogator"]] == ran[0]
    assert all(type(similarity) is float for similarity in ran[3])
    for mode in ("caption", "fast"):
        beside = run(node, mode=mode, captioner=demo.captioner, **parts)
        assert beside[4] == ["red, green", "blue, green"] and beside[0] != beside[4]


def test_brackets_in_tags_are_escaped_unless_that_is_switched_off(pack: Pack, demo: Demo) -> None:
    bare = BareTagger()
    tag = pack.module("interrogator.models").Tag
    bare.tag = lambda prepared, progress=None: [[tag("crab (food)", 0.9)] for _ in prepared]  # type: ignore[method-assign]
    node, parts = pack.nodes["InterrogatorAdvanced"], {"image": images([RED]), "encoder": demo.encoder}
    parts |= {"banks": demo.banks, "tagger": pack.module("nodes.models").hosted(bare), "mode": "tags"}
    assert run(node, **parts)[4] == [r"crab \(food\)"]
    assert run(node, **parts, escape=False)[4] == ["crab (food)"]


def test_without_a_tagger_there_are_no_tags(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    node = pack.nodes["InterrogatorAdvanced"]
    parts = {"image": images(creatures[:1]), "encoder": demo.encoder, "banks": demo.banks}
    ran = run(node, mode="caption", captioner=demo.captioner, **parts)
    assert [type(value) for value in ran[4]] == [ExecutionBlocker]
    with pytest.raises(ValueError, match="connect Load Tagger"):
        run(node, mode="tags", **parts)


def test_connected_models_take_the_place_of_the_presets(
    pack: Pack, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is connected is not looked for, so it serves a preset whose own models are not on this machine."""
    hosted = pack.module("nodes.models").hosted
    parts = {"captioner": hosted(BareCaptioner()), "encoder": hosted(BareEncoder()), "tagger": hosted(BareTagger())}
    node = pack.nodes["InterrogatorImage"]
    given: dict[str, Any] = {"image": images([RED, BLUE]), "preset": "sdxl", "banks": demo.banks}
    ran = run(node, mode="fast", negative=True, **given, **parts)
    assert ran[1] == ["a red thing", "a blue thing"]
    assert all(text.startswith(f"{caption}, ") for text, caption in zip(ran[0], ran[1], strict=True))
    assert len(ran[2]) == 2 and ran[3] == ["red, green", "blue, green"]
    for missing, where in (("captioner", "captioners"), ("encoder", "encoders")):
        rest = {role: model for role, model in parts.items() if role != missing}
        with pytest.raises(pack.module("interrogator.errors").ModelNotFoundError, match=where):
            run(node, mode="fast", **given, **rest)
    assert run(node, mode="caption", captioner=parts["captioner"], **given)[0] == ["a red thing", "a blue thing"]


def test_interrogate_image_tags_with_a_connected_tagger(pack: Pack, demo: Demo) -> None:
    tagger, node = pack.module("nodes.models").hosted(BareTagger()), pack.nodes["InterrogatorImage"]
    given: dict[str, Any] = {"image": images([RED, BLUE]), "preset": "demo"}
    ran = run(node, mode="tags", tagger=tagger, **given)
    assert ran[0] == ran[3] == ["red, green", "blue, green"] and ran[1] == ["", ""]
    beside = run(node, mode="caption", tagger=tagger, **given)
    assert beside[3] == ran[3] and beside[0] != ran[0]
    without = run(node, mode="caption", **given)
    assert [type(value) for value in without[3]] == [ExecutionBlocker]


def test_a_preset_without_a_tagger_says_what_to_connect(pack: Pack) -> None:
    with pytest.raises(ValueError, match="Preset sdxl has no tagger: connect one"):
        run(pack.nodes["InterrogatorImage"], image=images([RED]), preset="sdxl", mode="tags")


@pytest.mark.parametrize("kind", [BareCaptioner, BareSampler])
def test_a_bare_captioner_and_encoder_work_in_every_node(pack: Pack, demo: Demo, kind: type[Any]) -> None:
    hosted = pack.module("nodes.models").hosted
    captioner, encoder, image = hosted(kind()), hosted(BareEncoder()), images([RED, BLUE])
    captions = run(pack.nodes["InterrogatorCaption"], image=image, captioner=captioner)[0]
    assert captions == ["a red thing", "a blue thing"]
    for mode in ("best", "fast", "classic", "caption", "negative"):
        ran = run(
            pack.nodes["InterrogatorAdvanced"], image=image, mode=mode, captioner=captioner, encoder=encoder,
            banks=demo.banks,
        )  # fmt: skip
        assert len(ran[0]) == 2 and all(ran[0])
    assert len(run(pack.nodes["InterrogatorRank"], image=image, encoder=encoder, banks=demo.banks)[0]) == 2
    assert len(run(pack.nodes["InterrogatorSimilarity"], image=image, encoder=encoder, text="a")[0]) == 2
    assert len(run(pack.nodes["InterrogatorNegative"], image=image, encoder=encoder, banks=demo.banks)[0]) == 2
