"""Reading checkpoints with transformers: what its families share."""

from __future__ import annotations

import json
import logging
import pickle
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelLoadError
from .files import instead_of_content, is_zip, read_bounded

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger("interrogator")

_LARGEST_JSON = 100_000_000  # bytes; a tokenizer.json of a large vocabulary takes 35 MB

_LOADING = threading.Lock()  # transformers changes the default dtype and its log level for the whole process


def unreadable() -> tuple[type[BaseException], ...]:
    """What transformers and its readers raise for damaged files."""
    from huggingface_hub.errors import StrictDataclassError  # configurations with a wrong type in them
    from safetensors import SafetensorError

    return (
        SafetensorError, StrictDataclassError, pickle.UnpicklingError, OSError, ValueError, RuntimeError, TypeError,
        LookupError, AttributeError, EOFError, ImportError, ArithmeticError, AssertionError, RecursionError,
        StopIteration, NotImplementedError,
    )  # fmt: skip


@contextmanager
def loading() -> Iterator[None]:
    """One thread at a time, without progress bars and reports: anything that matters raises an error.

    What tokenizers raises for a file that it cannot read, a bare Exception, becomes a ValueError.
    """
    from transformers.utils import logging as transformers_logging

    with _LOADING:
        level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        try:
            yield
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise ValueError(str(error)) from error
        finally:
            transformers_logging.set_verbosity(level)
            if bars:
                transformers_logging.enable_progress_bar()


def stored_tensor(path: Path, name: str) -> Tensor:
    """A tensor of a safetensors file, on the CPU. Raises what safetensors raises.

    Opens the file for this tensor alone: what was read of a file stays in memory until the file is closed.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def check_complete(missing: Collection[str], info: dict[str, Any], folder: Path) -> None:
    """Check that every parameter came from the file: transformers fills missing ones with random numbers.

    missing: names of parameters that lack.  info: transformers' loading report.  Raises ModelLoadError.
    """
    # The numbers 0, 1, 2, …: a buffer that only older files store.
    missing = {name for name in missing if not name.endswith("position_ids")}
    if missing:
        raise ModelLoadError(f"the weights in {folder} lack {len(missing)} of the model's tensors: {some(missing)}")
    mismatched = {entry[0] if isinstance(entry, (tuple, list)) else str(entry) for entry in info["mismatched_keys"]}
    if mismatched:
        raise ModelLoadError(f"the weights in {folder} do not have the shapes of its config.json: {some(mismatched)}")
    if info["unexpected_keys"]:
        logger.debug("%s holds tensors that are not used: %s", folder, some(set(info["unexpected_keys"])))


def check_settings(folder: Path) -> None:
    """Check that the JSON files of a folder can be read: what transformers says of them names no file.

    Raises ModelLoadError.
    """
    for path in sorted(folder.glob("*.json")):
        instead = instead_of_content(path)
        if instead:
            raise ModelLoadError(f"{path} {instead}")
        read_json(path)


def damage(folder: Path) -> str:
    """What is wrong with a file of a folder, as the end of a sentence; "" where nothing is found.

    Finds what stands in place of files (see `instead_of_content`), and weights that are cut off.
    """
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix not in (".safetensors", ".bin", ".json", ".model", ".txt"):
            continue
        instead = instead_of_content(path)
        if instead:
            return f"{path.name} {instead}"
        if path.suffix == ".bin" and path.open("rb").read(2) == b"PK" and not is_zip(path):
            return f"{path.name} is cut off: download it again"
        if path.suffix == ".safetensors":
            try:
                with safe_open(path, framework="pt"):
                    pass
            except (SafetensorError, OSError):
                return f"{path.name} is cut off or damaged; fetch it again"
    return ""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ModelLoadError: it cannot be read, or holds something else."""
    try:
        content = json.loads(read_bounded(path, _LARGEST_JSON))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} cannot be read: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} is not a configuration: it does not contain a JSON object")
    return content


def some(names: Collection[str]) -> str:
    """The first five names in order of the alphabet."""
    shown = sorted(names)[:5]
    return ", ".join(shown) + (" …" if len(names) > len(shown) else "")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class where it has none.

    In place of torch's advice to set `weights_only=False`, which runs what a file says: what to do instead.
    """
    lines = str(error).strip().splitlines()
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in str(error):
        return "it is damaged or holds more than tensors: download it again, or convert it to safetensors"
    return lines[0] if lines else type(error).__name__
