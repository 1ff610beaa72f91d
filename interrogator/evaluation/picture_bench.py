"""Modes compared on pictures whose true prompts are known: what of these each finds, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..models import Encoder
from ..modes import MODES, Mode
from ..pipeline import Interrogator
from ..prompts import cut_at_word
from ..ranking import similarities
from ..reading import Candidate, Reading
from .agreement import Agreement, Meanings, embedded, phrases_of
from .bootstrap import Estimate

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

DEFAULT_MODES = (Mode.CAPTION, Mode.CLASSIC, Mode.FAST, Mode.BEST, Mode.PRECISE)
FIRST = 5
"""Phrases of a prompt whose precision is measured, unless asked otherwise."""

_READ = ("captioner", "encoder")


class Peer(Protocol):
    """Another program that writes prompts, to be measured beside ours."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def modes(self) -> Sequence[str]:
        """Its modes."""
        ...

    def prompt(self, image: Image.Image, mode: str, caption: str) -> str:
        """Its prompt for an image that has this caption."""
        ...


@dataclass(frozen=True)
class Made:
    """A prompt, and the seconds from the open picture to it."""

    prompt: str
    seconds: float


@dataclass(frozen=True)
class Measured:
    """One picture.

    Attributes:
        name: as the caller calls it.
        truth: its true prompt.
        made: the prompts by way: a mode, or a peer's.
        similarity: by way what the judge finds; also of the true prompt, under "". {} without a judge; of a prompt
            that is longer than it reads, its beginning counts.
    """

    name: str
    truth: str
    made: Mapping[str, Made]
    similarity: Mapping[str, float]


@dataclass(frozen=True)
class Figures:
    """A way to make prompts over all pictures.

    Attributes:
        said, found: share of the phrases of the true prompts that are said in its prompts by their words, and by their
            words or meaning; see `Agreement`.
        by_chance: `found` of the true prompt of another picture; None for one picture.
        precision: share of the first phrases of its prompts that the true prompts say.
        similarity: mean cosine of the judge's embeddings of picture and prompt; None without a judge.
        seconds: mean time of a picture.
    """

    said: Estimate
    found: Estimate
    by_chance: Estimate | None
    precision: Estimate
    similarity: Estimate | None
    seconds: Estimate


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        figures: by way.
        angle: within which phrases mean the same, in degrees, see `Meanings`; None where words alone decided.
        true_similarity: the judge's of the true prompts; None without a judge.
        right: of each picture, by way, whether each phrase of the prompt is right; see `Agreement`.
    """

    figures: Mapping[str, Figures]
    angle: float | None
    true_similarity: Estimate | None
    right: Sequence[Mapping[str, Sequence[bool]]]


class PictureBench:
    """Makes the prompts and takes the times.

    A picture is read once by each model; the time of a mode is that of the models that it needs and of its own
    composing, with everything loaded and all phrases embedded. A peer gets our caption, and our captioner's time.
    """

    def __init__(
        self, ci: Interrogator, modes: Sequence[Mode], judge: Encoder | None = None, peer: Peer | None = None
    ) -> None:
        """modes: those that need a captioner and an encoder at most. judge: a second encoder."""
        self._ci = ci
        self._modes = modes
        self._judge = judge
        self._peer = peer
        needs = frozenset[str]().union(*(MODES[mode].needs for mode in modes))
        self._roles = [role for role in _READ if role in needs and getattr(ci.models, role) is not None]

    def warm_up(self, image: Image.Image) -> None:
        """Do everything once that takes longer the first time."""
        self._made(image)

    def measure(self, name: str, truth: str, image: Image.Image) -> Measured:
        """The prompts of one picture. Raises what `Interrogator.read` and `compose` raise."""
        made = self._made(image)
        return Measured(name, truth, made, self._judged(image, {way: each.prompt for way, each in made.items()}, truth))

    def _made(self, image: Image.Image) -> dict[str, Made]:
        caption, row = "", None
        taken = dict.fromkeys(_READ, 0.0)
        for role in self._roles:
            started = time.perf_counter()
            (reading,) = self._ci.read([image], {role})
            if reading.embedding is not None:
                row = reading.embedding
                float(row[0])  # waits for the device
            caption = reading.caption or caption
            taken[role] = time.perf_counter() - started
        reading = Reading((Candidate(caption),), None, row)
        made: dict[str, Made] = {}
        for mode in self._modes:
            started = time.perf_counter()
            prompt = self._ci.compose(reading, mode.value).prompt
            before = sum(taken[role] for role in MODES[mode].needs)
            made[mode.value] = Made(prompt, before + time.perf_counter() - started)
        for mode_name in self._peer.modes if self._peer else ():
            assert self._peer is not None
            started = time.perf_counter()
            prompt = self._peer.prompt(image, mode_name, caption)
            seconds = taken["captioner"] + time.perf_counter() - started
            made[f"{self._peer.name} {mode_name}"] = Made(prompt, seconds)
        return made

    def _judged(self, image: Image.Image, prompts: Mapping[str, str], truth: str) -> dict[str, float]:
        if self._judge is None:
            return {}
        (row,) = self._judge.embed([self._judge.prepare(image)])
        ways = {way: cut_at_word(prompt, self._judge.fits) for way, prompt in {**prompts, "": truth}.items()}
        return dict(zip(ways, similarities(row, self._judge.encode_texts(list(ways.values()))).tolist(), strict=True))


def compare(
    measured: Sequence[Measured], encode: Callable[[Sequence[str]], Tensor] | None, first: int = FIRST
) -> Comparison:
    """The figures of all ways, with intervals over the pictures.

    Args:
        measured: one picture at least, each with the same ways; true prompts without phrases are left out.
        encode: unit embeddings of texts, by the judge if there is one; None: words alone decide.
        first: k, the phrases of a prompt whose precision is measured.
    """
    truths = [_texts(each.truth) for each in measured]
    ways = list(measured[0].made)
    prompts = {way: [_texts(each.made[way].prompt) for each in measured] for way in ways}
    every = (text for group in (truths, *prompts.values()) for texts in group for text in texts)
    meanings = Meanings(truths, embedded(every, encode) if encode else {})
    figures, agreements = {}, {}
    for way in ways:
        agreements[way] = [meanings.compare(*pair) for pair in zip(truths, prompts[way], strict=True)]
        # What others' prompts say of a picture is what a prompt says by chance.
        others = [*prompts[way][1:], prompts[way][0]]
        chance = [meanings.compare(*pair) for pair in zip(truths, others, strict=True)] if len(truths) > 1 else []
        similarity = [each.similarity[way] for each in measured if way in each.similarity]
        figures[way] = Figures(
            _share([each.said for each in agreements[way]]), _share([each.found for each in agreements[way]]),
            _share([each.found for each in chance]) if chance else None,
            _share([each.right[:first] for each in agreements[way]]),
            Estimate.of(similarity) if similarity else None,
            Estimate.of([each.made[way].seconds for each in measured]),
        )  # fmt: skip
    true_similarity = [each.similarity[""] for each in measured if each.similarity]
    return Comparison(
        figures, meanings.angle, Estimate.of(true_similarity) if true_similarity else None, _right(agreements)
    )


def _texts(prompt: str) -> list[str]:
    return [phrase.text for phrase in phrases_of(prompt)]


def _share(flags: Iterable[Sequence[bool]]) -> Estimate:
    """The share of those that are true among all."""
    counts = [(float(sum(each)), float(len(each))) for each in flags]
    return Estimate.of([part for part, _ in counts], [whole for _, whole in counts])


def _right(agreements: Mapping[str, Sequence[Agreement]]) -> list[dict[str, Sequence[bool]]]:
    """By picture what is by way."""
    return [
        {way: each.right for way, each in zip(agreements, of_picture, strict=True)}
        for of_picture in zip(*agreements.values(), strict=True)
    ]
