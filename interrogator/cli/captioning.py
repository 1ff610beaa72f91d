"""`interrogator caption`: captions for a whole dataset."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset import Record, Run, Settings, Summary, Wording, count_tokens
from ..errors import RequestError
from .terminal import put, put_json, say

if TYPE_CHECKING:
    from ..dataset.captioning import Models

# Names of the variables in which SLURM, torchrun and MPI say which process of how many this is.
_WORLDS = (("SLURM_PROCID", "SLURM_NTASKS"), ("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"))
# Failures that are named at the end; the report names all.
_NAMED = 20


def caption(args: argparse.Namespace) -> int:
    """Caption what is left of the sources; say how it stands, and name what failed."""
    if args.undo:
        return _undo(args.undo)
    run = Run(args.sources, _settings(args), args.out, args.target, args.column, args.kind, shard_size=args.shard_size)
    if args.dry_run:
        return _preview(args, run)
    rank, world_size = _place(args, os.environ)
    say(f"run {run.folder}")
    with _Bar() as bar:
        summary = run.work(
            lambda: _models(args, run.settings), count_tokens, bar, args.retry_failed, rank, world_size, args.threads
        )
    return _told(args, run, summary)


def _undo(folder: Path) -> int:
    left = Run.reopened(folder).undo()
    for each in left:
        say(f"{each.key}: {each.reason}")
    say("what was there before is back" + (f", but for {len(left)}" if left else ""))
    return 1 if left else 0


def _preview(args: argparse.Namespace, run: Run) -> int:
    counts = run.preview()
    if args.json:
        put_json({"run": str(run.folder), **counts})
    else:
        put(f"{counts['caption']} to caption, {counts['kept']} stay as they are, {counts['failed']} cannot be read")
    return 0


def _told(args: argparse.Namespace, run: Run, summary: Summary) -> int:
    """Say how the run stands. Returns the exit status."""
    failed = 0
    for record in run.parts.records(run.plan):
        if record.status == "failed":
            failed += 1
            if failed <= _NAMED:
                say(f"interrogator: {_shown(record)}: {record.reason}")
    if failed > _NAMED:
        say(f"and {failed - _NAMED} more, in the report")
    if args.json:
        report = None if summary.report is None else str(summary.report)
        put_json({"run": str(summary.run), "total": summary.total, **summary.counts, "report": report})
        return 1 if failed else 0
    left = summary.total - sum(summary.counts.values())
    counts = summary.counts
    say(
        f"{counts['done']} captioned, {counts['kept']} kept, {counts['failed']} failed"
        + (f", {left} left" if left else "")
    )
    if summary.report:
        put(str(summary.report))
    return 1 if failed else 0


def _shown(record: Record) -> str:
    return record.key.encode("utf-8", "backslashreplace").decode()


def _settings(args: argparse.Namespace) -> Settings:
    block = list(args.block)
    if args.block_list:
        from ..banks import load_block_list

        block += load_block_list(args.block_list)
    if args.checkpoint or args.no_bank:
        raise RequestError("--checkpoint and --no-bank are not for caption: name an encoder, or the banks, instead")
    wording = Wording(
        args.trigger, args.template, args.text_prefix, args.text_suffix, tuple(args.strip), tuple(args.replace),
        tuple(args.replace_regex), tuple(args.forbid), tuple(args.require), args.token_limit,
    )  # fmt: skip
    given = {"second_encoder": args.second_encoder, "matcher": args.matcher}
    return Settings(
        preset=args.preset, captioner=args.captioner, encoder=args.encoder,
        banks=tuple(args.bank) if args.bank else None, block=tuple(block), quota=dict(args.quota), artists=args.artists,
        mode=args.mode, quality=args.quality, samples=args.samples, several=args.several, seed=args.seed,
        max_tokens=args.max_caption_tokens, repetition_penalty=args.repetition_penalty,
        caption_prefix=args.caption_prefix, max_phrases=args.max_phrases, score=args.score, dtype=args.dtype,
        wording=wording, policy=args.existing, separator=args.separator,
        **{name: value for name, value in given.items() if value},
    )  # fmt: skip


def _models(args: argparse.Namespace, settings: Settings) -> Models:
    from ..dataset.captioning import Models  # only now: it brings in torch
    from .prompting import with_consent

    models = with_consent(args, lambda download, bar: Models.load(settings, args.device, download, args.cache_dir, bar))
    for role, described in models.described().items():
        say(f"{role} {described}")
    return models


def _place(args: argparse.Namespace, environment: Mapping[str, str]) -> tuple[int, int]:
    """Which process of how many this is: by the options, else by what SLURM, torchrun or MPI say."""
    if (args.rank is None) != (args.world_size is None):
        raise RequestError("--rank and --world-size go together")
    rank, size = args.rank, args.world_size
    if rank is None:
        for rank_name, size_name in _WORLDS:
            if environment.get(rank_name, "").isdecimal() and environment.get(size_name, "").isdecimal():
                rank, size = int(environment[rank_name]), int(environment[size_name])
                break
        else:
            return 0, 1
    if size < 1 or not 0 <= rank < size:
        raise RequestError(f"rank {rank} is not one of {size}: ranks are counted from 0")
    return rank, size


class _Bar:
    """A bar with pictures a second, time left and failures; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int, failed: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=total, unit="picture", initial=done, disable=None, dynamic_ncols=True)
        if failed:
            self._bar.set_postfix_str(f"{failed} failed", refresh=False)
        self._bar.update(done - self._bar.n)
