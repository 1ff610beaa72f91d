"""Many different captions of an image, which is encoded only once.

transformers' `generate(num_return_sequences=n)` repeats the image's keys and values for each of the n texts and spends
most of its time there. Here they are computed once per image and layer (see `text_model`), the prompt once per image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ...batches import in_batches
from ..sampling_options import Sampled, SamplingOptions
from .decoder import Decoder, Forbids, Hypothesis
from .text_model import TextModel

# Texts written together: more need more memory (caches, scores for the whole vocabulary) and are no faster.
_TEXTS_AT_ONCE = 256


class Sampler:
    """The options of one call, prepared for any number of images.

    Attributes:
        images_at_once: recommended number of images per batch.
    """

    def __init__(
        self, prompt: list[int], options: SamplingOptions, forbidden: Forbids | None,
        text_of: Callable[[list[int]], str],
    ) -> None:  # fmt: skip
        """Store what the captions of one call have in common.

        Args:
            prompt: token ids of the prefix.
            text_of: makes a caption from its token ids.
        """
        self._prompt = prompt
        self._options = options
        self._forbidden = forbidden
        self._text_of = text_of
        self.images_at_once = min(options.batch_size, max(1, _TEXTS_AT_ONCE // options.count))
        self._samples_at_once = options.count

    def captions(self, text: TextModel, states: Tensor, keys: Sequence[str]) -> list[list[Sampled]]:
        """The captions of images, given as states [B, P, width], by a text decoder.

        keys: one per image, for its random numbers.
        """
        decoder = Decoder(text, self._prompt, self._options, self._forbidden)
        images = decoder.read(states)
        sampled: list[list[Sampled]] = [[] for _ in keys]

        def write(start: int, stop: int) -> int:
            for one in decoder.write(images, keys, range(start, stop)):
                sampled[one.image].append(self._sampled(one))
            return stop - start

        # The next images begin with the number that fitted into memory this time.
        self._samples_at_once = max(in_batches(self._options.count, self._samples_at_once, write, states.device))
        return sampled

    def _sampled(self, one: Hypothesis) -> Sampled:
        return Sampled(self._text_of(one.tokens), tuple(one.tokens), one.log_probability, one.ended)
