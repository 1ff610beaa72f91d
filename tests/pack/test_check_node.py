"""Check Caption: what it marks, keeps and shows, one entry an image."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from interrogator.demo.creatures import creature

from .conftest import Demo, images
from .stand_ins import Listed, Pack, run

pytestmark = pytest.mark.models

DRAWN = [creature(seed) for seed in (1, 2)]
TRUE = [truth.caption for _, truth in DRAWN]
WRONG = [replace(truth, kind="frog" if truth.kind != "frog" else "crab").caption for _, truth in DRAWN]


def checked(pack: Pack, demo: Demo, caption: Any) -> Any:
    """A run of Check Caption on both creatures."""
    batch = images([image for image, _ in DRAWN])
    return run(pack.nodes["InterrogatorCheck"], image=batch, encoder=demo.encoder, caption=caption)


def test_unsupported_claims_are_marked_and_left_out(pack: Pack, demo: Demo) -> None:
    ran = checked(pack, demo, Listed([TRUE[0], WRONG[1]]))
    assert ran[0][0] == ran[1][0] == TRUE[0]
    marked, kept = ran[0][1], ran[1][1]
    assert marked.count("~~") == 2 and marked.replace("~~", "") == WRONG[1]
    struck = marked.split("~~")[1]
    assert struck not in kept and struck in WRONG[1] and len(kept) < len(WRONG[1])


def test_evidence_comes_as_json_bars_and_picture(pack: Pack, demo: Demo) -> None:
    ran = checked(pack, demo, Listed(WRONG))
    for text, entry, claims, picture in zip(
        WRONG, ran.ui["interrogator"], map(json.loads, ran[2]), ran[3], strict=True
    ):
        assert {"text", "span", "evidence", "verdict"} == set(claims[0])
        assert [text[slice(*claim["span"])] for claim in claims] == [claim["text"] for claim in claims]
        shown = [(bar["text"], bar["bank"], bar["similarity"]) for bar in entry["phrases"]]
        assert shown == [(claim["text"], claim["verdict"], claim["evidence"]) for claim in claims]
        assert entry["full"] == 1.0 and entry["remarks"] == () and picture.shape[0] == 1
    assert [entry["text"] for entry in ran.ui["interrogator"]] == ran[0]


def test_a_text_without_claims_says_so(pack: Pack, demo: Demo) -> None:
    ran = checked(pack, demo, Listed(["masterpiece, best quality", TRUE[1]]))
    assert [entry["remarks"] for entry in ran.ui["interrogator"]] == [("no_claims",), ()]
    assert ran[0][0] == ran[1][0] == "masterpiece, best quality"


def test_an_encoder_that_is_not_calibrated_says_so(
    pack: Pack, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(pack.library.pipeline.calibrations, "stored", lambda *known: None)
    assert {entry["remarks"] for entry in checked(pack, demo, TRUE[0]).ui["interrogator"]} == {("guessed",)}


@pytest.mark.parametrize(("caption", "message"), [("", "no caption to check"), (Listed(["a"] * 3), "3 captions")])
def test_a_caption_is_needed(pack: Pack, demo: Demo, caption: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked(pack, demo, caption)
