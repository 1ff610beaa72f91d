"""What may import what, and what importing costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import interrogator

PACKAGE = Path(interrogator.__file__).parent
HEAVY = ("torch", "transformers", "open_clip")

# Rows from the bottom up: a module may import modules of lower rows and of its own. The longest name counts, so the
# options of captioners lie below the captioners, and the protocols between them.
LAYERS = (
    (
        "errors",
        "paths",
        "module_views",
        "threads",
        "progress",
        "phrases",
        "files",
        "locks",
        "checksum",
        "image_formats",
        "png_chunks",
        "colors",
        "prompts",
        "version",
        "dataset_choices",
        "dtypes",
        "csv_fields",
    ),
    ("images", "devices", "batches", "hub", "modes", "qualities", "checkpoints", "configurations", "pickled_weights"),
    (
        "catalog", "needs", "captioners.options", "captioners.sampling_options", "captioners.strip",
        "captioners.named_prompts", "captioners.sample_keys", "captioners.answers", "captioners.endpoint.address",
        "captioners",
    ),
    ("row_sums", "rows", "ranking", "duplicates", "embeddings", "banks", "text_tower", "chain", "metadata"),
    ("models", "markers"),
    ("registry", "taggers", "evidence", "captioners.sampling", "captioners.abilities", "reading"),
    ("model_pool", "captioners.blip", "captioners.endpoint", "captioners.chat"),
    ("encoders", "matchers", "captioners.coca", "captioners.florence2"),
    ("image_models",),
    ("pipeline",),
    ("dataset",),
    ("demo",),
    ("evaluation",),
    ("cli",),
)  # fmt: skip
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# These do not know each other, though they are of one row.
STRANGERS = (("captioners.blip", "encoders"), ("encoders", "matchers"), ("taggers", "captioners.blip"))

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(module: str) -> Iterator[str]:
    """Modules of the package that a module imports, wherever in the file it does, for types as well."""
    path = MODULES[module]
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level == 0:
            assert not (node.module or "").startswith("interrogator"), f"{path}: imports in the package are relative"
            continue
        base = ".".join((*package[: len(package) - node.level + 1], *(node.module or "").split("."))).strip(".")
        for alias in node.names:
            name = f"{base}.{alias.name}".strip(".")
            yield name if name in MODULES else base


def level_of(module: str) -> tuple[str, int]:
    """The longest name of `LAYERS` that a module's begins with, and its row."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in LEVEL:
            return name, LEVEL[name]
    raise AssertionError(f"{module} has no row in LAYERS")


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("", "__main__")])
def test_imports_go_one_way(module: str) -> None:
    part, level = level_of(module)
    for imported in imports(module):
        assert imported, f"{module} imports the package's face"
        other, lower = level_of(imported)
        assert lower <= level, f"{module} imports {imported}, which lies above it"
        assert (part, other) not in STRANGERS, f"{module} imports {imported}; {part} and {other} do not know each other"


def test_no_modules_import_each_other_in_a_circle() -> None:
    edges = {
        module: {
            # A module of a package may be re-exported by that package; that is no circle by itself.
            other
            for other in imports(module)
            if other != module and not (module.startswith(f"{other}.") and MODULES[other].name == "__init__.py")
        }
        for module in MODULES
        if module not in ("", "__main__")
    }
    while True:
        ends = {module for module, others in edges.items() if not others & edges.keys()}
        if not ends:
            break
        edges = {module: others for module, others in edges.items() if module not in ends}
    assert not edges, f"these import each other in a circle, or something that does: {', '.join(sorted(edges))}"


def test_one_module_asks_the_system_for_locks() -> None:
    asking = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and {"fcntl", "msvcrt"} & {alias.name for alias in node.names}
    }
    assert asking == {"locks"}


def test_a_folder_of_many_modules_says_what_to_open_for_what() -> None:
    for module, path in MODULES.items():
        inside = [each.stem for each in path.parent.glob("*.py") if each.stem != "__init__"]
        if path.name != "__init__.py" or module == "" or len(inside) <= 6:
            continue
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        missing = [name for name in inside if name not in text]
        assert not missing, f"the docstring of {module} does not name {', '.join(missing)}"


@pytest.mark.parametrize("path", ["ranking.py", "chain.py", "prompts.py"])
def test_the_search_loads_no_model(path: str) -> None:
    text = (PACKAGE / path).read_text(encoding="utf-8")
    assert "open_clip" not in text and "transformers" not in text


def loaded_modules(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    root = PACKAGE.parent
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    return set(json.loads(run.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import interrogator; interrogator.__version__; interrogator.__all__; interrogator.ImageReadError",
        "import interrogator; interrogator.load_banks(); interrogator.PhraseBank",
        "from interrogator.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from interrogator.cli import main\nmain(['banks', 'list'])",
    ],
)
def test_light_uses_load_no_heavy_library(code: str) -> None:
    assert loaded_modules(code).isdisjoint(HEAVY)


def test_every_public_name_resolves_and_nothing_else_does() -> None:
    for name in interrogator.__all__:
        assert getattr(interrogator, name) is not None
    assert sorted(interrogator.__all__) == dir(interrogator)
    with pytest.raises(AttributeError):
        interrogator.no_such_name  # noqa: B018
