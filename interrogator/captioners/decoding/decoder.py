"""Writing n texts about each of B images, token by token: greedy search and sampling.

Each text has its own cache of keys and values; those of the image are shared (see `text_model`). A finished text stays
in the batch until enough others have finished; then the batch is reduced to the unfinished ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ..sampling_options import SamplingOptions
from ..token_choice import Draw, forbid, penalise, repeating, row_seed
from .caches import Caches, EncodedImages, encode
from .text_model import TextModel

_WORTH_CUTTING = 0.75  # largest share of unfinished texts for which copying caches costs less than the steps saved


class Forbids(Protocol):
    """Words that are never generated; false where there are none."""

    def __bool__(self) -> bool: ...

    def after(self, tokens: Iterable[int]) -> Collection[int]:
        """The ids of the tokens that must not follow these."""
        ...


@dataclass
class Hypothesis:
    """One text, in progress or finished: sample number `sample` about image number `image`."""

    image: int
    sample: int
    tokens: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    ended: bool = False

    def take(self, token: int, log_probability: float, end: int) -> None:
        """Append a token, or end the text if it is the end token."""
        self.log_probability += log_probability
        if token == end:
            self.ended = True
        else:
            self.tokens.append(token)


class Decoder:
    """A text decoder with the rules for one call. Stores no tensors."""

    def __init__(self, text: TextModel, prompt: list[int], rules: SamplingOptions, forbidden: Forbids | None) -> None:
        """Wrap a text decoder. prompt: token ids after the start token. rules: with a length (`with_length`)."""
        assert rules.max_new_tokens is not None
        self.length = rules.max_new_tokens
        self.text = text
        self.prompt = [text.start, *prompt]
        self.shown = prompt if rules.keep_prefix else []
        self.rules = rules
        self.draw = Draw(rules.temperature, rules.top_k, rules.top_p)
        self.forbidden = forbidden

    def read(self, states: Tensor) -> EncodedImages:
        """Encode images, given as states [B, P, width], and the prompt, once for any number of texts."""
        return encode(self.text, states, self.prompt)

    def write(self, encoded: EncodedImages, keys: Sequence[str], samples: range) -> list[Hypothesis]:
        """The texts with these sample numbers about each image, in the order (image, sample).

        keys: one per image, for its random numbers (see `token_choice`).
        """
        every = [Hypothesis(image, sample) for image in range(len(keys)) for sample in samples]
        caches = Caches(encoded, len(samples), len(self.prompt), self.length)
        texts = list(every)
        logits = encoded.logits.repeat_interleave(len(samples), dim=0)  # [R, V]
        history = torch.tensor(self.prompt, device=logits.device).expand(len(every), -1)  # [R, 1 + p]
        for step in range(self.length):
            chosen = self._next(logits, history, texts, keys, step)  # [R]
            if step + 1 == self.length or all(text.ended for text in texts):
                break
            history = torch.cat([history, chosen[:, None]], dim=1)
            rows, images = unfinished(texts, caches.images)
            if rows is not None:
                texts = [texts[row] for row in rows]
                index = torch.tensor(rows, device=history.device)
                caches.pick(index, images)
                history = history[index]
            ended = torch.tensor([text.ended for text in texts], device=history.device)
            logits = caches.logits(self.text, history[:, -1].masked_fill(ended, self.text.padding))
        return every

    def _next(self, logits: Tensor, history: Tensor, texts: list[Hypothesis], keys: Sequence[str], step: int) -> Tensor:
        """Choose the next token of each row, [R], and append it to its text."""
        scores = logits.to(torch.float32, copy=True)  # [R, V]
        total = scores.logsumexp(dim=-1)  # [R]
        if self.rules.repetition_penalty != 1:
            penalise(scores, history, float(self.rules.repetition_penalty))
        banned = [(row, token) for row, text in enumerate(texts) for token in self._banned(text, step)]
        forbid(scores, banned, self.text.end)
        seeds = [row_seed(self.rules.seed, keys[text.image], text.sample, step) for text in texts]
        chosen = self.draw.choose(scores, seeds)
        own = logits.gather(1, chosen[:, None]).squeeze(1).float() - total  # log-probabilities by the model alone
        for text, token, log_probability in zip(texts, chosen.tolist(), own.tolist(), strict=True):
            if not text.ended:
                text.take(token, log_probability, self.text.end)
        return chosen

    def _banned(self, text: Hypothesis, step: int) -> list[int]:
        if text.ended:
            return []
        banned = [*self.text.never, self.text.end] if step < self.rules.min_new_tokens else [*self.text.never]
        banned += repeating([*self.prompt, *text.tokens], self.rules.no_repeat_ngram_size)
        if self.forbidden:
            banned += self.forbidden.after([*self.shown, *text.tokens])
        return banned


def unfinished(texts: list[Hypothesis], images: int) -> tuple[list[int] | None, list[int]]:
    """The rows to keep, in a new order, and the images they are about; None where dropping the finished does not pay.

    Every image keeps as many rows as the one with the most unfinished texts; images without any are dropped.
    """
    each = len(texts) // images
    rows = [list(range(image * each, (image + 1) * each)) for image in range(images)]
    left = [sum(not texts[row].ended for row in one) for one in rows]
    stay, most = [image for image in range(images) if left[image]], max(left)
    if len(stay) * most > _WORTH_CUTTING * len(texts):
        return None, stay
    return [row for image in stay for row in sorted(rows[image], key=lambda row: texts[row].ended)[:most]], stay
