"""The folder of one store: its manifest, finding the store of an encoder, creating a new one."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from safetensors.torch import save
from torch import Tensor

from ..files import sync_folder, temp_path, write_whole
from .cache_files import FORMAT_VERSION, DamagedFile, WarnOnce, logger, open_tensors
from .identity import PROBE_TOLERANCE, EncoderIdentity

MANIFEST, PROBES, SEGMENTS, INDEXES, LOCK = "store.json", "probes.safetensors", "segments", "indexes", "readers.lock"

_FOLDER_NAME = re.compile(r".+-[0-9a-f]{8}(\.([0-9a-f]{8}\.)?damaged)?")
_LONGEST_SLUG = 64


@dataclass(frozen=True, eq=False)
class StoreManifest:
    """The description of a store's encoder in its folder; probes are [P, D] float32."""

    name: str
    dtype: str
    tokenizer: str
    width: int
    probes: Tensor


class NewerFormat(DamagedFile):
    """The store was written by a later release of this library, so it is neither read nor moved."""


def store_folders(root: Path, damaged: bool = False) -> list[Path]:
    """The stores under `root`, sorted by name; with `damaged` also those set aside. Raises OSError.

    The root may contain other folders of the user, so a matching name alone does not make a store.
    """
    try:
        entries = sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in entries if _is_store(path) and (damaged or path.suffix != ".damaged")]


def read_manifest(folder: Path) -> StoreManifest:
    """The manifest of a store. Raises DamagedFile or NewerFormat, and OSError if it cannot be opened."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = int(manifest["format"])
        if version > FORMAT_VERSION:
            raise NewerFormat(path, f"format version {version}")
        if version != FORMAT_VERSION:
            raise DamagedFile(path, f"format version {version}, not {FORMAT_VERSION}")
        name, dtype, tokenizer, width = (
            manifest["name"],
            manifest["dtype"],
            manifest["tokenizer"],
            int(manifest["width"]),
        )
        if not all(isinstance(text, str) for text in (name, dtype, tokenizer)):
            raise DamagedFile(path, "a field is not text")
    except FileNotFoundError as error:
        raise DamagedFile(path, "it is missing") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFile(path, f"{type(error).__name__}: {error}") from error
    return StoreManifest(name, dtype, tokenizer, width, _read_probes(folder / PROBES, width))


def find_folder(root: Path, identity: EncoderIdentity, warnings: WarnOnce) -> Path | None:
    """The store that this encoder filled, or None. Damaged stores cause a warning and are set aside."""
    matching: list[tuple[bool, Path]] = []
    foreign: list[str] = []
    try:
        folders = store_folders(root)
    except OSError as error:
        warnings.unreadable(root, error)
        return None
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except NewerFormat as error:
            logger.info("embedding cache: ignoring %s, which a later release wrote", error.path)
        except DamagedFile as error:
            warnings.damaged(error, move=folder)
        except OSError as error:
            warnings.unreadable(folder, error)
        else:
            difference = _differences(identity, manifest)
            if not difference:
                matching.append((manifest.name != identity.name, folder))  # one of the same name first
            elif manifest.name == identity.name:
                foreign.append(f"{folder.name} has {difference}")
    if not matching and foreign:
        logger.warning("embedding cache: stored rows for %s belong to another encoder and are not used: %s",
                       identity.name, "; ".join(foreign))  # fmt: skip
    return min(matching)[1] if matching else None


def make_folder(root: Path, identity: EncoderIdentity, warnings: WarnOnce) -> Path:
    """Create the store of an encoder, or find the one that another process has just created. Raises OSError.

    It is filled under a temporary name and renamed, so that no reader sees a store without its manifest. Its name
    follows from the identity, so two processes that start together share one folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    aside = temp_path(root)
    aside.mkdir()
    try:
        for name in (SEGMENTS, INDEXES):
            (aside / name).mkdir()
        manifest = {"format": FORMAT_VERSION, "name": identity.name, "dtype": identity.dtype,
                "tokenizer": identity.tokenizer, "width": identity.width}  # fmt: skip
        write_whole(aside / PROBES, save({"probes": identity.probes}))
        write_whole(aside / LOCK, b"")
        write_whole(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
        slug = _slug(identity.name)
        target = root / f"{slug}-{_identity_digest(identity)}"
        try:
            aside.rename(target)
        except OSError:
            existing = find_folder(root, identity, warnings)
            if existing:
                return existing
            target = root / f"{slug}-{uuid4().hex[:8]}"  # something that cannot be moved has the name
            aside.rename(target)
        sync_folder(root)
        return target
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def has_name(folder: Path, name: str) -> bool:
    """Whether a store belongs to the encoder `name`; a damaged store is judged by the name of its folder."""
    try:
        return read_manifest(folder).name == name
    except (DamagedFile, OSError):
        return re.fullmatch(re.escape(_slug(name)) + r"-[0-9a-f]{8}.*", folder.name) is not None


def _read_probes(path: Path, width: int) -> Tensor:
    try:
        with open_tensors(path) as file:
            probes: Tensor = file.get_tensor("probes").clone()  # [P, D]
    except FileNotFoundError as error:
        raise DamagedFile(path, "it is missing") from error
    if probes.dtype != torch.float32 or probes.ndim != 2 or probes.shape[1] != width or not len(probes):
        raise DamagedFile(path, f"probes are {probes.dtype} {list(probes.shape)}, not float32 [P, {width}]")
    if not bool(torch.isfinite(probes).all()):
        raise DamagedFile(path, "probes are not finite")
    return probes


def _differences(identity: EncoderIdentity, manifest: StoreManifest) -> str:
    """How the encoder differs from the one that filled the store; "" if it does not."""
    if manifest.width != identity.width:
        return f"rows of length {manifest.width} instead of {identity.width}"
    far = identity.difference(manifest.probes)
    if not far < PROBE_TOLERANCE:
        return f"other weights (probe rows differ by {far:.1e})"
    if manifest.tokenizer != identity.tokenizer:
        return "another tokenizer"
    return "" if manifest.dtype == identity.dtype else f"dtype {manifest.dtype} instead of {identity.dtype}"


def _is_store(path: Path) -> bool:
    if not _FOLDER_NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        return False
    return any((path / name).exists() for name in (MANIFEST, PROBES, SEGMENTS))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_LONGEST_SLUG].strip("._-") or "encoder"


def _identity_digest(identity: EncoderIdentity) -> str:
    words = [FORMAT_VERSION, identity.name, identity.dtype, identity.tokenizer, identity.width]
    state = hashlib.blake2b(json.dumps(words).encode(), digest_size=4)
    state.update(identity.probes.numpy().tobytes())
    return state.hexdigest()
