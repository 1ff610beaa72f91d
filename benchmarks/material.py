"""The inputs of both sides: a picture, a caption, the peer's phrases, and tables of embeddings in both formats."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.numpy import save_file
from torch import Tensor

from benchmarks import peer
from benchmarks.sizes import Sizes
from interrogator import EmbeddingCache, OpenClipEncoder, PhraseBank, load_banks

CAPTION = "a painting of a lighthouse on a cliff by the sea at sunset"
PICTURE_SIZE = (1024, 768)  # pixels


def picture(seed: int = 0) -> Image.Image:
    """A picture of bands, discs and noise, different for each seed."""
    rng = np.random.default_rng(seed)
    width, height = PICTURE_SIZE
    down = np.linspace(0, 1, height)[:, None, None]  # [H, 1, 1]
    top, bottom = rng.integers(0, 256, 3), rng.integers(0, 256, 3)
    values = top + (bottom - top) * down + rng.normal(0, 12, (height, width, 3))
    drawn = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(drawn)
    for _ in range(12):
        x, y, side = (int(number) for number in rng.integers(20, 600, 3))
        red, green, blue = rng.integers(0, 256, 3).tolist()
        draw.ellipse((x, y, x + side, y + side // 2), fill=(red, green, blue))
    return drawn


def data_folder(sizes: Sizes, scratch: Path) -> Path:
    """The folder of the peer's installed lists, or one with the first lines of each for tiny runs."""
    if sizes.list_lines is None:
        return peer.DATA
    folder = scratch / "lists"
    folder.mkdir(exist_ok=True)
    for path in peer.DATA.glob("*.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()[: sizes.list_lines]
        (folder / path.name).write_text("\n".join(lines), encoding="utf-8")
    return folder


def sample(lists: Mapping[str, Sequence[str]], count: int, seed: int = 0) -> list[str]:
    """A random sample of the phrases of all lists except negative, without duplicates for either side."""
    distinct = {tidy(text).casefold(): text for name in peer.MERGED for text in lists[name] if tidy(text) == text}
    distinct.pop("", None)
    return random.Random(seed).sample(sorted(distinct.values()), min(count, len(distinct)))


def tidy(phrase: str) -> str:
    """A phrase with single spaces and composed letters, as our banks hold it."""
    return unicodedata.normalize("NFC", " ".join(phrase.split()))


@dataclass(frozen=True)
class Rows:
    """A random embedding for every phrase of the peer's lists: speed does not depend on a table's values."""

    row_numbers: Mapping[str, int]
    values: Tensor  # [M, D] float16, unit length

    @classmethod
    def of_lists(cls, lists: Mapping[str, Sequence[str]], width: int) -> Rows:
        row_numbers: dict[str, int] = {}
        for labels in lists.values():
            for label in labels:
                row_numbers.setdefault(tidy(label), len(row_numbers))
        return cls(row_numbers, unit_rows(len(row_numbers), width).half())

    def of(self, phrases: Iterable[str]) -> Tensor:
        """The rows [N, D] of phrases."""
        return self.values[torch.tensor([self.row_numbers[tidy(phrase)] for phrase in phrases], dtype=torch.long)]


def unit_rows(count: int, width: int, seed: int = 0) -> Tensor:
    """Random unit vectors: float32 [count, width]."""
    rows = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


def write_peer_cache(folder: Path, lists: Mapping[str, Sequence[str]], rows: Rows) -> None:
    """Write tables in the peer's format: one file per list, with the digest that identifies the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in lists.items():
        digest = hashlib.sha256(",".join(labels).encode()).hexdigest()
        tensors = {
            "embeds": rows.of(labels).numpy(),
            "hash": np.frombuffer(digest.encode("ascii"), dtype=np.int8),
        }
        save_file(tensors, folder / f"{peer.MODEL_NAME.replace('/', '_')}_{name}.safetensors")


def bank_paths(data: Path, lists: Mapping[str, Sequence[str]], scratch: Path) -> list[Path]:
    """The peer's lists as files for our banks: its folder, and a file of the sites that are in its code."""
    path = scratch / "trendings.txt"
    path.write_text("\n".join(lists["trendings"]), encoding="utf-8")
    return [data, path]


def write_our_cache(folder: Path, encoder: OpenClipEncoder, banks: Sequence[PhraseBank], rows: Rows) -> None:
    """Write the same embeddings to our cache, under the identity of `encoder`."""
    phrases = [phrase for bank in banks for phrase in bank.phrases]
    store = EmbeddingCache(folder).open(encoder.identity())
    store.add(phrases, rows.of(phrases))
    store.close()


@dataclass(frozen=True)
class Tables:
    """The tables of both sides on disk, with the same phrases and rows."""

    data: Path  # the peer's lists
    peer_cache: Path
    our_cache: Path
    bank_paths: list[Path]
    lists: Mapping[str, Sequence[str]]
    rows: Rows

    @property
    def peer_count(self) -> int:
        """Rows that the peer reads."""
        return sum(map(len, self.lists.values()))

    @property
    def peer_merged_count(self) -> int:
        """Rows that it ranks."""
        return sum(len(self.lists[name]) for name in peer.MERGED)

    @property
    def our_count(self) -> int:
        """Rows that we read: banks contain a phrase once."""
        return sum(map(len, load_banks(self.bank_paths)))


def write_tables(scratch: Path, sizes: Sizes, encoder: OpenClipEncoder, width: int) -> Tables:
    """Tables of random rows of `width` for all phrases of the peer's lists, so that nothing has to be encoded."""
    data = data_folder(sizes, scratch)
    lists = peer.lists(data)
    rows = Rows.of_lists(lists, width)
    peer_cache, our_cache = scratch / "peer-cache", scratch / "our-cache"
    write_peer_cache(peer_cache, lists, rows)
    paths = bank_paths(data, lists, scratch)
    write_our_cache(our_cache, encoder, load_banks(paths), rows)
    return Tables(data, peer_cache, our_cache, paths, lists, rows)
