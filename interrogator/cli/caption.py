"""`interrogator caption`: captions for a whole dataset."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dataset import CaptionRules, Run, Settings, Summary, count_tokens, work_in_processes
from ..errors import RequestError
from .engines import device_of, engine_of, loader, loader_of, processes_of
from .terminal import put, put_json, say

if TYPE_CHECKING:
    from ..dataset.captioning.models import Models

# Names of the variables in which SLURM, torchrun and MPI say which process of how many this is, and which one on its
# machine. SLURM_NTASKS is no sign: a batch script has it, too, while its commands run once unless srun starts them.
_WORLDS = (
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
)
# Failures that are named at the end; the report names all.
_NAMED = 20


class Place(NamedTuple):
    """A process: its rank, of how many, and its number on its machine."""

    rank: int
    size: int
    local: int


def caption(args: argparse.Namespace) -> int:
    """Caption what is left of the sources; say how it stands, and name what failed."""
    if args.undo:
        return _undo(args)
    run = Run(args.sources, _settings(args), args.out, args.target, args.column, args.kind, shard_size=args.shard_size)
    if args.dry_run:
        return _preview(args, run)
    try:
        with _Bar() as bar:
            summary = _worked(args, run, bar)
    except KeyboardInterrupt:
        say("stopped; what is captioned is kept, and the same command goes on from there")
        return 130
    return _told(args, run, summary)


def _worked(args: argparse.Namespace, run: Run, bar: _Bar) -> Summary:
    """Caption what is left, in this process or in others."""

    def announce(text: str) -> None:
        say(text)
        bar.is_shown = True

    engine = engine_of(args, announce)
    if engine:
        return run.work(
            loader(args, run.settings), count_tokens, bar, args.retry_failed, threads=args.threads, engine=engine
        )
    world = place(args.rank, args.world_size, os.environ)
    workers = processes_of(args)
    if workers > 1 and world.size == 1:
        devices = dict.fromkeys(device_of(args.device, rank) for rank in range(workers))
        say(f"device {', '.join(devices)}, processes {workers}")
        announce(f"run {_shown(run.folder)}")
        models = partial(loader_of, args, run.settings)
        return work_in_processes(run, models, count_tokens, workers, bar, args.retry_failed, args.threads)

    def load() -> Models:
        loaded = _models(args, run, world)
        bar.is_shown = True
        return loaded

    return run.work(load, count_tokens, bar, args.retry_failed, world.rank, world.size, args.threads)


def _undo(args: argparse.Namespace) -> int:
    left = Run.reopened(args.undo).undo()
    if args.json:
        put_json({"run": _shown(args.undo), "left": [{"key": _shown(e.key), "reason": e.reason} for e in left]})
        return 1 if left else 0
    for each in left:
        say(f"interrogator: {_shown(each.key)}: {each.reason}")
    say("what was there before is back" + (f", but for {len(left)}" if left else ""))
    return 1 if left else 0


def _preview(args: argparse.Namespace, run: Run) -> int:
    counts = run.preview(args.retry_failed)
    if args.json:
        put_json({"run": _shown(run.folder), **counts})
        return 0
    put(
        f"{counts['caption']} to caption, {counts['kept']} stay as they are, {counts['failed']} cannot be captioned"
        + (f", {counts['done']} done before" if counts["done"] else "")
    )
    return 0


def _told(args: argparse.Namespace, run: Run, summary: Summary) -> int:
    """Say how the run stands. Returns the exit status."""
    failed = 0
    for failed, record in enumerate(run.parts.failed(run.parts.done(run.plan)), start=1):
        if failed <= _NAMED:
            say(f"interrogator: {_shown(record.key)}: {record.reason}")
    if failed > _NAMED:
        say(f"and {failed - _NAMED} more, in the report")
    if args.json:
        report = None if summary.report is None else _shown(summary.report)
        put_json({"run": _shown(summary.run), "total": summary.total, **summary.counts, "report": report})
        return 1 if failed else 0
    left = summary.total - sum(summary.counts.values())
    counts = summary.counts
    say(
        f"{counts['done']} captioned, {counts['kept']} kept, {counts['failed']} failed"
        + (f", {left} left" if left else "")
    )
    if summary.report:
        put(_shown(summary.report))
    return 1 if failed else 0


def _shown(name: object) -> str:
    """A name on one line that any terminal can write, whatever bytes it is made of."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _settings(args: argparse.Namespace) -> Settings:
    block = list(args.block)
    if args.block_list:
        from ..banks import load_block_list

        block += load_block_list(args.block_list)
    if args.checkpoint or args.no_bank:
        raise RequestError("--checkpoint and --no-bank are not for caption: name an encoder, or the banks, instead")
    rules = CaptionRules(
        args.trigger, args.template, args.text_prefix, args.text_suffix, tuple(args.strip), tuple(args.replace),
        tuple(args.replace_regex), tuple(args.forbid), tuple(args.require), args.token_limit, _own_banks(args),
    )  # fmt: skip
    given = {"reranker": args.second_encoder, "matcher": args.matcher}
    return Settings(
        preset=args.preset, captioner=args.captioner, encoder=args.encoder,
        banks=tuple(args.bank) if args.bank else None, block=tuple(block), quota=dict(args.quota), artists=args.artists,
        mode=args.mode, quality=args.quality, samples=args.samples, captions_per_image=args.several, seed=args.seed,
        max_new_tokens=args.max_caption_tokens, repetition_penalty=args.repetition_penalty,
        caption_prefix=args.caption_prefix, max_phrases=args.max_phrases, score=args.score, dtype=args.dtype,
        rules=rules, policy=args.existing, separator=args.separator,
        **{name: value for name, value in given.items() if value},
    )  # fmt: skip


def _own_banks(args: argparse.Namespace) -> tuple[str, ...]:
    """Names of the user's own banks, for a template that names them."""
    if not args.bank or "{" not in args.template.replace("{caption}", ""):
        return ()
    from ..banks import load_banks

    return tuple(bank.name for bank in load_banks(args.bank))


def _models(args: argparse.Namespace, run: Run, world: Place) -> Models:
    from ..dataset.captioning.models import Models  # only now: both bring in torch
    from ..devices import choose_device
    from .prompt import with_consent

    device = device_of(args.device, world.local) if world.size > 1 else str(choose_device(args.device))
    say(f"device {device}" + (f", process {world.rank} of {world.size}" if world.size > 1 else ""))
    say(f"run {_shown(run.folder)}")
    models = with_consent(args, lambda download, bar: Models.load(run.settings, device, download, args.cache_dir, bar))
    for role, told in models.described().items():
        say(f"{role} {told['name']} on {told['device']} in {told['dtype']}")
    return models


def place(rank: int | None, size: int | None, environment: Mapping[str, str]) -> Place:
    """Which process of how many this is: by the options, else by what SLURM, torchrun or MPI say.

    Raises RequestError: one of the options without the other, or a rank that is none.
    """
    if (rank is None) != (size is None):
        raise RequestError("--rank and --world-size go together")
    if rank is not None and size is not None:
        found = Place(rank, size, rank)
    else:
        told = ([environment.get(name, "") for name in names] for names in _WORLDS)
        numbers = next((some for some in told if some[0].isdecimal() and some[1].isdecimal()), ["0", "1", "0"])
        found = Place(int(numbers[0]), int(numbers[1]), int(numbers[2] if numbers[2].isdecimal() else numbers[0]))
    if not 0 <= found.rank < found.size:
        raise RequestError(f"rank {found.rank} is not one of {found.size}: ranks are counted from 0")
    return found


class _Bar:
    """A bar with pictures a second, time left and failures; nothing where stderr is no terminal.

    Attributes:
        is_shown: whether it may be drawn; before, lines are written where it would be.
    """

    def __init__(self) -> None:
        self.is_shown = False
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int, failed: int) -> None:
        from tqdm import tqdm

        if not self.is_shown:
            return
        if self._bar is None:
            self._bar = tqdm(total=total, unit="picture", initial=done, disable=None, dynamic_ncols=True)
        if failed:
            self._bar.set_postfix_str(f"{failed} failed", refresh=False)
        self._bar.update(done - self._bar.n)
