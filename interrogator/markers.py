"""The family of the model in a folder, known by a small file before any weights are read; and models of a host."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from . import catalog
from .catalog import Family, Role
from .errors import ModelLoadError, ModelNotFoundError
from .files import instead_of_content, read_bounded

logger = logging.getLogger("interrogator")

# Folders inside one of a host's that a model may lie in: `org/name` at most.
_DEPTH = 2
_LARGEST_CONFIG = 20_000_000  # bytes; real ones take kilobytes, those with a label for each tag a megabyte


def check_family(role: Role, folder: Path) -> Family:
    """The family of the model in a folder.

    Raises:
        ModelNotFoundError: the folder holds no marker of a family.
        ModelLoadError: it holds a model, but none for this role, or one that cannot be loaded here.
    """
    family = family_in(role, folder)
    if family is not None:
        if family.check:
            imported(family.check)(folder)
        return family
    kinds = catalog.families(role)
    others = [other for other in catalog.ROLES if family_in(other, folder) is not None]
    if others:
        raise ModelLoadError(f"{folder} holds {_article(' and '.join(others))}, not {_article(role)}")
    path = folder / "config.json"
    if not path.is_file():
        files = " or ".join(marker_files(role))
        raise ModelNotFoundError(f"{folder} holds no {role}: it has no {files or 'file by which one is known'}")
    config = _config(path)
    unlisted = _unlisted(role, config)
    if isinstance(unlisted, Family):
        return unlisted
    if unlisted:
        raise ModelLoadError(f"{folder} holds {described(config)}, {unlisted}")
    known = ", ".join(each.name for each in kinds if each.marker) or "none yet"
    raise ModelLoadError(
        f"{folder} holds {described(config)}, not {_article(role)} of a family that this version loads ({known})"
    )


def described(config: Mapping[str, Any]) -> str:
    """A model by its config.json: its type and architecture, and whether it has code of its own."""
    what = "a model whose config.json names no model_type"
    if "model_type" in config:
        what = f"a model of type {config['model_type']!r}"
    if config.get("architectures"):
        what += f" ({', '.join(map(str, config['architectures']))})"
    if config.get("auto_map"):
        what += ", which needs code from its repository; such code is never run"
    return what


def marker_files(role: Role) -> list[str]:
    """The names of the files by which folders with a model for a role are recognised."""
    markers = [family.marker for family in catalog.families(role) if family.marker]
    return list(dict.fromkeys(name for marker in markers for name in marker.names))


def family_in(role: Role, folder: Path) -> Family | None:
    """The family for a role by a folder's marker, or None. Raises ModelLoadError: a marker cannot be read."""
    return next((family for family in catalog.families(role) if is_of(family, role, folder)), None)


def _unlisted(role: Role, config: dict[str, Any]) -> Family | str | None:
    """The family that loads a type which no family lists, or why it cannot be loaded; None where no family knows."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or any(each.marker and kind in each.marker.model_types for each in catalog.FAMILIES):
        return None
    for family in catalog.families(role):
        if family.marker and family.marker.unlisted:
            reason: str | None = imported(family.marker.unlisted)(config)
            return family if reason == "" else reason
    return None


def is_of(family: Family, role: Role, folder: Path) -> bool:
    """Whether a folder holds a model of a family for a role, by its marker. Raises as `family_in`."""
    marker = family.marker
    if marker is None or role not in family.loads:
        return False
    path = next((folder / name for name in marker.names if (folder / name).is_file()), None)
    if path is None:
        return False
    config = _config(path) if marker.model_types or marker.entry or role in family.architectures else {}
    if marker.model_types and config.get("model_type") not in marker.model_types:
        return False
    if not _has(config, marker.entry):
        return False
    named = config.get("architectures")
    allowed = family.architectures.get(role, ())
    return not (allowed and isinstance(named, list) and named and not set(map(str, named)) & set(allowed))


def _has(config: Any, keys: Iterable[str]) -> bool:
    for key in keys:
        if not isinstance(config, dict) or key not in config:
            return False
        config = config[key]
    return True


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _config(path: Path) -> dict[str, Any]:
    if path.suffix != ".json":
        return {}
    try:
        instead = instead_of_content(path)
        if instead:
            raise ModelLoadError(f"{path} {instead}")
        content = json.loads(read_bounded(path, _LARGEST_CONFIG))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} is not a configuration: it does not contain a JSON object")
    return content


def on_disk(role: Role, folders: Iterable[Path]) -> dict[str, Path]:
    """Models of a role in folders of a host, by the name to show: the last part of the folder and the path below it.

    Those that the catalog has under a name of its own are left out, and those whose marker cannot be read. Where one
    file is the name of a model, those in the folders are listed too.
    """
    markers = marker_files(role)
    known = {name for row in catalog.MODELS for name in catalog.folder_names(row)}
    found: dict[str, Path] = {}
    listed: set[Path] = set()  # a folder for one role may lie in a folder for all
    for root in folders:
        for folder in _folders_with(markers, root, _DEPTH):
            name = folder.relative_to(root).as_posix()
            if folder in listed or name.casefold() in known or not _holds(role, folder):
                continue
            listed.add(folder)
            found.setdefault(f"{root.name}/{name}", folder)
        for path in _files_of(role, root):
            found.setdefault(f"{root.name}/{path.name}", path)
    return found


def _files_of(role: Role, root: Path) -> list[Path]:
    """Files in a folder that are models by themselves, with what lies beside them."""
    kinds = [family for family in catalog.families(role) if family.suffix]
    try:
        paths = sorted(path for path in root.iterdir() if any(path.name.endswith(each.suffix) for each in kinds))
    except OSError:
        return []
    return [path for path in paths if any(_is_model(family, path) for family in kinds)]


def _is_model(family: Family, path: Path) -> bool:
    try:
        return imported(family.finder)(str(path), None) is not None
    except (ModelNotFoundError, ModelLoadError) as error:
        logger.info("passed over: %s", error)
        return False


def imported(name: str) -> Any:
    """What `module:attribute` names; a module that begins with a dot is one of this package."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module, __package__), attribute)


def _holds(role: Role, folder: Path) -> bool:
    try:
        return family_in(role, folder) is not None
    except ModelLoadError as error:  # one damaged file hides no other model
        logger.info("passed over: %s", error)
        return False


def _folders_with(markers: Iterable[str], root: Path, depth: int) -> list[Path]:
    """Folders below `root` that hold a file of such a name; what cannot be read is passed over."""
    try:
        entries = sorted(entry for entry in root.iterdir() if os.path.isdir(entry))
    except OSError:
        return []
    found = []
    for entry in entries:
        if any(os.path.isfile(entry / marker) for marker in markers):
            found.append(entry)
        elif depth > 1:
            found += _folders_with(markers, entry, depth - 1)
    return found
