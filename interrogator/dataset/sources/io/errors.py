"""What reading a source raises, and how it is put in words."""

from __future__ import annotations

import sys
import tarfile
import zipfile
import zlib

from ....errors import ImageReadError, RequestError

_OWN = (
    OSError, ValueError, LookupError, RuntimeError, EOFError, ImportError, MemoryError, ArithmeticError, zlib.error,
    zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
# pyarrow, and the packages by which fsspec reaches other machines, have errors that are not of Python's own classes.
# They are looked up when something was raised: a package that is not loaded has raised nothing.
_FOREIGN = (
    ("pyarrow", "ArrowException"),
    ("aiohttp", "ClientError"),  # http, and under s3, gs and hf
    ("botocore.exceptions", "BotoCoreError"),  # s3
    ("botocore.exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),  # gs
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),  # abfs
    ("paramiko", "SSHException"),  # sftp
    ("py7zr.exceptions", "ArchiveError"),
    ("libarchive.exception", "ArchiveError"),
)


def read_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """The errors of files, arrow and fsspec's file systems, and others, for an `except` clause."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in _FOREIGN)
    return _OWN + others + tuple(error for error in found if isinstance(error, type) and issubclass(error, Exception))


def reason(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def missing_package(package: str, needed_by: str) -> RequestError:
    """The error for a package that is not installed."""
    return RequestError(f"{needed_by}: needs {package}; pip install image-interrogator[dataset]")


def too_large(key: str, size: int) -> ImageReadError:
    """The error for a file that is larger than any picture."""
    return ImageReadError(key, f"is too large for a picture file: {size:,} bytes")
