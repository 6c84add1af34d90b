"""`credfed audit verify`: the log, recomputed from its leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.cli.audit.logs import judge, report_as_json, show_failure
from federation.cli.output import FAILED, console, print_json, reported_errors


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")],
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Folder with your own copies of log.pub and witnesses.txt.")
    ] = None,
    known: Annotated[
        list[Path] | None, typer.Option("--known", help="File with a note of this log that you hold; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recompute the whole log from its leaves: every hash, the root, every signature, every checkpoint.

    A federation's folder is also held against what each party in it has cosigned. An export is verified offline, from
    its own files. In earnest, bring your own copies of the public keys (--keys), and notes that the parties gave you
    (--known): then nothing at the coordinator needs to be believed.

    Exit code 0 if all holds; 1 naming the first bad leaf if not; 2 if there is no log to verify.
    """
    with reported_errors(as_json):
        report = judge(directory, keys, known or ())
    if as_json:
        print_json(report_as_json(report))
    elif report.failure is None:
        witnessed = f", {report.witnessed_size} of them witnessed" if report.witnessed_size else ""
        console.print(f"[green]ok[/] {report.leaves} leaves{witnessed}, root {report.root.hex()}", soft_wrap=True)
    else:
        show_failure(report)
    if not report.ok:
        raise typer.Exit(FAILED)
