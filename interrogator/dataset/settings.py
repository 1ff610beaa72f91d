"""What a run is asked for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..catalog import preset as find_preset
from ..dataset_choices import POLICIES
from ..errors import RequestError
from ..modes import MIN_PHRASES, Mode
from ..needs import FIELDS, Needs, needs_of
from ..qualities import QUALITIES, Quality
from .text import OWN_NAMES, CaptionRules, Policy

# Fields that came after the first release. A run that does not use them has the name that it would have had before.
_LATER = frozenset(
    {"tagger", "checkpoint", "without_banks", "min_phrases", "beams", "avoid_repeats", "min_angle", "escape"}
)
_PROMPT_OR_CAPTION = re.compile(r"(?<=\{)(\s*)(prompt|caption)(?=\s*\})")


@dataclass(frozen=True)
class Settings:
    """Everything that decides what is written: equal settings and weights write equal captions.

    Attributes:
        preset, captioner, encoder: as in `interrogator.load`; None is the preset's.
        second_encoder: picks the last one in quality laion-coco.
        matcher: the BLIP that judges captions in quality capfilt.
        banks, block, quota, artists: as in `load_banks`; banks None are the preset's.
        mode: caption, classic, fast, best or negative.
        quality: how captions are made; one of `QUALITIES`.
        samples: captions sampled for each picture in quality best-of-n.
        several: texts kept for each picture, the best first.
        seed: of the samples.
        max_tokens: of a caption, as the captioner counts.
        repetition_penalty: above 1 makes words that are there already less likely.
        caption_prefix: words the captioner begins with; they are not in the caption.
        max_phrases: of the prompt in the modes that take phrases; None is the mode's default.
        phrases: how many of each bank or role that the template names.
        score: compare every caption with its picture by CLIP, also in mode caption.
        dtype: auto, fp32, bf16 or fp16.
        wording: what is done to every caption.
        policy: what becomes of a text that stands there already.
        separator: between an old text and a new one.
        tagger: as in `interrogator.load`; None is the preset's.
        checkpoint: weights file of an encoder that is named by its architecture alone.
        without_banks: banks, or roles of banks, to switch off.
        min_phrases, beams, avoid_repeats, min_angle: of the search, as in `Interrogator.interrogate`.
        escape: put a backslash before brackets in what the models say, which ComfyUI and A1111 read as weights.
    """

    preset: str = "sd15"
    captioner: str | None = None
    encoder: str | None = None
    second_encoder: str = "ViT-H-14/laion2b_s32b_b79k"
    matcher: str = "Salesforce/blip-itm-base-coco"
    banks: tuple[str, ...] | None = None
    block: tuple[str, ...] = ()
    quota: Mapping[str, int] = field(default_factory=dict)
    artists: str = "all"
    mode: str = "caption"
    quality: str = "greedy"
    samples: int = 8
    several: int = 1
    seed: int = 0
    max_tokens: int = 32
    repetition_penalty: float = 1.0
    caption_prefix: str = ""
    max_phrases: int | None = None
    phrases: int = 1
    score: bool = False
    dtype: str = "auto"
    wording: CaptionRules = field(default_factory=CaptionRules)
    policy: Policy = "skip"
    separator: str = ", "
    tagger: str | None = None
    checkpoint: str | None = None
    without_banks: tuple[str, ...] = ()
    min_phrases: int = MIN_PHRASES
    beams: int = 1
    avoid_repeats: bool = False
    min_angle: float = 0.0
    escape: bool = False

    def __post_init__(self) -> None:
        """Raises RequestError: one sentence about what does not go together."""
        mode, quality = Mode.of(self.mode), Quality.of(self.quality)
        self._check_name("policy", POLICIES)
        self._check_numbers()
        most = QUALITIES[quality].kept or self.samples
        if self.several > most:
            raise RequestError(
                f"quality {self.quality} makes {most} to keep, not {self.several}: take best-of-n and more"
            )
        if self.several > 1 and mode is not Mode.CAPTION:
            raise RequestError("several captions a picture go with mode caption only")
        if self.wording.forbidden and quality is Quality.BEAM:
            raise RequestError("forbidden words go with every quality but beam")
        if mode is Mode.CAPTION and "phrases" in self.wording.names:
            raise RequestError("{phrases} goes with the modes that take phrases; in mode caption, name a bank or role")

    def _check_name(self, name: str, known: tuple[str, ...]) -> None:
        if getattr(self, name) not in known:
            raise RequestError(f"unknown {name} {getattr(self, name)!r}; choose from {', '.join(known)}")

    def _check_numbers(self) -> None:
        for name in ("samples", "several", "phrases", "max_tokens", "beams"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("min_phrases", "max_phrases"):
            if (getattr(self, name) or 0) < 0:
                raise RequestError(f"{name} must be at least 0, not {getattr(self, name)}")
        if not self.repetition_penalty > 0:
            raise RequestError(f"repetition_penalty must be above 0, not {self.repetition_penalty}")
        if not 0 <= self.min_angle <= 180:
            raise RequestError(f"min_angle must be from 0 to 180 degrees, not {self.min_angle}")

    @property
    def needs(self) -> Needs:
        """The roles whose models are needed."""
        return needs_of(
            Mode(self.mode), template_fields=self.template_fields, quality=Quality(self.quality), score=self.score
        )

    @property
    def model_names(self) -> dict[Any, str]:
        """By role that is needed: the name of its model."""
        row = find_preset(self.preset)
        names = {
            "captioner": self.captioner or row.captioner, "tagger": self.tagger or row.tagger,
            "encoder": self.encoder or row.encoder, "matcher": self.matcher, "reranker": self.second_encoder,
        }  # fmt: skip
        for role in sorted(self.needs):
            if not names[role]:
                raise RequestError(f"preset {self.preset} has no {role}: name one")
        return {role: name for role, name in names.items() if role in self.needs and name}

    @property
    def template_fields(self) -> tuple[str, ...]:
        """The names in the template that stand for something a model says."""
        return tuple(sorted(self.wording.names.difference(OWN_NAMES)))

    @property
    def template_banks(self) -> tuple[str, ...]:
        """The banks and roles of banks that the template names."""
        return tuple(name for name in self.template_fields if name not in FIELDS)

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from `as_dict`, as JSON gives it back.

        Raises:
            RequestError, TypeError: they are of another version of this library.
        """
        wording = {name: _tuples(value) for name, value in values["wording"].items()}
        if "tagger" not in values:  # of the first release, where {caption} stood for the text of the mode
            wording["template"] = _PROMPT_OR_CAPTION.sub(r"\1prompt", wording["template"])
        return cls(**{**{name: _tuples(value) for name, value in values.items()}, "wording": CaptionRules(**wording)})

    def digest(self, asked: Mapping[str, Any]) -> str:
        """Twelve hex characters that stand for these settings and what else a run was asked: the name of the run.

        Settings that the first release had, too, have the digest that they had there, so that its unfinished runs are
        found again.
        """
        content = json.dumps([self._as_first_released(), asked], sort_keys=True, default=str)
        return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()[:12]

    def _as_first_released(self) -> dict[str, Any]:
        """`as_dict` without later fields that are not used, and with the names that a template had for the same."""
        values = self.as_dict()
        for each in fields(self):
            if each.name in _LATER and values[each.name] == each.default:
                del values[each.name]
        # {caption} was the text of the mode. In mode caption both names mean that; else the caption gets the free name.
        other = "caption" if self.mode == Mode.CAPTION.value else "prompt"
        names = {"prompt": "caption", "caption": other}
        template = _PROMPT_OR_CAPTION.sub(lambda found: found[1] + names[found[2]], self.wording.template)
        values["wording"] = {**values["wording"], "template": template}
        return values


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
