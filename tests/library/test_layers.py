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

# A part may import parts of lower rows, and those of its own row that stand before it.
LAYERS = (
    ("errors", "module_views", "threads", "progress", "phrases", "whole_files"),
    ("images", "devices", "batches", "catalog", "hub"),
    ("prompts", "rows", "ranking", "duplicates", "embeddings", "banks", "text_tower"),
    ("captioners", "encoders", "chain"),
    ("pipeline",),
    ("dataset",),
    ("demo",),
    ("cli",),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# The package's own tools for making the demo models may use the library; the library asks the demo for nothing.
STRANGERS = {"captioners": {"encoders"}, "encoders": {"captioners"}}


def imports(path: Path) -> Iterator[str]:
    """Parts of the package that a file imports, wherever in the file it does."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            yield from names
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert not (node.module or "").startswith("interrogator"), f"{path}: imports in the package are relative"


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    for imported in imports(path):
        if part in ("__init__", "__main__") or imported in (part, "__version__"):
            continue
        assert LEVEL[imported] <= LEVEL[part], f"{part} imports {imported}"
        assert imported not in STRANGERS.get(part, ()), f"{part} and {imported} do not know each other"


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
