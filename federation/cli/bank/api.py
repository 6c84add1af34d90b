"""`credfed bank api`, `api-key` and `labels`: the REST API, who may call it, and what its outcomes teach."""

from __future__ import annotations

import asyncio
import datetime
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.cli.output import BAD_INPUT, console, errors, print_json, quiet_libraries, reported_errors
from federation.local.bank_service import LocalBankService
from federation.local.federation import LocalFederation
from federation.local.layout import FEDERATION_FILE, party_of, read_federation
from federation.process.running import until_signal
from nodes.bank.api.settings import ApiSettings
from nodes.bank.store import api_keys, outcomes
from nodes.bank.store.api_keys import ApiKey, Scope
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.training.labels import write_labelled
from nodes.sources import read_description
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError

DAY = 86_400
keys_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the keys that callers of the REST API need.")
HOME = typer.Argument(metavar="DIR", help="A bank's own folder, or that of a federation that `credfed train` made.")
BankName = Annotated[
    str | None, typer.Option("--bank", help="The bank, where a federation has several; the first by default.")
]
AS_JSON = typer.Option("--json", help="Print one JSON document.")


def api(
    federation: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `credfed train` or `credfed demo` made.")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine only with a certificate.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8440,
    bank: BankName = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key, PEM.")] = None,
    webhook_host: Annotated[
        list[str] | None, typer.Option(help="A host that events may be sent to over HTTPS; may be given several times.")
    ] = None,
    loopback_webhooks: Annotated[
        bool, typer.Option("--loopback-webhooks", help="Let events go to this machine over plain HTTP.")
    ] = False,
    objections: Annotated[
        Path | None, typer.Option(help="Text file with the bank's own notice on objections, for credit reports.")
    ] = None,
) -> None:
    """Serve the bank's REST API over all parties in this process, for trying out.

    The federation's consent service stands for the enterprises: a question without a consent gets one, unless the
    enterprise has withheld it. Callers need a key: `credfed bank api-key create DIR`. The API is described at
    /openapi.json. It stops on SIGTERM or Ctrl-C.
    """
    from nodes.bank.api.serving import ApiAddress, read_notice, serve_api  # a second to load, if it is served

    quiet_libraries()
    with reported_errors(as_json=False):
        address = ApiAddress(host, port, certificate, key)
        address.check()
        home = _bank_home(federation, bank)
        settings = ApiSettings(
            bank=home.name,
            webhook_hosts=frozenset(webhook_host or ()),
            loopback_webhooks=loopback_webhooks,
            objections=read_notice(objections) if objections else "",
        )
        with (
            LocalFederation(federation) as parties,
            closing(LocalBankService(parties, PartyId(home.name), lend_consents=True)) as service,
        ):
            text = f"serving {address.url}   described at {address.url}/openapi.json"
            asyncio.run(until_signal(serve_api(home, address, service, settings, lambda: console.print(text))))


def labels(
    home: Annotated[Path, HOME],
    data: Annotated[Path, typer.Option("--data", help="Folder with domains.json and the bank's own file.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write, CSV; it must not exist.")],
    bank: BankName = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Write the bank's file anew, with outcomes reported over the API as the labels of the next training run.

    A default is 1, a good loan 0, and an indeterminate one is left out; open ones keep their label. Put the file in
    the place of the bank's own in a folder of its own, and give that to `credfed train --data`.
    """
    with reported_errors(as_json), closing(_database(home, bank)) as database:
        today = outcomes.latest_day(int(time.time()))
        reported = database.do(lambda c: outcomes.labels(c, today))
        counts = write_labelled(read_description(data), bank or "", reported, out)
    if as_json:
        print_json(counts)
        return
    console.print(
        f"{counts.rows:,} rows written to {escape(str(out))}: {counts.changed:,} labels changed, {counts.added:,} "
        f"enterprises added, {counts.left_out:,} left out as indeterminate",
        soft_wrap=True,
    )


@keys_app.command()
def create(
    home: Annotated[Path, HOME],
    name: Annotated[str, typer.Option(help="What you call the key: who uses it, and for what.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; may be given several times. All by default.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it is good for; until it is revoked by default.")
    ] = None,
    bank: BankName = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Make an API key and show it, this once: the bank keeps only its hash."""
    with reported_errors(as_json), closing(_database(home, bank)) as database:
        now = int(time.time())
        expires = None if days is None else now + days * DAY
        key, token = database.do(lambda c: api_keys.create(c, name, frozenset(scope or Scope), now, expires))
    if as_json:
        print_json({"key": token} | _shown(key, now))
        return
    console.print(f"[bold]{token}[/]", soft_wrap=True)
    errors.print(f"key {key.id}; may: {', '.join(sorted(key.scopes))}. It is not shown again.", soft_wrap=True)


@keys_app.command("list")
def list_keys(home: Annotated[Path, HOME], bank: BankName = None, as_json: Annotated[bool, AS_JSON] = False) -> None:
    """List all API keys, without what only their holders know."""
    now = int(time.time())
    with reported_errors(as_json), closing(_database(home, bank)) as database:
        found = database.do(api_keys.every)
    if as_json:
        print_json([_shown(key, now) for key in found])
        return
    table = Table(title=f"{len(found)} API keys")
    for heading in ("id", "name", "state", "made", "expires", "may"):
        table.add_column(heading, no_wrap=heading == "id")
    for key in found:
        shown = _shown(key, now)
        expires = str(shown["expires"] or "never")
        table.add_row(
            key.id, escape(key.name), key.state(now), str(shown["created"]), expires, "\n".join(sorted(key.scopes))
        )
    console.print(table)


@keys_app.command()
def revoke(
    home: Annotated[Path, HOME],
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as listed.")],
    bank: BankName = None,
) -> None:
    """Revoke an API key for good, from the next request on. Exit code 2 if there is no such key."""
    with reported_errors(as_json=False), closing(_database(home, bank)) as database:
        known = database.do(lambda c: api_keys.revoke(c, key, int(time.time())))
    if not known:
        errors.print(f"[bold red]error[/] NO_KEY: no API key has the id {escape(key)}")
        raise typer.Exit(BAD_INPUT)
    console.print(f"key {escape(key)} is revoked")


def _shown(key: ApiKey, now: int) -> dict[str, str | list[str] | None]:
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(now),
        "created": _moment(key.created),
        "expires": None if key.expires is None else _moment(key.expires),
        "scopes": sorted(key.scopes),
    }


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="minutes")


def _database(folder: Path, bank: str | None) -> Database:
    """Open a bank's database. Raises: ConfigurationError, codes as `_bank_home`, or BAD_DATABASE."""
    return Database(_bank_home(folder, bank) / DATABASE_FILE)


def _bank_home(folder: Path, bank: str | None) -> Path:
    """Return a bank's own folder, given it or its federation's.

    Raises: ConfigurationError, code NOT_A_FOLDER or UNKNOWN_BANK.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder", code="NOT_A_FOLDER")
    if not (folder / FEDERATION_FILE).is_file():
        return folder
    known = read_federation(folder).bank_parties
    party = next(iter(known)) if bank is None else party_of(bank)
    if party not in known:
        raise ConfigurationError(f"{folder}: no bank {bank} there; known: {', '.join(known)}", code="UNKNOWN_BANK")
    return folder / party
