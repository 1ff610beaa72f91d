"""Runs that the first release began and did not finish: continued, undone, or refused with a sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from interrogator.dataset import CaptionRules, Run, Settings
from interrogator.errors import RequestError
from interrogator.taggers import TagRules

from .stand_in import StandIn, count, draw, records, run, texts

PICTURES = ("a.png", "b.png", "c.png", "d.png")
_SETTINGS = {
    "preset": "sd15", "captioner": None, "encoder": None, "second_encoder": "ViT-H-14/laion2b_s32b_b79k",
    "matcher": "Salesforce/blip-itm-base-coco", "banks": None, "block": [], "quota": {}, "artists": "all",
    "mode": "caption", "quality": "greedy", "samples": 8, "several": 1, "seed": 0, "max_tokens": 32,
    "repetition_penalty": 1.0, "caption_prefix": "", "max_phrases": None, "phrases": 1, "score": False,
    "dtype": "auto", "policy": "skip", "separator": ", ",
}  # fmt: skip
_WORDING = {
    "trigger": "", "template": "{caption}", "prefix": "", "suffix": "", "strip": [], "replace": [],
    "replace_regex": [], "forbidden": [], "required": [], "max_tokens": 0, "banks": [],
}  # fmt: skip


def began(folder: Path, template: str = "{caption}", **values: Any) -> Path:
    """A run over a folder as the first release left it after one of two shards; its folder.

    Names, order and form are those that commit 42bc939 wrote.
    """
    draw(folder, PICTURES)
    (folder / "b.txt").write_text("old words\n", encoding="utf-8")
    settings = {**_SETTINGS, "wording": {**_WORDING, "template": template}, **values}
    asked = {
        "sources": [str(folder)], "kind": "folder", "out": None, "target": "txt", "column": "text", "shard_size": 2,
    }  # fmt: skip
    name = hashlib.sha256(json.dumps([settings, asked], sort_keys=True).encode()).hexdigest()[:12]
    home = folder / ".interrogator" / name
    for inner in ("plan", "parts"):
        (home / inner).mkdir(parents=True)
    content = {
        "run": name, "asked": asked, "settings": settings, "versions": {"interrogator": "0.1.0"}, "models": [],
        "began": "2026-11-30 14:45:36",
    }  # fmt: skip
    (home / "run.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    lines = [json.dumps([key, 0, [], (folder / key).stat().st_size, None, ""]) for key in PICTURES]
    (home / "plan" / "00000.jsonl").write_text("\n".join(['{"again": false}', *lines, ""]), encoding="utf-8")
    caption = "a caption of the first release"
    first: dict[str, Any] = {
        "key": "a.png", "status": "done", "reason": "", "source": 0, "caption": caption, "captions": [caption],
        "scores": {}, "flags": [], "tokens": 6, "width": 8, "height": 8,
        "sha256": hashlib.sha256((folder / "a.png").read_bytes()).hexdigest(), "looks": "0000000000000000",
        "before": None,
    }  # fmt: skip
    second = {
        **first, "key": "b.png", "status": "kept", "reason": "its caption was there before", "caption": "old words",
        "captions": [], "tokens": 0, "width": 0, "height": 0, "sha256": "", "looks": "", "before": "old words\n",
    }  # fmt: skip
    part = json.dumps(first) + "\n" + json.dumps(second) + "\n"
    (home / "parts" / "00000.jsonl").write_text(part, encoding="utf-8")
    stats = {"pictures": 2, "counts": {"done": 1, "kept": 1, "failed": 0}, "seconds": 0.022}
    (home / "parts" / "00000.stats.json").write_text(json.dumps(stats, indent=1), encoding="utf-8")
    (folder / "a.txt").write_text(caption + "\n", encoding="utf-8")
    return home


@pytest.mark.parametrize(
    ("values", "rules", "digest"),
    [
        ({}, {}, "6c99630eac39"),
        ({"preset": "demo", "seed": 7}, {}, "b82ff005b3c0"),
        ({"mode": "best"}, {}, "3466511578da"),
        ({"mode": "fast"}, {"template": "{prompt}, {flavors}"}, "6bf7d4341514"),
        (
            {},
            {
                "template": "{trigger}, { caption }, {mediums}", "trigger": "sks", "token_limit": 75,
                "replace": (("a", "b"),),
            },
            "702365cdaa7b",
        ),
        (
            {
                "quality": "laion-coco", "captions_per_image": 3, "reranker": "x", "max_new_tokens": 40,
                "banks": ("mediums",), "quota": {"flavors": 5},
            },
            {},
            "dcfacf6030a3",
        ),
        ({"mode": "negative"}, {"template": "{{{prompt}}} {stem}"}, "486f00c687f8"),
    ],
)  # fmt: skip
def test_settings_have_the_digest_that_the_first_release_gave_them(
    values: dict[str, Any], rules: dict[str, Any], digest: str
) -> None:
    """The digests are those that commit 42bc939 computed."""
    settings = Settings(rules=CaptionRules(**rules), **values)
    assert settings.digest({"x": 1}) == digest
    assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


def test_what_the_first_release_could_not_say_has_a_digest_of_its_own() -> None:
    def digest(template: str = "{prompt}", **values: Any) -> str:
        return Settings(rules=CaptionRules(template=template), **values).digest({})

    others = [
        digest(), digest(tagger="x"), digest(tag_rules=TagRules(threshold=0.4)), digest(beams=2, mode="best"),
        digest(mode="best"), digest("{caption}", mode="best"), digest("{caption}, {flavors}", mode="best"),
        digest("{prompt}, {flavors}", mode="best"), digest("{prompt}, {caption}", mode="best"), digest(mode="tags"),
    ]  # fmt: skip
    assert len(set(others)) == len(others)
    assert digest("{caption}") == digest(), "in mode caption the prompt is the caption"


def test_a_run_is_continued(tmp_path: Path) -> None:
    home = began(tmp_path)
    log = tmp_path.parent / f"{tmp_path.name}.log"
    found = run(tmp_path, shard_size=2)
    assert found.folder == home
    summary = found.work(lambda: StandIn(log), count)
    assert summary.counts == {"done": 3, "kept": 1, "failed": 0}
    assert log.read_text(encoding="utf-8").split() == ["c.png", "d.png"], "no picture is captioned twice"
    assert texts(tmp_path)["a.txt"] == b"a caption of the first release\n"
    first, second, *_ = records(found)
    assert first["dhash"] == "0000000000000000" and first["existing"] is None and first["tags"] == []
    assert second["existing"] == "old words\n"


def test_a_run_is_undone(tmp_path: Path) -> None:
    home = began(tmp_path)
    assert Run.reopened(home).undo() == []
    assert texts(tmp_path) == {"b.txt": b"old words\n"} and not home.exists()


def test_a_prompt_with_phrases_is_continued_under_its_new_name(tmp_path: Path) -> None:
    home = began(tmp_path, "{caption}, {flavors}", mode="fast")
    found = run(tmp_path, shard_size=2, mode="fast", rules=CaptionRules(template="{prompt}, {flavors}"))
    assert found.folder == home == Run.reopened(home).folder
    assert found.work(StandIn, count).counts["done"] == 3


def test_a_template_that_meant_something_else_is_refused_with_what_to_do(tmp_path: Path) -> None:
    home = began(tmp_path, "{caption}, {flavors}", mode="fast")
    again = run(tmp_path, shard_size=2, mode="fast", rules=CaptionRules(template="{caption}, {flavors}"))
    for start in (lambda: again.work(StandIn, count), again.prepare):
        with pytest.raises(RequestError) as caught:
            start()
        message = str(caught.value)
        assert str(home) in message and "'{prompt}, {flavors}'" in message and "--undo" in message
        assert "\n" not in message
    Run.reopened(home).undo()
    assert again.work(StandIn, count).counts == {"done": 3, "kept": 1, "failed": 0}


def test_a_finished_run_of_the_first_release_is_in_nobodys_way(tmp_path: Path) -> None:
    began(tmp_path, "{caption}, {flavors}", mode="fast")
    template = {"shard_size": 2, "mode": "fast"}
    run(tmp_path, rules=CaptionRules(template="{prompt}, {flavors}"), **template).work(StandIn, count)
    again = run(tmp_path, rules=CaptionRules(template="{caption}, {flavors}"), **template)
    assert again.work(StandIn, count).counts == {"done": 0, "kept": 4, "failed": 0}
