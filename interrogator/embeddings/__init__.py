"""Text embeddings on disk: a phrase is embedded only once with the same weights.

cache             EmbeddingCache: all stores under one folder
store             EmbeddingStore: phrases in, table of embeddings out
store_folder      the folder of one store: its manifest, finding it by encoder identity, creating it
identity          EncoderIdentity: recognises an encoder by its outputs, dtype and tokenizer
segments          the format of one immutable file of rows
row_index         saved row numbers and notes of one list of phrases
token_ids         token ids saved with a list
batch_policy      how encoding is split into batches and segments
compaction        the readers' lock, and merging small segments when nobody reads
cache_files       opening cache files, setting damaged ones aside, warning once
reference_import  importing the tables of clip-interrogator
"""

from __future__ import annotations

from .batch_policy import BatchPolicy
from .cache import EmbeddingCache, StoreInfo
from .identity import PROBE_PHRASES, TOKENIZER_PROBES, EncoderIdentity, tokenizer_digest
from .reference_import import ImportReport, import_reference_table
from .row_index import PhraseList
from .store import EmbeddingStore, ListRows
from .token_ids import TokenCache, tokens_at

__all__ = [
    "PROBE_PHRASES",
    "TOKENIZER_PROBES",
    "EmbeddingCache",
    "EmbeddingStore",
    "BatchPolicy",
    "EncoderIdentity",
    "ImportReport",
    "ListRows",
    "PhraseList",
    "StoreInfo",
    "TokenCache",
    "import_reference_table",
    "tokenizer_digest",
    "tokens_at",
]
