"""How each trainer reads a dataset, by its own code: `python readers.py CLONES TRAINER ADDRESS [OPTION=VALUE …]`.

Prints one JSON object on its last line: by picture, relative to the dataset, the list of the captions that training
could see of it. Heavy modules have stand-ins; what finds pictures and reads captions is the trainer's.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import random
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from stubs import Stubs  # noqa: E402

Captions = dict[str, list[str]]
Reader = Callable[[Path, Path, dict[str, str]], Captions]
READERS: dict[str, Reader] = {}
_DRAWS = 60  # of a caption that is picked at random


def reader(function: Reader) -> Reader:
    READERS[function.__name__.replace("_", "-")] = function
    return function


def _folders(root: Path) -> list[Path]:
    """A folder and all in it; trainers that read no folders inside a folder are given each."""
    below = (each for each in sorted(root.rglob("*")) if each.is_dir())
    return [root, *(each for each in below if not any(part[0] == "." for part in each.relative_to(root).parts))]


def _distinct(draw: Callable[[], str]) -> list[str]:
    return list(dict.fromkeys(draw() for _ in range(_DRAWS)))


@reader
def sd_scripts(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder of pictures and caption files, or kohya's metadata with `image_dir`."""
    Stubs(clones, "diffusers", "transformers", "accelerate", "cv2", "imagesize", "library.model_util").install()
    sys.path.insert(0, str(clones / "sd-scripts"))
    from library import train_util as util  # type: ignore[import-not-found]

    util.LatentsCachingStrategy.get_strategy = staticmethod(
        lambda: types.SimpleNamespace(cache_suffix="_none.npz", get_image_size_from_disk_cache_path=None)
    )
    util.BaseDataset.__init__ = _sd_base
    util.BaseDataset.set_tag_frequency = lambda *a: None
    wildcard = options.get("wildcard") == "yes"
    common: dict[str, Any] = {
        "num_repeats": 1, "shuffle_caption": "separator" in options, "caption_separator": ",", "keep_tokens": 0,
        "keep_tokens_separator": options.get("separator", ""), "secondary_separator": None, "enable_wildcard": wildcard,
        "color_aug": False, "flip_aug": False, "face_crop_aug_range": None, "random_crop": False,
        "caption_dropout_rate": 0.0, "caption_dropout_every_n_epochs": 0, "caption_tag_dropout_rate": 0.0,
        "caption_prefix": None, "caption_suffix": None, "token_warmup_min": 1, "token_warmup_step": 0,
        "alpha_mask": False, "custom_attributes": {}, "validation_seed": None, "validation_split": 0.0,
        "resize_interpolation": None,
    }  # fmt: skip
    found: Captions = {}
    if address.is_file():
        subset = util.FineTuningSubset(options.get("image_dir"), str(address), **common)
        datasets = [util.FineTuningDataset([subset], 1, (64, 64), 1.0, False, 64, 64, 64, False, False, 0, 0.0, None)]
        root = Path(options["root"])
    else:
        root = address
        datasets = []
        for folder in _folders(address):
            subset = util.DreamBoothSubset(
                str(folder), False, None, options.get("extension", ".txt"), False, **common
            )  # fmt: skip
            datasets.append(
                util.DreamBoothDataset(
                    [subset], True, 1, (64, 64), 1.0, False, 64, 64, 64, False, 1.0, False, 0.0, 0, None
                )
            )
    for dataset in datasets:
        for info in dataset.image_data.values():
            subset = dataset.image_to_subset[info.image_key]
            if not os.path.exists(info.absolute_path):
                continue
            name = os.path.relpath(info.absolute_path, root)
            found[name] = _distinct(lambda s=subset, i=info, d=dataset: d.process_caption(s, i.caption))
    return found


def _sd_base(self: Any, resolution: Any, *rest: Any) -> None:
    self.width, self.height = resolution
    self.image_data, self.image_to_subset, self.subsets = {}, {}, []
    self.current_epoch = self.current_step = 0
    self.max_train_steps, self.resize_interpolation, self.replacements = 1, None, {}


@reader
def onetrainer(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder with its folders: the modules of the loader that find pictures and pick one of a file's lines."""
    Stubs(clones).install()
    sys.path[:0] = [str(clones / "mgds" / "src"), str(clones / "OneTrainer")]
    from mgds.pipelineModules.CollectPaths import CollectPaths  # type: ignore[import-not-found]
    from mgds.pipelineModules.LoadMultipleTexts import LoadMultipleTexts  # type: ignore[import-not-found]
    from mgds.pipelineModules.ModifyPath import ModifyPath  # type: ignore[import-not-found]
    from modules.util import path_util  # type: ignore[import-not-found]

    concept = {"path": str(address), "enabled": True}
    collect = CollectPaths(
        "concept", "path", "sub", "enabled", "image_path", "concept", extensions=path_util.supported_image_extensions(),
        include_postfix=None, exclude_postfix=["-masklabel", "-condlabel"],
    )  # fmt: skip
    collect._get_previous_length = lambda name: 1
    collect._get_previous_item = lambda variation, name, index: {"concept": concept, "sub": True}[name]
    collect.start(0)
    modify = ModifyPath("image_path", "sample_prompt_path", postfix="", extension=".txt")
    modify._get_previous_length = lambda name: collect.length()
    modify._get_previous_item = lambda variation, name, index: collect.get_item(0, index)["image_path"]
    modify.start(0)
    load = LoadMultipleTexts("sample_prompt_path", "sample_prompts")
    load._get_previous_item = lambda variation, name, index: modify.get_item(0, index)["sample_prompt_path"]
    return {
        os.path.relpath(collect.paths[index], address): load.get_item(0, index)["sample_prompts"]
        for index in range(collect.length())
    }


@reader
def simpletuner(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder with caption_strategy textfile, or a JSON-lines or parquet file with caption_strategy parquet."""
    os.environ["SIMPLETUNER_SKIP_TORCH"] = "1"
    Stubs(clones, "diffusers", "accelerate", "simpletuner.helpers.models", "simpletuner.simpletuner_sdk").install()
    sys.path.insert(0, str(clones / "SimpleTuner"))
    from simpletuner.helpers.data_backend.local import LocalDataBackend  # type: ignore[import-not-found]
    from simpletuner.helpers.prompts import PromptHandler  # type: ignore[import-not-found]
    from simpletuner.helpers.training import image_file_extensions  # type: ignore[import-not-found]

    root = address if address.is_dir() else address.parent
    backend = LocalDataBackend(types.SimpleNamespace(is_main_process=True), id="d")
    listed = backend.list_files(image_file_extensions, str(root))
    paths = [path for _, _, files in listed for path in files] if listed and isinstance(listed[0], tuple) else listed
    found: Captions = {}
    if address.is_file():
        from simpletuner.helpers.metadata.backends import parquet  # type: ignore[import-not-found]

        table = parquet.ParquetMetadataBackend.__new__(parquet.ParquetMetadataBackend)
        table.parquet_config = {
            "path": str(address), "filename_column": options["names"], "caption_column": options["captions"],
            "identifier_includes_extension": True,
        }  # fmt: skip
        table.parquet_path, table.data_backend = str(address), backend
        table.is_json_lines, table.is_json_file = address.suffix == ".jsonl", address.suffix == ".json"
        table.load_parquet_database()
        table.caption_cache = table._extract_captions_to_fast_list()
        for path in paths:
            found[os.path.relpath(path, root)] = PromptHandler._normalize_caption_payload(
                table.caption_cache_entry(os.path.relpath(path, root))
            )
        return found
    for path in paths:
        caption = PromptHandler.prepare_instance_prompt_from_textfile(str(path), True, False, backend)
        found[os.path.relpath(path, root)] = PromptHandler._normalize_caption_payload(caption)
    return found


@reader
def ai_toolkit(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder with its folders, or a JSON file by whole paths; `AiToolkitDataset` as it is."""
    Stubs(clones, "cv2", "av", "diffusers", "toolkit.stable_diffusion_model", "albumentations").install()
    sys.path.insert(0, str(clones / "ai-toolkit"))
    from toolkit.config_modules import DatasetConfig  # type: ignore[import-not-found]
    from toolkit.data_loader import AiToolkitDataset  # type: ignore[import-not-found]

    class Model:
        model_config = types.SimpleNamespace(latent_space_version="sd1", arch="sd1")
        vae = types.SimpleNamespace(config=object())
        unet = types.SimpleNamespace(config=object())
        is_audio_model = encode_control_in_text_embeddings = False
        text_embedding_space_version, te_padding_side, sample_rate = "sd1", "right", 48000

        def get_bucket_divisibility(self) -> int:
            return 8

        def __getattr__(self, name: str) -> Any:
            if name.startswith("get_"):
                raise AttributeError(name)
            return False

    config = DatasetConfig(
        caption_ext=options.get("extension", "txt"), dataset_path=str(address), resolution=64, buckets=False
    )  # fmt: skip
    data = AiToolkitDataset(config, batch_size=1, sd=Model())
    root = Path(options.get("root", str(address)))
    found: Captions = {}
    for item in data.file_list:
        item.load_caption(data.caption_dict)
        found[os.path.relpath(item.path, root)] = [item.raw_caption] if item.raw_caption else []
    return found


@reader
def musubi(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder of pictures and caption files, or a JSON-lines file of whole paths."""
    Stubs(clones, "cv2", "av", "diffusers").install()
    sys.path.insert(0, str(clones / "musubi-tuner" / "src"))
    from musubi_tuner.dataset import datasources  # type: ignore[import-not-found]

    root = Path(options.get("root", str(address)))
    if address.is_file():
        sources = [datasources.ImageJsonlDatasource(str(address))]
    else:
        folders = _folders(address)
        extension = options.get("extension", ".txt")
        sources = [datasources.ImageDirectoryDatasource(str(folder), extension) for folder in folders]
    found: Captions = {}
    for source in sources:
        for index in range(len(source)):
            path, _, caption, _ = source.get_image_data(index)
            found[os.path.relpath(path, root)] = [caption]
    return found


@reader
def diffusion_pipe(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """Each folder as a `DirectoryDataset`, up to the metadata that captions are taken from."""
    Stubs(clones, "deepspeed", "comfy", "comfy_api", "imageio", "utils.common", "utils.cache").install()
    sys.path.insert(0, str(clones / "diffusion-pipe"))
    from utils import dataset as pipe  # type: ignore[import-not-found]

    pipe.VIDEO_EXTENSIONS = (".mp4",)
    pipe.is_main_process = lambda: True
    pipe.NUM_PROC = 1
    pipe.imageio = types.SimpleNamespace(get_reader=lambda file: types.SimpleNamespace(get_length=lambda: 1))
    found: Captions = {}
    folders = _folders(address)
    for folder in folders:
        if not any(each.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp") for each in folder.iterdir()):
            continue
        data = pipe.DirectoryDataset(
            {"path": str(folder)}, {"resolutions": [64], "enable_ar_bucket": False, "shuffle_metadata": False}, "m"
        )  # fmt: skip
        for row in data._get_ungrouped_metadata(regenerate_cache=True):
            found[os.path.relpath(row["image_spec"][1], address)] = list(row["caption"])
    return found


@reader
def diffusers(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """`load_dataset` as the text-to-image scripts call it, and their `tokenize_captions`."""
    script = clones / "diffusers" / "examples" / "text_to_image" / "train_text_to_image.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    function = next(
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "tokenize_captions"
    )  # fmt: skip
    rows = _rows("imagefolder", {"data_dir": str(address)})
    import numpy

    class Tokenizer:
        model_max_length = 77

        def __call__(self, captions: list[str], **options: Any) -> Any:
            return types.SimpleNamespace(input_ids=captions)

    space = {"caption_column": options.get("captions", "text"), "random": random, "np": numpy, "tokenizer": Tokenizer()}
    exec(compile(ast.Module([function], []), str(script), "exec"), space)  # noqa: S102  the trainer's own function
    found: Captions = {}
    for row in rows:
        batch = {space["caption_column"]: [row[space["caption_column"]]]}
        name = os.path.relpath(row["image"]["path"], address)
        found[name] = _distinct(lambda batch=batch: space["tokenize_captions"](batch)[0])
    return found


@reader
def diffsynth(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """`UnifiedDataset` on a metadata file, its pictures opened."""
    Stubs(clones, "imageio", "torchvision").install()
    sys.path.insert(0, str(clones / "DiffSynth-Studio" / "diffsynth" / "core"))
    from data import UnifiedDataset  # type: ignore[import-not-found]
    from data.operators import LoadImage, ToAbsolutePath  # type: ignore[import-not-found]

    root = Path(options.get("root", str(address.parent)))
    operator = ToAbsolutePath(str(root)) >> LoadImage()
    data = UnifiedDataset(str(root), str(address), data_file_keys=("image",), main_data_operator=operator)
    found: Captions = {}
    for index in range(len(data)):
        name = data.data[index]["image"]
        data[index]["image"].load()
        prompt = data[index]["prompt"]
        found[os.path.relpath(os.path.join(root, name), root)] = [prompt] if isinstance(prompt, str) else list(prompt)
    return found


@reader
def everydream2(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder with its folders; a caption is its first tag and the others, as the trainer keeps them."""
    Stubs(clones, "yaml", "data.image_train_item").install()
    sys.path.insert(0, str(clones / "EveryDream2trainer"))
    from data.dataset import Dataset  # type: ignore[import-not-found]

    found: Captions = {}
    for path, config in Dataset.from_path(str(address)).image_configs.items():
        tags = [tag.value for tag in config.tags]
        found[os.path.relpath(path, address)] = [", ".join([next(iter(config.main_prompts)), *tags])]
    return found


@reader
def taggui(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """A folder with its folders; a caption is its tags."""
    Stubs(clones, "PySide6", "exifread", "imagesize", "utils").install()
    sys.path.insert(0, str(clones / "taggui" / "taggui"))
    from models import image_list_model  # type: ignore[import-not-found]

    image_list_model.get_settings = lambda: types.SimpleNamespace(
        value=lambda name, defaultValue, type: "bmp, gif, jpg, jpeg, png, tif, tiff, webp"  # noqa: A002
    )
    image_list_model.DEFAULT_SETTINGS = {"image_list_file_formats": ""}
    image_list_model.Image = lambda path, size, tags: types.SimpleNamespace(path=path, tags=tags)
    model = object.__new__(image_list_model.ImageListModel)
    for name, value in {"images": [], "undo_stack": [], "redo_stack": [], "tag_separator": ", "}.items():
        object.__setattr__(model, name, value)
    model.load_directory(address)
    return {os.path.relpath(each.path, address): [", ".join(each.tags)] for each in model.images if each.tags}


@reader
def finetrainers(clones: Path, address: Path, options: dict[str, str]) -> Captions:
    """Each folder as pairs of a picture and a caption file, or the whole as an imagefolder or tars."""
    Stubs(clones, "decord", "diffusers", "torchvision", "finetrainers.functional").install()
    sys.modules["importlib_metadata"] = importlib.metadata
    package = clones / "finetrainers" / "finetrainers"
    for name in ("finetrainers", "finetrainers.utils", "finetrainers.data"):
        module = types.ModuleType(name)
        module.__path__ = [str(package / name.partition(".")[2])]  # without what its __init__ brings in
        sys.modules[name] = module
    from finetrainers.utils import file  # type: ignore[import-not-found]

    sys.modules["finetrainers.utils"].find_files = file.find_files  # type: ignore[attr-defined]
    import finetrainers.data.dataset as data  # type: ignore[import-not-found]

    found: Captions = {}
    if options.get("kind") == "imagefolder":
        rows = data.ImageFolderDataset(str(address))
        by_size = json.loads(options["pixels"])
        for row in rows:
            found[by_size[str(list(row["image"].convert("RGB").getpixel((0, 0))))]] = [row["text"]]
        return found
    for folder in _folders(address):
        if any(each.suffix == ".txt" for each in folder.iterdir()):
            pairs = data.ImageCaptionFilePairDataset(str(folder))
            paths = [row["image"]["path"] for row in pairs._data.cast_column("image", _undecoded())]
            for path, sample in zip(paths, pairs, strict=True):
                found[os.path.relpath(path, address)] = [sample["caption"]]
    return found


def _undecoded() -> Any:
    import datasets

    return datasets.Image(decode=False)


def _rows(kind: str, options: dict[str, Any]) -> Any:
    import datasets

    found = datasets.load_dataset(kind, split="train", cache_dir=os.environ["HF_DATASETS_CACHE"], **options)
    return found.cast_column("image", datasets.Image(decode=False))


def main(arguments: list[str]) -> None:
    clones, trainer, address, *rest = arguments
    captions = READERS[trainer](Path(clones), Path(address), dict(each.split("=", 1) for each in rest))
    print("\n" + json.dumps(captions))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
