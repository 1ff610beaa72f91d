"""Text embeddings on disk: a phrase that these weights embedded once is never embedded again.

identity.py           which encoder answered: probes, dtype, tokenizer
files.py              setting damaged files aside, complaining once
segments.py           the format of one immutable file of rows
indexes.py            saved row numbers of one list and what else belongs to it
tokens.py             token ids that are kept with a list
folders.py            the folder of one store: finding it by what the encoder answers, making it
merging.py            the readers' lock, and joining small segments when nobody reads
pace.py               how encoding is cut: progress, loss in a crash, speed
store.py              EmbeddingStore: phrases in, table out
cache.py              EmbeddingCache: the stores of one folder
reference_import.py   taking over the tables of clip-interrogator
"""

from __future__ import annotations

from .batch_policy import BatchPolicy
from .cache import EmbeddingCache, StoreInfo
from .identity import PROBE_PHRASES, TOKENIZER_PROBES, EncoderIdentity, tokenizer_digest
from .reference_import import ImportReport, import_reference_table
from .row_index import Listing
from .store import EmbeddingStore, KeptList
from .token_ids import KeepsTokens, tokens_at

__all__ = [
    "PROBE_PHRASES",
    "TOKENIZER_PROBES",
    "EmbeddingCache",
    "EmbeddingStore",
    "EncoderIdentity",
    "ImportReport",
    "KeepsTokens",
    "KeptList",
    "Listing",
    "BatchPolicy",
    "StoreInfo",
    "import_reference_table",
    "tokenizer_digest",
    "tokens_at",
]
