"""The schemas of all nodes as saved graphs depend on them, in schemas.json.

    python -m tests.pack.snapshot            takes over nodes and inputs that were added
    python -m tests.pack.snapshot --break    takes over anything: graphs that people saved will not run as they did

A saved graph names nodes and inputs by id, and the front end puts the values of widgets back by their position.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from .stand_ins import ComfyUI, Pack, load_pack
from .stand_ins.api import Piece
from .stand_ins.running import DYNAMIC, is_widget

FILE = Path(__file__).with_name("schemas.json")
HOW_TO_UPDATE = "run `python -m tests.pack.snapshot` to take this over on purpose"
_NUMBERS = ("default", "min", "max", "step")

Described = dict[str, Any]


def describe(pack: Pack) -> Described:
    """The nodes of a pack by id, where no model is on disk."""
    return {name: _node(node.GET_SCHEMA()) for name, node in sorted(pack.nodes.items())}


def _node(schema: Any) -> Described:
    return {
        "inputs": [_input(piece) for piece in schema.inputs],
        "outputs": [
            {"id": piece.id, "type": piece.io_type, "is_list": piece.is_output_list} for piece in schema.outputs
        ],
        "takes_lists": schema.is_input_list,
    }


def _input(piece: Piece) -> Described:
    described: Described = {"id": piece.id, "type": piece.io_type, "is_widget": is_widget(piece)}
    described |= {name: getattr(piece, name) for name in _NUMBERS if getattr(piece, name, None) is not None}
    if piece.optional:
        described["optional"] = True
    if piece.io_type == DYNAMIC:
        described["options"] = {option.key: [_input(inner) for inner in option.inputs] for option in piece.options}
    elif piece.io_type == "COMBO":
        described["options"] = list(piece.options)
    return described


def broken_promises(before: Described, now: Described) -> list[str]:
    """Why graphs saved with the nodes as they were would not run as they did."""
    found = [f"{name} is gone" for name in before if name not in now]
    for name in before.keys() & now.keys():
        found += _inputs(name, before[name]["inputs"], now[name]["inputs"])
        found += _outputs(name, before[name]["outputs"], now[name]["outputs"])
        if before[name]["takes_lists"] != now[name]["takes_lists"]:
            found.append(f"{name} no longer takes lists, or now does")
    return sorted(found)


def _inputs(where: str, before: list[Described], now: list[Described], may_grow: bool = True) -> list[str]:
    old, new = ([piece["id"] for piece in pieces] for pieces in (before, now))
    if new[: len(old)] != old:
        return [f"{where} had the inputs {old} and has {new}: add new ones at the end, and keep the others in order"]
    found = []
    added = now[len(old) :]
    found += [f"{where}.{piece['id']} is new and not optional" for piece in added if not piece.get("optional")]
    if added and not may_grow:
        found.append(f"{where} has a new input, which moves the widgets behind it: add an input at the node's end")
    for place, (was, is_now) in enumerate(zip(before, now, strict=False)):
        is_last = not any(piece["is_widget"] for piece in now[place + 1 :])
        found += _input_changes(f"{where}.{was['id']}", was, is_now, is_last)
    return found


def _input_changes(where: str, was: Described, is_now: Described, is_last: bool) -> list[str]:
    found = []
    if (was["type"], was["is_widget"]) != (is_now["type"], is_now["is_widget"]):
        return [f"{where} was {was['type']} and is {is_now['type']}, or is no longer a widget, or now is one"]
    if was.get("optional") and not is_now.get("optional"):
        found.append(f"{where} is no longer optional")
    if is_now.get("min", float("-inf")) > was.get("min", float("-inf")):
        found.append(f"{where} takes fewer numbers: its min rose to {is_now['min']}")
    if is_now.get("max", float("inf")) < was.get("max", float("inf")):
        found.append(f"{where} takes fewer numbers: its max fell to {is_now['max']}")
    if was["type"] == DYNAMIC:
        for option in was["options"].keys() & is_now["options"].keys():
            pair = was["options"][option], is_now["options"][option]
            found += _inputs(f"{where}={option}", *pair, may_grow=is_last)
    gone = [option for option in was.get("options", ()) if option not in is_now["options"]]
    return [*found, *(f"{where} has no option {option} any more" for option in gone)]


def _outputs(where: str, before: list[Described], now: list[Described]) -> list[str]:
    if now[: len(before)] == before:
        return []
    return [f"the outputs of {where} changed: add new ones at the end, and keep the others as they are"]


def main() -> int:
    """Write schemas.json."""
    parser = argparse.ArgumentParser(description="Write the schemas of all nodes to schemas.json.")
    parser.add_argument("--break", action="store_true", dest="breaks", help="even if saved graphs no longer run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        comfyui = ComfyUI(Path(folder))
        with comfyui.installed():
            now = describe(load_pack(comfyui))
    broken = broken_promises(read(), now) if FILE.exists() else []
    sys.stderr.writelines(f"{line}\n" for line in broken)
    if broken and not arguments.breaks:
        sys.stderr.write("nothing was written; --break writes all the same\n")
        return 1
    FILE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def read() -> Described:
    """What schemas.json holds."""
    held: Described = json.loads(FILE.read_text(encoding="utf-8"))
    return held


if __name__ == "__main__":
    sys.exit(main())
