"""Importing the text tables of clip-interrogator: `{model}_{bank}.safetensors`.

Such a file holds only `embeds` float16 [N, D] and `hash` int8 [64], the characters of sha256(",".join(labels)) in hex:
neither the phrases nor what computed the rows. The phrases are rebuilt from the lists as the reference builds them, and
the hash verifies them. A sample is encoded again, because the reference ran OpenAI's weights with the wrong activation
for a while and the file does not record it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CacheError
from .cache_files import DamagedFile, open_tensors
from .segments import are_unit_rows
from .store import EmbeddingStore, Encode

# Both spellings were released: "dribbble" on GitHub, "dribble" on PyPI.
_DRIBBBLE = ("dribbble", "dribble")
_SITES = (
    "Artstation", "behance", "cg society", "cgsociety", "deviantart", _DRIBBBLE[0], "flickr", "instagram", "pexels",
    "pinterest", "pixabay", "pixiv", "polycount", "reddit", "shutterstock", "tumblr", "unsplash", "zbrush central",
)  # fmt: skip

_LEAST_COSINE = 0.999
# Tolerance per component, in units of 1/sqrt(D), the typical size of a component. Measured in random text towers of
# width 32 to 256: fp16 weights or autocast differ from fp32 by up to 0.008, GELU from QuickGELU by at least 0.033 (with
# a cosine still at 0.9998, so the cosine alone would miss it); trained weights drive the activations further apart.
# 0.016 lies midway on a log scale.
_FARTHEST = 0.016
# Trained towers have a few components of 0.3 and more, where fp16 itself is off by its step of about 1e-3.
_FARTHEST_RELATIVE = 2e-3


@dataclass(frozen=True)
class ImportReport:
    """What was imported: the bank, the number of distinct phrases, and the number of rows encoded again as a check."""

    bank: str
    rows: int
    checked: int


def import_reference_table(
    path: str | Path, lists_folder: str | Path, store: EmbeddingStore, encode: Encode, sample: int = 64
) -> ImportReport:
    """Import the rows of one file of the reference's cache into `store`.

    path:         the file; its name ends in `_{bank}.safetensors`
    lists_folder: the reference's `data` folder: artists.txt, flavors.txt …, and `{bank}.txt` for custom banks
    encode:       the store's encoder in fp32 or fp16; returns unit rows [n, D] for n phrases
    sample:       number of rows, evenly spread, to compare with `encode`; at least one is compared

    Raises CacheError if the file is damaged or belongs to other lists or another encoder, or cannot be stored.
    """
    path = Path(path)
    if store.identity.dtype == "bfloat16":
        raise CacheError(f"{path}: a bfloat16 encoder is too coarse to verify the rows; import in float32")
    embeds, digest = _read_table(path, store.identity.width)
    bank, labels = _matching_labels(path, Path(lists_folder), digest)
    if len(labels) != len(embeds):
        raise CacheError(f"{path}: {len(embeds)} rows for the {len(labels)} phrases of {bank}")
    checked = _check_sample(path, embeds, labels, encode, sample)
    store.add(labels, embeds)
    if not store.writable:
        raise CacheError(f"{path}: the rows are good, but the cache folder cannot be written")
    return ImportReport(bank, len(set(labels)), checked)


def _read_table(path: Path, width: int) -> tuple[Tensor, str]:
    """`embeds` [N, D] float16 and the hash in hex."""
    try:
        with open_tensors(path) as file:
            # Copied, because the other program may rewrite the file meanwhile.
            embeds: Tensor = file.get_tensor("embeds").clone()
            letters: Tensor = file.get_tensor("hash").clone()
    except DamagedFile as error:
        raise CacheError(f"{path}: not a table of clip-interrogator ({error.reason})") from error
    except OSError as error:
        raise CacheError(f"{path}: {error.strerror or error}") from error
    if embeds.dtype != torch.float16 or embeds.ndim != 2 or not len(embeds):
        raise CacheError(f"{path}: embeds are {embeds.dtype} {list(embeds.shape)}, not float16 [N, D]")
    if letters.dtype != torch.int8 or list(letters.shape) != [64] or not bool((letters > 0).all()):
        raise CacheError(f"{path}: hash is {letters.dtype} {list(letters.shape)}, not 64 letters in int8")
    if embeds.shape[1] != width:
        raise CacheError(f"{path}: rows of length {embeds.shape[1]}; this encoder's have {width}")
    if not are_unit_rows(embeds):
        raise CacheError(f"{path}: its rows are not finite unit rows")
    return embeds, bytes(letters.tolist()).decode("ascii")


def _matching_labels(path: Path, lists: Path, digest: str) -> tuple[str, list[str]]:
    """The bank and the labels that match the hash; bank names may contain "_", so several are tried."""
    tried = []
    pieces = path.stem.split("_")
    for start in range(1, len(pieces)):
        bank = "_".join(pieces[start:])
        for labels in _label_lists(bank, lists):
            tried.append(bank)
            if hashlib.sha256(",".join(labels).encode("utf-8")).hexdigest() == digest:
                return bank, labels
    if not tried:
        raise CacheError(f"{path}: no list for it in {lists}, where {pieces[-1]}.txt is missing")
    names = " or ".join(dict.fromkeys(tried))
    raise CacheError(f"{path}: made from other phrases than {names} in {lists} (the hash differs)")


def _label_lists(bank: str, lists: Path) -> Iterator[list[str]]:
    """The label lists that the reference may have used for a bank: none, one, or two spellings."""
    if bank == "trendings":
        for spelling in _DRIBBBLE:
            sites = [spelling if site == _DRIBBBLE[0] else site for site in _SITES]
            yield [
                *sites,
                *(f"trending on {site}" for site in sites),
                *(f"featured on {site}" for site in sites),
                *(f"{site} contest winner" for site in sites),
            ]
        return
    file = lists / f"{bank}.txt"
    if not file.is_file():
        return
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            labels = [line.strip() for line in lines]  # empty and repeated lines have rows too
    except OSError as error:
        raise CacheError(f"{file}: {error.strerror or error}") from error
    if bank == "artists":
        labels = [f"by {artist}" for artist in labels] + [f"inspired by {artist}" for artist in labels]
    yield labels


def _check_sample(path: Path, embeds: Tensor, labels: list[str], encode: Encode, sample: int) -> int:
    """Encode evenly spread rows again and compare; returns how many. Raises CacheError if any differs."""
    count = min(max(sample, 1), len(labels))
    picks = torch.linspace(0, len(labels) - 1, count, dtype=torch.float64).long()  # [n]
    texts = [labels[pick] for pick in picks.tolist()]
    theirs = embeds[picks].float()  # [n, D]
    with torch.no_grad():
        ours = encode(texts).detach().to("cpu", torch.float32)  # [n, D]
    if ours.shape != theirs.shape or not are_unit_rows(ours):
        raise CacheError(f"{path}: the encoder's embeddings of its phrases are not unit rows of the same shape")
    cosine = torch.nn.functional.cosine_similarity(ours, theirs, dim=-1)  # [n]
    excess = (ours - theirs).abs() - _FARTHEST_RELATIVE * ours.abs()  # [n, D]
    worst = excess.amax(dim=-1) * ours.shape[1] ** 0.5  # [n]
    wrong = torch.nonzero((cosine < _LEAST_COSINE) | (worst > _FARTHEST)).flatten().tolist()
    if wrong:
        first = wrong[0]
        raise CacheError(
            f"{path}: its rows come from other weights or another activation ({len(wrong)} of {count} differ; "
            f"{texts[first]!r}: cosine {float(cosine[first]):.4f}, component off by {float(worst[first]):.3f}/sqrt(D))"
        )
    return count
