"""Images and texts as a model's tensors, and checks that every image is where the model looks for it."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ...errors import ModelError, RequestError
from ...images import shrunk, to_rgb
from ..options import LARGEST_PIXELS
from .families import ChatFamily
from .processor import reads_by_encoder
from .wording import Wording

Pixels = npt.NDArray[np.uint8]


def prepare(image: Image.Image) -> Pixels:
    """An image of any mode and size: RGB, uint8 [H, W, 3], shrunk to `LARGEST_PIXELS`. Raises ImageReadError."""
    return np.array(shrunk(to_rgb(image), LARGEST_PIXELS))


class Inputs:
    """Makes the tensors of one model. Not for several threads at once: tokenizers are not."""

    def __init__(self, model: Any, processor: Any, family: ChatFamily, wording: Wording, name: str) -> None:
        self._processor = processor
        self._config = model.config
        self._vocabulary = model.get_input_embeddings().weight.shape[0]
        self._reads_types = "token_type_ids" in signature(model.forward).parameters
        self._family = family
        self._wording = wording
        self._name = name

    @property
    def by_encoder(self) -> bool:
        """Whether the prompt goes through an encoder, so that no answer can be begun with it."""
        return reads_by_encoder(self._config)

    def tensors(self, images: Sequence[Image.Image], texts: Sequence[str]) -> dict[str, Tensor]:
        """What `generate` takes, on the CPU: a row for each image and its text.

        Raises ModelError: the prompt does not hold each image once; ValueError and the like: the processor refuses an
        image.
        """
        given: dict[str, Any] = {"images": [[image] for image in images] if self._wording.by_template else list(images)}
        if self._family.asked or any(texts):
            given |= {"text": list(texts), "padding": True}
        if self._wording.shows_start:
            given["add_special_tokens"] = False
        batch = dict(self._processor(**given, return_tensors="pt"))
        batch.pop("labels", None)  # of PaliGemma, for training
        if not self._reads_types:  # the tokenizers of transformers 4 make them for all models
            batch.pop("token_type_ids", None)
        if "input_ids" in batch:
            self._check(batch, len(images))
        if not self._family.asked and "input_ids" in batch:
            _drop_end(batch, self._processor.tokenizer)
        return batch

    def check_length(self, batch: dict[str, Tensor], new: int) -> None:
        """Raises RequestError: the model has no positions for the prompt and `new` tokens behind it."""
        text = self._config.get_text_config() if hasattr(self._config, "get_text_config") else self._config
        room = getattr(text, "max_position_embeddings", None)
        ids = batch.get("input_ids")
        if not isinstance(room, int):
            return
        asked = 1 if ids is None else ids.shape[1]  # without a question there is a start token
        if max(asked, new) > room if self.by_encoder else asked + new > room:  # an encoder has positions of its own
            raise RequestError(
                f"the question ({asked} tokens with the image) and max_new_tokens ({new}) exceed the {room} "
                f"tokens that {self._name} can read and write; ask less, or lower max_new_tokens or max_pixels"
            )

    def _check(self, batch: dict[str, Tensor], count: int) -> None:
        """Raises ModelError: a row does not hold its image once and the start token at most once."""
        ids, mask = batch["input_ids"], batch.get("attention_mask")
        kept = torch.ones_like(ids).bool() if mask is None else mask.bool()
        rows = [row[own].tolist() for row, own in zip(ids, kept, strict=True)]
        if len(rows) != count:
            raise ModelError(f"{self._name} made {len(rows)} prompts of {count} images; update transformers")
        if int(ids.max()) >= self._vocabulary:
            raise ModelError(
                f"the prompt of {self._name} has token {int(ids.max())}, but its weights know {self._vocabulary}: its "
                "tokenizer and its weights do not belong together; fetch the current files"
            )
        self._check_start(rows)
        expected = _expected_tokens(self._config, self._processor, batch)
        inserted = batch.get("image_embeds_position_mask")  # Kosmos-2: its image tokens have an id each
        token = _image_token(self._config, self._processor)
        if self._family.image_tokens == "any" and token is None:
            return
        for number, row in enumerate(rows):
            if inserted is not None:
                runs = _runs(inserted[number].tolist(), 1)
            elif self._family.image_tokens == "inserted":
                continue
            else:
                runs = _runs(row, token)
            self._check_runs(runs, None if expected is None else expected[number])

    def _check_runs(self, runs: list[int], expected: int | None) -> None:
        style = self._family.image_tokens
        wrong = (
            not runs
            or (style in ("run", "inserted") and len(runs) != 1)
            or (style == "tiles" and len(set(runs)) != 1)
            or (expected is not None and sum(runs) != expected)
        )
        if wrong:
            wanted = "one run" if style != "tiles" else "runs of one length"
            size = f" of {expected} tokens" if expected is not None else ""
            raise ModelError(
                f"the prompt of {self._name} holds the image as runs of {runs or 'no'} tokens, not as {wanted}{size}: "
                "its processor and its weights do not belong together; fetch the current files"
            )

    def _check_start(self, rows: list[list[int]]) -> None:
        tokenizer = self._processor.tokenizer
        start = tokenizer.bos_token_id
        if start is None or start in (tokenizer.pad_token_id,):
            return
        for row in rows:
            at = [position for position, token in enumerate(row) if token == start]
            # A marker of turns may serve as start token, so that there are more of them, but never two in a row.
            twice = any(after - before == 1 for before, after in zip(at, at[1:], strict=False))
            lacks = not at and (self._wording.shows_start or _adds_start(tokenizer))
            if twice or lacks:
                raise ModelError(
                    f"the prompt of {self._name} has {'two start tokens' if twice else 'no start token'} "
                    f"({tokenizer.bos_token}): its chat template and its tokenizer do not belong together; fetch the "
                    "current files"
                )


def _drop_end(batch: dict[str, Tensor], tokenizer: Any) -> None:
    """Take off the end token that a tokenizer put behind the beginning of an answer."""
    if bool((batch["input_ids"][:, -1] == tokenizer.sep_token_id).all()):
        for name in ("input_ids", "attention_mask"):
            batch[name] = batch[name][:, :-1]


def _adds_start(tokenizer: Any) -> bool:
    return tokenizer.bos_token_id in tokenizer("a")["input_ids"]


def _image_token(config: Any, processor: Any) -> int | None:
    """The id of the token that stands for a part of an image."""
    for owner, name in (
        (config, "image_token_id"), (config, "image_token_index"), (processor, "image_token_id"),
        (processor.tokenizer, "image_token_id"),
    ):  # fmt: skip
        value = getattr(owner, name, None)
        if isinstance(value, int):
            return value
    return None


def _runs(row: Sequence[int], token: int | None) -> list[int]:
    """The lengths of the runs of a token in a row."""
    lengths, before = [], None
    for each in row:
        if each == token:
            if before == token and lengths:
                lengths[-1] += 1
            else:
                lengths.append(1)
        before = each
    return lengths


def _expected_tokens(config: Any, processor: Any, batch: dict[str, Tensor]) -> list[int] | None:
    """How many tokens each image should have, from the model's own configuration; None where it does not say."""
    grid = batch.get("image_grid_thw")  # [N, 3]: patches in time, height and width, of which merge**2 are one token
    if grid is not None:
        merge = getattr(getattr(config, "vision_config", None), "spatial_merge_size", None)
        return None if merge is None else (grid.prod(dim=-1) // merge**2).tolist()
    count = len(batch["input_ids"])
    for name in ("num_query_tokens", "mm_tokens_per_image", "latent_query_num"):
        number = getattr(config, name, None)
        if isinstance(number, int):
            return [number] * count
    vision: Any = getattr(config, "vision_config", None)
    if config.model_type in ("llava", "paligemma") and vision.model_type in (
        "clip_vision_model",
        "siglip_vision_model",
    ):
        patches = (vision.image_size // vision.patch_size) ** 2
        whole = getattr(config, "vision_feature_select_strategy", "default") == "full"
        return [patches + int(whole and vision.model_type == "clip_vision_model")] * count
    return None
