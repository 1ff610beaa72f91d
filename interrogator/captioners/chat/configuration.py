"""Whether a folder can be loaded, by its config.json alone: decided before any weights are fetched or read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...checkpoints import read_json
from ...errors import ModelLoadError
from ...markers import described

# What the quantisations of transformers need beside it, by `quant_method` in `quantization_config`.
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bitsandbytes": ("bitsandbytes", "accelerate"),
        "awq": ("gptqmodel", "accelerate"),
        "gptq": ("gptqmodel", "accelerate"),
        "compressed-tensors": ("compressed_tensors", "accelerate"),
        "hqq": ("hqq", "accelerate"),
        "torchao": ("torchao", "accelerate"),
        "quanto": ("optimum.quanto", "accelerate"),
        "fp8": ("accelerate",),
        "mxfp4": ("kernels", "accelerate"),
    }
)


def check_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model that can be loaded.

    Raises ModelLoadError: the installed transformers does not know its type, it needs code from its repository, reads
    no images, or is quantised and the package for that is missing.
    """
    path = folder / "config.json"
    config = read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelLoadError(f"{path} names no model_type; fetch the current files of the model")
    reason = why_not(config)
    if reason != "":
        raise ModelLoadError(f"{folder} holds {described(config)}, {reason or 'not a captioner'}")
    _check_packages(folder, config)
    return config


def why_not(config: Mapping[str, Any]) -> str | None:
    """Why nothing here loads a model, to end a sentence about it; "" if it loads, None if it is of another kind.

    The installed transformers decides: it loads a model if it has a class of its own for the type.
    """
    import transformers
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = str(config.get("model_type"))
    if kind in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return ""
    if kind in CONFIG_MAPPING_NAMES:
        writes = (
            modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        )
        if any(kind in names for names in writes) and not any("vision" in entry for entry in config):
            return "which writes text and reads no images; name a model that does"
        return None
    if config.get("auto_map"):
        return (
            "and this version does not load it: look for a version of the model that transformers loads by itself, "
            "often one whose name ends in -hf"
        )
    by = config.get("transformers_version")
    written = f" (its files were written by {by})" if isinstance(by, str) else ""
    return (
        f"which transformers {transformers.__version__} does not know: it needs a newer transformers{written}; update "
        "with `pip install -U transformers`"
    )


def quantised(config: Mapping[str, Any]) -> bool:
    """Whether the weights are quantised."""
    return bool(config.get("quantization_config"))


def _check_packages(folder: Path, config: Mapping[str, Any]) -> None:
    quantisation = config.get("quantization_config")
    if not quantisation:
        return
    method = str(quantisation.get("quant_method", "")) if isinstance(quantisation, dict) else ""
    if not method and isinstance(quantisation, dict):  # before transformers 4.30 only bitsandbytes was there
        method = "bitsandbytes" if any(name.startswith(("load_in_", "bnb_")) for name in quantisation) else ""
    if method not in _PACKAGES:
        raise ModelLoadError(
            f"{folder} holds weights quantised by {method or 'an unknown method'}, which is not supported: use the "
            "weights in 16 bit, or the model behind an endpoint"
        )
    lacking = [package for package in _PACKAGES[method] if not _is_installed(package)]
    if lacking:
        raise ModelLoadError(
            f"{folder} holds weights quantised by {method}, for which {' and '.join(lacking)} must be installed; or "
            "use the weights in 16 bit"
        )


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of a package in a package
        return False
