"""`credfed audit reconcile`: the log against what nodes and bank have on their own records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.audit import LogReport
from federation.audit.reconciliation.discrepancy import Discrepancy
from federation.audit.reconciliation.reconcile import Reconciliation, reconcile
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import judge, open_log, show_failure
from federation.cli.output import FAILED, console, print_json, reported_errors


def reconcile_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")],
    ledgers: Annotated[
        Path | None, typer.Option("--ledgers", help="Folder of the parties' folders; by default DIR itself.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold every query in the log against what the nodes and the bank have on their own records.

    A query is whole with one REQUEST; a RELEASE of every node and one RESULT, or at least one DENY and no RESULT; and
    one ACK. Each party's own ledger must have exactly what the log says of it, by the hash of the signed message, of
    training runs too: what a coordinator never logged, or logged and never happened, shows here. Run it while no
    assessment and no training is in progress.

    Exit code 0 if everything fits; 1 with what is missing, or if the log itself does not verify; 2 if there is no log.
    """
    with reported_errors(as_json):
        report = judge(directory)
        found = Reconciliation(0, ())
        if report.ok:
            with open_log(directory) as log, open_ledgers(ledgers or directory) as readers:
                found = reconcile(log.leaves(), {party: own_entries(reader) for party, reader in readers.items()})
    if as_json:
        print_json(_reconciliation_as_json(report, found))
    elif report.ok:
        _show_reconciliation(found)
    else:
        show_failure(report)
    if not (report.ok and found.ok):
        raise typer.Exit(FAILED)


def _show_reconciliation(found: Reconciliation) -> None:
    for discrepancy in found.discrepancies:
        what = "run" if discrepancy.code.startswith("TRAIN_STEP") else "query"
        line = f"{what} {discrepancy.query}  [bold red]{discrepancy.code}[/]  {escape(discrepancy.text)}"
        console.print(line, soft_wrap=True)
    parties = ", ".join(found.parties) or "nobody"
    state = "[green]ok[/]" if found.ok else f"[bold red]{len(found.discrepancies)} discrepancies[/]"
    told = f"{found.queries} queries, {found.runs} training runs"
    console.print(f"{state} {told}, held against the records of {escape(parties)}", soft_wrap=True)


class _ReconciliationEntry(msgspec.Struct, frozen=True):
    ok: bool
    log_ok: bool
    queries: int
    runs: int
    parties: tuple[str, ...]
    discrepancies: tuple[Discrepancy, ...]


def _reconciliation_as_json(report: LogReport, found: Reconciliation) -> _ReconciliationEntry:
    ok = report.ok and found.ok
    return _ReconciliationEntry(ok, report.ok, found.queries, found.runs, found.parties, found.discrepancies)
