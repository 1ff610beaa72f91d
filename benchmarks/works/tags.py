"""A folder of pictures tagged by a ViT of the size of WD v3: our tagger with its defaults beside a loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from benchmarks import tag_models
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.sizes import TINY_MODEL
from benchmarks.timing import Clock, Pairs
from benchmarks.works import sides
from benchmarks.works.captions import draw
from interrogator import load_tagger
from interrogator.images import open_image

_CLOSE = 1e-4
_READERS = 2
Pixels = npt.NDArray[np.float32]
Found = dict[str, npt.NDArray[np.float32]]


def run(task: Task) -> Result:
    """Measure reading, preparing and tagging, for timm and for ONNX; the loops in float32, ours as it loads."""
    folder = task.scratch / "pictures"
    count = task.sizes.few_pictures
    draw(folder, count)
    model, config = tag_models.tagger(task.model == TINY_MODEL)
    side = int(config["pretrained_cfg"]["input_size"][1])
    by_timm = load_tagger(tag_models.write_timm(task.scratch / "timm", model, config), device="cpu")
    by_onnx = load_tagger(tag_models.write_onnx(task.scratch / "onnx", model, config), device="cpu")
    loops = {"timm": (by_timm, _by_timm(model)), "onnx": (by_onnx, _by_session(task.scratch / "onnx" / "model.onnx"))}
    clock, result = Clock("cpu"), sides.empty(task)
    for name, (tagger, compute) in loops.items():
        pairs = Pairs()
        work: dict[str, list[float]] = {"peer": [], "ours": []}
        for _ in range(task.times):
            pairs.forget_answers()
            pairs.add(
                lambda: _timed(work["peer"], lambda: loop(compute, folder, side)),  # noqa: B023  run at once
                lambda: _timed(work["ours"], lambda: ours(tagger, folder)),  # noqa: B023
                clock,
            )
        dtype = sides.dtype_name(tagger.dtype)
        detail = f"{task.model}, {name}, {count} pictures"
        result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), ("fp32", dtype)))
        theirs, own = pairs.peer[-1].answer, pairs.ours[-1].answer
        apart = max(float(abs(theirs[each] - own[each]).max()) for each in theirs)
        result.checks.append(
            Check(f"{name}: probabilities differ by at most {apart:.1e} (allowed 1e-4)", apart < _CLOSE)
        )
        result.notes.append(f"{name}: by processor time {sum(work['peer']) / sum(work['ours']):.2f}x.")
        result.raw[name] = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios, "processor": work}
    result.notes.append("Loading is not timed. Both sides open JPEG files and compute with all threads of the machine.")
    return result


def ours(tagger: Any, pictures: Path) -> Found:
    """Probabilities by the name of the picture; pictures are read in threads, as a dataset run reads them."""
    paths = sorted(pictures.iterdir())
    with ThreadPoolExecutor(_READERS) as threads:
        prepared = list(threads.map(lambda path: tagger.prepare(open_image(path)), paths))
    rows = tagger.tag(prepared)
    return {
        path.stem: np.array([tag.probability for tag in row], np.float32)
        for path, row in zip(paths, rows, strict=True)
    }  # fmt: skip


def loop(compute: Callable[[Pixels], npt.NDArray[np.float32]], pictures: Path, side: int) -> Found:
    """What people write: open, white margins, resize, compute, one by one."""
    found = {}
    for path in sorted(pictures.iterdir()):
        image = Image.open(path).convert("RGBA")
        canvas = Image.new("RGBA", image.size, (255, 255, 255))
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
        longest = max(image.size)
        square = Image.new("RGB", (longest, longest), (255, 255, 255))
        square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        resized = square if longest == side else square.resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.asarray(resized, dtype=np.float32)[:, :, ::-1]  # BGR
        found[path.stem] = compute(np.expand_dims(pixels, 0))[0]
    return found


def _by_session(path: Path) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given, label = session.get_inputs()[0].name, session.get_outputs()[0].name

    def compute(pixels: Pixels) -> npt.NDArray[np.float32]:
        answer: npt.NDArray[np.float32] = session.run([label], {given: np.ascontiguousarray(pixels)})[0]
        return answer

    return compute


def _by_timm(model: Any) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    def compute(pixels: Pixels) -> npt.NDArray[np.float32]:
        values = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            answer: npt.NDArray[np.float32] = model(values / 127.5 - 1).sigmoid().numpy()
        return answer

    return compute


def _timed(seconds: list[float], side: Callable[[], Found]) -> Found:
    began = time.process_time()
    answer = side()
    seconds.append(time.process_time() - began)
    return answer
