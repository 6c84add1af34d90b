"""`credfed bench console`: what each page of the auditor's console costs over a log of any size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.table import Table

from federation.cli.output import console, errors, print_json, reported_errors
from protocols.errors import ConfigurationError, VerificationFailed

if TYPE_CHECKING:
    from federation.console.bench import ConsoleBench

GOAL_MS: Final = 200


def console_pages(
    leaves: Annotated[int, typer.Option("--leaves", help="How many leaves the log has.", min=1000)] = 100_000,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Keep the log in this folder; one that is there already is measured as it is."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Ask for every page of the console, and for the timeline under every filter, over a log in realistic proportions.

    Reported is processor time, the middle one of five: what a page costs this machine whatever else it does. The log is
    made first (a minute or more for a million), read once for the index, examined once, and deleted.
    """
    with reported_errors(as_json):
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"{folder} is not a folder", code="NOT_A_FOLDER")
        with errors.status(f"a log of {leaves:,} leaves, and every page over it"):
            figures = _measure_apart(leaves, folder)
    if as_json:
        print_json(figures)
        return
    table = Table("page", "first, ms", "then, ms", "bytes", box=None)
    for page in figures.pages:
        table.add_row(page.page, f"{page.first_ms:.0f}", f"{page.cpu_ms:.0f}", f"{page.size:,}")
    console.print(table)
    slowest = max(page.cpu_ms for page in figures.pages)
    once = f"index {figures.index_s:.1f} s, examination {figures.examine_s:.1f} s, a month {figures.report_s:.1f} s"
    console.print(f"{figures.leaves:,} leaves; {once}")
    console.print(f"slowest page {slowest:.0f} ms of processor   goal: {GOAL_MS} or less")


def _measure_apart(leaves: int, folder: Path | None) -> ConsoleBench:
    """Measure in a fresh process. Raises: VerificationFailed if it ends without figures."""
    from federation.console.bench import ConsoleBench  # the console with it, if it is measured

    command = [sys.executable, "-W", "ignore", "-m", "federation.console.bench", str(leaves)]
    command += [] if folder is None else [str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - this interpreter, our own module
    if done.returncode:
        raise VerificationFailed(f"the measuring process ended with {done.returncode}", code="BENCH_FAILED")
    return msgspec.json.decode(done.stdout, type=ConsoleBench)
