"""Building a chat model from local files: complete and of the right kind, or an error."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ...checkpoints import check_complete, check_settings, damage, first_line, loading, unreadable
from ...errors import ModelError, ModelLoadError
from .configuration import check_config, quantised
from .processor import load_processor


def load_chat(folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model and the processor of a folder, on a device and in a dtype.

    Weights are read in that dtype: no second copy of them exists at any time.

    Raises ModelLoadError: as `check_config`; or files are damaged or missing, or a tensor is, or has another shape.
    """
    config = check_config(folder)
    check_settings(folder)
    placing = {"device_map": {"": device}} if quantised(config) else {}
    try:
        with loading():
            model, info = _read(folder, dtype, placing)
            missing = _names_in_file(model, set(info["missing_keys"]), folder)
            check_complete(missing, info, folder)
            processor = load_processor(folder, model.config)
    except ModelError:
        raise
    except unreadable() as error:
        raise ModelLoadError(
            f"{folder} does not hold a readable {config['model_type']} model: {damage(folder) or first_line(error)}"
        ) from error
    _check_fit(model, processor, folder)
    return (model if placing else model.to(device)).eval(), processor


def _read(folder: Path, dtype: torch.dtype, placing: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import transformers

    named = "dtype" if int(transformers.__version__.partition(".")[0]) >= 5 else "torch_dtype"
    model, info = transformers.AutoModelForImageTextToText.from_pretrained(
        str(folder),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=any(folder.glob("*.safetensors")),
        weights_only=True,  # reads only tensors from pickles
        ignore_mismatched_sizes=True,  # they are named by `check_complete`
        output_loading_info=True,
        **{named: dtype},
        **placing,
    )
    return model, info


def _names_in_file(model: Any, missing: set[str], folder: Path) -> set[str]:
    """The missing parameters by the names that they would have in the file.

    transformers 5 renames tensors while it reads them, and renames them back when it saves a model; which of the names
    a file has shows in those of its other tensors.
    """
    if not missing:
        return missing
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # transformers 4 reads what stands in the file
        return missing
    stored = _stored_names(folder)
    parameters = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    candidates = {name: [name] for name in missing}
    for _ in range(2):  # by the renamings that this file needed, then by those of the family
        for name, known in candidates.items():
            # One by one: parameters that are stored in several tensors are renamed only together with their like.
            with suppress(*unreadable()):
                known += revert_weight_conversion(model, {name: parameters.get(name, torch.empty(0))})
        model._weight_conversions = None
    return {max(known, key=lambda each: _kinship(each, stored)) for known in candidates.values()}


def _stored_names(folder: Path) -> set[str]:
    """The names of the tensors in the safetensors files of a folder."""
    from safetensors import safe_open

    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names |= set(file.keys())
    return names


def _kinship(name: str, others: set[str]) -> int:
    """With how many parts one of the others begins like a name, at most."""
    parts = name.split(".")
    starts = {tuple(other.split(".")[:length]) for other in others for length in range(1, len(parts))}
    return max((length for length in range(1, len(parts)) if tuple(parts[:length]) in starts), default=0)


def _check_fit(model: Any, processor: Any, folder: Path) -> None:
    """Check that the model has a row for every token of the vocabulary; those added to it are checked when used."""
    rows = model.get_input_embeddings().weight.shape[0]
    tokens = processor.tokenizer.vocab_size
    if tokens > rows:
        raise ModelLoadError(
            f"the tokenizer in {folder} has {tokens} tokens, but its model {rows}: they do not belong together"
        )
