"""Every error the library raises on purpose.

    InterrogatorError
    ├── ImageReadError      a file is not a picture we can read: names the file and the reason
    ├── BankError           a phrase list is missing, unreadable or breaks a rule
    ├── ModelError
    │   ├── UnknownModelError   no such preset, architecture or tag: lists what there is
    │   ├── ModelNotFoundError  the files are not on disk and may not be downloaded: names them and where to put them
    │   └── ModelLoadError      the files are there but do not make the model
    ├── CacheError          an embedding file cannot be taken over
    ├── DeviceError         no such device or dtype here
    ├── RunStopped          a dataset run cannot go on: the disk is full or gone
    └── RequestError        what was asked cannot be done: unknown mode, no caption and no captioner

Catch `InterrogatorError` for all of them. Anything else that escapes is a bug.
"""

from __future__ import annotations

from os import PathLike, fspath


class InterrogatorError(Exception):
    """Base of every error raised on purpose; its text is one sentence for a person."""


class ImageReadError(InterrogatorError):
    """A file cannot be read as a picture. `path` and `reason` hold the two halves of the message."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        self.path = fspath(path)
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class BankError(InterrogatorError):
    """A phrase bank is unknown, unreadable or breaks a rule of the lists."""


class ModelError(InterrogatorError):
    """Something is wrong with a model's name, files or weights."""


class UnknownModelError(ModelError):
    """A preset, architecture or tag that nobody knows; the message lists the nearest known names."""


class ModelNotFoundError(ModelError):
    """Model files are not on this machine and may not be downloaded; names the files and a folder for them."""


class ModelLoadError(ModelError):
    """Model files are there but incomplete, damaged or of another architecture."""


class CacheError(InterrogatorError):
    """A text-embedding file cannot be taken over."""


class DeviceError(InterrogatorError):
    """A device or dtype that this machine or this torch does not have."""


class RunStopped(InterrogatorError):
    """A dataset run cannot go on, because of the disk; what is done is kept and it may be taken up again."""


class RequestError(InterrogatorError):
    """A call that cannot be answered as asked: an unknown mode, no caption and no captioner, no phrases."""
