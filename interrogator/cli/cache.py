"""`interrogator cache`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..catalog import preset as find_preset
from ..embeddings import import_reference_table
from ..pipeline.loader import embedding_cache
from ..registry import load_encoder
from .prompt import with_consent
from .terminal import put, put_json, say

if TYPE_CHECKING:
    from ..models import Encoder


def list_cache(args: argparse.Namespace) -> int:
    """What is kept: model, dtype, rows, size and folder."""
    for info in embedding_cache(args.cache_dir).list():
        if args.json:
            record = {"model": info.name, "dtype": info.dtype, "rows": info.rows, "bytes": info.bytes}
            put_json({**record, "folder": str(info.path)})
        else:
            put(f"{info.rows:8d} rows  {info.bytes / 1e6:8.1f} MB  {info.dtype:9} {info.name}  {info.path}")
    return 0


def clear_cache(args: argparse.Namespace) -> int:
    """Delete the embeddings of one model, or all."""
    freed = embedding_cache(args.cache_dir).clear(args.name)
    say(f"{freed / 1e6:.1f} MB freed")
    return 0


def import_cache(args: argparse.Namespace) -> int:
    """Take over a table of clip-interrogator's after checking it against its lists and the model."""
    encoder = with_consent(args, lambda download, bar: _load_encoder(args, download))
    store = embedding_cache(args.cache_dir).open(encoder.identity())
    report = import_reference_table(args.file, args.lists, store, encoder.encode_texts)
    put(f"{report.bank}: {report.rows} rows taken over, {report.checked} of them encoded again and found the same")
    return 0


def _load_encoder(args: argparse.Namespace, download: bool) -> Encoder:
    row = find_preset(args.preset)
    return load_encoder(
        args.encoder or row.encoder, device=args.device, dtype=row.dtype_for(args.dtype), checkpoint=args.checkpoint,
        download=download,
    )  # fmt: skip
