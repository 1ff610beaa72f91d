"""Where models are looked for and embeddings are kept: in ComfyUI's folders, with what the user says of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import interrogator

from .conftest import demo_banks, images, load_demo, put_demo_banks
from .stand_ins import ComfyUI, Pack, load_pack, run

pytestmark = pytest.mark.models

FOLDERS = ("interrogator", "blip", "LLM", "clip_interrogator")
KINDS = {
    "InterrogatorLoadCaptioner": "captioner",
    "InterrogatorLoadTagger": "tagger",
    "InterrogatorLoadEncoder": "encoder",
}
DEMO = {
    "captioner": interrogator.demo.CAPTIONER_DIR,
    "tagger": interrogator.demo.TAGGER_DIR,
    "encoder": interrogator.demo.ENCODER_DIR,
}


def offered(pack: Pack, loader: str) -> list[str]:
    (model,) = [piece for piece in pack.nodes[loader].GET_SCHEMA().inputs if piece.id == "model"]
    assert model.default in model.options
    names: list[str] = model.options
    return names


def found(pack: Pack, loader: str) -> list[str]:
    """What a loader offers beyond the catalog and the demo."""
    known = {row.name for row in pack.library.catalog.MODELS} | {"demo"}
    return [name for name in offered(pack, loader) if name not in known]


def put(kind: str, folder: Path) -> None:
    shutil.copytree(DEMO[kind], folder)


def test_folders_of_the_user_are_kept_and_come_first(new_comfyui: Callable[..., ComfyUI], tmp_path: Path) -> None:
    comfyui = new_comfyui()
    own = {name: str(tmp_path / "elsewhere" / name) for name in FOLDERS}
    for name, path in own.items():
        comfyui.folders.folder_names_and_paths[name] = ([path], {".safetensors"})
    load_pack(comfyui)
    for name, path in own.items():
        assert comfyui.folders.get_folder_paths(name) == [path, str(comfyui.models / name)]
        assert comfyui.folders.folder_names_and_paths[name][1] >= {".safetensors"}


def test_loading_twice_adds_no_folder_twice(new_comfyui: Callable[..., ComfyUI]) -> None:
    comfyui = new_comfyui()
    load_pack(comfyui).module("nodes.host").register_folders()
    for name in FOLDERS:
        assert comfyui.folders.get_folder_paths(name) == [str(comfyui.models / name)]


def test_a_folder_that_another_pack_asks_for_by_name_is_not_registered(
    new_comfyui: Callable[..., ComfyUI], tmp_path: Path
) -> None:
    """ComfyUI-WD14-Tagger downloads into a folder of that name once there is one; its models would seem gone."""
    comfyui = new_comfyui()
    pack = load_pack(comfyui)
    unregistered = {"wd14_tagger", "florence2", "LLavacheckpoints"}
    assert not unregistered & comfyui.folders.folder_names_and_paths.keys()
    found = pack.module("nodes.host").model_folders("tagger")
    assert {comfyui.models / name for name in unregistered} <= set(found)
    comfyui.folders.add_model_folder_path("wd14_tagger", str(tmp_path / "mine"))
    assert tmp_path / "mine" in pack.module("nodes.host").model_folders("tagger")


def test_no_folder_is_made_before_there_is_something_to_write(new_comfyui: Callable[..., ComfyUI]) -> None:
    comfyui = new_comfyui()
    pack = load_pack(comfyui)
    for node in pack.nodes.values():
        node.GET_SCHEMA()
    load = run(pack.nodes["InterrogatorLoadBanks"])
    assert load[0][0] and not comfyui.base.exists()


@pytest.mark.parametrize("loader", KINDS)
def test_without_models_the_catalog_and_the_demo_are_offered(new_comfyui: Callable[..., ComfyUI], loader: str) -> None:
    pack = load_pack(new_comfyui())
    names = offered(pack, loader)
    assert found(pack, loader) == [] and "demo" in names and len(names) == len(set(names)) > 2


@pytest.mark.parametrize("loader", KINDS)
@pytest.mark.parametrize(
    "place",
    [
        "interrogator/KINDs",
        "interrogator",
        "clip_interrogator",
        "blip",
        "LLM",
        "florence2",
        "LLavacheckpoints",
        "elsewhere",
    ],
)
def test_models_are_found_and_loaded_where_they_are(
    new_comfyui: Callable[..., ComfyUI], creatures: list[Image.Image], tmp_path: Path, loader: str, place: str
) -> None:
    kind, comfyui = KINDS[loader], new_comfyui()
    folder = comfyui.models / place.replace("KIND", kind) / "creatures"
    if place == "elsewhere":
        comfyui.folders.add_model_folder_path("interrogator", str(tmp_path / "elsewhere"))
        folder = tmp_path / "elsewhere" / f"{kind}s" / "creatures"
    put(kind, folder)
    pack = load_pack(comfyui)
    names = found(pack, loader)
    assert len(names) == 1, f"the model is offered as {names}"
    assert names[0].endswith("creatures") and len(names[0]) < 40 and "\\" not in names[0]
    model = run(pack.nodes[loader], model=names[0])[0][0]
    if kind == "captioner":
        assert run(pack.nodes["InterrogatorCaption"], image=images(creatures[:1]), captioner=model)[0][0]
    elif kind == "tagger":
        assert run(pack.nodes["InterrogatorTag"], image=images(creatures[:1]), tagger=model)[2][0]
    else:
        similar = run(pack.nodes["InterrogatorSimilarity"], image=images(creatures[:1]), encoder=model, text="a")
        assert -1 <= similar[0][0] <= 1
    assert not any(found(pack, other) for other in KINDS if other != loader), "a model of another kind is offered"


def test_of_two_models_of_one_name_the_users_folder_counts(new_comfyui: Callable[..., ComfyUI], tmp_path: Path) -> None:
    comfyui = new_comfyui()
    comfyui.folders.add_model_folder_path("interrogator", str(tmp_path / "elsewhere"))
    put("captioner", tmp_path / "elsewhere" / "captioners" / "creatures")
    put("captioner", comfyui.models / "interrogator" / "captioners" / "creatures")
    pack = load_pack(comfyui)
    captioner = run(pack.nodes["InterrogatorLoadCaptioner"], model=found(pack, "InterrogatorLoadCaptioner")[0])[0][0]
    assert str(tmp_path / "elsewhere") in str(captioner.origin.folder)


def test_a_model_put_there_by_hand_serves_its_known_name(new_comfyui: Callable[..., ComfyUI]) -> None:
    """The folder that the message about a missing model names, and those in which other packs keep it."""
    model = "Salesforce/blip-image-captioning-base"
    places = ("interrogator/captioners/" + model.replace("/", "--"), f"blip/{model}", "LLM/blip-image-captioning-base")
    for place in places:
        comfyui = new_comfyui(base=new_comfyui().base.with_name(place.replace("/", "_")))
        put("captioner", comfyui.models / place)
        pack = load_pack(comfyui)
        captioner = run(pack.nodes["InterrogatorLoadCaptioner"], model=model)[0][0]
        assert captioner.module is not None


def test_other_models_in_shared_folders_are_not_offered(new_comfyui: Callable[..., ComfyUI]) -> None:
    comfyui = new_comfyui()
    for name, config in (("Llama", '{"model_type": "llama"}'), ("odd", "[]"), ("broken", "{"), ("none", "")):
        (comfyui.models / "LLM" / name).mkdir(parents=True)
        (comfyui.models / "LLM" / name / "config.json").write_text(config, encoding="utf-8")
    (comfyui.models / "LLM" / "file.txt").write_text("", encoding="utf-8")
    pack = load_pack(comfyui)
    assert found(pack, "InterrogatorLoadCaptioner") == found(pack, "InterrogatorLoadEncoder") == []


def test_embeddings_are_kept_in_comfyuis_folder_and_serve_the_next_start(
    new_comfyui: Callable[..., ComfyUI], creatures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    texts: list[list[str]] = []
    for start in range(2):
        comfyui = new_comfyui()
        if start == 0:
            put_demo_banks(comfyui)
        pack = load_pack(comfyui)
        demo, encoder = load_demo(pack), pack.library.OpenClipEncoder
        encode = encoder.encode_texts

        def counted(self: Any, phrases: Any, *args: Any, encode: Any = encode, **options: Any) -> Any:
            texts.append(list(phrases))
            return encode(self, phrases, *args, **options)

        monkeypatch.setattr(encoder, "encode_texts", counted)
        texts.clear()
        ran = run(
            pack.nodes["InterrogatorRank"], image=images(creatures), encoder=demo.encoder, banks=demo.banks, top=20
        )
        answers.append([[entry["text"] for entry in json.loads(text)] for text in ran[1]])
        if start == 0:
            assert sum(map(len, texts)) > 50
    assert texts == [], "phrases were encoded again"
    assert answers[0] == answers[1]
    written = {path.relative_to(comfyui.models).parts[:2] for path in comfyui.models.rglob("*") if path.is_file()}
    assert written == {("interrogator", "banks"), ("interrogator", "embeddings")}
    assert sorted(path.name for path in comfyui.base.iterdir()) == ["models", "temp"]


def test_a_list_that_was_edited_is_read_again(new_comfyui: Callable[..., ComfyUI]) -> None:
    """ComfyUI asks for a fingerprint; where that is the same as last time, the node does not run."""
    comfyui = new_comfyui()
    pack = load_pack(comfyui)
    put_demo_banks(comfyui)
    banks = comfyui.models / "interrogator" / "banks"
    mine, inside = banks / "mine.txt", banks / "demo" / "mediums.txt"
    mine.write_text("a wolf\n", encoding="utf-8")
    node: Any = pack.nodes["InterrogatorLoadBanks"]
    for name, path in (("mine.txt", mine), ("demo", inside)):
        before = node.fingerprint_inputs(file=name, lines="")
        assert node.fingerprint_inputs(file=name, lines="") == before
        path.write_text("a wolf\na fox\n", encoding="utf-8")
        assert node.fingerprint_inputs(file=name, lines="") != before, f"{name}: an edit goes unnoticed"
    assert demo_banks(pack, file="mine.txt")[0][0].phrases
    for nothing in ("", None, "missing.txt", "../outside.txt", "a" * 300, "null\0"):
        assert node.fingerprint_inputs(file=nothing) == node.fingerprint_inputs(file=nothing)
