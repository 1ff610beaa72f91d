"""What an edit does to the texts of a dataset, as settings hold it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from ...errors import RequestError
from .operations import OPERATIONS, check

Step = tuple[str, ...]
"""The name of an operation and what it is given: `("replace", "cat", "dog")`."""


@dataclass(frozen=True)
class Edit:
    """What an edit does; checked when made.

    Attributes:
        steps: operations of `OPERATIONS`, done one after the other. A text of several lines is edited line by line.
        origin: where the texts are: "" is the target, else whatever the source says; or one of `targets.KINDS` beside
            the pictures, or a file or folder.
        separator: between two tags that were not beside each other before.
        encoding: of texts that are not UTF-8; "" refuses them. Those that begin with the mark of UTF-16 need none.
        several: each line of a text is a caption of its own, and targets that have lists get one.
        round: how often this edit was finished before: asking for it again is another run.
    """

    steps: tuple[Step, ...] = ()
    origin: str = ""
    separator: str = ", "
    encoding: str = ""
    round: int = 0
    several: bool = False

    def __post_init__(self) -> None:
        """Raises RequestError: an unknown operation, or one that cannot be done with what it is given."""
        for name, *given in self.steps:
            if name not in OPERATIONS:
                raise RequestError(f"unknown operation {name!r}; choose from {', '.join(OPERATIONS)}")
            if len(given) != len(OPERATIONS[name].arguments):
                raise RequestError(f"{name} takes {len(OPERATIONS[name].arguments)} texts, not {len(given)}")
            check(name, given)
        if self.encoding:
            try:
                codecs.lookup(self.encoding)
            except LookupError as error:
                raise RequestError(f"unknown encoding {self.encoding!r}; try cp1252, shift_jis or gb18030") from error

    @property
    def is_tidy(self) -> bool:
        """Whether byte order marks go, also where the text itself stays the same."""
        return ("tidy",) in self.steps

    @property
    def needs_counts(self) -> bool:
        """Whether a step asks how often tags are there in the whole dataset."""
        return ("order", "frequency") in self.steps
