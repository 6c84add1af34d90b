"""`credfed console`: the auditor's console, and who may enter it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.audit.auditors import auditor_name
from federation.audit.exported import is_export
from federation.audit.keys import SIGNER_FILE, read_log_keys
from federation.audit.location import LOG_FILE, log_location
from federation.cli.audit_alarms import read_rules
from federation.cli.ledgers import open_ledgers, own_entries
from federation.cli.logs import judge, open_log
from federation.cli.output import console, errors, print_json, reported_errors
from federation.cli.running import begin
from federation.cli.viewing import open_desk
from federation.console.accounts import Accounts, Role
from federation.console.app import create_app, make_console, wall_clock
from federation.console.health import Health, coordinator_health, unknown_health
from federation.console.index import INDEX_FILE, Index
from federation.console.look_book import Cards, LocalLookBook, LoggedLookBook
from federation.console.proofs import moment
from federation.console.serving import ConsoleAddress, ConsoleServer
from federation.console.sources import LookBook, Records, Sources
from federation.local.layout import ADDRESS_FILE, CONSOLE
from federation.process.http import check_http
from federation.process.running import run_service
from federation.relay.settings import COORDINATOR_FILE
from nodes.keystore import read_cards
from protocols.errors import ConfigurationError

app = typer.Typer(help="The auditor's console: the log in a browser, and who may enter.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and . _ -")]
State = Annotated[
    Path | None,
    typer.Option(
        "--state", help="The console's own folder: accounts and index. By default DIR/console, or beside an export."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PORT = 8470


@app.callback()
def console_app() -> None:
    """The auditor's console: the log in a browser, and who may enter."""


@app.command()
def run(
    directory: Directory,
    port: Annotated[int, typer.Option("--port", help="Where to listen.", min=1, max=65_535)] = PORT,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; beyond this machine only with TLS.")
    ] = "127.0.0.1",
    certificate: Annotated[Path | None, typer.Option("--certificate", help="PEM file, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of the certificate's key.")] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="A name that the console goes by; repeatable.")
    ] = None,
    http: Annotated[
        str, typer.Option("--http", help="Where to answer /health and /ready: a port of loopback, unix:PATH.")
    ] = "",
    state: State = None,
) -> None:
    """Serve the console: timeline, queries across parties with proofs checked in the page, alarms, witnesses, health.

    It reads the log of a federation's folder, also while the coordinator runs, or an export; it never writes entries
    but those that say what an auditor looked at. Operators see health and witnesses, auditors also entries. Make
    accounts first: `credfed console add-user`. The first start reads the whole log once, a minute or so for a million.

    It stops on Ctrl-C or SIGTERM. Exit code 2 for a folder without a log, or an address that is not safe.
    """
    with reported_errors(as_json=False):
        address = ConsoleAddress(host, port, certificate, key, tuple(name or ()))
        address.check()
        check_http(http)
        sources = _sources(directory, _home(directory, state))
        begin()
        with closing(Accounts(sources.home)) as accounts, closing(Index(sources.home / INDEX_FILE)) as index:
            _read_once(sources, index)
            server = ConsoleServer(create_app(make_console(sources, accounts, index), address.hosts), address)
            (sources.home / ADDRESS_FILE).write_text(f"{address.url}\n", encoding="utf-8")
            errors.print(f"the console is at [bold]{address.url}[/]", soft_wrap=True)
            if not accounts.every():
                errors.print(f"nobody may enter yet: credfed console add-user {directory} NAME --role auditor")
            run_service(server.run, http, sources.home, lambda: server.ready)


def _read_once(sources: Sources, index: Index) -> None:
    with sources.open_log() as log, errors.status("reading the log") as status:
        index.follow(log, lambda done, size: status.update(f"reading the log: {done:,} of {size:,} entries"))


@app.command(name="add-user")
def add_user(
    directory: Directory,
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="auditor: sees entries; operator: sees health and witnesses.")],
    auditor: Annotated[
        Path | None, typer.Option("--auditor", metavar="FOLDER", help="The auditor's folder, of `audit init-auditor`.")
    ] = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Make an account, and print the token with which its owner sets a password: once, within 24 hours.

    The token is shown this one time. Hand it over by another way than the name.

    An auditor of a coordinator's own log needs keys, with which each look is signed before it is shown: make them with
    `credfed audit init-auditor`, and name their folder with --auditor. The key file is copied as it is; its passphrase
    is then the password, and nothing else needs to be set up.
    """
    with reported_errors(as_json), closing(Accounts(_home(directory, state))) as accounts:
        if auditor is None:
            token = accounts.add(name, role, wall_clock())
        else:
            _add_auditor(accounts, name, role, auditor)
    if auditor is None:
        _show_token(name, token, as_json)
    elif as_json:
        print_json({"name": name, "token": None})
    else:
        console.print(f"account {escape(name)}; its password is the passphrase of the auditor's key", soft_wrap=True)


def _add_auditor(accounts: Accounts, name: str, role: Role, folder: Path) -> None:
    if role is not Role.AUDITOR or auditor_name(folder) != name:
        raise ConfigurationError(f"{folder} holds the keys of auditor {auditor_name(folder)}", code="BAD_OPTION")
    accounts.add_auditor(folder, wall_clock())


@app.command(name="reset-user")
def reset_user(directory: Directory, name: Name, state: State = None, as_json: AsJson = False) -> None:
    """Take an account's password away, end its sessions, and print a new token to set another."""
    with reported_errors(as_json), closing(Accounts(_home(directory, state))) as accounts:
        token = accounts.reset(name, wall_clock())
    _show_token(name, token, as_json)


@app.command(name="remove-user")
def remove_user(directory: Directory, name: Name, state: State = None, as_json: AsJson = False) -> None:
    """Remove an account; its sessions end at once. What it looked at stays on record."""
    with reported_errors(as_json), closing(Accounts(_home(directory, state))) as accounts:
        accounts.remove(name)
    if as_json:
        print_json({"removed": name})
    else:
        console.print(f"removed {escape(name)}")


@app.command()
def users(directory: Directory, state: State = None, as_json: AsJson = False) -> None:
    """List the accounts."""
    with reported_errors(as_json), closing(Accounts(_home(directory, state))) as accounts:
        found = accounts.every()
    if as_json:
        print_json([{"name": one.name, "role": one.role, "made": one.made, "ready": one.ready} for one in found])
        return
    table = Table()
    for heading in ("name", "role", "made", "state"):
        table.add_column(heading)
    for one in found:
        waits = f"token good until {moment(one.setup_until)} UTC" if one.setup_until else "no password"
        table.add_row(escape(one.name), one.role.value, moment(one.made), "ready" if one.ready else waits)
    console.print(table if found else "no accounts yet")


def _show_token(name: str, token: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "token": token})
        return
    console.print(f"account {escape(name)}; token, good once within 24 hours:\n\n    {token}\n", soft_wrap=True)
    console.print("Its owner opens /setup in the console and chooses a password.")


def _home(directory: Path, state: Path | None) -> Path:
    """Return the console's own folder. Raises: ConfigurationError if there is no log that it could belong to."""
    if state is not None:
        return state
    if log_location((directory / LOG_FILE).parent).exists:
        return directory / CONSOLE
    if is_export(directory):
        return directory.resolve().with_name(f"{directory.resolve().name}.console")
    raise ConfigurationError(f"there is no audit log at {directory / LOG_FILE}, and no export", code="LOG_UNREADABLE")


def _sources(directory: Path, home: Path) -> Sources:
    with open_log(directory) as log:
        origin = log.keys.log.name
    coordinator = (directory / LOG_FILE).parent
    live = (coordinator / COORDINATOR_FILE).is_file()

    @contextmanager
    def records() -> Iterator[Records]:
        with open_ledgers(directory) as readers:
            yield {party: own_entries(reader) for party, reader in readers.items()}

    def health() -> Health:
        return (
            coordinator_health(coordinator, read_cards(directory / "cards"), wall_clock()) if live else unknown_health()
        )

    return Sources(
        name=origin,
        home=home,
        open_log=lambda: open_log(directory),
        judge=lambda: judge(directory),
        records=records,
        rules=lambda: read_rules(directory, None),
        looks=_look_book(directory, home),
        health=health,
        live=live,
    )


def _look_book(directory: Path, home: Path) -> LookBook:
    """Return where looks are recorded: in the log, where this is the coordinator's own."""
    coordinator = (directory / LOG_FILE).parent
    if not (coordinator / SIGNER_FILE).is_file():
        return LocalLookBook(home, wall_clock)

    def cards() -> Cards:
        return read_cards(directory / "cards").cards

    return LoggedLookBook(lambda: open_desk(directory), cards, read_log_keys(coordinator).log)


if __name__ == "__main__":  # what starts it alone loads no more than it needs
    app()
