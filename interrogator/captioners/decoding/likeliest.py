"""The likeliest caption of an image, by greedy or beam search."""

from __future__ import annotations

from torch import Tensor

from ..options import CaptionOptions
from ..sampling_options import greedy
from .beams import BeamSearch
from .decoder import Decoder
from .text_model import TextModel


def likeliest(text: TextModel, states: Tensor, prompt: list[int], options: CaptionOptions) -> list[list[int]]:
    """New token ids, without the end token, for each image, given as states [B, P, width].

    prompt: token ids after the start token. options: with a length (`CaptionOptions.with_length`).
    """
    if options.num_beams > 1:
        return BeamSearch(text, prompt, options).captions(states)
    decoder = Decoder(text, prompt, greedy(options), None)
    return [one.tokens for one in decoder.write(decoder.read(states), [""] * len(states), range(1))]
