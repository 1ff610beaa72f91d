"""A folder of pictures captioned: a run of ours beside the loop that people write, one picture after the other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks import models
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, Pairs
from benchmarks.works import sides
from interrogator import BlipCaptioner, demo
from interrogator.dataset import Models, Run, Settings
from interrogator.devices import cpu_multiplies_bf16

# Sides of the pictures in pixels: what folders hold that people fine-tune on.
_SIDES = (320, 512, 768, 1024, 1536)
_ASKED_FP32, _ASKED_DEFAULT = 1.2, 2.5
WORDS = ("a picture of some red green blue cat dog house tree river with many small large old new",)


def run(task: Task) -> Result:
    """Measure it with the same weights: reading, captioning, writing a text file for each picture.

    The loop in float32, as transformers loads the file; ours in float32 too, then in what it takes by default.
    """
    folder, blip = task.scratch / "pictures", task.scratch / "blip"
    draw(folder, task.sizes.pictures)
    models.write_blip(blip, WORDS, task.model)
    theirs = BlipCaptioner.load(blip, device="cpu", dtype="fp32")
    clock = Clock("cpu")
    dtypes = {"fp32": _ASKED_FP32} | ({"auto": _ASKED_DEFAULT} if cpu_multiplies_bf16() else {})
    measured = {dtype: Pairs() for dtype in dtypes}
    for number in range(task.times):
        peer = clock.run(lambda: loop(theirs.module, theirs.processor, folder, task.scratch / "peer", tokens(task)))
        for dtype, pairs in measured.items():
            captioner = theirs if dtype == "fp32" else BlipCaptioner.load(blip, device="cpu", dtype=dtype)
            out = task.scratch / f"{dtype}-{number}"
            pairs.peer.append(peer)
            pairs.ours.append(clock.run(lambda: ours(captioner, folder, out, tokens(task))))  # noqa: B023  run at once
    result = sides.empty(task)
    sizes = f"{task.sizes.pictures} pictures of {_SIDES[0]} to {_SIDES[-1]} pixels"
    for dtype, pairs in measured.items():
        name = "fp32" if dtype == "fp32" else "bf16"
        detail = f"{task.model}, {sizes}, " + ("fp32 both" if dtype == "fp32" else "ours by default")
        result.rows.append(
            sides.row(task, detail, pairs, pairs.median, pairs.words(), ("fp32", name), asked=dtypes[dtype])
        )
        same = sum(pairs.ours[-1].answer.get(name) == caption for name, caption in pairs.peer[-1].answer.items())
        if dtype == "fp32":
            result.checks.append(
                Check(f"all {task.sizes.pictures} captions in fp32 are the same", same == task.sizes.pictures)
            )
        else:
            result.notes.append(
                f"In bf16, {same} of the {task.sizes.pictures} captions match those of the loop in fp32."
            )
        result.raw[dtype] = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios}
    result.notes.append(
        f"Captions have {tokens(task)} tokens, because a captioner with random weights never ends one itself. Loading"
        " the model is not timed; our plan, parts, thumbnails and report are."
    )
    if not cpu_multiplies_bf16():
        result.notes.append(f"Not measured by default: {sides.why_skipped(task, needs_bf16=True)}.")
    return result


def tokens(task: Task) -> int:
    """Length of a caption."""
    return task.sizes.caption_tokens


def ours(captioner: BlipCaptioner, folder: Path, out: Path, length: int) -> dict[str, str]:
    """A run of ours with a captioner that is loaded; captions by the name of the picture."""
    settings = Settings(preset="demo", captioner=captioner.name, max_new_tokens=length)
    Run([folder], settings, out).work(lambda: Models(settings, captioner), len)
    return {path.stem: path.read_text(encoding="utf-8").strip() for path in out.glob("*.txt")}


def loop(model: Any, processor: Any, pictures: Path, out: Path, tokens: int) -> dict[str, str]:
    """What people write around transformers: open, process, generate, decode, write, one by one."""
    out.mkdir(exist_ok=True)
    captions = {}
    for path in sorted(pictures.iterdir()):
        image = Image.open(path).convert("RGB")
        inputs = processor(images=image, return_tensors="pt")
        with torch.inference_mode():
            written = model.generate(**inputs, max_new_tokens=tokens)
        caption = processor.decode(written[0], skip_special_tokens=True)
        (out / f"{path.stem}.txt").write_text(caption + "\n", encoding="utf-8")
        captions[path.stem] = caption.strip()
    return captions


def draw(folder: Path, count: int) -> None:
    """JPEG pictures of mixed sizes and shapes: creatures, scaled up."""
    folder.mkdir(parents=True)
    chance = random.Random(0)
    for number in range(count):
        size = (chance.choice(_SIDES), chance.choice(_SIDES))
        demo.creature(number)[0].resize(size).save(folder / f"{number:05d}.jpg", quality=90)
