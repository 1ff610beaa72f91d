"""The models of a run: every quality and mode with small real models, the same whatever the batch, as settings say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import interrogator
from interrogator.banks import PhraseBank
from interrogator.captioners.blip.captioner import BlipCaptioner
from interrogator.dataset import CaptionRules, Models, Run, Settings
from interrogator.dataset.captioning.models import MATCHES
from interrogator.dataset.state.fingerprints import fingerprint
from interrogator.errors import BankError, RequestError
from interrogator.matchers.blip import BlipMatcher
from interrogator.models import Tag
from interrogator.taggers import TagRules

from .bare_models import BareBooruTagger, BareCaptioner, BareEncoder, BareMatcher, BareSampler, BareTagger
from .stand_in import count
from .tiny_checkpoints import write_blip, write_matcher

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

PICTURES = 6
QUALITIES = ("greedy", "beam", "best-of-n", "capfilt", "laion-coco")


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return interrogator.load("demo", device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> BlipMatcher:
    return BlipMatcher.load(str(write_matcher(tmp_path_factory.mktemp("matcher"))), device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def chatter(tmp_path_factory: pytest.TempPathFactory) -> BlipCaptioner:
    """A random captioner: the demo's is so sure of itself that all samples are alike."""
    return BlipCaptioner.load(str(write_blip(tmp_path_factory.mktemp("blip"))), device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("creatures")
    for seed in range(1, PICTURES + 1):
        interrogator.demo.creature(seed)[0].save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def made(
    ci: Any, matcher: BlipMatcher, chatter: BlipCaptioner, folder: Path, tmp_path: Path
) -> Callable[..., list[dict[str, Any]]]:
    """The records of a run with the demo models; with the random captioner where captions are to be various."""
    runs = iter(range(100))

    def make(shard_size: int = 64, various: bool = False, **values: Any) -> list[dict[str, Any]]:
        settings = Settings(preset="demo", **values)

        def models() -> Models:
            loaded = {
                "captioner": chatter if various else ci.captioner, "encoder": ci.encoder, "matcher": matcher,
                "reranker": ci.encoder,
            }  # fmt: skip
            needed: dict[str, Any] = {role: loaded[role] for role in settings.needs}
            return Models(settings, banks=ci.banks, cache=ci.cache, **needed)

        run = Run([folder], settings, out=tmp_path / str(next(runs)), shard_size=shard_size)
        run.work(models, count)
        return [record.as_dict() for record in run.parts.records(run.parts.done(run.plan))]

    return make


def captions_of(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [record["captions"] for record in records]


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_caption_is_the_same_in_any_shard_and_batch(made: Any, quality: str) -> None:
    various = quality not in ("greedy", "beam")
    whole = made(quality=quality, score=True, various=various)
    # A random captioner may by chance write nothing but signs, which no caption is made of.
    assert {record["reason"] for record in whole} <= {"", "the caption came out empty"}
    assert len(set(captions_of(whole))) > 1
    for size in (1, 4):
        parts = made(quality=quality, score=True, various=various, shard_size=size)
        assert captions_of(parts) == captions_of(whole)
        for one, other in zip(parts, whole, strict=True):
            assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_scores_that_were_computed_are_recorded(made: Any, ci: Any, folder: Path, quality: str) -> None:
    expected = {
        "greedy": set(), "beam": set(), "best-of-n": {"clip", "log_probability"},
        "capfilt": {"itm", "log_probability"}, "laion-coco": {"clip", "second", "log_probability"},
    }[quality]  # fmt: skip
    for record in made(quality=quality):
        assert record["scores"].keys() == expected
        if "clip" in expected:
            cosine = ci.similarity(folder / record["key"], [record["caption"]])[0]
            assert record["scores"]["clip"] == pytest.approx(float(cosine), abs=1e-5)
        if "log_probability" in expected:
            assert record["scores"]["log_probability"] < 0
        assert ("review" in record["flags"]) == (record["scores"].get("itm", 1.0) < MATCHES)


def test_greedy_writes_what_the_captioner_writes(made: Any, ci: Any, folder: Path) -> None:
    alone = [ci.captioner.caption([ci.captioner.prepare(interrogator.images.open_image(folder / f"{n + 1}.png"))])[0]
             for n in range(PICTURES)]  # fmt: skip
    assert [record["caption"] for record in made()] == alone


def test_best_of_n_is_the_sample_most_like_the_picture(made: Any) -> None:
    several = made(quality="best-of-n", samples=6, captions_per_image=6, various=True)
    for one, record in zip(made(quality="best-of-n", samples=6, various=True), several, strict=True):
        assert one["caption"] == record["captions"][0] == record["caption"]
        assert 1 <= len(record["captions"]) <= 6 and len(set(record["captions"])) == len(record["captions"])
    assert max(len(record["captions"]) for record in several) > 1


def test_another_seed_samples_other_captions_and_the_same_one_the_same(made: Any) -> None:
    first, again, other = (
        made(quality="best-of-n", captions_per_image=8, seed=seed, various=True) for seed in (1, 1, 2)
    )
    assert captions_of(first) == captions_of(again) != captions_of(other)


@pytest.mark.parametrize("quality", ["greedy", "best-of-n", "capfilt", "laion-coco"])
def test_forbidden_words_are_never_written(made: Any, quality: str) -> None:
    words = ("green", "photo", "sitting")  # of the random captioner's vocabulary
    keep = 3 if quality in ("best-of-n", "laion-coco") else 1
    usual = " ".join(
        " ".join(some) for some in captions_of(made(quality=quality, captions_per_image=keep, various=True))
    )
    assert set(words) & set(usual.split())
    for record in made(quality=quality, captions_per_image=keep, various=True, rules=CaptionRules(forbidden=words)):
        for caption in record["captions"]:
            assert not set(words) & set(caption.replace(",", "").split())
        assert "forbidden_word" not in record["flags"]


def test_the_caption_with_the_required_words_is_chosen(made: Any) -> None:
    several = made(quality="best-of-n", samples=16, captions_per_image=16, various=True)
    record = next(record for record in several if len(record["captions"]) > 1)
    words = [set(caption.split()) for caption in record["captions"]]
    word = next(word for other in words[1:] for word in sorted(other - words[0]) if word.isalpha())
    chosen = made(quality="best-of-n", samples=16, various=True, rules=CaptionRules(required=(word,)))
    same = next(each for each in chosen if each["key"] == record["key"])
    assert word in same["caption"].split() and "missing_word" not in same["flags"]
    assert same["caption"] == next(caption for caption in record["captions"] if word in caption.split())
    impossible = made(quality="best-of-n", rules=CaptionRules(required=("zebra",)))
    assert all("missing_word" in each["flags"] and each["caption"] for each in impossible)


def test_a_template_fetches_the_phrases_it_names(made: Any, ci: Any, folder: Path) -> None:
    rules = CaptionRules(template="{trigger}, {caption}, {mediums}, {stem}", trigger="sks")
    for record, plain in zip(made(rules=rules, phrases=2), made(), strict=True):
        mediums = [phrase.text for phrase in ci.rank(folder / record["key"], "mediums", 2)]
        stem = record["key"].removesuffix(".png")
        assert record["caption"] == ", ".join(["sks", plain["caption"], *mediums, stem])


def test_a_template_that_names_a_bank_that_is_off_is_refused(made: Any) -> None:
    with pytest.raises(BankError, match="lighting"):
        made(rules=CaptionRules(template="{caption}, {lighting}"))


@pytest.mark.parametrize("mode", ["classic", "fast", "best", "negative"])
def test_modes_write_the_prompts_that_the_library_writes(made: Any, ci: Any, folder: Path, mode: str) -> None:
    values = {} if mode == "negative" else {"max_phrases": 3}
    for record in made(mode=mode, **values):
        alone = ci.interrogate(folder / record["key"], mode, **values)
        assert record["caption"] == alone.prompt
        if alone.similarity is None:
            assert "clip" not in record["scores"]
        else:
            assert record["scores"]["clip"] == pytest.approx(alone.similarity, abs=1e-5)


def test_prompts_from_the_better_captions(made: Any) -> None:
    records = made(mode="fast", quality="capfilt", max_phrases=1)
    assert all({"itm", "clip"} <= record["scores"].keys() for record in records)


@pytest.mark.parametrize(
    "values",
    [{"quality": "x"}, {"mode": "x"}, {"policy": "x"}, {"samples": 0}, {"max_new_tokens": 0}, {"max_phrases": -1},
     {"repetition_penalty": 0.0}, {"captions_per_image": 2}, {"captions_per_image": 9, "quality": "best-of-n"},
     {"captions_per_image": 6, "quality": "laion-coco"},
     {"captions_per_image": 2, "quality": "best-of-n", "mode": "fast"},
     {"quality": "beam", "rules": CaptionRules(forbidden=("cat",))},
     {"rules": CaptionRules(template="{caption} {phrases}")}],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        Settings(**values)
    assert "\n" not in str(caught.value)


def test_settings_come_back_from_json_as_they_were() -> None:
    settings = Settings(banks=("a",), quota={"b": 2}, rules=CaptionRules(replace=(("a", "b"),), forbidden=("c",)))
    stored = json.loads(json.dumps(settings.as_dict()))
    assert Settings.from_dict(stored) == settings
    assert Settings.from_dict(stored).digest({"x": 1}) == settings.digest({"x": 1}) != settings.digest({"x": 2})


def test_models_are_loaded_as_the_settings_say(tmp_path: Path, matcher: BlipMatcher) -> None:
    second = interrogator.catalog.preset("demo").encoder
    plain = Models.load(Settings(preset="demo"), "cpu")
    assert plain.prepare.keys() == {"captioner"}
    rich = Models.load(Settings(preset="demo", quality="laion-coco", reranker=second), "cpu", cache_dir=tmp_path)
    assert rich.prepare.keys() == {"captioner", "encoder", "reranker"}
    judge = Models.load(Settings(preset="demo", quality="capfilt", matcher=matcher.name), "cpu")
    assert judge.prepare.keys() == {"captioner", "matcher"}
    described = rich.described()
    assert described.keys() == {"captioner", "encoder", "reranker"}
    assert described["captioner"]["device"] == "cpu" and described["captioner"]["dtype"] == "float32"
    assert described["encoder"]["weights"] == described["reranker"]["weights"] != described["captioner"]["weights"]
    assert plain.described()["captioner"] == described["captioner"]
    silent = Models.load(Settings(preset="demo", mode="negative"), "cpu", cache_dir=tmp_path)
    assert silent.prepare.keys() == {"encoder"}


def test_forbidden_words_are_no_phrases_either(tmp_path: Path) -> None:
    def phrases(rules: CaptionRules) -> list[str]:
        models = Models.load(Settings(preset="demo", score=True, rules=rules), "cpu", cache_dir=tmp_path)
        return [phrase for bank in models.banks for phrase in bank.phrases]

    word = phrases(CaptionRules())[0].split()[0]
    fewer = phrases(CaptionRules(forbidden=(word,)))
    assert fewer and not any(word in phrase.split() for phrase in fewer)


def test_a_fingerprint_tells_weights_apart() -> None:
    def module(value: float = 0.0, index: int = 0) -> torch.nn.Module:
        layer = torch.nn.Linear(30, 10)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.fill_(0.5)
            layer.weight.view(-1)[index] += value
        return layer

    assert fingerprint(module()) == fingerprint(module())
    assert len({fingerprint(module(1e-3, index)) for index in (0, 299)} | {fingerprint(module())}) == 3
    assert fingerprint(module()) != fingerprint(module().half())


@pytest.mark.parametrize(("quality", "mode"), [("greedy", "caption"), ("laion-coco", "caption"), ("best-of-n", "fast")])
def test_progress_counts_pictures(
    ci: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quality: str, mode: str
) -> None:
    settings = Settings(preset="demo", quality=quality, mode=mode, score=True)
    second = ci.encoder if quality == "laion-coco" else None
    models = Models(settings, ci.captioner, ci.encoder, ci.banks, ci.cache, reranker=second)
    calls: list[tuple[int, int]] = []
    write = models.write
    monkeypatch.setattr(
        models,
        "write",
        lambda pictures, progress: write(pictures, lambda *call: (calls.append(call), progress(*call))),  # type: ignore[func-returns-value]
    )
    Run([folder], settings, out=tmp_path).work(lambda: models, count)
    assert {total for _, total in calls} == {PICTURES}
    assert calls[0][0] == 0
    # The run itself reports that all is done.
    assert max(done for done, _ in calls) >= (PICTURES if mode == "caption" else PICTURES // 2)
    assert all(0 <= done <= PICTURES for done, _ in calls)


def rendered(
    folder: Path, out: Path, settings: Settings, tags: bool = True, **models: Any
) -> dict[str, dict[str, Any]]:
    """The records of a run over a folder with bare models, by key."""
    run = Run([folder], settings, out=out)
    run.work(lambda: Models(settings, tagger=BareTagger() if tags else None, **models), count)
    return {record.key: record.as_dict() for record in run.parts.records(run.parts.done(run.plan))}


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """Pictures whose tags are known: `BareTagger` gives each channel of the color as a probability."""
    folder = tmp_path / "colors"
    folder.mkdir()
    for name, color in {"red": (255, 102, 0), "teal": (0, 204, 204), "black": (0, 0, 0)}.items():
        Image.new("RGB", (8, 8), color).save(folder / f"{name}.png")
    return folder


def test_mode_tags_writes_the_tags_that_hold(colors: Path, tmp_path: Path) -> None:
    found = rendered(colors, tmp_path / "out", Settings(mode="tags"))
    assert found["red.png"]["caption"] == "red, green" and found["teal.png"]["caption"] == "green, blue"
    assert found["red.png"]["tags"] == [
        ["red", 1.0, "general"], ["green", pytest.approx(0.4), "general"], ["safe", 0.9, "rating"]
    ]  # fmt: skip
    assert found["black.png"]["status"] == "failed", "no tag, no caption, and the run goes on"
    strict = rendered(colors, tmp_path / "strict", Settings(mode="tags", tag_rules=TagRules(threshold=0.9)))
    assert strict["red.png"]["caption"] == "red" and strict["teal.png"]["status"] == "failed"


def test_a_template_puts_tags_beside_the_caption(colors: Path, tmp_path: Path) -> None:
    rules = CaptionRules(template="{tags}, {caption}", replace=(("green", "lime"),))
    found = rendered(colors, tmp_path / "out", Settings(rules=rules), captioner=BareCaptioner())
    assert found["red.png"]["caption"] == "red, lime, a red thing"
    assert found["black.png"]["caption"] == "a red thing" and found["black.png"]["tags"] == [["safe", 0.9, "rating"]]
    forbidding = CaptionRules(template="{tags}, {caption}", forbidden=("green",))
    fewer = rendered(colors, tmp_path / "fewer", Settings(rules=forbidding), captioner=BareSampler())
    assert fewer["red.png"]["caption"] == "red, red thing 0"


def test_tags_of_a_caption_follow_the_rules_and_begin_with_characters(colors: Path, tmp_path: Path) -> None:
    wording = CaptionRules("hero", "{trigger}, {tags}, {caption}")
    rules = TagRules(block=("*_hair", "kagamine*"), max_tags=5)
    settings = Settings(rules=wording, tag_rules=rules)
    models = Models(settings, BareCaptioner(), tagger=BareBooruTagger())
    run = Run([colors], settings, out=tmp_path / "out")
    run.work(lambda: models, count)
    found = {record.key: record for record in run.parts.records(run.parts.done(run.plan))}
    tags = "hatsune miku, vocaloid, 1girl, o_o, smile"
    assert found["red.png"].caption == f"hero, {tags}, a red thing"
    described, filed = found["red.png"].tags[:5], found["red.png"].tags[5:]
    assert [tag.category for tag in described] == ["character", "copyright", *["general"] * 3]
    assert [tag.text for tag in filed] == ["highres", "sensitive", "best quality"], "recorded, but in no text"
    assert found["red.png"].tag_texts == tags.split(", ")
    assert found["red.png"].tags[0].probability == pytest.approx(0.95)


def test_escaped_tags_are_escaped_once(colors: Path, tmp_path: Path) -> None:
    settings = Settings(mode="tags", escape=True, tag_rules=TagRules(escape=True, categories=("general",)))
    run = Run([colors], settings, out=tmp_path / "out")
    run.work(lambda: Models(settings, tagger=BareBooruTagger()), count)
    red = next(each for each in run.parts.records(run.parts.done(run.plan)) if each.key == "red.png")
    assert red.caption == r"1girl, long hair, o_o, smile, hat \(cap\)"


@pytest.mark.parametrize("mode", ["caption", "fast"])
def test_quality_tags_takes_the_tags_as_the_caption(mode: str, colors: Path, tmp_path: Path) -> None:
    settings = Settings(mode=mode, quality="tags", max_phrases=1 if mode == "fast" else None)
    assert settings.needs == {"tagger"} | ({"encoder"} if mode == "fast" else set())
    banks = [PhraseBank.from_phrases("flavors", ["neon"])]
    encoder = BareEncoder() if mode == "fast" else None
    run = Run([colors], settings, out=tmp_path / "out")
    run.work(lambda: Models(settings, None, encoder, banks, tagger=BareTagger()), count)
    found = {record.key: record for record in run.parts.records(run.parts.done(run.plan))}
    assert found["red.png"].caption == "red, green" + (", neon" if mode == "fast" else "")
    black = found["black.png"]
    assert (black.status, black.caption) == (("failed", "") if mode == "caption" else ("done", "neon"))


def test_quality_tags_leaves_out_forbidden_words_and_scores(colors: Path, tmp_path: Path) -> None:
    settings = Settings(quality="tags", score=True, rules=CaptionRules(forbidden=("green",)))
    found = rendered(colors, tmp_path / "out", settings, encoder=BareEncoder())
    assert found["red.png"]["caption"] == "red" and -1 <= found["red.png"]["scores"]["clip"] <= 1


def test_a_tagger_that_is_named_is_recorded_though_no_caption_uses_it(colors: Path, tmp_path: Path) -> None:
    found = rendered(colors, tmp_path / "out", Settings(tagger="colors"), captioner=BareCaptioner())
    assert found["red.png"]["caption"] == "a red thing"
    assert [text for text, *_ in found["red.png"]["tags"]] == ["red", "green", "safe"]


def test_tags_are_in_part_files_and_in_parquet(colors: Path, tmp_path: Path) -> None:
    settings = Settings(mode="tags")
    run = Run([colors], settings, out=tmp_path / "tags.parquet", target="parquet")
    run.work(lambda: Models(settings, tagger=BareTagger()), count)
    rows = {row["key"]: row for row in pq.read_table(tmp_path / "tags.parquet").to_pylist()}
    red = next(row for key, row in rows.items() if key.endswith("red.png"))
    assert red["tags"] == [
        {"text": "red", "probability": 1.0, "category": "general"},
        {"text": "green", "probability": pytest.approx(0.4), "category": "general"},
        {"text": "safe", "probability": pytest.approx(0.9), "category": "rating"},
    ]  # fmt: skip
    (record,) = (each for each in run.parts.records(run.parts.done(run.plan)) if each.key == "red.png")
    assert record.tags[0] == Tag("red", 1.0, "general")


@pytest.mark.parametrize(
    ("values", "captioner"),
    [
        ({}, BareCaptioner),
        *(({"quality": quality}, BareSampler) for quality in QUALITIES),
        ({"score": True}, BareCaptioner),
    ],
)
def test_bare_models_work_in_a_run(values: Any, captioner: Any, colors: Path, tmp_path: Path) -> None:
    settings = Settings(**values)
    bare = {"captioner": captioner(), "encoder": BareEncoder(), "matcher": BareMatcher(), "reranker": BareEncoder()}
    models: dict[str, Any] = {role: bare[role] for role in settings.needs}
    found = rendered(colors, tmp_path / "out", settings, tags=False, **models)
    assert found["red.png"]["caption"].startswith(("a red thing", "red thing"))
    assert all(record["status"] == "done" for record in found.values())


@pytest.mark.parametrize(
    "values",
    [{"quality": "beam"}, {"quality": "best-of-n"}, {"caption_prefix": "a"}, {"rules": CaptionRules(forbidden=("a",))}],
)
def test_a_captioner_that_cannot_do_what_is_asked_is_refused_before_the_run(values: Any) -> None:
    with pytest.raises(RequestError, match="a bare BareCaptioner cannot"):
        Models(Settings(**values), BareCaptioner(), BareEncoder())


@pytest.mark.parametrize(
    ("values", "role"), [({}, "captioner"), ({"mode": "tags"}, "tagger"), ({"score": True}, "encoder")]
)
def test_a_role_without_a_model_is_refused_before_the_run(values: Any, role: str) -> None:
    with pytest.raises(RequestError, match=role):
        Models(Settings(**values), None if role == "captioner" else BareCaptioner())
