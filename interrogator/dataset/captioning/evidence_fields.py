"""Phrases by evidence for the fields `{missing}`, `{common}` and `{distinctive}` of a template, and for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from ...evidence import Overview
from ...pipeline import Interrogator, RankedPhrase
from ...pipeline.completion import complete
from ...pipeline.precise import UNCALIBRATED
from ...pipeline.survey import common_phrases, distinctive_phrases, held_by, ordered
from ...progress import Progress
from ...prompts import join
from ..settings import Settings
from ..state.overviews import RunOverview
from .roles import Roles

# Phrases at most: what a person would write by hand.
_COMMON, _DISTINCTIVE = 10, 5


class EvidenceFields:
    """Finds the phrases for these fields as far as the settings ask for them."""

    def __init__(self, settings: Settings, roles: Roles, interrogator: Interrogator) -> None:
        """Nothing is computed yet."""
        self._settings = settings
        self._roles = roles
        self._interrogator = interrogator
        self._overview = Overview()
        self._common: list[RankedPhrase] = []

    def of(
        self, embedding: Tensor | None, parts: Mapping[str, str], progress: Progress | None
    ) -> tuple[dict[str, list[RankedPhrase]], tuple[str, ...]]:
        """By field the phrases for it, and remarks on them.

        Args:
            embedding: of the picture, [D]; None where there is no encoder.
            parts: the texts of the other fields.
        """
        names = self._settings.rules.names
        found: dict[str, list[RankedPhrase]] = {}
        if embedding is None or not ("missing" in names or self._settings.compares):
            return found, ()
        self._roles.use("encoder")
        evidence, table = self._interrogator.evidence(progress), self._interrogator.table(progress)
        encoder, strictness = self._interrogator.encoder, self._settings.strictness
        if "missing" in names:
            said = join(*(text for name, text in parts.items() if name in names))
            found["missing"] = complete(table, encoder, embedding, said, evidence, self._settings.missing, strictness)
        if self._settings.compares:
            held = held_by(table, encoder, embedding, parts.get("existing", ""), evidence, strictness)
            found["common"] = self._common
            found["distinctive"] = distinctive_phrases(table, held, self._overview, _DISTINCTIVE)
        return found, () if evidence is not None else (UNCALIBRATED,)

    def held(self, embedding: Tensor, existing: str, progress: Progress | None) -> list[str]:
        """The phrases that hold for a picture with this text."""
        self._roles.use("encoder")
        evidence, table = self._interrogator.evidence(progress), self._interrogator.table(progress)
        found = held_by(table, self._interrogator.encoder, embedding, existing, evidence, self._settings.strictness)
        return [each.text for each in found.held]

    def common(self, overview: RunOverview) -> list[tuple[str, str, float]]:
        """What nearly all pictures share, in the order in which people write prompts: text, bank and share."""
        table = self._interrogator.table()
        shared = ordered(table, common_phrases(table, _counted(overview), _COMMON))
        return [(phrase.text, phrase.bank, phrase.share) for phrase in shared]

    def compare_with(self, overview: RunOverview) -> None:
        """Take these pictures as those that each picture is compared with."""
        self._overview = _counted(overview)
        self._common = [RankedPhrase(text, bank, 0.0, share) for text, bank, share in overview.common]


def _counted(overview: RunOverview) -> Overview:
    return Overview(overview.pictures, Counter(overview.counts))
