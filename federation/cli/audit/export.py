"""`credfed audit export`: the log as files that stand on their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.audit.export.writing import export_log
from federation.cli.audit.logs import judge, open_log, report_as_json, show_failure
from federation.cli.audit.viewing import As, leave_leaf
from federation.cli.output import FAILED, console, errors, print_json, reported_errors


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make; it must not exist, or be empty.")],
    as_: As = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verify the log, then write it as files that stand on their own, for an archive or another auditor.

    leaves.jsonl and leaves.csv hold every leaf in words, proofs.jsonl a proof of each, checkpoint.txt the witnessed
    checkpoint, manifest.json the hashes of all files. `credfed audit verify OUT` then needs nothing else, and search,
    show and reconcile read it too. Exit code 1 if the log does not verify; nothing is then written.
    """
    with reported_errors(as_json):
        report = judge(directory)
        if report.ok:
            if as_ is not None:
                with open_log(directory) as log:
                    leave_leaf(directory, as_, "export", {}, log, log.size)
                report = judge(directory)  # the export holds the leaf that says so
            with errors.status("writing") as status:
                manifest = export_log(
                    directory, out, report, lambda index: status.update(f"leaf {index}") if index % 5000 == 0 else None
                )
    if not report.ok:
        print_json(report_as_json(report)) if as_json else show_failure(report)
        raise typer.Exit(FAILED)
    if as_json:
        print_json(manifest)
    else:
        console.print(f"[green]written[/] {manifest.leaves} leaves to {escape(str(out))}", soft_wrap=True)
