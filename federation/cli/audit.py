"""`credfed audit`: what an auditor asks of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.audit import LogReport, verify_directory
from federation.cli.output import FAILED, console, print_json, reported_errors

app = typer.Typer(help="Read and verify the audit log.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Read and verify the audit log."""


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Recompute the whole log from its leaves: every hash, the root, every signature, every checkpoint.

    Exit code 0 if all holds; 1 naming the first bad leaf if not; 2 if there is no log to verify.
    """
    with reported_errors(as_json):
        report = verify_directory(directory)
    if as_json:
        print_json(_as_json(report))
    elif report.failure is None:
        console.print(f"[green]ok[/] {report.leaves} leaves, root {report.root.hex()}", soft_wrap=True)
    else:
        failure = report.failure
        console.print(f"[bold red]BROKEN[/] at leaf {failure.leaf} ({failure.code}): {failure.reason}", soft_wrap=True)
    if not report.ok:
        raise typer.Exit(FAILED)


def _as_json(report: LogReport) -> dict[str, str | int | bool | None]:
    failure = report.failure
    return {
        "ok": report.ok,
        "origin": report.origin,
        "leaves": report.leaves,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "cosignatures": report.cosignatures,
        "first_bad_leaf": report.first_bad_leaf,
        "code": failure.code if failure else None,
        "reason": failure.reason if failure else None,
    }
