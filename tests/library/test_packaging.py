"""The files that install the library, and the library as others load it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomllib

from interrogator.demo.creatures import creature
from interrogator.demo.tags import true_tags

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# How ComfyUI loads a custom-node folder (nodes.py, load_custom_node): by its path, under a name that is that path.
LOAD_AS_A_PACK = """
import importlib, importlib.util, sys
folder = sys.argv[1]
spec = importlib.util.spec_from_file_location(folder, folder + "/__init__.py", submodule_search_locations=[folder])
pack = importlib.util.module_from_spec(spec)
sys.modules[folder] = pack
spec.loader.exec_module(pack)
library = importlib.import_module(".interrogator", folder)
assert "torch" not in sys.modules
assert "interrogator" not in sys.modules
image, truth = library.demo.creature(1)
result = library.load("demo", cache_dir=sys.argv[2]).interrogate(image, mode="fast")
print(result.prompt)
"""


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}


def test_requirements_are_the_projects_dependencies() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines == PROJECT["dependencies"]


def test_no_dependency_is_pinned() -> None:
    assert [name for name in PROJECT["dependencies"] if re.search(r"[<>=!~]", name)] == []


def test_the_version_is_the_one_in_the_package_and_the_changelog() -> None:
    import interrogator

    assert PROJECT["version"] == interrogator.__version__
    assert f"## {interrogator.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_runs_the_demo_from_an_empty_folder(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built, site, empty = tmp_path / "built", tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", built, ROOT], check=True, cwd=tmp_path)
    (wheel,) = built.glob("image_interrogator-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"interrogator"}
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    environment = clean_environment() | {"PYTHONPATH": str(site), "INTERROGATOR_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", "import interrogator.cli, sys; sys.exit(interrogator.cli.main(sys.argv[1:]))"]
    run = subprocess.run(
        [*command, "demo", "--count", "2"], cwd=empty, env=environment, capture_output=True, text=True, check=True
    )
    assert len(run.stdout.splitlines()) == 2
    written = {path.name for path in (empty / "interrogator-demo").iterdir()}
    assert {"index.html", "prompts.jsonl", "creature-1.png", "creature-1.txt"} <= written
    picture = empty / "interrogator-demo" / "creature-1.png"
    run = subprocess.run(
        [*command, "tag", picture, "--preset", "demo"],
        cwd=empty, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {line.split("\t")[2].replace(" ", "_") for line in run.stdout.splitlines()} == set(true_tags(creature(1)[1]))


@pytest.mark.slow
def test_the_repository_loads_as_comfyui_loads_a_pack(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOAD_AS_A_PACK, str(ROOT), str(tmp_path / "cache")],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
