"""Errors of a download, for a person."""

from __future__ import annotations

import errno
from typing import Any

from .answers import client_errors

_LOGIN = "set HF_TOKEN or run `hf auth login`"


def explain(error: BaseException, repo_id: str) -> str:
    """Why it did not work and what to do, as half a sentence for a person."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:  # a frame around the reason
        error = error.__cause__
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if isinstance(error, OfflineModeIsEnabled):
        return "offline mode is on: unset HF_HUB_OFFLINE"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return _explain_answer(error, repo_id) or reason
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "the disk is full: free some space; what has arrived is kept"
    if isinstance(error, OSError) and error.filename:
        return f"cannot write {error.filename}: {error.strerror}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {constants.ENDPOINT} is not trusted: if a proxy inspects the traffic, name its"
            " certificate in SSL_CERT_FILE (REQUESTS_CA_BUNDLE before huggingface_hub 1)"
        )
    if any(base.__name__ == "ProxyError" for base in type(error).__mro__):
        return f"the proxy does not answer: check HTTPS_PROXY ({reason})"
    if isinstance(error, client_errors()):
        return f"no connection to {constants.ENDPOINT}: check the network, or HTTPS_PROXY behind a proxy ({reason})"
    return reason


def _explain_answer(error: Any, repo_id: str) -> str | None:
    """What an HTTP error of the hub means; None where its number says no more than its text."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code
    if error.response.headers.get("X-Error-Message", "").startswith("Invalid credentials"):
        return f"the hub refuses the access token ({status}): {_LOGIN} with a valid one"
    if isinstance(error, GatedRepoError):
        terms = f"it is gated ({status}): accept its terms at {constants.ENDPOINT}/{repo_id}"
        return f"{terms} with the account of your access token" if get_token() else f"{terms}, then {_LOGIN}"
    if isinstance(error, RepositoryNotFoundError) or status == 401:  # which of the two, the hub does not tell strangers
        who = "your access token may not read it" if get_token() else f"{_LOGIN} if it is private"
        return f"the hub shows no such repository ({status}): check the name; {who}"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision: name a branch, a tag or a commit"
    if isinstance(error, EntryNotFoundError):
        return f"a file that the hub lists is not there ({status}): {error.response.url}"
    if status == 403:
        return "the hub forbids it (403): your access token needs the permission to read this repository"
    if status == 429:
        return f"too many requests (429): try again in a few minutes, or {_LOGIN}"
    if status >= 500:
        return f"the hub has trouble ({status}): try again later"
    return None
