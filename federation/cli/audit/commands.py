"""`credfed audit`: what an auditor asks of the log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.audit import LogReport
from federation.audit.export.writing import export_log
from federation.audit.reading.records import LeafRecord, describe
from federation.audit.reading.search import search
from federation.audit.reconciliation.discrepancy import Discrepancy
from federation.audit.reconciliation.reconcile import Reconciliation, reconcile
from federation.cli.audit.alarms import alarms
from federation.cli.audit.bodies import init_auditor, open_command
from federation.cli.audit.criteria import read_criteria
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import judge, open_log, show_failure
from federation.cli.audit.objections import objections
from federation.cli.audit.report import report_command
from federation.cli.audit.show import show
from federation.cli.audit.shred import retain, shred
from federation.cli.audit.viewing import As, leave_leaf
from federation.cli.output import FAILED, console, errors, print_json, reported_errors

app = typer.Typer(help="Read and verify the audit log.", no_args_is_help=True)
app.command()(alarms)
app.command(name="report")(report_command)
app.command()(show)
app.command(name="init-auditor")(init_auditor)
app.command(name="open")(open_command)
app.command()(shred)
app.command()(retain)
app.command()(objections)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def audit() -> None:
    """Read and verify the audit log."""


@app.command()
def verify(
    directory: Directory,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Folder with your own copies of log.pub and witnesses.txt.")
    ] = None,
    known: Annotated[
        list[Path] | None, typer.Option("--known", help="File with a note of this log that you hold; repeatable.")
    ] = None,
    as_json: AsJson = False,
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
        print_json(_report_as_json(report))
    elif report.failure is None:
        witnessed = f", {report.witnessed_size} of them witnessed" if report.witnessed_size else ""
        console.print(f"[green]ok[/] {report.leaves} leaves{witnessed}, root {report.root.hex()}", soft_wrap=True)
    else:
        show_failure(report)
    if not report.ok:
        raise typer.Exit(FAILED)


@app.command(name="search")
def search_command(
    directory: Directory,
    since: Annotated[str, typer.Option(help="From this time on: 2026-03-01 or 2026-03-01T08:30, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Up to this time; a day is included whole.")] = "",
    bank: Annotated[str, typer.Option(help="Queries and training runs of this bank, all their leaves.")] = "",
    purpose: Annotated[str, typer.Option(help="Such as assessment.")] = "",
    kind: Annotated[list[str] | None, typer.Option(help="REQUEST, RELEASE, DENY, RESULT, ACK …; repeatable.")] = None,
    decision: Annotated[str, typer.Option(help="RELEASE, DENY, or a bank's ACCEPTED, REJECTED, DENIED.")] = "",
    model: Annotated[str, typer.Option(help="Beginning of a model's hash: queries with it.")] = "",
    actor: Annotated[str, typer.Option(help="Who acted: a bank, a node, the coordinator.")] = "",
    tag: Annotated[str, typer.Option(help="An enterprise's tag: questions and batches about it.")] = "",
    consent: Annotated[
        str, typer.Option(help="Beginning of a consent's handle: its leaves, all that was asked under it.")
    ] = "",
    as_: As = None,
    as_json: AsJson = False,
) -> None:
    """List the leaves that match all the options given, in the order of the log.

    A leaf says who did what, when, for which purpose and under which policy; never a score, a feature or the code of
    an enterprise. Search reads what is there and verifies nothing: run `credfed audit verify` first, or `show` for one
    leaf with its proof. A tag is a bank's own name for an enterprise, 64 hexadecimal digits, as leaves show it: it
    finds single questions and the batches that hold it, as a consent's handle does those that showed it. Exit code 0
    also if nothing matches; 2 for a bad option or no log.

    Examples: `search DIR --kind DENY --since 2026-03-01` · `search DIR --bank bank --decision REJECTED --json`
    """
    with reported_errors(as_json):
        criteria = read_criteria(since, until, kind or [], actor, bank, purpose, decision, model, tag, consent)
        with open_log(directory) as log:
            if as_ is not None:  # on record before anything is shown
                entries = sum(1 for _ in search(log.leaves(), criteria))
                leave_leaf(directory, as_, "search", criteria.told(), log, entries)
            found = (describe(logged) for logged in search(log.leaves(), criteria))
            count = _stream_json(found) if as_json else _list(found)
    if not as_json:
        errors.print(f"{count} leaves")


def _stream_json(records: Iterable[LeafRecord]) -> int:
    """Print one JSON list, a leaf at a time."""
    out, count = sys.stdout.buffer, 0
    for record in records:
        out.write((b"[\n" if count == 0 else b",\n") + msgspec.json.encode(record))
        count += 1
    out.write(b"\n]\n" if count else b"[]\n")
    out.flush()
    return count


def _list(records: Iterable[LeafRecord]) -> int:
    count = 0
    for record in records:
        text = f"{record.index:>8}  {record.time}  {record.kind:<10}  {record.sentence}"
        console.print(escape(text), soft_wrap=True)
        count += 1
    return count


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make; it must not exist, or be empty.")],
    as_: As = None,
    as_json: AsJson = False,
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
        print_json(_report_as_json(report)) if as_json else show_failure(report)
        raise typer.Exit(FAILED)
    if as_json:
        print_json(manifest)
    else:
        console.print(f"[green]written[/] {manifest.leaves} leaves to {escape(str(out))}", soft_wrap=True)


@app.command(name="reconcile")
def reconcile_command(
    directory: Directory,
    ledgers: Annotated[
        Path | None, typer.Option("--ledgers", help="Folder of the parties' folders; by default DIR itself.")
    ] = None,
    as_json: AsJson = False,
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


def _report_as_json(report: LogReport) -> dict[str, str | int | bool | None]:
    failure = report.failure
    return {
        "ok": report.ok,
        "origin": report.origin,
        "leaves": report.leaves,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "cosignatures": report.cosignatures,
        "witnessed_size": report.witnessed_size,
        "first_bad_leaf": report.first_bad_leaf,
        "code": failure.code if failure else None,
        "reason": failure.reason if failure else None,
    }
