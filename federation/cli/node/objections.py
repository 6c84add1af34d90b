"""`credfed node objections`: what an owner must decide, and its decision, signed, on its way to the log."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.cli.output import FAILED, console, print_json, reported_errors
from nodes.data_node.deciding import Deciding, decide_objection
from nodes.keystore import read_cards, read_keys
from nodes.ledger import NodeLedger, StoredObjection, ledger_location, open_node_ledger
from protocols.enterprise.objections import DAY_SECONDS, OBJECTION_SECONDS, Reason, Verdict
from protocols.errors import ConfigurationError

app = typer.Typer(help="Objections of enterprises to your records.", no_args_is_help=True)

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The node's own directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


class NodeObjection(msgspec.Struct, frozen=True, kw_only=True):
    """One objection that this node must decide, or has decided; `days_left` is None then."""

    objection: str
    enterprise: str
    ground: str
    entry: str
    text: str
    filed: str
    days_left: int | None
    repairs: int
    decision: str
    logged: bool


@app.callback()
def objections() -> None:
    """Objections of enterprises to your records: 20 days to decide each."""


@app.command(name="list")
def list_command(
    home: Home,
    pending: Annotated[bool, typer.Option("--pending", help="Only those that are not decided.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the objections that this node must decide, with the enterprise's own words, the oldest first.

    Exit code 1 if one is overdue.
    """
    with reported_errors(as_json), node_ledger(home) as ledger:
        now, me = int(time.time()), read_keys(home).party
        found = [_described(ledger, one, me, now) for one in ledger.objections.contested_by(me)]
    shown = [one for one in found if one.days_left is not None] if pending else found
    print_json(shown) if as_json else _show(shown)
    if any(one.days_left is not None and one.days_left < 1 for one in found):
        raise typer.Exit(FAILED)


@app.command()
def decide(
    home: Home,
    objection: Annotated[str, typer.Argument(metavar="ID", help="The objection, or the beginning of its id.")],
    verdict: Annotated[Verdict, typer.Argument(help="CORRECTED, UPHELD or REJECTED.")],
    reason: Annotated[Reason, typer.Option("--reason", help="Why, by code: it stands in the log.")],
    cards: Annotated[
        Path | None, typer.Option("--cards", help="The federation's cards; by default beside DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide an objection, once and for good.

    CORRECTED needs a repair that names the objection: `credfed node repair` first. The decision is signed with the
    node's key; the coordinator logs it when it next asks, within seconds if the node runs, and the mark then goes.

    Example: credfed node objections decide DIR 2ace755a CORRECTED --reason RECORD_CORRECTED
    """
    with reported_errors(as_json):
        if verdict is Verdict.INADMISSIBLE:
            raise ConfigurationError("INADMISSIBLE is what a node decides by itself", code="BAD_DECISION")
        with node_ledger(home) as ledger:
            keys, pins = read_keys(home), read_cards(cards or home.resolve().parent / "cards")
            found = find_objection(ledger, objection, keys.party)
            deciding = Deciding(keys, pins, ledger, int(time.time()))
            decided = decide_objection(deciding, found, verdict, reason)
    told = {"objection": found.id.hex(), "verdict": verdict.value, "corrections": decided.corrections}
    if as_json:
        print_json(told)
    else:
        console.print(f"[green]decided[/] {found.id.hex()}: {verdict}, {reason}; on its way to the log", soft_wrap=True)


def find_objection(ledger: NodeLedger, beginning: str, node: str) -> StoredObjection:
    """Return the objection that a person means. Raises: ConfigurationError, code UNKNOWN_OBJECTION."""
    found = [one for one in ledger.objections.contested_by(node) if one.id.hex().startswith(beginning.lower())]
    if len(found) != 1:
        text = f"{len(found)} objections that this node decides begin with {beginning!r}"
        raise ConfigurationError(text, code="UNKNOWN_OBJECTION")
    return found[0]


@contextmanager
def node_ledger(home: Path) -> Iterator[NodeLedger]:
    """Yield the ledger of the node in `home`. Raises: ConfigurationError, code BAD_LEDGER."""
    location = ledger_location(home)
    if isinstance(location, Path) and not location.exists():
        raise ConfigurationError(f"{home}: no node's ledger there", code="BAD_LEDGER")
    with closing(open_node_ledger(location)) as ledger:
        yield ledger


def _described(ledger: NodeLedger, one: StoredObjection, me: str, now: int) -> NodeObjection:
    decision = ledger.objections.decision(one.id, me)
    left = -((now - one.filed - OBJECTION_SECONDS) // DAY_SECONDS)
    return NodeObjection(
        objection=one.id.hex(),
        enterprise=one.subject,
        ground=one.ground.value,
        entry=one.entry.hex(),
        text=one.text,
        filed=datetime.datetime.fromtimestamp(one.filed, datetime.UTC).isoformat().replace("+00:00", "Z"),
        days_left=None if decision else left,
        repairs=ledger.repairs.count_for(one.id),
        decision=f"{decision.verdict}, {decision.reason}" if decision else "",
        logged=decision is not None and decision.confirmed,
    )


def _show(found: list[NodeObjection]) -> None:
    for one in found:
        left = (
            "[bold red]overdue[/]" if one.days_left is not None and one.days_left < 1 else f"{one.days_left} days left"
        )
        state = left if one.days_left is not None else f"{one.decision}{'' if one.logged else ', not logged yet'}"
        console.print(f"[bold]{one.objection}[/]  {escape(one.enterprise)}  {one.ground}  {state}", soft_wrap=True)
        about = f"about query {one.entry}" if one.entry else "about no single query"
        console.print(f"    filed {one.filed}, {about}, {one.repairs} repairs", soft_wrap=True)
        for line in one.text.splitlines():
            console.print(f"    [dim]|[/] {escape(line)}", soft_wrap=True)
    console.print(f"{len(found)} objections")
