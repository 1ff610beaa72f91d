"""The address of an endpoint: which server, which model there; what is wrong with one is said before anything is sent.

    http://127.0.0.1:1234/v1#qwen3-vl-8b

The part before `#` is the base of the server's OpenAI-compatible API, the part after it the name of a model there.
Only a complete address with its scheme names a server, so pictures leave this machine only where the user has written
out another host; see also `EndpointCaptioner.from_files`, which says so in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from ...errors import RequestError

_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "http://127.0.0.1:1234/v1#MODEL"
_CHAT = "/chat/completions"


def is_url(name: str) -> bool:
    """Whether a model's name is the address of an endpoint, right or wrong."""
    return name.strip().lower().startswith(("http://", "https://"))


@dataclass(frozen=True)
class Address:
    """A server's API and a model there.

    Attributes:
        scheme: http or https.
        host: name or number, lower case, without the brackets of an IPv6 number.
        port: 1 to 65535.
        path: of the API, such as `/v1`; no slash at its end.
        model: the server's name of it; "" where the address has none.
        folder: None; what is behind an endpoint has no files here.
    """

    scheme: str
    host: str
    port: int
    path: str
    model: str = ""
    folder: None = None

    @classmethod
    def parse(cls, name: str) -> Address:
        """The address that a name is; `/v1` where it has no path.

        Raises RequestError: it is no complete address, or holds a user, a password or a query. The message quotes
        nothing that may be secret.
        """
        base, _, model = name.strip().partition("#")
        try:
            parts = urlsplit(base)
            port = parts.port
        except ValueError as error:
            raise RequestError(f"the address of an endpoint cannot be read ({error}); write it as {_EXAMPLE}") from None
        scheme = parts.scheme.lower()
        if scheme not in _PORTS or not parts.hostname:
            raise RequestError(f"an endpoint needs a complete address, such as {_EXAMPLE}")
        _check_secrets(parts)
        _check_characters(base, parts.hostname)
        path = parts.path.rstrip("/").removesuffix(_CHAT)  # as copied from an example with curl
        return cls(scheme, parts.hostname.lower(), port or _PORTS[scheme], path or "/v1", model.strip())

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine by its address: localhost, 127.0.0.0/8 or [::1]."""
        if self.host == "localhost":
            return True
        try:
            number = ip_address(self.host)
        except ValueError:
            return False
        mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
        return (mapped or number).is_loopback

    @property
    def base(self) -> str:
        """The address without the model."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def __str__(self) -> str:
        return f"{self.base}#{self.model}" if self.model else self.base


def _check_secrets(parts: SplitResult) -> None:
    """Raises RequestError: the address holds what would end up in records and logs."""
    if "@" in parts.netloc:
        raise RequestError(
            f"an endpoint's address holds no user and no password: write it without what stands before {parts.hostname}"
            ", and give a key in the environment variable INTERROGATOR_API_KEY"
        )
    if parts.query:
        raise RequestError(
            f"an endpoint's address ({parts.hostname}) holds no query: write it without the part from the question"
            " mark on, and give a key in the environment variable INTERROGATOR_API_KEY"
        )


def _check_characters(base: str, host: str) -> None:
    """Raises RequestError: the address holds characters that no request can."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise RequestError(f"{host!r} cannot be the name of a server; write the address as {_EXAMPLE}") from None
    path = base.partition("://")[2].partition("/")[2]
    if not path.isascii() or any(letter.isspace() or not letter.isprintable() for letter in base):
        raise RequestError(f"an endpoint's address holds no spaces and only ASCII letters; write it as {_EXAMPLE}")
