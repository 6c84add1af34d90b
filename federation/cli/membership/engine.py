"""`credfed coordinator superlink`, `node supernode`, `bank supernode`: Flower's processes, from a party's directory."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.output import errors, reported_errors
from federation.cli.running import Home, begin, settings_path
from federation.flower.engine import environment
from federation.flower.keeping import SUPERLINK, Engine, SuperLinkKeeper
from federation.local.deployed.other_user import as_user, can_change_user
from federation.process.settings import read_settings
from federation.relay.authority import Issued
from federation.relay.certificate import AUTHORITY_KEY_FILE
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.data_node.settings import NODE_FILE, NodeSettings
from nodes.enrolment.founding import SUPERNODE
from nodes.further_keys import SUPERNODE_KEY
from nodes.keystore import read_keys, replace_file
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError

RUNTIME_SOCKET = "runtime.sock"
USUAL_USER = 61_000
USUAL_PORT = 7441

Address = Annotated[
    str,
    typer.Option("--superlink", help="HOST:PORT of the SuperLink; by default the coordinator's host, port 7441."),
]
User = Annotated[
    int, typer.Option("--user", help="User id that the SuperNode runs as, where root starts it.", min=1, max=1 << 31)
]


def superlink(
    home: Home,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Where SuperNodes dial.", min=1, max=65_535)] = USUAL_PORT,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="A host name or address by which they dial; repeatable.")
    ] = None,
) -> None:
    """Run Flower's SuperLink for the coordinator in DIR: it carries training, and can read none of it.

    The running coordinator tells it the SuperNodes of the roster, each by the key that its party has signed, and who is
    enrolled later, within seconds. From other machines it serves the Fleet API alone. It stops on SIGTERM or Ctrl-C.

    Example: credfed coordinator superlink /srv/coordinator --host 0.0.0.0 --name credit.example.cn
    """
    with reported_errors(as_json=False):
        settings = read_settings(settings_path(home, COORDINATOR_FILE), CoordinatorSettings)
        if not settings.flower or (home / settings.flower).resolve() != (home / SUPERLINK / "home").resolve():
            raise ConfigurationError(f"{home / COORDINATOR_FILE}: flower is not {SUPERLINK}/home", code="BAD_SETTINGS")
        tls = home / "tls"
        authority = Issued((tls / "authority.pem").read_bytes(), (home / AUTHORITY_KEY_FILE).read_bytes())
        begin()
        engine = Engine((home / SUPERLINK).resolve(), host, port, tuple(name or ()))
        keeper = SuperLinkKeeper(engine, authority, PartyId(read_keys(home).party))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: keeper.stop())
        code = keeper.keep()
    if code:
        raise typer.Exit(1)


def node_supernode(home: Home, superlink: Address = "", user: User = USUAL_USER) -> None:
    """Run the SuperNode of the data node in DIR: it relays training between the SuperLink and the node's socket.

    It executes what the coordinator's SuperLink sends, so it owns nothing but its key, in DIR/supernode. Started by
    root it runs as a user of its own, who can enter that folder alone; otherwise this separation does not exist. It
    listens on no port, and stops on SIGTERM or Ctrl-C.

    Example: credfed node supernode /srv/tax --superlink credit.example.cn:7441
    """
    with reported_errors(as_json=False):
        settings = read_settings(settings_path(home, NODE_FILE), NodeSettings)
        _become_supernode(home, settings.door, superlink or _beside(settings.coordinator.address), user)


def bank_supernode(home: Home, superlink: Address = "", user: User = USUAL_USER) -> None:
    """Run the SuperNode of the bank in DIR: as `credfed node supernode`; `credfed train` serves its socket."""
    with reported_errors(as_json=False):
        settings = read_settings(settings_path(home, BANK_FILE), BankSettings)
        _become_supernode(home, settings.door, superlink or _beside(settings.coordinator.address), user)


def _become_supernode(home: Path, door: str, superlink: str, user: int) -> None:
    """Make the SuperNode's own folder, and become its process. Raises: ConfigurationError, OSError."""
    folder, socket = (home / SUPERNODE).resolve(), (home / door).resolve()
    if not door or socket.parent != folder:
        raise ConfigurationError(f"{home}: door is not a socket in supernode/", code="NO_DOOR")
    for made in (folder, folder / "home"):
        made.mkdir(mode=0o700, exist_ok=True)
    key = folder / SUPERNODE_KEY
    replace_file(key, (home / SUPERNODE_KEY).read_bytes())
    shutil.copyfile(home / "tls" / "authority.pem", folder / "authority.pem")
    command: tuple[str, ...] = (
        *(sys.executable, "-m", "nodes.flower_node", str(folder / RUNTIME_SOCKET), "--superlink", superlink),
        *("--root-certificates", str(folder / "authority.pem"), "--auth-supernode-private-key", str(key)),
        *("--node-config", f'door="{socket}"'),
    )
    if can_change_user():
        for path in (folder, folder / "home", key):
            os.chown(path, user, user)
        command = as_user(user, command, folder)
    else:
        errors.print("[yellow]not root: the SuperNode is this user's, and can read what this user can[/]")
    os.chdir(folder)
    os.execvpe(command[0], command, environment(folder / "home"))  # noqa: S606


def _beside(address: str) -> str:
    return f"{address.rpartition(':')[0]}:{USUAL_PORT}"
