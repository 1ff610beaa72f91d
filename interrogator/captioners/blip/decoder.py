"""Writing n texts about each of B images with BLIP's text decoder, token by token.

Each text has its own cache of keys and values; those of the image are shared (see `text_layers`). A finished text stays
in the batch until enough others have finished; then the batch is reduced to the unfinished ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...errors import ModelError
from ..sampling_options import SamplingOptions
from .forbidden_words import ForbiddenWords
from .text_layers import KeysValues, embed, image_keys_values, text_layers
from .token_choice import Draw, forbid, penalise, repeating, row_seed

_WORTH_CUTTING = 0.75  # largest share of unfinished texts for which copying caches costs less than the steps saved


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


@dataclass(frozen=True)
class EncodedImages:
    """The state shared by all texts about the images.

    Attributes:
        image: for each layer, keys and values of the images, [B, h, P, d].
        prompt: for each layer, keys and values of start token and prompt, [B, h, 1 + p, d].
        logits: of the first new token, [B, V].
    """

    image: list[KeysValues]
    prompt: list[KeysValues]
    logits: Tensor


def check_captioner(model: Any) -> None:
    """Raises ModelError: the model does not have the structure of transformers' `BlipForConditionalGeneration`."""
    try:
        parts = (model.vision_model, model.text_decoder.cls, model.config.text_config, model.text_decoder.bert)
    except AttributeError as error:
        raise ModelError(f"the model is not a BLIP captioner: {error}") from error
    text_layers(parts[-1])


LENGTH, SAMPLE_LENGTH = 32, 30
"""Tokens of a caption where nobody says how many: clip-interrogator's limit, and that of samples in BLIP's own demo."""


class Decoder:
    """The text decoder of a `BlipForConditionalGeneration` with the rules for one call. Stores no tensors."""

    def __init__(self, model: Any, prompt: list[int], rules: SamplingOptions, forbidden: ForbiddenWords) -> None:
        """Wrap a model. prompt: token ids after the start token. Raises ModelError: see `check_captioner`."""
        check_captioner(model)
        text = model.config.text_config
        self.transformer, self.head = model.text_decoder.bert, model.text_decoder.cls
        self.layers = text_layers(self.transformer)
        self.end, self.padding = text.sep_token_id, text.pad_token_id
        self.prompt = [text.bos_token_id, *prompt]
        self.shown = prompt if rules.keep_prefix else []
        self.rules = rules
        self.length = rules.with_length(SAMPLE_LENGTH).max_new_tokens or SAMPLE_LENGTH
        self.draw = Draw(rules.temperature, rules.top_k, rules.top_p)
        self.forbidden = forbidden

    def read(self, states: Tensor) -> EncodedImages:
        """Encode images, given as states [B, P, width], and the prompt, once for any number of texts."""
        image = image_keys_values(self.layers, states)
        ids = torch.tensor(self.prompt, device=states.device).expand(len(states), 1, -1)  # [B, 1, 1 + p]
        hidden = embed(self.transformer, ids)  # [B, 1, 1 + p, D]
        prompt: list[KeysValues] = []
        for layer, image_part in zip(self.layers, image, strict=True):
            own = layer.own.keys_values(hidden.flatten(0, 1))
            hidden = layer.forward(hidden, own, image_part, causal=True)
            prompt.append(own)
        return EncodedImages(image, prompt, self.head(hidden[:, 0, -1]))

    def write(self, encoded: EncodedImages, keys: Sequence[str], samples: range) -> list[Hypothesis]:
        """The texts with these sample numbers about each image, in the order (image, sample).

        keys: one per image, for its random numbers (see `token_choice`).
        """
        every = [Hypothesis(image, sample) for image in range(len(keys)) for sample in samples]
        batch = _Batch(encoded, len(samples), len(self.prompt), self.length, list(every))
        logits = encoded.logits.repeat_interleave(len(samples), dim=0)  # [R, V]
        history = torch.tensor(self.prompt, device=logits.device).expand(len(every), -1)  # [R, 1 + p]
        for step in range(self.length):
            chosen = self._next(logits, history, batch.texts, keys, step)  # [R]
            if step + 1 == self.length or all(text.ended for text in batch.texts):
                break
            history = torch.cat([history, chosen[:, None]], dim=1)
            rows = batch.cut()
            if rows is not None:
                history = history[rows]
            logits = self._step(history[:, -1], batch)
        return every

    def _next(self, logits: Tensor, history: Tensor, texts: list[Hypothesis], keys: Sequence[str], step: int) -> Tensor:
        """Choose the next token of each row, [R], and append it to its text."""
        scores = logits.to(torch.float32, copy=True)  # [R, V]
        total = scores.logsumexp(dim=-1)  # [R]
        if self.rules.repetition_penalty != 1:
            penalise(scores, history, float(self.rules.repetition_penalty))
        banned = [(row, token) for row, text in enumerate(texts) for token in self._banned(text, step)]
        forbid(scores, banned, self.end)
        seeds = [row_seed(self.rules.seed, keys[text.image], text.sample, step) for text in texts]
        chosen = self.draw.choose(scores, seeds)
        own = logits.gather(1, chosen[:, None]).squeeze(1).float() - total  # log-probabilities by the model alone
        for text, token, log_probability in zip(texts, chosen.tolist(), own.tolist(), strict=True):
            if not text.ended:
                text.take(token, log_probability, self.end)
        return chosen

    def _banned(self, text: Hypothesis, step: int) -> list[int]:
        if text.ended:
            return []
        banned = [self.end] if step < self.rules.min_new_tokens else []
        banned += repeating([*self.prompt, *text.tokens], self.rules.no_repeat_ngram_size)
        if self.forbidden:
            banned += self.forbidden.after([*self.shown, *text.tokens])
        return banned

    def _step(self, ids: Tensor, batch: _Batch) -> Tensor:
        """Logits [R, V] after the newest token of each row, [R]; adds its keys and values to the batch's caches."""
        ended = torch.tensor([text.ended for text in batch.texts], device=ids.device)
        ids = ids.masked_fill(ended, self.padding).view(batch.images, -1, 1)  # [B, n, 1]
        hidden = embed(self.transformer, ids, batch.length)  # [B, n, 1, D]
        batch.length += 1
        for index, layer in enumerate(self.layers):
            own = batch.with_new(index, layer.own.keys_values(hidden.flatten(0, 1)))
            hidden = layer.forward(hidden, own, batch.image[index])
        logits: Tensor = self.head(hidden.flatten(0, 2))
        return logits


class _Batch:
    """The caches of texts in progress: R = images * n rows, those of one image adjacent."""

    def __init__(self, encoded: EncodedImages, samples: int, prompt: int, new: int, texts: list[Hypothesis]) -> None:
        self.texts = texts
        self.images = len(encoded.logits)
        self.image = encoded.image
        self.length = prompt  # filled length of the caches
        self.own = [
            (_room(keys, samples, prompt + new), _room(values, samples, prompt + new))
            for keys, values in encoded.prompt
        ]

    def with_new(self, layer: int, new: KeysValues) -> KeysValues:
        """A layer's keys and values [R, h, length, d], including those of the newest token, [R, h, 1, d]."""
        keys, values = self.own[layer]
        keys[:, :, self.length - 1 : self.length], values[:, :, self.length - 1 : self.length] = new
        return keys[:, :, : self.length], values[:, :, : self.length]

    def cut(self) -> Tensor | None:
        """Drop finished texts if that pays: the remaining rows [R'] in a new order, or None.

        Every image keeps as many rows as the one with the most unfinished texts; images without any are dropped.
        """
        each = len(self.texts) // self.images
        rows = [list(range(image * each, (image + 1) * each)) for image in range(self.images)]
        unfinished = [sum(not self.texts[row].ended for row in one) for one in rows]
        stay, most = [image for image in range(self.images) if unfinished[image]], max(unfinished)
        if len(stay) * most > _WORTH_CUTTING * len(self.texts):
            return None
        left = [row for image in stay for row in sorted(rows[image], key=lambda row: self.texts[row].ended)[:most]]
        self.texts = [self.texts[row] for row in left]
        index = torch.tensor(left, device=self.own[0][0].device)
        self.own = [(keys[index], values[index]) for keys, values in self.own]
        if len(stay) < self.images:
            images = torch.tensor(stay, device=index.device)
            self.image = [(keys[images], values[images]) for keys, values in self.image]
            self.images = len(stay)
        return index


def _room(prompt: Tensor, samples: int, length: int) -> Tensor:
    """A cache [B samples, h, length, d] that begins with the prompt's [B, h, 1 + p, d]; the rest is uninitialised."""
    images, heads, filled, width = prompt.shape
    room = prompt.new_empty(images * samples, heads, length, width)
    room[:, :, :filled] = prompt.repeat_interleave(samples, dim=0)
    return room
