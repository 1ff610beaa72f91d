"""Downloads that people start from a node: what web/js/missing_models.js asks for.

GET   /interrogator/models             the models of a node, and which of them are missing
GET   /interrogator/downloads          how far the download is
POST  /interrogator/downloads          start one, of models in the catalog and nothing else
POST  /interrogator/downloads/cancel   stop it; the next one goes on from there
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from typing import Any, Literal

from .. import interrogator
from ..interrogator import catalog, registry
from ..interrogator.catalog import KnownModel, Role
from ..interrogator.errors import InterrogatorError
from ..interrogator.modes import Mode
from . import dataset, host, image, missing
from .missing import Wanted

_LOADERS: dict[str, Role] = {
    "InterrogatorLoadCaptioner": "captioner",
    "InterrogatorLoadTagger": "tagger",
    "InterrogatorLoadEncoder": "encoder",
}


def serve() -> None:
    """Answer at these addresses."""
    host.serve("GET", "/interrogator/models", models_of)
    host.serve("GET", "/interrogator/downloads", lambda _: DOWNLOAD.state())
    host.serve("POST", "/interrogator/downloads", start)
    host.serve("POST", "/interrogator/downloads/cancel", cancel)


def models_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """The models that a node needs, of those that are missing all that a person wants to know, and the download.

    query: `node`, its class; `inputs`, its widgets' values as JSON; `connected`, the inputs with links, as JSON.
    Raises ValueError: it is no such query.
    """
    try:
        inputs, connected = json.loads(query.get("inputs", "{}")), json.loads(query.get("connected", "[]"))
        wanted = wanted_by(str(query.get("node")), inputs, connected)
    except (ValueError, TypeError, LookupError, AttributeError, InterrogatorError) as error:
        raise ValueError(f"These are no settings of a node: {error}") from error
    folders = [missing.folder_of(role, name) for role, name in wanted]
    return {
        "missing": [missing.described(row) for row in missing.missing(wanted)],
        "folders": [str(folder) for folder in folders if folder is not None],
        "download": DOWNLOAD.state(),
    }


def wanted_by(node: str, inputs: Mapping[str, Any], connected: Collection[str]) -> list[Wanted]:
    """The models that a node loads with these settings; none where a link decides, or where it loads none."""
    if {"model", "preset", "mode"} & set(connected):
        return []
    if node in _LOADERS:
        return [(_LOADERS[node], str(inputs["model"]))]
    if node == "InterrogatorDataset":
        names = ("preset", "mode", "quality", "template")
        given = {name: inputs[name] for name in names}
        rules = interrogator.dataset.CaptionRules(template=given.pop("template"))
        return dataset.wanted_by(interrogator.dataset.Settings(**given, rules=rules))
    if node != "InterrogatorImage":
        return []
    row = catalog.preset(inputs["preset"])
    needs = image.needs_of_node(
        Mode(inputs["mode"]), inputs.get("negative") is True, "caption" in connected, "tagger" in connected
    )
    roles = [role for role in catalog.ROLES if role in needs and role not in connected]
    return [(role, name) for role in roles if (name := row.model(role)) is not None]


def start(order: Any) -> dict[str, Any]:
    """Download models: `{"models": [{"role": …, "name": …}]}`. Raises ValueError: the catalog knows none such."""
    try:
        rows = [catalog.known_model(each["role"], each["name"]) for each in order["models"]]
    except (TypeError, LookupError) as error:
        raise ValueError("Name models by role and name.") from error
    known = [row for row in rows if row is not None]
    if not known or len(known) < len(rows):
        raise ValueError("Only models of the catalog can be downloaded from here.")
    DOWNLOAD.start(known)
    return DOWNLOAD.state()


def cancel(_: Any) -> dict[str, Any]:
    """Stop the download, if there is one."""
    DOWNLOAD.cancel()
    return DOWNLOAD.state()


class _Cancelled(Exception):
    """The user pressed Cancel."""


class Download:
    """One download at a time, in a thread of its own. What is asked for meanwhile comes after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._rows: list[KnownModel] = []
        self._status: Literal["none", "running", "done", "cancelled", "failed"] = "none"
        self._error = ""
        self._finished = 0  # bytes of the models that are here
        self._arrived = 0  # bytes of the model that is on its way
        self._is_cancelled = False

    def start(self, rows: list[KnownModel]) -> None:
        """Download these models, or these too if some are on their way."""
        with self._lock:
            if self._status == "running":
                self._rows += [row for row in rows if row not in self._rows]
                return
            self._rows, self._status, self._error = list(rows), "running", ""
            self._finished = self._arrived = 0
            self._is_cancelled = False
            self._thread = threading.Thread(target=self._work, name="interrogator download", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Stop within a second. What has arrived stays for the next download."""
        self._is_cancelled = True

    def wait(self) -> None:
        """Return when nothing is on its way."""
        if self._thread is not None:
            self._thread.join()

    def state(self) -> dict[str, Any]:
        """Status, models, bytes done and in all, and why it failed."""
        with self._lock:
            total = sum(map(_bytes, self._rows))
            return {
                "status": self._status, "error": self._error, "done": min(self._finished + self._arrived, total),
                "total": total, "models": [{"role": row.role, "name": row.name} for row in self._rows],
            }  # fmt: skip

    def _work(self) -> None:
        number = 0
        try:
            while number < len(self._rows):
                row = self._rows[number]
                with missing.folders_of(row.role):
                    registry.locate(row.role, row.name, download=True, progress=self._progress)
                number += 1
                with self._lock:
                    self._finished, self._arrived = self._finished + _bytes(row), 0
                    if number == len(self._rows):
                        self._status = "done"
        except _Cancelled:
            self._end("cancelled")
        except (InterrogatorError, OSError) as error:
            self._end("failed", str(error))
        finally:
            if self._status == "running":  # a bug, of which somebody waits to hear
                self._end("failed", "The download ended in an error that ComfyUI's log shows.")

    def _end(self, status: Literal["cancelled", "failed"], error: str = "") -> None:
        with self._lock:
            self._status, self._error = status, error

    def _progress(self, done: int, total: int) -> None:
        if self._is_cancelled:
            raise _Cancelled
        self._arrived = done


def _bytes(row: KnownModel) -> int:
    return row.size_mb * 10**6


DOWNLOAD = Download()
"""The one of this ComfyUI."""
