"""Every error the library raises on purpose.

    InterrogatorError
    ├── ImageReadError      an image cannot be read: names the file and the reason
    ├── BankError           a phrase list is missing, unreadable or breaks a rule
    ├── ModelError
    │   ├── UnknownModelError   unknown preset, architecture or tag: lists the choices
    │   ├── ModelNotFoundError  files are not on disk and may not be downloaded: names them and where to put them
    │   ├── ModelLoadError      files exist but do not make up the model
    │   └── EndpointError       the server of a model does not answer; a dataset run stops and can be resumed
    ├── CaptionError        a model gave nothing usable about an image
    ├── CacheError          an embedding file cannot be imported
    ├── DeviceError         a device or dtype is not available here
    ├── RunStopped          a dataset run cannot continue: the disk is full or gone
    └── RequestError        a request cannot be met: unknown mode, neither caption nor captioner

Catch `InterrogatorError` to catch them all. Any other exception is a bug.
"""

from __future__ import annotations

from os import PathLike, fspath


class InterrogatorError(Exception):
    """Base of every error raised on purpose; the message is one sentence for the user."""


class ImageReadError(InterrogatorError):
    """A file cannot be read as an image. `path` and `reason` are the two halves of the message."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        self.path = fspath(path)
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class BankError(InterrogatorError):
    """A phrase bank is unknown or unreadable, or breaks a rule for lists."""


class ModelError(InterrogatorError):
    """Something is wrong with a model's name, files or weights."""


class UnknownModelError(ModelError):
    """An unknown preset, architecture or tag; the message lists the closest known names."""


class ModelNotFoundError(ModelError):
    """Model files are not on this machine and may not be downloaded; the message names them and a folder for them."""


class ModelLoadError(ModelError):
    """Model files exist but are incomplete, damaged or of another architecture."""


class EndpointError(ModelError):
    """The server behind a captioner does not answer, or not as such a server does; asking again later may help."""


class CaptionError(InterrogatorError):
    """A model gave nothing usable about an image; others of its batch may have their answers."""


class CacheError(InterrogatorError):
    """A text-embedding file cannot be used or imported."""


class DeviceError(InterrogatorError):
    """A device or dtype that this machine or this PyTorch does not support."""


class RunStopped(InterrogatorError):
    """A dataset run cannot continue because of the disk; finished work is kept and the run can be resumed."""


class RequestError(InterrogatorError):
    """A request that cannot be met: an unknown mode, neither caption nor captioner, no phrases."""
