"""Texts for image models: each encoder gets what it reads, within its limit, and nothing that its model ignores."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from interrogator import Interrogation, RankedPhrase, RequestError, Tag
from interrogator.image_models import IMAGE_MODELS, TextOptions, Word, Words, image_model, texts_for
from interrogator.image_models.keywords import keywords
from interrogator.image_models.sentences import sentences
from interrogator.image_models.token_counts import estimated_count, token_count
from interrogator.modes import Mode

MODELS = [row.name for row in IMAGE_MODELS]
CAPTION = "a red dragon on a hill"


def words(*pairs: tuple[str, str]) -> tuple[Word, ...]:
    """Phrases of (text, bank), the strongest first."""
    return tuple(Word(text, bank, 1 - index / 100) for index, (text, bank) in enumerate(pairs))


WATERCOLOR = words(
    ("a watercolor painting", "mediums"),
    ("by Claude Monet", "artists"),
    ("rim light", "lighting"),
    ("backlit", "lighting"),
    ("golden hour", "lighting"),
    ("Impressionism", "movements"),
    ("trending on ArtStation", "sites"),
    ("hushed", "mood"),
    ("close-up", "composition"),
)
TAGS = words(("dragon", "general"), ("red scales", "general"), ("smile", "general"))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("sd15", {"clip_l": "keywords"}),
        ("sdxl", {"clip_l": "keywords", "clip_g": "keywords"}),
        ("sd3", {"clip_l": "keywords", "clip_g": "keywords", "t5xxl": "sentences"}),
        ("flux", {"clip_l": "keywords", "t5xxl": "sentences"}),
        ("qwen", {"qwen25_7b": "sentences"}),
        ("pony", {"clip_l": "tags", "clip_g": "tags"}),
        ("illustrious", {"clip_l": "tags", "clip_g": "tags"}),
    ],
)
def test_each_encoder_gets_the_form_that_it_reads(model: str, expected: dict[str, str]) -> None:
    forms = {
        "keywords": "a red dragon on a hill, rim light, close-up",
        "sentences": "A red dragon on a hill, with rim light. Details: close-up.",
        "tags": "dragon, red scales, smile",
    }
    phrases = words(("rim light", "lighting"), ("close-up", "composition"))
    said = texts_for(image_model(model), Words(CAPTION, phrases, TAGS))
    assert said == {encoder: forms[form] for encoder, form in expected.items()}


@pytest.mark.parametrize(
    ("caption", "phrases", "expected"),
    [
        (
            CAPTION,
            WATERCOLOR,
            "A watercolor painting of a red dragon on a hill by Claude Monet, with rim light and golden hour, backlit. "
            "The style is Impressionism. The mood is hushed. Details: close-up.",
        ),
        (CAPTION, (), "A red dragon on a hill."),
        ("there is a cat", words(("oil on canvas", "mediums")), "Oil on canvas of a cat."),
        ("a cat", words(("etching", "mediums"), ("mosaic", "mediums")), "An etching of a cat. Details: mosaic."),
        ("a cat", words(("ukiyo-e print", "mediums")), "A ukiyo-e print of a cat."),
        (
            "a cat",
            words(("diffused light", "lighting"), ("split lighting", "lighting"), ("softly lit", "lighting")),
            "A cat, with diffused light and split lighting, softly lit.",
        ),
        ("a cat", words(("pen and ink drawing", "mediums")), "A pen and ink drawing of a cat."),
        ("a cat", words(("8-bit sprite", "mediums")), "An 8-bit sprite of a cat."),
        (
            "a cat",
            words(("Hokusai", "artists"), ("by Utamaro", "artists")),
            "A picture of a cat by Hokusai and Utamaro.",
        ),
        ("a crayon drawing of a crab", words(("crayon", "mediums")), "A crayon drawing of a crab."),
        ("a drawing of a crab", words(("a crayon sketch", "mediums")), "A drawing of a crab, a crayon sketch."),
        ("A crab. It waves!", words(("rim light", "lighting")), "A crab. It waves! This is a picture, with rim light."),
        ("two dogs are running", words(("mosaic", "mediums")), "Two dogs are running. This is a mosaic."),
        ("", words(("mosaic", "mediums"), ("lit from above", "lighting")), "A mosaic, lit from above."),
        ("", words(("close-up", "composition"), ("mine", "own")), "A picture with close-up and mine."),
        ("", (), "A picture of dragon, red scales, smile."),
    ],
)
def test_sentences_follow_the_template(caption: str, phrases: tuple[Word, ...], expected: str) -> None:
    assert sentences(Words(caption, phrases, TAGS)) == expected


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60).filter(str.strip)
LONG_TEXT = st.lists(st.text("ab ,.é龙", min_size=1, max_size=9), max_size=150).map(" ".join)
PHRASES = st.lists(
    st.builds(Word, TEXT, st.sampled_from(["mediums", "artists", "lighting", "mood", "own"]), st.floats(-1, 1)),
    max_size=40,
).map(tuple)


@given(
    model=st.sampled_from(MODELS),
    caption=st.one_of(
        st.just(""), TEXT, st.lists(st.text("ab ,.é龙", min_size=1, max_size=9), max_size=150).map(" ".join)
    ),
    phrases=PHRASES,
    tags=PHRASES,
    negative=st.booleans(),
)
def test_no_text_is_longer_than_its_encoder_reads(
    model: str, caption: str, phrases: tuple[Word, ...], tags: tuple[Word, ...], negative: bool
) -> None:
    row = image_model(model)
    try:
        said = texts_for(row, Words(caption, phrases, tags, negative and row.negative))
    except RequestError as error:
        assert "no words" in str(error)  # noqa: PT017 - nothing was given that a text could be made of
        return
    for encoder in row.encoders:
        assert said[encoder.name] and token_count(said[encoder.name], encoder) <= encoder.limit
    assert list(said) == [encoder.name for encoder in row.encoders]


def test_clip_is_counted_by_its_own_tokenizer() -> None:
    """75 tokens of words, and a start and an end."""
    tokenizer = SimpleTokenizer()
    said = texts_for(image_model("sdxl"), Words(CAPTION, words(*((f"phrase {n}", "own") for n in range(99)))))
    counts = {len(tokenizer.encode(text)) for text in said.values()}
    (count,) = counts
    assert 75 - len(tokenizer.encode(", phrase 99")) < count <= 75
    assert said["clip_l"].startswith(f"{CAPTION}, phrase 0, phrase 1, ")


@pytest.mark.parametrize(
    ("text", "t5", "qwen"),
    [
        ("A red dragon on a hill.", 9, 7),
        (
            "A watercolor painting of two dogs by Claude Monet, with rim light and golden hour, backlit. The mood is "
            "hushed.",
            32,
            28,
        ),
        ("chiaroscuro, tenebrism, 35mm film, f/2.8, Kodak Portra 400", 29, 30),
        ("by Hokusai, by Mikalojus Konstantinas Čiurlionis, Art Nouveau", 29, 23),
        ("Schild mit der Aufschrift «Öffnungszeiten»", 13, 15),
        ("一只红色的龙", 3, 4),
        ("🐉 (smiling)", 9, 5),
        ("", 1, 0),
    ],
)
def test_the_estimate_is_not_below_what_the_tokenizers_say(text: str, t5: int, qwen: int) -> None:
    """Counted once by the tokenizers of google/t5-v1_1-xxl and Qwen2.5-VL."""
    assert estimated_count(text) >= max(t5, qwen)


def test_a_long_caption_loses_sentences_then_words_then_characters() -> None:
    sentence = "A red dragon sits on a green hill and looks at the sea."
    said = texts_for(image_model("flux"), Words(" ".join([sentence] * 40)))
    assert said["clip_l"] == ". ".join([sentence.rstrip(".")] * 5) + "."
    assert said["t5xxl"].count(sentence) > 15 and said["t5xxl"].endswith("sea.")
    assert texts_for(image_model("sd15"), Words("dragon " * 100))["clip_l"] == " ".join(["dragon"] * 75)
    assert 10 < len(texts_for(image_model("sd15"), Words("龙" * 300))["clip_l"]) < 76


def test_a_phrase_that_is_too_long_alone_is_cut_and_sites_alone_are_a_list() -> None:
    long = words((" ".join(["dragon"] * 100), "own"), ("short", "own"))
    assert texts_for(image_model("sdxl"), Words("", long))["clip_g"] == " ".join(["dragon"] * 75)
    sites = words(("trending on ArtStation", "sites"), ("ArtStation HQ", "sites"))
    assert texts_for(image_model("qwen"), Words("", sites)) == {"qwen25_7b": "trending on ArtStation, ArtStation HQ"}


def test_phrases_give_way_to_the_caption_in_sentences() -> None:
    many = words(*((f"Unpronounceable Phrase {n}", "own") for n in range(200)))
    said = texts_for(image_model("sd3"), Words(CAPTION, many))["t5xxl"]
    assert said.startswith("A red dragon on a hill. Details: Unpronounceable Phrase 0, ") and said.endswith(".")
    assert "Phrase 199" not in said


def test_the_strongest_third_is_weighted_most() -> None:
    weighted = keywords("a cat", words(*((text, "own") for text in "abcdef")), bool, weights=True)
    assert weighted == "a cat, (a:1.2), (b:1.2), (c:1.1), (d:1.1), e, f"
    assert keywords("", words(("only", "own")), bool, weights=True) == "only"
    assert keywords("", (Word("a", "own", 1), Word("b", "own", 1)), bool, weights=True) == "a, b"


def test_weights_cost_no_tokens_and_escape_brackets() -> None:
    phrases = words(*((f"phrase ({n})", "own") for n in range(99)))
    plain, weighted = (texts_for(image_model("sd15"), Words("a (b)", phrases), TextOptions(weights=on))["clip_l"]
                       for on in (False, True))  # fmt: skip
    assert plain.count("phrase") == weighted.count("phrase")
    assert weighted.startswith(r"a \(b\), (phrase \(0\):1.2), ") and weighted.endswith(
        rf"\({plain.count('phrase') - 1}\)"
    )


def test_backslashes_that_reach_an_encoder_count() -> None:
    """ComfyUI takes off those before round brackets, and no others."""
    counts = []
    for left, right in ("()", "[]"):
        many = Words("", words(*((f"{left}a{right}", "own") for _ in range(99))))
        for options in (TextOptions(), TextOptions(escape=True)):
            counts.append(texts_for(image_model("sd15"), many, options)["clip_l"].count("a"))
    assert counts[0] == counts[1] and counts[2] > counts[3]


def test_weights_are_for_keywords_alone() -> None:
    said = texts_for(image_model("sd3"), Words("a (small) cat", WATERCOLOR), TextOptions(weights=True))
    assert "(a watercolor painting:1.2)" in said["clip_g"] and ":1." not in said["t5xxl"]
    assert r"a \(small\) cat" in said["clip_g"] and r"a \(small\) cat" in said["t5xxl"]


@pytest.mark.parametrize("model", MODELS)
def test_brackets_are_escaped_only_where_they_would_be_weights(model: str) -> None:
    said = texts_for(image_model(model), Words("a (small) cat"), TextOptions(escape=True))
    for encoder in image_model(model).encoders:
        assert (r"\(small\)" in said[encoder.name]) is encoder.reads_weights
        assert encoder.reads_weights is (model != "qwen")


@pytest.mark.parametrize(
    ("model", "first"),
    [
        ("pony", "score_9, score_8_up, score_7_up, score_6_up, score_5_up, score_4_up, dragon, "),
        ("illustrious", "masterpiece, best quality, dragon, "),
    ],
)
def test_tags_for_quality_come_first_and_count(model: str, first: str) -> None:
    many = TAGS + words(*((f"tag {n}", "general") for n in range(99)))
    asked = texts_for(image_model(model), Words(CAPTION, (), many), TextOptions(quality_tags=True))
    plain = texts_for(image_model(model), Words(CAPTION, (), many))
    assert asked["clip_l"].startswith(first) and plain["clip_l"].startswith("dragon, ")
    assert len(asked["clip_l"].split(", ")) < len(plain["clip_l"].split(", ")) + 6
    assert token_count(asked["clip_g"], image_model(model).encoders[1]) <= 77


def test_models_of_tags_read_keywords_where_there_are_no_tags() -> None:
    assert texts_for(image_model("pony"), Words(CAPTION, WATERCOLOR[2:3]))["clip_g"] == f"{CAPTION}, rim light"


def test_a_negative_prompt_is_a_list_for_every_encoder() -> None:
    said = texts_for(
        image_model("sd3"), Words(CAPTION, words(("blurry", "negative"), ("text", "negative")), TAGS, True)
    )
    assert set(said.values()) == {"blurry, text"}


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: image_model("sd16"), "unknown image model 'sd16'; choose from sd15, sdxl, sd3, flux, qwen, pony"),
    (lambda: TextOptions(weights=True).check(image_model("flux")), "flux reads no weights"),
    (lambda: TextOptions(weights=True).check(image_model("qwen")), "qwen reads no weights"),
    (lambda: TextOptions().check(image_model("flux"), negative=True), "flux reads no negative prompt; those"),
    (lambda: TextOptions(quality_tags=True).check(image_model("sdxl")), "those that do are pony, illustrious"),
    (lambda: TextOptions(quality_tags=True).check(image_model("pony"), negative=True), "negative prompt"),
    (lambda: texts_for(image_model("sd15"), Words(" . ")), "no words to make texts of"),
    (lambda: texts_for(image_model("sd15"), Words(CAPTION, (), TAGS, True)), "no words to make texts of"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_a_model_does_not_read_is_refused(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        ask()


def test_a_result_gives_its_texts() -> None:
    phrases = [RankedPhrase("rim light", "lighting", 0.2), RankedPhrase("8k", "detail_and_quality", 0.3)]
    result = Interrogation("…", CAPTION, 0.4, phrases, "best", [Tag("dragon", 0.9), Tag("smile", 0.5)])
    assert result.texts("flux") == {
        "clip_l": "a red dragon on a hill, rim light, 8k",
        "t5xxl": "A red dragon on a hill, with rim light. Details: 8k.",
    }
    assert result.texts("sd15", weights=True)["clip_l"] == "a red dragon on a hill, rim light, (8k:1.1)"
    assert result.texts("pony", quality_tags=True)["clip_g"].endswith("score_4_up, dragon, smile")
    # The less alike, the more a negative prompt keeps away from it.
    negative = Interrogation("…", "", 0.1, phrases, Mode.NEGATIVE.value)
    assert negative.texts("sdxl", weights=True)["clip_l"] == "(rim light:1.1), 8k"
    with pytest.raises(RequestError, match="negative"):
        negative.texts("flux")
