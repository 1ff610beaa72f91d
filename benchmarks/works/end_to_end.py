"""One picture from its pixels to its prompt in best mode, captioned on the way, each side in a process of its own.

    python -m benchmarks.works.end_to_end SIDE FOLDER MODEL

is how the work starts a side: `write` puts weights and tables into the folder, `peer` and `ours` answer a line of
JSON: seconds, steps, peak memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import open_clip
import torch

from benchmarks import material, models, peer
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.sizes import FULL, TINY, Sizes
from benchmarks.timing import Clock, Pairs, Run, peak_memory
from benchmarks.works import sides
from interrogator import BlipCaptioner, CaptionOptions, EmbeddingCache, Interrogator, OpenClipEncoder, load_banks

MOST_MEMORY = 6e9  # bytes


def run(task: Task) -> Result:
    """Measure it; the peer's chain is timed on a few steps and scaled to as many as ours takes."""
    _side("write", task)
    pairs, steps = Pairs(), []
    for number in range(task.times):
        names = ["peer", "ours"] if number % 2 == 0 else ["ours", "peer"]
        outputs = {name: _side(name, task) for name in names}
        theirs, ours = outputs["peer"], outputs["ours"]
        scaled = theirs["other_seconds"] + theirs["chain_seconds"] / theirs["steps"] * ours["steps"]
        pairs.peer.append(Run(scaled, theirs["peak"], theirs))
        pairs.ours.append(Run(ours["seconds"], ours["peak"], ours))
        steps.append(ours["steps"])
    theirs, ours = pairs.peer[-1].answer, pairs.ours[-1].answer
    result = sides.empty(task)
    detail = f"{task.model} and BLIP large, caption of {task.sizes.caption_tokens} words, chain of {steps[-1]} steps"
    line = sides.row(task, detail, pairs, pairs.median, pairs.words(), (theirs["dtype"], ours["dtype"]))
    result.rows.append(line)
    peak = line.peaks[1] if line.peaks else None
    if peak is not None:
        line.asked += f", peak under {MOST_MEMORY / 1e9:g} GB"
        line.reached = bool(line.reached) and peak < MOST_MEMORY
    result.checks.append(Check("both wrote a prompt", bool(theirs["prompt"] and ours["prompt"])))
    result.notes.append(
        f"The peer's chain took {theirs['steps']} steps and is scaled to {steps[-1]}; everything else is"
        " measured directly. Loading models and tables is not timed; peak memory covers the whole process, including"
        " loading. A captioner with random weights never ends a caption, so both stop after"
        f" {task.sizes.caption_tokens} tokens."
    )
    result.raw = {"peer": [run.answer for run in pairs.peer], "ours": [run.answer for run in pairs.ours]}
    return result


def _side(name: str, task: Task) -> dict[str, Any]:
    """What a side answers, from a fresh process where sizes say so."""
    if not task.sizes.processes:
        return SIDES[name](task.scratch, task.model, task.sizes)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.works.end_to_end", name, str(task.scratch), task.model]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def write(scratch: Path, model: str, sizes: Sizes) -> dict[str, Any]:
    """Weights of both models and the tables of both sides."""
    folder = models.write_clip(scratch / "clip", model)
    lists = peer.lists(material.data_folder(sizes, scratch))
    phrases = [phrase for labels in lists.values() for phrase in labels]
    models.write_blip(scratch / "blip", phrases, "blip-large" if sizes.list_lines is None else TINY.end_to_end_model)
    encoder = OpenClipEncoder.load(folder, device="cpu")
    material.write_tables(scratch, sizes, encoder, int(encoder.identity().width))
    return {}


def peer_side(scratch: Path, model: str, sizes: Sizes) -> dict[str, Any]:
    """The peer with a chain of a few steps: seconds in the chain and outside, steps, peak memory."""
    from transformers import AutoProcessor, BlipForConditionalGeneration

    clip_model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{scratch / 'clip'}", precision="fp32")
    tokenizer = open_clip.get_tokenizer("ViT-L-14")
    loaded = models.Clip(model, clip_model.eval(), preprocess, tokenizer)
    captioner = BlipForConditionalGeneration.from_pretrained(str(scratch / "blip")).eval()
    ci = peer.with_tables(
        loaded, scratch / "peer-cache", material.data_folder(sizes, scratch), captioner=captioner,
        captioner_processor=AutoProcessor.from_pretrained(str(scratch / "blip")),
        caption_max_length=sizes.caption_tokens,
    )  # fmt: skip
    spent = {"chain": 0.0, "steps": 0}
    chain, rank_top = ci.chain, ci.rank_top

    def timed_chain(*arguments: Any, **settings: Any) -> Any:
        began = time.perf_counter()
        answer = chain(*arguments, **settings)
        spent["chain"] += time.perf_counter() - began
        return answer

    def counted(*arguments: Any, **settings: Any) -> Any:
        spent["steps"] += 1
        return rank_top(*arguments, **settings)

    ci.chain, ci.rank_top = timed_chain, counted
    whole = peak_memory()
    done = Clock("cpu").run(lambda: ci.interrogate(material.picture(), max_flavors=sizes.peer_steps))
    return {
        "other_seconds": done.seconds - spent["chain"], "chain_seconds": spent["chain"], "steps": spent["steps"],
        "peak": _higher(whole, done.peak), "peak_working": done.peak, "prompt": done.answer, "dtype": "fp32",
    }  # fmt: skip


def our_side(scratch: Path, model: str, sizes: Sizes) -> dict[str, Any]:
    """Ours, whole, loaded as a user loads it: seconds, steps of the chain, peak memory."""
    encoder = OpenClipEncoder.load(scratch / "clip", device="cpu")
    captioner = BlipCaptioner.load(scratch / "blip", device="cpu")
    banks = load_banks([material.data_folder(sizes, scratch), scratch / "trendings.txt"])
    options = CaptionOptions(max_new_tokens=sizes.caption_tokens)
    ci = Interrogator(captioner, encoder, banks, EmbeddingCache(scratch / "our-cache"), options)
    ci.table()
    prompts: dict[str, None] = {}
    continuations = encoder.encode_continuations

    def counted(prompt: str, *arguments: Any, **settings: Any) -> torch.Tensor:
        prompts.setdefault(prompt)
        return continuations(prompt, *arguments, **settings)

    encoder.encode_continuations = counted  # type: ignore[method-assign]
    whole = peak_memory()
    done = Clock("cpu").run(lambda: ci.interrogate(material.picture(), mode="best"))
    return {
        "seconds": done.seconds, "steps": len(prompts), "peak": _higher(whole, done.peak),
        "peak_working": done.peak, "prompt": done.answer.prompt, "dtype": sides.dtype_name(encoder.dtype),
    }  # fmt: skip


def _higher(one: int | None, other: int | None) -> int | None:
    return max((peak for peak in (one, other) if peak is not None), default=None)


SIDES = {"write": write, "peer": peer_side, "ours": our_side}


def main() -> None:
    """Run one side and write its answer to stdout."""
    name, scratch, model = sys.argv[1:]
    answer = SIDES[name](Path(scratch), model, TINY if model == TINY.end_to_end_model else FULL)
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
