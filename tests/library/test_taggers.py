"""Taggers in timm folders and ONNX files: their tables, thresholds, files and faults."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import load_file, save_file

from interrogator import catalog, hub, markers, registry
from interrogator.cli import main
from interrogator.errors import InterrogatorError, ModelError, ModelLoadError, ModelNotFoundError
from interrogator.models import Tag
from interrogator.registry import load_tagger

from . import tiny_taggers
from .small_hub import SmallHub, files_of
from .small_models import pictures
from .tiny_taggers import BEST, CL_WORDS, IPS, ROWS, SIZE, vit

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]


def load(name: Path | str) -> Any:
    return load_tagger(name, device="cpu", dtype="fp32")


def tags_of(tagger: Any, image: Image.Image | None = None) -> dict[str, Tag]:
    (tags,) = tagger.tag([tagger.prepare(image or pictures(1)[0])])
    return {tag.text: tag for tag in tags}


def refused(name: Path | str, kind: type[InterrogatorError] = ModelLoadError) -> str:
    """The one sentence with which a tagger is refused."""
    with pytest.raises(kind) as caught:
        load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what a table says ------------------------------------------------------------------------------------------------


def test_names_are_those_of_the_table_and_categories_come_from_its_column(tmp_path: Path) -> None:
    tags = tags_of(load(tiny_taggers.write_wd_timm(tmp_path)))
    names = {9: "rating", 0: "general", 4: "character"}
    assert [(tag.text, tag.category) for tag in tags.values()] == [(name, names[number]) for name, number in ROWS]
    assert {tag.implies for tag in tags.values()} == {()}


@pytest.mark.parametrize("reorder", [lambda rows: rows[::-1], lambda rows: rows[5:] + rows[:5]])
def test_the_order_of_categories_in_a_table_means_nothing(reorder: Any, tmp_path: Path) -> None:
    rows = reorder(list(ROWS))
    folder = tiny_taggers.write_wd_timm(tmp_path)
    tiny_taggers.write_table(folder / "selected_tags.csv", rows)
    numbers = {"rating": 9, "general": 0, "character": 4}
    assert [(tag.text, numbers[tag.category]) for tag in tags_of(load(folder)).values()] == rows


def test_a_table_may_have_other_headers_categories_and_a_mark_in_front(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path)
    rows = [f"{index},{5 if index else 77},name {index}" for index in range(len(ROWS))]
    text = "\ufeff" + "\r\n".join(["id, category,name", *rows]) + "\r\n"
    (folder / "selected_tags.csv").write_bytes(text.encode("utf-8"))
    tags = tags_of(load(folder))
    assert tags["name 0"].category == "category 77" and tags["name 1"].category == "meta"


def test_pixai_gives_series_of_characters_and_thresholds_by_category(tmp_path: Path) -> None:
    tags = tags_of(load(tiny_taggers.write_pixai(tmp_path)))
    assert [list(tag.implies) for tag in tags.values()] == IPS
    thresholds = {tag.category: tag.threshold for tag in tags.values()}
    assert thresholds == {"general": 0.3, "character": 0.85, "rating": None}, "the first row of a category counts"


def test_animetimm_gives_a_threshold_for_each_tag(tmp_path: Path) -> None:
    tags = list(tags_of(load(tiny_taggers.write_anime_timm(tmp_path))).values())
    by_category = {"general": 0.39, "character": 0.47, "rating": 0.35}
    expected = [
        value if isinstance(value, float) else by_category[tag.category] for value, tag in zip(BEST, tags, strict=True)
    ]
    assert [tag.threshold for tag in tags] == expected


@pytest.mark.parametrize("two_tables", [False, True])
def test_both_forms_of_the_table_of_cl_tagger(two_tables: bool, tmp_path: Path) -> None:
    tags = tags_of(load(tiny_taggers.write_cl(tmp_path, two_tables=two_tables)))
    assert [(tag.text, tag.category) for tag in tags.values()] == [(tag, name.lower()) for tag, name in CL_WORDS]
    assert {tag.category: tag.threshold for tag in tags.values()} == {
        "rating": None, "general": 0.55, "character": 0.6, "copyright": 0.6, "artist": 0.6, "meta": 0.55,
        "quality": None, "model": 0.55,
    }  # fmt: skip


def test_numbers_that_a_table_leaves_out_are_no_tags(tmp_path: Path) -> None:
    folder = tiny_taggers.write_cl(tmp_path)
    whole = tags_of(load(folder))
    table = json.loads((folder / "tag_mapping.json").read_text(encoding="utf-8"))
    del table["2"], table["5"]
    tiny_taggers.write_json(folder / "tag_mapping.json", table)
    assert tags_of(load(folder)) == {
        text: tag for text, tag in whole.items() if text not in ("hatsune_miku", "highres")
    }


def test_camie_and_joytag_have_the_thresholds_of_their_authors(tmp_path: Path) -> None:
    camie = tags_of(load(tiny_taggers.write_camie(tmp_path / "camie")))
    assert {tag.category: tag.threshold for tag in camie.values()} == {
        "general": 0.492, "character": 0.492, "rating": None, "year": 0.492,
    }  # fmt: skip
    joytag = tags_of(load(tiny_taggers.write_joytag(tmp_path / "joytag")))
    assert {(tag.category, tag.threshold) for tag in joytag.values()} == {("general", 0.4)}


# --- what the catalog says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["wd-eva02-large-tagger-v3", "SmilingWolf--wd-eva02-large-tagger-v3", "WD-EVA02-Large-Tagger-v3"]
)
def test_a_known_model_has_the_thresholds_of_its_row_whatever_its_folder_is_called(name: str, tmp_path: Path) -> None:
    tags = tags_of(load(tiny_taggers.write_wd_timm(tmp_path / name)))
    assert {tag.category: tag.threshold for tag in tags.values()} == {
        "rating": None, "general": 0.5296, "character": 0.85
    }  # fmt: skip
    unknown = tags_of(load(tiny_taggers.write_wd_timm(tmp_path / "something")))
    assert {tag.threshold for tag in unknown.values()} == {None}


def test_every_row_names_a_family_a_licence_and_a_size() -> None:
    rows = [row for row in catalog.MODELS if row.role == "tagger"]
    assert len(rows) > 10
    for row in rows:
        family = next(each for each in catalog.FAMILIES if each.name == row.family)
        assert "tagger" in family.loads and row.licence and row.size_mb > 0 and row.use
        assert all(0 < value < 1 for value in row.thresholds.values())
    by_name = {row.name: row for row in rows}
    assert by_name["SmilingWolf/wd-vit-tagger-v3"].thresholds["general"] == 0.2614
    assert "GPL" in by_name["Camais03/camie-tagger-v2"].licence
    assert all(row.gated for row in rows if row.source.startswith("animetimm/"))


def test_a_model_in_a_subfolder_of_its_repository_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path))
    name = "cella110n/cl_tagger/cl_tagger_1_02"
    (row,) = (row for row in catalog.MODELS if row.name == name)
    assert registry.folder_of(row) is None
    told = refused(name, ModelNotFoundError)
    assert "cl_tagger_1_02/tag_mapping.json" in told and "cl_tagger_1_02/model.onnx" in told and "1.3 GB" in told
    folder = tiny_taggers.write_cl(hub.models_dir() / "cella110n--cl_tagger" / "cl_tagger_1_02")
    tagger = load(name)
    assert (tagger.name, tagger.origin.folder) == (name, folder) and registry.folder_of(row) == folder
    assert tags_of(tagger)["1girl"].threshold == 0.55


def test_models_lists_the_taggers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = {line["model"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert listed["Camais03/camie-tagger-v2"]["licence"] == "GPL-3.0"
    assert listed["SmilingWolf/wd-vit-tagger-v3"]["role"] == "tagger"


# --- which files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write", [tiny_taggers.write_wd_timm, tiny_taggers.write_cl, tiny_taggers.write_camie, tiny_taggers.write_joytag]
)
def test_a_host_lists_folders_of_every_family(write: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = write(tmp_path / "taggers" / "mine")
    assert markers.on_disk("tagger", [tmp_path / "taggers"]) == {"taggers/mine": folder}
    assert markers.on_disk("captioner", [tmp_path / "taggers"]) == {}


def test_some_other_metadata_is_no_tagger(tmp_path: Path) -> None:
    tiny_taggers.write_json(tmp_path / "x" / "metadata.json", {"format": "pt"})
    assert markers.on_disk("tagger", [tmp_path]) == {}
    assert "holds no tagger: it has no selected_tags.csv or tag_mapping.json or" in refused(
        tmp_path / "x", ModelNotFoundError
    )


def test_timm_and_onnx_give_the_same_for_the_same_weights(tmp_path: Path) -> None:
    timm = load(tiny_taggers.write_wd_timm(tmp_path / "timm"))
    runtime = load(tiny_taggers.write_wd_onnx(tmp_path / "onnx"))
    assert timm.module is not None and runtime.module is None
    images = pictures(5)
    found, expected = (each.tag([each.prepare(image) for image in images]) for each in (runtime, timm))
    for one, other in zip(found, expected, strict=True):
        assert [tag.text for tag in one] == [tag.text for tag in other]
        np.testing.assert_allclose([t.probability for t in one], [t.probability for t in other], rtol=0, atol=1e-5)


def test_a_folder_with_both_computes_in_torch_and_its_onnx_file_by_its_path(tmp_path: Path) -> None:
    folder = tiny_taggers.write_anime_timm(tmp_path, with_onnx=True)
    timm, runtime = load(folder), load(folder / "model.onnx")
    assert timm.module is not None and runtime.module is None
    image = pictures(1)[0].resize((50, 37))
    for text, tag in tags_of(timm, image).items():
        other = tags_of(runtime, image)[text]
        assert tag.probability == pytest.approx(other.probability, abs=1e-5)
        assert (tag.category, tag.threshold) == (other.category, other.threshold)
    (folder / "model.safetensors").unlink()
    assert load(folder).module is None


FLAT: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "wd": (tiny_taggers.write_wd_onnx, "selected_tags.csv", "wd-v1-4-moat-tagger-v2.csv"),
    "cl": (tiny_taggers.write_cl, "tag_mapping.json", "wd-v1-4-moat-tagger-v2_tag_mapping.json"),
    "camie": (tiny_taggers.write_camie, "camie-tagger-v2-metadata.json", "wd-v1-4-moat-tagger-v2-metadata.json"),
    "joytag": (tiny_taggers.write_joytag, "top_tags.txt", "wd-v1-4-moat-tagger-v2.txt"),
}


@pytest.mark.parametrize("layout", list(FLAT))
def test_an_onnx_file_with_its_table_beside_it_is_a_tagger_among_others_in_one_folder(
    layout: str, tmp_path: Path
) -> None:
    """As the folder wd14_tagger/models of ComfyUI holds them."""
    write, table, flat = FLAT[layout]
    folder = write(tmp_path / "apart")
    (weights,) = folder.glob("*.onnx")
    models = tmp_path / "models"
    models.mkdir()
    for other in ("another", "third"):
        shutil.copy(weights, models / f"{other}.onnx")
    path = models / "wd-v1-4-moat-tagger-v2.onnx"
    shutil.copy(weights, path)
    assert f"{path} has no table of its tags beside it: put wd-v1-4-moat-tagger-v2.csv or" in refused(
        path, ModelNotFoundError
    )
    shutil.copy(folder / table, models / flat)
    tagger = load(path)
    assert (tagger.name, tagger.origin.folder) == (str(path), models)
    expected = {text: tag.probability for text, tag in tags_of(load(folder)).items()}
    assert {text: tag.probability for text, tag in tags_of(tagger).items()} == expected
    if layout == "wd":
        assert tags_of(tagger)["1girl"].threshold == 0.3771, "of the row of that name"
    assert markers.on_disk("tagger", [models]) == {f"models/{path.name}": path}
    assert markers.on_disk("captioner", [models]) == {}


def test_a_file_of_weights_is_still_no_name_of_a_captioner(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path)
    for role in ("captioner", "encoder", "matcher", "tagger"):
        with pytest.raises(ModelLoadError, match="is a file: name its folder"):
            registry.load_model(role, folder / "model.safetensors", device="cpu")  # type: ignore[arg-type]
    with pytest.raises(ModelLoadError, match="has its own weights"):
        load_tagger(folder, checkpoint=folder / "model.safetensors", device="cpu")


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [tiny_taggers.write_wd_timm, tiny_taggers.write_wd_onnx])
@pytest.mark.parametrize("change", [lambda rows: rows[:-1], lambda rows: [*rows, ("one more", 0)]])
def test_a_table_of_another_length_is_refused(write: Any, change: Any, tmp_path: Path) -> None:
    folder = write(tmp_path)
    rows = change(list(ROWS))
    tiny_taggers.write_table(folder / "selected_tags.csv", rows)
    assert f"gives {len(ROWS)} numbers, and its table has {len(rows)} tags: they are of different models" in refused(
        folder
    )


def test_a_table_of_another_length_is_refused_where_an_onnx_file_does_not_say_its_own(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)
    model = onnx.load(folder / "model.onnx")
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "tags"
    onnx.save(model, folder / "model.onnx")
    assert len(tags_of(load(folder))) == len(ROWS)
    tiny_taggers.write_table(folder / "selected_tags.csv", ROWS[:-1])
    with pytest.raises(ModelLoadError, match="gives 12 numbers, and its table has 11 tags"):
        tags_of(load(folder))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.mark.parametrize("write", [tiny_taggers.write_wd_timm, tiny_taggers.write_wd_onnx, tiny_taggers.write_camie])
def test_a_pointer_of_git_lfs_is_told_from_a_file(write: Callable[[Path], Path], tmp_path: Path) -> None:
    for path in sorted(write(tmp_path / "whole").iterdir()):
        folder = write(tmp_path / path.name)
        (folder / path.name).write_bytes(POINTER)
        assert f"{folder / path.name} is a pointer of Git LFS, not the file itself: fetch it with" in refused(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("tag_id,name,category\n1,\u732b,0\n".encode("utf-16"), "is not in UTF-8: some program has saved it anew"),
        ("tag_id,name,category\n1,caf\xe9,0\n".encode("cp1252"), "is not in UTF-8"),
        (b"", "lacks selected_tags.csv|has no column name"),
        (b"1girl,0\nsolo,0\n", "has no column name and no category: its first line must name the columns"),
        (b"name,category\nsolo,zero\n", "row 1 cannot be read"),
        (b"name,category\nsolo,0\nlong_hair\n", "row 2 has not as many fields as the header"),
        (b'name,category\n"solo,0\n', "is not a table in CSV"),
        (b"name,category,ips\nmiku,4,[1\n", "row 1 cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path)
    (folder / "selected_tags.csv").write_bytes(content)
    told = refused(folder)
    assert any(part in told for part in says.split("|")) and "selected_tags.csv" in told


@pytest.mark.parametrize(
    "content", ["[]", '{"a": {"tag": "x"}}', '{"9000000": {"tag": "x", "category": "y"}}', "{", "{}"]
)
def test_a_mapping_that_is_none_is_named(content: str, tmp_path: Path) -> None:
    folder = tiny_taggers.write_cl(tmp_path)
    (folder / "tag_mapping.json").write_text(content, encoding="utf-8")
    assert "tag_mapping.json" in refused(folder) and "download it again" in refused(folder)


@pytest.mark.parametrize("name", ["categories.json", "thresholds.csv"])
def test_a_damaged_file_beside_the_table_is_named(name: str, tmp_path: Path) -> None:
    folder = tiny_taggers.write_pixai(tmp_path)
    (folder / name).write_text('[{"x": 1}]\ncategory,threshold\n0,low', encoding="utf-8")
    assert str(folder / name) in refused(folder)


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path / "timm")
    (folder / "config.json").unlink()
    assert "lacks config.json of a timm model or model.onnx" in refused(folder, ModelNotFoundError)
    folder = tiny_taggers.write_wd_timm(tmp_path / "weights")
    (folder / "model.safetensors").unlink()
    assert "lacks model.safetensors or model.onnx" in refused(folder, ModelNotFoundError)
    folder = tiny_taggers.write_wd_onnx(tmp_path / "table")
    (folder / "selected_tags.csv").unlink()
    assert "holds no tagger: it has no selected_tags.csv" in refused(folder, ModelNotFoundError)


def test_a_damaged_timm_folder_is_named(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert f"{weights} is damaged" in refused(folder)
    weights.write_bytes(whole)
    state = load_file(weights)
    state["head.weight"] = state["head.weight"][:, :-1].contiguous()
    save_file(state, weights)
    assert "does not have the shapes of its config.json: head.weight is [12, 31], not [12, 32]" in refused(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tiny_taggers.write_json(folder / "config.json", {**config, "architecture": "vit_of_tomorrow"})
    assert "cannot build what" in refused(folder) and "vit_of_tomorrow" in refused(folder)


def test_tensors_with_the_names_of_an_older_timm_are_renamed_by_timm(tmp_path: Path) -> None:
    """Once its Swin had the downsampling at the end of a stage, and the head was one layer."""
    folder = tiny_taggers.write_wd_timm(tmp_path)
    arguments = {"img_size": SIZE, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"architecture": "swin_tiny_patch4_window7_224", "model_args": arguments}
    tiny_taggers.write_json(folder / "config.json", config)
    state = timm.create_model(config["architecture"], num_classes=len(ROWS), **arguments).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
    expected = tags_of(load(folder))
    old = {
        name.replace("layers.1.downsample", "layers.0.downsample").replace("head.fc", "head"): value.contiguous()
        for name, value in state.items()
    }
    assert set(old) != set(state)
    save_file(old, folder / "model.safetensors")
    assert tags_of(load(folder)) == expected
    del old["layers.0.downsample.norm.weight"]
    save_file(old, folder / "model.safetensors")
    assert "lack 1 of the model's tensors: layers.1.downsample.norm.weight" in refused(folder)


def test_no_random_weights_are_drawn_and_none_are_left(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_timm(tmp_path)
    before = torch.random.get_rng_state()
    tagger = load(folder)
    assert torch.equal(before, torch.random.get_rng_state())
    state = load_file(folder / "model.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in tagger.module.state_dict().items())


# --- ONNX -------------------------------------------------------------------------------------------------------------


def test_a_damaged_onnx_file_is_named(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)
    path = folder / "model.onnx"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"junk", whole[100:]):
        path.write_bytes(content)
        assert f"{path} is damaged, or needs a newer onnxruntime: download it again" in refused(folder)


def test_weights_in_a_second_file_have_to_come_along(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(
        tmp_path, save_as_external_data=True, location="model.onnx.data", size_threshold=1000
    )
    assert (folder / "model.onnx.data").is_file() and tags_of(load(folder))
    (folder / "model.onnx.data").unlink()
    assert "keeps its weights in a second file, such as model.onnx.data: put it beside it" in refused(folder)


def test_a_foreign_onnx_file_is_refused(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)

    def replace(given: Any, element: int = TensorProto.FLOAT, more: bool = False) -> str:
        inputs = [helper.make_tensor_value_info("input", element, given)]
        inputs += [helper.make_tensor_value_info("more", element, given)] if more else []
        graph = helper.make_graph(
            [helper.make_node("Identity", ["input"], ["output"])], "other", inputs,
            [helper.make_tensor_value_info("output", element, given)],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.save(model, folder / "model.onnx")
        return refused(folder)

    assert "is no tagger: it takes input ['N', 77] tensor(int64)" in replace(["N", 77], TensorProto.INT64)
    assert "is no tagger: it takes" in replace(["N", 32, 32, 3], more=True)
    assert "takes ['N', 32, 32, 4], and models with such a table of tags [batch, height, width, 3]" in replace(
        ["N", 32, 32, 4]
    )
    assert "none of these is known to hold the probabilities of 12 tags" in replace(["N", 32, 32, 3])


def test_an_onnx_file_in_the_other_order_of_axes_asks_for_a_preprocess_json(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)
    tiny_taggers.write_described_model(folder / "model.onnx", vit())
    assert "how its pictures go in must be in a preprocess.json beside it" in refused(folder)


def test_a_preprocess_json_for_another_size_is_refused(tmp_path: Path) -> None:
    folder = tiny_taggers.write_pixai(tmp_path)
    tiny_taggers.write_json(folder / "preprocess.json", [{"type": "resize", "size": [40, 40]}])
    assert f"takes pictures of {SIZE}x{SIZE}, and its preprocess.json gives (40, 40)" in refused(folder)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_an_onnx_file_with_a_fixed_batch_is_fed_as_many(batch: int, tmp_path: Path) -> None:
    free = load(tiny_taggers.write_wd_onnx(tmp_path / "free"))
    fixed = load(tiny_taggers.write_wd_onnx(tmp_path / "fixed", given=[batch, SIZE, SIZE, 3]))
    images = [free.prepare(image) for image in pictures(5)]
    for one, other in zip(fixed.tag(images), free.tag(images), strict=True):
        assert [tag.text for tag in one] == [tag.text for tag in other]
        np.testing.assert_allclose([t.probability for t in one], [t.probability for t in other], rtol=0, atol=1e-5)


def test_an_onnx_file_in_half_precision_is_fed_half_precision(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)
    expected = tags_of(load(folder))
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        node.input[:] = ["wide" if name == "input" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Cast", ["input"], ["wide"], to=TensorProto.FLOAT))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, folder / "model.onnx")
    tagger = load(folder)
    assert tagger.dtype == torch.float16
    assert tags_of(tagger) == expected, "half precision holds whole numbers up to 255"


def test_numbers_that_are_no_probabilities_are_an_error(tmp_path: Path) -> None:
    folder = tiny_taggers.write_pixai(tmp_path)
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        if node.output[0] == "prediction":
            node.op_type = "Identity"
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ModelError, match="gives numbers that are no probabilities"):
        tags_of(load(folder))


def test_a_missing_onnxruntime_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    told = refused(folder)
    assert told == "an ONNX file needs onnxruntime, which is not installed: pip install image-interrogator[onnx]"
    monkeypatch.undo()
    assert tags_of(load(folder))


def test_one_session_serves_all_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: opened.append(a) or session(*a, **k))
    tagger = load(tiny_taggers.write_wd_onnx(tmp_path))
    for _ in range(3):
        tags_of(tagger)
    assert len(opened) == 1


def test_where_onnxruntime_cannot_use_the_device_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from interrogator.taggers.layouts import LAYOUTS
    from interrogator.taggers.onnx_network import OnnxNetwork

    path = tiny_taggers.write_wd_onnx(tmp_path) / "model.onnx"
    with caplog.at_level(logging.WARNING, logger="interrogator"):
        network = OnnxNetwork(path, LAYOUTS["wd-tagger"], None, len(ROWS), torch.device("mps"))
    assert network.device == torch.device("cpu") and "runs on the CPU: this onnxruntime cannot use mps" in caplog.text


class Stop(Exception):
    pass


def test_what_progress_raises_ends_a_run_that_would_last_for_days(tmp_path: Path) -> None:
    folder = tiny_taggers.write_wd_onnx(tmp_path)
    model = onnx.load(folder / "model.onnx")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("Sin", ["value_in"], ["value_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_in", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, None),
        ],
    )
    graph = tiny_taggers.Graph({})
    often, go = graph.constant(10**12, np.int64), graph.constant(True, np.bool_)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in graph.stored.items())
    for node in model.graph.node:
        node.output[:] = ["before" if name == "output" else name for name in node.output]
    model.graph.node.append(helper.make_node("Loop", [often, go, "before"], ["output"], body=body))
    onnx.save(model, folder / "model.onnx")
    tagger = load(folder)
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == 3:
            raise Stop

    with pytest.raises(Stop):
        tagger.tag([tagger.prepare(pictures(1)[0])], stop)
    assert calls == [(0, 1)] * 3


# --- from the hub and on the command line -----------------------------------------------------------------------------


FETCH = """
import sys
from interrogator.registry import load_tagger
tagger = load_tagger(sys.argv[1], device="cpu", dtype="fp32", download=True)
print(type(tagger.network).__name__)
"""


@pytest.mark.parametrize(
    ("write", "repo", "name", "runtime", "files"),
    [
        (
            tiny_taggers.write_anime_timm, "maker/tiny", "maker/tiny", "TimmNetwork",
            {"selected_tags.csv", "config.json", "preprocess.json", "thresholds.csv", "model.safetensors"},
        ),
        (
            tiny_taggers.write_pixai, "deepghs/pixai-tagger-v0.9-onnx", "deepghs/pixai-tagger-v0.9-onnx", "OnnxNetwork",
            {"selected_tags.csv", "categories.json", "preprocess.json", "thresholds.csv", "model.onnx"},
        ),
        (
            tiny_taggers.write_cl, "cella110n/cl_tagger", "cella110n/cl_tagger/cl_tagger_1_02", "OnnxNetwork",
            {"cl_tagger_1_02/tag_mapping.json", "cl_tagger_1_02/model.onnx"},
        ),
        (
            tiny_taggers.write_camie, "maker/camie", "maker/camie", "OnnxNetwork",
            {"camie-tagger-v2-metadata.json", "camie-tagger-v2.onnx"},
        ),
    ],
)  # fmt: skip
def test_only_the_files_that_make_a_tagger_are_fetched(
    write: Callable[[Path], Path], repo: str, name: str, runtime: str, files: set[str], tmp_path: Path
) -> None:
    subfolder = next((file.rpartition("/")[0] for file in files if "/" in file), "")
    write(tmp_path / "repo" / subfolder)
    for more in ("model.msgpack", "README.md", "other/model.onnx"):
        (tmp_path / "repo" / more).parent.mkdir(exist_ok=True)
        (tmp_path / "repo" / more).write_bytes(b"not asked for")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    with SmallHub({repo: files_of(tmp_path / "repo")}) as server:
        env = {
            **inherited, "HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*",
            "INTERROGATOR_HOME": str(tmp_path / "home"),
        }  # fmt: skip
        command = [sys.executable, "-c", FETCH, name]
        done = subprocess.run(
            command, env=env, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0 and done.stdout.strip() == runtime, done.stderr
    assert {file.removeprefix(f"{repo}/") for file in server.sent} == files


def test_tag_prints_what_a_tagger_in_an_onnx_file_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_taggers.write_joytag(tmp_path / "joytag")
    picture = tmp_path / "a.png"
    pictures(1)[0].save(picture)
    assert main(["tag", str(picture), "--tagger", str(folder), "--device", "cpu"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    tags = tags_of(load(folder), Image.open(picture))
    held = {tag.text.replace("_", " "): f"{tag.probability:.4f}" for tag in tags.values() if tag.probability > 0.4}
    assert held and {text: probability for probability, _, text in lines} == held
