"""The files beside the nodes: help pages, translations, example graphs, what the registry reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomllib

from .stand_ins import Pack
from .stand_ins.api import Schema
from .stand_ins.loading import ROOT
from .stand_ins.running import DYNAMIC, Refused, checked, is_widget

LANGUAGES = ("en", "zh", "ja", "ko")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# vue-i18n reads these as placeholders, links and plurals; a brace is written {'{'}.
SYNTAX = re.compile(r"[{}@|]")
PROSE = (".tooltip", ".description")
LITERAL = re.compile(r"\{'[^']*'\}")


def is_dynamic(piece: Any) -> bool:
    """Whether an input is a combo whose options bring inputs of their own."""
    return bool(piece.io_type == DYNAMIC)


@pytest.fixture(scope="module")
def schemas(pack: Pack) -> dict[str, Schema]:
    return {name: node.GET_SCHEMA() for name, node in pack.nodes.items()}


def translated_ids(schema: Schema) -> dict[str, Any]:
    """The inputs of a node by the key that the front end looks a translation up by.

    That is the input's id with dots as underscores: `beams` of a mode is the input `mode.beams`, so `mode_beams`.
    """
    found: dict[str, Any] = {}
    for piece in schema.inputs:
        found[piece.id] = piece
        if is_dynamic(piece):
            found |= {f"{piece.id}_{inner.id}": inner for option in piece.options for inner in option.inputs}
    return found


def texts_of(entry: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in nested dicts, with the way to it."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            yield from texts_of(value, f"{path}.{key}")
    else:
        yield path, entry


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def translations(language: str) -> dict[str, Any]:
    path = ROOT / "locales" / language / "nodeDefs.json"
    assert path.is_file(), f"there is no locales/{language}/nodeDefs.json"
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return held


def test_every_node_has_a_help_page(pack: Pack) -> None:
    pages = ROOT / "web" / "docs"
    lacking = [f"web/docs/{name}.md" for name in pack.nodes if not (pages / f"{name}.md").is_file()]
    assert lacking == [], f"help pages are missing: {', '.join(lacking)}"


def test_help_pages_explain_every_input_and_output(schemas: dict[str, Schema]) -> None:
    for path in (ROOT / "web" / "docs").glob("*.md"):
        assert path.stem in schemas, f"web/docs/{path.name} is the page of no node"
        text, schema = path.read_text(encoding="utf-8"), schemas[path.stem]
        names = [piece.id for piece in schema.inputs] + [piece.display_name for piece in schema.outputs]
        for piece in schema.inputs:
            names += [inner.id for option in piece.options for inner in option.inputs] if is_dynamic(piece) else []
        rows = {row.replace("`", "").replace(" ", "_") for row in re.findall(r"^\| *([^|]+?) *\|", text, re.MULTILINE)}
        assert sorted(set(names) - rows) == [], f"web/docs/{path.name} has no row in a table for these"


def test_pictures_on_help_pages_are_there() -> None:
    for path in (ROOT / "web" / "docs").glob("*.md"):
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / name).is_file(), f"web/docs/{path.name} shows {name}, which is not there"


def test_every_node_is_translated(translations: dict[str, Any], language: str, schemas: dict[str, Schema]) -> None:
    file = f"locales/{language}/nodeDefs.json"
    for name, schema in schemas.items():
        assert name in translations, f"{file} lacks {name}"
        entry = translations[name]
        for part in ("display_name", "description"):
            assert entry.get(part), f"{file} lacks {name}.{part}"
        places = {str(place) for place in range(len(schema.outputs))}
        for part, expected in (("inputs", translated_ids(schema).keys()), ("outputs", places)):
            held = entry.get(part, {})
            assert sorted(expected - held.keys()) == [], f"{file}: {name}.{part} are not complete"
            for key, texts in held.items():
                assert key in expected, f"{file}: {name} has nothing called {part}.{key}"
                assert texts.get("name") and texts.get("tooltip"), f"{file}: {name}.{part}.{key} lacks name or tooltip"


def test_translations_name_only_what_is_there(
    translations: dict[str, Any], language: str, schemas: dict[str, Schema]
) -> None:
    assert sorted(translations.keys() - schemas.keys()) == []
    for name, entry in translations.items():
        assert entry.keys() <= {"display_name", "description", "inputs", "outputs"}, name
        inputs = translated_ids(schemas[name])
        for key, texts in entry.get("inputs", {}).items():
            assert texts.keys() <= {"name", "tooltip", "options"}, f"{language}: {name}.{key}"
            piece = inputs[key]
            options = {getattr(option, "key", option) for option in getattr(piece, "options", None) or ()}
            assert texts.get("options", {}).keys() <= options, f"{language}: {name}.{key} has no such options"


def test_translations_hold_no_syntax_by_accident(translations: dict[str, Any], language: str) -> None:
    broken = [path for path, text in texts_of(translations, language) if SYNTAX.search(LITERAL.sub("", text))]
    assert broken == [], "braces, @ and | mean something to the front end: write {'{'}, {'@'}, {'|'}"


def test_other_languages_are_not_english(translations: dict[str, Any], language: str) -> None:
    if language == "en":
        return
    english = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    same = [
        path
        for (path, text), (_, original) in zip(texts_of(translations, ""), texts_of(english, ""), strict=True)
        # Examples in English and names stand between backticks.
        if text == original and re.search("[a-z]{3}", re.sub("`[^`]*`", "", text)) and path.endswith(PROSE)
    ]
    assert same == [], f"locales/{language}/nodeDefs.json is not translated here"


def test_english_says_what_the_nodes_say(schemas: dict[str, Schema]) -> None:
    path = ROOT / "locales" / "en" / "nodeDefs.json"
    assert path.is_file(), "there is no locales/en/nodeDefs.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    plain = {key: re.sub(r"\{'([^']*)'\}", r"\1", text) for key, text in texts_of(held, "")}
    for name, schema in schemas.items():
        assert plain[f".{name}.display_name"] == schema.display_name
        assert plain[f".{name}.description"] == schema.description
        tooltips: dict[str, set[str]] = {}
        for piece in schema.inputs:
            tooltips.setdefault(piece.id, set()).add(piece.tooltip)
            for option in piece.options if is_dynamic(piece) else ():
                for inner in option.inputs:
                    tooltips.setdefault(f"{piece.id}_{inner.id}", set()).add(inner.tooltip)
        for key, known in tooltips.items():
            if len(known) == 1:  # what differs between modes has one text for all of them in translations
                assert {plain[f".{name}.inputs.{key}.tooltip"]} == known, f"{name}.{key}"
        for place, piece in enumerate(schema.outputs):
            assert plain[f".{name}.outputs.{place}.tooltip"] == piece.tooltip, f"{name} output {place}"


def graphs() -> dict[str, Any]:
    """The example graphs by file name."""
    folder = ROOT / "example_workflows"
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    assert found, "there is no example_workflows/*.json"
    return found


def nodes_of(graph: Any) -> Iterator[Any]:
    """The nodes of a graph as the front end saves it, those in subgraphs too."""
    yield from graph["nodes"]
    for inner in graph.get("definitions", {}).get("subgraphs", ()):
        yield from inner["nodes"]


def test_every_node_stands_in_an_example(pack: Pack) -> None:
    used = {node["type"] for graph in graphs().values() for node in nodes_of(graph)}
    assert sorted(pack.nodes.keys() - used) == [], "no graph in example_workflows shows these nodes"
    ours = {name for name in used if name.startswith("Interrogator")}
    assert sorted(ours - pack.nodes.keys()) == [], "graphs in example_workflows use nodes that are not there"


def test_examples_were_saved_with_these_inputs(schemas: dict[str, Schema]) -> None:
    for file, graph in graphs().items():
        for node in nodes_of(graph):
            if node["type"] not in schemas:
                continue
            schema = schemas[node["type"]]
            where = f"{file}: {schema.node_id}"
            inputs = dict(_shown(schema, node.get("widgets_values") or []))
            slots = [slot["name"] for slot in node.get("inputs", ())]
            assert sorted(set(slots) - inputs.keys()) == [], f"{where} has inputs that are not there"
            outputs = [slot["name"] for slot in node.get("outputs", ())]
            assert outputs == [piece.display_name for piece in schema.outputs], f"{where} has other outputs"
            for name, (piece, value) in inputs.items():
                try:
                    if is_widget(piece) and not is_dynamic(piece):
                        checked(name, piece, value)
                except (Refused, TypeError) as error:
                    raise AssertionError(f"{where}.{name} cannot be {value!r}") from error


def _shown(schema: Schema, values: list[Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The inputs of a node in a saved graph by full id, widgets with the value that stands at their place."""
    left = list(values)
    pieces = [(piece.id, piece) for piece in schema.inputs]
    while pieces:
        name, piece = pieces.pop(0)
        value = None
        if is_widget(piece):
            assert left, f"{schema.node_id}.{name} has no value: the graph was saved with other inputs"
            value = left.pop(0)
        if is_dynamic(piece):
            (option,) = [option for option in piece.options if option.key == value]
            pieces = [(f"{name}.{inner.id}", inner) for inner in option.inputs] + pieces
        yield name, (piece, value)


def test_examples_have_a_picture() -> None:
    lacking = [name for name in graphs() if not (ROOT / "example_workflows" / name).with_suffix(".jpg").is_file()]
    assert lacking == [], f"the template browser shows a .jpg of the same name: {', '.join(lacking)}"


def test_dangerous_and_unclear_code_is_refused() -> None:
    """What the registry refuses: exec, eval, several statements on a line."""
    lint = PROJECT["tool"]["ruff"]["lint"]
    for rule in ("S102", "S307", "E702"):
        assert any(rule.startswith(prefix) for prefix in lint["select"]), f"ruff does not check {rule}"
        assert not any(rule.startswith(prefix) for prefix in lint.get("ignore", ())), f"ruff ignores {rule}"
        for path, ignored in lint.get("per-file-ignores", {}).items():
            assert not any(rule.startswith(prefix) for prefix in ignored), f"ruff ignores {rule} in {path}"


def test_the_registry_finds_what_it_reads() -> None:
    assert "comfy" in PROJECT["tool"], "pyproject.toml has no [tool.comfy]"
    comfy = PROJECT["tool"]["comfy"]
    assert comfy.get("PublisherId") is not None and comfy.get("DisplayName")
    assert "web" not in comfy, "WEB_DIRECTORY says it already; both load every script twice"


def test_the_archive_of_the_registry_holds_what_the_pack_needs() -> None:
    left_out = [
        line.strip().rstrip("/")
        for line in (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    needed = {"__init__.py", "nodes", "interrogator", "web", "locales", "example_workflows", "requirements.txt"}
    assert not needed & set(left_out)
    assert "tests" in left_out


def test_the_tests_of_scripts_install_from_whichever_registry_npm_is_set_to() -> None:
    lock = json.loads((ROOT / "tests" / "js" / "package-lock.json").read_text(encoding="utf-8"))
    installed = [package for name, package in lock["packages"].items() if name]
    assert installed
    for package in installed:
        assert "integrity" in package and "resolved" not in package, package


def test_scripts_ask_nobody_else() -> None:
    """The front end's content policy forbids it, and people work offline."""
    for path in (ROOT / "web").rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(import|fetch|src=)[^\n]*https?://", text), f"{path.name} loads something from the web"


def test_nothing_names_the_folder_that_the_pack_lies_in() -> None:
    """It differs with how the pack was installed."""
    for path in (*(ROOT / "web").rglob("*.js"), *(ROOT / "nodes").glob("*.py")):
        text = Path(path).read_text(encoding="utf-8")
        text = text.replace('.get("custom_nodes",', "")  # that asks ComfyUI for it
        assert "/extensions/" not in text and "custom_nodes" not in text, path.name
