"""Paths among the arguments of a command: refused before any work where nothing can be read from them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import RequestError
from ..files import NotRegular, require_regular
from ..paths import given_path, is_folder

# Arguments that may be the path of a file or folder; most may be a name as well.
_NAMES = ("bank", "name", "captioner", "tagger", "encoder", "matcher")
_PATHS = ("block_list", "strip_list", "checkpoint", "cache_dir", "file", "files", "lists", "out")
_PREFIX = "local-dir:"


def check_paths(args: argparse.Namespace) -> None:
    """Raises RequestError: a path leads to a pipe or a device, may not be read, or is none."""
    for value in _values(args):
        if "://" in value:
            continue
        path = given_path(value.removeprefix(_PREFIX))
        try:
            require_regular(path)
            if is_folder(path):
                os.scandir(path).close()
            elif not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
                raise PermissionError
        except NotRegular as error:
            raise RequestError(f"{path}: {error.strerror}") from error
        except PermissionError as error:
            raise RequestError(f"{path} may not be read: ask its owner, or name another") from error
        except OSError:  # not there: whose argument it is says so
            continue


def _values(args: argparse.Namespace) -> Iterator[str]:
    for name in (*_NAMES, *_PATHS):
        value = getattr(args, name, None)
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, (str, Path)) and str(each):
                yield str(each)
