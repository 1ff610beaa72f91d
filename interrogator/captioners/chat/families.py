"""What differs between the families of chat models, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..named_prompts import NAMED_PROMPTS

ImageTokens = Literal["run", "tiles", "inserted", "any"]
"""How the tokens that stand for an image lie in a prompt: in one run; in a run for each tile; put in by the model, so
that there are none; or in a way that is not known here."""


@dataclass(frozen=True)
class ChatFamily:
    """How the models of a family are asked.

    Attributes:
        question: what is asked where nobody asks.
        max_new_tokens: length of an answer where nobody says, from the authors' examples.
        system: the system prompt where nobody gives one and the template takes texts; "" is that of the template.
        image_tokens: see `ImageTokens`.
        template: whether the text in front of the answer is made by a chat template.
        lead: without a template what stands in front of the question.
        asked: whether it can be asked anything.
        prefix: whether an answer can be begun for it.
        pads: whether prompts of different lengths can be padded to one batch.
        writer: the attribute of the model whose `generate` writes, where the model hands over to it.
    """

    question: str = NAMED_PROMPTS["detailed"]
    max_new_tokens: int = 256
    system: str = ""
    image_tokens: ImageTokens = "run"
    template: bool = True
    lead: str = ""
    asked: bool = True
    prefix: bool = True
    pads: bool = True
    writer: str = ""


_CHAT = ChatFamily()
_TILES = ChatFamily(image_tokens="tiles")

FAMILIES: Mapping[str, ChatFamily] = {
    "qwen2_vl": _CHAT,
    "qwen2_5_vl": _CHAT,
    "qwen3_vl": _CHAT,
    "qwen3_vl_moe": _CHAT,
    "qwen3_5": _CHAT,
    "qwen3_5_moe": _CHAT,
    "llava": _CHAT,
    "llava_next": _CHAT,
    "llava_onevision": _CHAT,
    "smolvlm": _TILES,
    "idefics3": _TILES,
    "gemma3": _CHAT,
    "gemma4": _CHAT,
    "internvl": _CHAT,
    # The prompts of its model card; the processor puts a newline behind them, so that no answer can be begun.
    "paligemma": ChatFamily(
        question="caption en", max_new_tokens=128, template=False, lead="<image>", prefix=False
    ),
    # Continues a text, or with T5 answers it: nothing asks for a caption.
    "blip-2": ChatFamily(question="", max_new_tokens=50, template=False, writer="language_model"),
    "instructblip": ChatFamily(
        question="Write a detailed description.", template=False, writer="language_model"
    ),
    # Loaded by `captioners.florence2`; `<CAPTION>` is its shortest task. The length is that of its model card.
    "florence2": ChatFamily(question="<DETAILED_CAPTION>", max_new_tokens=1024, template=False, prefix=False),
    "git": ChatFamily(question="", max_new_tokens=50, image_tokens="inserted", template=False, asked=False),
    # Continues a text; with <grounding> in front it would write boxes between the words. While it writes, it counts the
    # positions of tokens from the padding on.
    "kosmos-2": ChatFamily(
        question="An image of", max_new_tokens=128, image_tokens="inserted", template=False, pads=False,
        writer="text_model",
    ),
}  # fmt: skip
"""By `model_type` in `config.json`."""

_UNLISTED = ChatFamily(image_tokens="any")

# Pixtral is of the type of LLaVA, too: its pictures keep their shape, a run of tokens for each row of patches.
_ROWS = replace(_CHAT, image_tokens="any")

# github.com/fpgaminer/joycaption: LLaVA of SigLIP and Llama, with a template that puts in the image by itself.
_JOY_CAPTION = replace(_CHAT, system="You are a helpful image captioner.", max_new_tokens=512)


def family_of(config: Any) -> ChatFamily:
    """How the model with this configuration of transformers is asked."""
    parts = tuple(getattr(getattr(config, part, None), "model_type", "") for part in ("vision_config", "text_config"))
    if (config.model_type, *parts) == ("llava", "siglip_vision_model", "llama"):
        return _JOY_CAPTION
    if (config.model_type, parts[0]) == ("llava", "pixtral"):
        return _ROWS
    return FAMILIES.get(config.model_type, _UNLISTED)
