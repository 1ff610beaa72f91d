"""Cancel stops a node within its work, whatever class ComfyUI's exception has; the bar reaches its end otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from tests.library.bare_models import BareTagger

from .conftest import Demo, images, put_demo_banks
from .stand_ins import ComfyUI, Listed, Pack, run

pytestmark = pytest.mark.models

PHASES = {
    "captioning": ("captioner", "caption"),
    "embedding images": ("encoder", "embed"),
    "encoding phrases": ("encoder", "encode_texts"),
    "searching": ("encoder", "encode_continuations"),
}


@pytest.fixture(scope="module", params=[8, 33], ids=["Exception", "BaseException"])
def comfyui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """Before 0.20 what Cancel raises is an Exception, since then it is none."""
    made = ComfyUI(tmp_path_factory.mktemp("comfyui"), request.param)
    put_demo_banks(made)
    assert issubclass(made.management.InterruptProcessingException, Exception) == (request.param == 8)
    with made.installed():
        yield made


@pytest.fixture
def no_embeddings(comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Phrases have to be encoded again."""
    paths, kinds = comfyui.folders.folder_names_and_paths["interrogator"]
    monkeypatch.setitem(comfyui.folders.folder_names_and_paths, "interrogator", ([str(tmp_path), *paths], kinds))


@pytest.fixture
def cancel_in(demo: Demo, comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes somebody press Cancel when a phase begins."""

    def press(phase: str) -> None:
        role, method = PHASES[phase]
        model = getattr(demo, role)[0].model
        work = getattr(model, method)

        def cancelled(*args: Any, **options: Any) -> Any:
            comfyui.management.interrupt_current_processing()
            return work(*args, **options)

        monkeypatch.setattr(model, method, cancelled)

    return press


def asked(pack: Pack, demo: Demo, pictures: list[Image.Image], **given: Any) -> list[str]:
    """Prompts of Interrogate (advanced)."""
    parts = {"captioner": demo.captioner, "encoder": demo.encoder, "banks": demo.banks}
    prompts: list[str] = run(pack.nodes["InterrogatorAdvanced"], image=images(pictures), **parts, **given)[0]
    return prompts


@pytest.mark.usefixtures("no_embeddings")
@pytest.mark.parametrize("phase", PHASES)
def test_cancel_comes_out_of_every_phase(
    pack: Pack, demo: Demo, comfyui: ComfyUI, creatures: list[Image.Image], cancel_in: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch, phase: str,
) -> None:  # fmt: skip
    few = {"mode": "best", "mode.min_phrases": 1, "mode.max_phrases": 2}
    cancel_in(phase)
    with pytest.raises(comfyui.management.InterruptProcessingException):
        asked(pack, demo, creatures[:1], **few)
    monkeypatch.undo()
    assert all(asked(pack, demo, creatures[:1], **few))  # the next run is as if nothing had been


@pytest.mark.parametrize(
    "node",
    [
        "InterrogatorCaption",
        "InterrogatorCheck",
        "InterrogatorNegative",
        "InterrogatorRank",
        "InterrogatorSimilarity",
        "InterrogatorTag",
    ],
)
def test_cancel_comes_out_of_every_node(
    pack: Pack, demo: Demo, comfyui: ComfyUI, creatures: list[Image.Image], node: str
) -> None:
    given: dict[str, Any] = {
        "InterrogatorCaption": {"captioner": demo.captioner},
        "InterrogatorCheck": {"encoder": demo.encoder, "caption": "a cat"},
        "InterrogatorNegative": {"encoder": demo.encoder, "banks": demo.banks},
        "InterrogatorRank": {"encoder": demo.encoder, "banks": demo.banks},
        "InterrogatorSimilarity": {"encoder": demo.encoder, "text": "a cat"},
        "InterrogatorTag": {"tagger": Listed([pack.module("nodes.models").hosted(BareTagger())])},
    }[node]
    for questions in (0, 1, 2):
        comfyui.management.interrupts_after = questions
        with pytest.raises(comfyui.management.InterruptProcessingException):
            run(pack.nodes[node], image=images(creatures), **given)
        assert comfyui.management.interrupts_after is None and not comfyui.management.interrupted


@pytest.mark.parametrize("mode", ["precise", "best", "fast", "classic", "caption", "negative"])
def test_the_bar_reaches_its_end(
    pack: Pack, demo: Demo, comfyui: ComfyUI, creatures: list[Image.Image], mode: str
) -> None:
    comfyui.progress.shown.clear()
    asked(pack, demo, creatures[:2], mode=mode, **({} if mode == "caption" else {"mode.max_phrases": 3}))
    shown = comfyui.progress.shown
    assert shown and shown[-1][0] == shown[-1][1] > 0
    assert all(0 <= done <= total for done, total in shown)


@pytest.mark.parametrize(
    "node", ["InterrogatorCaption", "InterrogatorCheck", "InterrogatorRank", "InterrogatorSimilarity"]
)
def test_the_bar_of_other_nodes_reaches_its_end(
    pack: Pack, demo: Demo, comfyui: ComfyUI, creatures: list[Image.Image], node: str
) -> None:
    comfyui.progress.shown.clear()
    part = {"captioner": demo.captioner} if node == "InterrogatorCaption" else {"encoder": demo.encoder}
    text = {"InterrogatorSimilarity": {"text": "a cat"}, "InterrogatorCheck": {"caption": "a cat"}}.get(node, {})
    run(pack.nodes[node], image=images(creatures), **part, **text, **({"lines": "a\nb"} if "Rank" in node else {}))
    assert comfyui.progress.shown[-1][0] == comfyui.progress.shown[-1][1] > 0


def test_a_download_is_told_on_the_node_and_can_be_cancelled(pack: Pack, comfyui: ComfyUI) -> None:
    told = pack.module("nodes.host").download_progress("7", "BLIP")
    told(3_000_000, 12_000_000)
    assert comfyui.server.texts[-1] == ("7", "downloading BLIP: 3 of 12 MB")
    comfyui.management.interrupt_current_processing()
    with pytest.raises(comfyui.management.InterruptProcessingException):
        told(6_000_000, 12_000_000)
