"""Caption Dataset Folder: captions for all pictures in a folder, where a trainer looks for them."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from comfy_api.latest import io

from .. import interrogator
from ..interrogator import catalog
from ..interrogator.dataset.captioning.loader import Loader
from ..interrogator.dataset_choices import POLICIES, TARGET_KINDS
from ..interrogator.modes import MODES
from ..interrogator.qualities import QUALITIES
from . import host, missing, models, report_page, result_box, run_results
from .dataset_folders import PLACES, check_state, dataset_folder
from .widgets import FREE, preset_memory_input

if TYPE_CHECKING:
    from ..interrogator.catalog import Role
    from ..interrogator.dataset import Run, Settings
    from .missing import Wanted

# Trainers want sentences, and only the captioner of a preset writes them.
_MODES = [mode.value for mode in MODES if "captioner" in MODES[mode].needs]
# Targets that can stand beside the pictures and need no extra package.
_TARGETS = [kind for kind in TARGET_KINDS if kind not in ("parquet", "webdataset")]


class InterrogatorDataset(io.ComfyNode):
    """Captions a folder inside ComfyUI's input or output folder, or linked there; continues a stopped run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorDataset",
            display_name="Caption Dataset Folder",
            category="interrogator",
            description="Captions every picture in a folder for training and writes a report. A stopped run"
            " continues where it left off.",
            is_output_node=True,
            not_idempotent=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "place", options=list(PLACES), default="input",
                    tooltip="Which of ComfyUI's folders contains the pictures.",
                ),
                io.String.Input(
                    "folder", default="", placeholder="my_dataset",
                    tooltip="The folder of pictures inside it, or a link there to one, subfolders included.",
                ),
                io.Combo.Input(
                    "preset",
                    options=models.preset_names(),
                    default=catalog.DEFAULT_PRESET,
                    tooltip="Which models to use. demo: tiny built-in models that know only cartoon creatures.",
                ),
                io.Combo.Input(
                    "mode", options=_MODES, default="caption",
                    tooltip="caption: the caption alone. The other modes add phrases and take longer.",
                ),
                io.Combo.Input(
                    "quality", options=[quality.value for quality in QUALITIES], default="greedy",
                    tooltip=" ".join(f"{quality.value}: {traits.help}." for quality, traits in QUALITIES.items()),
                ),
                io.String.Input(
                    "trigger", default="",
                    tooltip="Trigger word for training; put first in every caption that lacks it.",
                ),
                io.String.Input(
                    "template", default="{prompt}",
                    tooltip="Names in braces are replaced: prompt (the text of the mode), caption, trigger, a role"
                    " (artists, mediums, movements, sites, flavors), any bank, or the file's folder or stem.",
                ),
                io.Combo.Input(
                    "existing", options=list(POLICIES), default="skip",
                    tooltip="Captions that exist already: skip leaves them, overwrite replaces them, append and prepend"
                    " add to them, if-empty replaces blank ones only.",
                ),
                io.Combo.Input(
                    "target", options=_TARGETS, default="txt",
                    tooltip="txt, caption: a file beside each picture. jsonl: metadata.jsonl for Hugging Face."
                    " kohya-json, kohya-jsonl: for kohya's scripts. captions-json: lists for"
                    " diffusion-pipe. csv: one table.",
                ),
                io.Boolean.Input(
                    "retry_failed", default=False, optional=True,
                    tooltip="Retry pictures that failed in an earlier run.",
                ),
                io.Boolean.Input(
                    "download", default=False, optional=True,
                    tooltip="Download missing models once from the Hugging Face hub into models/interrogator. If"
                    " off, the network is never used.",
                ),
                preset_memory_input(),
                io.Boolean.Input(
                    "again", default=False, optional=True,
                    tooltip="Caption anew what a finished run of the same settings has captioned, and what somebody has"
                    " edited since. `existing` still applies: choose overwrite to replace those captions.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "report", display_name="report", tooltip="How many pictures were captioned, and what to review."
                ),
                io.String.Output(
                    "page", display_name="page", tooltip="The path of the report; the box on the node opens it."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(
        cls, place: str | None = None, folder: str | None = None, again: bool | None = None, **_: Any
    ) -> str:
        """Pictures and captions come and go in the folder; everything else is in the inputs. Again is each time."""
        if again:
            return str(time.time_ns())
        try:
            return _fingerprint(dataset_folder(place or "input", folder or ""))
        except (OSError, ValueError):
            return ""

    @classmethod
    def execute(
        cls, place: Literal["input", "output"], folder: str, preset: str, mode: str, quality: str, trigger: str,
        template: str, existing: Any, target: str, retry_failed: bool = False, download: bool = False,
        memory: str | None = None, again: bool = False,
    ) -> io.NodeOutput:  # fmt: skip
        dataset = interrogator.dataset
        settings = dataset.Settings(
            preset=preset, mode=mode, quality=quality, policy=existing,
            rules=dataset.CaptionRules(trigger=trigger, template=template),
        )  # fmt: skip
        pictures = dataset_folder(place, folder)
        check_state(pictures)

        def run_of(number: int) -> Run:
            return dataset.Run([pictures], replace(settings, round=number), target=target)

        run = dataset.next_round(run_of) if again else run_of(0)
        node_id, progress = cls.hidden.unique_id, host.progress()
        wanted = [] if download else wanted_by(settings)
        with host.explain_out_of_memory(), missing.named_together(wanted):
            summary = run.work(
                Loader(lambda only: _models(settings, download, node_id, only, memory == FREE)),
                dataset.count_tokens,
                lambda done, total, failed: progress(done, total),
                retry_failed,
            )
        report = run_results.report(run, summary)
        page = report_page.address(place, folder, summary.report)
        shown = [result_box.Result(report, title=folder.strip(), report=page), *run_results.of_pictures(run)]
        return io.NodeOutput(report, str(summary.report or ""), ui=result_box.ui(shown))


def wanted_by(settings: Settings) -> list[Wanted]:
    """The models that a run needs."""
    return [(_kind(role), name) for role, name in settings.model_names.items()]


def _kind(role: Any) -> Role:
    """What kind of model a role of a run takes: the reranker is a second encoder."""
    return "encoder" if role == "reranker" else role


def _fingerprint(folder: Path) -> str:
    """A digest that changes with any file in the folder, except those that runs write."""
    digest = hashlib.sha256()
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            state = os.stat(os.path.join(where, name), follow_symlinks=False)
            digest.update(f"{where}/{name} {state.st_mtime_ns} {state.st_size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _models(
    settings: Settings, download: bool, node_id: str | None, only: frozenset[str] | None, frees: bool
) -> Any:  # fmt: skip
    """The models that the settings need, in the care of ComfyUI. only: of these roles; None is all."""
    roles = {
        role: models.load(_kind(role), name, download=download, node_id=node_id, frees=frees)
        for role, name in settings.model_names.items()
        if only is None or role in only
    }
    banks = interrogator.load_banks(catalog.preset(settings.preset).banks) if "encoder" in roles else []
    return interrogator.dataset.Models(
        settings, banks=banks, cache=models.embedding_cache(), pool=models.POOL, needs=frozenset(roles), **roles
    )  # fmt: skip
