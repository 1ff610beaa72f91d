"""Finding banks by name or path and combining them."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from ..errors import BankError
from .bank import FLAVORS, PhraseBank, by
from .formats import is_artists_table, is_comment, read_artists, read_text

logger = logging.getLogger("interrogator")

BUILT_IN_FOLDER = Path(__file__).parent / "lists"
ALL = "all"
PUBLIC_DOMAIN_YEARS = 70
# Earlier banks win ties and own phrases that are in two banks.
_ORDER = ("artists", "mediums", "movements", "sites")

Artists = Literal["all", "long_dead", "none"]
ARTISTS: tuple[Artists, ...] = get_args(Artists)
"""Which artists prompts may name: all, those dead for 70 years or more, none."""


def built_in_files(folder: Path = BUILT_IN_FOLDER) -> dict[str, Path]:
    """Bank name -> file, for a folder with the package's layout: artists first, then flavors, negative last."""
    files = {path.stem: path for path in _visible(folder) if path.suffix in {".txt", ".csv"}}
    flavors = folder / FLAVORS
    if flavors.is_dir():
        files |= {path.stem: path for path in _visible(flavors) if path.suffix == ".txt"}
    order = {name: index for index, name in enumerate(_ORDER)}
    return dict(sorted(files.items(), key=lambda item: (item[0] == "negative", order.get(item[0], len(order)))))


def _visible(folder: Path) -> list[Path]:
    """The files of a folder; dot files, which macOS leaves beside lists, are none."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def bank_names() -> list[str]:
    """The names that `load_banks` accepts, in bank order, and the group `flavors` of all flavor banks."""
    return [*built_in_files(), FLAVORS]


def load_banks(
    names_or_paths: Iterable[str | PathLike[str]] = (ALL,),
    block: Iterable[str] = (),
    quota: Mapping[str, int] | None = None,
    artists: Artists = "all",
    without: Iterable[str] = (),
) -> list[PhraseBank]:
    """Load banks by name or from files and folders, filtered and with quotas.

    Args:
        names_or_paths: built-in names (`mediums`, `lighting`, the group `flavors`, `all`), list files, or folders of
            lists (including the reference library's `data` folder). Banks of the same name are merged.
        block: words and phrases; phrases that contain one as whole words are left out.
        quota: bank name, or role such as `flavors`, -> maximum number of its phrases in a prompt.
        artists: `all`, `long_dead` (dead for 70 years or more; unknown years count as living) or `none`.
        without: bank names or roles to switch off.

    Raises:
        BankError: an unknown name, an unreadable list, or no phrase left.
    """
    if artists not in ARTISTS:
        raise BankError(f"unknown choice of artists {artists!r}; choose from {', '.join(ARTISTS)}")
    quota = dict(quota or {})
    off = set(without)
    banks: dict[str, PhraseBank] = {}
    for name, path in _files(names_or_paths):
        bank = _read(path, artists)
        banks[name] = banks[name].merged(bank) if name in banks else bank
    if off or quota:
        known = {bank.name for bank in banks.values()} | {bank.role for bank in banks.values()} | set(bank_names())
        for name in [*off, *quota]:
            if name not in known:
                raise BankError(_unknown(name, known))
    block = list(block)
    chosen = []
    for bank in banks.values():
        if bank.name in off or bank.role in off or (artists == "none" and bank.role == "artists"):
            continue
        bank = bank.without(block).limited(quota.get(bank.name, quota.get(bank.role)))
        if bank.phrases:
            chosen.append(bank)
        else:
            logger.warning("bank %s has no phrases left and is switched off", bank.name)
    if not chosen:
        raise BankError("no phrases left: every bank is switched off, blocked or empty")
    return chosen


def load_block_list(path: str | PathLike[str]) -> list[str]:
    """The entries of a block list: one per line, `# ` comments."""
    lines = (line.strip() for line in read_text(Path(path)).splitlines())
    return [line for line in lines if line and not is_comment(line)]


def _files(names_or_paths: Iterable[str | PathLike[str]]) -> list[tuple[str, Path]]:
    built_in = built_in_files()
    groups = {
        ALL: list(built_in),
        FLAVORS: [name for name, path in built_in.items() if path.parent.name == FLAVORS],
    }
    files: list[tuple[str, Path]] = []
    for item in names_or_paths:
        text = os.fspath(item)
        path = Path(text).expanduser()
        if text in groups:
            files += [(name, built_in[name]) for name in groups[text]]
        elif text in built_in:
            files.append((text, built_in[text]))
        elif path.is_dir():
            lists = built_in_files(path)
            if not lists:
                raise BankError(f"{path}: the folder contains no phrase lists (.txt or .csv)")
            files += lists.items()
        elif path.is_file():
            files.append((path.stem, path))
        elif path.suffix or os.sep in text:
            raise BankError(f"{path}: no such phrase list")
        else:
            raise BankError(_unknown(text, {*groups, *built_in}))
    # A bank named twice (`all` and `mediums`) is loaded once.
    return list(dict.fromkeys(files))


def _read(path: Path, artists: Artists) -> PhraseBank:
    bank = PhraseBank.from_file(path)
    if bank.role != "artists" or artists != "long_dead":
        return bank
    if not is_artists_table(path):
        return PhraseBank(bank.name, ())  # a plain list has no years, so all count as living
    this_year = datetime.date.today().year
    dead = [artist.name for artist in read_artists(path) if artist.dead_for(PUBLIC_DOMAIN_YEARS, this_year)]
    return PhraseBank.from_phrases(bank.name, (by(name) for name in dead))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.5) or sorted(known)
    return f"unknown bank {name!r}; choose from {', '.join(near)}"
