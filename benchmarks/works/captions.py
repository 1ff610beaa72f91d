"""A folder of pictures captioned: a run of ours beside the loop that people write, one picture after the other."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks import models
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, in_turn
from benchmarks.works import sides
from interrogator import BlipCaptioner, demo
from interrogator.dataset import Models, Run, Settings
from interrogator.devices import cpu_multiplies_bf16

# Sides of the pictures in pixels: what folders hold that people fine-tune on.
_SIDES = (320, 512, 768, 1024, 1536)
WORDS = ("a picture of some red green blue cat dog house tree river with many small large old new",)


def run(task: Task) -> Result:
    """Measure it, both in float32 with the same weights: reading, captioning, writing a text file for each."""
    folder, blip = task.scratch / "pictures", task.scratch / "blip"
    draw(folder, task.sizes.pictures)
    models.write_blip(blip, WORDS, task.model)
    settings = Settings(preset="demo", captioner=str(blip), dtype="fp32", max_tokens=task.sizes.caption_tokens)
    captioner = BlipCaptioner.load(str(blip), "cpu", "fp32")
    theirs_folder, ours_folder = task.scratch / "peer", task.scratch / "ours"

    def theirs() -> dict[str, str]:
        shutil.rmtree(theirs_folder, ignore_errors=True)
        theirs_folder.mkdir()
        return loop(captioner.module, captioner.processor, folder, theirs_folder, task.sizes.caption_tokens)

    def ours() -> dict[str, str]:
        shutil.rmtree(ours_folder, ignore_errors=True)
        Run([folder], settings, ours_folder).work(lambda: Models(settings, captioner), len)
        return {path.stem: path.read_text(encoding="utf-8").strip() for path in ours_folder.glob("*.txt")}

    pairs = in_turn(theirs, ours, task.times, Clock("cpu"))
    result = sides.empty(task)
    detail = f"{task.model}, {task.sizes.pictures} pictures of {_SIDES[0]} to {_SIDES[-1]} pixels, fp32 both"
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), ("fp32", "fp32")))
    same = pairs.peer[-1].answer == pairs.ours[-1].answer
    result.checks.append(Check(f"all {task.sizes.pictures} captions are the same", same))
    result.notes.append(
        f"Captions of {task.sizes.caption_tokens} tokens, which a captioner with random weights never ends by itself."
        " Loading the model is not timed; our plan, parts, thumbnails and report are. With the defaults ours would use"
        " bf16 where the processor multiplies it itself; this one"
        f" {'does' if cpu_multiplies_bf16() else 'does not'}."
    )
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios}
    return result


def loop(model: Any, processor: Any, pictures: Path, out: Path, tokens: int) -> dict[str, str]:
    """What people write around transformers: open, process, generate, decode, write, one by one."""
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
