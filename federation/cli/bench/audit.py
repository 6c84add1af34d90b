"""`credfed bench audit`: how fast the audit log is here, on a log of any size that is built, verified and deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from federation.audit.bench import DATABASE_VARIABLE, AuditBench
from federation.audit.storage.location import LogLocation
from federation.cli.output import console, errors, print_json, reported_errors
from protocols.errors import ConfigurationError, VerificationFailed

GOALS: Final = (
    "goal: 3,000 or more",
    "goal: 10 or less",
    "goal: 120 or less for a million leaves",
    "goal: bounded",
)


def audit(
    leaves: Annotated[int, typer.Option("--leaves", help="How many leaves to log.", min=1)] = 100_000,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder on the disk to measure; by default the system's temporary one."),
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            "--database",
            metavar="URL",
            help="A PostgreSQL database (postgresql://…) to measure, beside a SQLite file in the same run.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Time the audit log: durable appends in groups of 100, inclusion proofs, verification of the whole, peak memory.

    A process of its own builds a log of --leaves leaves of the size of real requests, with a witness that cosigns every
    10,000, proves 200 random leaves, verifies everything from the leaves up, and deletes it. Leaves take about 1 KB of
    disk each. Appends are as durable as in service: each group waits for the disk.

    With --database, the log is in a schema of its own there, which is dropped at the end, and the same is then measured
    of a SQLite file: `ratio` says how the database compares, above 1 where it is slower.
    """
    with reported_errors(as_json):
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"{folder} is not a folder", code="NOT_A_FOLDER")
        LogLocation(Path(), database)  # refuses what is no URL before anything is built
        with errors.status(f"a log of {leaves:,} leaves"):
            figures = _measure_apart(leaves, folder, "")
        if database:
            with errors.status(f"a log of {leaves:,} leaves in the database"):
                beside = _measure_apart(leaves, folder, database)
            compared = _compare(beside, figures)
    if not database:
        print_json(figures) if as_json else _show(figures, GOALS)
    elif as_json:
        print_json(compared)
    else:
        _show(beside, GOALS)
        console.print(f"SQLite in the same run, and how much slower the database is (load {os.getloadavg()[0]:.1f}):")
        _show(figures, [f"×{ratio:.1f}" for ratio in compared.ratio.values()])


@dataclass(frozen=True, slots=True)
class Compared(AuditBench):
    """A database's figures, those of SQLite in the same run, and how much slower the database is, by figure."""

    sqlite: AuditBench
    ratio: dict[str, float]


def _compare(measured: AuditBench, sqlite: AuditBench) -> Compared:
    ratio = {
        "append": sqlite.append_per_s / measured.append_per_s,
        "proof": measured.proof_ms / sqlite.proof_ms,
        "verify": measured.verify_s / sqlite.verify_s,
        "memory": measured.peak_rss_mb / sqlite.peak_rss_mb,
    }
    return Compared(**asdict(measured), sqlite=sqlite, ratio=ratio)


def _show(figures: AuditBench, notes: Sequence[str]) -> None:
    rows = (
        ("appends a second", f"{figures.append_per_s:,.0f}"),
        ("an inclusion proof, ms", f"{figures.proof_ms:.2f}"),
        ("verification of all, s", f"{figures.verify_s:.1f}"),
        ("peak memory, MB", f"{figures.peak_rss_mb:.0f}"),
    )
    for (name, value), note in zip(rows, notes, strict=True):
        console.print(f"{name:<24} {value:>10}   {note}")


def _measure_apart(leaves: int, folder: Path | None, database: str) -> AuditBench:
    """Measure in a fresh process, so that its peak memory is the log's and not the command line's.

    Raises: VerificationFailed if it ends without figures.
    """
    command = [sys.executable, "-m", "federation.audit.bench", str(leaves), *([] if folder is None else [str(folder)])]
    told = {name: value for name, value in os.environ.items() if name != DATABASE_VARIABLE}
    told |= {DATABASE_VARIABLE: database} if database else {}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, env=told)  # noqa: S603 - this interpreter, our own module
    if done.returncode:
        raise VerificationFailed(f"the measuring process ended with {done.returncode}", code="BENCH_FAILED")
    return msgspec.json.decode(done.stdout, type=AuditBench)
