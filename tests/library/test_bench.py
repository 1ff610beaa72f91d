"""`interrogator bench`: prompts measured on pictures that hold their own, and on what is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import interrogator
from interrogator import PhraseBank, RequestError
from interrogator.cli import main
from interrogator.cli.bench_page import Shown, marked, page
from interrogator.cli.tables import Table
from interrogator.errors import CaptionError
from interrogator.evaluation.agreement import Meanings, phrases_of
from interrogator.evaluation.bootstrap import Estimate
from interrogator.evaluation.picture_bench import Made, Measured, compare
from interrogator.evaluation.reference import Reference

from . import small_models
from .generated import MODEL, parameters, save_exif, save_png, text_to_image, user_comment

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creatures with their captions as prompts, in the ways of both generators; a picture without; a broken one."""
    folder = tmp_path_factory.mktemp("generated")
    for seed in range(8):
        image, truth = interrogator.demo.creature(2_500_000 + seed)
        prompt = f"({truth.caption}:1.1), masterpiece, <lora:creatures:0.8>"
        if seed % 4 == 0:
            save_png(folder / f"{seed}.png", image, {"parameters": parameters(prompt)})
        elif seed % 4 == 1:
            save_png(folder / f"{seed}.png", image, {"prompt": json.dumps(text_to_image(prompt))})
        elif seed % 4 == 2:
            save_exif(folder / f"{seed}.webp", image, {MODEL: f"prompt:{json.dumps(text_to_image(prompt))}"})
        else:
            save_exif(folder / f"{seed}.webp", image, {}, user_comment(parameters(prompt)))
    image.save(folder / "plain.png")
    return folder


@pytest.fixture
def bench(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        status = main(["bench", *map(str, arguments), "--device", "cpu", "--cache-dir", str(cache_dir)])
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


class TestPictures:
    def test_modes_are_measured_on_what_the_metadata_say(self, bench: Run, folder: Path) -> None:
        status, out, _ = bench(folder, "--preset", "demo", "--json")
        assert status == 0
        found = json.loads(out)
        assert (found["measured"], found["without_prompt"], found["failed"]) == (8, 1, 0)
        assert list(found["modes"]) == ["caption", "classic", "fast", "best", "precise"]
        for figures in found["modes"].values():
            assert figures["said"]["low"] <= figures["said"]["value"] <= figures["said"]["high"]
            assert figures["said"]["value"] >= 0.9  # the demo's captioner says what was drawn
            assert figures["found"]["value"] >= figures["said"]["value"] > figures["by_chance"]["value"]
            assert figures["seconds"]["value"] > 0 and figures["similarity"] is None
        assert 20 < found["angle"] < 90
        truth = interrogator.demo.creature(2_500_000)[1].caption
        assert found["pictures"][0]["true_prompt"] == f"{truth}, masterpiece"
        assert set(found["pictures"][0]["modes"]["fast"]) == {"prompt", "seconds", "similarity"}

    def test_the_table_and_the_page(self, bench: Run, folder: Path, tmp_path: Path) -> None:
        options = ["--preset", "demo", "--modes", "caption,fast", "--pictures", "3", "--first", "2"]
        status, out, err = bench(folder, *options, "--out", tmp_path / "p")
        assert status == 0
        head, caption, fast = out.splitlines()
        assert head.split() == "mode said found by chance first 2 right seconds".split()
        assert caption.startswith("caption ") and fast.startswith("fast ")
        assert "3 pictures measured, 1 without a prompt" in err and "similarity" not in out
        text = (tmp_path / "p" / "index.html").read_text(encoding="utf-8")
        assert text.count("data:image/jpeg;base64,") == 3
        assert "<mark>" in text and "<script" not in text

    def test_a_second_encoder_judges(self, bench: Run, folder: Path, demo_copy: Path) -> None:
        options = ["--preset", "demo", "--modes", "caption", "--pictures", "2", "--judge", str(demo_copy)]
        status, out, _ = bench(folder, *options)
        assert status == 0
        assert "similarity" in out and out.splitlines()[-1].startswith("true prompt ")

    def test_without_a_captioner_prompts_have_no_captions(self, bench: Run, folder: Path) -> None:
        options = ["--preset", "demo", "--captioner", "none", "--pictures", "2", "--json"]
        status, out, err = bench(folder, *options)
        assert status == 0 and "no captioner" in err
        found = json.loads(out)
        assert list(found["modes"]) == ["classic", "fast", "best", "precise"]

    def test_a_picture_that_breaks_off_fails_and_the_others_are_measured(
        self, bench: Run, folder: Path, tmp_path: Path
    ) -> None:
        for name in ("0.png", "1.png"):
            data = (folder / name).read_bytes()
            (tmp_path / name).write_bytes(data if name == "1.png" else data[: len(data) // 2])
        status, out, err = bench(tmp_path, "--preset", "demo", "--modes", "caption", "--json")
        assert status == 1 and "0.png" in err
        assert json.loads(out)["failed"] == 1 and json.loads(out)["angle"] is None

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--seeds", "2"], "--seeds has no effect"),
            (["--pictures", "0"], "--pictures must be at least 1"),
            (["--first", "0"], "--first must be at least 1"),
            (["--modes", "caption", "--captioner", "none"], "mode caption needs"),
            (["--captioner", "none", "--encoder", "none"], "there is no captioner"),
            (["--judge", "demo"], "name another"),
            (["--modes", "caption", "--encoder", "ViT-B-32/openai"], "--encoder has no effect"),
            (["--clip-interrogator", "--captioner", "none"], "needs captions"),
        ],
    )
    def test_what_cannot_be_is_refused(self, bench: Run, folder: Path, options: list[str], message: str) -> None:
        status, out, err = bench(folder, "--preset", "demo", *options)
        assert (status, out) == (2, "") and message in err

    def test_pictures_without_prompts_are_refused(self, bench: Run, folder: Path, tmp_path: Path) -> None:
        status, _, err = bench(folder / "plain.png", "--preset", "demo")
        assert status == 2 and "the picture has no prompt in its metadata" in err
        assert bench(tmp_path / "nothing", "--preset", "demo")[0] == 2
        assert bench(tmp_path, "--preset", "demo")[2].endswith("this folder has no pictures\n")


@pytest.fixture(scope="module")
def demo_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's encoder under another name."""
    folder = tmp_path_factory.mktemp("judge")
    for path in interrogator.demo.ENCODER_DIR.iterdir():
        if path.is_file():
            (folder / path.name).symlink_to(path)
    return folder


class TestWorlds:
    @pytest.fixture(autouse=True)
    def few_phrases(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bank = PhraseBank.from_phrases("mediums", ["oil on canvas", "marble statue"])
        monkeypatch.setattr("interrogator.evaluation.creature_prompts.load_banks", lambda: [bank])

    def test_everything_is_drawn_and_judged(self, bench: Run, tmp_path: Path) -> None:
        status, out, err = bench("--pictures", "4", "--json", "--out", tmp_path, "--modes", "precise, fast")
        assert status == 0 and "4 creatures" in err
        found = json.loads(out)
        rows = {(row["mode"], row["banks"], row["caption"]): row for row in found["prompts"]}
        assert len(rows) == 8 and all(row["pictures"] == 4 for row in rows.values())
        precise = rows["precise", "demo", True]["figures"]
        assert precise["facts stated"]["value"] > 0.9
        share = "share of true phrases"
        assert precise[share]["value"] > rows["fast", "demo", True]["figures"][share]["value"]
        assert found["claims"]["found"]["value"] > found["claims"]["suspected"]["value"]
        assert [row["hubs"] for row in found["planted"]] == [0.0, 0.25, 0.6]
        assert found["planted"][1]["evidence"]["low"] > found["planted"][1]["similarity"]["high"]
        assert "Prompts of creatures" in (tmp_path / "index.html").read_text(encoding="utf-8")

    def test_best_with_all_banks_is_measured_where_it_is_named(self, bench: Run) -> None:
        out = bench("--pictures", "1")[1]
        best = [line.split()[:3] for line in out.splitlines() if line.startswith("best")]
        assert best == [["best", "demo", "own"], ["best", "demo", "none"]]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--judge", "x"], "--judge has no effect"),
            (["--preset", "flux"], "--preset has no effect"),
            (["--bank", "artists"], "--bank has no effect"),
            (["--modes", "caption"], "no phrases to judge"),
            (["--pictures", "1000000"], "at most"),
            (["--out", "/dev/null/x"], "cannot write"),
        ],
    )
    def test_what_means_nothing_is_refused(self, bench: Run, options: list[str], message: str) -> None:
        status, out, err = bench(*options)
        assert (status, out) == (2, "") and message in err


def measured(truth: str, prompt: str, name: str = "a", seconds: float = 1.0) -> Measured:
    return Measured(name, truth, {"fast": Made(prompt, seconds)}, {})


class TestFigures:
    def test_words_alone_decide_where_there_are_no_embeddings(self) -> None:
        found = compare([measured("a red cat, a blue hat, on a beach", "a fluffy red cat, a hat, big eyes")], None, 2)
        figures = found.figures["fast"]
        assert figures.said.value == figures.found.value == pytest.approx(1 / 3)
        assert found.right == [{"fast": [True, True, False]}]
        assert figures.precision.value == 1.0
        assert figures.by_chance is None and found.angle is None and figures.similarity is None

    def test_a_phrase_is_meant_within_the_angle_that_the_pictures_show(self) -> None:
        rng = np.random.default_rng(0)
        words = ["dog", "tree", "car", "lamp", "fish", "boat", "house", "moon", "book", "shoe", "chair", "bird"]
        rows = {word: rng.normal(size=64) for word in words}
        rows |= {"puppy": rows["dog"] + 0.1 * rng.normal(size=64), "stone": -sum(rows.values())}

        def encode(texts: Sequence[str]) -> torch.Tensor:
            return torch.nn.functional.normalize(torch.tensor(np.array([rows[text] for text in texts])).float(), dim=1)

        truths = [", ".join(words[start : start + 4]) for start in range(0, 12, 4)] * 2
        found = compare([measured(truth, "puppy, stone") for truth in truths], encode, 5)
        assert found.angle is not None and 40 < found.angle < 90
        assert found.figures["fast"].said.value == 0
        assert found.figures["fast"].found.value == pytest.approx(1 / 12)
        assert found.right[0] == {"fast": [True, False]} and found.right[1] == {"fast": [False, False]}

    def test_a_prompt_that_says_nothing_finds_nothing(self) -> None:
        found = compare([measured("a red cat", "...")], None)
        assert found.figures["fast"].found.value == 0 == found.figures["fast"].precision.value
        assert found.right == [{"fast": []}]

    def test_chance_is_the_prompt_of_another_picture(self) -> None:
        pictures = [measured("a cat, a mat", "a cat"), measured("a dog, a mat", "a mat")]
        figures = compare(pictures, None).figures["fast"]
        assert figures.by_chance is not None
        assert (figures.found.value, figures.by_chance.value) == (0.5, 0.25)

    def test_phrases_without_a_letter_are_none(self) -> None:
        assert [phrase.text for phrase in phrases_of("a cat, ***, ♥, 猫")] == ["a cat", "猫"]

    @given(st.lists(st.lists(st.sampled_from(["a cat", "a red cat", "blue sky", "x"]), min_size=1), min_size=1))
    def test_what_is_said_is_found(self, truths: list[list[str]]) -> None:
        agreement = Meanings(truths, {}).compare(truths[0], truths[-1])
        assert all(found for said, found in zip(agreement.said, agreement.found, strict=True) if said)
        assert len(agreement.right) == len(truths[-1])
        assert all(Meanings(truths, {}).compare(truths[0], truths[0]).found)


class TestEstimates:
    def test_an_interval_holds_its_figure_and_is_the_same_each_time(self) -> None:
        estimate = Estimate.of([0, 1, 1, 3], [1, 2, 4, 4])
        assert estimate.low < estimate.value == 5 / 11 < estimate.high
        assert Estimate.of([0, 1, 1, 3], [1, 2, 4, 4]) == estimate

    def test_more_pictures_narrow_it(self) -> None:
        few, many = Estimate.of([0.0, 1.0] * 5), Estimate.of([0.0, 1.0] * 500)
        assert many.high - many.low < (few.high - few.low) / 4

    def test_equal_pictures_leave_no_doubt(self) -> None:
        assert Estimate.of([2.0]) == Estimate(2.0, 2.0, 2.0)
        assert Estimate.of([0.0], [0.0]) == Estimate(0.0, 0.0, 0.0)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


class TestPage:
    def test_what_comes_from_outside_is_escaped(self) -> None:
        evil = "<script>alert('x')</script> & \"cat\""
        shown = Shown(f"{evil}\udcff.png", b"jpeg", evil, {evil: evil}, {evil: [True] * len(phrases_of(evil))})
        text = page(evil, [Table(evil, [evil, evil], [[evil, evil]], [(evil, evil)])], [shown])
        reader = Reader()
        reader.feed(text)
        assert "script" not in reader.tags and reader.text.count("alert") >= 9
        assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
        assert "http://" not in text and "https://" not in text

    @given(st.text(alphabet="ab ,.<&\"()'", max_size=40), st.randoms())
    def test_marking_changes_no_word(self, prompt: str, random: Any) -> None:
        html = marked(prompt, [random.random() < 0.5 for _ in phrases_of(prompt)])
        reader = Reader()
        reader.feed(html)
        reader.close()
        assert reader.text == prompt and set(reader.tags) <= {"mark"}


@pytest.mark.skipif(find_spec("clip_interrogator") is None, reason="clip-interrogator is not installed")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
class TestReference:
    @pytest.fixture
    def lists(self, tmp_path: Path) -> Path:
        """Lists under the names of clip-interrogator."""
        folder = tmp_path / "lists"
        folder.mkdir()
        phrases = {"artists": ["Claude Monet"], "flavors": ["on fire", "at night"], "mediums": ["a photo"]}
        for name in ("artists", "flavors", "mediums", "movements", "negative"):
            (folder / f"{name}.txt").write_text("\n".join(phrases.get(name, ["gothic", "pop art"])), encoding="utf-8")
        return folder

    def test_it_is_measured_beside_with_our_weights_and_captions(
        self, bench: Run, folder: Path, lists: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("interrogator.cli.bench.Reference", lambda encoder, cache: Reference(encoder, cache, lists))
        options = ["--preset", "demo", "--dtype", "fp32", "--modes", "classic", "--pictures", "1", "--json"]
        status, out, _ = bench(folder, *options, "--clip-interrogator")
        assert status == 0
        found = json.loads(out)
        names = [f"clip-interrogator {mode}" for mode in ("classic", "fast", "best")]
        assert list(found["modes"]) == ["classic", *names]
        for picture in found["pictures"]:
            assert "by Claude Monet" in picture["modes"]["clip-interrogator classic"]["prompt"]
        assert found["modes"]["clip-interrogator fast"]["said"]["value"] > 0.9  # the caption is ours

    def test_an_encoder_that_it_cannot_use_is_refused(self, lists: Path) -> None:
        half = small_models.encoder(small_models.vit().half())
        with pytest.raises(RequestError, match="--dtype fp32"):
            Reference(half, None, lists)

    def test_a_picture_without_a_caption_fails(self, lists: Path) -> None:
        reference = Reference(small_models.encoder(small_models.vit()), None, lists)
        with pytest.raises(CaptionError):
            reference.prompt(Image.new("RGB", (32, 32)), "fast", "")


def test_without_clip_interrogator_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interrogator.evaluation.reference.find_spec", lambda name: None)
    with pytest.raises(RequestError, match="pip install clip-interrogator"):
        Reference(small_models.encoder(small_models.vit()))
