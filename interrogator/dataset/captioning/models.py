"""The models of a run: prepared pictures in, texts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from ...banks import PhraseBank, load_banks
from ...catalog import preset as find_preset
from ...embeddings import EmbeddingCache
from ...errors import CaptionError
from ...model_pool import ModelPool
from ...models import Captioner, Encoder, Matcher, Tag, Tagger
from ...modes import Mode
from ...needs import Needs
from ...pipeline import Interrogation, Interrogator, RankedPhrase
from ...pipeline.loader import embedding_cache, locate_all
from ...progress import Progress
from ...qualities import QUALITIES, Quality
from ...reading import Candidate, Reading, embedded
from ...taggers import join_tags, label_tags
from ..progress import share
from ..settings import Settings
from ..state.fingerprints import described
from ..state.overviews import RunOverview
from ..text import choose
from .claim_checks import ClaimChecks
from .encoder_texts import with_encoder_texts
from .evidence_fields import EvidenceFields
from .images import Picture
from .result import CaptionResult
from .roles import Roles, held_tags, prepared
from .strategies import STRATEGIES, Batch

if TYPE_CHECKING:
    from ...banks.collection import Artists

# A caption with a lower probability of matching is noise (CapFilt, BLIP's author in salesforce/BLIP#46).
MATCHES = 0.5


class Models:
    """The models that settings ask for, loaded: what turns pictures into texts.

    Attributes:
        prepare: by role what its model wants of a picture; called in threads, once a picture.
        banks: for the modes and templates that take phrases.
    """

    def __init__(
        self, settings: Settings, captioner: Captioner | None = None, encoder: Encoder | None = None,
        banks: Sequence[PhraseBank] = (), cache: EmbeddingCache | None = None, *, tagger: Tagger | None = None,
        matcher: Matcher | None = None, reranker: Encoder | None = None, pool: ModelPool | None = None,
        needs: Needs | None = None, references: bool | None = None,
    ) -> None:  # fmt: skip
        """Put loaded models together.

        Args:
            captioner, encoder, tagger, matcher: None where the settings do not need them.
            banks, cache: as of `Interrogator`.
            reranker: a second encoder, for quality laion-coco.
            pool: who moves the models; None leaves them where they are.
            needs: roles that have to be there; None are those that the settings need.
            references: as of `Interrogator`; what a run learns counts in the next one.

        Raises RequestError: a model is missing, or the captioner cannot do what is asked.
        """
        self.settings = settings
        self.roles = Roles(settings, captioner, tagger, encoder, matcher, reranker, pool or ModelPool(), needs)
        self.prepare = self.roles.prepare
        self.banks = list(banks)
        self._interrogator = Interrogator(captioner, encoder, self.banks, cache, matcher=matcher, references=references)
        self._evidence = EvidenceFields(settings, self.roles, self._interrogator)

    @classmethod
    def load(
        cls, settings: Settings, device: str = "auto", download: bool = False,
        cache_dir: str | PathLike[str] | None = None, progress: Progress | None = None, only: Needs | None = None,
        references: bool | None = None,
    ) -> Models:  # fmt: skip
        """Load what the settings need, as `interrogator.load` does, and raise what it raises.

        only: of these roles; None is all.
        """
        row = find_preset(settings.preset)
        names = {role: name for role, name in settings.model_names.items() if only is None or role in only}
        located = locate_all(
            {role: name for role, name in names.items() if role != "reranker"}, checkpoint=settings.checkpoint,
            download=download, progress=progress,
        )  # fmt: skip
        pool = ModelPool()
        options: dict[str, Any] = {
            "device": device, "dtype": row.dtype_for(settings.dtype), "download": download, "progress": progress,
        }  # fmt: skip
        models: dict[str, Any] = {
            role: pool.load(role, names[role], located=found, **options) for role, found in located.items()
        }
        if "reranker" in names:
            models["reranker"] = pool.load("encoder", names["reranker"], **options)
        banks: list[PhraseBank] = []
        if "encoder" in names:
            block = (*settings.block, *settings.rules.forbidden)
            names_or_paths, artists = settings.banks or row.banks, cast("Artists", settings.artists)
            banks = load_banks(names_or_paths, block, settings.quota, artists, settings.without_banks)
        return cls(
            settings, banks=banks, cache=embedding_cache(cache_dir), pool=pool, needs=frozenset(names),
            references=references, **models,
        )  # fmt: skip

    @property
    def in_flight(self) -> int:
        """Pictures that a server answers at a time, where nothing but it makes the texts; 0 where models compute."""
        roles = [role for role, _ in self.roles.items()]
        alone = roles == ["captioner"] and not self.settings.image_model
        return int(getattr(self.roles.captioner, "in_flight", 0)) if alone else 0

    def described(self) -> dict[str, dict[str, str]]:
        """By role: each model's name, device, dtype and a fingerprint of its weights, for the record of the run."""
        return {
            role: {**described(model), "device": str(self.roles.pool.device_of(model))}
            for role, model in self.roles.items()
        }

    def write(self, pictures: Sequence[Picture], progress: Progress | None = None) -> list[CaptionResult]:
        """Texts, phrases and tags of pictures, in their order; may be cancelled by the progress."""
        count = len(pictures)
        read = 1.0 if self.settings.mode == "caption" else 0.5  # of the work, about
        readings = self._each(pictures, share(progress, 0.0, read, count))
        composing = share(progress, read, 1.0, count)
        results = [
            self._answered(reading, picture.existing or "", composing)
            for reading, picture in zip(readings, pictures, strict=True)
        ]
        if self.settings.check:
            checks = ClaimChecks(self.roles, self._interrogator.claim_checker())
            results = [checks.of(*each, composing) for each in zip(results, readings, pictures, strict=True)]
        if self.settings.image_model:
            results = [with_encoder_texts(result, self.settings) for result in results]
        if any(reading.embedding is not None for reading in readings):
            self.roles.use("encoder")
            self._interrogator.remember(readings)
        return [result.escaped() for result in results] if self.settings.escape else results

    def check(self, pictures: Sequence[Picture], progress: Progress | None = None) -> list[CaptionResult]:
        """The texts that pictures have, `Picture.existing`, with what their claims are worth."""
        rows = self._embedded(pictures, progress)
        found = [(each, row) for each, row in zip(pictures, rows, strict=True) if not isinstance(row, CaptionError)]
        checked = iter(self._checked([each for each, _ in found], [row for _, row in found], progress) if found else ())
        return [
            CaptionResult((Candidate(""),), error=str(row)) if isinstance(row, CaptionError) else next(checked)
            for row in rows
        ]

    def _checked(
        self, pictures: Sequence[Picture], rows: Sequence[Tensor], progress: Progress | None
    ) -> list[CaptionResult]:
        results = [CaptionResult((Candidate(picture.existing or ""),)) for picture in pictures]
        if self.settings.check:
            checks = ClaimChecks(self.roles, self._interrogator.claim_checker())
            results = [checks.of_text(*each, progress) for each in zip(results, rows, pictures, strict=True)]
        found = []
        for result, row, picture in zip(results, rows, pictures, strict=True):
            by_evidence, _ = self._evidence.of(row, {"existing": picture.existing or ""}, progress)
            found.append(replace(result, by_evidence=by_evidence))
        return found

    def survey(self, pictures: Sequence[Picture], progress: Progress | None = None) -> list[list[str]]:
        """The phrases that hold for each picture."""
        return [
            [] if isinstance(row, CaptionError) else self._evidence.held(row, picture.existing or "", progress)
            for row, picture in zip(self._embedded(pictures, progress), pictures, strict=True)
        ]

    def _embedded(self, pictures: Sequence[Picture], progress: Progress | None) -> list[Tensor | CaptionError]:
        """The embedding [D] of each picture, or why it has none."""
        try:
            return list(embedded(self.roles.use("encoder"), prepared("encoder", pictures), progress))
        except CaptionError as error:
            if len(pictures) == 1:
                return [error]
            return [row for picture in pictures for row in self._embedded([picture], progress)]

    def common(self, overview: RunOverview) -> list[tuple[str, str, float]]:
        """What nearly all pictures share, in the order in which people write prompts: text, bank and share."""
        return self._evidence.common(overview)

    def compare_with(self, overview: RunOverview) -> None:
        """Fill `{common}` and `{distinctive}` by what the pictures of a run share."""
        self._evidence.compare_with(overview)

    def _each(self, pictures: Sequence[Picture], progress: Progress | None) -> list[Reading]:
        """What the models say of pictures; one without a caption does not cost the others theirs."""
        try:
            return self._readings(pictures, progress)
        except CaptionError as error:
            if len(pictures) == 1:
                return [Reading((Candidate("", error=str(error)),))]
            return [reading for picture in pictures for reading in self._each([picture], progress)]

    def _readings(self, pictures: Sequence[Picture], progress: Progress | None) -> list[Reading]:
        """What the models say of pictures, each read once."""
        rows: Sequence[Tensor | None] = [None] * len(pictures)
        tags: Sequence[list[Tag] | None] = [None] * len(pictures)
        captions: list[list[Candidate]] = [[] for _ in pictures]
        if self.roles.encoder is not None:
            rows = list(embedded(self.roles.use("encoder"), prepared("encoder", pictures), progress))  # [B, D]
        if self.roles.tagger is not None:
            tags = self.roles.use("tagger").tag(prepared("tagger", pictures), progress)
        if getattr(self.roles, QUALITIES[Quality(self.settings.quality)].writer) is not None:
            captions = STRATEGIES[self.settings.quality](self.roles, Batch(pictures, rows, tags, progress))
        return [self._reading(*answers) for answers in zip(captions, tags, rows, strict=True)]

    def _reading(self, candidates: list[Candidate], tags: list[Tag] | None, row: Tensor | None) -> Reading:
        """The candidates with the best first that has all required and no forbidden words; the best if none has."""
        flags: tuple[str, ...] = ()
        if candidates:
            scores = [-float(number) for number in range(len(candidates))]
            chosen = choose([each.text for each in candidates], scores, self.settings.rules)
            best = candidates[chosen or 0]
            candidates = [best, *(each for each in candidates if each is not best)]
            flags = (*best.remarks, *(("review",) if best.scores.get("itm", 1.0) < MATCHES else ()))
        return Reading(tuple(candidates), None if tags is None else tuple(tags), row, flags)

    def _answered(self, reading: Reading, existing: str, progress: Progress | None) -> CaptionResult:
        """The result, or why there is none: one odd picture does not end the run."""
        try:
            return self._result(reading, existing, progress)
        except CaptionError as error:
            return CaptionResult((Candidate(""),), error=str(error))

    def _result(self, reading: Reading, existing: str, progress: Progress | None) -> CaptionResult:
        """The texts of the settings' mode, and what the template names beside them."""
        if reading.error:
            return CaptionResult((Candidate(""),), error=reading.error)
        tags = held_tags(self.settings, reading.tags or ())
        remarks: tuple[str, ...] = ()
        texts: Sequence[Candidate] = reading.captions[: self.settings.captions_per_image] or (Candidate(""),)
        phrases: list[RankedPhrase] = []
        if self.settings.mode == Mode.TAGS.value:
            texts = (Candidate(join_tags(tags)),)
        elif self.settings.mode != Mode.CAPTION.value:
            composed = self._compose(reading, progress)
            # What was found of the caption alone stays, but for its similarity, which is now the prompt's.
            scores = {name: score for name, score in texts[0].scores.items() if name != "clip"}
            if composed.similarity is not None:
                scores["clip"] = float(composed.similarity)
            texts, phrases = (Candidate(composed.prompt, scores),), list(composed.phrases)
            remarks = composed.remarks
        phrases += self._template_phrases(reading, phrases, progress)
        parts = {"existing": existing, "prompt": texts[0].text, "caption": reading.caption, "tags": join_tags(tags)}
        by_evidence, others = self._evidence.of(reading.embedding, parts, progress)
        labels = label_tags(reading.tags or (), self.settings.tag_rules)
        flags = tuple(dict.fromkeys((*reading.flags, *remarks, *others)))
        return CaptionResult(texts, reading.caption, phrases, tags, flags, labels=labels, by_evidence=by_evidence)

    def _compose(self, reading: Reading, progress: Progress | None) -> Interrogation:
        """The prompt of a mode that takes phrases."""
        self.roles.use("encoder")
        names = ("min_phrases", "max_phrases", "beams", "avoid_repeats", "min_angle", "strictness")
        search: dict[str, Any] = {name: getattr(self.settings, name) for name in names}
        return self._interrogator.compose(reading, self.settings.mode, progress=progress, **search)

    def _template_phrases(
        self, reading: Reading, taken: Sequence[RankedPhrase], progress: Progress | None
    ) -> list[RankedPhrase]:
        """The phrases of the banks and roles that the template names, most similar first, less those taken."""
        names = self.settings.template_banks
        if not names or reading.embedding is None:
            return []
        self.roles.use("encoder")
        table = self._interrogator.table(progress)
        scores = table.scores(reading.embedding)
        known = {phrase.text for phrase in taken}
        found: list[RankedPhrase] = []
        for name in names:
            for index in table.top(scores, table.bank(name), self.settings.phrases):
                if table.texts[index] not in known:
                    known.add(table.texts[index])
                    found.append(RankedPhrase(table.texts[index], table.banks[index].name, scores[index]))
        return found
