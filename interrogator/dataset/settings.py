"""What a run is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from ..captioners import DEFAULT_OPTIONS, CaptionOptions
from ..captioners.endpoint.address import Address, is_url
from ..captioners.named_prompts import text_of
from ..catalog import known_model
from ..catalog import preset as find_preset
from ..dataset_choices import LINES, POLICIES, Lines
from ..errors import RequestError
from ..image_models import TextOptions, image_model
from ..modes import MIN_PHRASES, STRICTNESS, Mode
from ..needs import FIELDS, Needs, needs_of
from ..qualities import QUALITIES, Quality
from ..taggers import DEFAULT_RULES, TagRules
from .editing.edit import Edit
from .stored_settings import FIRST_LENGTH, digest, from_stored, swap_caption, to_stored
from .text import COMPARED_NAMES, EVIDENCE_NAMES, OWN_NAMES, CaptionRules, Policy


@dataclass(frozen=True)
class Settings:
    """Everything that decides what is written: equal settings and weights write equal captions.

    Attributes:
        preset, captioner, encoder, tagger: as in `interrogator.load`; None is the preset's. A tagger that is named
            is used, whether or not captions name tags: its tags are recorded.
        reranker: the second encoder, which picks the caption in quality laion-coco.
        matcher: the model that judges captions in quality capfilt.
        banks, block, quota, artists: as in `load_banks`; banks None are the preset's.
        mode: one of `modes.MODES`.
        quality: how captions are made; one of `QUALITIES`.
        samples: captions sampled for each picture in quality best-of-n.
        captions_per_image: captions kept for each picture, the best first.
        seed: of the samples.
        max_new_tokens: of a caption, as the captioner counts; None is what its family takes.
        repetition_penalty: above 1 makes words that are there already less likely.
        caption_prefix: words the captioner begins with; they are not in the caption.
        max_phrases: of the prompt in the modes that take phrases; None is the mode's default.
        phrases: how many of each bank or role that the template names.
        image_model: texts are for the encoders of this image model, see `image_models.table`; "" for none.
        weights, quality_tags: as in `Interrogation.texts`.
        overview: report what the pictures share, and what each has of its own.
        missing: how many phrases the field `{missing}` takes at most.
        check: judge the claims of every text by its picture; see `evidence.checking`.
        drop_unsupported: leave out the claims that the picture does not support.
        score: compare every caption with its picture by CLIP, also in mode caption.
        dtype: auto, fp32, bf16 or fp16.
        rules: what is done to every caption.
        policy: what happens where a caption exists.
        separator: between an existing text and a new one.
        tag_rules: which tags hold, and how they read.
        checkpoint: weights file of an encoder that is named by its architecture alone.
        without_banks: banks, or roles of banks, to switch off.
        min_phrases, beams, avoid_repeats, min_angle, strictness: of the search, as in `Interrogator.interrogate`.
        ask, system, temperature, top_p, max_pixels: as in `CaptionOptions`; the trigger is that of the rules, and
            `{tags}` in the question are the tagger's.
        escape: put a backslash before brackets in what the models say, which ComfyUI and A1111 read as weights.
        edit: what is done to the texts that are there, by a run that edits them and has no models; most other settings
            mean nothing to it.
        lines: what the lines of a text that is there are; see `dataset_choices.LINES`.
        round: how often the same was finished before; asking for it again is another run, see `rounds.next_round`.
        trigger_from_folder: the trigger of each picture is the name of its folder, see `folder_of`.
        triggers: folders, by path in the source or by name, and the trigger of their pictures; "" is none. Pictures in
            other folders have that of the rules, those for regularisation none.
        masked: models see only what the mask of a picture shows, and the whole of one that has none; see `companions`
            for their names. Transparent pixels count as masked.
    """

    preset: str = "sd15"
    captioner: str | None = None
    encoder: str | None = None
    reranker: str = "ViT-H-14/laion2b_s32b_b79k"
    matcher: str = "Salesforce/blip-itm-base-coco"
    banks: tuple[str, ...] | None = None
    block: tuple[str, ...] = ()
    quota: Mapping[str, int] = field(default_factory=dict)
    artists: str = "all"
    mode: str = "caption"
    quality: str = "greedy"
    samples: int = 8
    captions_per_image: int = 1
    seed: int = 0
    max_new_tokens: int | None = None
    repetition_penalty: float = 1.0
    caption_prefix: str = ""
    max_phrases: int | None = None
    phrases: int = 1
    score: bool = False
    dtype: str = "auto"
    rules: CaptionRules = field(default_factory=CaptionRules)
    policy: Policy = "skip"
    separator: str = ", "
    tagger: str | None = None
    tag_rules: TagRules = DEFAULT_RULES
    checkpoint: str | None = None
    without_banks: tuple[str, ...] = ()
    min_phrases: int = MIN_PHRASES
    beams: int = 1
    avoid_repeats: bool = False
    min_angle: float = 0.0
    escape: bool = False
    ask: str = ""
    system: str = ""
    temperature: float = 0.0
    top_p: float = DEFAULT_OPTIONS.top_p
    max_pixels: int = DEFAULT_OPTIONS.max_pixels
    check: bool = False
    drop_unsupported: bool = False
    missing: int = 5
    overview: bool = False
    image_model: str = ""
    weights: bool = False
    quality_tags: bool = False
    strictness: float = STRICTNESS
    edit: Edit | None = None
    lines: Lines = "all"
    round: int = 0
    trigger_from_folder: bool = False
    triggers: tuple[tuple[str, str], ...] = ()
    masked: bool = False

    def __post_init__(self) -> None:
        """Raises RequestError: one sentence about what does not go together."""
        mode, quality = Mode.of(self.mode), Quality.of(self.quality)
        self._check_name("policy", POLICIES)
        self._check_name("lines", LINES)
        self._check_numbers()
        most = QUALITIES[quality].kept or self.samples
        if self.captions_per_image > most:
            raise RequestError(
                f"quality {self.quality} makes {most} to keep, not {self.captions_per_image}; choose quality best-of-n "
                "and as many samples"
            )
        if self.captions_per_image > 1 and mode is not Mode.CAPTION:
            raise RequestError("only mode caption writes several captions per image")
        if self.rules.forbidden and quality is Quality.BEAM:
            raise RequestError("quality beam cannot avoid forbidden words; choose another quality")
        if self.temperature and quality is Quality.BEAM:
            raise RequestError(
                "quality beam takes the likeliest caption and a temperature samples: leave one of them out"
            )
        self._check_image_model(mode)
        text_of(self.caption_options.ask)  # both say what is wrong with the options
        if self.captioner is not None and is_url(self.captioner):
            Address.parse(self.captioner)  # refuses what must not be in a record, before it gets there
        if self.drop_unsupported and not self.check:
            raise RequestError("drop_unsupported needs check: without it no claim is judged")
        if "existing" in self.rules.names and self.policy != "overwrite":
            raise RequestError("a template with {existing} makes a new text of what is there: choose policy overwrite")
        if self.edit is not None and self.policy != "overwrite":
            raise RequestError("an edit makes a new text of what is there: choose policy overwrite")
        self._check_triggers()
        if mode is Mode.CAPTION and "phrases" in self.rules.names:
            raise RequestError("mode caption has no {phrases}; name a bank or role in the template")

    def _check_triggers(self) -> None:
        if self.trigger_from_folder and self.rules.trigger:
            raise RequestError("name one trigger, or take it from the folders, not both")
        if (self.trigger_from_folder or self.triggers) and "{trigger}" in self.caption_options.ask:
            raise RequestError(
                "a question with {trigger} asks all pictures about one: caption the folders one by one, each with its "
                "own trigger"
            )
        for _, trigger in self.triggers:
            replace(self.rules, trigger=trigger)  # which says what is wrong with it

    def _check_image_model(self, mode: Mode) -> None:
        options = TextOptions(self.weights, self.quality_tags)
        if self.image_model:
            options.check(image_model(self.image_model), negative=mode is Mode.NEGATIVE)
            if self.captions_per_image > 1:
                raise RequestError("texts for an image model are made of one caption: keep one per image")
        elif options != TextOptions():
            raise RequestError("weights and tags for quality belong to texts for an image model: name one")

    def _check_name(self, name: str, known: tuple[str, ...]) -> None:
        if getattr(self, name) not in known:
            raise RequestError(f"unknown {name} {getattr(self, name)!r}; choose from {', '.join(known)}")

    def _check_numbers(self) -> None:
        for name in ("samples", "captions_per_image", "phrases", "max_new_tokens", "beams", "missing"):
            if (1 if getattr(self, name) is None else getattr(self, name)) < 1:
                raise RequestError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("min_phrases", "max_phrases"):
            if (getattr(self, name) or 0) < 0:
                raise RequestError(f"{name} must be at least 0, not {getattr(self, name)}")
        if not self.repetition_penalty > 0:
            raise RequestError(f"repetition_penalty must be above 0, not {self.repetition_penalty}")
        if not 0 <= self.min_angle <= 180:
            raise RequestError(f"min_angle must be from 0 to 180 degrees, not {self.min_angle}")
        if not 0 < self.strictness < 1:
            raise RequestError(f"strictness must be above 0 and below 1, not {self.strictness}")

    @property
    def needs(self) -> Needs:
        """The roles whose models are needed."""
        needs = needs_of(
            Mode(self.mode), template_fields=self.template_fields, quality=Quality(self.quality),
            score=self.score or self.check or self.overview, captioned=not self.asks_captioner, ask=self.ask,
        )  # fmt: skip
        return needs | {"tagger"} if self.tagger is not None or self._reads_tags else needs

    @property
    def _reads_tags(self) -> bool:
        """Whether the image model reads tags, and the preset has a tagger to find them."""
        reads = bool(self.image_model) and image_model(self.image_model).reads_tags
        return reads and self.mode != Mode.NEGATIVE.value and find_preset(self.preset).tagger is not None

    @property
    def compares(self) -> bool:
        """Whether pictures are compared with each other, for which all of them are looked at first."""
        return self.overview or not self.rules.names.isdisjoint(COMPARED_NAMES)

    @property
    def asks_captioner(self) -> bool:
        """Whether texts say what a captioner writes: not if they are made of texts that are there or of phrases."""
        names = self.rules.names
        is_made = not names.isdisjoint({"existing", *EVIDENCE_NAMES}) and names.isdisjoint({"prompt", "caption"})
        return self.mode != Mode.CAPTION.value or not is_made

    @property
    def caption_options(self) -> CaptionOptions:
        """What is asked of every caption, whatever the quality."""
        return CaptionOptions(
            max_new_tokens=self.max_new_tokens, repetition_penalty=self.repetition_penalty, prefix=self.caption_prefix,
            ask=self.ask, system=self.system, trigger=self.rules.trigger, temperature=self.temperature,
            top_p=self.top_p, seed=self.seed, max_pixels=self.max_pixels,
        )  # fmt: skip

    @property
    def model_names(self) -> dict[Any, str]:
        """By role that is needed: the name of its model."""
        row = find_preset(self.preset)
        names = {
            "captioner": self.captioner or row.captioner, "tagger": self.tagger or row.tagger,
            "encoder": self.encoder or row.encoder, "matcher": self.matcher, "reranker": self.reranker,
        }  # fmt: skip
        for role in sorted(self.needs):
            if not names[role]:
                raise RequestError(f"preset {self.preset} has no {role}; name one")
        return {role: name for role, name in names.items() if role in self.needs and name}

    @property
    def template_fields(self) -> tuple[str, ...]:
        """The names in the template that stand for something a model says."""
        return tuple(sorted(self.rules.names.difference(OWN_NAMES)))

    @property
    def template_banks(self) -> tuple[str, ...]:
        """The banks and roles of banks that the template names."""
        return tuple(name for name in self.template_fields if name not in (*FIELDS, *EVIDENCE_NAMES))

    def as_dict(self) -> dict[str, Any]:
        """As run.json holds them; see `stored_settings`."""
        return to_stored(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from `as_dict`, as JSON gives it back, also of the first release.

        Raises:
            RequestError, KeyError, TypeError, AttributeError: these are no settings that this version knows.
        """
        given = {name: _tuples(value) for name, value in from_stored(values).items()}
        given["rules"] = CaptionRules(**{name: _tuples(value) for name, value in given["rules"].items()})
        if "tag_rules" in given:
            given["tag_rules"] = TagRules(**{name: _tuples(value) for name, value in given["tag_rules"].items()})
        if given.get("edit") is not None:
            given["edit"] = Edit(**{name: _tuples(value) for name, value in given["edit"].items()})
        return cls(**given)

    def digest(self, asked: Mapping[str, Any]) -> str:
        """Twelve hex characters that stand for these settings and what else a run was asked for: the run's name."""
        defaults = {each.name: each.default for each in fields(self) if each.default is not MISSING}
        usual = asdict(DEFAULT_RULES)
        values = asdict(self)
        if self.edit is not None and not self.edit.several:
            del values["edit"]["several"]  # which earlier runs did not know
        values["tag_rules"] = {name: value for name, value in values["tag_rules"].items() if value != usual[name]}
        defaults["tag_rules"] = {}
        row = known_model("captioner", self.captioner or find_preset(self.preset).captioner or "")
        if self.max_new_tokens is None and row is not None and row.family == "blip":
            values["max_new_tokens"] = FIRST_LENGTH
        return digest(values, defaults, asked)

    def first_release(self) -> Settings | None:
        """The settings that the first release made of the same words; None where they meant the same there."""
        template = swap_caption(self.rules.template, self.mode)
        return None if template is None else replace(self, rules=replace(self.rules, template=template))


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, all the way down."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
