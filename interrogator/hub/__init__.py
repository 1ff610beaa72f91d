"""Where model files are, and fetching those that are not here.

    files        find the files of a model on this machine, or fetch them
    file_set     which files make a model
    folders      our folder for models, and those of a host such as ComfyUI
    cache        the Hugging Face cache
    download     what to download and where to; progress, cancelling
    transfer     the process that downloads

These variables are honoured; `huggingface_hub` reads them:

    HF_TOKEN                    access token for private and gated repositories; `hf auth login` stores one as well
    HF_ENDPOINT                 a mirror instead of https://huggingface.co
    HF_HOME, HF_HUB_CACHE       where the cache is (~/.cache/huggingface; its folder `hub`)
    HF_HUB_OFFLINE=1            never ask the network, whatever was allowed
    HTTPS_PROXY, NO_PROXY       the proxy to go through, and where not
    HF_HUB_DOWNLOAD_TIMEOUT     seconds to wait for an answer (10)

Our own is INTERROGATOR_HOME, the folder for models and caches of this library.
"""

from __future__ import annotations

from .cache import repo_cache
from .file_set import FileSet, Shards
from .files import fetch_file, fetch_files, find_file, find_files
from .folders import home, is_repo_id, local_folder, model_folders, models_dir, offer_of

__all__ = [
    "FileSet",
    "Shards",
    "fetch_file",
    "fetch_files",
    "find_file",
    "find_files",
    "home",
    "is_repo_id",
    "local_folder",
    "model_folders",
    "models_dir",
    "offer_of",
    "repo_cache",
]
