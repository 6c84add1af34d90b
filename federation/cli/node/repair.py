"""`credfed node repair`: what an owner puts right in its own records, and what that changes."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.markup import escape

from federation.cli.node.objections import find_objection, node_ledger
from federation.cli.node.sources import data_of
from federation.cli.output import console, print_json, reported_errors
from nodes.features import FeatureTable
from nodes.keystore import read_keys
from nodes.ledger import NodeLedger, Repair, RepairKind
from nodes.sources import read_description, read_node_source
from protocols.errors import ConfigurationError

app = typer.Typer(help="Put records right: corrected values, repaired events.", no_args_is_help=True)

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The node's own directory.")]
Subject = Annotated[str, typer.Argument(metavar="USCC", help="The enterprise whose record it is.")]
Objection = Annotated[
    str, typer.Option("--objection", help="The objection that led to it, or the beginning of its id.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


class Changed(msgspec.Struct, frozen=True):
    """One feature of the enterprise, before and after; None for a value that is not known."""

    feature: str
    before: float | str | None
    after: float | str | None


class Made(msgspec.Struct, frozen=True):
    """A repair that was made, and what it changed."""

    number: int
    what: str
    objection: str
    changed: tuple[Changed, ...]


@app.callback()
def repair() -> None:
    """Put records right: a corrected value takes the place of a feature's, a repaired event leaves the raw records.

    Repairs are kept in the node's ledger and are in force from the next answer on, also at a node that runs.
    """


@app.command()
def value(
    home: Home,
    subject: Subject,
    feature: Annotated[str, typer.Argument(help="The feature.")],
    new: Annotated[str | None, typer.Argument(metavar="VALUE", help="Its right value; none for one not known.")] = None,
    objection: Objection = "",
    as_json: AsJson = False,
) -> None:
    """Put the value of one feature right.

    Example: credfed node repair value OUT/tax 91999999MANLAYN443 late_filing_count 0 --objection 2ace755a
    """
    with reported_errors(as_json):
        made = _make(home, RepairKind.VALUE, subject, feature, {}, {feature: new}, objection)
    _show(made, as_json)


@app.command()
def event(
    home: Home,
    subject: Subject,
    table: Annotated[str, typer.Argument(help="The table of raw records: the name of its Parquet file.")],
    where: Annotated[list[str], typer.Option("--where", help="COLUMN=VALUE that names the event; repeatable.")],
    new: Annotated[
        list[str] | None,
        typer.Option("--set", help="COLUMN=VALUE that is right; without it the event goes."),
    ] = None,
    objection: Objection = "",
    as_json: AsJson = False,
) -> None:
    """Let an event leave the raw records, or put its columns right, before any feature is computed from them.

    Together with the enterprise, what --where says names exactly one row.

    Example: credfed node repair event OUT/electricity 91999999MANLAYN443 bills --where month=2023-05-01
    --set paid_on=2023-06-10
    """
    with reported_errors(as_json):
        change = None if not new else _pairs("--set", new)
        made = _make(home, RepairKind.EVENT, subject, table, _pairs("--where", where), change, objection)
    _show(made, as_json)


@app.command()
def withdraw(
    home: Home,
    number: Annotated[int, typer.Argument(help="The repair, by its number.", min=1)],
    as_json: AsJson = False,
) -> None:
    """Let a repair stand no longer, because the source itself says the same now, or because it was wrong."""
    with reported_errors(as_json), node_ledger(home) as ledger:
        if not ledger.repairs.withdraw(number):
            raise ConfigurationError(f"no repair {number} stands", code="UNKNOWN_REPAIR")
    if as_json:
        print_json({"withdrawn": number})
    else:
        console.print(f"repair {number} is withdrawn")


@app.command(name="list")
def list_command(home: Home, as_json: AsJson = False) -> None:
    """List the repairs that stand."""
    with reported_errors(as_json), node_ledger(home) as ledger:
        found = ledger.repairs.standing()
    if as_json:
        print_json([{"number": r.number, "enterprise": r.subject, "what": r.describe(), "objection": r.objection.hex(),
                     "at": r.at} for r in found])  # fmt: skip
        return
    for one in found:
        day = datetime.datetime.fromtimestamp(one.at, datetime.UTC).date()
        cause = f", objection {one.objection.hex()[:8]}" if one.objection else ""
        line = f"{one.number:>6}  {day}  {one.subject}  {one.describe()}{cause}"
        console.print(escape(line), soft_wrap=True)
    console.print(f"{len(found)} repairs stand")


def _make(
    home: Path,
    kind: RepairKind,
    subject: str,
    place: str,
    event: dict[str, str | None],
    change: dict[str, str | None] | None,
    objection: str,
) -> Made:
    """Record a repair that finds what it names, and return what it changes. Raises: ConfigurationError."""
    data, node = data_of(home)
    description = read_description(data)
    with node_ledger(home) as ledger:
        cause = _cause(ledger, home, objection, subject)
        repair = Repair(kind, subject, place, event, change, int(time.time()), cause)
        standing = ledger.repairs.standing()
        before = read_node_source(description, node, standing)
        after = read_node_source(description, node, [*standing, repair])
        number = ledger.repairs.add(repair)
    return Made(number, repair.describe(), cause.hex(), tuple(_changes(subject, before, after)))


def _cause(ledger: NodeLedger, home: Path, objection: str, subject: str) -> bytes:
    if not objection:
        return b""
    found = find_objection(ledger, objection, read_keys(home).party)
    if found.subject != subject:
        raise ConfigurationError("the objection is another enterprise's", code="UNKNOWN_OBJECTION")
    return found.id


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str | None]:
    """Return what COLUMN=VALUE options say; an empty value is one that is not known."""
    pairs = dict[str, str | None]()
    for text in texts:
        column, equals, told = text.partition("=")
        if not equals or not column:
            raise ConfigurationError(f"{option} {text!r}: COLUMN=VALUE is due", code="BAD_REPAIR")
        pairs[column] = told or None
    return pairs


def _changes(subject: str, before: FeatureTable, after: FeatureTable) -> list[Changed]:
    rows = [table.ids.index(subject) if subject in table.ids else None for table in (before, after)]
    found = []
    for name in before.columns:
        old, new = (
            None if row is None else _plain(table.columns[name][row])
            for table, row in zip((before, after), rows, strict=True)
        )
        if old != new:
            found.append(Changed(name, old, new))
    return found


def _plain(value: object) -> float | str | None:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return None if value is None else str(value)


def _show(made: Made, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    console.print(f"[green]put right[/] repair {made.number}: {escape(made.what)}", soft_wrap=True)
    for one in made.changed:
        console.print(f"  {escape(one.feature)}  {_said(one.before)} → {_said(one.after)}", soft_wrap=True)
    if not made.changed:
        console.print("  [yellow]no feature changes[/]")


def _said(value: float | str | None) -> str:
    return "unknown" if value is None else escape(f"{value:g}" if isinstance(value, float) else value)
