"""Tensors of a file that `torch.save` or TorchScript wrote, read without running anything in it.

Such a file is a ZIP with a pickle that describes objects, and one member for the bytes of each tensor. A pickle is a
program: it names functions and calls them. Here only tensors, dictionaries and plain values are built; whatever else
it names (the options of a training, numbers of NumPy, the modules of a TorchScript archive) becomes an object that
only holds what it was given. So OpenAI's archives and the checkpoints of trainings can be read as they are.

Formats: https://pytorch.org/docs/stable/notes/serialization.html, torch/csrc/jit/docs/serialization.md
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import ModelLoadError
from .files import instead_of_content, is_zip

_LARGEST_PICKLE = 256_000_000  # bytes; that of a large language model takes a few megabytes
_DEEPEST = 100  # modules in modules
_BAD_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, LookupError, ValueError, OverflowError, RuntimeError,
    EOFError,
)  # fmt: skip
_BAD_PICKLE = (
    pickle.UnpicklingError, ValueError, TypeError, LookupError, AttributeError, EOFError, ImportError, RuntimeError,
    RecursionError, MemoryError, OverflowError,
)  # fmt: skip
# The state of a training beside the weights of the model, which are under one of these.
_WEIGHTS_KEYS = ("state_dict", "model", "model_state_dict")


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of TorchScript, as OpenAI published its CLIP models. A file that is not: False."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[2] == "constants.pkl" for name in archive.namelist())
    except _BAD_ZIP:
        return False


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a model, on the CPU, in the dtypes of the file.

    They are mapped into memory and not copied. Names are the model's own: the prefix `module.` of distributed training
    is left out.

    Raises ModelLoadError: the file is something else, cut off or damaged, or holds no named tensors.
    """
    instead = instead_of_content(path)
    if instead:
        raise ModelLoadError(f"{path} {instead}")
    content = _of_zip(path) if is_zip(path) else _of_old_format(path)
    state = dict(_named(content))
    if not state:
        raise ModelLoadError(f"{path} holds no named tensors: it is no checkpoint of a model")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def _of_zip(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).content()
    except _BAD_ZIP as error:
        raise ModelLoadError(f"{path} is damaged ({_words(error)}): download it again") from error


def _of_old_format(path: Path) -> Any:
    """The content of a file of PyTorch before 1.6, or of one that is cut off: the table of a ZIP is at its end."""
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise ModelLoadError(f"{path} is cut off: download it again")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, *_BAD_PICKLE) as error:
        raise ModelLoadError(
            f"{path} is damaged, or no file of PyTorch, or from before PyTorch 1.6 and holds more than tensors: "
            "download it again, or convert it to safetensors"
        ) from error


def _named(content: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a checkpoint with their names."""
    if isinstance(content, Unknown):
        yield from _of_module(content.state, "", 0)
        return
    if isinstance(content, Mapping):
        inner = next((content[key] for key in _WEIGHTS_KEYS if isinstance(content.get(key), Mapping)), content)
        for name, value in inner.items():
            if isinstance(name, str) and isinstance(value, Tensor):
                yield name, value.detach()


def _of_module(state: Any, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a module of TorchScript and of those in it."""
    if not isinstance(state, Mapping) or depth > _DEEPEST:
        return
    for name, value in state.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value.detach()
        elif isinstance(value, Unknown):
            yield from _of_module(value.state, f"{prefix}{name}.", depth + 1)


class Unknown:
    """An object of a class that is not built: it keeps the state that the file gives it, and nothing else."""

    state: Any = None

    def __new__(cls, *_: Any, **__: Any) -> Unknown:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        object.__setattr__(self, "state", state)

    def __setitem__(self, key: Any, value: Any) -> None:
        """An entry, where it is a kind of dictionary."""

    def append(self, value: Any) -> None:
        """An entry, where it is a kind of list."""

    def extend(self, values: Any) -> None:
        """Several of them."""

    def add(self, value: Any) -> None:
        """An entry, where it is a kind of set."""


class _Call:
    """A function that a pickle may call. It has no attributes that the pickle could change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a function has no state")


class _Archive:
    """The content of one file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        self._storages: dict[str, Tensor] = {}
        with path.open("rb") as file:
            # Its pages can be taken back by the system; a change to a tensor stays in memory.
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def content(self) -> Any:
        """What the pickle describes. Raises ModelLoadError, and what `zipfile` raises."""
        if self._member("byteorder", 16) == b"big":
            raise ModelLoadError(f"{self._path} is from a machine with another order of bytes; convert it first")
        described = self._member("data.pkl", _LARGEST_PICKLE)
        if described is None:
            raise ModelLoadError(f"{self._path} is a ZIP file, but none with a checkpoint of PyTorch in it")
        try:
            return _Unpickler(io.BytesIO(described), self._storage).load()
        except _BAD_PICKLE as error:
            raise ModelLoadError(f"{self._path} is damaged ({_words(error)}): download it again") from error

    def _member(self, name: str, limit: int) -> bytes | None:
        info = self._members.get(name)
        if info is None:
            return None
        with self._archive.open(info) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ModelLoadError(f"{self._path} describes more objects than a model has")
        return content

    def _storage(self, dtype: torch.dtype, key: str, count: int) -> Tensor:
        """The numbers [count] of one member, read once. Raises ValueError, LookupError: there are not so many."""
        if key in self._storages:
            return self._storages[key]
        info = self._members[f"data/{key}"]
        # Stored as they are, so that a short file cannot stand for an endless one.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError("its tensors are compressed, which PyTorch does not do")
        if count < 0 or count * dtype.itemsize > info.file_size:
            raise ValueError("a tensor is cut off")
        if not count:
            return torch.empty(0, dtype=dtype)
        start = self._start(info)
        if start + count * dtype.itemsize > len(self._mapped):
            raise ValueError("a tensor is cut off")
        numbers = torch.frombuffer(self._mapped, dtype=dtype, count=count, offset=start)
        # PyTorch aligns what it writes; other programs need not.
        self._storages[key] = numbers if start % dtype.itemsize == 0 else numbers.clone()
        return self._storages[key]

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Where the bytes of a member begin: behind its header of 30 bytes, its name and extra fields."""
        lengths = self._mapped[info.header_offset + 26 : info.header_offset + 30]
        if len(lengths) < 4:
            raise ValueError("a tensor is cut off")
        return info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


class _Unpickler(pickle.Unpickler):
    """Builds tensors, dictionaries and plain values; everything else is `Unknown`."""

    def __init__(self, file: io.BytesIO, storage: Callable[[torch.dtype, str, int], Tensor]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Call(OrderedDict)
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _Call(_tensor)
        if module == "torch._utils" and name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return _Call(lambda tensor, *_: tensor)
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return name  # only its name is of use
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return _Call(lambda values, *_: values)
        return Unknown

    def persistent_load(self, pid: Any) -> Tensor:
        kind, storage, key, _, count = pid
        dtype = _DTYPES.get(storage)
        if kind != "storage" or dtype is None or type(count) is not int:
            raise pickle.UnpicklingError(f"unknown tensors of {storage!r}"[:80])
        return self._storage(dtype, str(key), count)


_DTYPES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}  # fmt: skip


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """A view of stored numbers. Raises ValueError, TypeError, RuntimeError: it reaches out of them."""
    if not isinstance(storage, Tensor) or not all(type(each) is int and each >= 0 for each in (offset, *size, *stride)):
        raise ValueError("a tensor has no such shape")
    return storage.as_strided(size, stride, offset)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
