"""A hub that is broken or means harm: nothing outside of the folders for models, nothing endless, one sentence."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from interrogator.errors import ModelLoadError
from interrogator.hub import FileSet, download, find_files
from interrogator.hub.cache import repo_cache, write_reference
from interrogator.hub.file_set import Shards
from interrogator.hub.transfer import answers
from interrogator.hub.transfer.answers import paced
from interrogator.hub.transfer.listing import is_inside, list_files
from interrogator.hub.transfer.reception import fetch
from interrogator.hub.transfer.remote import RemoteFile, Transfer, TransferError

from .small_hub import COMMIT, SmallHub, listing_of

pytestmark = pytest.mark.models  # the oldest transformers comes with the oldest huggingface_hub

REPO = "maker/tiny"
FILES = {"config.json": b'{"a": 1}', "model.safetensors": b"0123456789"}
MEGABYTE = bytes(1_000_000)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")


def use(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)


def refusal_of(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    with SmallHub({REPO: FILES}, listings={REPO: answer}) as hub:
        use(hub, monkeypatch)
        with pytest.raises(TransferError) as refused:
            list_files(REPO, None)
    return str(refused.value)


def changed(**entries: Any) -> bytes:
    return json.dumps({**listing_of(REPO, FILES), **entries}).encode()


def with_row(**entries: Any) -> bytes:
    return changed(siblings=[{"rfilename": "config.json", "size": 8, "blobId": "0" * 40, **entries}])


@pytest.mark.parametrize(
    "answer", [b"<!doctype html><p>Log in", b"{}", b"[]", b"", b"null", b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_list_of_files_is_said_with_what_to_check(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal_of(answer, monkeypatch)
    assert "does not answer as a hub does" in said and "check HF_ENDPOINT" in said and "\n" not in said


@pytest.mark.parametrize(
    "sha", ["../../../outside", "/tmp/outside", "main", "A" * 40, "a" * 39, "a" * 40 + "\n", 7, None]
)
def test_only_forty_hex_digits_are_a_commit(sha: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "names no commit" in refusal_of(changed(sha=sha), monkeypatch)


@pytest.mark.parametrize(
    "row",
    [
        {"rfilename": "../config.json"}, {"rfilename": "/etc/config.json"}, {"rfilename": "a/../../config.json"},
        {"rfilename": "C:config.json"}, {"rfilename": "..\\config.json"}, {"rfilename": ""}, {"rfilename": "a\0b"},
        {"rfilename": 7}, {"blobId": "../../outside"}, {"lfs": {"sha256": "/tmp/outside"}}, {"size": -1},
        {"size": "many"}, {"size": 1e300},
    ],
)  # fmt: skip
def test_names_and_checksums_that_would_lead_elsewhere_are_refused(
    row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\n" not in refusal_of(with_row(**row), monkeypatch)


def test_a_list_of_files_without_an_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interrogator.hub.transfer.listing._LARGEST", 1000)
    assert "longer than" in refusal_of(b'["' + b"x" * 5000, monkeypatch)


def test_damaged_lists_end_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, whole = random.Random(16), json.dumps(listing_of(REPO, FILES)).encode()
    monkeypatch.setattr("interrogator.hub.transfer.listing.whole_answer", lambda url, limit: bytes(damaged))
    for _ in range(2000):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 8)):
            at = draw.randrange(len(damaged))
            damaged[at : at + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        try:
            commit, files = list_files(REPO, None)
        except TransferError:
            continue
        assert len(commit) == 40 and all(is_inside(file.name) for file in files)


# --- files -----------------------------------------------------------------------------------------------------------


Body = tuple[Mapping[str, str], Iterable[bytes]]


def received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: Body | None = None, size: int | None = None
) -> Path:
    """`model.safetensors` in a plain folder."""
    rows = listing_of(REPO, FILES)["siblings"]
    row = next(each for each in rows if each["rfilename"] == "model.safetensors")
    file = RemoteFile("model.safetensors", row["size"] if size is None else size, row["lfs"]["sha256"], None)
    folder = tmp_path / "model"
    paths = {name: str(folder / ".cache" / name) for name in ("part", "lock")}
    with SmallHub({REPO: FILES}, bodies={} if body is None else {f"{REPO}/{file.name}": body}) as hub:
        use(hub, monkeypatch)
        fetch(REPO, str(tmp_path), Transfer(file, COMMIT, str(folder / file.name), blob=None, **paths))
    return folder / file.name


def endless(counted: list[int]) -> Iterator[bytes]:
    for sent in itertools.count(1):
        counted.append(sent)
        yield MEGABYTE


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "3000000000"}])
@pytest.mark.parametrize("size", [10, 0])
def test_more_bytes_than_announced_are_not_taken(
    headers: dict[str, str], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interrogator.hub.transfer.reception._LARGEST_UNKNOWN", 5_000_000)
    if not size and headers:
        headers = {"Content-Length": "5000000"}
    counted: list[int] = []
    with pytest.raises(TransferError) as refused:
        received(tmp_path, monkeypatch, (headers, endless(counted)), size)
    assert "sends more of model.safetensors" in str(refused.value) or "came damaged" in str(refused.value)
    assert len(counted) < 100, "the connection was closed"
    assert not (tmp_path / "model" / "model.safetensors").exists()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 10


def test_a_compressed_answer_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(gzip.compress(MEGABYTE * 10))
    headers = {"Content-Encoding": "gzip, gzip", "Content-Length": str(len(bomb))}
    with pytest.raises(TransferError, match="compressed"):
        received(tmp_path, monkeypatch, (headers, [bomb]))


def test_a_page_in_place_of_a_file_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransferError, match="came damaged"):
        received(tmp_path, monkeypatch, ({"Content-Length": "10"}, [b"<html></ht"]))
    assert not (tmp_path / "model" / "model.safetensors").exists()


def test_a_server_that_drips_is_given_up() -> None:
    ticks = itertools.count()
    taken: list[bytes] = []
    with pytest.raises(TransferError, match="less than"):
        for piece in paced(itertools.repeat(b"x"), clock=lambda: next(ticks) * 9.0):
            taken.append(piece)
    assert len(taken) < 20
    slow = paced(itertools.repeat(b"x" * 4000, 100), clock=lambda: next(ticks) * 9.0)
    assert sum(map(len, slow)) == 400_000, "slow, but it will end"


def test_what_killed_downloads_leave_is_taken_up_or_put_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "model" / ".cache"
    work.mkdir(parents=True)
    outside = tmp_path / "mine.txt"
    outside.write_bytes(b"mine")
    for leave in (b"01234", MEGABYTE, b"xxxxx", b"9876543210", outside):
        part = work / "part"
        part.symlink_to(leave) if isinstance(leave, Path) else part.write_bytes(leave)
        path = received(tmp_path, monkeypatch)
        assert path.read_bytes() == FILES["model.safetensors"] and outside.read_bytes() == b"mine"
        path.unlink()
        work.mkdir(exist_ok=True)


def test_an_answer_that_refuses_is_read_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_LARGEST_REFUSAL", 10)
    assert answers._beginning(itertools.repeat(MEGABYTE), 10) == bytes(10)


# --- names that the user, or a file, gives ---------------------------------------------------------------------------


def test_a_reference_of_the_cache_that_is_no_commit_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text("{}")
    reference = repo_cache(REPO) / "refs" / "main"
    reference.parent.mkdir(parents=True)
    (repo_cache(REPO) / "snapshots").mkdir()
    for noted in (str(outside), "../../../outside", "\x00"):
        reference.write_text(noted)
        assert find_files(REPO, required=["config.json"], revision="main") is None
    assert find_files(REPO, required=["config.json"], revision="../../../outside") is None
    write_reference(REPO, "../../../../written", COMMIT)
    assert not list(tmp_path.rglob("written"))


def test_an_index_of_weights_names_files_of_its_folder_only(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(ModelLoadError, match="outside of its folder"):
        Shards("index.json", "*").named(tmp_path)


def test_a_revision_that_the_server_names_never_becomes_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the process that downloads, as users have it."""
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "60")
    with SmallHub({REPO: FILES}, listings={REPO: changed(sha="../../../../outside")}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        with pytest.raises(download.DownloadFailed, match="names no commit"):
            download.download_files(REPO, FileSet(("config.json",)))
    assert list(tmp_path.iterdir()) == [] or {path.name for path in tmp_path.iterdir()} <= {"cache"}
    assert not list(tmp_path.rglob("config.json"))
