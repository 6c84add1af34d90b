"""`credfed bench audit`: how fast the audit log is here, on a log of any size that is built, verified and deleted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from federation.audit.bench import AuditBench
from federation.cli.output import console, errors, print_json, reported_errors
from protocols.errors import ConfigurationError, VerificationFailed

GOALS: Final = ("3,000 or more", "10 or less", "120 or less for a million leaves", "bounded")


def audit(
    leaves: Annotated[int, typer.Option("--leaves", help="How many leaves to log.", min=1)] = 100_000,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder on the disk to measure; by default the system's temporary one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Time the audit log: durable appends in groups of 100, inclusion proofs, verification of the whole, peak memory.

    A process of its own builds a log of --leaves leaves of the size of real requests, with a witness that cosigns every
    10,000, proves 200 random leaves, verifies everything from the leaves up, and deletes it. Leaves take about 1 KB of
    disk each. Appends are as durable as in service: each group waits for the disk.
    """
    with reported_errors(as_json):
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"{folder} is not a folder", code="NOT_A_FOLDER")
        with errors.status(f"a log of {leaves:,} leaves"):
            figures = _measure_apart(leaves, folder)
    if as_json:
        print_json(figures)
        return
    rows = (
        ("appends a second", f"{figures.append_per_s:,.0f}"),
        ("an inclusion proof, ms", f"{figures.proof_ms:.2f}"),
        ("verification of all, s", f"{figures.verify_s:.1f}"),
        ("peak memory, MB", f"{figures.peak_rss_mb:.0f}"),
    )
    for (name, value), goal in zip(rows, GOALS, strict=True):
        console.print(f"{name:<24} {value:>10}   goal: {goal}")


def _measure_apart(leaves: int, folder: Path | None) -> AuditBench:
    """Measure in a fresh process, so that its peak memory is the log's and not the command line's.

    Raises: VerificationFailed if it ends without figures.
    """
    command = [sys.executable, "-m", "federation.audit.bench", str(leaves), *([] if folder is None else [str(folder)])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - this interpreter, our own module
    if done.returncode:
        raise VerificationFailed(f"the measuring process ended with {done.returncode}", code="BENCH_FAILED")
    return msgspec.json.decode(done.stdout, type=AuditBench)
