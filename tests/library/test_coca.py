"""CoCa as a captioner: the captions of open_clip's own blocks, without a cache, and where a CoCa is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from interrogator import catalog, load_captioner, load_encoder, registry
from interrogator.captioners import CaptionOptions, SamplingOptions
from interrogator.captioners.coca.captioner import CocaCaptioner
from interrogator.captioners.sampling import sample_captions
from interrogator.encoders.open_clip.files import CONFIG_FILE
from interrogator.errors import ModelError, ModelLoadError, ModelNotFoundError, RequestError, UnknownModelError

from . import small_models
from .small_models import pictures
from .tiny_checkpoints import prepared, write_coca, write_open_clip

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

START, END, PADDING = 49406, 49407, 0
NEVER = float("-inf")

KINDS = ["as published", "corrected mask", "short context"]


@pytest.fixture(scope="module", params=KINDS)
def coca(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CocaCaptioner:
    text = {"context_length": 24} if request.param == "short context" else {}
    coca = CocaCaptioner.load(write_coca(tmp_path_factory.mktemp("coca"), **text), device="cpu", dtype="fp32")
    if request.param == "corrected mask":
        coca.module.text.correct_cls_mask = True  # type: ignore[union-attr]
    return coca


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return pictures(4)


def log_probabilities(model: Any, embeddings: Tensor, tokens: list[int]) -> Tensor:
    """Of every next token [V] after `tokens`, for one image; the whole text is computed, by open_clip's own forward."""
    with torch.no_grad():
        _, text = model._encode_text(torch.tensor([tokens]))
        logits: Tensor = model.text_decoder(embeddings, text)[0, -1]  # [V]
    return logits.log_softmax(dim=-1)


def restrained(scores: Tensor, tokens: list[int], new: int, options: CaptionOptions) -> Tensor:
    """Scores [V] by the rules of the options, for the token after `tokens`, of which the last `new` are new."""
    scores = scores.clone()
    for token in set(tokens):
        penalty = options.repetition_penalty
        scores[token] = scores[token] / penalty if scores[token] > 0 else scores[token] * penalty
    scores[[START, PADDING]] = NEVER
    if new < options.min_new_tokens:
        scores[END] = NEVER
    size = options.no_repeat_ngram_size
    for at in range(len(tokens) - size + 1 if size else 0):
        if tokens[at : at + size - 1] == tokens[len(tokens) - size + 1 :]:
            scores[tokens[at + size - 1]] = NEVER
    return scores


def greedy(model: Any, embeddings: Tensor, prompt: list[int], options: CaptionOptions) -> list[int]:
    tokens = [START, *prompt]
    for new in range(options.max_new_tokens or 0):
        with torch.no_grad():
            _, text = model._encode_text(torch.tensor([tokens]))
            logits = model.text_decoder(embeddings, text)[0, -1]
        token = int(restrained(logits, tokens, new, options).argmax())
        if token == END:
            break
        tokens.append(token)
    return tokens[1 + len(prompt) :]


def beams(model: Any, embeddings: Tensor, prompt: list[int], options: CaptionOptions) -> list[int]:
    """Every continuation of every text in progress, sorted; nothing is stored but texts."""
    most, width = options.max_new_tokens or 0, options.num_beams
    running: list[tuple[float, list[int]]] = [(0.0, [])]
    ended: list[tuple[float, list[int]]] = []
    for new in range(most):
        longer: list[tuple[float, list[int]]] = []
        for score, text in running:
            tokens = [START, *prompt, *text]
            scores = restrained(log_probabilities(model, embeddings, tokens), tokens, new, options)
            longer += [
                (score + float(scores[token]), [*text, token]) for token in scores.topk(2 * width).indices.tolist()
            ]
        longer.sort(key=lambda each: -each[0])
        for score, text in longer[:width]:
            if text[-1] == END or new + 1 == most:
                ended.append((score / (new + 1) ** options.length_penalty, [each for each in text if each != END]))
        ended = sorted(ended, key=lambda each: -each[0])[:width]
        running = [(score, text) for score, text in longer if text[-1] != END][:width]
        if len(ended) == width and running[0][0] / (new + 1) ** options.length_penalty <= ended[-1][0]:
            break
    return ended[0][1]


OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "two beams": {"num_beams": 2},
    "four beams": {"num_beams": 4},
    "for long captions": {"num_beams": 3, "length_penalty": 2.0, "repetition_penalty": 1.4},
    "for short captions": {"num_beams": 3, "length_penalty": -1.0, "min_new_tokens": 3},
    "no repeats": {"no_repeat_ngram_size": 1, "repetition_penalty": 3.0},
    "after a prefix": {"prefix": "a photo of", "keep_prefix": True},
    "beams after a prefix": {"prefix": "a photo of", "num_beams": 3},
    "after a prefix with the id of padding": {"prefix": "!~ a", "num_beams": 2},
    "one token": {"num_beams": 3, "max_new_tokens": 1},
}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_captions_are_those_of_the_models_own_blocks(coca: CocaCaptioner, images: list[Image.Image], name: str) -> None:
    model: Any = coca.module
    options = CaptionOptions(**{"strip": (), "max_new_tokens": 9, **OPTIONS[name]})
    prompt = coca.tokenizer.encode(options.prefix)
    expected = []
    for pixels in prepared(coca, images):
        with torch.no_grad():
            _, embeddings = model._encode_image(pixels[None])
        search = greedy if options.num_beams == 1 else beams
        expected.append(coca.text_of(prompt, search(model, embeddings, prompt, options), options))
    assert coca.caption(prepared(coca, images), options) == expected
    assert len(set(expected)) > 1
    if name == "after a prefix with the id of padding":
        assert PADDING in prompt


def with_likely_end(coca: CocaCaptioner) -> CocaCaptioner:
    """The same captioner with an end token that comes up now and then."""
    model: Any = coca.module
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    projection = weights["text_decoder.text_projection"]  # [D, V]
    projection[:, END] = projection[:, 1010] * 4
    other = small_models.coca()
    other.load_state_dict(weights)
    return CocaCaptioner(other, coca.preprocess, coca.tokenizer)


@pytest.mark.parametrize("name", ["greedy", "two beams", "four beams", "for long captions", "for short captions"])
def test_captions_that_end_by_themselves_are_those_of_the_models_own_blocks(tmp_path: Path, name: str) -> None:
    coca = with_likely_end(CocaCaptioner.load(write_coca(tmp_path / "coca"), device="cpu", dtype="fp32"))
    model: Any = coca.module
    options = CaptionOptions(**{"strip": (), "max_new_tokens": 12, **OPTIONS[name]})
    lengths = []
    for pixels in prepared(coca, pictures(6)):
        with torch.no_grad():
            _, embeddings = model._encode_image(pixels[None])
        tokens = (greedy if options.num_beams == 1 else beams)(model, embeddings, [], options)
        assert coca.caption([pixels], options) == [coca.text_of([], tokens, options)]
        lengths.append(len(tokens))
    assert min(lengths) < max(lengths), "they end at different steps"
    together = coca.caption(prepared(coca, pictures(6)), options)
    assert together == [coca.caption([pixels], options)[0] for pixels in prepared(coca, pictures(6))]


def test_logits_with_a_cache_are_the_models_own(coca: CocaCaptioner, images: list[Image.Image]) -> None:
    """To the rounding of float32, whatever the captions."""
    options = SamplingOptions(count=3, max_new_tokens=8, min_new_tokens=8, top_p=1.0, strip=(), prefix="!~ cat")
    prompt = coca.tokenizer.encode(options.prefix)
    for pixels, found in zip(prepared(coca, images), sample_captions(coca, images, list("abcd"), options), strict=True):
        with torch.no_grad():
            _, embeddings = coca.module._encode_image(pixels[None])  # type: ignore[operator]
        for one in found:
            before, total = [START, *prompt], 0.0
            for token in one.tokens:
                total += float(log_probabilities(coca.module, embeddings, before)[token])
                before.append(token)
            assert one.log_probability == pytest.approx(total, abs=1e-4)


def test_an_image_is_encoded_once_for_all_beams(coca: CocaCaptioner, images: list[Image.Image]) -> None:
    model: Any = coca.module
    sizes: dict[str, list[int]] = {"image": [], "cross": []}
    hooks = [
        model.visual.conv1.register_forward_hook(lambda module, given, out: sizes["image"].append(len(out))),
        model.text_decoder.cross_attn[0].ln_1_kv.register_forward_hook(
            lambda module, given, out: sizes["cross"].append(len(out))
        ),
    ]
    coca.caption(prepared(coca, images), CaptionOptions(num_beams=5, max_new_tokens=6, batch_size=3))
    for hook in hooks:
        hook.remove()
    assert sizes == {"image": [3, 1], "cross": [3, 1]}


def test_samples_hang_on_seed_and_key_not_on_the_batch(coca: CocaCaptioner, images: list[Image.Image]) -> None:
    options = SamplingOptions(count=4, max_new_tokens=8, strip=())

    def tokens(images: list[Image.Image], keys: str) -> list[list[tuple[int, ...]]]:
        return [[one.tokens for one in some] for some in sample_captions(coca, images, list(keys), options)]

    found = tokens(images, "abcd")
    assert tokens(images[2:3], "c") == found[2:3]
    assert tokens(images[:1], "z") != found[:1]
    assert len({one for some in found for one in some}) > 4
    warm = CaptionOptions(temperature=1.0, max_new_tokens=8, strip=())
    alone = [coca.caption([pixels], warm)[0] for pixels in prepared(coca, images)]
    assert coca.caption(prepared(coca, images), warm) == alone
    with pytest.raises(RequestError, match="cannot do forbidden words"):
        coca.sample(prepared(coca, images), list("abcd"), SamplingOptions(forbidden=("cat",), max_new_tokens=8))


def test_what_is_too_long_for_the_context_is_refused(coca: CocaCaptioner, images: list[Image.Image]) -> None:
    room, model = coca.room(), cast(Any, coca.module)
    assert room == model.text_decoder.context_length - 1
    full = CaptionOptions(prefix="a cat", max_new_tokens=room - 2, min_new_tokens=room - 2, strip=())
    (caption,) = coca.caption(prepared(coca, images[:1]), full)
    assert caption
    with pytest.raises(RequestError, match=rf"\(2 tokens\) and max_new_tokens \({room - 1}\) exceed the {room} tokens"):
        coca.caption(prepared(coca, images[:1]), CaptionOptions(prefix="a cat", max_new_tokens=room - 1))


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("a cat, a dog.", "a cat, a dog."),
        ("the cat's ball ; it isn't here !", "the cat's ball; it isn't here!"),
        ("a red - green (old) house", "a red - green (old) house"),
    ],
)
def test_signs_stand_where_people_write_them(coca: CocaCaptioner, text: str, caption: str) -> None:
    ids = coca.tokenizer.encode(text)
    assert coca.text_of([], ids, CaptionOptions(strip=())).replace("( ", "(") == caption


# --- where it is found ------------------------------------------------------------------------------------------------


def test_a_folder_is_a_captioner_and_an_encoder(tmp_path: Path) -> None:
    folder = write_coca(tmp_path / "coca")
    assert load_captioner(folder, device="cpu").family == "coca"
    assert load_encoder(folder, device="cpu").family == "open_clip"
    plain = write_open_clip(tmp_path / "clip")
    with pytest.raises(ModelLoadError, match="holds an encoder, not a captioner"):
        load_captioner(plain, device="cpu")


def test_names_of_open_clip_are_looked_up_in_the_folder_for_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "coca_ViT-B-32/mscoco_finetuned_laion2b_s13b_b90k"
    row = catalog.known_model("captioner", name)
    assert row is not None and row.family == "coca" and row.licence == "MIT"
    with pytest.raises(ModelNotFoundError, match="mscoco_finetuned_CoCa-ViT-B-32.*1.0 GB"):
        registry.locate("captioner", name)
    with pytest.raises(ModelNotFoundError, match="laion/CoCa-ViT-B-32"):
        registry.locate("captioner", "coca_ViT-B-32/laion2b_s13b_b90k")
    with pytest.raises(UnknownModelError, match="coca_ViT-L-14"):
        registry.locate("captioner", "coca_ViT-L-15")
    with pytest.raises(UnknownModelError, match="unknown tag of coca_ViT-L-14 'openai'"):
        registry.locate("captioner", "coca_ViT-L-14/openai")
    with pytest.raises(ModelLoadError, match="ViT-L-14/openai is an encoder, not a captioner"):
        registry.locate("captioner", "ViT-L-14/openai")
    weights = next(write_coca(tmp_path / "coca").glob("*.safetensors"))
    located = registry.locate("captioner", "coca_ViT-B-32", checkpoint=weights)
    assert (located.family, located.folder) == ("coca", weights.parent)
    with pytest.raises(ModelLoadError, match="does not contain the weights of coca_ViT-B-32"):
        registry.load(located, device="cpu")


def test_a_coca_of_another_build_is_refused(tmp_path: Path, coca: CocaCaptioner) -> None:
    with pytest.raises(ModelError, match="is not a CoCa: it is a CLIP without a text decoder"):
        CocaCaptioner(small_models.vit(), coca.preprocess, coca.tokenizer)
    changed: Any = small_models.coca()
    changed.text_decoder.cross_attn[0] = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="layers of type Linear"):
        CocaCaptioner(changed, coca.preprocess, coca.tokenizer)
    folder = write_coca(tmp_path / "coca")
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["model_cfg"]["text_cfg"]["no_causal_mask"] = True
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ModelLoadError, match="not the causal one of open_clip"):
        load_captioner(folder, device="cpu")
