"""The prompts in the metadata of generated pictures: real files, real graphs, and files that mean harm."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import interrogator
from interrogator.cli import main
from interrogator.metadata import true_prompt, without_syntax
from interrogator.metadata.graph import read_graph
from interrogator.metadata.positive import positive_of

from .generated import (
    DESCRIPTION,
    MAKE,
    MODEL,
    Graph,
    node,
    parameters,
    save_exif,
    save_png,
    text_to_image,
    user_comment,
    workflow,
)

PICTURE = Image.new("RGB", (16, 12), "teal")
PROMPT = "a red cat, oil on canvas"


def positive(graph: object) -> str:
    return positive_of(read_graph(json.dumps(graph)))


class TestFiles:
    def test_a_png_of_comfyui(self, tmp_path: Path) -> None:
        chunks = {"prompt": json.dumps(text_to_image(PROMPT)), "workflow": json.dumps(workflow("something else"))}
        assert true_prompt(save_png(tmp_path / "a.png", PICTURE, chunks)) == PROMPT

    def test_a_png_with_the_workflow_alone(self, tmp_path: Path) -> None:
        path = save_png(tmp_path / "a.png", PICTURE, {"workflow": json.dumps(workflow(PROMPT))})
        assert true_prompt(path) == PROMPT

    @pytest.mark.parametrize("suffix", ["webp", "jpg"])
    @pytest.mark.parametrize(
        ("prompt_tag", "workflow_tag", "label"),
        [(MODEL, MAKE, "prompt:"), (MAKE, DESCRIPTION, "Prompt: ")],
        ids=["as ComfyUI", "as save nodes"],
    )
    def test_exif_of_comfyui(self, tmp_path: Path, suffix: str, prompt_tag: int, workflow_tag: int, label: str) -> None:
        tags = {
            prompt_tag: label + json.dumps(text_to_image(PROMPT)),
            workflow_tag: "workflow:" + json.dumps(workflow("something else")),
        }
        assert true_prompt(save_exif(tmp_path / f"a.{suffix}", PICTURE, tags)) == PROMPT

    def test_both_in_one_object_in_the_user_comment(self, tmp_path: Path) -> None:
        both = {"prompt": text_to_image(PROMPT), "workflow": workflow("something else")}
        path = save_exif(tmp_path / "a.webp", PICTURE, {}, json.dumps(both).encode())
        assert true_prompt(path) == PROMPT

    def test_a_png_of_a1111(self, tmp_path: Path) -> None:
        path = save_png(tmp_path / "a.png", PICTURE, {"parameters": parameters("a (red cat:1.2), <lora:x:1>")})
        assert true_prompt(path) == "a red cat"

    def test_chunks_behind_the_pixels(self, tmp_path: Path) -> None:
        data = save_png(tmp_path / "a.png", PICTURE, {}).read_bytes()
        body = b"parameters\x00" + parameters(PROMPT).encode()
        chunk = len(body).to_bytes(4, "big") + b"tEXt" + body + zlib.crc32(b"tEXt" + body).to_bytes(4, "big")
        end = data.index(b"IEND") - 4
        assert true_prompt(data[:end] + chunk + data[end:]) == PROMPT

    @pytest.mark.parametrize("suffix", ["webp", "jpg"])
    @pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
    def test_a_user_comment_of_a1111(self, tmp_path: Path, suffix: str, order: str) -> None:
        path = save_exif(tmp_path / f"a.{suffix}", PICTURE, {}, user_comment(parameters("ein Kätzchen, 水彩"), order))
        assert true_prompt(path) == "ein Kätzchen, 水彩"

    @pytest.mark.parametrize("prefix", [b"ASCII\x00\x00\x00", b""])
    def test_a_user_comment_in_eight_bits(self, tmp_path: Path, prefix: bytes) -> None:
        path = save_exif(tmp_path / "a.jpg", PICTURE, {}, prefix + parameters(PROMPT).encode())
        assert true_prompt(path) == PROMPT

    def test_a_prompt_in_other_letters_in_latin_1(self, tmp_path: Path) -> None:
        text = parameters("ein Kätzchen").encode().decode("latin-1")
        assert true_prompt(save_png(tmp_path / "a.png", PICTURE, {"parameters": text})) == "ein Kätzchen"

    def test_the_words_of_a_camera_or_a_person_are_no_prompt(self, tmp_path: Path) -> None:
        tags = {MAKE: "Canon", MODEL: "EOS R5", DESCRIPTION: "my cat on the beach"}
        assert true_prompt(save_exif(tmp_path / "a.jpg", PICTURE, tags, b"ASCII\x00\x00\x00hello")) is None

    def test_what_is_no_picture_has_no_prompt(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("parameters")
        assert true_prompt(tmp_path / "a.png") is None
        assert true_prompt(tmp_path / "missing.png") is None
        assert true_prompt(tmp_path) is None
        assert true_prompt("a\x00b.png") is None
        assert true_prompt(b"") is None


class TestParameters:
    @pytest.mark.parametrize(
        ("text", "prompt"),
        [
            ("a cat", "a cat"),
            ("a cat\nSteps: 20, Sampler: Euler", "a cat"),
            ("a cat,\non a mat\nNegative prompt: dog\nmore dog\nSteps: 2", "a cat, on a mat"),
            ("steps: 3 of them lead up\nSteps: 20", "steps: 3 of them lead up"),
            ("Negative prompt: dog\nSteps: 20", None),
            ("Steps: 20", None),
            ('{"sui_image_params": {"prompt": "a cat"}}', "a cat"),
            ('{"prompt": ["a cat"]}', None),
            ("{a cat|a dog} on a mat", "a cat on a mat"),
            ("[" * 3000 + "cat", "cat"),
            ('{"a":' * 100_000, None),
        ],
    )
    def test_the_prompt_stands_before_the_rest(self, tmp_path: Path, text: str, prompt: str | None) -> None:
        found = true_prompt(save_png(tmp_path / "a.png", PICTURE, {"parameters": text}))
        if text.startswith('{"a":'):
            assert found is not None and len(found) <= 20_000  # no JSON, so it may be a prompt; it is bounded
        else:
            assert found == prompt


class TestGraphs:
    def with_positive(self, **nodes: Any) -> Graph:
        """The default graph, with other nodes behind its sampler's positive input, which comes from `p`."""
        graph = text_to_image("")
        graph["3"]["inputs"]["positive"] = ["p", 0]
        return {**graph, **nodes}

    def test_links_into_string_nodes_are_followed(self) -> None:
        graph = self.with_positive(
            p=node("CLIPTextEncode", text=["s", 0], clip=["4", 1]),
            s=node("StringConcatenate", string_a=["a", 0], string_b="on a mat", delimiter=" "),
            a=node("PrimitiveString", value="a red cat"),
        )
        assert positive(graph) == "a red cat on a mat"

    def test_conditionings_between_are_followed(self) -> None:
        graph = self.with_positive(
            p=node("ControlNetApplyAdvanced", positive=["q", 0], negative=["7", 0], control_net=["c", 0],
                   image=["i", 0], strength=1.0),
            q=node("ControlNetApplyAdvanced", positive=["g", 0], negative=["7", 0], control_net=["c", 0],
                   image=["i", 0], strength=1.0),
            g=node("FluxGuidance", conditioning=["r", 0], guidance=3.5),
            r=node("Reroute", **{"": ["t", 0]}),
            t=node("CLIPTextEncode", text=PROMPT, clip=["4", 1]),
        )  # fmt: skip
        assert positive(graph) == PROMPT

    def test_combined_conditionings_follow_each_other(self) -> None:
        graph = self.with_positive(
            p=node("ConditioningCombine", conditioning_1=["a", 0], conditioning_2=["b", 0]),
            a=node("CLIPTextEncode", text="a red cat", clip=["4", 1]),
            b=node("ConditioningConcat", conditioning_to=["c", 0], conditioning_from=["d", 0]),
            c=node("CLIPTextEncode", text="a mat", clip=["4", 1]),
            d=node("ConditioningZeroOut", conditioning=["7", 0]),
        )
        assert positive(graph) == "a red cat, a mat"

    @pytest.mark.parametrize(
        ("encoder", "texts", "prompt"),
        [
            ("CLIPTextEncodeFlux", {"clip_l": "cat, mat", "t5xxl": "A cat sits on a mat."},
             "cat, mat, A cat sits on a mat."),
            ("CLIPTextEncodeSDXL", {"text_g": "a red cat", "text_l": "a red cat", "width": 1024}, "a red cat"),
            ("CLIPTextEncodeSD3", {"clip_l": "a cat", "clip_g": "a cat", "t5xxl": "a cat on a mat",
                                   "empty_padding": "none"}, "a cat on a mat"),
            ("TextEncodeQwenImageEdit", {"prompt": "make it red", "image": ["5", 0]}, "make it red"),
        ],
    )  # fmt: skip
    def test_encoders_of_several_texts(self, encoder: str, texts: dict[str, Any], prompt: str) -> None:
        assert positive(self.with_positive(p=node(encoder, clip=["4", 1], **texts))) == prompt

    def test_samplers_with_a_guider(self) -> None:
        graph = text_to_image(PROMPT)
        graph["3"] = node("SamplerCustomAdvanced", noise=["n", 0], guider=["g", 0], sampler=["s", 0],
                          sigmas=["x", 0], latent_image=["5", 0])  # fmt: skip
        graph["g"] = node("BasicGuider", model=["4", 0], conditioning=["6", 0])
        assert positive(graph) == PROMPT

    def test_loaders_that_hold_the_texts(self) -> None:
        loader = node("Efficient Loader", ckpt_name="v1-5", positive=PROMPT, negative="blurry", empty_latent_width=512)
        assert positive(self.with_positive(p=loader)) == PROMPT

    def test_a_pipe_leads_to_its_positive(self) -> None:
        graph = text_to_image(PROMPT)
        graph["3"] = node("ImpactKSamplerBasicPipe", basic_pipe=["b", 0], latent_image=["5", 0])
        graph["b"] = node("ToBasicPipe", model=["4", 0], positive=["6", 0], negative=["7", 0])
        assert positive(graph) == PROMPT

    def test_the_first_of_several_samplers_lays_the_picture_out(self) -> None:
        graph = text_to_image(PROMPT)
        graph["8"]["inputs"]["samples"] = ["r", 0]
        graph["r"] = node("KSampler", positive=["d", 0], negative=["7", 0], latent_image=["3", 0])
        graph["d"] = node("CLIPTextEncode", text="detailed skin", clip=["4", 1])
        assert positive(graph) == PROMPT

    def test_a_graph_that_saves_pictures_of_two_prompts_does_not_say_which(self) -> None:
        graph = text_to_image(PROMPT)
        graph |= {
            "s2": node("KSampler", positive=["t2", 0], negative=["7", 0], latent_image=["5", 0]),
            "t2": node("CLIPTextEncode", text="a dog", clip=["4", 1]),
            "o2": node("SaveImage", images=["s2", 0]),
        }
        assert positive(graph) == ""
        graph["t2"]["inputs"]["text"] = PROMPT
        assert positive(graph) == PROMPT

    def test_a_text_that_a_model_writes_while_the_graph_runs_is_not_known(self) -> None:
        graph = self.with_positive(
            p=node("CLIPTextEncode", text=["w", 0], clip=["4", 1]),
            w=node("TextGenerate", clip=["4", 1], prompt="Describe a cat in ten words."),
        )
        assert positive(graph) == ""

    def test_wildcards_are_what_they_came_to(self) -> None:
        graph = self.with_positive(
            p=node("CLIPTextEncode", text=["w", 0], clip=["4", 1]),
            w=node("ImpactWildcardProcessor", wildcard_text="a __color__ cat", populated_text="a red cat"),
        )
        assert positive(graph) == "a red cat"

    def test_without_an_output_the_samplers_decide(self) -> None:
        graph = text_to_image(PROMPT)
        del graph["8"], graph["9"]
        assert positive(graph) == PROMPT

    def test_without_a_sampler_the_one_text_that_is_not_negative_counts(self) -> None:
        encoder = node("CLIPTextEncode", text=PROMPT, clip=["4", 1])
        assert positive({"1": encoder, "2": node("AllInOne", model=["4", 0])}) == PROMPT

    def test_a_workflow_with_named_widgets(self) -> None:
        canvas = workflow("")
        canvas["nodes"][1]["widgets_values"] = [7, "fixed", PROMPT]
        canvas["nodes"][1]["inputs"] += [{"name": name, "widget": {"name": name}} for name in ("seed", "text")]
        assert positive(canvas) == PROMPT

    def test_not_a_number_is_no_harm(self) -> None:
        graph = {**text_to_image(PROMPT), "n": {**node("X", value=float("nan")), "is_changed": [float("nan")]}}
        assert "NaN" in json.dumps(graph)
        assert positive(graph) == PROMPT


class TestHostileGraphs:
    def test_cycles_end(self) -> None:
        graph = text_to_image("")
        graph["6"] = node("CLIPTextEncode", text=["6", 0], clip=["4", 1])
        assert positive(graph) == ""
        graph["3"]["inputs"]["positive"] = ["a", 0]
        graph["a"] = node("ConditioningCombine", conditioning_1=["b", 0], conditioning_2=["a", 0])
        graph["b"] = node("ConditioningCombine", conditioning_1=["a", 0], conditioning_2=["b", 0])
        graph["5"] = node("Upscale", image=["8", 0])
        assert positive(graph) == ""

    def test_a_chain_longer_than_any_stack(self) -> None:
        graph = text_to_image("")
        graph["6"]["inputs"]["text"] = ["s0", 0]
        graph |= {f"s{n}": node("Reroute", **{"": [f"s{n + 1}", 0]}) for n in range(5000)}
        graph["8"]["inputs"]["samples"] = ["l0", 0]
        graph |= {f"l{n}": node("LatentUpscale", samples=[f"l{n + 1}", 0]) for n in range(3000)}
        assert positive(graph) == ""

    def test_texts_that_double_stay_short(self) -> None:
        graph = text_to_image("")
        graph["6"]["inputs"]["text"] = ["s0", 0]
        graph |= {
            f"s{n}": node("StringConcatenate", string_a=[f"s{n + 1}", 0], string_b=[f"s{n + 1}", 0], delimiter="")
            for n in range(60)
        }
        graph["s60"] = node("PrimitiveString", value="lol ")
        assert 0 < len(positive(graph)) <= 20_000

    @pytest.mark.parametrize(
        "text",
        ["", "null", "[]", '["a cat"]', '"a cat"', "7", "NaN", "{", "not JSON", "[" * 100_000, '{"a":' * 100_000,
         "9" * 5000, '{"1": {"class_type": 5, "inputs": {"positive": [[], 0], "text": {}}}}',
         '{"1": {"class_type": "KSampler", "inputs": {"positive": ["1", 0]}}}', '{"nodes": 3}',
         '{"nodes": [null, 5, {"inputs": 7}, {"inputs": [3, {"link": {}}]}], "links": [[], [1], {"id": []}, 4]}',
         '{"nodes": [], "links": {}}', '{"prompt": "{", "workflow": [1]}',
         json.dumps({str(number): node("KSampler", positive=["x", 0]) for number in range(10_001)})],
    )  # fmt: skip
    def test_what_is_no_graph_has_no_prompt(self, text: str, tmp_path: Path) -> None:
        assert positive_of(read_graph(text)) == ""
        assert true_prompt(save_png(tmp_path / "a.png", PICTURE, {"prompt": text})) is None

    def test_texts_of_many_megabytes_are_not_looked_at(self, tmp_path: Path) -> None:
        chunks = {"parameters": "cat, " * 900_000, "prompt": json.dumps(text_to_image(PROMPT))}
        assert true_prompt(save_png(tmp_path / "a.png", PICTURE, chunks)) == PROMPT

    @given(st.data())
    def test_damaged_files_raise_nothing(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(sorted(DAMAGED)))
        content = bytearray(DAMAGED[kind])
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        found = true_prompt(bytes(content[: data.draw(st.integers(0, len(content)))]))
        assert found is None or isinstance(found, str)

    @given(
        st.recursive(
            st.none() | st.floats() | st.text(max_size=4) | st.sampled_from(["1", "2", "KSampler", "positive"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["1", "2", "nodes", "links", "prompt", "class_type", "inputs", "positive", "text"]),
                    inner,
                    max_size=4,
                )
            ),
        )
    )
    def test_any_json_is_read_or_refused(self, value: object) -> None:
        assert isinstance(positive(value), str)


def damaged() -> dict[str, bytes]:
    import io

    kinds: dict[str, bytes] = {}
    for kind in ("PNG", "JPEG", "WEBP"):
        file = io.BytesIO()
        if kind == "PNG":
            from PIL.PngImagePlugin import PngInfo

            info = PngInfo()
            info.add_text("parameters", parameters(PROMPT), zip=True)
            PICTURE.save(file, kind, pnginfo=info)
        else:
            exif = Image.Exif()
            exif[MODEL] = "prompt:" + json.dumps(text_to_image(PROMPT))
            exif.get_ifd(0x8769)[0x9286] = user_comment(parameters(PROMPT))
            PICTURE.save(file, kind, exif=exif)
        kinds[kind] = file.getvalue()
    return kinds


DAMAGED = damaged()


class TestSyntax:
    @pytest.mark.parametrize(
        ("prompt", "plain"),
        [
            ("a (red:1.2) cat, ((fluffy))", "a red cat, fluffy"),
            ("a [wet] dog, [[old]]", "a wet dog, old"),
            ("[cat:dog:0.5], [hat:10], [rain::0.3]", "dog, hat, rain"),
            ("[red|blue] car, {oil|chalk}", "red car, oil"),
            ("cat <lora:fluffy:0.8>, <hypernet:x:1>", "cat"),
            ("a cat BREAK a mat AND a rat", "a cat, a mat, a rat"),
            (r"miku \(vocaloid\), 1girl", "miku (vocaloid), 1girl"),
            ("a cat,\n\n on a\tmat , , ,", "a cat, on a mat"),
            ("embedding:nice.pt, a < b > c", "a < b > c"),
            ("BREAKFAST AND ANDROID", "BREAKFAST, ANDROID"),
            ("<lora:x:1>", ""),
        ],
    )
    def test_what_generators_read_goes(self, prompt: str, plain: str) -> None:
        assert without_syntax(prompt) == plain

    @given(st.text(max_size=200))
    def test_a_plain_prompt_stays_as_it_is(self, text: str) -> None:
        letters = " ".join("".join(each for each in text if each.isalpha() and each.islower()).split())
        assert without_syntax(letters) == letters


@pytest.mark.models
@pytest.mark.usefixtures("one_thread")
def test_pictures_that_hold_their_prompts_calibrate_an_encoder_without_a_captioner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(24):
        image, truth = interrogator.demo.creature(3_000_000 + seed)
        if seed % 2:
            save_png(tmp_path / f"{seed}.png", image, {"prompt": json.dumps(text_to_image(truth.caption))})
        else:
            save_exif(tmp_path / f"{seed}.webp", image, {}, user_comment(parameters(truth.caption)))
    options = ["--captioner", str(tmp_path / "none"), "--cache-dir", str(tmp_path / "cache"), "--device", "cpu"]
    assert main(["calibrate", str(tmp_path), "--preset", "demo", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["references"] == 24
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")  # with neither a caption nor a prompt
    assert main(["calibrate", str(tmp_path), "--preset", "demo", "--json", *options]) == 1
    assert "there is no folder" in capsys.readouterr().err  # now the captioner is needed
