"""`interrogator cache`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..catalog import preset as find_preset
from ..embeddings import import_reference_table
from ..evidence import clear_references, count_references
from ..pipeline.loader import embedding_cache
from ..registry import load_encoder
from .download import load_with_consent
from .terminal import Bar, put, put_json, say

if TYPE_CHECKING:
    from ..models import Encoder


def list_cache(args: argparse.Namespace) -> int:
    """Each model's embeddings on disk: rows, size, references, dtype, name and folder."""
    for info in embedding_cache(args.cache_dir).list():
        references = count_references(info.path)
        if args.json:
            record = {"model": info.name, "dtype": info.dtype, "rows": info.rows, "bytes": info.bytes}
            put_json({**record, "references": references, "folder": str(info.path)})
        else:
            known = f"{references:4d} references" if references else f"{'':15}"
            put(f"{info.rows:8d} rows  {info.bytes / 1e6:8.1f} MB  {known}  {info.dtype:9} {info.name}  {info.path}")
    return 0


def check_cache(args: argparse.Namespace) -> int:
    """Prove the rows of every model's embeddings; what is damaged is set aside, to be encoded again."""
    status = 0
    for info, rows, damaged in embedding_cache(args.cache_dir).check():
        if args.json:
            put_json({"model": info.name, "dtype": info.dtype, "rows": rows, "damaged": damaged,
                      "folder": str(info.path)})  # fmt: skip
        else:
            word = f"{damaged} damaged, set aside; they will be encoded again" if damaged else "all as written"
            put(f"{rows:8d} rows  {info.dtype:9} {info.name}  {word}")
        status |= bool(damaged)
    return status


def clear_cache(args: argparse.Namespace) -> int:
    """Delete the embeddings of one model, or of all; or only the references among them."""
    cache = embedding_cache(args.cache_dir)
    if args.references:
        stores = [info.path for info in cache.list() if args.name in (None, info.name)]
        freed = sum(clear_references(path) for path in stores)
    else:
        freed = cache.clear(args.name)
    say(f"{freed / 1e6:.1f} MB freed")
    return 0


def import_cache(args: argparse.Namespace) -> int:
    """Import a table of clip-interrogator after checking it against its lists and the model."""
    encoder = load_with_consent(args, lambda download, bar: _load_encoder(args, download, bar))
    store = embedding_cache(args.cache_dir).open(encoder.identity())
    report = import_reference_table(args.file, args.lists, store, encoder.encode_texts)
    put(f"{report.bank}: {report.rows} rows imported; {report.checked} of them were encoded again and agree")
    return 0


def _load_encoder(args: argparse.Namespace, download: bool, bar: Bar) -> Encoder:
    row = find_preset(args.preset)
    return load_encoder(
        args.encoder or row.encoder, device=args.device, dtype=row.dtype_for(args.dtype), checkpoint=args.checkpoint,
        download=download, progress=bar,
    )  # fmt: skip
