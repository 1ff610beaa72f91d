"""The families: which code loads which files."""

from __future__ import annotations

from ..hub import FileSet
from .kinds import Family, Marker

_OPEN_CLIP_FILES = FileSet(
    # The names of weights on the hub (open_clip/constants.py); what else belongs to a model its finder knows.
    any_of=(("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),),
    optional=(
        "open_clip_config.json",
        "tokenizer.json",
        "sentencepiece.bpe.model",
        "spiece.model",
        "vocab.txt",
        "vocab.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "merges.txt",
        "config.json",
    ),
)

FAMILIES: tuple[Family, ...] = (
    Family(
        "blip",
        {"captioner": ".captioners.blip.captioner:BlipCaptioner", "matcher": ".matchers.blip:BlipMatcher"},
        FileSet(
            required=("config.json", "tokenizer_config.json"),
            any_of=(
                ("model.safetensors", "pytorch_model.bin"),
                ("preprocessor_config.json", "processor_config.json"),  # the second is how transformers 5 saves it
                ("tokenizer.json", "vocab.txt"),
            ),
            optional=("special_tokens_map.json", "generation_config.json"),
        ),
        Marker("config.json", ("blip",)),
        {"captioner": ("BlipForConditionalGeneration",), "matcher": ("BlipForImageTextRetrieval",)},
    ),
    Family(
        "coca",  # a model that is also an encoder of open_clip
        {"captioner": ".captioners.coca.captioner:CocaCaptioner"},
        _OPEN_CLIP_FILES,
        Marker("open_clip_config.json", entry=("model_cfg", "multimodal_cfg")),
        finder=".captioners.coca.files:find_parts",
    ),
    Family(
        "open_clip",
        {"encoder": ".encoders.open_clip.encoder:OpenClipEncoder"},
        _OPEN_CLIP_FILES,
        Marker("open_clip_config.json"),
        finder=".encoders.open_clip.files:find_parts",
    ),
    Family(
        "endpoint",
        {"captioner": ".captioners.endpoint.captioner:EndpointCaptioner"},
        FileSet(),
        None,  # its models are on servers
        finder=".captioners.endpoint.finder:find_endpoint",
    ),
)
