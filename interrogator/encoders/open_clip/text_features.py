"""Text features from a loaded open_clip model, without the padding that its own `encode_text` requires.

`encode_text` of open_clip's native CLIP adds all position embeddings and the whole causal mask, so it accepts only
texts padded to the full context. With these two cut to length, in a view of the model for one call, the model's own
code runs on shorter texts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...devices import is_out_of_memory
from ...module_views import view_of


class TextFeatures:
    """Runs a model's text side on token ids of any length up to the context."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, ids: Tensor, in_float32: bool = False) -> Tensor:
        """Features [N, D] of token ids [N, L]; not normalised.

        in_float32: compute with the weights converted to float32.
        """
        tensors: dict[str, Tensor] = {}
        if in_float32:
            tensors = {
                name: value.float()
                for name, value in self.model.named_parameters()
                if value.dtype in (torch.float16, torch.bfloat16) and not name.startswith("visual.")
            }
        tensors |= self._cut(ids.shape[1], tensors)
        model = view_of(self.model, tensors) if tensors else self.model
        return model.encode_text(ids)  # type: ignore[no-any-return]

    def _cut(self, length: int, raised: dict[str, Tensor]) -> dict[str, Tensor]:
        """Position embeddings and causal mask cut to `length`, if the tower has them like open_clip's own."""
        prefix, tower = ("text.", self.model.text) if hasattr(self.model, "text") else ("", self.model)
        cut: dict[str, Tensor] = {}
        positions = getattr(tower, "positional_embedding", None)
        if isinstance(positions, Tensor) and positions.shape[0] > length and getattr(tower, "cls_emb", None) is None:
            name = f"{prefix}positional_embedding"
            cut[name] = raised.get(name, positions)[:length]  # [L, width]
            mask = getattr(tower, "attn_mask", None)
            if isinstance(mask, Tensor):
                cut[f"{prefix}attn_mask"] = mask[:length, :length]  # [L, L]
        return cut


def padding_is_idle(features: TextFeatures, ids: Tensor, lengths: Tensor) -> bool:
    """Whether texts with these `ids` [N, L] give the same features without the padding at their end.

    True for causal towers that pool at the end token and for towers that mask padding; not for CoCa (its class token
    comes last), SigLIP (attends to padding) and towers that pool the last position. This is measured rather than looked
    up, so that unforeseen towers are encoded exactly too.
    """
    whole = features(ids, in_float32=True)  # [N, D]
    for row, length in enumerate(lengths.tolist()):
        try:
            cut = features(ids[row : row + 1, :length], in_float32=True)[0]  # [D]
        except (RuntimeError, IndexError, ValueError, AssertionError) as error:
            if is_out_of_memory(error):
                raise  # this says nothing about the tower
            return False  # the tower accepts only full texts
        # fp32 noise between the two shapes is about 1e-6 of the norm; attending to padding changes it by 1e-3 or more.
        if (cut - whole[row]).norm() > 1e-4 * whole[row].norm():
            return False
    return True
