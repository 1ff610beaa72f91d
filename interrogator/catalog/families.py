"""The families: which code loads which files."""

from __future__ import annotations

from ..hub import FileSet, Shards
from .chat_types import CHAT_TYPES
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
# Weights as transformers saves them, in one file or in several with an index.
_SHARDS = (
    Shards("model.safetensors.index.json", "model-*-of-*.safetensors"),
    Shards("pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"),
)
_WEIGHTS = ("model.safetensors", _SHARDS[0].index, "pytorch_model.bin", _SHARDS[1].index)
_FILE_TAGGER = ".taggers.tagger:FileTagger"

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
        "chat",
        {"captioner": ".captioners.chat.captioner:ChatCaptioner"},
        FileSet(
            required=("config.json",),
            any_of=(
                _WEIGHTS,
                ("processor_config.json", "preprocessor_config.json"),
                ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"),
            ),
            optional=(
                "preprocessor_config.json",
                "video_preprocessor_config.json",
                "processor_config.json",
                "chat_template.jinja",
                "chat_template.json",
                "generation_config.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "added_tokens.json",
                "tokenizer.model",
                "spiece.model",
                "sentencepiece.bpe.model",
                "vocab.json",
                "vocab.txt",
                "merges.txt",
                "qformer_tokenizer/tokenizer.json",
                "qformer_tokenizer/tokenizer_config.json",
                "qformer_tokenizer/special_tokens_map.json",
                "qformer_tokenizer/vocab.txt",
            ),
            shards=_SHARDS,
        ),
        Marker("config.json", CHAT_TYPES, ".captioners.chat.configuration:why_not"),
    ),
    Family(
        "florence2",
        {"captioner": ".captioners.florence2.captioner:Florence2Captioner"},
        FileSet(
            required=("config.json",),
            any_of=(
                _WEIGHTS,
                ("preprocessor_config.json", "processor_config.json"),
                ("tokenizer.json", "vocab.json"),
            ),
            optional=(
                "processor_config.json",
                "generation_config.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "added_tokens.json",
                "vocab.json",
                "merges.txt",
            ),
            shards=_SHARDS,
        ),
        Marker("config.json", ("florence2",)),
    ),
    Family(
        "endpoint",
        {"captioner": ".captioners.endpoint.captioner:EndpointCaptioner"},
        FileSet(),
        None,  # its models are on servers
        finder=".captioners.endpoint.finder:find_endpoint",
    ),
    Family(
        "wd-tagger",
        {"tagger": _FILE_TAGGER},
        FileSet(
            required=("selected_tags.csv",),
            any_of=(("model.safetensors", "model.onnx"),),
            optional=("config.json", "categories.json", "preprocess.json", "thresholds.csv"),
        ),
        Marker("selected_tags.csv"),
        finder=".taggers.files:find_wd_tagger",
        suffix=".onnx",
    ),
    Family(
        "cl-tagger",
        {"tagger": _FILE_TAGGER},
        FileSet(
            required=("tag_mapping.json",),
            any_of=(("model.onnx", "model_optimized.onnx"),),
            optional=("model.onnx.data",),
        ),
        Marker("tag_mapping.json"),
        finder=".taggers.files:find_cl_tagger",
        suffix=".onnx",
    ),
    Family(
        "camie-tagger",
        {"tagger": _FILE_TAGGER},
        FileSet(any_of=(("camie-tagger-v2-metadata.json", "metadata.json"), ("camie-tagger-v2.onnx", "model.onnx"))),
        Marker("camie-tagger-v2-metadata.json", other_names=("metadata.json",), entry=("dataset_info",)),
        finder=".taggers.files:find_camie_tagger",
        suffix=".onnx",
    ),
    Family(
        "joytag",
        {"tagger": _FILE_TAGGER},
        FileSet(required=("top_tags.txt", "model.onnx")),
        Marker("top_tags.txt"),
        finder=".taggers.files:find_joytag",
        suffix=".onnx",
    ),
    Family(
        "ram",
        {"tagger": ".taggers.ram.tagger:RamTagger"},
        # The list of tags, by which a folder is known, is not on the hub: its finder says where it is.
        FileSet(any_of=(("ram_plus_swin_large_14m.safetensors", "ram_plus_swin_large_14m.pth", "model.safetensors"),)),
        Marker("ram_tag_list.txt", other_names=("ram_plus_swin_large_14m.pth", "ram_plus_swin_large_14m.safetensors")),
        finder=".taggers.ram.files:find_parts",
    ),
)
