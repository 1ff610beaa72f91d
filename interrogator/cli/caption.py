"""`interrogator caption`: captions for a whole dataset."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..dataset import (
    CaptionRules,
    Run,
    Settings,
    Summary,
    count_tokens,
    next_round,
    read_triggers,
    work_in_processes,
)
from ..dataset.captioning.loader import Loader
from ..dataset.text import EVIDENCE_NAMES
from ..dataset_choices import TARGET_KINDS
from .choices import blocked_phrases, captioner_name, check_model_options, search_options, stripped_words
from .engines import device_of, loader, loader_of, process_count, start_engine
from .process_rank import ProcessRank, find_process_rank
from .run_report import report, say_left_out
from .selection_options import selection
from .tag_options import check_tag_options, tag_rules
from .target_options import tell_setting, warn_of_lines, written
from .terminal import PictureBar, printable, put, put_json, say
from .undo import undo

if TYPE_CHECKING:
    from ..dataset.captioning.models import Models


def caption(args: argparse.Namespace) -> int:
    """Caption what is left of the sources, say how the run stands, and name what failed."""
    if args.undo:
        return undo(args)
    sources = [*args.sources, *args.more_sources]
    settings = _settings(args)
    target, column, options = written(args, args.several > 1)

    def run_of(number: int) -> Run:
        return Run(
            sources, replace(settings, round=number), args.out, target or TARGET_KINDS[0], column or "text", args.kind,
            args.shard_size, options, selection(args),
        )  # fmt: skip

    run = next_round(run_of) if args.again else run_of(0)
    warn_of_lines(args)
    if args.dry_run:
        return _preview(args, run)
    try:
        with PictureBar() as bar:
            summary = _work(args, run, bar)
    except KeyboardInterrupt:
        say("stopped; finished captions are kept, and the same command continues from there")
        return 130
    counts = summary.counts
    left = summary.total - sum(counts.values())
    remaining = f", {left} left" if left else ""
    sentence = f"{counts['done']} captioned, {counts['kept']} kept, {counts['failed']} failed{remaining}"
    if summary.edited and args.existing == "overwrite":
        verb = "was" if summary.edited == 1 else "were"
        sentence += f"; {summary.edited} {verb} edited since and left so: --again captions anew"
    return report(args, run, summary, sentence)


def _work(args: argparse.Namespace, run: Run, bar: PictureBar) -> Summary:
    """Caption what is left, in this process or in others."""

    def announce(text: str) -> None:
        say(text)
        bar.is_shown = True

    engine = start_engine(args, announce)
    if engine:
        return run.work(
            loader(args, run.settings), count_tokens, bar, args.retry_failed, threads=args.threads, engine=engine
        )
    process = find_process_rank(args.rank, args.world_size, os.environ)
    workers = process_count(args)
    if workers > 1 and process.world_size == 1:
        devices = dict.fromkeys(device_of(args.device, rank) for rank in range(workers))
        say(f"device {', '.join(devices)}, processes {workers}")
        announce(f"run {printable(run.folder)}")
        models = partial(loader_of, args, run.settings)
        return work_in_processes(run, models, count_tokens, workers, bar, args.retry_failed, args.threads)

    def load(only: frozenset[str] | None) -> Models:
        loaded = _load_models(args, run, process, only)
        bar.is_shown = True
        return loaded

    return run.work(Loader(load), count_tokens, bar, args.retry_failed, process.rank, process.world_size, args.threads)


def _preview(args: argparse.Namespace, run: Run) -> int:
    counts = run.preview(args.retry_failed)
    if args.json:
        put_json({"run": printable(run.folder), **counts, "left_out": run.left_out().as_dict()})
        return 0
    say_left_out(run.left_out())
    finished = f", {counts['done']} already done" if counts["done"] else ""
    tell_setting(run)
    put(f"{counts['caption']} to caption, {counts['kept']} to keep, {counts['failed']} unreadable{finished}")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    """The settings that the options come to.

    Raises:
        RequestError: they do not go together, or an option has no effect with the others.
    """
    rules = CaptionRules(
        args.trigger, args.template, args.text_prefix, args.text_suffix, stripped_words(args), tuple(args.replace),
        tuple(args.replace_regex), tuple(args.forbid), tuple(args.require), args.token_limit, _own_banks(args),
    )  # fmt: skip
    given: Mapping[str, Any] = {
        "reranker": args.second_encoder, "matcher": args.matcher, "tagger": args.tagger,
        "checkpoint": None if args.checkpoint is None else str(args.checkpoint),
        **search_options(args, _evidence_options(args)),
    }  # fmt: skip
    settings = Settings(
        preset=args.preset, captioner=captioner_name(args), encoder=args.encoder,
        banks=tuple(args.bank) if args.bank else None, block=tuple(blocked_phrases(args)), quota=dict(args.quota),
        artists=args.artists, without_banks=tuple(args.no_bank), mode=args.mode, quality=args.quality,
        samples=args.samples, captions_per_image=args.several, seed=args.seed, max_new_tokens=args.max_caption_tokens,
        repetition_penalty=args.repetition_penalty, caption_prefix=args.caption_prefix, score=args.score,
        check=args.check or args.drop_unsupported, drop_unsupported=args.drop_unsupported,
        ask=args.ask, system=args.system, temperature=args.temperature, max_pixels=args.max_pixels, top_p=args.top_p,
        missing=args.missing, overview=args.overview,
        image_model=args.image_model or "", weights=args.weights, quality_tags=args.quality_tags, escape=args.escape,
        dtype=args.dtype, rules=rules, policy=args.existing, separator=args.separator, lines=args.lines,
        tag_rules=tag_rules(args), trigger_from_folder=args.trigger_from_folder,
        masked=args.masked,
        triggers=read_triggers(args.triggers) if args.triggers else (),
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
    check_model_options(args, settings.model_names)  # which raises where a model that is needed has no name
    check_tag_options(args, settings.needs)
    return settings


def _evidence_options(args: argparse.Namespace) -> tuple[str, ...]:
    """The search options that the template gives a meaning in every mode."""
    return ("strictness",) if args.overview or any(f"{{{name}}}" in args.template for name in EVIDENCE_NAMES) else ()


def _own_banks(args: argparse.Namespace) -> tuple[str, ...]:
    """Names of the user's own banks, for a template that names them."""
    if not args.bank or "{" not in args.template.replace("{caption}", "").replace("{prompt}", ""):
        return ()
    from ..banks import load_banks

    return tuple(bank.name for bank in load_banks(args.bank))


def _load_models(
    args: argparse.Namespace, run: Run, process: ProcessRank, only: frozenset[str] | None
) -> Models:  # fmt: skip
    from ..dataset.captioning.models import Models  # only now: both bring in torch
    from ..devices import choose_device
    from .download import load_with_consent

    is_one_of_several = process.world_size > 1
    device = device_of(args.device, process.local_rank) if is_one_of_several else str(choose_device(args.device))
    say(f"device {device}" + (f", process {process.rank} of {process.world_size}" if is_one_of_several else ""))
    say(f"run {printable(run.folder)}")
    models = load_with_consent(
        args,
        lambda download, bar: Models.load(
            run.settings, device, download, args.cache_dir, bar, only, references=args.references
        ),
    )
    for role, model in models.described().items():
        say(f"{role} {model['name']} on {model['device']} in {model['dtype']}")
    return models
