"""What is found in a run's records, and pictures that look alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interrogator.dataset.records import Record
from interrogator.dataset.review import dhash
from interrogator.dataset.review.dhash import difference_hash, near_groups
from interrogator.dataset.review.findings import SHOWN, Finding, ScoreSummary, TagCount, find
from interrogator.dataset.text import FLAGS, CaptionRules
from interrogator.demo import creature
from interrogator.models import Tag


def done(key: str, caption: str, **more: object) -> Record:
    return replace(Record(key, "done", caption=caption), **more)  # type: ignore[arg-type]


def found(records: Sequence[Record], wording: CaptionRules | None = None) -> dict[str, Finding]:
    return {finding.id: finding for finding in find(iter(records), wording).found}


PLAIN = [done(f"{n}.png", f"caption number {n} {'abcdefghijklmnop'[n]}") for n in range(10)]


def test_a_clean_run_has_no_findings() -> None:
    findings = find(PLAIN)
    assert findings.total == 10 and findings.statuses == {"done": 10, "kept": 0, "failed": 0}
    assert [finding.fragment for finding in findings.found] == ["caption number"]  # but for what is everywhere
    assert findings.ids == {}


def test_an_empty_run() -> None:
    assert find([]).found == ()


def test_failures_by_reason() -> None:
    failed = [Record(f"{n}.jpg", "failed", f"{n}.jpg ends after {n} bytes") for n in (5, 6)]
    findings = find([*failed, Record("x", "failed", "is a folder"), Record("y", "failed")])
    assert findings.reasons == {"the file ends after 5 bytes": 2, "is a folder": 1, "unknown reason": 1}
    assert findings.found[0].id == "failed" and findings.found[0].count == 4
    assert findings.ids[0, "x"] == ("failed",)


def test_the_same_caption() -> None:
    records = [
        done("a", "A cat."),
        done("b", "a cat"),
        done("c", "a dog"),
        done("d", ""),
        done("e", ""),
        done("f", "!"),
    ]
    finding = found(records)["duplicate_captions"]
    assert finding.count == 2 and finding.groups == (("a", "b"),)


def test_the_same_picture_and_pictures_that_look_alike() -> None:
    same, other = {"sha256": "1" * 64}, {"sha256": "2" * 64}
    records = [
        done("a", "1", **same, dhash="0" * 16), done("b", "2", **same, dhash="0" * 16),
        done("c", "3", **other, dhash="f" + "0" * 15), done("d", "4", dhash="f" * 16), done("e", "5", dhash="f" * 16),
        done("f", "6", sha256="3" * 64, dhash="0f" * 8), done("g", "7", sha256="3" * 64, dhash="0f" * 8),
    ]  # fmt: skip
    told = found(records)
    assert told["same_picture"].groups == (("a", "b"), ("f", "g"))
    assert told["near_pictures"].groups == (("a", "b", "c"), ("d", "e"))


def test_names_that_collide() -> None:
    keys = ["a/x.jpg", "a/x.png", "a/X.webp", "b/x.jpg", "c/y.jpg", "C/Y.jpg", "n.1.png", "n.2.png", "caf\u00e9.png"]
    keys += ["cafe\u0301.png", ".png", "odd\udcff.png", "v.1/x", "v.2/x", "e/.png", "e/.jpg", "f/z.jpg", "f/z.png"]
    told = found([done(key, str(n)) for n, key in enumerate(keys)])
    assert told["same_stem"].groups == (("a/x.jpg", "a/x.png"), ("f/z.jpg", "f/z.png"))
    assert told["same_but_case"].groups == (
        ("a/x.jpg", "a/x.png", "a/X.webp"), ("c/y.jpg", "C/Y.jpg"), ("caf\u00e9.png", "cafe\u0301.png")
    )  # fmt: skip
    assert "same_stem" not in found([done("a.jpg", "1"), done("a.png", "2", source=1)])


def test_what_one_caption_shows() -> None:
    wording = CaptionRules(trigger="sks", token_limit=5, required=("cat",), forbidden=("dog",))
    records = [
        done("fine", "sks, a cat"),
        done("trigger", "a cat"),
        done("limit", "sks cat", tokens=6),
        done("flagged", "sks cat here", flags=("over_limit", "review", "animated")),
        done("words", "sks dog"),
        done("repeats", "sks cat is a bald bald bald cat"),
        done("empty", " "),
        done("itm", "sks, one cat", scores={"itm": 0.4}),
    ]
    told = {name: finding.keys for name, finding in found(records, wording).items()}
    assert told == {
        "empty_caption": ("empty",), "review": ("flagged",), "low_match": ("itm",),
        "missing_trigger": ("trigger", "empty"), "missing_word": ("words", "empty"), "forbidden_word": ("words",),
        "repeats": ("repeats",), "over_limit": ("limit", "flagged"), "animated": ("flagged",),
    }  # fmt: skip


def test_low_scores_stand_apart_and_in_the_last_twentieth() -> None:
    scores = [0.3 + n % 10 / 100 for n in range(100)]
    scores[7] = 0.05
    records = [done(str(n), f"{n}", scores={"clip": score}) for n, score in enumerate([*scores, float("nan")])]
    findings = find(records)
    assert [finding.keys for finding in findings.found if finding.id == "low_match"] == [("7",)]
    assert findings.scores["clip"].count == 100 and findings.scores["clip"].lowest == 0.05
    assert "low_match" not in found([done(str(n), f"{n}", scores={"clip": 0.3}) for n in range(9)])


def test_what_a_run_said_of_a_caption_is_told_though_the_text_does_not_show_it() -> None:
    for flag in FLAGS:
        assert list(found([done("a", "sks, a cat", flags=(flag,))], CaptionRules(trigger="sks"))) == [flag]


def test_as_many_reasons_are_told_as_a_page_can_show() -> None:
    words = [f"reason {first}{second}" for first in "abcdefgh" for second in "abcdefgh"]
    failed = [Record(f"{n}", "failed", word) for n, word in enumerate([*words, words[-1]])]
    reasons = find(failed).reasons
    assert len(reasons) == 50 and next(iter(reasons.items())) == (words[-1], 2)


def test_tags_are_counted_the_most_frequent_first() -> None:
    smile, solo, safe = Tag("smile", 0.6), Tag("solo", 0.9), Tag("smile", 0.8, "rating")
    records = [
        done("a", "a", tags=(smile, solo, safe)),
        done("b", "b", tags=(solo,)),
        done("c", "c", tags=(solo, smile)),
    ]
    failed = replace(done("d", "", tags=(smile,)), status="failed", reason="x")
    findings = find([*records, failed])
    assert findings.tags == (
        TagCount("solo", "general", 3), TagCount("smile", "general", 2), TagCount("smile", "rating", 1)
    )  # fmt: skip
    assert json.loads(json.dumps(findings.as_dict()))["tags"][0] == {"text": "solo", "category": "general", "count": 3}
    assert len(find([done("e", "e", tags=tuple(Tag(str(n), 1.0) for n in range(SHOWN + 1)))]).tags) == SHOWN


def low(scores: Sequence[float]) -> list[int]:
    """Which of these scores stand out."""
    finding = found([done(str(n), f"{n}", scores={"clip": score}) for n, score in enumerate(scores)]).get("low_match")
    return [] if finding is None else [int(key) for key in finding.keys]


def test_low_scores_are_two_deviations_below_the_mean() -> None:
    bell = [NormalDist(0.3, 0.01).inv_cdf((n + 0.5) / 1000) for n in range(1000)]  # 2.3 % are below, fewer than 5 %
    assert 22 <= len(low(bell)) <= 24 and low(bell) == list(range(len(low(bell))))
    assert low([0.3 + 0.01 * (n % 7) for n in range(100)]) == [], "in a narrow range none stands out"


def test_of_many_scores_that_stand_apart_only_the_lowest_twentieth_is_told() -> None:
    scores = [0.1 + n / 1000 for n in range(8)] + [0.3] * 92
    assert low(scores) == [0, 1, 2, 3, 4]


def test_a_matching_head_says_no_below_one_half() -> None:
    records = [done(str(n), f"{n}", scores={"itm": score}) for n, score in enumerate([0.9, 0.49, 0.5, 0.51, 0.0])]
    assert found(records)["low_match"].keys == ("1", "4")
    unsure = [done(str(n), f"{n}", scores={"itm": 0.1 if n in (1, 32) else 0.9}) for n in range(40)]
    assert found(unsure)["low_match"].keys == ("1", "32"), "in the order of the run"


def test_scores_are_summed_up() -> None:
    records = [done(str(n), f"{n}", scores={"clip": float(n)}) for n in range(101)]
    summary = find(records).scores["clip"]
    assert summary == ScoreSummary(101, 50.0, pytest.approx(850**0.5), 0.0, 5.0, 50.0, 100.0)  # type: ignore[arg-type]


def test_keys_are_capped_and_counts_are_not() -> None:
    many = [done(str(n), "the same words") for n in range(SHOWN + 50)]
    finding = found(many)["duplicate_captions"]
    assert finding.count == SHOWN + 50 and len(finding.keys) == SHOWN == len(finding.groups[0])
    json.dumps(find(many).as_dict())
    pairs = found([done(str(n), f"the words of {n // 2}") for n in range(2 * SHOWN)])["duplicate_captions"]
    assert pairs.count == 2 * SHOWN and len(pairs.keys) == SHOWN
    assert pairs.groups == tuple((str(n), str(n + 1)) for n in range(0, SHOWN, 2))


def test_fragments_are_the_longest_ones() -> None:
    captions = [f"a photo of a {thing} on a table" for thing in ("cat", "dog", "cow", "owl")] + ["a bird in the sky"]
    told = found([done(str(n), caption) for n, caption in enumerate(captions)])
    assert {finding.fragment: finding.count for finding in told.values()} == {"a photo of a": 4, "on a table": 4}
    meant = found([done(str(n), caption) for n, caption in enumerate(captions)], CaptionRules(prefix="a photo of"))
    assert {id: finding.fragment for id, finding in meant.items()} == {"fragment_1": "on a table"}
    assert found([done(str(n), caption) for n, caption in enumerate(captions[:4])]) == {}


WORDS = st.lists(st.sampled_from("abc"), min_size=0, max_size=7)


@given(st.lists(WORDS, min_size=5, max_size=9))
def test_fragments_are_those_that_counting_gives(captions: list[list[str]]) -> None:
    def holders(words: tuple[str, ...]) -> int:
        return sum(any(tuple(c[i : i + len(words)]) == words for i in range(len(c))) for c in captions)

    texts = [" ".join(words) for words in captions]
    filled = sum(map(bool, texts))
    every = {tuple(c[i:j]) for c in captions for i in range(len(c)) for j in range(i + 2, min(i + 6, len(c)) + 1)}
    frequent = {words: n for words in every if (n := holders(words)) >= 0.8 * filled and filled >= 5}
    inner = {a for a in frequent for b in frequent if a != b and f" {' '.join(a)} " in f" {' '.join(b)} "}
    told = [f for f in find(done(str(n), text) for n, text in enumerate(texts)).found if f.fragment]
    assert {tuple(finding.fragment.split()): finding.count for finding in told} == {
        words: n for words, n in frequent.items() if words not in inner and set(words) != {"a"}
    }


def test_fragments_of_a_long_run_are_kept_while_rare_ones_are_dropped() -> None:
    captions = (f"a drawing of x{n} and y{n}" if n % 10 else f"z{n} only {n}" for n in range(5500))
    told = [f for f in find(done(str(n), text) for n, text in enumerate(captions)).found if f.fragment]
    assert [(finding.fragment, finding.count) for finding in told] == [("a drawing of", 4950)]


def test_a_hash_stays_with_its_picture() -> None:
    image, _ = creature(5)
    mine = difference_hash(image)
    assert len(mine) == 16 and difference_hash(image.copy()) == mine
    small = difference_hash(image.resize((96, 96)))
    assert bin(int(mine, 16) ^ int(small, 16)).count("1") <= dhash.NEAR
    ramp = Image.linear_gradient("L")  # dark above, light below
    assert difference_hash(ramp.rotate(90)) == "f" * 16 and difference_hash(ramp.rotate(-90)) == "0" * 16


def brute(numbers: list[int], bits: int) -> list[list[int]]:
    groups: list[set[int]] = []
    for place, number in enumerate(numbers):
        near = {other for other in range(place) if bin(numbers[other] ^ number).count("1") <= bits}
        touched = [group for group in groups if group & near]
        groups = [group for group in groups if not group & near] + [{place}.union(*touched)]
    return sorted(sorted(group) for group in groups if len(group) > 1)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32), st.integers(0, 70), st.sampled_from([0, 1, 4, 7]), st.sampled_from([1, 2, 5]),
    st.sampled_from([2, 400]),
)  # fmt: skip
def test_near_groups_are_those_of_comparing_each_with_each(
    seed: int, size: int, bits: int, dense: int, few: int
) -> None:
    random = np.random.default_rng(seed)
    numbers = np.bitwise_and.reduce(random.integers(0, 2**64, (dense, size), dtype=np.uint64)).tolist()
    for place in range(0, size - 1, 3):  # some near ones
        numbers[place + 1] = numbers[place] ^ int(sum({1 << int(bit) for bit in random.integers(0, 64, bits + 1)}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dhash, "_FEW", few)
        assert near_groups([f"{number:016x}" for number in numbers], bits) == brute(numbers, bits)


def test_pictures_without_a_hash_are_passed_over() -> None:
    assert near_groups(["", "0" * 16, "", "0" * 15 + "1"]) == [[1, 3]] and near_groups([]) == []


def test_ones_are_counted_with_an_old_numpy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = [f"{number:016x}" for number in (0, 15, 31, 2**63)]
    expected = near_groups(hashes, 1)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert near_groups(hashes, 1) == expected == [[0, 3], [1, 2]]
