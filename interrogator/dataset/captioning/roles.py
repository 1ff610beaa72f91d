"""The models of a run by role, and whether they can do what its settings ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ...captioners.abilities import in_words, lacks
from ...errors import RequestError
from ...model_pool import ModelPool
from ...models import Answers, Captioner, Encoder, Matcher, Tag, Tagger
from ...needs import Needs
from ...qualities import QUALITIES, Quality
from ...taggers import select_tags
from ..settings import Settings
from ..text import holds
from .images import Picture


@dataclass(frozen=True, eq=False)
class Roles:
    """Loaded models by role; None where the settings need none.

    Attributes:
        reranker: a second encoder, for quality laion-coco.
        needs: roles that have to be there; None are those that the settings need.
        pool: who moves the models.
    """

    settings: Settings
    captioner: Captioner | None = None
    tagger: Tagger | None = None
    encoder: Encoder | None = None
    matcher: Matcher | None = None
    reranker: Encoder | None = None
    pool: ModelPool = field(default_factory=ModelPool)
    needs: Needs | None = None

    def __post_init__(self) -> None:
        """Raises RequestError: a role without a model, or a captioner that cannot do what is asked."""
        for role in sorted(self.settings.needs if self.needs is None else self.needs):
            if getattr(self, role) is None:
                raise RequestError(f"these settings need a {role}, and there is none")
        if self.captioner is not None:
            self._check_abilities(self.captioner)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Those that are there, by role."""
        for role in ("captioner", "tagger", "encoder", "matcher", "reranker"):
            model = getattr(self, role)
            if model is not None:
                yield role, model

    @property
    def prepare(self) -> Mapping[str, Callable[[Image.Image], Any]]:
        """By role what its model makes of a picture; called in threads."""
        return {role: model.prepare for role, model in self.items()}

    def use(self, role: str) -> Any:
        """The model of a role, on its device from now on."""
        return self.pool.use(getattr(self, role))

    def _check_abilities(self, captioner: Captioner) -> None:
        settings = self.settings
        wanted = {ability: f"quality {settings.quality}" for ability in QUALITIES[Quality(settings.quality)].abilities}
        if settings.rules.forbidden:
            wanted |= {"sampling": "forbidden words", "forbidden words": "forbidden words"}
        asked = {
            "prefix": (settings.caption_prefix, "a caption prefix"), "prompt": (settings.ask, "ask"),
            "system prompt": (settings.system, "system"), "sampling": (settings.temperature, "a temperature"),
        }  # fmt: skip
        wanted |= {ability: what for ability, (given, what) in asked.items() if given}
        for ability, what in sorted(wanted.items()):
            if lacks(captioner, ability):
                raise RequestError(
                    f"{captioner.name} cannot do {in_words(ability)}, which {what} asks for; choose another model"
                )
        if isinstance(captioner, Answers):
            captioner.check(settings.caption_options)


def held_tags(settings: Settings, tags: Iterable[Tag]) -> list[Tag]:
    """The tags of a vocabulary that hold by the settings' rules, less those with a forbidden word."""
    held = select_tags(tags, settings.tag_rules)
    return [tag for tag in held if not any(holds(tag.text, word) for word in settings.rules.forbidden)]


def prepared(role: str, pictures: Sequence[Picture]) -> list[Any]:
    """What the model of a role made of pictures."""
    return [picture.ready[role] for picture in pictures]
