"""`interrogator banks`."""

from __future__ import annotations

import argparse

from ..banks import check_bank_file, check_built_in_banks, load_banks
from .terminal import put, put_json, say


def list_banks(args: argparse.Namespace) -> int:
    """Name, role and size of each built-in bank."""
    banks = load_banks()
    for bank in banks:
        if args.json:
            put_json({"bank": bank.name, "role": bank.role, "phrases": len(bank)})
        else:
            put(f"{len(bank):6d}  {bank.name:22} {'' if bank.role == bank.name else bank.role}".rstrip())
    if not args.json:
        put(f"{sum(map(len, banks)):6d}  in total")
    return 0


def show_bank(args: argparse.Namespace) -> int:
    """The phrases of a bank, one a line."""
    for bank in load_banks([args.name], artists=args.artists):
        for phrase in bank.phrases:
            put(phrase)
    return 0


def check_banks(args: argparse.Namespace) -> int:
    """Every broken rule on a line of its own: FILE:LINE: what is wrong."""
    problems = [p for path in args.files for p in check_bank_file(path)] if args.files else check_built_in_banks()
    for problem in problems:
        put(str(problem))
    say(f"{len(problems)} problems" if problems else "no problems found")
    return 1 if problems else 0
