"""Words: what there is to say of a picture, before it is put into the form that an encoder reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A phrase or a tag.

    Attributes:
        bank: the bank of a phrase, the category of a tag.
        strength: what it is weighted by: a phrase's similarity to the image, a tag's probability.
    """

    text: str
    bank: str
    strength: float


@dataclass(frozen=True)
class Words:
    """The words about a picture, in the order in which a prompt has them.

    Attributes:
        caption: may be "".
        negative: these say what the picture is not: a list for every encoder, without caption and tags.
    """

    caption: str = ""
    phrases: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()
    negative: bool = False
