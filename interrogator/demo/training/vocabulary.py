"""The two tokenizers, built from the demo's own words: byte-level BPE for the encoder, WordPiece for the captioner.

Every taught word is one token; any other word falls into smaller pieces and finally letters, so that no two unseen
words look alike, as a single unknown token would make them.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS
from .words import ALWAYS_FALSE, ALWAYS_TRUE, MEDIUM_NAMES, MOVEMENTS, QUALITIES

CONTEXT_LENGTH = 77
PAD, START, END = "<|pad|>", "<|startoftext|>", "<|endoftext|>"
_JOINING = "a an and of on with the by no or art style drawing painting background body cartoon"
# CLIP's own way of cutting text: words, single digits, runs of other signs.
_CUT = r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def caption_words() -> list[str]:
    """The words of the captions, sorted."""
    texts = [*MEDIUMS.values(), *COLORS, *KINDS, *FEATURES, *BACKGROUNDS, "a an of on with background"]
    return sorted({word for text in texts for word in text.split()})


def taught_words() -> list[str]:
    """Every word of captions and banks, sorted."""
    tables = [*MEDIUM_NAMES.values(), *MOVEMENTS.values(), *QUALITIES.values()]
    texts = [text for table in tables for text in table] + [*ALWAYS_TRUE, *ALWAYS_FALSE, _JOINING]
    return sorted(set(caption_words()) | {word for text in texts for word in re.findall(r"[a-z]+", text)})


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges until every word is one token, the most frequent pair first, ties in alphabetical order.

    The trainer of `tokenizers` breaks ties differently from run to run, and with them the meaning of the ids.
    """
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while counts := Counter(pair for parts in pieces for pair in pairwise(parts)):
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        pieces = [_merged(parts, best) for parts in pieces]
    return merges


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def write_encoder_tokenizer(folder: Path) -> int:
    """Write tokenizer.json and its configuration for `open_clip.get_tokenizer`; returns the number of tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    marks: dict[str, Any] = {"continuing_subword_prefix": "", "end_of_word_suffix": "</w>"}
    cutting = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CUT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words = taught_words()
    merges = learn_merges(words)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [PAD, *letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    tokens = [*dict.fromkeys(tokens), START, END]
    ids = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, **marks))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = cutting
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    tokenizer.add_special_tokens([PAD, START, END])
    split = [word for word in words if len(tokenizer.encode(word).ids) != 3]
    if split or ids[PAD] != 0 or ids[END] != len(tokens) - 1:
        raise RuntimeError(f"the encoder's tokenizer is not as it must be: {split}")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": START,
            "eos_token": END,
            "pad_token": PAD,
            "model_max_length": CONTEXT_LENGTH,
            "clean_up_tokenization_spaces": False,
        },
    )
    _write_json(folder / "special_tokens_map.json", {"bos_token": START, "eos_token": END, "pad_token": PAD})
    return len(tokens)


def caption_vocabulary() -> list[str]:
    """The captioner's WordPiece tokens, as in real BLIP: BERT's specials first, [DEC] and [ENC] last."""
    signs = [*string.ascii_lowercase, *string.digits, *",.-'"]
    words = [word for word in caption_words() if len(word) > 1]
    return [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *signs,
        *("##" + sign for sign in signs),
        *words,
        "[DEC]",
        "[ENC]",
    ]


def write_caption_tokenizer(folder: Path) -> list[str]:
    """Write vocab.txt and its configuration for BertTokenizer; returns the tokens."""
    tokens = caption_vocabulary()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    names = {
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
    }
    special = {**names, "bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]}
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "tokenizer_class": "BertTokenizer",
            "processor_class": "BlipProcessor",
            "do_lower_case": True,
            "do_basic_tokenize": True,
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "model_max_length": 64,
        },
    )
    return tokens


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
