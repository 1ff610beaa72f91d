"""OpenClipEncoder against the models themselves, over small random ones of every kind."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interrogator import Encoder, OpenClipEncoder
from interrogator.embeddings.identity import PROBE_TOLERANCE
from interrogator.encoders.tokens import Tokens
from interrogator.prompts import join

from . import small_models
from .small_models import encoder, expected_texts, pictures, unit_rows
from .tiny_checkpoints import prepared

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

TEXTS = (
    "a cat",
    "",
    "oil on canvas",
    "a detailed painting of a lighthouse by Claude Monet, trending on Artstation, 8k!",
    "!",
    "wow !! what?! a!b",
    "a cat",
    "café, 浮世絵, \U0001f3a8",
    ", ".join(["a very long prompt that no context holds"] * 20),
)
CAUSAL = {"vit", "quick gelu", "resnet", "custom text", "eos", "coca", "last", "worldwide"}
TRIMMED = {"bert", "roberta"}
PADDED = {"siglip", "clips"}


@pytest.fixture(scope="module")
def make(bert_folder: Path, roberta_folder: Path) -> Callable[[str], OpenClipEncoder]:
    """A new encoder around a small model of a kind, by name."""

    def clips() -> OpenClipEncoder:
        vocabulary = len(small_models.hf_tokenizer(bert_folder).tokenizer)
        model = small_models.custom_text(vocab_size=vocabulary, no_causal_mask=True, pool_type="last")
        return encoder(model, small_models.hf_tokenizer(bert_folder, "clips"))

    def worldwide() -> OpenClipEncoder:
        tokenizer = small_models.hf_tokenizer(roberta_folder)
        end = tokenizer.tokenizer.sep_token_id
        model = small_models.custom_text(vocab_size=len(tokenizer.tokenizer), pool_type="eos", eos_id=end)
        return encoder(model, tokenizer)

    kinds: dict[str, Callable[[], OpenClipEncoder]] = {
        "vit": lambda: encoder(small_models.vit()),
        "quick gelu": lambda: encoder(small_models.vit(quick_gelu=True)),
        "resnet": lambda: encoder(small_models.resnet()),
        "custom text": lambda: encoder(small_models.custom_text()),
        "eos": lambda: encoder(small_models.eos_pooling()),
        "bert": lambda: encoder(small_models.hf_text(bert_folder), small_models.hf_tokenizer(bert_folder)),
        "roberta": lambda: encoder(small_models.hf_text(roberta_folder), small_models.hf_tokenizer(roberta_folder)),
        "coca": lambda: encoder(small_models.coca()),
        "siglip": lambda: encoder(small_models.siglip_like()),
        "last": lambda: encoder(small_models.custom_text(pool_type="last")),
        "clips": clips,
        "worldwide": worldwide,
    }
    return lambda kind: kinds[kind]()


@pytest.mark.parametrize("kind", sorted(CAUSAL | TRIMMED | PADDED))
def test_embeddings_are_the_models_own(make: Callable[[str], OpenClipEncoder], kind: str) -> None:
    subject = make(kind)
    rows = subject.encode_texts(TEXTS)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows, expected_texts(subject.model, subject.tokenizer, TEXTS), atol=1e-5)
    images = pictures(3)
    pixels = torch.stack([subject.preprocess(image) for image in images])
    with torch.no_grad():
        expected = unit_rows(subject.model.encode_image(pixels))
    assert torch.allclose(subject.embed(prepared(subject, images)), expected, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(CAUSAL | TRIMMED | PADDED))
def test_causal_towers_share_beginnings_and_others_get_the_shortest_padding_they_do_not_see(
    make: Callable[[str], OpenClipEncoder], kind: str
) -> None:
    subject = make(kind)
    lengths: list[int] = []
    encode = subject.model.encode_text
    subject.model.encode_text = lambda ids: (lengths.append(ids.shape[1]), encode(ids))[1]
    subject.encode_texts(["cat"])  # tries the tower
    lengths.clear()
    subject.encode_texts(["cat", "two dogs"])
    if kind in CAUSAL:
        assert subject.text_tower is not None
        assert not lengths
    else:
        assert subject.text_tower is None
        assert (max(lengths) < 8) == (kind in TRIMMED)
        assert (set(lengths) == {subject.context_length}) == (kind in PADDED)


def test_a_chain_step_encodes_the_prompt_once_and_each_phrase_behind_it(
    make: Callable[[str], OpenClipEncoder],
) -> None:
    subject = make("vit")
    subject.encode_texts(["a cat"])
    tower = subject.text_tower
    assert tower is not None
    phrases = ["oil on canvas", "oil painting", "by Claude Monet", "8k"]
    prompt = "a detailed painting of a lighthouse at night"
    prefix = subject.count(prompt + ",") - 1  # without the end token
    behind = [subject.count(phrase) - 2 for phrase in phrases]
    before = tower.nodes
    subject.encode_continuations(prompt, phrases)
    # The two that begin with "oil" share its token, and every phrase has an end token of its own.
    assert tower.nodes - before == prefix + sum(behind) - 1 + len(phrases)


def test_phrases_are_tokenised_once_for_all_prompts_and_not_at_all_when_their_ids_are_known(
    make: Callable[[str], OpenClipEncoder],
) -> None:
    class Counting:
        def __init__(self, tokenizer: Any) -> None:
            self.tokenizer, self.read = tokenizer, list[str]()

        def __call__(self, texts: list[str], context_length: int) -> Tensor:
            self.read += texts
            ids: Tensor = self.tokenizer(texts, context_length=context_length)
            return ids

    full = make("vit")
    phrases = ["oil on canvas", "8k", "caf\u00e9", "black & white"]
    tokenizers = [Counting(full.tokenizer) for _ in range(2)]
    one, other = (OpenClipEncoder(full.model, full.preprocess, tokenizer, "counted") for tokenizer in tokenizers)
    for subject, tokenizer in zip((one, other), tokenizers, strict=True):
        tokenizer.context_length = full.context_length  # type: ignore[attr-defined]
        subject.encode_continuations("a dog", ["a boat"])  # tries tower and tokenizer
        tokenizer.read.clear()
    first = [one.encode_continuations(prompt, phrases) for prompt in ("a cat", "a cat, oil on canvas", "")]
    assert tokenizers[0].read.count("oil on canvas") == 1
    assert "a cat, oil on canvas, 8k" not in tokenizers[0].read
    # Cleaning may reach across the border of these two, so they are read whole each time.
    assert {"a cat, caf\u00e9", "a cat, black & white"} <= set(tokenizers[0].read)

    other.remember_tokens(phrases, *one.token_ids(phrases))
    second = [other.encode_continuations(prompt, phrases) for prompt in ("a cat", "a cat, oil on canvas", "")]
    assert not {"oil on canvas", "8k"} & set(tokenizers[1].read)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@given(
    st.text(st.sampled_from("ab é!?.,'019<>&;[]()-_ TM\"") | st.characters(), max_size=30),
    st.lists(st.text(st.sampled_from("ab é!?.,'019<>&;[]()-_ TM\"") | st.characters(), max_size=12), max_size=6),
)
@settings(max_examples=300)
def test_ids_put_together_from_parts_are_those_of_the_whole_text(prompt: str, phrases: list[str]) -> None:
    for length in (77, 12):
        tokens = _shared_tokens(length)
        expected = tokens.ids([join(prompt, phrase) for phrase in phrases])
        assert torch.equal(tokens.continuations(prompt, phrases), expected.reshape(len(phrases), length))


@cache
def _shared_tokens(length: int) -> Tokens:
    return Tokens(_shared_vit().tokenizer, length)


@pytest.mark.parametrize("folder", ["bert_folder", "roberta_folder"])
def test_ids_of_hugging_face_tokenizers_are_put_together_too(folder: str, request: pytest.FixtureRequest) -> None:
    tokenizer = small_models.hf_tokenizer(request.getfixturevalue(folder))
    both = [Tokens(tokenizer, length) for length in (77, 10)]

    @given(st.text(st.characters(codec="ascii"), max_size=30), st.text(st.characters(codec="ascii"), max_size=12))
    @settings(max_examples=100)
    def holds(prompt: str, phrase: str) -> None:
        for tokens in both:
            assert torch.equal(tokens.continuations(prompt, [phrase]), tokens.ids([join(prompt, phrase)]))

    holds()


def test_a_text_longer_than_the_context_is_cut_and_said(
    make: Callable[[str], OpenClipEncoder], caplog: pytest.LogCaptureFixture
) -> None:
    subject = make("vit")
    full = " ".join(["cat"] * (subject.context_length - 2))
    subject.encode_texts(["a cat", full])
    assert not caplog.records
    rows = subject.encode_texts([full, f"{full} dog", f"{full} dog"])
    assert torch.equal(rows[0], rows[1])
    [record] = caplog.records
    assert "78 tokens was cut to the 77" in record.getMessage()


def test_a_tower_that_answers_otherwise_than_the_model_steps_aside_with_a_warning(
    make: Callable[[str], OpenClipEncoder], caplog: pytest.LogCaptureFixture
) -> None:
    class Peculiar(nn.Module):
        """A block of the usual structure that does something of its own."""

        def __init__(self, block: Any) -> None:
            super().__init__()
            self.ln_1, self.attn, self.ln_2, self.mlp = block.ln_1, block.attn, block.ln_2, block.mlp
            self.inner = [block]

        def forward(self, x: Tensor, attn_mask: Tensor | None = None) -> Tensor:
            answer: Tensor = self.inner[0](x, attn_mask=attn_mask)
            return 1.01 * answer + 0.01 * x.roll(1, dims=-1)

    subject = make("vit")
    blocks = subject.model.transformer.resblocks
    blocks[0] = Peculiar(blocks[0])
    blocks[0].get_weight_dtype = blocks[0].inner[0].get_weight_dtype
    rows = subject.encode_texts(TEXTS)
    assert subject.text_tower is None
    assert "go through the model's own forward" in caplog.text
    assert torch.allclose(rows, expected_texts(subject.model, subject.tokenizer, TEXTS), atol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "coca", "bert"])
def test_rows_follow_the_order_of_the_texts_and_equal_texts_get_equal_rows(
    make: Callable[[str], OpenClipEncoder], kind: str
) -> None:
    subject = make(kind)
    texts = ["two dogs", "a cat", "a long way to the sea and back", "a cat", "A  CAT"]
    rows = subject.encode_texts(texts)
    assert torch.equal(rows[1], rows[3])
    assert torch.equal(rows[1], rows[4])  # other letters, the same tokens
    assert torch.allclose(subject.encode_texts(texts[::-1]), rows.flip(0), atol=1e-6)


def test_no_texts_and_no_images_give_no_rows(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("vit")
    assert subject.encode_texts([]).shape == (0, small_models.WIDTH)
    assert subject.embed(prepared(subject, [])).shape == (0, small_models.WIDTH)
    assert subject.encode_continuations("a cat", []).shape == (0, small_models.WIDTH)


def test_continuations_are_the_prompt_a_comma_and_the_phrase(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("vit")
    phrases = ["oil on canvas", "8k", "'s hat", "!"]
    rows = subject.encode_continuations("a cat", phrases)
    assert torch.allclose(rows, subject.encode_texts([f"a cat, {phrase}" for phrase in phrases]), atol=1e-6)
    assert torch.allclose(subject.encode_continuations("", phrases), subject.encode_texts(phrases), atol=1e-6)


def test_a_row_does_not_depend_on_its_batch(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("vit")
    texts = [*small_models.some_phrases(12), TEXTS[3], TEXTS[8]]  # several batches, short and long
    together = subject.encode_texts(texts)
    for place in (0, 17, len(texts) // 2, len(texts) - 1):
        assert torch.allclose(together[place], subject.encode_texts([texts[place]])[0], atol=1e-5)


def test_a_batch_of_images_gives_what_each_gives_alone(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("vit")
    images = [*pictures(18), pictures(1)[0].convert("L"), pictures(1)[0].convert("RGBA")]
    together = subject.embed(prepared(subject, images))
    alone = torch.cat([subject.embed(prepared(subject, [image])) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together.norm(dim=-1), torch.ones(len(images)), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["vit", "bert", "coca"])
def test_half_precision_weights_run_in_their_own_precision(
    make: Callable[[str], OpenClipEncoder], kind: str, dtype: torch.dtype
) -> None:
    full = make(kind)
    subject = OpenClipEncoder(copy.deepcopy(full.model).to(dtype), full.preprocess, full.tokenizer, "half")
    assert subject.dtype == dtype
    texts = TEXTS[:4]
    rows = subject.encode_texts(texts)
    assert rows.dtype == torch.float32
    noise = 8 * torch.finfo(dtype).eps
    assert torch.allclose(rows, expected_texts(subject.model, subject.tokenizer, texts), atol=noise)
    assert torch.allclose(rows, full.encode_texts(texts), atol=4 * noise)
    images = pictures(2)
    assert torch.allclose(subject.embed(prepared(subject, images)), full.embed(prepared(full, images)), atol=4 * noise)


@pytest.mark.parametrize("kind", ["vit", "bert", "coca"])
def test_bfloat16_over_float32_weights_runs_under_autocast(make: Callable[[str], OpenClipEncoder], kind: str) -> None:
    full = make(kind)
    subject = OpenClipEncoder(full.model, full.preprocess, full.tokenizer, "autocast", torch.bfloat16)
    texts = TEXTS[:4]
    rows = subject.encode_texts(texts)
    assert rows.dtype == torch.float32
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = unit_rows(full.model.encode_text(full.tokenizer(list(texts))))
    assert torch.allclose(rows, expected, atol=0.05)
    difference = float((rows - full.encode_texts(texts)).abs().max())
    assert 1e-5 < difference < 0.05  # near float32, and not float32
    assert subject.identity().dtype == "bfloat16"
    assert subject.identity().difference(full.identity().probes) < 1e-5
    assert all(parameter.dtype == torch.float32 for parameter in subject.module.parameters())


def hf_count(tokenizer: Any, text: str) -> int:
    return len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)


@given(st.one_of(st.text(max_size=40), st.text("ab !?.,'0123<>&;éßẞŉﬁ…½ﷺİ", max_size=40)))
@settings(max_examples=300)
def test_count_is_the_number_of_tokens(text: str) -> None:
    subject = _shared_vit()
    tokens = len(subject.tokenizer.encode(text)) + 2
    assert subject.count(text) == tokens
    assert subject.fits(text) == (tokens <= subject.context_length)


_SHARED: list[OpenClipEncoder] = []


def _shared_vit() -> OpenClipEncoder:
    if not _SHARED:  # a fixture of function scope would be made anew for each example
        _SHARED.append(encoder(small_models.vit()))
    return _SHARED[0]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_count_with_a_hugging_face_tokenizer_and_any_padding_id(
    make: Callable[[str], OpenClipEncoder], kind: str
) -> None:
    subject = make(kind)

    @given(st.text(st.characters(codec="ascii"), max_size=40))
    @settings(max_examples=100)
    def counts(text: str) -> None:
        assert subject.count(text) == hf_count(subject.tokenizer, text)
        ids = subject.tokenizer([text])[0]
        pad = subject.tokenizer.tokenizer.pad_token_id
        assert subject.count(text) == int((ids != pad).sum())

    counts()
    most = subject.context_length
    letters = ["b"] * (most - 2)
    assert subject.count(" ".join(letters)) == most
    assert subject.fits(" ".join(letters))
    assert not subject.fits(" ".join([*letters, "b"]))


def test_count_in_clips_mode_knows_the_class_token_behind_the_padding(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("clips")
    assert subject.count("") == 3  # begin, end and class
    most = subject.context_length
    letters = ["b"] * (most - 3)
    assert subject.count(" ".join(letters)) == most
    assert subject.fits(" ".join(letters))
    assert not subject.fits(" ".join([*letters, "b"]))
    full, over = (subject.tokenizer([" ".join(text)])[0] for text in (letters, [*letters, "b"]))
    assert torch.equal(full, over)  # what does not fit is cut off


def test_fits_is_whether_a_longer_context_would_read_more() -> None:
    subject = _shared_vit()
    for words in range(70, 80):
        text = " ".join(["cat"] * words)
        wide = subject.tokenizer([text], context_length=200)[0]
        assert subject.fits(text) == bool((wide != 0).sum() <= subject.context_length)
        assert subject.fits(text) == (words <= 75)


def test_the_zero_token_inside_a_text_is_not_padding() -> None:
    subject = _shared_vit()
    ids = subject.tokenizer(["!x ?!?"])[0]
    texts = ["!", "!!", "a !? b !!!", "!x ?!?", "x!"]
    assert subject.count("!") == 3
    assert torch.allclose(
        subject.encode_texts(texts), expected_texts(subject.model, subject.tokenizer, texts), atol=1e-5
    )
    assert ids[0] == subject.tokenizer.sot_token_id


def test_the_same_weights_have_the_same_identity(make: Callable[[str], OpenClipEncoder]) -> None:
    one, other = make("vit").identity(), make("vit").identity()
    assert one.difference(other.probes) == 0
    assert (one.dtype, one.tokenizer) == (other.dtype, other.tokenizer)
    assert one.probes.shape[1] == small_models.WIDTH


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_identity_tells_gelu_from_quick_gelu_in_any_precision(dtype: torch.dtype | None) -> None:
    plain, quick = (small_models.vit(quick_gelu=flag) for flag in (False, True))
    quick.load_state_dict(plain.state_dict())
    one, other = (encoder(model, dtype=dtype).identity() for model in (plain, quick))
    assert one.difference(other.probes) > PROBE_TOLERANCE


def test_identity_tells_other_weights_and_tokenizers(make: Callable[[str], OpenClipEncoder], bert_folder: Path) -> None:
    one, other = make("vit").identity(), encoder(small_models.vit(seed=1)).identity()
    assert one.difference(other.probes) > PROBE_TOLERANCE
    assert one.tokenizer == other.tokenizer
    assert one.tokenizer != make("bert").identity().tokenizer


@pytest.mark.parametrize("kind", ["vit", "bert", "coca"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_probed_in_float32(
    make: Callable[[str], OpenClipEncoder], kind: str, dtype: torch.dtype
) -> None:
    full = make(kind)
    half = copy.deepcopy(full.model).to(dtype)
    probes = OpenClipEncoder(half, full.preprocess, full.tokenizer, "half").identity().probes
    raised = encoder(copy.deepcopy(half).float(), full.tokenizer).identity().probes
    assert torch.allclose(probes, raised, atol=1e-5)  # float32 arithmetic on the rounded weights
    assert float((probes - full.identity().probes).abs().max()) < 16 * torch.finfo(dtype).eps
    assert all(parameter.dtype == dtype for parameter in half.parameters())


class _Stopped(Exception):
    pass


def slowed(model: nn.Module, seconds: float) -> list[float]:
    """Make every layer of normalisation of a model take a while; returns the times at which one began."""
    begun: list[float] = []

    def wait(*_: Any) -> None:
        begun.append(time.monotonic())
        time.sleep(seconds)

    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_pre_hook(wait)
    return begun


@pytest.mark.parametrize("call", ["texts", "images"])
def test_a_raise_from_progress_stops_a_batch_between_its_layers(call: str) -> None:
    model = small_models.vit()
    subject = encoder(model)
    subject.encode_texts(["a cat"])  # tries the tower first

    def work(progress: Callable[[int, int], None]) -> Tensor:
        if call == "texts":
            return subject.encode_texts(["a cat", "two dogs"], progress)
        return subject.embed(prepared(subject, pictures(2)), progress)

    told: list[tuple[int, int]] = []
    begun = slowed(model, 0.12)
    work(lambda done, total: told.append((done, total)))
    layers = len(begun)
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    assert told.count((0, 2)) > 2  # told again inside the batch

    begun.clear()
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise _Stopped

    with pytest.raises(_Stopped):
        work(stop)
    assert 0 < len(begun) < layers - 1
    assert not any("before_layer" in repr(hook) for m in model.modules() for hook in m._forward_pre_hooks.values())


def test_an_encoder_keeps_its_weights_in_one_module_and_trains_nothing(
    make: Callable[[str], OpenClipEncoder],
) -> None:
    subject = make("vit")
    assert isinstance(subject, Encoder)
    assert subject.module is subject.model
    assert not subject.module.training
    assert not any(parameter.requires_grad for parameter in subject.module.parameters())
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    subject.encode_texts(TEXTS)
    subject.identity()
    assert all(torch.equal(value, before[name]) for name, value in subject.model.state_dict().items())
    assert tuple(subject.model.positional_embedding.shape) == (small_models.CONTEXT, small_models.WIDTH)


def test_fits_where_the_tokenizer_blanks_its_separator(bert_folder: Path) -> None:
    tokenizer = small_models.hf_tokenizer(bert_folder, context_length=16, strip_sep_token=True)
    vocabulary = len(tokenizer.tokenizer)
    model = small_models.custom_text(context_length=16, vocab_size=vocabulary, no_causal_mask=True, pool_type="last")
    subject = encoder(model, tokenizer)
    for words in range(12, 18):
        text = " ".join(["b"] * words)
        whole = tokenizer([text], context_length=40)[0, :16]
        assert subject.fits(text) == torch.equal(whole, tokenizer([text])[0]), words


def small_memory(layer: Any, room: int) -> list[int]:
    """Let a layer run out of memory above `room` rows, as on a small GPU; returns the numbers of rows it is given."""
    sizes: list[int] = []

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    layer.register_forward_pre_hook(before)
    return sizes


def test_out_of_memory_halves_the_batch_of_images_and_goes_on(make: Callable[[str], OpenClipEncoder]) -> None:
    images = pictures(20)
    expected = make("vit").embed(prepared(make("vit"), images))
    subject = make("vit")
    sizes = small_memory(subject.model.visual, 5)
    told: list[tuple[int, int]] = []
    rows = subject.embed(prepared(subject, images), lambda done, total: told.append((done, total)))
    assert torch.allclose(rows, expected, atol=1e-5)
    assert sizes == [16, 8, 4, 4, 4, 4, 4]
    assert told == sorted(told) and told[0] == (0, 20) and told[-1] == (20, 20)


def test_an_image_that_does_not_fit_alone_raises_what_was_raised(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("vit")
    sizes = small_memory(subject.model.visual, 0)
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        subject.embed(prepared(subject, pictures(2)))
    assert sizes == [2, 1]


@pytest.mark.parametrize("kind", ["bert", "siglip"])
def test_out_of_memory_halves_the_batch_of_texts_of_a_model_without_a_causal_tower(
    make: Callable[[str], OpenClipEncoder], kind: str
) -> None:
    texts = [*small_models.some_phrases(40), *TEXTS]
    expected = make(kind).encode_texts(texts)
    subject = make(kind)
    subject.encode_texts(["a cat"])  # tries how it wants its texts first
    sizes = small_memory(subject.model.text, 6)
    assert torch.allclose(subject.encode_texts(texts), expected, atol=1e-5)
    tried = [size for size in sizes if size > 6]
    assert tried and sizes[: len(tried)] == tried, "a size that was too large is not tried again"


def test_a_text_tower_that_runs_out_of_memory_on_trial_is_tried_again(
    make: Callable[[str], OpenClipEncoder], caplog: pytest.LogCaptureFixture
) -> None:
    subject = make("vit")
    calls: list[int] = []

    def exhausted(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls.append(len(inputs[0]))
        if len(calls) > 1:  # the first is the model's own forward, which the tower is compared with
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = subject.model.transformer.resblocks[1].ln_1.register_forward_pre_hook(exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        subject.encode_texts(TEXTS)
    hook.remove()
    assert len(calls) == 2
    assert torch.allclose(
        subject.encode_texts(TEXTS), expected_texts(subject.model, subject.tokenizer, TEXTS), atol=1e-5
    )
    assert subject.text_tower is not None
    assert "own forward" not in caplog.text


def test_a_trial_of_padding_that_runs_out_of_memory_is_made_again(make: Callable[[str], OpenClipEncoder]) -> None:
    subject = make("bert")
    assert subject.text_tower is None
    calls: list[int] = []

    def exhausted(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls.append(len(inputs[0]))
        if len(calls) > 1:  # the first is with all padding
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = subject.model.text.register_forward_pre_hook(exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        subject.encode_texts(["a cat"])
    hook.remove()
    sizes: list[int] = []
    subject.model.text.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[1]))
    subject.encode_texts(["a cat"])
    assert sizes[-1] < subject.context_length
