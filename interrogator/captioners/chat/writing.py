"""Answers token by token, by transformers' `generate` with nothing left to a file beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .token_rules import StepWatch, TokenRules

# What a generation_config.json says of tokens and not of how to search: everything else in it is left out.
_TOKEN_SETTINGS = (
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id",
    "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids",
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What a model wrote.

    Attributes:
        tokens: without the end token.
        ended: whether it ended with the end token.
        log_probability: sum over its tokens and the end token; 0 where no samples were drawn.
    """

    tokens: list[int]
    ended: bool
    log_probability: float = 0.0


def end_tokens(model: Any, tokenizer: Any, writer: str) -> tuple[int, ...]:
    """The tokens that end an answer, by the settings of the model that writes, else by the tokenizer."""
    named = _writer(model, writer).generation_config.eos_token_id
    ids = named if isinstance(named, (list, tuple)) else [named]
    found = tuple(int(each) for each in ids if each is not None and each >= 0)
    return found or ((tokenizer.eos_token_id,) if tokenizer.eos_token_id is not None else ())


def write(
    model: Any, inputs: dict[str, Tensor], rules: TokenRules, watch: StepWatch, writer: str, **settings: Any
) -> list[Written]:
    """One answer for each row.

    Args:
        model: a view of a model (see `module_views`): `generate` may change what it is called on.
        inputs: what its `generate` takes, on its device.
        writer: the attribute of the model that does the writing; "" is the model itself.
        settings: `max_new_tokens`, `num_beams` and the like.
    """
    part = _writer(model, writer)
    padding = part.generation_config.pad_token_id
    if padding is None:
        padding = rules.ends[0] if rules.ends else 0
    for each in {id(model): model, id(part): part}.values():
        each.generation_config = _tokens_only(each.generation_config)
    given: dict[str, Any] = {"logits_processor": [rules]} if rules.needed else {}
    found = model.generate(
        **inputs, **given, **settings, do_sample=False, use_cache=True, pad_token_id=padding,
        eos_token_id=list(rules.ends) or None, stopping_criteria=[watch],
    )  # fmt: skip
    rows: list[list[int]] = [
        row[max(0, watch.start) : watch.stops.get(number)] for number, row in enumerate(found.tolist())
    ]
    values: Sequence[Sequence[float]] = rules.log_probabilities or [[]] * len(rows)
    return [_cut(row, rules.ends, own) for row, own in zip(rows, values, strict=True)]


def _cut(row: list[int], ends: Sequence[int], values: Sequence[float]) -> Written:
    """What stands before the first end token."""
    length = next((at for at, token in enumerate(row) if token in ends), len(row))
    ended = length < len(row)
    return Written(row[:length], ended, sum(values[: length + ended]))


def _writer(model: Any, writer: str) -> Any:
    return getattr(model, writer) if writer else model


def _tokens_only(config: Any) -> Any:
    """Settings of `generate` that say nothing but which token means what."""
    kept = {name: getattr(config, name, None) for name in _TOKEN_SETTINGS}
    return type(config)(**{name: value for name, value in kept.items() if value is not None})


def on_device(batch: dict[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors on a device, numbers with a fraction in a dtype."""
    return {
        name: each.to(device=device, dtype=dtype if each.is_floating_point() else None)
        for name, each in batch.items()
        if isinstance(each, Tensor)
    }
