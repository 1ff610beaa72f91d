"""Building a BLIP from local files: complete and of the right kind, or an error.

BLIP: Li et al., "BLIP: Bootstrapping Language-Image Pre-training", arXiv 2201.12086; the model code is transformers'
(4.50 and 5.x).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...checkpoints import check_complete, damage, first_line, loading, read_json, unreadable
from ...errors import ModelLoadError
from ...pickled_weights import read_weights

# Pairs of parameters of the caption head that may share one tensor, stored under only one name. transformers 5 ties
# both pairs; 4.50 ties only the bias, and if the file has only `decoder.bias`, it silently discards the values.
_DECODER = "text_decoder.cls.predictions.decoder"
_TIED = (
    (f"{_DECODER}.bias", "text_decoder.cls.predictions.bias"),
    (f"{_DECODER}.weight", "text_decoder.bert.embeddings.word_embeddings.weight"),
)
# Rows of the word table without a word: start tokens that BLIP adds, and rows up to a round number.
_MOST_SPARE = 128


def load_blip(folder: Path) -> tuple[Any, Any]:
    """The model (BlipForConditionalGeneration, on the CPU, in the dtype of the file) and the BlipProcessor of a folder.

    Raises ModelLoadError: not a BLIP, damaged, or a layer is missing or has another shape.
    """
    model, info, processor, tied = _read_folder(folder, "BlipForConditionalGeneration", _TIED)
    lacking = _fill_tied(model, tied)
    missing = set(info["missing_keys"]).difference(*_TIED) | lacking
    check_complete(missing, info, folder)
    _check_fit(model, processor, folder)
    return model.eval(), processor


def load_blip_matcher(folder: Path) -> tuple[Any, Any]:
    """The model (BlipForImageTextRetrieval, on the CPU, in the dtype of the file) and the BlipProcessor of a folder.

    Raises ModelLoadError: as `load_blip`; also for a BLIP of another kind, such as a captioner.
    """
    model, info, processor, _ = _read_folder(folder, "BlipForImageTextRetrieval")
    check_complete(set(info["missing_keys"]), info, folder)
    _check_fit(model, processor, folder)
    return model.eval(), processor


def _read_folder(
    folder: Path, kind: str, tied: tuple[tuple[str, str], ...] = ()
) -> tuple[Any, dict[str, Any], Any, dict[str, torch.Tensor]]:
    """A model of transformers' class `kind`, its loading report, its processor, and the `tied` tensors in the file."""
    try:
        with loading():
            processor = _load_processor(folder)
            model, info = _load_weights(folder, kind)
            stored = _read_tensors(folder, [name for pair in tied for name in pair])
    except unreadable() as error:
        reason = damage(folder) or first_line(error)
        raise ModelLoadError(f"{folder} does not contain a readable BLIP: {reason}") from error
    return model, info, processor, stored


def _load_weights(folder: Path, kind: str) -> tuple[Any, dict[str, Any]]:
    import transformers

    # The dtype is that of the file and cast by the caller, because its keyword differs between supported versions.
    model, info = getattr(transformers, kind).from_pretrained(
        str(folder),
        local_files_only=True,
        use_safetensors=(folder / "model.safetensors").is_file(),
        weights_only=True,  # reads only tensors from pickles
        output_loading_info=True,
    )
    return model, info


def _load_processor(folder: Path) -> Any:
    """A BlipProcessor with the Pillow image processor, which gives the same pixels with and without torchvision."""
    import transformers
    from transformers import BertTokenizerFast, BlipProcessor

    # transformers 5 has one class for torchvision and one for Pillow; earlier versions have only the latter.
    image_processor_class = getattr(transformers, "BlipImageProcessorPil", None) or transformers.BlipImageProcessor
    own = folder / "preprocessor_config.json"
    config = read_json(own) if own.is_file() else read_json(folder / "processor_config.json").get("image_processor")
    if not isinstance(config, dict):
        raise ModelLoadError(f"{folder / 'processor_config.json'} lacks the image processor's settings")
    image_processor = image_processor_class.from_dict(config)
    tokenizer = BertTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    return BlipProcessor(image_processor, tokenizer)


def _read_tensors(folder: Path, names: list[str]) -> dict[str, torch.Tensor]:
    """The named tensors, as far as the weights file of a folder contains them."""
    from safetensors import safe_open

    path = folder / "model.safetensors"
    if path.is_file():
        with safe_open(path, framework="pt") as file:
            there = set(file.keys())
            return {name: file.get_tensor(name) for name in names if name in there}
    path = folder / "pytorch_model.bin"
    state = read_weights(path)
    return {name: state[name] for name in names if name in state}


def _fill_tied(model: Any, stored: dict[str, torch.Tensor]) -> set[str]:
    """Copy the one `stored` tensor of each tied pair to both parameters; returns the parameters without values."""
    lacking = set()
    for pair in _TIED:
        there = [name for name in pair if name in stored]
        if not there or (len(there) == 1 and not _may_tie(model, pair[0])):
            lacking |= set(pair) - set(there)
        elif len(there) == 1:
            for name in pair:
                parameter = model.get_parameter(name)
                if parameter.shape == stored[there[0]].shape:  # otherwise it is reported as mismatched
                    # Values, not the parameter itself: 4.50 refuses to save what it did not tie.
                    parameter.data.copy_(stored[there[0]])
    return lacking


def _may_tie(model: Any, target: str) -> bool:
    """Whether a pair may share a tensor: the bias always, the weight unless the configuration forbids it."""
    configs = (model.config, model.config.text_config)
    return target.endswith("bias") or all(getattr(config, "tie_word_embeddings", True) for config in configs)


def _check_fit(model: Any, processor: Any, folder: Path) -> None:
    """Check that the model has a row for every token id; otherwise a caption would end in an IndexError."""
    text = model.config.text_config
    rows = model.get_input_embeddings().weight.shape[0]
    if max(text.bos_token_id, text.sep_token_id, text.pad_token_id) >= rows or len(processor.tokenizer) > rows:
        raise ModelLoadError(
            f"the tokenizer in {folder} has {len(processor.tokenizer)} tokens, but its model {rows}: "
            "they do not belong together"
        )
    if len(processor.tokenizer) < rows - min(_MOST_SPARE, 4 + rows // 50):
        raise ModelLoadError(
            f"the vocabulary in {folder} has {len(processor.tokenizer)} words, but its model {rows}: "
            "it was cut short or belongs to another model; fetch the folder again"
        )
