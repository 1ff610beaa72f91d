"""The trial of a prefix-sharing text tower: it is used only if its features are the model's own."""

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

# Texts that a tower is tried on before use: the cache's probes, and texts that exercise masks, padding and pooling:
# zero ids inside ("!"), repeats, prefixes of one another, more than the context holds.
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
    """A tower whose features are the model's; None if it has none, with a warning if that is unexpected.

    Running out of memory says nothing about the tower, so that error is raised.

    Args:
        name: the model's name, for the log.
        answers: returns the model's own features [N, D] of texts, in float32.
    """
    try:
        tower = CausalTower(model)
    except NotCausal as reason:
        logger.debug("%s: %s, so texts go through its own forward", name, reason)
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
        "%s: texts go through the model's own forward, which is slower, because sharing prefixes failed its trial (%s)",
        name,
        reason_in_words,
    )
    return None


def _tolerance() -> float:
    """The largest allowed difference between unit rows computed in two exact ways.

    fp32 noise of a deep tower is about 1e-6; one wrongly masked position changes rows by 1e-3 or more. If the user lets
    GPUs multiply in TF32 (torch.set_float32_matmul_precision), the noise itself is that large.
    """
    return 1e-4 if torch.get_float32_matmul_precision() == "highest" else 3e-3
