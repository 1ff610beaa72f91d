"""Phrase banks: named, ordered lists of phrases; loading, merging, filtering and checking."""

from .bank import FLAVORS, NEGATIVE, ROLES, PhraseBank, role_of
from .check import Problem, check_bank_file, check_built_in_banks
from .collection import ARTISTS, bank_names, load_banks, load_block_list

__all__ = [
    "ARTISTS",
    "FLAVORS",
    "NEGATIVE",
    "ROLES",
    "PhraseBank",
    "Problem",
    "bank_names",
    "check_bank_file",
    "check_built_in_banks",
    "load_banks",
    "load_block_list",
    "role_of",
]
