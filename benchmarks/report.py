"""RESULTS.md from the saved results, one section per machine: ratios, and single times where the target is a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.plan import WORKS, chosen
from benchmarks.results import Result, Row, Table
from benchmarks.sizes import FULL

INTRODUCTION = """# Benchmarks

Written by `python -m benchmarks`. A ratio says how many times as long clip-interrogator 0.6.0 takes as Interrogator
for the same work. Both get the same random weights, the same picture and the same phrases (the lists that
clip-interrogator installs), and run in turn. Each ratio is followed by its range and the number of pairs. Peak
memory is the highest resident memory of the process while a side ran, in GB of 10^9 bytes. Both sides share one
process, which holds the model and the data of both; in the end-to-end benchmark, each side has its own process. On a
GPU, peak memory is the memory allocated there. "Ours" is Interrogator, "the peer" the library it is compared with."""
_RATE, _DATASET, _BATCHES, _TRUTH, _CLAIMS = "rate", "dataset", "batches", "truth", "claims"
_CANDIDATES = "candidates"


def render(results: Sequence[Result]) -> str:
    """The whole page."""
    machines: dict[str, list[Result]] = {}
    for result in results:
        machines.setdefault(json.dumps(result.machine, sort_keys=True), []).append(result)
    sections = [INTRODUCTION]
    for own in machines.values():
        sections += _machine(sorted(own, key=_order))
    return "\n\n".join(sections) + "\n"


def _machine(results: list[Result]) -> list[str]:
    """The section of one machine."""
    ran = [result for result in results if not result.skipped]
    alone = (_RATE, _DATASET, _BATCHES, _TRUTH, _CLAIMS)
    ratios = [row for result in ran if result.device == "cpu" and result.work not in alone for row in result.rows]
    dataset = [row for result in ran if result.work == _DATASET for row in result.rows]
    batches = [row for result in ran if result.work == _BATCHES for row in result.rows]
    rates = [row for result in ran if result.work == _RATE for row in result.rows]
    truth = [row for result in ran if result.work == _TRUTH for row in result.rows]
    claims = [row for result in ran if result.work == _CLAIMS for row in result.rows]
    on_gpu = [row for result in ran if result.device == "cuda" for row in result.rows]
    notes = dict.fromkeys(f"{_name(result)}: {note}" for result in ran for note in result.notes)
    checks = [
        f"{'passed' if check.passed else '**FAILED**'}: {_name(result)}, {check.text}"
        for result in ran
        for check in result.checks
    ]
    parts = [_heading(results)]
    for title, rows in (
        ("Compared with clip-interrogator, or with transformers where a row says so", ratios),
        ("Compared with the machine's own matrix products", rates),
        ("An item in a batch compared with one alone", batches),
        ("Dataset runs", dataset),
        ("How much of a prompt is true", truth),
        ("Wrong attributes found in captions", claims),
        ("On the GPU", on_gpu),
    ):
        if rows:
            parts += [f"### {title}", _rows(rows)]
    for title, works in (
        ("Where the time of a chain step goes", {work for work in WORKS if work != _CANDIDATES}),
        ("Ways to tell what is true", {_CANDIDATES}),
    ):
        tables = [table for result in ran if result.work in works for table in result.tables]
        parts += [f"### {title}"] if tables else []
        for table in tables:
            parts += [f"{table.title}:", _table(table)]
    for title, lines in (
        ("Checks", checks),
        ("Method", list(notes)),
        ("Not measured here, with reasons", _gaps(results)),
    ):
        if lines:
            parts += [f"### {title}", "\n".join(f"- {line}" for line in lines)]
    return parts


def _heading(results: list[Result]) -> str:
    machine = results[0].machine
    dates = sorted({result.date for result in results})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = dict.fromkeys(", ".join(f"{name} {number}" for name, number in r.versions.items()) for r in results)
    lines = [f"{span}. {_machine_words(machine)}", *(f"Versions: {line}." for line in versions)]
    gpu = f" and {machine['gpu']}" if machine.get("gpu") else ""
    return f"## {machine.get('processor', 'a machine')}{gpu}\n\n" + "\n\n".join(lines)


def _machine_words(machine: dict[str, Any]) -> str:
    known = machine.get("instructions", {})
    has, lacks = (", ".join(name for name, there in known.items() if there is wanted) for wanted in (True, False))
    memory = f", {machine['memory_gib']} GiB memory" if machine.get("memory_gib") else ""
    bf16 = "multiplies" if machine.get("bf16") else "does not multiply"
    return (
        f"{machine.get('system')}, {machine.get('architecture')}, {machine.get('cores')} cores,"
        f" {machine.get('threads')} threads used by torch{memory}. Instructions: {has or 'none known'}"
        f" (not: {lacks or 'none'}); the processor {bf16} bf16 matrices itself."
    )


def _gaps(results: list[Result]) -> list[str]:
    """Benchmarks without numbers here: skipped ones with their reasons, and those never run."""
    reasons: dict[str, dict[str, list[str]]] = {}  # reason -> work -> models

    def add(reason: str, result: Result) -> None:
        work = result.work + (" on the GPU" if result.device == "cuda" else "")
        reasons.setdefault(reason, {}).setdefault(work, []).append(result.model)

    there = {(result.work, result.model, result.device) for result in results}
    for result in results:
        if result.skipped:
            add(result.skipped, result)
    for work, model, device in chosen([], [], FULL):
        if (work, model, device) not in there:
            add("not run on this machine", Result(work, model, device))
    lines = []
    for reason, works in reasons.items():
        named = (f"{work} ({', '.join(models)})" for work, models in works.items())
        lines.append(f"{reason}: {', '.join(named)}")
    return lines


def _rows(rows: Iterable[Row]) -> str:
    header = ["work", "asked", "measured", "reached", "dtype: peer, ours", "peak memory: peer, ours"]
    lines = [
        [
            row.work,
            row.asked and (f"at least {row.asked}" if row.asked[0].isdigit() else row.asked),
            row.measured,
            {None: "", True: "yes", False: "**no**"}[row.reached],
            ", ".join(name for name in row.dtypes or () if name),
            ", ".join(_size(peak) for peak in row.peaks) if row.peaks else "",
        ]
        for row in rows
    ]
    return _lines(header, lines)


def _size(peak: int | None) -> str:
    return "-" if peak is None else f"{peak / 1e9:.2f} GB"


def _table(table: Table) -> str:
    return _lines(table.header, table.rows)


def _lines(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _name(result: Result) -> str:
    return f"{result.work} {result.model}" + (" on the GPU" if result.device == "cuda" else "")


def _order(result: Result) -> tuple[int, int, str]:
    """Sort key: CPU first, then the order of the plan."""
    return (int(result.device == "cuda"), list(WORKS).index(result.work), result.model)
