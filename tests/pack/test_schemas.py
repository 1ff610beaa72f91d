"""What saved graphs depend on does not change unnoticed, and every widget explains itself."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import snapshot
from .stand_ins import ComfyUI, Pack, load_pack
from .stand_ins.api import Piece, Schema
from .stand_ins.loading import ROOT
from .stand_ins.running import DYNAMIC

CATALOG = ("InterrogatorLoadCaptioner", "InterrogatorLoadEncoder")


@pytest.fixture(scope="module")
def schemas(pack: Pack) -> dict[str, Schema]:
    return {name: node.GET_SCHEMA() for name, node in pack.nodes.items()}


def every_input(schema: Schema) -> Iterator[tuple[str, Piece]]:
    """Inputs and those inside of modes, by their full id."""
    for piece in schema.inputs:
        yield piece.id, piece
        if piece.io_type == DYNAMIC:
            for option in piece.options:
                for inner in option.inputs:
                    yield f"{piece.id}={option.key}.{inner.id}", inner


@pytest.fixture
def described(new_comfyui: Callable[..., ComfyUI]) -> Any:
    return snapshot.describe(load_pack(new_comfyui()))


def test_saved_graphs_run_as_they_did(described: Any) -> None:
    assert snapshot.broken_promises(snapshot.read(), described) == [], (
        "graphs that people saved break; keep ids and order, and add inputs at the end, optional"
    )


def test_the_snapshot_is_up_to_date(described: Any) -> None:
    assert snapshot.read() == described, f"the schemas changed: {snapshot.HOW_TO_UPDATE}"


def changed(change: Callable[[Any], Any]) -> list[str]:
    """What the rules say of a change to the snapshot."""
    before = snapshot.read()
    now = copy.deepcopy(before)
    change(now)
    return snapshot.broken_promises(before, now)


NEW = {"id": "new", "type": "INT", "is_widget": True, "default": 1, "optional": True}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda now: now.pop("InterrogatorRank"), "InterrogatorRank is gone"),
        (lambda now: now["InterrogatorRank"]["inputs"].pop(1), "keep the others in order"),
        (lambda now: now["InterrogatorRank"]["inputs"].reverse(), "keep the others in order"),
        (lambda now: now["InterrogatorRank"]["inputs"].insert(1, NEW), "at the end"),
        (lambda now: now["InterrogatorRank"]["inputs"].append({**NEW, "optional": False}), "not optional"),
        (lambda now: now["InterrogatorRank"]["inputs"][3].update(type="FLOAT"), "was INT and is FLOAT"),
        (lambda now: now["InterrogatorRank"]["inputs"][3].update(max=10), "max fell to 10"),
        (lambda now: now["InterrogatorRank"]["inputs"][4].pop("optional"), "no longer optional"),
        (lambda now: now["InterrogatorRank"]["outputs"].reverse(), "the outputs of InterrogatorRank changed"),
        (lambda now: now["InterrogatorRank"]["outputs"][0].update(is_list=False), "the outputs"),
        (lambda now: now["InterrogatorImage"]["inputs"][1]["options"].remove("sd15"), "no option sd15"),
        (lambda now: now["InterrogatorImage"]["inputs"][2]["options"].pop("fast"), "no option fast"),
        (lambda now: now["InterrogatorImage"]["inputs"][2]["options"]["fast"].pop(), "keep the others in order"),
        (lambda now: now["InterrogatorImage"]["inputs"][2]["options"]["fast"].append(NEW), "moves the widgets behind"),
    ],
)
def test_changes_that_break_saved_graphs_are_found(change: Callable[[Any], Any], complaint: str) -> None:
    (found,) = changed(change)
    assert complaint in found


@pytest.mark.parametrize(
    "change",
    [
        lambda now: now.update(InterrogatorNew={"inputs": [NEW], "outputs": [], "takes_lists": True}),
        lambda now: now["InterrogatorRank"]["inputs"].append(NEW),
        lambda now: now["InterrogatorRank"]["inputs"][3].update(default=7, max=2000),
        lambda now: now["InterrogatorRank"]["outputs"].append({"id": "new", "type": "INT", "is_list": True}),
        lambda now: now["InterrogatorImage"]["inputs"][1]["options"].insert(0, "sd4"),
    ],
)
def test_changes_that_saved_graphs_do_not_notice_are_allowed(change: Callable[[Any], Any]) -> None:
    assert changed(change) == []


def test_node_ids_carry_our_prefix_and_are_written_out(pack: Pack, schemas: dict[str, Schema]) -> None:
    """ComfyUI-Manager reads ids from the source text."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "nodes").glob("*.py"))
    for name, schema in schemas.items():
        assert name.startswith("Interrogator") and pack.nodes[name].__name__ == name == schema.node_id
        assert len(re.findall(rf'\bnode_id="{name}"', sources)) == 1
        assert f"class {name}(io.ComfyNode):" in sources


def test_own_types_of_sockets_carry_our_prefix(schemas: dict[str, Schema]) -> None:
    core = {"IMAGE", "STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", DYNAMIC}
    for schema in schemas.values():
        types = {piece.io_type for piece in (*schema.inputs, *schema.outputs)} - core
        assert all(name.startswith("INTERROGATOR_") for name in types)


def test_every_float_has_a_step(schemas: dict[str, Schema]) -> None:
    """Without one the front end rounds to tenths."""
    floats = [(name, piece) for schema in schemas.values() for name, piece in every_input(schema)
              if piece.io_type == "FLOAT"]  # fmt: skip
    assert floats and [name for name, piece in floats if not piece.step] == []


def test_numbers_have_bounds_and_a_default_within(schemas: dict[str, Schema]) -> None:
    for schema in schemas.values():
        for name, piece in every_input(schema):
            if piece.io_type in ("INT", "FLOAT"):
                assert piece.min <= piece.default <= piece.max, f"{schema.node_id}.{name}"


def test_every_widget_has_a_default(schemas: dict[str, Schema]) -> None:
    for schema in schemas.values():
        for name, piece in every_input(schema):
            if snapshot.is_widget(piece) and piece.io_type != DYNAMIC:
                assert piece.default is not None, f"{schema.node_id}.{name} has no default"
                if piece.io_type == "COMBO":
                    assert piece.default in piece.options


def test_every_input_and_output_has_a_tooltip(schemas: dict[str, Schema]) -> None:
    lacking = [
        f"{schema.node_id}.{name}"
        for schema in schemas.values()
        for name, piece in (*every_input(schema), *((piece.id, piece) for piece in schema.outputs))
        if not (piece.tooltip or "").strip()
    ]
    assert lacking == []


def test_every_node_has_a_name_a_description_and_a_place(schemas: dict[str, Schema]) -> None:
    for schema in schemas.values():
        assert schema.display_name and schema.description.endswith(".")
        assert schema.category.split("/")[0] == "interrogator"
    assert len({schema.display_name for schema in schemas.values()}) == len(schemas)


def test_outputs_are_called_what_they_hold(schemas: dict[str, Schema]) -> None:
    for schema in schemas.values():
        ids = [piece.id for piece in schema.outputs]
        assert all(ids) and len(set(ids)) == len(ids) and all(piece.display_name for piece in schema.outputs)
        # One id for an input and an output leads to mix-ups in translations and in the front end.
        assert not set(ids) & {piece.id for piece in schema.inputs}


def test_what_must_be_given_comes_before_what_may_be(schemas: dict[str, Schema]) -> None:
    """The front end puts optional inputs behind the others, so widgets would stand in another order than here."""
    for schema in schemas.values():
        optional = [bool(piece.optional) for piece in schema.inputs]
        assert optional == sorted(optional), schema.node_id


def test_an_output_is_a_list_where_a_node_takes_lists(schemas: dict[str, Schema]) -> None:
    for schema in schemas.values():
        assert {piece.is_output_list for piece in schema.outputs} == {schema.is_input_list}, schema.node_id


def test_modes_are_the_librarys(schemas: dict[str, Schema], pack: Pack) -> None:
    """Those with tags only where a tagger can be connected."""
    table = pack.module("interrogator.modes").MODES
    for name in ("InterrogatorImage", "InterrogatorAdvanced"):
        (mode,) = [piece for piece in schemas[name].inputs if piece.id == "mode"]
        takes_taggers = "tagger" in {piece.id for piece in schemas[name].inputs}
        expected = [row for row in table if takes_taggers or "tagger" not in table[row].needs]
        assert [option.key for option in mode.options] == [row.value for row in expected]
        assert mode.options[0].key == "precise"
        for row in expected:
            assert table[row].help in mode.tooltip
    assert "tags" in {option.key for option in mode.options}


def test_options_of_a_mode_are_the_tables(schemas: dict[str, Schema], pack: Pack) -> None:
    table = pack.module("interrogator.modes").MODES
    (mode,) = [piece for piece in schemas["InterrogatorAdvanced"].inputs if piece.id == "mode"]
    for option in mode.options:
        traits = table[pack.module("interrogator.modes").Mode(option.key)]
        inner = {piece.id: piece for piece in option.inputs}
        assert inner.keys() == traits.options
        if "max_phrases" in inner:
            assert inner["max_phrases"].default == traits.phrases


def test_presets_and_models_are_the_catalogs(schemas: dict[str, Schema], pack: Pack) -> None:
    (preset,) = [piece for piece in schemas["InterrogatorImage"].inputs if piece.id == "preset"]
    assert preset.options == [row.name for row in pack.library.catalog.PRESETS] and preset.default == "sd15"
    for role in ("Captioner", "Encoder"):
        (model,) = [piece for piece in schemas[f"InterrogatorLoad{role}"].inputs if piece.id == "model"]
        known = [row.name for row in pack.library.catalog.MODELS if row.role == role.lower()]
        assert model.options[: len(known)] == known


def test_choices_of_a_dataset_are_the_librarys(schemas: dict[str, Schema], pack: Pack) -> None:
    inputs = {piece.id: piece for piece in schemas["InterrogatorDataset"].inputs}
    choices = pack.module("interrogator.dataset_choices")
    assert inputs["existing"].options == list(choices.POLICIES)
    assert inputs["target"].options == [kind for kind in choices.TARGET_KINDS if kind not in ("parquet", "webdataset")]
    assert inputs["quality"].options == [row.value for row in pack.module("interrogator.qualities").QUALITIES]
    assert set(inputs["mode"].options) == {"caption", "fast", "classic", "best", "precise"}
    artists = {piece.id: piece for piece in schemas["InterrogatorImage"].inputs}["artists"]
    assert artists.options == list(pack.module("interrogator.banks").ARTISTS)


def test_schemas_are_made_without_looking_far(pack: Pack) -> None:
    """ComfyUI asks for them with every page load."""
    json.dumps(snapshot.describe(pack))
    for node in pack.nodes.values():
        assert node.GET_SCHEMA() is not node.GET_SCHEMA()


def test_flavor_banks_are_named_in_the_tooltip(schemas: dict[str, Schema]) -> None:
    (flavors,) = [piece for piece in schemas["InterrogatorLoadBanks"].inputs if piece.id == "flavors"]
    named = set(re.findall(r"[a-z]+(?:_[a-z]+)*", flavors.tooltip))
    banks = {path.stem for path in (ROOT / "interrogator" / "banks" / "lists" / "flavors").glob("*.txt")}
    assert banks <= named, f"the tooltip lacks {sorted(banks - named)}"
