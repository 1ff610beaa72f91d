"""What a repository holds.

Names and numbers in the answer become parts of paths, so each is checked: a commit is 40 hex digits, a checksum 40 or
64, and a file lies below the repository on every system.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from .answers import whole_answer
from .remote import RemoteFile, TransferError

_LARGEST = 64_000_000  # bytes; 100,000 files take about 20 MB
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# `:` is a drive or a stream on Windows, `\` a separator; control characters are in no name that a person gave.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f:\\]")


def list_files(repo_id: str, revision: str | None) -> tuple[str, list[RemoteFile]]:
    """The commit that `revision` is now (None: `main`), and its files.

    Raises TransferError: the answer is none; and what the hub's client raises.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
    at = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    content = whole_answer(f"{constants.ENDPOINT}/api/models/{repo_id}{at}?blobs=true", _LARGEST)
    try:
        answer = json.loads(content)
        commit = answer["sha"]
        rows = answer["siblings"]
        files = [_file(row) for row in rows]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        start = content[:40].decode("utf-8", "replace")
        raise TransferError(
            f"{constants.ENDPOINT} does not answer as a hub does (but with {start!r} …): check HF_ENDPOINT, and that"
            " this network wants no login"
        ) from error
    if not _is(commit, _COMMIT):
        raise TransferError(f"{constants.ENDPOINT} names no commit of it, but {str(commit)[:60]!r}")
    for file in files:
        if not is_inside(file.name):
            raise TransferError(f"{constants.ENDPOINT} lists a file outside of the repository: {file.name[:60]!r}")
    return commit, files


def is_inside(name: str) -> bool:
    """Whether a name with `/` stays below the folder that it is put into, on every system."""
    parts = name.split("/")
    return not _UNSAFE.search(name) and not any(part in ("", ".", "..") for part in parts)


def _file(row: Any) -> RemoteFile:
    """Raises ValueError, LookupError, TypeError, AttributeError: the row is none of a list of files."""
    large = row.get("lfs") or {}
    size, sha256, git_sha1 = row.get("size") or 0, large.get("sha256"), row.get("blobId")
    name = row["rfilename"]
    if not isinstance(name, str) or type(size) is not int or size < 0:
        raise ValueError("a file needs a name and a size")
    if (sha256 is not None and not _is(sha256, _SHA256)) or (git_sha1 is not None and not _is(git_sha1, _COMMIT)):
        raise ValueError("a checksum has other characters")
    return RemoteFile(name, size, sha256, git_sha1)


def _is(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
