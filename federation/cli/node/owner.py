"""`credfed node stop-answering`, `resume` and `log`: the owner's hand on its own node, with nobody else's help."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.cli.output import console, print_json, reported_errors
from nodes.data_node.stop_switch import StopSwitch
from nodes.ledger import ledger_location
from nodes.ledger.owner_view import Event, EventKind, Selection, owner_view
from protocols.errors import ConfigurationError

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The node's own directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]
LIMIT = 100


def stop_answering(
    home: Home,
    reason: Annotated[str, typer.Option("--reason", help="A note for yourself; nobody else sees it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let nothing more leave the node: no answer, no sum of a training run, not even a repeated answer.

    Takes effect at the next release, whether the node is running or not and whether the coordinator is up or not: it
    writes the file STOP into DIR, which `touch DIR/STOP` does as well. Banks are told NODE_STOPPED, not why.
    """
    with reported_errors(as_json):
        switch = _switch(home)
        with _writing(switch):
            switch.stop(reason or f"stopped at {_moment(int(time.time()))}")
    _report(switch, as_json)


def resume(home: Home, as_json: AsJson = False) -> None:
    """Let a stopped node answer again, by its policy."""
    with reported_errors(as_json):
        switch = _switch(home)
        with _writing(switch):
            switch.resume()
    _report(switch, as_json)


def log(
    home: Home,
    bank: Annotated[str, typer.Option("--bank", help="Only what this bank asked for.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only what is about this enterprise.")] = "",
    kind: Annotated[EventKind | None, typer.Option("--kind", help="Only this kind.")] = None,
    released: Annotated[bool, typer.Option("--released", help="Only what left.")] = False,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was denied.")] = False,
    since: Annotated[str, typer.Option("--since", help="From this day or time on (ISO 8601, UTC).")] = "",
    until: Annotated[str, typer.Option("--until", help="Before this day or time (ISO 8601, UTC).")] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most so many, the latest.", min=1)] = LIMIT,
    as_json: AsJson = False,
) -> None:
    """Show what left the node, when, for whom and under which rule, and what it denied and why.

    Read from the node's own ledger alone, while the node runs or not; the coordinator is not asked. `credfed audit
    reconcile` holds the same ledger against the coordinator's log.
    """
    with reported_errors(as_json):
        decision = {(True, False): "RELEASE", (False, True): "DENY"}.get((released, denied), "")
        chosen = Selection(bank, subject, kind.value if kind else "", decision, _seconds(since), _seconds(until))
        _switch(home)
        with owner_view(ledger_location(home)) as view:
            events, counts = view.events(chosen, limit), view.count(chosen)
    if as_json:
        print_json({"counts": counts, "events": events})
        return
    _show(events, counts)


def _switch(home: Path) -> StopSwitch:
    if not home.is_dir():
        raise ConfigurationError(f"{home} is not a folder", code="NOT_A_FOLDER")
    return StopSwitch(home)


@contextmanager
def _writing(switch: StopSwitch) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{switch.path}: {error.strerror}", code="NOT_WRITABLE") from error


def _report(switch: StopSwitch, as_json: bool) -> None:
    reason = switch.reason()
    if as_json:
        print_json({"stopped": reason is not None, "reason": reason})
    elif reason is None:
        console.print("the node [green]answers[/], by its policy")
    else:
        console.print(f"the node [red]is stopped[/]: {escape(reason)}", soft_wrap=True)


def _seconds(text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r}: no day or time of ISO 8601", code="BAD_TIME") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _show(events: list[Event], counts: dict[str, int]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("when (UTC)", no_wrap=True)
    for heading in ("what", "bank", "about", "decision", "rule, or step"):
        table.add_column(heading, overflow="fold")
    for event in events:
        decided = "[green]released[/]" if event.decision == "RELEASE" else f"[red]denied[/] {event.code}"
        why = f"{event.rule}: {event.step}, {event.leak}" if event.kind is EventKind.TRAINING else event.rule
        about = event.subject or ("sums over many" if event.kind is EventKind.TRAINING else "a whole batch")
        table.add_row(_moment(event.at), event.kind, escape(event.bank), escape(about), decided, escape(why))
    if events:
        console.print(table)
    total = sum(counts.values())
    console.print(
        f"{counts.get('RELEASE', 0)} released, {counts.get('DENY', 0)} denied"
        + (f"; the latest {len(events)} of {total} shown" if total > len(events) else "")
    )
