"""`credfed audit search`: the leaves that match, in the order of the log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.audit.reading.records import LeafRecord, describe
from federation.audit.reading.search import search
from federation.cli.audit.criteria import read_criteria
from federation.cli.audit.logs import open_log
from federation.cli.audit.viewing import As, leave_leaf
from federation.cli.output import console, errors, reported_errors


def search_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
