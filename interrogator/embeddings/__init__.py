"""Text embeddings on disk: a phrase that these weights embedded once is never embedded again.

store             EmbeddingStore: phrases in, table out
cache             EmbeddingCache: the stores of one folder
identity          which encoder answered: probes, dtype, tokenizer
store_folder      the folder of one store: finding it by what the encoder answers, making it
segments          the format of one immutable file of rows
row_index         saved row numbers of one list, and what else belongs to it
token_ids         token ids that are kept with a list
compaction        the readers' lock, and joining small segments when nobody reads
batch_policy      how encoding is divided: progress, loss in a crash, speed
cache_files       opening files, setting damaged ones aside, warning once
reference_import  taking over the tables of clip-interrogator
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
