"""The trial of a text tower: it is used only where its answers are the model's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...devices import is_out_of_memory
from ...embeddings import PROBE_PHRASES
from ...text_tower import CausalTower, NotCausal
from ..tokens import Tokens

logger = logging.getLogger("interrogator")

# What a text tower is tried on before it is used: the cache's probes, and texts in which the rules of masks, padding
# and pooling show: zero ids inside ("!"), repeats, beginnings of one another, more than the context holds.
TOWER_PROBES = (
    *PROBE_PHRASES,
    "!!",
    "!! a cat !!!",
    "a",
    "a cat",
    "a cat cat",
    ", ".join(["a very long text that no context holds"] * 12),
)


def proven_tower(
    model: Any, name: str, tokens: Tokens, answers: Callable[[Sequence[str]], Tensor]
) -> CausalTower | None:
    """A tower that answers like the model; None, with a warning where that is a surprise, if there is none.

    A device that runs out of memory says nothing about the tower: that error comes out.

    Args:
        name: of the model, for the log.
        answers: the model's own features [N, D] of texts, in float32.
    """
    try:
        tower = CausalTower(model)
    except NotCausal as reason:
        logger.debug("%s: %s, so its texts go through its own forward", name, reason)
        return None
    expected = F.normalize(answers(TOWER_PROBES), dim=-1)  # [P, D]
    try:
        with torch.inference_mode(), torch.autocast(tower.device.type, enabled=False):
            got = F.normalize(tower.features(tokens.ids(TOWER_PROBES), in_float32=True), dim=-1)
        difference = float((got - expected).abs().max())
    except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        difference, reason_in_words = float("inf"), f"{type(error).__name__}: {error}"
    else:
        reason_in_words = f"its answers differ by {difference:.1e}"
    if difference <= _tolerance():
        tower.nodes = 0
        return tower
    logger.warning(
        "%s: texts go through the model's own forward, which is slower; sharing their beginnings failed on trial (%s)",
        name,
        reason_in_words,
    )
    return None


def _tolerance() -> float:
    """How far unit rows of two exact ways to the same answer may lie apart.

    fp32 noise of a deep tower is some 1e-6, a place masked wrongly moves rows by 1e-3 and more. Where the user lets
    GPUs multiply in TF32 (torch.set_float32_matmul_precision), noise is that large itself.
    """
    return 1e-4 if torch.get_float32_matmul_precision() == "highest" else 3e-3
