"""Beam search: the likeliest captions found by following several at once.

The rules are those of transformers' `generate(num_beams=k)`, so that the same options mean the same for every family:
scores are log-probabilities after the penalties; a text that ends counts if it is among the k best of its step, with
its score divided by its length to the power of `length_penalty`; an image is finished once k texts have ended and the
best one in progress, at its present length, is no better than the worst of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..options import CaptionOptions
from ..token_choice import forbid, penalise, repeating
from .caches import Caches, encode
from .text_model import TextModel


@dataclass
class _Search:
    """The search for the caption of image number `image`.

    Attributes:
        texts, scores: the k texts in progress, best first, and their log-probabilities.
        ended: texts that ended and their scores for length, best first, k at most.
    """

    image: int
    texts: list[list[int]]
    scores: list[float]
    ended: list[tuple[float, list[int]]] = field(default_factory=list)

    def end(self, tokens: list[int], score: float) -> None:
        """Add a text that ended."""
        self.ended.append((score, tokens))
        self.ended.sort(key=lambda each: -each[0])  # stable: of equals, the one that ended first stays first
        del self.ended[len(self.texts) :]


class BeamSearch:
    """A text decoder with the rules for one call. Stores no tensors."""

    def __init__(self, text: TextModel, prompt: list[int], options: CaptionOptions) -> None:
        """Wrap a text decoder. prompt: token ids after the start token. options: with a length (`with_length`)."""
        assert options.max_new_tokens is not None
        self.length = options.max_new_tokens
        self.text = text
        self.prompt = [text.start, *prompt]
        self.options = options

    def captions(self, states: Tensor) -> list[list[int]]:
        """New token ids for each image, given as states [B, P, width], without the end token."""
        beams = self.options.num_beams
        encoded = encode(self.text, states, self.prompt)
        caches = Caches(encoded, beams, len(self.prompt), self.length)
        first = [0.0] + [float("-inf")] * (beams - 1)  # at first all texts are equal: one of them goes on
        every = [_Search(image, [[] for _ in range(beams)], first) for image in range(len(states))]
        running = list(every)
        logits = encoded.logits.repeat_interleave(beams, dim=0)  # [R, V]
        for step in range(self.length):
            found = self._candidates(logits, running, step)
            origins = [self._advance(search, some, step) for search, some in zip(running, found, strict=True)]
            stay = [index for index, search in enumerate(running) if not self._is_done(search, step)]
            if not stay:
                break
            rows = [index * beams + origin for index in stay for origin in origins[index]]
            running = [running[index] for index in stay]
            caches.pick(torch.tensor(rows, device=logits.device), stay)
            newest = [text[-1] for search in running for text in search.texts]
            logits = caches.logits(self.text, torch.tensor(newest, device=logits.device))
        return [search.ended[0][1] for search in every]

    def _candidates(self, logits: Tensor, running: list[_Search], step: int) -> list[list[tuple[float, int, int]]]:
        """For each search the 2 k best next tokens, best first: (log-probability of the text, its beam, token).

        Twice as many as there are beams, because k of them may end their text.
        """
        scores = logits.float().log_softmax(dim=-1)  # [R, V]
        texts = [[*self.prompt, *text] for search in running for text in search.texts]
        if self.options.repetition_penalty != 1:
            penalise(scores, torch.tensor(texts, device=scores.device), float(self.options.repetition_penalty))
        banned = [(row, token) for row, text in enumerate(texts) for token in self._banned(text, step)]
        forbid(scores, banned, self.text.end)
        before = torch.tensor([score for search in running for score in search.scores], device=scores.device)  # [R]
        total = (scores + before[:, None]).view(len(running), -1)  # [B, k V]
        best = total.topk(2 * self.options.num_beams, dim=-1)
        words = scores.shape[-1]
        return [
            [(score, index // words, index % words) for score, index in zip(values, indices, strict=True)]
            for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    def _banned(self, text: list[int], step: int) -> list[int]:
        banned = [*self.text.never, self.text.end] if step < self.options.min_new_tokens else [*self.text.never]
        return banned + list(repeating(text, self.options.no_repeat_ngram_size))

    def _advance(self, search: _Search, candidates: list[tuple[float, int, int]], step: int) -> list[int]:
        """Take the candidates of a step into a search; returns which beam each text in progress goes on from."""
        beams, last, length = self.options.num_beams, step + 1 == self.length, step + 1
        kept: list[tuple[float, int, list[int]]] = []
        for rank, (score, beam, token) in enumerate(candidates):
            ends = token == self.text.end
            text = search.texts[beam] if ends else [*search.texts[beam], token]
            if (ends or last) and rank < beams and score > float("-inf"):
                search.end(text, score / length**self.options.length_penalty)
            if not ends and len(kept) < beams:
                kept.append((score, beam, text))
        search.scores, search.texts = [score for score, _, _ in kept], [text for _, _, text in kept]
        return [beam for _, beam, _ in kept]

    def _is_done(self, search: _Search, step: int) -> bool:
        if step + 1 == self.length:
            return True
        best = search.scores[0] / (step + 1) ** self.options.length_penalty
        return len(search.ended) == self.options.num_beams and best <= search.ended[-1][0]
