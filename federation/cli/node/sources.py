"""`credfed node check`: a dry run of a data node's source, for its owner."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.cli.output import FAILED, console, print_json, reported_errors
from federation.local.layout import party_of, read_federation
from federation.process.settings import read_settings
from nodes.data_node.settings import NODE_FILE, NodeSettings
from nodes.sources import read_description
from nodes.sources.checking import SourceReport, check_source
from protocols.errors import ConfigurationError

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The node's own directory.")]


def check(
    home: Home,
    against: Annotated[
        Path | None, typer.Option("--against", help="A file of enterprises, one id a line, to be matched.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Dry-run the node's source: compute its features now and say how good they are. Nothing leaves, nothing is kept.

    Per feature: coverage (rows with a value), validity (values that its unit can have), distinct values. For the whole:
    ids that are valid and not repeated, the age of the newest record, and, with --against, how many of the enterprises
    listed it knows. Exit code 0 if there is nothing to put right, 1 if there is, 2 if the source cannot be read.
    """
    with reported_errors(as_json):
        data, domain = data_of(home)
        wanted = _listed(against) if against is not None else set()
        today = datetime.datetime.now(datetime.UTC).date()
        report = check_source(read_description(data), domain, wanted, today)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report.findings:
        raise typer.Exit(FAILED)


def data_of(home: Path) -> tuple[Path, str]:
    """Return where a node's records are and by which name: by its node.yaml, or by the federation's folder."""
    if (home / NODE_FILE).exists():
        settings = read_settings(home / NODE_FILE, NodeSettings)
        return home / settings.data, settings.source
    folder = home.resolve().parent
    file = read_federation(folder)
    for node in file.nodes:
        if party_of(node) == home.resolve().name:
            return folder / file.data, node
    raise ConfigurationError(f"{home}: no data node's directory", code="NOT_A_NODE")


def _listed(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_FILE") from error


def _show(report: SourceReport) -> None:
    console.print(f"[bold]{escape(report.source)}[/]", soft_wrap=True)
    console.print(
        f"  rows        {report.rows:,}, {report.enterprises:,} enterprises, {report.repeated_ids:,} repeated"
    )
    console.print(f"  valid ids   {report.valid_ids:.1%}")
    if report.newest is not None:
        console.print(f"  freshness   newest record of {report.newest}, {report.age_days} days ago")
    if report.match_rate is not None:
        console.print(f"  match rate  {report.match_rate:.1%} of the enterprises listed")
    table = Table(box=None, pad_edge=False)
    table.add_column("feature", overflow="fold")
    for heading in ("unit", "coverage", "valid", "distinct"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in report.features:
        table.add_row(
            escape(entry.name), entry.unit, f"{entry.coverage:.1%}", f"{entry.valid:.1%}", f"{entry.distinct:,}"
        )
    console.print(table)
    for text in report.findings:
        console.print(f"[red]to put right[/] {escape(text)}", soft_wrap=True)
    if not report.findings:
        console.print("[green]nothing to put right[/]")
