"""Counting tokens of captions: CLIP's, from open_clip's vocabulary file, without loading torch."""

from __future__ import annotations

import gzip
import html
import re
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49152 - 256 - 2  # of the 49,408 tokens: what is left beside bytes, bytes at the end of a word, start and end
_END = "</w>"
_PIECES = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_PLAIN = re.compile(r"[ -%'-;=-~\n\t]*")  # nothing that ftfy or html would clean


def count_tokens(text: str) -> int:
    """Tokens of a text as CLIP counts them, which is what trainers of Stable Diffusion count; less start and end.

    The same as `open_clip.get_tokenizer("ViT-L-14")` gives.

    Raises ImportError, OSError: open_clip, or a library that it brings, has changed.
    """
    return sum(map(_count, _pattern().findall(" ".join(_cleaned(text).split()).lower())))


def _cleaned(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    import ftfy  # type: ignore[import-untyped,unused-ignore]  # a dependency of open_clip, as `regex` is

    return html.unescape(html.unescape(ftfy.fix_text(text)))


@cache
def _pattern() -> Any:
    import regex  # type: ignore[import-untyped,unused-ignore]

    return regex.compile(_PIECES, regex.IGNORECASE)


@lru_cache(maxsize=65536)
def _count(piece: str) -> int:
    if piece in ("<start_of_text>", "<end_of_text>"):
        return 1
    bytes_of, model = _model()
    return len(model.tokenize("".join(part for part, _ in bytes_of.pre_tokenize_str(piece))))


@cache
def _model() -> tuple[Any, Any]:
    from tokenizers import models, pre_tokenizers

    spec = find_spec("open_clip")  # which does not import it
    if spec is None or spec.origin is None:
        raise ImportError("open_clip is not installed")
    lines = gzip.decompress(Path(spec.origin).with_name(_VOCABULARY).read_bytes()).decode().split("\n")
    merges = [(first, second) for first, second in map(str.split, lines[1 : _MERGES + 1])]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + _END for letter in letters), *(first + second for first, second in merges)]
    model = models.BPE(
        vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))}, merges=merges,
        end_of_word_suffix=_END, continuing_subword_prefix="",
    )  # fmt: skip
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), model
