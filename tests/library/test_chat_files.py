"""Files of chat models that are not as they should be: refused in a sentence, mostly before any weights are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from interrogator.captioners import CaptionOptions
from interrogator.captioners.chat import configuration
from interrogator.captioners.chat.captioner import ChatCaptioner
from interrogator.errors import ModelError, ModelLoadError, ModelNotFoundError, RequestError
from interrogator.hub import FileSet, Shards
from interrogator.registry import load_captioner, locate

from .small_hub import SmallHub, files_of
from .small_models import pictures
from .test_chat_families import OLD
from .test_registry import fetched
from .tiny_chat import write_blip2_opt, write_instructblip, write_joycaption, write_llava

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

ROOT = Path(__file__).parents[2]
SHORT = CaptionOptions(max_new_tokens=4, strip=())


def refusal(folder: Path) -> str:
    """The sentence with which a folder is refused."""
    with pytest.raises((ModelLoadError, ModelNotFoundError)) as caught:
        load_captioner(folder, device="cpu", dtype="fp32")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file; None removes one."""
    content = {**json.loads(path.read_text("utf-8")), **changes}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), "utf-8")


# --- by config.json alone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "qwen9_vl", "transformers_version": "7.1.0"}, "a newer transformers .*by 7.1.0.*pip install"),
        ({"model_type": "qwen9_vl"}, "'qwen9_vl', which transformers .* does not know: it needs a newer transformers"),
        (
            {"model_type": "internvl_chat", "auto_map": {"AutoModel": "m.M"}},
            "'internvl_chat', which needs code from its repository; such code is never run.*ends in -hf",
        ),
        ({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}, r"\(Qwen2ForCausalLM\), which writes"),
        ({"model_type": "t5"}, "'t5', which writes text and reads no images"),
        ({"model_type": "clip", "vision_config": {}}, "'clip', not a captioner"),
        ({"model_type": "llava", "quantization_config": {"quant_method": "nvfp9"}}, "quantised by nvfp9, which is not"),
        ({"model_type": "llava", "quantization_config": {"bits": 4}}, "by an unknown method, which is not supported"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_said_before_weights_are_read(
    tmp_path: Path, config: dict[str, Any], says: str
) -> None:
    for name in ("tokenizer.json", "processor_config.json"):
        (tmp_path / name).write_text("{}", "utf-8")
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    assert re.search(says, refusal(tmp_path))


@pytest.mark.parametrize("method", ["bitsandbytes", "awq", "gptq"])
def test_quantised_weights_ask_for_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    folder = write_llava(tmp_path / "model")
    named = {"load_in_4bit": True} if method == "bitsandbytes" else {"quant_method": method, "bits": 4}
    edit(folder / "config.json", quantization_config=named)
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    monkeypatch.setattr(configuration, "find_spec", lambda package: None)
    assert re.search(f"quantised by {method}, for which .* and accelerate must be installed", refusal(folder))


def test_code_in_a_repository_is_not_run_where_transformers_has_its_own(tmp_path: Path) -> None:
    folder = write_llava(tmp_path / "model")
    edit(folder / "config.json", auto_map={"AutoModelForImageTextToText": "modeling.Model"})
    (folder / "modeling.py").write_text("raise SystemExit('remote code was run')", "utf-8")
    captioner = load_captioner(folder, device="cpu", dtype="fp32")
    assert captioner.caption([captioner.prepare(pictures(1)[0])], SHORT)[0]


def test_a_type_that_no_family_lists_loads_where_transformers_knows_it(tmp_path: Path) -> None:
    from transformers import AutoConfig, VipLlavaConfig, VipLlavaForConditionalGeneration

    folder = write_llava(tmp_path / "model")
    config = AutoConfig.from_pretrained(folder)
    other = VipLlavaConfig(
        vision_config=config.vision_config, text_config=config.text_config, vision_feature_layers=[-2, -1],
        image_token_index=3, image_seq_length=16,
    )  # fmt: skip
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    VipLlavaForConditionalGeneration(other).save_pretrained(folder)
    located = locate("captioner", folder)
    assert located.family == "chat"
    captioner = ChatCaptioner.load(folder, device="cpu", dtype="fp32")
    ready = [captioner.prepare(image) for image in pictures(2)]
    answers = captioner.answer(ready, SHORT)
    assert answers == [captioner.answer([one], SHORT)[0] for one in ready]


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["5", "4"])
def test_weights_in_several_files_load(tmp_path: Path, layout: Any) -> None:
    whole = load_captioner(write_llava(tmp_path / "one", layout), device="cpu", dtype="fp32")
    parts = load_captioner(write_llava(tmp_path / "parts", layout, shards=True), device="cpu", dtype="fp32")
    assert len(list((tmp_path / "parts").glob("model-*-of-*.safetensors"))) > 1
    ready = [whole.prepare(image) for image in pictures(2)]
    assert parts.caption(ready, SHORT) == whole.caption(ready, SHORT)


def test_a_missing_part_of_the_weights_is_named(tmp_path: Path) -> None:
    folder = write_llava(tmp_path / "parts", shards=True)
    lost = sorted(folder.glob("model-*.safetensors"))[1]
    lost.unlink()
    assert f"lacks {lost.name}" in refusal(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', "{}"])
def test_an_index_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    folder = write_llava(tmp_path / "parts", shards=True)
    (folder / "model.safetensors.index.json").write_text(content, "utf-8")
    assert "model.safetensors.index.json is no index of weights" in refusal(folder)


def pointer(path: Path) -> None:
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n", "utf-8")


def shortened(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - 1000)] or content[:40])


def reshaped(path: Path) -> None:
    whole = load_file(path)
    name = next(name for name in whole if name.endswith("q_proj.weight"))
    save_file({**whole, name: whole[name][:-4].clone()}, path, metadata={"format": "pt"})


def unknown_decoder(path: Path) -> None:
    edit(path, decoder={"type": "of a newer tokenizers"})


def unlink_all(pattern: Path) -> None:
    for path in pattern.parent.glob(pattern.name):
        path.unlink()


def without_template(path: Path) -> None:
    unlink_all(path)
    edit(path.parent / "tokenizer_config.json", chat_template=None)  # transformers 4.50 saves it there, too


@pytest.mark.parametrize(
    ("damage", "file", "says"),
    [
        (pointer, "model.safetensors", "model.safetensors is a pointer of Git LFS, not the file itself"),
        (unknown_decoder, "tokenizer.json", "does not hold a readable llava model: .*did not match any"),
        (pointer, "tokenizer.json", "tokenizer.json is a pointer of Git LFS, not the file itself"),
        (shortened, "model.safetensors", "model.safetensors is cut off or damaged"),
        (shortened, "tokenizer.json", "tokenizer.json cannot be read"),
        (shortened, "processor_config.json", "processor_config.json cannot be read"),
        (shortened, "generation_config.json", "generation_config.json cannot be read"),
        (reshaped, "model.safetensors", "do not have the shapes of its config.json: .*q_proj.weight"),
        (Path.unlink, "model.safetensors", "lacks model.safetensors or model.safetensors.index.json or"),
        (unlink_all, "*processor_config.json", "lacks processor_config.json or preprocessor_config.json"),
        (Path.unlink, "tokenizer.json", "lacks tokenizer.json or"),
        (without_template, "chat_template.*", "has no chat template: fetch chat_template.jinja or"),
    ],
)
def test_damaged_and_missing_files_are_named(
    tmp_path: Path, damage: Callable[[Path], object], file: str, says: str
) -> None:
    folder = write_llava(tmp_path / "model")
    if OLD and damage is Path.unlink and file.startswith(("processor", "chat")):
        pytest.skip("transformers 4 writes other files")
    damage(folder / file)
    assert re.search(says, refusal(folder))


def test_a_part_that_is_a_pointer_is_named(tmp_path: Path) -> None:
    folder = write_llava(tmp_path / "parts", shards=True)
    part = sorted(folder.glob("model-*.safetensors"))[-1]
    pointer(part)
    assert f"{part.name} is a pointer of Git LFS" in refusal(folder)


# --- processors that do not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_blip2_opt, write_instructblip])
def test_a_configuration_that_names_no_image_token_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    folder = write(tmp_path / "model", "4")
    edit(folder / "config.json", image_token_index=None, image_token_id=None)
    assert "lacks image_token_index, without which the image stays unread: fetch the current" in refusal(folder)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}", "no images"),
        ("{% for m in messages %}<image><image>{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}", "images"),
        ("<image> say something", "leaves the question out"),
        ("{% for m in messages %}{{ nothing.at.all }}{% endfor %}", "leaves the question out"),
    ],
)
def test_a_chat_template_without_question_or_image_is_refused(tmp_path: Path, template: str, says: str) -> None:
    folder = write_llava(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    assert says in refusal(folder)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_llava(tmp_path / "model")
    edit(
        folder / "config.json",
        text_config={**json.loads((folder / "config.json").read_text())["text_config"], "vocab_size": 40},
    )
    whole = load_file(folder / "model.safetensors")
    cut = {
        name: value[:40].clone() if "embed_tokens" in name or "lm_head" in name else value
        for name, value in whole.items()
    }
    save_file(cut, folder / "model.safetensors", metadata={"format": "pt"})
    assert "they do not belong together" in refusal(folder)


def tampered(captioner: Any, **attributes: Any) -> str:
    """The error when a processor with other attributes is used."""
    for name, value in attributes.items():
        setattr(captioner.processor, name, value)
    with pytest.raises(ModelError) as caught:
        captioner.caption([captioner.prepare(pictures(1)[0])], SHORT)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_image_tokens_of_the_wrong_number_are_an_error(tmp_path: Path) -> None:
    llava = load_captioner(write_llava(tmp_path / "llava"), device="cpu", dtype="fp32")
    assert "as runs of [4] tokens, not as one run of 16 tokens" in tampered(llava, patch_size=16)
    blip2 = load_captioner(write_blip2_opt(tmp_path / "blip2"), device="cpu", dtype="fp32")
    assert "as runs of [3] tokens, not as one run of 4 tokens" in tampered(blip2, num_query_tokens=3)


@pytest.mark.parametrize("where", ["ask", "system", "prefix"])
def test_a_question_cannot_hold_what_stands_for_an_image(tmp_path: Path, where: str) -> None:
    llava = ChatCaptioner.load(write_llava(tmp_path / "llava"), device="cpu", dtype="fp32")
    options = CaptionOptions(max_new_tokens=4, **{where: "what is <image>?"})
    for refuse in (lambda: llava.check(options), lambda: llava.caption([llava.prepare(pictures(1)[0])], options)):
        with pytest.raises(RequestError, match="must not hold <image>, which stands for an image"):
            refuse()


def test_a_second_start_token_is_an_error(tmp_path: Path) -> None:
    folder = write_joycaption(tmp_path / "joy")
    captioner = ChatCaptioner.load(folder, device="cpu", dtype="fp32")
    ids = captioner._inputs.tensors([pictures(1)[0]], [captioner._wording.text("what?")])["input_ids"][0].tolist()
    assert ids.count(0) == 1, "its template writes the token that its tokenizer adds, too"
    captioner._wording.shows_start = False
    with pytest.raises(ModelError, match="has two start tokens"):
        captioner.caption([captioner.prepare(pictures(1)[0])], SHORT)


# --- from the hub -----------------------------------------------------------------------------------------------------


def test_shards_are_fetched_and_other_copies_of_the_weights_are_not(tmp_path: Path) -> None:
    folder = write_llava(tmp_path / "model", "4", shards=True)
    parts = {path.name for path in folder.glob("model-*.safetensors")}
    files = files_of(folder)
    extra = (
        "pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json", "model.gguf",
        "onnx/model.onnx", "original/consolidated.00.pth", "tf_model.h5", "README.md",
    )  # fmt: skip
    files |= {name: b"another copy" for name in extra}
    with SmallHub({"maker/tiny": files}) as server:
        ((kind, message),) = fetched(tmp_path, server.address, ("captioner", "maker/tiny"))
    assert kind == "", message
    sent = {name.removeprefix("maker/tiny/") for name in server.sent}
    assert parts <= sent and not sent & set(extra)
    assert {"chat_template.json", "preprocessor_config.json", "tokenizer.json", "config.json"} <= sent


def test_a_repository_that_cannot_be_loaded_is_refused_before_its_weights_are_fetched(tmp_path: Path) -> None:
    quantised = {"quant_method": "nvfp9"}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"model_type": "qwen9_vl"}, "needs a newer transformers"),
        ({"model_type": "x", "auto_map": {"AutoModel": "m.M"}}, "needs code from its repository"),
        ({"model_type": "qwen2"}, "reads no images"),
        ({"model_type": "llava", "quantization_config": quantised}, "quantised by nvfp9, which is not"),
    )
    repositories = {
        f"maker/{number}": {
            "config.json": json.dumps(config).encode(), "model.safetensors": b"weights", "tokenizer.json": b"{}"
        }
        for number, (config, _) in enumerate(cases)
    }  # fmt: skip
    with SmallHub(repositories) as server:
        told = fetched(tmp_path, server.address, *(("captioner", name) for name in repositories))
    for (_, says), (kind, message) in zip(cases, told, strict=True):
        assert kind == "ModelLoadError" and says in message
    assert set(server.sent) <= {f"{name}/config.json" for name in repositories}


def test_a_set_of_files_takes_shards_only_with_their_index() -> None:
    files = FileSet(
        any_of=(("m.safetensors", "m.index.json", "m.bin"),), shards=(Shards("m.index.json", "m-*-of-*.safetensors"),)
    )
    cut = {"m-1-of-2.safetensors", "m-2-of-2.safetensors"}
    assert set(files.pick({"m.index.json", "m.bin", *cut})) == {"m.index.json", *cut}
    assert set(files.pick({"m.safetensors", "m.index.json", *cut})) == {"m.safetensors"}
    assert set(files.pick({"m.bin", *cut})) == {"m.bin"}
