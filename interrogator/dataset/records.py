"""What a run knows of one picture: an `Item` when it is found, a `Record` when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..models import Tag
from ..taggers import LABELS

Status = Literal["done", "kept", "failed"]
"""done: captioned in this run; kept: the existing text stays, wherever it stands; failed: see the reason."""


@dataclass(frozen=True)
class Item:
    """One picture of a source, found but not read yet.

    Attributes:
        key: what names it in the run and in every target: its path in the source with `/` between the parts and its
            extension, so `a.jpg` and `a.png` differ. Bytes of a file name that are no UTF-8 are lone surrogates, as
            Python has them (PEP 383).
        source: which of the run's sources it is from.
        position: where the source finds it again: offset and length in a tar, row in a table; () for a file of its own.
        size: bytes, as far as the source knows; 0 if it does not.
        caption: the text that the source itself says of it, such as a member beside it in a tar or a column of its
            table; None if nothing. Bytes of a text file that are no UTF-8 are lone surrogates, too.
        captions: all that the source says, the first of which is `caption`, where it has a list of several; else ().
        problem: why it cannot be read, known without reading it: a folder named x.jpg, a link that leads nowhere.
        version: what tells its bytes from others without reading them: size and time of its file; of a picture inside
            a tar or table that of the container, then `@` and the position in it. "" if nothing is known. Equal
            versions prove equal bytes; different ones prove nothing.
        mask: the picture that is its mask, in a run that looks at masks; None if it has none.
    """

    key: str
    source: int = 0
    position: tuple[int, ...] = ()
    size: int = 0
    caption: str | None = None
    problem: str = ""
    version: str = field(default="", compare=False)
    captions: tuple[str, ...] = ()
    mask: Item | None = field(default=None, compare=False)

    @property
    def whole_version(self) -> str:
        """What tells its bytes, and those of its mask, from others; "" if that is not known."""
        if self.mask is None or not self.version:
            return self.version
        return f"{self.version} mask {self.mask.key} {self.mask.version}" if self.mask.version else ""

    @property
    def name(self) -> tuple[int, str]:
        """What tells it from every other item of the run: two sources may have the same keys."""
        return self.source, self.key


@dataclass(frozen=True)
class Record:
    """What became of one picture; one line of a part file, one row of a table.

    Attributes:
        key: of the item.
        status: see `Status`.
        reason: why it failed, or was kept; one sentence.
        source: which of the run's sources it is from.
        caption: the text for the trainer; "" where it failed.
        captions: all texts of a run that writes several an image, the best first; (caption,) otherwise.
        scores: by name: `clip` (cosine of image and caption), `itm` (probability that they match), `log_probability`
            (mean a token), `evidence` (of the claim that the picture supports least). What was not computed is not
            there.
        flags: findings about this one: `review`, `empty_caption`, `over_limit`, `missing_trigger`, `missing_word`,
            `forbidden_word`, `repeats`, `animated`, `blank` (of one color), `hidden_pixels` (see
            `pixels.hides_pixels`), `no_mask` (in a run that looks at masks), `unsupported`, of texts that were there
            `not_utf8`, `byte_order_mark` and `several_lines`, the captioner's own `cut` and `looped`, `shortened` (the
            caption alone exceeds the encoder's context, so the text has its beginning only), and of phrases by evidence
            `no_phrases` (none holds) and `uncalibrated` (there are no reference images).
        tokens: of the caption, as the encoder or captioner counts; 0 where nobody counted.
        width, height: pixels, upright; 0 where it could not be read.
        sha256: of the file's bytes, hex, and of its mask's in a run that looks at masks; "" where it could not be read.
        dhash: 64-bit difference hash of the picture, 16 hex characters; near pictures differ in few bits. "" if none.
        unsupported: words of the caption that claim what the picture does not support, the worst first; also of one
            that was there before and stays.
        texts: by name of the text encoder what it is to read, where texts are for an image model that has several; then
            `caption` is made of the text of the encoder that reads most.
        distinctive: phrases that hold for the picture and for less than half of the run's; () where nobody asked.
        existing: the text that was in the caption's file, row or column before this run; None if there was none. Of a
            picture that is kept, None says that its caption stood elsewhere, such as in the source's own table.
        tags: that the tagger holds true of the picture: first those for texts, in their order, then those that say how
            it is filed, such as its rating; () where no tagger was asked.
    """

    key: str
    status: Status
    reason: str = ""
    source: int = 0
    caption: str = ""
    captions: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    tokens: int = 0
    width: int = 0
    height: int = 0
    sha256: str = ""
    dhash: str = ""
    existing: str | None = None
    tags: tuple[Tag, ...] = ()
    unsupported: tuple[str, ...] = ()
    distinctive: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> tuple[int, str]:
        """The name of its item."""
        return self.source, self.key

    @property
    def is_for_target(self) -> bool:
        """Whether its text belongs where the run's captions go: a new one, or one that stays and stood elsewhere."""
        return self.status == "done" or self.status == "kept" and self.existing is None and bool(self.caption)

    @property
    def is_text_only(self) -> bool:
        """Whether all that it knows of the picture is its text, for nobody looked at it."""
        return not (self.sha256 or self.width or self.scores or self.tags)

    @property
    def tag_texts(self) -> list[str]:
        """The tags that describe the picture, for files that have no room for categories."""
        return [tag.text for tag in self.tags if tag.category not in LABELS]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON holds them; a tag is [text, probability, category]."""
        tags = [[tag.text, tag.probability, tag.category] for tag in self.tags]
        return {**vars(self), "scores": dict(self.scores), "texts": dict(self.texts), "tags": tags}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """A record from `as_dict`, also of the first release; fields that are missing take their defaults."""
        given = {_FIRST_NAMES.get(name, name): value for name, value in values.items()}
        given = {name: value for name, value in given.items() if name in _FIELDS}
        for name in ("captions", "flags", "unsupported", "distinctive"):
            if name in given:
                given[name] = tuple(given[name])
        return cls(**{**given, "tags": tuple(Tag(*tag) for tag in given.get("tags", ()))})


# What the first release called fields.
_FIRST_NAMES = {"looks": "dhash", "before": "existing"}
_FIELDS = frozenset(name.name for name in fields(Record))
