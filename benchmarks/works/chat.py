"""A folder of pictures captioned by chat models: our captioner with its defaults beside the loop that people write."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks import chat_models
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, Pairs
from benchmarks.works import sides
from benchmarks.works.captions import draw
from interrogator import CaptionOptions, load_captioner
from interrogator.captioners import DEFAULT_OPTIONS
from interrogator.captioners.named_prompts import NAMED_PROMPTS
from interrogator.images import open_image, shrunk

_TASK = "<DETAILED_CAPTION>"


def run(task: Task) -> Result:
    """Measure reading, captioning and decoding with the same weights, in float32 on both sides."""
    folder, model = task.scratch / "pictures", task.scratch / "model"
    count, length = task.sizes.few_pictures, task.sizes.answer_tokens
    draw(folder, count)
    chat_models.WRITERS[task.model](model)
    captioner = load_captioner(model, device="cpu", dtype="fp32")
    clock, pairs = Clock("cpu"), Pairs()
    for _ in range(task.times):
        pairs.forget_answers()
        pairs.add(lambda: timed(loop, captioner, folder, length), lambda: timed(ours, captioner, folder, length), clock)
    (theirs, their_work), (own, our_work) = pairs.peer[-1].answer, pairs.ours[-1].answer
    result = sides.empty(task)
    detail = f"{task.model}, {count} pictures, {length} tokens a caption, fp32 both"
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), ("fp32", "fp32")))
    same = sum(theirs[name] == caption for name, caption in own.items())
    result.checks.append(Check(f"all {count} captions are the same", same == count == len(theirs)))
    result.notes.append(
        f"By processor time the last pair is {their_work / our_work:.2f}x. A captioner with random weights never ends a"
        " caption itself. Loading the model is not timed; opening the pictures is."
    )
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios, "processor": [their_work, our_work]}
    return result


def timed(side: Any, *given: Any) -> tuple[dict[str, str], float]:
    """What a side answers, and the processor's seconds."""
    began = time.process_time()
    return side(*given), time.process_time() - began


def ours(captioner: Any, pictures: Path, length: int) -> dict[str, str]:
    """Captions by the name of the picture, all in one call."""
    paths = sorted(pictures.iterdir())
    prepared = [captioner.prepare(open_image(path)) for path in paths]
    captions = captioner.caption(prepared, CaptionOptions(max_new_tokens=length))
    return {path.stem: caption for path, caption in zip(paths, captions, strict=True)}


def loop(captioner: Any, pictures: Path, length: int) -> dict[str, str]:
    """What people write around transformers: open, process, generate, decode, one by one."""
    model, processor = captioner.module, captioner.processor
    captions = {}
    for path in sorted(pictures.iterdir()):
        image = shrunk(Image.open(path).convert("RGB"), DEFAULT_OPTIONS.max_pixels)  # as ours does by default
        inputs = _florence(processor, image) if captioner.family == "florence2" else _chat(processor, image)
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=length, do_sample=False, num_beams=1)
        if captioner.family != "florence2":
            ids = ids[:, inputs["input_ids"].shape[1] :]
        caption: str = processor.batch_decode(ids, skip_special_tokens=True)[0]
        captions[path.stem] = caption.strip()
    return captions


def _florence(processor: Any, image: Image.Image) -> Any:
    return processor(text=_TASK, images=image, return_tensors="pt")


def _chat(processor: Any, image: Image.Image) -> Any:
    content = [{"type": "image"}, {"type": "text", "text": NAMED_PROMPTS["detailed"]}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return processor(text=prompt, images=[image], return_tensors="pt")
