"""Florence-2 in the files of its first code, in which microsoft/Florence-2-* and most fine-tunes are.

That code is in the repositories and is never run. transformers has had the model since 4.56 under other names; what it
computes is the same. Xiao et al., "Florence-2", arXiv 2311.06242.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import ModelLoadError

ADDED_TOKENS: tuple[str, ...] = (
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{number}>" for number in range(1000)),
    *("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>", "<seg>", "</seg>"),
    *("<sep>", "<region_cap>", "</region_cap>", "<region_to_desciption>", "</region_to_desciption>", "<proposal>"),
    *("</proposal>", "<poly>", "</poly>", "<and>"),
)
"""What the first code's processor adds to BART's tokens in this order, spelled so; many folders do not have them."""

PROJECTION = "model.multi_modal_projector.image_projection.weight"
"""In legacy files it is transposed."""

EMBEDDINGS: tuple[str, ...] = (
    "language_model.model.shared.weight",
    "language_model.lm_head.weight",
    "language_model.model.encoder.embed_tokens.weight",
    "language_model.model.decoder.embed_tokens.weight",
)
"""Names of the one table of embeddings in a legacy file, which has at least one of them. The first is what counts."""

BIAS = "language_model.final_logits_bias"
"""Zeros, for which transformers has no tensor."""

# From names of transformers to those of legacy files.
_RULES: tuple[tuple[str, str], ...] = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"^(vision_tower\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\.(conv[12])\.(weight|bias)$", r".\1.fn.dw.\2"),
    (r"\.((?:window|channel)_attn)\.", r".\1.fn."),
    (r"\.spatial_block\.norm1\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.norm1\.", ".channel_block.channel_attn.norm."),
    (r"\.norm2\.", ".ffn.norm."),
    (r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1."),
)


def is_legacy(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` of type `florence2` is of the first code."""
    text, vision = _part(config, "text_config"), _part(config, "vision_config")
    return (
        "dim_embed" in vision or vision.get("model_type") == "davit" or text.get("model_type") == "florence2_language"
    )


def legacy_name(name: str) -> str:
    """The name in a legacy file of a tensor of transformers."""
    vision = name.startswith("model.vision_tower.")
    for pattern, into in _RULES[:6] if not vision else _RULES[5:]:
        name = re.sub(pattern, into, name)
    return name


def native_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A legacy configuration in the words of transformers.

    Raises ModelLoadError: it describes what transformers does not compute.
    """
    text, vision = dict(_part(config, "text_config")), dict(_part(config, "vision_config"))
    positions = _only(vision, "image_pos_embed", "type", "learned_abs_2d")
    frames = _only(vision, "visual_temporal_embedding", "type", "COSINE")
    sources = vision.pop("image_feature_source", None)
    if sources is not None and list(sources) != ["spatial_avg_pool", "temporal_avg_pool"]:
        raise ModelLoadError(f"a Florence-2 with image_feature_source {sources!r} is not supported")
    if positions:
        vision["max_position_embeddings"] = positions["max_pos_embeddings"]
    if frames:
        vision["max_temporal_embeddings"] = frames["max_temporal_embeddings"]
    if "dim_embed" in vision:
        vision["embed_dim"] = vision.pop("dim_embed")
    vision["model_type"], text["model_type"] = "florence_vision", "bart"
    kept = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {
        "model_type": "florence2",
        "architectures": ["Florence2ForConditionalGeneration"],
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "text_config": text,
        "vision_config": vision,
        **{name: config[name] for name in kept if name in config},
    }


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = config.get(name)
    return part if isinstance(part, Mapping) else {}


def _only(vision: dict[str, Any], name: str, key: str, known: str) -> Mapping[str, Any]:
    """A part of a vision configuration, taken out of it. Raises ModelLoadError: it is of an unknown kind."""
    part = vision.pop(name, None) or {}
    if part and part.get(key) != known:
        raise ModelLoadError(f"a Florence-2 with {name} of {key} {part.get(key)!r} is not supported")
    found: Mapping[str, Any] = part
    return found
