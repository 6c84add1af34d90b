"""`credfed audit objections`: what enterprises object to, who must decide, and how many days are left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from federation.audit.reading.objections import LoggedObjection, ObjectionState, read_objections
from federation.cli.audit.logs import judge, open_log, show_failure
from federation.cli.output import FAILED, console, print_json, reported_errors
from protocols.enterprise.objections import OBJECTION_DAYS

OPEN = (ObjectionState.PENDING, ObjectionState.OVERDUE)


def objections(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")],
    pending: Annotated[bool, typer.Option("--pending", help="Only those that are not decided.")] = False,
    days: Annotated[
        int, typer.Option("--days", help="The days in which a node decides.", min=1, max=366)
    ] = OBJECTION_DAYS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the objections of enterprises with the days that are left, from a log that verifies.

    An objection stands once for each node that must decide it. The enterprise is a pseudonym, that of its key; what it
    wrote is sealed to the nodes. Days are calendar days from the objection's leaf.

    Exit code 0; 1 if one is overdue, or if the log does not verify; 2 if there is no log.
    """
    with reported_errors(as_json):
        report = judge(directory)
        found: tuple[LoggedObjection, ...] = ()
        if report.ok:
            with open_log(directory) as log:
                found = read_objections(log.leaves(), round(time.time() * 1000), days)
    overdue = [one for one in found if one.state is ObjectionState.OVERDUE]
    shown = tuple(one for one in found if one.state in OPEN) if pending else found
    if as_json:
        print_json(_ObjectionsEntry(report.ok and not overdue, report.ok, shown))
    elif report.ok:
        _show(shown, len(overdue))
    else:
        show_failure(report)
    if overdue or not report.ok:
        raise typer.Exit(FAILED)


class _ObjectionsEntry(msgspec.Struct, frozen=True):
    ok: bool
    log_ok: bool
    objections: tuple[LoggedObjection, ...]


def _show(found: tuple[LoggedObjection, ...], overdue: int) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("objection", "node", "ground", "filed", "state", "days left"):
        table.add_column(heading, overflow="fold")
    for one in found:
        state = f"[bold red]{one.state}[/]" if one.state is ObjectionState.OVERDUE else str(one.state)
        left = "" if one.days_left is None else str(one.days_left)
        late = " (late)" if one.late and one.days_left is None else ""
        table.add_row(one.objection[:12], escape(one.node), escape(one.ground), one.filed[:10], f"{state}{late}", left)
    if found:
        console.print(table)
    console.print(f"{len(found)} objections" + (f", [bold red]{overdue} overdue[/]" if overdue else ""))
