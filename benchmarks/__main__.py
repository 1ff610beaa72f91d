"""The command: `python -m benchmarks [--work …] [--model …] [--pairs N] [--steps N] [--out FILE]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.plan import GPU, WORKS, chosen
from benchmarks.sizes import FULL, TINY

HERE = Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run benchmarks and write the page; returns 1 if a benchmark stopped or a check failed."""
    arguments = _parser().parse_args(argv)
    if arguments.only:
        return _only(arguments)
    sizes = TINY if arguments.tiny else FULL
    failed = False
    for work, model, device in [] if arguments.render else chosen(arguments.work, arguments.model, sizes):
        sys.stderr.write(f"{work} {model} on {device}\n")
        sys.stderr.flush()
        arguments.only = [work, model, device]
        failed |= bool(_process(arguments) if sizes.processes else _only(arguments))
    from benchmarks import report, results

    arguments.out.write_text(report.render(results.load_all(arguments.collected)), encoding="utf-8")
    sys.stderr.write(f"wrote {arguments.out}\n")
    return int(failed)


def _only(arguments: argparse.Namespace) -> int:
    """Run one benchmark in this process."""
    from benchmarks import running

    work, model, device = arguments.only
    sizes = TINY if arguments.tiny else FULL
    result, _ = running.run(work, model, device, arguments.pairs, arguments.steps, sizes, arguments.collected)
    running.report(result)
    return int(not all(check.passed for check in result.checks))


def _process(arguments: argparse.Namespace) -> int:
    """Run one benchmark in its own process."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "--only", *arguments.only]
    command += ["--steps", str(arguments.steps), "--collected", str(arguments.collected.resolve())]
    command += ["--pairs", str(arguments.pairs)] if arguments.pairs else []
    return subprocess.run(command, cwd=HERE.parent, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Benchmarks the library against clip-interrogator 0.6.0."
    )
    works = [name for name, work in WORKS.items() if not work.gpu_only] + [GPU]
    parser.add_argument("--work", nargs="+", default=[], choices=works, metavar="WORK",
                        help=f"benchmarks to run (default all): {', '.join(works)}")  # fmt: skip
    parser.add_argument("--model", nargs="+", default=[], help=f"architectures (default {' '.join(FULL.models)})")
    parser.add_argument("--pairs", type=int, help="number of runs of both sides (default depends on the benchmark)")
    parser.add_argument("--steps", type=int, default=12, help="number of chain steps (default 12)")
    parser.add_argument(
        "--out", type=Path, default=HERE / "RESULTS.md", help="page to write (default RESULTS.md in benchmarks/)"
    )
    parser.add_argument("--collected", type=Path, default=HERE / "results", help="folder of saved results (JSON)")
    parser.add_argument("--render", action="store_true", help="only write the page from saved results")
    parser.add_argument("--tiny", action="store_true", help="use tiny models and lists, to check that everything runs")
    parser.add_argument("--only", nargs=3, metavar=("WORK", "MODEL", "DEVICE"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
