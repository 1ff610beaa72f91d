"""First use, and any use, from many threads: models stay as they are, and answers are those of a single thread."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

import interrogator
from interrogator import BlipCaptioner, BlipMatcher, EmbeddingCache, Interrogator, OpenClipEncoder, PhraseBank
from interrogator.captioners.options import CaptionOptions
from interrogator.captioners.sampling import SamplingOptions, sample_captions
from interrogator.module_views import view_of
from interrogator.progress import watched
from interrogator.threads import Lazy

from . import small_models
from .small_models import encoder, pictures
from .tiny_checkpoints import prepared, write_blip, write_matcher

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread", "busy_switching")]

T = TypeVar("T")

THREADS = 8
LONG = 60.0  # seconds; a last resort, never waited for
MODES = ("best", "fast", "classic")
TEXTS = ["a cat", "two dogs", "oil on canvas", "a detailed painting of a lighthouse, 8k!", "café", "!"]


@pytest.fixture
def busy_switching() -> Iterator[None]:
    """Threads take turns every few instructions, so that what may go wrong between two of them does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[int], T]) -> list[T]:
    """The results of `work(number)` in THREADS threads that start together."""
    barrier = threading.Barrier(THREADS)

    def start(number: int) -> T:
        barrier.wait(LONG)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


class Snapshot:
    """What a model is: its tensors, which objects they are, and the hooks on its parts."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.tensors = self._tensors()
        self.values = {name: tensor.detach().clone() for name, tensor in self.tensors.items()}
        self.rest = self._rest()

    def check(self) -> None:
        now = self._tensors()
        assert now.keys() == self.tensors.keys()
        assert all(tensor is self.tensors[name] for name, tensor in now.items())
        assert all(torch.equal(tensor, self.values[name]) for name, tensor in now.items())
        assert self._rest() == self.rest

    def _tensors(self) -> dict[str, Tensor]:
        return {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}

    def _rest(self) -> list[tuple[bool, int]]:
        modules = self.model.modules()
        return [(part.training, len(part._forward_hooks) + len(part._forward_pre_hooks)) for part in modules]


# --- encoders --------------------------------------------------------------------------------------------------------


def _in(dtype: torch.dtype) -> Callable[..., Any]:
    return lambda *_: encoder(small_models.vit().to(dtype))


def _bert(folder: Path) -> OpenClipEncoder:
    return encoder(small_models.hf_text(folder), small_models.hf_tokenizer(folder))


ENCODERS: dict[str, Callable[[Path], OpenClipEncoder]] = {
    "fp32": _in(torch.float32),
    "weights in bf16": _in(torch.bfloat16),
    "weights in fp16": _in(torch.float16),
    "bf16 over fp32": lambda _: encoder(small_models.vit(), dtype=torch.bfloat16),
    "custom text in bf16": lambda _: encoder(small_models.custom_text().bfloat16()),
    "CoCa": lambda _: encoder(small_models.coca()),
    "SigLIP in bf16": lambda _: encoder(small_models.siglip_like().bfloat16()),
    "causal of another structure": lambda _: encoder(small_models.vit(qk_norm=True).bfloat16()),
    "BERT": _bert,
}
FAST = {"fp32", "weights in bf16", "weights in fp16", "bf16 over fp32", "custom text in bf16", "CoCa"}


def everything(subject: OpenClipEncoder, number: int = 0) -> list[Any]:
    """An answer of each kind; threads begin with another one each."""
    told: list[tuple[int, int]] = []
    asks: list[Callable[[], Any]] = [
        lambda: subject.identity().probes,
        lambda: subject.encode_texts(TEXTS),
        lambda: subject.encode_continuations("a cat", TEXTS[1:], lambda *call: told.append(call)),
        lambda: subject.encode_texts(TEXTS, dtype=torch.float32),
        lambda: subject.embed(prepared(subject, pictures(2)), lambda *call: told.append(call)),
        lambda: torch.tensor([subject.count(text) for text in TEXTS]),
    ]
    answers: list[Any] = [None] * len(asks)
    for step in range(len(asks)):
        place = (step + number) % len(asks)
        answers[place] = asks[place]()
    return answers


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_the_first_use_of_an_encoder_by_many_threads_is_that_by_one(kind: str, bert_folder: Path) -> None:
    first = ENCODERS[kind](bert_folder)
    expected = everything(first)
    before = Snapshot(first.module)
    for _ in range(4):
        subject = OpenClipEncoder(first.model, first.preprocess, copy.deepcopy(first.tokenizer), "small", first.dtype)
        for answers in at_once(lambda number, subject=subject: everything(subject, number)):  # type: ignore[misc]
            assert all(torch.equal(*pair) for pair in zip(answers, expected, strict=True))
        before.check()
        assert (subject.text_tower is not None) == (kind in FAST)


def test_what_is_found_out_at_first_use_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trials: list[object] = []
    module = sys.modules[OpenClipEncoder.__module__]
    proven = module.proven_tower  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "proven_tower", lambda *given: (trials.append(given), proven(*given))[1])
    subject = encoder(small_models.vit())
    found = at_once(lambda _: (subject.text_tower, subject.identity()))
    assert len(trials) == 1
    assert all(tower is found[0][0] and identity is found[0][1] for tower, identity in found)


def test_the_nodes_of_a_tower_are_all_counted() -> None:
    subject = encoder(small_models.vit())
    tower = subject.text_tower
    assert tower is not None
    subject.encode_texts(TEXTS)
    once = tower.nodes
    at_once(lambda _: [subject.encode_texts(TEXTS) for _ in range(5)])
    assert tower.nodes == once * (1 + 5 * THREADS)


# --- Interrogator ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Interrogator:
    banks = interrogator.load_banks(["mediums", "movements", "artists"])
    return interrogator.load("demo", banks=[bank.limited(8) for bank in banks], device="cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fresh_interrogator_in_many_threads_writes_the_prompts_of_one(
    demo: Interrogator, dtype: torch.dtype, tmp_path: Path
) -> None:
    loaded: Any = demo.encoder
    model = copy.deepcopy(loaded.model).to(dtype)
    images = [interrogator.demo.creature(seed)[0] for seed in range(THREADS)]

    def fresh(name: str) -> Interrogator:
        eye = OpenClipEncoder(model, loaded.preprocess, copy.deepcopy(loaded.tokenizer), "demo")
        return Interrogator(demo.captioner, eye, demo.banks, EmbeddingCache(tmp_path / name))

    alone = fresh("alone")
    expected = [alone.interrogate(image, MODES[number % 3], max_phrases=3) for number, image in enumerate(images)]
    before = [Snapshot(model), Snapshot(demo.captioner.module)]  # type: ignore[union-attr]
    for attempt in range(2):
        ci = fresh(f"shared {attempt}")
        found = at_once(lambda n, ci=ci: ci.interrogate(images[n], MODES[n % 3], max_phrases=3))  # type: ignore[misc]
        for mine, theirs in zip(found, expected, strict=True):
            assert (mine.prompt, mine.caption) == (theirs.prompt, theirs.caption)
            # Rows of two caches may differ by a rounding to float16.
            assert [mine.similarity, *(phrase.similarity for phrase in mine.phrases)] == pytest.approx(
                [theirs.similarity, *(phrase.similarity for phrase in theirs.phrases)], abs=1e-4
            )
        for snapshot in before:
            snapshot.check()
        assert ci.encoder.text_tower is not None  # type: ignore[attr-defined]
        (store,) = EmbeddingCache(tmp_path / f"shared {attempt}").list()
        assert store.rows == len({phrase for bank in ci.banks for phrase in bank.phrases})


def test_one_encoder_under_many_interrogators_has_one_store(demo: Interrogator, tmp_path: Path) -> None:
    subject = encoder(small_models.vit().bfloat16())
    interrogators = [Interrogator(None, subject, demo.banks, EmbeddingCache(tmp_path)) for _ in range(THREADS)]
    tables = at_once(lambda number: interrogators[number].table().rows.joined())
    assert all(torch.allclose(table, tables[0], atol=1e-2) for table in tables)  # in bf16; in batches as time allows
    assert len(EmbeddingCache(tmp_path).list()) == 1


class Slow:
    """An encoder whose texts take until they may go on; what else it is asked for is another encoder's."""

    def __init__(self, subject: OpenClipEncoder) -> None:
        self._subject = subject
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    def encode_texts(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Tensor:
        self.calls += 1
        self.begun.set()
        while not self.may_go_on.wait(0.001):
            if progress:
                progress(0, len(texts))
        return self._subject.encode_texts(texts)


class Stop(Exception):
    pass


def stop(done: int, total: int) -> None:
    raise Stop


def test_a_thread_that_waits_for_a_table_may_be_cancelled_alone() -> None:
    slow = Slow(encoder(small_models.vit()))
    ci = Interrogator(None, slow, [PhraseBank.from_phrases("mine", TEXTS)])  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(ci.table)
        assert slow.begun.wait(LONG)
        with pytest.raises(Stop):
            ci.table(stop)
        slow.may_go_on.set()
        assert building.result(LONG) is ci.table(stop)
    assert slow.calls == 1


def test_a_thread_that_waits_for_a_table_makes_it_where_the_first_is_cancelled() -> None:
    slow = Slow(encoder(small_models.vit()))
    ci = Interrogator(None, slow, [PhraseBank.from_phrases("mine", TEXTS)])  # type: ignore[arg-type]
    waits, cancelled = threading.Event(), threading.Event()
    told: list[tuple[int, int]] = []

    def cancelled_when_another_waits(done: int, total: int) -> None:
        if waits.is_set():
            cancelled.set()
            slow.may_go_on.set()
            raise Stop

    def waiting(done: int, total: int) -> None:
        told.append((done, total))
        waits.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ci.table, cancelled_when_another_waits)
        assert slow.begun.wait(LONG)
        second = pool.submit(ci.table, waiting)
        with pytest.raises(Stop):
            first.result(LONG)
        assert len(second.result(LONG).texts) == len(TEXTS)
    assert cancelled.is_set() and slow.calls == 2
    assert told[0] == (0, len(TEXTS))


# --- progress --------------------------------------------------------------------------------------------------------


Work = Callable[[int, Any], Any]
"""work(number, progress): on `number + 1` things."""


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[nn.Module, Work]]:
    """Everything that runs a model and is watched, and the model."""
    subject, siglip = encoder(small_models.vit()), encoder(small_models.siglip_like())
    blip = BlipCaptioner.load(write_blip(tmp_path_factory.mktemp("blip")), device="cpu", dtype="fp32")
    matcher = BlipMatcher.load(write_matcher(tmp_path_factory.mktemp("matcher")), device="cpu", dtype="fp32")
    images, raw = pictures(THREADS), CaptionOptions(strip=(), max_new_tokens=6)
    beams = CaptionOptions(strip=(), max_new_tokens=6, num_beams=2)
    sampling = SamplingOptions(count=3, min_new_tokens=0, max_new_tokens=6, strip=())
    texts = [f"{text} of {number}" for number, text in enumerate([*TEXTS, "a dog", "a house"])]
    keys = [str(number) for number in range(THREADS)]
    return {
        "images": (subject.module, lambda n, tell: subject.embed(prepared(subject, images[: n + 1]), tell)),
        "texts": (subject.module, lambda n, tell: subject.encode_texts(texts[: n + 1], tell)),
        "padded texts": (siglip.module, lambda n, tell: siglip.encode_texts(texts[: n + 1], tell)),
        "captions": (blip.module, lambda n, tell: blip.caption(prepared(blip, images[: n + 1]), raw, tell)),
        "captions by beams": (blip.module, lambda n, tell: blip.caption(prepared(blip, images[: n + 1]), beams, tell)),
        "sampled captions": (
            blip.module,
            lambda n, tell: sample_captions(blip, images[: n + 1], keys[: n + 1], sampling, tell),
        ),
        "matches": (
            matcher.module,
            lambda n, tell: matcher.compare(prepared(matcher, images[: n + 1]), [texts[:3]] * (n + 1), progress=tell),
        ),
    }


KINDS = ("images", "texts", "padded texts", "captions", "captions by beams", "sampled captions", "matches")


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)


@pytest.mark.parametrize("kind", KINDS)
def test_each_thread_is_told_and_cancelled_by_its_own_progress(
    works: dict[str, tuple[nn.Module, Work]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[watched.__module__], "_REPEAT_SECONDS", 0.0)
    model, work = works[kind]
    before = Snapshot(model)
    expected = [work(number, None) for number in range(THREADS)]

    def watch(number: int) -> tuple[Any, set[int], set[int], int]:
        owners, totals, calls = set(), set(), 0

        def tell(done: int, total: int) -> None:
            nonlocal calls
            calls += 1
            owners.add(threading.get_ident())
            totals.add(total)
            if number % 2 and calls > 5 + number:
                raise Stop

        try:
            return work(number, tell), owners - {threading.get_ident()}, totals, calls
        except Stop:
            return None, owners - {threading.get_ident()}, totals, calls

    for _ in range(3):
        for number, (answer, others, totals, calls) in enumerate(at_once(watch)):
            assert not others and totals == {number + 1}
            if number % 2:
                assert answer is None and calls == 6 + number
            else:
                assert same(answer, expected[number]) and calls > 6
        before.check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_not_changed_while_it_is_watched(
    works: dict[str, tuple[nn.Module, Work]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[watched.__module__], "_REPEAT_SECONDS", 0.0)
    model, work = works[kind]
    before = Snapshot(model)
    calls: list[tuple[int, int]] = []

    def look(*call: int) -> None:
        calls.append(call)  # type: ignore[arg-type]
        if len(calls) < 10:
            before.check()

    work(1, look)
    assert len(calls) > 10


def test_a_model_is_not_changed_while_it_is_raised_to_float32() -> None:
    for model in (small_models.vit().bfloat16(), small_models.siglip_like().bfloat16()):
        snapshots: list[Snapshot] = []
        checks: list[None] = []
        tower = model.text if hasattr(model, "text") else model
        first = tower.transformer.resblocks[0].ln_1
        first.register_forward_pre_hook(lambda *_, s=snapshots, c=checks: c.extend(one.check() for one in s))
        snapshots.append(Snapshot(model))
        subject = encoder(model)
        subject.identity()
        subject.encode_texts(TEXTS, dtype=torch.float32)
        assert checks


# --- views and values built at first use -----------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.twice = nn.ModuleList([self.first, self.first])
        self.seen: list[int] = []
        self.act = self.double
        self.register_buffer("offset", torch.ones(4))

    def double(self, x: Tensor) -> Tensor:
        return x * 2 + self.offset

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        self.last = x
        return self.act(self.second(self.twice[1](x)))


def test_a_view_answers_as_the_module_and_keeps_what_is_done_to_it() -> None:
    module, x = Tied().eval(), torch.randn(3, 4)
    expected, before = module(x), Snapshot(module)
    module.seen.clear()
    view = view_of(module)
    calls: list[object] = []
    view.first.register_forward_pre_hook(lambda *given: calls.append(given))
    assert isinstance(view, Tied) and torch.equal(view(x), expected)
    assert len(calls) == 1 and view.twice[0] is view.first and view.seen == [3]
    before.check()
    assert not module.seen
    assert all(mine is theirs for mine, theirs in zip(view.parameters(), module.parameters(), strict=True))


def test_hooks_on_a_module_run_in_its_views() -> None:
    module, calls = Tied(), []
    module.second.register_forward_pre_hook(lambda *given: calls.append(given))
    view_of(module)(torch.randn(3, 4))
    assert len(calls) == 1


def test_a_tensor_of_a_view_is_replaced_wherever_it_stands() -> None:
    module, x = Tied(), torch.randn(3, 4)
    tensors = {"first.weight": torch.randn(4, 4), "offset": torch.full((4,), 7.0)}
    before = Snapshot(module)
    weight = tensors["first.weight"]
    inner = nn.functional.linear(x, weight, module.first.bias)
    expected = nn.functional.linear(inner, weight, module.second.bias) * 2 + tensors["offset"]
    view = view_of(module, tensors)
    assert torch.equal(view(x), expected)
    assert view.second.weight is view.first.weight is tensors["first.weight"]
    before.check()
    with pytest.raises(AttributeError, match="third"):
        view_of(module, {"third.weight": x})


def test_a_lazy_value_is_built_once_and_again_only_where_building_failed() -> None:
    for _ in range(50):
        built: list[int] = []
        value: Lazy[list[int]] = Lazy()

        def build(built: list[int] = built) -> list[int]:
            built.append(1)
            if len(built) == 1:
                raise Stop
            return [len(built)]

        def ask(_: int, value: Lazy[list[int]] = value, build: Callable[[], list[int]] = build) -> list[int] | None:
            try:
                return value.get(build)
            except Stop:
                return None

        answers = at_once(ask)
        assert answers.count(None) == 1 and len(built) == 2
        assert len({id(answer) for answer in answers if answer is not None}) == 1


def test_an_encoder_and_an_interrogator_can_be_copied_after_use() -> None:
    ci = Interrogator(None, encoder(small_models.vit()), [PhraseBank.from_phrases("mine", TEXTS)])
    image = pictures(1)[0]
    expected = ci.interrogate(image, "fast", caption="a cat")
    twin = copy.deepcopy(ci)
    assert twin.encoder is not ci.encoder
    assert twin.interrogate(image, "fast", caption="a cat") == expected
