"""`credfed console`: the auditor's console, and who may enter it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from federation.audit.views.auditor_keys import console_key
from federation.cli.audit.console_sources import check_log, sources_of, state_folder
from federation.cli.output import console, errors, print_json, reported_errors
from federation.cli.running import Check, begin, report_check
from federation.console.accounts import Accounts, Role
from federation.console.index import INDEX_FILE, Index
from federation.console.proofs import moment
from federation.console.serving import ConsoleAddress, ConsoleServer, check_listening
from federation.console.settings import CONSOLE_FILE, ConsoleSettings
from federation.console.sources import Sources
from federation.local.layout import ADDRESS_FILE
from federation.process.http import check_http
from federation.process.running import run_service
from federation.process.settings import read_settings
from nodes.clock import system_clock
from protocols.errors import ConfigurationError

app = typer.Typer(help="The auditor's console: the log in a browser, and who may enter.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The coordinator's directory, or an export.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and . _ -")]
State = Annotated[
    Path | None,
    typer.Option(
        "--state", help="The console's own folder: accounts and index. By default DIR/console, or beside an export."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.callback()
def console_app() -> None:
    """The auditor's console: the log in a browser, and who may enter."""


@app.command()
def run(
    directory: Directory,
    port: Annotated[int | None, typer.Option("--port", help="Where to listen.", min=1, max=65_535)] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; beyond this machine only with TLS.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="PEM file, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of the certificate's key.")] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="A name that the console goes by; repeatable.")
    ] = None,
    http: Annotated[
        str | None, typer.Option("--http", help="Where to answer /health and /ready: a port of loopback, unix:PATH.")
    ] = None,
    state: State = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Serve the console: timeline, queries across parties with proofs checked in the page, alarms, witnesses, health.

    DIR is the coordinator's own directory (made by `credfed coordinator init`), also while the coordinator runs; the
    folder of a federation; or an export. DIR/console.yaml may say what the options say: host, port, certificate, key,
    names, http, state. Options go first. --check says what would be served, and whether it could be.

    The console never writes entries but those that say what an auditor looked at. Operators see health and witnesses,
    auditors also entries. Make accounts first: `credfed console add-user`. The first start reads the whole log once, a
    minute or so for a million.

    It stops on Ctrl-C or SIGTERM. Exit code 2 for a folder without a log, wrong settings, an address that is not safe.
    """
    given: dict[str, object] = {"port": port, "host": host, "http": http, "names": tuple(name) if name else None}
    given |= {"certificate": certificate and str(certificate.absolute()), "key": key and str(key.absolute())}
    with reported_errors(as_json):
        read = {known: value for known, value in given.items() if value is not None}
        settings = msgspec.structs.replace(_settings(directory), **read)
        address = settings.address(directory)
        check_http(settings.http)
        home = _home(directory, state)
        sources = sources_of(directory, home)
        if check:
            _report(sources, address, as_json)
            return
        begin()
        _serve(sources, address, settings.http, str(directory))


def _report(sources: Sources, address: ConsoleAddress, as_json: bool) -> None:
    """Say that a console could run, and over what. Raises: ConfigurationError."""
    check_listening(address)
    sources.health()
    with sources.open_log() as log, closing(Accounts(sources.home)) as accounts:
        roles = [one.role for one in accounts.every()]
        facts: dict[str, str | int] = {
            "console": address.url,
            "tls": "yes" if address.certificate else "no: loopback alone",
            "log": sources.name,
            "entries": log.size,
            "looks": "leaves of the log" if sources.looks.logged else "beside the console: this log is a copy",
            "auditors": roles.count(Role.AUDITOR),
            "operators": roles.count(Role.OPERATOR),
        }
    report_check(facts, as_json)


def _serve(sources: Sources, address: ConsoleAddress, http: str, directory: str) -> None:
    from federation.console.app import create_app, make_console  # a second to load, if it is served

    with closing(Accounts(sources.home)) as accounts, closing(Index(sources.home / INDEX_FILE)) as index:
        _read_once(sources, index)
        server = ConsoleServer(create_app(make_console(sources, accounts, index), address.hosts), address)
        (sources.home / ADDRESS_FILE).write_text(f"{address.url}\n", encoding="utf-8")
        errors.print(f"the console is at [bold]{address.url}[/]", soft_wrap=True)
        if not accounts.every():
            errors.print(f"nobody may enter yet: credfed console add-user {escape(directory)} NAME --role auditor")
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
        Path | None,
        typer.Option("--auditor", metavar="FILE", help="The auditor's console.key, or its folder."),
    ] = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Make an account, and print the token with which its owner sets a password: once, within 24 hours.

    The token is shown this one time. Hand it over by another way than the name.

    An auditor of a coordinator's own log needs a key here, with which each look is signed before it is shown: the file
    console.key of `credfed audit init-auditor`, named with --auditor. It is copied as it is; its passphrase is then the
    password. The auditor's other key, which opens bodies, never comes to this machine.
    """
    with reported_errors(as_json), closing(Accounts(_home(directory, state))) as accounts:
        if auditor is None:
            token = accounts.add(name, role, system_clock())
        else:
            _add_auditor(accounts, name, role, auditor)
    if auditor is None:
        _show_token(name, token, as_json)
    elif as_json:
        print_json({"name": name, "token": None})
    else:
        console.print(f"account {escape(name)}; its password is the passphrase of the auditor's key", soft_wrap=True)


def _add_auditor(accounts: Accounts, name: str, role: Role, folder: Path) -> None:
    owner, _ = console_key(folder)
    if role is not Role.AUDITOR or owner != name:
        raise ConfigurationError(f"{folder} holds the key of auditor {owner}", code="BAD_OPTION")
    accounts.add_auditor(folder, system_clock())


@app.command(name="reset-user")
def reset_user(directory: Directory, name: Name, state: State = None, as_json: AsJson = False) -> None:
    """Take an account's password away, end its sessions, and print a new token to set another."""
    with reported_errors(as_json), closing(Accounts(_home(directory, state))) as accounts:
        token = accounts.reset(name, system_clock())
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


def _settings(directory: Path) -> ConsoleSettings:
    """Return what the directory's console.yaml says, defaults if there is none. Raises: ConfigurationError."""
    path = directory / CONSOLE_FILE
    return read_settings(path, ConsoleSettings) if path.exists() else ConsoleSettings()


def _home(directory: Path, state: Path | None) -> Path:
    """Return the console's own folder. Raises: ConfigurationError if there is no log that it could belong to."""
    check_log(directory)
    return state_folder(directory, _settings(directory).state) if state is None else state
