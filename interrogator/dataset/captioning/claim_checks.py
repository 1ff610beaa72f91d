"""The claims of a run's texts, judged by their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...evidence import Claim, ClaimChecker, without_claims
from ...progress import Progress
from ...reading import Candidate, Reading
from .images import Picture
from .result import CaptionResult
from .roles import Roles, prepared


@dataclass(frozen=True)
class ClaimChecks:
    """Checks results of pictures, each alone, so that a verdict does not hang on what else is in a batch."""

    roles: Roles
    checker: ClaimChecker

    def of(
        self, result: CaptionResult, reading: Reading, picture: Picture, progress: Progress | None
    ) -> CaptionResult:  # fmt: skip
        """The result with the evidence of its texts; if the settings say so, without unsupported claims.

        One of which nothing would be left has an error instead of a text.
        """
        if result.error or reading.embedding is None:
            return result
        written = [each.text for each in result.texts]
        claims = self._claims([*written, result.caption], reading, picture, progress)
        unsupported = [claim for claim in claims[0] if claim.verdict == "unsupported"]
        words = (written[0][slice(*claim.span)] for claim in sorted(unsupported, key=lambda claim: claim.evidence))
        texts = [_scored(each, found) for each, found in zip(result.texts, claims, strict=False)]
        if not self.roles.settings.drop_unsupported:
            return replace(result, texts=texts, unsupported=tuple(words))
        left = [_without(each, found) for each, found in zip(result.texts, claims, strict=False)]
        caption = without_claims(result.caption, claims[-1])
        if written[0] and not left[0].text:
            return replace(result, texts=(Candidate(""),), error="the picture supports no claim of the caption")
        return replace(result, texts=[each for each in left if each.text] or left[:1], caption=caption)

    def _claims(
        self, texts: Sequence[str], reading: Reading, picture: Picture, progress: Progress | None
    ) -> list[list[Claim]]:
        self.roles.use("encoder")
        ready = None
        if self.checker.matcher is not None:
            self.roles.use("matcher")
            ready = prepared("matcher", [picture]) * len(texts)
        return self.checker.check([reading.embedding] * len(texts), texts, ready, progress)


def _scored(text: Candidate, claims: Sequence[Claim]) -> Candidate:
    """A text with the evidence of the claim that the picture supports least."""
    return text.with_score("evidence", min(claim.evidence for claim in claims)) if claims else text


def _without(text: Candidate, claims: Sequence[Claim]) -> Candidate:
    """A text without its unsupported claims, scored by the others."""
    others = [claim for claim in claims if claim.verdict != "unsupported"]
    return _scored(replace(text, text=without_claims(text.text, claims)), others)
