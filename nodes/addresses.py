"""Which servers captions may come from: a graph from the web must not send pictures to a server of its author's.

A graph may name a server on this machine. Any other has to be in the user's settings or environment.
"""

from __future__ import annotations

import os
from dataclasses import replace

from ..interrogator.captioners.endpoint.address import Address, is_url
from ..interrogator.errors import RequestError
from . import host

SETTING = "Interrogator.Endpoint"
"""The setting with the user's server; web/js/node_defaults.js registers it."""

VARIABLE = "INTERROGATOR_ENDPOINT"
"""The environment variable that does the same where nobody uses the front end."""

_WHERE = "Settings > Interrogator > Endpoint"


def address_of(address: str, model: str = "") -> str:
    """The complete address of a model behind an endpoint, as the library takes it.

    Args:
        address: of the server; "" is the user's own.
        model: the server's name of it; "" is the one that the address names, else the only one there.

    Raises:
        ValueError: there is no address, or graphs must not name this one.
        RequestError: it cannot be an address.
    """
    wanted = address.strip()
    if not wanted:
        own = _own()
        if not own:
            raise ValueError(
                "There is no address: type one of this machine, such as http://127.0.0.1:1234/v1, or set one in"
                f" {_WHERE}."
            )
        wanted = own[0]
    found = Address.parse(permitted(wanted))
    return str(replace(found, model=model.strip() or found.model))


def permitted(name: str) -> str:
    """The name of a model, if a graph may use it; those that are no address all may.

    Raises:
        ValueError: it is the address of another machine, and not the user's own choice.
        RequestError: it cannot be an address.
    """
    if not is_url(name):
        return name
    address = Address.parse(name)
    if not address.is_loopback and address.base not in _own_bases():
        raise ValueError(
            f"{address.base} is not on this machine, so a graph must not send pictures there: set it in {_WHERE}"
            f" or in the environment variable {VARIABLE} if you trust it."
        )
    return name


def _own() -> list[str]:
    """The addresses that the user has set, the first one first."""
    given = (host.setting(SETTING), os.environ.get(VARIABLE))
    return [text.strip() for text in given if isinstance(text, str) and text.strip()]


def _own_bases() -> set[str]:
    bases = set()
    for text in _own():
        try:
            bases.add(Address.parse(text).base)
        except RequestError:  # said where it is used
            continue
    return bases
