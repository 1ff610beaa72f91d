"""An interrogator as the options of a command say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..banks import PhraseBank
from ..catalog import ROLES
from ..pipeline import Interrogator, load
from ..pipeline.loader import NONE
from .answers import prepare_table
from .download import load_with_consent


def load_interrogator(args: argparse.Namespace, **parts: Any) -> Interrogator:
    """Load what a command needs, with the options that all of them have, and ask before a download.

    parts: further arguments of `pipeline.load`; a role that is not among them gets no model.
    """
    models: dict[str, Any] = {**dict.fromkeys(ROLES, NONE), **parts}
    return load_with_consent(
        args,
        lambda download, bar: load(
            args.preset, **models, device=args.device, dtype=args.dtype, cache_dir=args.cache_dir, download=download,
            progress=bar, checkpoint=args.checkpoint,
        ),
    )  # fmt: skip


def load_with_table(args: argparse.Namespace, banks: Sequence[PhraseBank]) -> Interrogator:
    """Load the encoder, and open or make its table of the phrases of banks."""
    ci = load_interrogator(args, encoder=args.encoder, banks=banks)
    prepare_table(ci)
    return ci
