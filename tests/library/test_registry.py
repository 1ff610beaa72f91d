"""A name becomes a model in one place: by catalog, folder, own name of a family, or hub; a wrong kind is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from interrogator import catalog, hub, load_captioner, load_encoder, load_matcher, load_tagger
from interrogator.devices import choose_dtype
from interrogator.errors import DeviceError, ModelLoadError, ModelNotFoundError, UnknownModelError
from interrogator.registry import load, load_model, locate, on_disk

from .small_hub import SmallHub, files_of
from .tiny_checkpoints import write_blip, write_matcher, write_open_clip

pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[2]
WRITERS = {"captioner": write_blip, "matcher": write_matcher, "encoder": write_open_clip}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Path]:
    """A checkpoint by role."""
    return {role: write(tmp_path_factory.mktemp(role)) for role, write in WRITERS.items()}


def write_config(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["captioner", "encoder"])
def test_a_row_of_the_catalog_may_have_its_model_in_a_folder(role: Any) -> None:
    located = locate(role, "demo")
    row = catalog.known_model(role, "demo")
    assert row is not None and located.folder == Path(row.source)
    assert (located.role, located.name, located.family) == (role, "demo", row.family)


def test_taggers_compute_in_fp32_on_a_cpu_that_has_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interrogator.devices.cpu_multiplies_bf16", lambda: True)
    assert choose_dtype("auto", "cpu") is torch.bfloat16
    assert load_model("tagger", "demo", device="cpu").dtype is torch.float32
    assert load_model("tagger", "demo", device="cpu", dtype="bf16").dtype is torch.bfloat16


def test_a_row_that_looks_like_a_mistyped_architecture_is_found(
    folders: dict[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = catalog.known_model("encoder", "demo")
    assert demo is not None
    monkeypatch.setattr(catalog, "MODELS", (replace(demo, name="vit-b-32", source="maker/tiny"),))
    with pytest.raises(ModelNotFoundError, match=r"maker/tiny is not on this machine.*open_clip_model.safetensors"):
        locate("encoder", "vit-b-32")
    folder = write_open_clip(hub.local_folder("maker/tiny"))
    assert locate("encoder", "vit-b-32").folder == folder


def test_the_family_of_a_row_is_checked(folders: dict[Any, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    demo, other = catalog.known_model("encoder", "demo"), catalog.FAMILIES[0]
    assert demo is not None
    monkeypatch.setattr(catalog, "FAMILIES", (*catalog.FAMILIES, replace(other, name="x", loads={"encoder": "m:C"})))
    monkeypatch.setattr(catalog, "MODELS", (replace(demo, family="x", architecture=""),))
    with pytest.raises(ModelLoadError, match="holds a model of family open_clip, not of x as demo"):
        locate("encoder", "demo")


@pytest.mark.parametrize("role", sorted(WRITERS))
@pytest.mark.parametrize("form", ["path", "text", "local-dir", "relative"])
def test_a_plain_folder_is_enough(
    folders: dict[Any, Path], monkeypatch: pytest.MonkeyPatch, role: Any, form: str
) -> None:
    folder = folders[role]
    monkeypatch.chdir(folder.parent)
    names = {"path": folder, "text": str(folder), "local-dir": f"local-dir:{folder}", "relative": f"./{folder.name}"}
    located = locate(role, names[form])
    assert located.folder is not None and located.folder.resolve() == folder.resolve()
    model = load(located, device="cpu", dtype="fp32")
    assert (model.name, model.origin) == (str(names[form]), located)


@pytest.mark.parametrize("role", sorted(WRITERS))
def test_a_hub_id_is_found_in_the_folder_for_models(role: Any) -> None:
    folder = WRITERS[role](hub.local_folder("maker/tiny"))
    assert locate(role, "maker/tiny").folder == folder


@pytest.mark.parametrize("name", ["hf-hub:maker/tiny", "maker/tiny"])
@pytest.mark.parametrize("revision", [None, "b" * 40])
def test_an_encoder_is_found_in_the_hub_cache_by_revision(tmp_path: Path, name: str, revision: str | None) -> None:
    snapshots = tmp_path / "cache" / "models--maker--tiny" / "snapshots"
    for commit in ("a" * 40, "b" * 40, "c" * 40):
        write_open_clip(snapshots / commit)
    refs = tmp_path / "cache" / "models--maker--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    located = locate("encoder", name, revision=revision)
    assert located.folder == snapshots / (revision or "a" * 40)
    assert located.revision == (revision or "a" * 40)


@pytest.mark.parametrize("name", ["RN50/tiny", "rn50/tiny", "MobileCLIP/tiny", "maker/openai"])
def test_a_repository_is_never_taken_for_an_architecture_and_a_tag(name: str) -> None:
    folder = write_open_clip(hub.local_folder(name))
    assert locate("encoder", name).folder == folder


def test_an_architecture_and_its_tag_are_no_repository() -> None:
    write_open_clip(hub.local_folder("RN50/openai"))
    with pytest.raises(ModelNotFoundError, match="open_clip_model.safetensors"):
        locate("encoder", "RN50/openai")


@pytest.mark.parametrize("name", ["RN50/opanai", "rn50/openai", "ViT-L14"])
def test_a_mistyped_architecture_or_tag_is_named_with_its_neighbours(name: str) -> None:
    with pytest.raises(UnknownModelError, match="choose from .*(openai|RN50|ViT-L-14)"):
        locate("encoder", name)


@pytest.mark.parametrize("role", sorted(WRITERS))
@pytest.mark.parametrize("name", ["", "  ", "nonsense"])
def test_a_name_that_is_nothing_lists_what_there_is(role: Any, name: str) -> None:
    with pytest.raises(UnknownModelError, match=f"unknown {role} .*; choose from .*, or name a folder or a repository"):
        locate(role, name)


def test_a_role_without_a_family_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "FAMILIES", ())
    for role in catalog.ROLES:
        with pytest.raises(UnknownModelError, match=f"unknown {role} 'maker/tiny': there is no family of {role}s"):
            locate(role, "maker/tiny", download=True)


@pytest.mark.parametrize("role", sorted(WRITERS))
def test_a_repository_that_is_not_here_says_where_it_goes(role: Any) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        locate(role, "maker/tiny")
    message = str(caught.value)
    assert str(hub.local_folder("maker/tiny")) in message and "--download" in message and "\n" not in message


# --- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", sorted(WRITERS))
def test_a_checkpoint_goes_with_an_architecture_only(folders: dict[Any, Path], role: Any, tmp_path: Path) -> None:
    weights = next(iter(sorted(folders[role].glob("*.safetensors"))))
    for name in (str(folders[role]), "demo"):
        if name != "demo" or catalog.known_model(role, name):
            with pytest.raises(ModelLoadError, match="use a checkpoint with an architecture such as ViT-L-14"):
                locate(role, name, checkpoint=weights)
    with pytest.raises(ModelLoadError, match="is a file: name its folder"):
        locate(role, weights)


def test_a_checkpoint_of_ones_own_goes_with_an_architecture(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"x")
    for name in ("RN50", "RN50/openai"):
        assert locate("encoder", name, checkpoint=weights).parts.checkpoint == weights


# --- a wrong kind of model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "vilt"}, "holds a model of type 'vilt', not"),
        ({"model_type": "blip", "architectures": ["BlipForQuestionAnswering"]}, r"\(BlipForQuestionAnswering\), not"),
        ({"model_type": "x", "auto_map": {"AutoModel": "m.M"}}, "which needs code from its repository; such code is"),
        ({}, "holds a model whose config.json names no model_type, not"),
    ],
)
@pytest.mark.parametrize("role", catalog.ROLES)
def test_a_folder_with_a_model_of_no_family_is_refused(
    tmp_path: Path, role: Any, config: dict[str, Any], says: str
) -> None:
    folder = write_config(tmp_path / "other", **config)
    with pytest.raises((ModelLoadError, ModelNotFoundError), match=says) as caught:
        locate(role, folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("role", catalog.ROLES)
def test_a_folder_with_another_role_is_refused_by_what_it_holds(folders: dict[Any, Path], role: Any) -> None:
    for other, folder in folders.items():
        if other != role:
            with pytest.raises(ModelLoadError, match=f"{folder} holds an? {other}, not a"):
                locate(role, folder)


def test_an_empty_folder_says_what_tells_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=f"{tmp_path} holds no captioner: it has no config.json"):
        locate("captioner", tmp_path)
    with pytest.raises(ModelNotFoundError, match="holds no encoder: it has no open_clip_config.json"):
        locate("encoder", tmp_path)


def test_a_folder_without_weights_names_them(folders: dict[Any, Path], tmp_path: Path) -> None:
    config = json.loads((folders["captioner"] / "config.json").read_text(encoding="utf-8"))
    with pytest.raises(
        ModelNotFoundError, match=r"lacks tokenizer_config.json, model.safetensors or pytorch_model.bin"
    ):
        locate("captioner", write_config(tmp_path / "bare", **config))


FETCH = """
import json, sys
from interrogator.errors import InterrogatorError
from interrogator.registry import load, locate
told = []
for role, name in json.loads(sys.argv[1]):
    try:
        located = locate(role, name, download=True)
    except InterrogatorError as error:
        told.append([type(error).__name__, str(error)])
    else:
        load(located, device="cpu", dtype="fp32")
        assert locate(role, name) == located
        told.append(["", str(located.folder)])
print(json.dumps(told))
"""


def fetched(tmp_path: Path, address: str, *asked: tuple[str, str]) -> list[tuple[str, str]]:
    """The error, or "" and the folder, of each model that one process fetches from the hub at `address` and loads."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    env = {
        **inherited, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*",
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-c", FETCH, json.dumps(asked)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(kind, message) for kind, message in json.loads(done.stdout)]


def test_a_wrong_kind_of_model_is_refused_before_its_weights_are_fetched(
    folders: dict[Any, Path], tmp_path: Path
) -> None:
    vilt = {**files_of(folders["captioner"]), "config.json": json.dumps({"model_type": "vilt"}).encode()}
    cases = (
        ("captioner", files_of(folders["matcher"]), "holds a matcher, not a captioner"),
        ("matcher", files_of(folders["captioner"]), "holds a captioner, not a matcher"),
        ("captioner", vilt, "type 'vilt'"),
        ("encoder", files_of(folders["captioner"]), "open_clip_config.json"),
    )
    with SmallHub({f"maker/{number}": files for number, (_, files, _) in enumerate(cases)}) as server:
        asked = [(role, f"maker/{number}") for number, (role, _, _) in enumerate(cases)]
        told = fetched(tmp_path, server.address, *asked)
    for (role, _, says), (kind, message) in zip(cases, told, strict=True):
        assert kind.startswith("Model") and says in message, (role, kind, message)
    assert set(server.sent) <= {f"maker/{number}/config.json" for number in range(len(cases))}


def test_a_model_of_the_right_kind_is_fetched_once_and_loads(folders: dict[Any, Path], tmp_path: Path) -> None:
    asked = [
        ("captioner", "maker/captioner"), ("matcher", "maker/matcher"), ("encoder", "maker/encoder"),
        ("encoder", "hf-hub:maker/second"),
    ]  # fmt: skip
    repositories = {name.removeprefix("hf-hub:"): files_of(folders[role]) for role, name in asked}
    with SmallHub(repositories) as server:
        for kind, message in fetched(tmp_path, server.address, *asked):
            assert kind == "", message
    assert len(server.sent) == len(set(server.sent)), "no file twice"
    for name in repositories:
        sent = [file for file in server.sent if file.startswith(f"{name}/")]
        assert sum(file.endswith((".safetensors", ".bin")) for file in sent) == 1, name


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loader", [load_captioner, load_tagger, load_encoder, load_matcher])
def test_everything_behind_the_name_is_by_keyword(loader: Any) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        loader("demo", "cpu")


@pytest.mark.parametrize("loader", [load_captioner, load_encoder, load_matcher])
@pytest.mark.parametrize("options", [{"device": "gpu9"}, {"dtype": "int3"}])
def test_a_mistyped_device_or_dtype_shows_before_anything_is_looked_for(loader: Any, options: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        loader("no/such", **options)


def test_auto_is_what_the_catalog_says_for_a_known_model(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(replace(row, dtype="bf16") if row.name == "demo" else row for row in catalog.MODELS)
    monkeypatch.setattr(catalog, "MODELS", rows)
    assert str(load_captioner("demo", device="cpu").dtype) == "torch.bfloat16"
    assert str(load_captioner("demo", device="cpu", dtype="fp32").dtype) == "torch.float32"


# --- what lies in folders of a host -----------------------------------------------------------------------------------


def test_folders_of_a_host_are_listed_by_role(folders: dict[Any, Path], tmp_path: Path) -> None:
    host = tmp_path / "models"
    write_blip(host / "mine" / "blip")
    write_matcher(host / "itm")
    write_open_clip(host / "clip")
    write_blip(host / "blip-image-captioning-large")  # the catalog has it
    write_config(host / "other", model_type="vilt")
    (host / "a" / "b" / "c").mkdir(parents=True)
    write_blip(host / "a" / "b" / "c")
    assert on_disk("captioner", [host]) == {"models/mine/blip": host / "mine" / "blip"}
    assert on_disk("matcher", [host]) == {"models/itm": host / "itm"}
    assert on_disk("encoder", [host, host / "nowhere"]) == {"models/clip": host / "clip"}
    assert on_disk("tagger", [host]) == {}


def test_one_broken_file_in_a_host_folder_hides_no_other_model(tmp_path: Path) -> None:
    host = tmp_path / "models"
    write_open_clip(host / "clip")
    write_blip(host / "good")
    (write_config(host / "broken") / "config.json").write_text("{", encoding="utf-8")
    assert on_disk("captioner", [host]) == {"models/good": host / "good"}
