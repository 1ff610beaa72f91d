"""Many different captions of an image, sampled from BLIP: the image is read once, however many there are.

transformers' `generate(num_return_sequences=n)` repeats the image's keys and values for each of the n texts; most of
its time goes there. Here they are computed once an image and layer (see `text_layers`), and the prompt once an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from ..batches import in_batches
from ..errors import RequestError
from ..images import to_rgb
from ..progress import Progress, watched
from .blip import BlipCaptioner
from .decoding import Decoder, Told, check_captioner
from .forbidden import ForbiddenWords
from .sampling_options import DEFAULT_SAMPLING, LAION_COCO, SamplingOptions
from .vision import read_images

__all__ = ["DEFAULT_SAMPLING", "LAION_COCO", "Sampled", "SamplingOptions", "sample_captions"]


# Texts written together: more take memory (their caches, a score for every word of the vocabulary), and no less time.
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class Sampled:
    """One sampled caption.

    Attributes:
        text: as `BlipCaptioner.caption` gives it.
        tokens: its token ids, without prefix and end token.
        log_probability: natural logarithm of the probability that the model gives to these tokens after the prefix,
            its end token included where it ended by itself; by the model alone, before temperature and penalties.
        ended: whether it ended by itself and not at the length limit.
    """

    text: str
    tokens: tuple[int, ...]
    log_probability: float
    ended: bool

    @property
    def mean_log_probability(self) -> float:
        """The log-probability a token, the end token counted where it is there."""
        return self.log_probability / max(1, len(self.tokens) + self.ended)


def sample_captions(
    captioner: BlipCaptioner,
    images: Sequence[Image.Image],
    keys: Sequence[str],
    options: SamplingOptions = DEFAULT_SAMPLING,
    progress: Progress | None = None,
) -> list[list[Sampled]]:
    """`options.count` captions an image, in the order of the images.

    keys: a name for each image, such as its path. Random numbers depend on seed, key, number of the caption, place and
    token only: an image gets the same captions whatever it is in a batch with, wherever it stands there, however many
    threads there are and however many captions are asked for (the first of 40 is the first of 1). This holds up to
    rounding: another batch changes scores in their last bits, and another token comes with a chance of about the size
    of that change: in the order of 1e-5 a token in fp32, 1e-2 in bf16, less where one token is much the likeliest.

    progress(done, total): images finished and in all; told several times a second, also inside the model; what it
    raises stops the work and comes out here. Where memory runs out it goes on with fewer captions at a time, then with
    fewer images.

    Raises RequestError (options that do not fit the model, keys that do not fit the images), ImageReadError (not a
    picture) and ModelError (the captioner's model is not built as a BLIP).
    """
    if len(keys) != len(images):
        raise RequestError(f"{len(images)} images need as many keys, not {len(keys)}")
    run = _Run(captioner, options)

    def write(start: int, stop: int) -> list[list[Sampled]]:
        batch = [to_rgb(images[place], f"image {place}") for place in range(start, stop)]
        model, tell = watched(captioner.module, progress)
        with torch.inference_mode():
            tell(start, len(images))
            return run.captions(model, batch, keys[start:stop])

    results: list[list[Sampled]] = []
    for found in in_batches(len(images), run.images_at_once, write, run.device):
        results += found
    if progress is not None and results:
        progress(len(results), len(results))
    return results


class _Run:
    """One call's options, made ready for one captioner."""

    def __init__(self, captioner: BlipCaptioner, options: SamplingOptions) -> None:
        check_captioner(captioner.module)
        self.captioner = captioner
        self.options = options
        self.caption_options = options.caption_options
        self.prompt = captioner.prompt_ids(self.caption_options)
        self.forbidden = ForbiddenWords(options.forbidden, captioner.processor.tokenizer)
        self.images_at_once = min(options.batch_size, max(1, _TEXTS_AT_ONCE // options.count))
        self.samples_at_once = options.count

    @property
    def device(self) -> torch.device:
        return next(self.captioner.module.parameters()).device

    def captions(self, model: Any, batch: Sequence[Image.Image], keys: Sequence[str]) -> list[list[Sampled]]:
        """Those of a batch, by the captioner's model or a view of it."""
        decoder = Decoder(model, self.prompt, self.options, self.forbidden)
        seen = decoder.read(read_images(model, self.captioner.processor, batch))
        told: list[list[Sampled]] = [[] for _ in batch]

        def write(start: int, stop: int) -> int:
            for one in decoder.write(seen, keys, range(start, stop)):
                told[one.image].append(self._sampled(one))
            return stop - start

        # What memory took this time is what the next images begin with.
        self.samples_at_once = max(in_batches(self.options.count, self.samples_at_once, write, self.device))
        return told

    def _sampled(self, told: Told) -> Sampled:
        text = self.captioner.text_of(self.prompt, told.tokens, self.caption_options)
        return Sampled(text, tuple(told.tokens), told.log_probability, told.ended)
