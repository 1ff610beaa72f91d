"""Tokenizers of the tiny checkpoints: made here, no files needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

WORDS = (
    "a the picture of red blue green yellow round small big cat dog bird house tree boat sky sea man woman sits stands"
    " flies on in with under and"
).split()
ENDS = (".", ",")
"""What a caption is made of: words with a space before them, full stop and comma; see `favour`."""


def transformers_4() -> bool:
    """Whether the transformers installed here is one of version 4."""
    import transformers

    return str(transformers.__version__).startswith("4.")


def class_in_4(name: str) -> str:
    """The class of a tokenizer whose processor takes no other in transformers 4; in 5 that class would rebuild it."""
    return name if transformers_4() else "PreTrainedTokenizerFast"


def byte_tokenizer(
    special: Sequence[str],
    names: Mapping[str, str],
    template: str | None = None,
    adds: str | None = None,
    kind: str = "PreTrainedTokenizerFast",
) -> Any:
    """A byte-level BPE that spells everything and has a token for each of `WORDS` with a space before it.

    Args:
        special: special tokens in the order of their ids, which are the first ones.
        names: `bos_token`, `eos_token` … and names of the family's own, such as `image_token`.
        template: its chat template.
        adds: what it puts around a text by itself: `<s> $A`, `$A </s>`.
        kind: the class of transformers around it.
    """
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {token: row for row, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges = []
    for word in WORDS:
        spelled = "Ġ" + word
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in vocabulary:
                vocabulary[spelled[:end]] = len(vocabulary)
                merges.append((spelled[: end - 1], spelled[end - 1]))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    if adds is not None:
        _put_around(tokenizer, adds)
    return wrapped(getattr(transformers, kind), names, template, tokenizer_object=tokenizer)


def unigram_tokenizer(special: Sequence[str], names: Mapping[str, str], adds: str) -> Any:
    """A SentencePiece tokenizer (unigram) that spells printable ASCII; arguments as of `byte_tokenizer`.

    `<unk>` has to be the third special token, as in T5.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*(chr(code) for code in range(33, 127)), "▁", *(f"▁{word}" for word in dict.fromkeys(WORDS))]
    vocabulary = [*((token, 0.0) for token in special), *((piece, -3.0 / len(piece)) for piece in pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(special))
    _put_around(tokenizer, adds)
    return wrapped(PreTrainedTokenizerFast, names, tokenizer_object=tokenizer)


def _put_around(tokenizer: Any, adds: str) -> None:
    from tokenizers import processors

    around = [(token, tokenizer.token_to_id(token)) for token in adds.split() if not token.startswith("$")]
    tokenizer.post_processor = processors.TemplateProcessing(single=adds, special_tokens=around)


def wrapped(kind: Any, names: Mapping[str, str], template: str | None = None, **given: Any) -> Any:
    """A tokenizer of transformers; names of a family's own are saved with it, under 4.50 as under 5."""
    standard = {name: token for name, token in names.items() if name in _STANDARD}
    own = {name: token for name, token in names.items() if name not in _STANDARD}
    if own:
        given["extra_special_tokens"] = own
    # transformers 4 would make token types, too; the repositories of these families have them turned off.
    tokenizer = kind(**standard, **given, model_input_names=["input_ids", "attention_mask"])
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


_STANDARD = frozenset(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))


def word_piece_vocabulary(special: Sequence[str]) -> list[str]:
    """The lines of a BERT's `vocab.txt`: special tokens, the printable characters, and `WORDS`."""
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [f"##{character}" for character in characters]
    return [*special, *characters, *pieces, *(word for word in WORDS if len(word) > 1)]


def word_rows(tokenizer: Any) -> list[int]:
    """The tokens that captions are made of: words, full stop and comma, and the end."""
    bare = [word for word in WORDS if len(word) > 1]  # one letter is a piece of words, too
    forms = [*(f"{mark}{word}" for mark in "Ġ▁" for word in WORDS), *bare, *ENDS]
    vocabulary = tokenizer.get_vocab()
    return sorted({vocabulary[form] for form in forms if form in vocabulary})


def word_piece_tokenizer() -> Any:
    """A lower-case BERT tokenizer that spells everything."""
    from transformers import BertTokenizerFast

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(word_piece_vocabulary(special)) + "\n", encoding="utf-8")
        return BertTokenizerFast.from_pretrained(folder, do_lower_case=True)
