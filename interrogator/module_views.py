"""Views of modules: a private tree of modules around the same tensors, so that shared modules are never modified.

Several threads may compute with one model. A call that needs hooks on the layers, or other tensors in place of some,
puts them on a view; `torch.func.functional_call` and hooks on the model itself would change it for the other threads.
`torch.nn.DataParallel` makes its replicas in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

M = TypeVar("M", bound="nn.Module")

_CONTAINERS = (dict, OrderedDict, set, list)
_NONE: Mapping[str, Any] = MappingProxyType({})


def view_of(module: M, tensors: Mapping[str, Tensor] = _NONE) -> M:
    """A module that computes what `module` computes, with the same tensors; takes about 5 µs per submodule.

    Submodules, hooks and settings belong to the view: setting or registering anything on it leaves `module` unchanged.

    Args:
        tensors: replacements for parameters and buffers, by their qualified names in `module`; a tensor with several
            names is replaced under all of them.
    """
    replaced = {id(attrgetter(name)(module)): tensor for name, tensor in tensors.items()}
    view: M = _view(module, replaced, {})
    return view


def _view(module: Any, replaced: Mapping[int, Tensor], views: dict[int, Any]) -> Any:
    """The view of one module of the tree; `views` holds those made so far, by module id."""
    if id(module) in views:
        return views[id(module)]
    view = views[id(module)] = object.__new__(type(module))
    own = view.__dict__
    for name, value in module.__dict__.items():
        if type(value) in _CONTAINERS:
            value = value.copy()
        elif isinstance(value, MethodType) and value.__self__ is module:
            value = MethodType(value.__func__, view)
        own[name] = value
    if replaced:
        for held in (own["_parameters"], own["_buffers"]):
            held.update((name, replaced[id(tensor)]) for name, tensor in held.items() if id(tensor) in replaced)
    children = own["_modules"]
    children.update((name, _view(child, replaced, views)) for name, child in children.items() if child is not None)
    return view
