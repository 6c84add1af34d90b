"""`credfed enterprise`: what an enterprise may ask of a federation of which it is no party: record and objections."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.audit.log.keys import LOG_KEY_FILE, SUCCESSION_FILE, WITNESS_FILE
from federation.cli.enterprise.reaching import Reached, reached
from federation.cli.enterprise.shown import show_record
from federation.cli.output import FAILED, console, errors, print_json, quiet_libraries, reported_errors
from federation.local.layout import COORDINATOR
from nodes.enterprise.home import (
    CARD_FILE,
    CREDENTIAL_FILE,
    EnterpriseFacts,
    create_home,
    keep_receipt,
    read_facts,
    read_receipts,
)
from nodes.enterprise.record import describe
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId
from protocols.enterprise.asking import Grievance
from protocols.enterprise.messages import TEXT_LIMIT
from protocols.enterprise.objections import OBJECTION_DAYS, Ground
from protocols.errors import ConfigurationError

app = typer.Typer(help="An enterprise's own rights: its record, its objections.", no_args_is_help=True)

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The enterprise's own directory.")]
Federation = Annotated[
    Path | None, typer.Option("--federation", help="A federation's folder on this machine; by default its coordinator.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


@app.callback()
def enterprise() -> None:
    """An enterprise's own rights: its record, its objections."""


@app.command()
def create(
    home: Home,
    code: Annotated[str, typer.Argument(metavar="USCC", help="The enterprise's code.")],
    federation: Annotated[
        Path, typer.Option("--federation", help="Folder with the federation's public files: cards, log.pub, witnesses.")
    ],
    coordinator: Annotated[
        str, typer.Option("--coordinator", help="Where it listens for enterprises: https://host:port.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Draw an enterprise's key, and pin the federation's public keys beside it.

    The key stays in DIR. Compare the coordinator's fingerprint, which is printed, by another way than this one. Then
    have the consent service vouch for the key: `credfed consent vouch SERVICE USCC CARD > DIR/credential.jwt`.
    """
    with reported_errors(as_json):
        pins = read_cards(federation / "cards")
        card = create_home(home, EnterpriseFacts(code, coordinator))
        shutil.copytree(federation / "cards", home / "cards", dirs_exist_ok=True)
        for name in (LOG_KEY_FILE, WITNESS_FILE):
            shutil.copyfile(federation / COORDINATOR / name, home / name)
        if (federation / COORDINATOR / SUCCESSION_FILE).exists():
            shutil.copyfile(federation / COORDINATOR / SUCCESSION_FILE, home / SUCCESSION_FILE)
    told = {"pseudonym": card.party, "fingerprint": card.fingerprint(), "card": str(home / CARD_FILE)}
    told["coordinator"] = pins.cards[COORDINATOR].fingerprint()
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        console.print(f"  {name:<12} {escape(value)}", soft_wrap=True)
    console.print(
        f"\nnext: the consent service's word for it, in {escape(str(home / CREDENTIAL_FILE))}", soft_wrap=True
    )


@app.command()
def record(home: Home, federation: Federation = None, as_json: AsJson = False) -> None:
    """Fetch every entry about the enterprise, and verify it: who asked, who answered, which leaf of the log proves it.

    Every data node lists, signed, what it has about the enterprise. Each entry must stand in the log as that node
    answered it, proved under the log's key and the witnesses'; each answer that the log has of a node must be in that
    node's list. A query stays hidden only if all nodes that answered it leave it out.

    Exit code 0 if every node answered and everything fits; 1 if not, or if a proof does not hold; 2 for bad input.
    """
    quiet_libraries()
    with reported_errors(as_json):
        with errors.status("asking every data node") as status, reached(home, federation) as site:
            fetched = site.client.fetch(
                read_receipts(home), on_page=lambda leaves: status.update(f"{leaves} leaves verified")
            )
        found = describe(fetched, read_facts(home).enterprise, site.clock())
    print_json(found) if as_json else show_record(found)
    if not found.ok:
        raise typer.Exit(FAILED)


@app.command(name="object")
def object_command(
    home: Home,
    ground: Annotated[Ground, typer.Option("--ground", help="What is wrong.")],
    entry: Annotated[
        str, typer.Option("--entry", help="The query that it is about: the beginning of its reference in the record.")
    ] = "",
    node: Annotated[
        list[str] | None,
        typer.Option("--node", help="Whose records; repeatable. By default all that answered the entry."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", help="File with your own words, for the nodes that decide alone.")
    ] = None,
    federation: Federation = None,
    as_json: AsJson = False,
) -> None:
    """Object to what nodes have on record, or to how a query used it.

    The objection is logged, by code; your words are sealed to the nodes that decide. They have 20 days, and until then
    every answer about the enterprise says that an objection is pending.

    Example: credfed enterprise object DIR --ground RECORD_WRONG --node tax --text why.txt
    """
    quiet_libraries()
    with reported_errors(as_json):
        words = _words(text)
        with errors.status("filing the objection"), reached(home, federation) as site:
            about, answered = _entry(site, entry) if entry else (b"", ())
            contested = tuple(map(PartyId, node or answered))
            unknown = sorted(set(contested) - set(site.trust.nodes))
            if unknown or not contested:
                known = ", ".join(site.trust.nodes)
                raise ConfigurationError(f"--node: {', '.join(unknown) or 'none'}; known: {known}", code="UNKNOWN_NODE")
            filed = site.client.object(Grievance(ground, contested, about, words))
        keep_receipt(home, filed)
    told = {"objection": filed.objection.hex(), "leaf": filed.leaf, "nodes": list(contested), "days": OBJECTION_DAYS}
    if as_json:
        print_json(told)
    else:
        console.print(
            f"[green]filed[/] objection {filed.objection.hex()}, leaf {filed.leaf} of the log", soft_wrap=True
        )
        console.print(f"  to be decided by {escape(', '.join(contested))} within {OBJECTION_DAYS} days", soft_wrap=True)


def _words(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        words = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as text", code="BAD_TEXT") from error
    if len(words) > TEXT_LIMIT:
        raise ConfigurationError(f"{path}: {len(words)} characters, more than {TEXT_LIMIT}", code="BAD_TEXT")
    return words


def _entry(site: Reached, beginning: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a query by the beginning of its reference, and the nodes that released something for it."""
    found = describe(site.client.fetch(), "", site.clock())
    queries = [query for query in found.queries if query.reference.startswith(beginning.lower())]
    if len(queries) != 1:
        raise ConfigurationError(f"--entry: {len(queries)} entries begin with {beginning!r}", code="UNKNOWN_ENTRY")
    query = queries[0]
    return bytes.fromhex(query.reference), tuple(node for node, did in query.nodes.items() if did == "RELEASE")
