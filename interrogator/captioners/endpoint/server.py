"""A server of the OpenAI-compatible protocol: which models it has, and completions with patience."""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime

from ...errors import CaptionError, EndpointError, RequestError
from ...version import __version__
from .address import Address
from .connection import BROKEN, LONGEST_REPLY, Call, Reply
from .limits import TIMEOUT, Limits
from .messages import Completion, completion_of, kind_of, model_names, quoted
from .refusals import BUSY, error_of, key_error, one_of, redirect_error

logger = logging.getLogger("interrogator")

KEY_VARIABLE = "INTERROGATOR_API_KEY"

_LOOK_SECONDS = 15.0  # for a request that no model has to work on
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_SHORTEST_PAUSE = 0.2  # whatever the server says
_NO_LIST = frozenset({400, 404, 405, 501})


class Key(str):
    """A key; no repr of anything shows it."""

    def __repr__(self) -> str:
        return "'***'"


def key_from_environment(environment: Mapping[str, str] = os.environ) -> Key:
    """The key for servers that want one; "" where none is set. There is no other way to give one.

    Not OPENAI_API_KEY as well: that one belongs to a company's server, and would go to whatever server is named here.

    Raises RequestError: what is set cannot be a key. It is not quoted.
    """
    key = environment.get(KEY_VARIABLE, "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise RequestError(f"{KEY_VARIABLE} holds spaces or letters that no key has; set it anew")
    return Key(key)


class Server:
    """One model of one server."""

    def __init__(self, address: Address, limits: Limits, key: Key | None = None) -> None:
        """address: may lack the model; see `choose_model`."""
        self.address = address
        self.limits = limits
        self._key = key or Key()
        self._models: list[str] = []
        self._slots = threading.BoundedSemaphore(limits.in_flight)

    def choose_model(self, call: Call) -> None:
        """Add the only model that the server has to an address that names none. Asks the server in any case.

        Raises EndpointError: no such server answers, it wants another key, or it has none or several models.
        """
        models = self._listed(call)
        if self.address.model:
            return
        if models is None:
            raise EndpointError(f"{self.address.base} does not list its models: {one_of(())}")
        writing = [name for name in models if "embed" not in name.lower()] or models  # LM Studio always lists one
        if len(writing) != 1:
            has = "several models" if writing else "no model"
            raise EndpointError(f"{self.address.base} has {has}: {one_of(writing)}")
        self.address = replace(self.address, model=writing[0])

    def complete(self, call: Call, body: bytes) -> Completion:
        """What the model answers to a request.

        Raises:
            CaptionError: the server answers, but this request has no completion.
            EndpointError: the server is gone, or answers no request of this kind.
            Cancelled: the call is over.
        """
        seconds = 60 * self.limits.timeout
        try:
            with call.turn(self._slots):
                reply = self._patiently(call, "/chat/completions", body, seconds, 60 * self.limits.patience)
        except TimeoutError:
            self._check_alive(call)
            raise CaptionError(
                f"the server has not answered within {_minutes(self.limits.timeout)}; use a smaller model or shorter"
                f" captions, or allow more minutes with {TIMEOUT}"
            ) from None
        except BROKEN as error:
            self._check_alive(call)
            raise CaptionError(f"the server breaks off the connection over this picture ({_said(error)})") from None
        if reply.is_too_long:
            raise CaptionError(f"the server answers more than {LONGEST_REPLY // 1_000_000} MB; use another model")
        if reply.status != 200:
            if reply.status == 404:
                self._listed(call)
            base = self.address.base
            raise error_of(reply, base, self.address.model, self._models, self._key)
        return completion_of(reply.body)

    def _listed(self, call: Call) -> list[str] | None:
        """The names of the server's models; None where it has no such list. Raises EndpointError."""
        base = self.address.base
        try:
            reply = self._patiently(call, "/models", None, _LOOK_SECONDS, 0.0)
        except TimeoutError:
            raise EndpointError(f"{base} does not answer within {_LOOK_SECONDS:.0f} seconds: restart it") from None
        except BROKEN as error:
            raise EndpointError(
                f"no server answers at {base} ({_said(error)}): start it, or correct the address"
            ) from None
        said = quoted(reply.body, self._key)
        if reply.status in (401, 403):
            raise key_error(base, said, self._key)
        if 300 <= reply.status < 400:
            raise redirect_error(reply, base, self._key)
        if reply.status == 200 and kind_of(reply.body) == "a web page":
            raise EndpointError(f"{base}/models is a web page: correct the address, which usually ends in /v1")
        if reply.status != 200 and reply.status not in _NO_LIST:
            raise EndpointError(f"{base} answers with status {reply.status} ({said}): look into the server's log")
        found = model_names(reply.body) if reply.status == 200 else None
        self._models = found or []
        return found

    def _check_alive(self, call: Call) -> None:
        """Raises EndpointError: the server does not even list its models now."""
        try:
            self._listed(call)
        except EndpointError as error:
            raise EndpointError(f"{error}; then run the same again, a dataset run continues where it stopped") from None

    def _patiently(self, call: Call, path: str, body: bytes | None, seconds: float, patience: float) -> Reply:
        """The reply to a request that is repeated while the server is busy, or its connections break.

        patience: seconds for broken connections; a server that answers it is busy gets `limits.patience`.

        Raises TimeoutError, and what `BROKEN` names, when patience is at its end; EndpointError: it stays busy.
        """
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            waited = time.monotonic() - began
            wanted = None
            try:
                reply = call.exchange(self.address, path, body, self._headers(body), seconds)
            except TimeoutError:
                raise
            except BROKEN as error:
                if waited + pause > patience:
                    raise
                trouble = _said(error)
            else:
                if reply.status not in BUSY:
                    return reply
                trouble = f"status {reply.status}: {quoted(reply.body, self._key)}"
                wanted = _retry_after(reply)
                if waited + (wanted or pause) > 60 * self.limits.patience:
                    raise EndpointError(
                        f"{self.address.base} is busy ({trouble}): run the same again later, a dataset run continues"
                        " where it stopped"
                    )
            logger.info("%s: %s; trying again", self.address.base, trouble)
            call.sleep(pause if wanted is None else max(wanted, _SHORTEST_PAUSE))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close", "User-Agent": f"interrogator/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers


def _retry_after(reply: Reply) -> float | None:
    """The seconds for which a server asks to be left alone; None where it does not say."""
    value = reply.retry_after.strip()
    if not value:
        return None
    try:
        seconds = float(value) if value[0].isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
        return max(0.0, seconds)
    except (ValueError, TypeError, OverflowError):
        return None


def _said(error: BaseException) -> str:
    """What an exception of a connection says, in one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified: {error.verify_message}"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


def _minutes(minutes: float) -> str:
    return f"{60 * minutes:g} seconds" if minutes < 1 else f"{minutes:g} minute{'' if minutes == 1 else 's'}"
