"""Stand-ins for the modules that a trainer imports and that its reading of a dataset does not need."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any


class _Stub(type):
    """A class that is whatever somebody takes it for: a base, a decorator, a constant, a module's function."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stub(name)

    def __or__(cls, other: object) -> type:
        return cls

    __ror__ = __or__

    def __iter__(cls) -> Any:
        return iter(())


def _stub(name: str) -> type:
    def call(cls: type, *arguments: Any, **named: Any) -> Any:
        is_decorator = len(arguments) == 1 and not named and _is_decorated(arguments[0])
        return arguments[0] if is_decorator else object.__new__(cls)

    body = {"__new__": call, "__init__": lambda self, *a, **b: None, "__getattr__": lambda self, each: _stub(each),
            "__call__": lambda self, *a, **b: a[0] if a and _is_decorated(a[0]) else self}  # fmt: skip
    return _Stub(name, (), body)


def _is_decorated(thing: object) -> bool:
    """Whether something was most likely given to be decorated: a function, or a class somebody wrote."""
    return isinstance(thing, types.FunctionType) or isinstance(thing, type) and thing.__module__ != "builtins"


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stub(name)


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for every module of the named packages, and for what a trainer imports and nobody else finds."""

    def __init__(self, clones: Path, *packages: str) -> None:
        self._clones = str(clones)
        self._packages = packages

    def install(self) -> None:
        """Look here first for the named packages, and last for the rest."""
        sys.meta_path.insert(0, self)
        sys.meta_path.append(_Last(Path(self._clones)))

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return self._spec(name) if any(name == each or name.startswith(f"{each}.") for each in self._packages) else None

    def _spec(self, name: str) -> Any:
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


class _Last(Stubs):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None  # of another system
        frame = sys._getframe(1)
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back  # type: ignore[assignment]
        is_asked = frame is not None and frame.f_code.co_filename.startswith(self._clones)
        return self._spec(name) if is_asked else None
