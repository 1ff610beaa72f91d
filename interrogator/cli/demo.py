"""`interrogator demo`: draw pictures, interrogate them with the built-in models, and write a page of the results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from .. import demo as demo_models
from ..errors import RequestError
from ..modes import Mode
from ..pipeline import Interrogation, load
from .demo_page import Exhibit, demo_page
from .terminal import Bar, put, say

_MODES = (Mode.PRECISE, Mode.BEST, Mode.FAST, Mode.CLASSIC, Mode.NEGATIVE)


def demo(args: argparse.Namespace) -> int:
    """Write pictures, a prompt beside each, prompts.jsonl and index.html to a folder."""
    if args.count < 1:
        raise RequestError(f"--count must be at least 1, not {args.count}")
    out = Path(args.out)
    drawn = [demo_models.creature(seed) for seed in range(args.seed, args.seed + args.count)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [f"creature-{seed}.png" for seed in range(args.seed, args.seed + args.count)]
        for file, (image, _) in zip(files, drawn, strict=True):
            image.save(out / file)
        exhibits = _interrogate(args.cache_dir, files, [image for image, _ in drawn], [t.caption for _, t in drawn])
        _write(out, exhibits)
    except OSError as error:
        raise RequestError(f"cannot write to {out}: {error.strerror or error}") from error
    for exhibit in exhibits:
        put(f"{exhibit.file}\t{exhibit.results['precise'].prompt}")
    right = sum(exhibit.results["precise"].caption == exhibit.truth for exhibit in exhibits)
    say(f"{right} of {len(exhibits)} captions match the drawing word for word")
    say(f"open {(out / 'index.html').resolve()} in a browser")
    return 0


def _interrogate(
    cache_dir: Path | None, files: Sequence[str], images: Sequence[Image.Image], truths: Sequence[str]
) -> list[Exhibit]:
    say("loading the built-in models; they know nothing but cartoon creatures")
    ci = load("demo", cache_dir=cache_dir)
    with Bar("embedding phrases", unit="phrase") as bar:
        ci.table(bar)
    captions: list[str] | None = None
    by_mode: dict[str, list[Interrogation]] = {}
    for mode in _MODES:
        with Bar(f"mode {mode.value}") as bar:
            by_mode[mode.value] = ci.interrogate_many(images, mode.value, captions, progress=bar)
        captions = captions or [result.caption for result in by_mode[mode.value]]  # captioned once
    mediums = ci.rank_many(images, "mediums", 5)
    return [
        Exhibit(file, truth, {mode: results[index] for mode, results in by_mode.items()}, mediums[index])
        for index, (file, truth) in enumerate(zip(files, truths, strict=True))
    ]


def _write(folder: Path, exhibits: Sequence[Exhibit]) -> None:
    with (folder / "prompts.jsonl").open("w", encoding="utf-8") as lines:
        for exhibit in exhibits:
            record = {"image": exhibit.file, "truth": exhibit.truth, **asdict(exhibit.results["precise"])}
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            sidecar = folder / Path(exhibit.file).with_suffix(".txt")
            sidecar.write_text(exhibit.results["precise"].prompt + "\n", encoding="utf-8")
    (folder / "index.html").write_text(demo_page(exhibits), encoding="utf-8")
