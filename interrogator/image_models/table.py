"""The image models and their text encoders. A model of the same make is one more row.

Where the figures are from:

sd15          One CLIP ViT-L/14 of 77 tokens, two of which are start and end (Rombach et al. 2022, arXiv 2112.10752, and
              the model card of runwayml/stable-diffusion-v1-5).
sdxl          CLIP ViT-L/14 and OpenCLIP ViT-bigG/14, both of 77 tokens. In training both read the same caption, so both
              get the same text here (Podell et al. 2023, arXiv 2307.01952, section 2.1).
sd3           Those two and T5-XXL (Esser et al. 2024, arXiv 2403.03206). T5 was trained on 77 and 256 tokens at
              different stages (model card of stabilityai/stable-diffusion-3.5-large); 256 is the default of diffusers.
flux          CLIP ViT-L/14, of which only the pooled vector is used, and T5-XXL of 512 tokens (black-forest-labs/flux,
              src/flux/util.py: `load_t5`). FLUX.1 schnell reads the first 256 of them. Both are distilled to run
              without a negative prompt, and neither was trained with weights.
qwen          Qwen2.5-VL of 1,024 tokens behind a fixed instruction (Wu et al. 2025, arXiv 2508.02324; diffusers:
              `QwenImagePipeline`). It reads a negative prompt, since it runs with true guidance (model card of
              Qwen/Qwen-Image: a scale of 4). ComfyUI reads no weights there, and leaves a backslash before a bracket
              in the text (comfy/text_encoders/qwen_image.py).
pony          SDXL, trained on booru tags and captions; six score tags stand at the beginning of a prompt (model card of
              Pony Diffusion V6 XL, civitai.com/models/257749).
illustrious   SDXL, trained on Danbooru tags, whose best two qualities are `masterpiece` and `best quality` (model card
              of OnomaAIResearch/Illustrious-xl-early-release-v0).

Names of encoders are those of the inputs in ComfyUI's CLIPTextEncodeFlux and CLIPTextEncodeSD3; CLIPTextEncodeSDXL
calls clip_l and clip_g `text_l` and `text_g`. Qwen's is the key of its tokens there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import RequestError

Form = Literal["keywords", "sentences", "tags"]
"""What an encoder reads best: phrases in a row, sentences, or a tagger's tags, which are keywords where there are none.
"""


@dataclass(frozen=True)
class TextEncoder:
    """One of the encoders through which an image model reads.

    Attributes:
        name: of its text.
        form: of its text.
        limit: tokens of its text at most, those included that the encoder adds itself.
        counting: `clip`: its own tokenizer counts; `estimate`: see `token_counts.estimated_count`.
        reads_weights: brackets in its text are weights where ComfyUI or A1111 run it, unless they are escaped.
    """

    name: str
    form: Form
    limit: int
    counting: Literal["clip", "estimate"]
    reads_weights: bool = True


@dataclass(frozen=True)
class ImageModel:
    """A kind of image generator, as far as its texts go.

    Attributes:
        help: its text encoders, for a list of image models.
        weights: phrases can be weighted: `(word:1.2)`.
        negative: it reads a negative prompt.
        quality_tags: tags for quality that it was trained with, the best first.
    """

    name: str
    help: str
    encoders: tuple[TextEncoder, ...]
    weights: bool = True
    negative: bool = True
    quality_tags: tuple[str, ...] = ()

    @property
    def main(self) -> TextEncoder:
        """The encoder that reads most, whose text stands for all where there is room for one; else the first."""
        return max(self.encoders, key=lambda encoder: encoder.limit)

    @property
    def reads_tags(self) -> bool:
        """Whether any of its encoders reads a tagger's tags."""
        return any(encoder.form == "tags" for encoder in self.encoders)


_CLIP = 77
_CLIP_L = TextEncoder("clip_l", "keywords", _CLIP, "clip")
_CLIP_G = TextEncoder("clip_g", "keywords", _CLIP, "clip")
_TAGS = (TextEncoder("clip_l", "tags", _CLIP, "clip"), TextEncoder("clip_g", "tags", _CLIP, "clip"))
_SCORES = ("score_9", *(f"score_{score}_up" for score in range(8, 3, -1)))

IMAGE_MODELS: tuple[ImageModel, ...] = (
    ImageModel("sd15", "keywords for CLIP-L", (_CLIP_L,)),
    ImageModel("sdxl", "the same keywords for CLIP-L and CLIP-G", (_CLIP_L, _CLIP_G)),
    ImageModel(
        "sd3", "keywords for CLIP-L and CLIP-G, sentences for T5",
        (_CLIP_L, _CLIP_G, TextEncoder("t5xxl", "sentences", 256, "estimate")),
    ),
    ImageModel(
        "flux", "keywords for CLIP-L, sentences for T5; no weights, no negative prompt",
        (_CLIP_L, TextEncoder("t5xxl", "sentences", 512, "estimate")), weights=False, negative=False,
    ),
    ImageModel(
        "qwen", "sentences for Qwen2.5-VL; no weights",
        (TextEncoder("qwen25_7b", "sentences", 1024, "estimate", reads_weights=False),), weights=False,
    ),
    ImageModel("pony", "tags for CLIP-L and CLIP-G", _TAGS, quality_tags=_SCORES),
    ImageModel("illustrious", "tags for CLIP-L and CLIP-G", _TAGS, quality_tags=("masterpiece", "best quality")),
)  # fmt: skip


def image_model(name: str) -> ImageModel:
    """The row of this name. Raises RequestError: there is none; lists those there are."""
    for row in IMAGE_MODELS:
        if row.name == name:
            return row
    raise RequestError(f"unknown image model {name!r}; choose from {', '.join(row.name for row in IMAGE_MODELS)}")
