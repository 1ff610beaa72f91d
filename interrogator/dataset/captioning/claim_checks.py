"""The claims of a run's texts, judged by their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

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
        existing = (picture.existing or "") if "existing" in self.roles.settings.rules.names else ""
        *claims, of_caption, of_existing = self._claims(
            [*written, result.caption, existing], reading.embedding, picture, progress
        )
        texts = [_scored(each, found) for each, found in zip(result.texts, claims, strict=True)]
        texts[0] = _scored(texts[0], [*claims[0], *of_existing])
        if not self.roles.settings.drop_unsupported:
            words = _unsupported((written[0], claims[0]), (existing, of_existing))
            return replace(result, texts=texts, unsupported=words)
        left = [_without(each, found) for each, found in zip(result.texts, claims, strict=True)]
        left[0] = _scored(left[0], [*_others(claims[0]), *of_existing])
        result = replace(result, unsupported=_unsupported((existing, of_existing)))
        caption = without_claims(result.caption, of_caption)
        if written[0] and not left[0].text:
            return replace(result, texts=(Candidate(""),), error="the picture supports no claim of the caption")
        return replace(result, texts=[each for each in left if each.text] or left[:1], caption=caption)

    def of_text(
        self, result: CaptionResult, embedding: Tensor, picture: Picture, progress: Progress | None
    ) -> CaptionResult:  # fmt: skip
        """The result of a text that stays as it is, with its evidence."""
        text = result.texts[0]
        (claims,) = self._claims([text.text], embedding, picture, progress)
        return replace(result, texts=(_scored(text, claims),), unsupported=_unsupported((text.text, claims)))

    def _claims(
        self, texts: Sequence[str], embedding: Tensor, picture: Picture, progress: Progress | None
    ) -> list[list[Claim]]:
        self.roles.use("encoder")
        ready = None
        if self.checker.matcher is not None:
            self.roles.use("matcher")
            ready = prepared("matcher", [picture]) * len(texts)
        return self.checker.check([embedding] * len(texts), texts, ready, progress)


def _scored(text: Candidate, claims: Sequence[Claim]) -> Candidate:
    """A text with the evidence of the claim that the picture supports least."""
    return text.with_score("evidence", min(claim.evidence for claim in claims)) if claims else text


def _without(text: Candidate, claims: Sequence[Claim]) -> Candidate:
    """A text without its unsupported claims, scored by the others."""
    return _scored(replace(text, text=without_claims(text.text, claims)), _others(claims))


def _others(claims: Sequence[Claim]) -> list[Claim]:
    return [claim for claim in claims if claim.verdict != "unsupported"]


def _unsupported(*checked: tuple[str, Sequence[Claim]]) -> tuple[str, ...]:
    """The words of texts that claim what the picture does not support, the worst first."""
    found = [(claim, text) for text, claims in checked for claim in claims if claim.verdict == "unsupported"]
    return tuple(text[slice(*claim.span)] for claim, text in sorted(found, key=lambda each: each[0].evidence))
