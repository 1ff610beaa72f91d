"""What a dataset run can be asked for by name: tables that every front end reads. Loads nothing of a run."""

from __future__ import annotations

from typing import Literal, get_args

Policy = Literal["skip", "overwrite", "append", "prepend", "if-empty"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
"""skip: what is there stays, even if blank; if-empty: unless it is blank; append, prepend: both are kept."""

SourceKind = Literal["folder", "imagefolder", "webdataset", "parquet", "list"]
SOURCE_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
"""What pictures come from."""

TargetKind = Literal["txt", "caption", "jsonl", "kohya-json", "kohya-jsonl", "csv", "parquet", "webdataset"]
TARGET_KINDS: tuple[TargetKind, ...] = get_args(TargetKind)
"""Where captions go."""
