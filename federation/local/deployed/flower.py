"""Flower's engine for the federation of a folder: keys and certificates, and how its processes are started.

A SuperNode executes what the SuperLink sends it. So it has a folder of its own, with nothing of its party's but the
socket of the agent; run by root, it also has a user of its own, who can enter no other folder of the federation.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from federation.enrolment.supernodes import STATEMENTS, SUPERNODES, write_supernode_keys
from federation.flower.admitted import admit
from federation.flower.engine import environment, write_connection
from federation.flower.keeping import register_command, superlink_command
from federation.local.deployed.namespaces import Loopback, Placement
from federation.local.deployed.other_user import as_user, can_change_user
from federation.local.layout import COORDINATOR, SUPERNODE, read_federation
from federation.local.services import AGENT_SOCKET, read_authority
from federation.relay.authority import LOCALHOST, Issued, issue
from nodes.keystore import ROSTER_FILE, read_keys, read_roster
from protocols.channel.identity import PartyId
from protocols.channel.wire import encode
from protocols.enrolment.roster import sign_other_keys

LOOPBACK: Final = Loopback()
FLOWER: Final = "flower"
SUPERLINK: Final = "superlink"
RUNTIME_SOCKET: Final = "runtime.sock"
CERTIFICATE_DAYS: Final = 30
FIRST_USER: Final = 61_000


@dataclass(frozen=True, slots=True)
class Command:
    """How one process is started."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


def flower_parties(folder: Path) -> list[PartyId]:
    """Return the parties that have a SuperNode: the banks and the data nodes, in order."""
    file = read_federation(folder)
    return [*file.bank_parties, *sorted(file.node_parties)]


def agent_socket(folder: Path, party: PartyId) -> Path:
    """Return where a party's agent takes what its SuperNode relays."""
    return folder / AGENT_SOCKET.format(party)


def equip_flower(folder: Path, port: int, placement: Placement = LOOPBACK) -> None:
    """Make the folders, keys and certificates of SuperLink and SuperNodes. Raises: ConfigurationError, OSError."""
    authority = read_authority(folder)
    data = folder / read_federation(folder).data
    if data.resolve().is_relative_to(folder.resolve()):
        data.chmod(0o700)
    now = datetime.datetime.now(datetime.UTC)
    superlink = folder / FLOWER / SUPERLINK
    superlink.mkdir(parents=True, exist_ok=True)
    for passage in (folder, folder / FLOWER):  # others may pass through to what is theirs, and see nothing on the way
        passage.chmod(0o711)
    superlink.chmod(0o700)
    addresses = sorted({LOOPBACK.coordinator, placement.coordinator})  # Flower's own processes go by the address
    issued = issue(authority, COORDINATOR, now, CERTIFICATE_DAYS, LOCALHOST, addresses)
    _write_tls(superlink, issued, authority)
    home = superlink / "home"
    ca = superlink / "authority.pem"
    write_connection(home, f"{LOCALHOST}:{port}", ca)
    statements = folder / COORDINATOR / STATEMENTS
    statements.mkdir(exist_ok=True)
    for number, party in enumerate(flower_parties(folder)):
        _equip_supernode(folder / FLOWER / party, authority, _user(number))
        public = (folder / FLOWER / party / "supernode.pub").read_text(encoding="ascii").strip()
        (statements / party).write_bytes(encode(sign_other_keys(read_keys(folder / party), supernode=public)))


def superlink(folder: Path, port: int, placement: Placement = LOOPBACK) -> Command:
    """Return how the SuperLink is started: state in SQLite, TLS, only registered SuperNodes."""
    home = folder / FLOWER / SUPERLINK
    arguments = superlink_command(home, _everywhere(placement), port)
    command = placement.command(COORDINATOR, arguments)
    return Command(SUPERLINK, command, environment(home / "home"), home)


def runtime_socket(folder: Path, party: PartyId) -> Path:
    """Return where a party's SuperNode serves its own app processes."""
    return folder / FLOWER / party / RUNTIME_SOCKET


def supernode(folder: Path, party: PartyId, superlink_port: int, placement: Placement = LOOPBACK) -> Command:
    """Return how a party's SuperNode is started: it dials the SuperLink, and listens on no port."""
    home = folder / FLOWER / party
    arguments = (
        *(sys.executable, "-m", "nodes.flower_node", str(runtime_socket(folder, party))),
        *(
            "--superlink",
            f"{placement.coordinator}:{superlink_port}",
            "--root-certificates",
            str(home / "authority.pem"),
        ),
        *("--auth-supernode-private-key", str(home / "supernode.key")),
        *("--node-config", f'door="{agent_socket(folder, party)}"'),
    )
    user = _user(flower_parties(folder).index(party))
    command = arguments if user is None else as_user(user, arguments, home)
    return Command(f"{SUPERNODE}{party}", placement.command(party, command), environment(home / "home"), home)


def register_supernodes(folder: Path, placement: Placement = LOOPBACK) -> None:
    """Tell the SuperLink each party's SuperNode key that the party has signed in the roster, and admit these.

    Raises: FileNotFoundError before there is a roster; subprocess.CalledProcessError if it does not take one.
    """
    signed = read_roster(folder / "cards")
    if signed is None:
        raise FileNotFoundError(folder / "cards" / ROSTER_FILE)
    files = write_supernode_keys(folder / COORDINATOR / SUPERNODES, signed.roster)
    home = folder / FLOWER / SUPERLINK / "home"
    admit(home, files)
    command = placement.command(COORDINATOR, register_command([f"{party}={path}" for party, path in files.items()]))
    subprocess.run(command, env=environment(home), capture_output=True, text=True, check=True)  # noqa: S603


def _equip_supernode(home: Path, authority: Issued, user: int | None) -> None:
    home.mkdir(exist_ok=True)
    (home / "home").mkdir(exist_ok=True)
    (home / "authority.pem").write_bytes(authority.certificate)
    key = ec.generate_private_key(ec.SECP384R1())
    private, public = home / "supernode.key", home / "supernode.pub"
    if not private.exists():
        private.touch(0o600)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    home.chmod(0o700)
    if user is not None:
        for path in (home, home / "home", private):
            os.chown(path, user, user)


def _write_tls(home: Path, issued: Issued, authority: Issued) -> None:
    (home / "authority.pem").write_bytes(authority.certificate)
    (home / "certificate.pem").write_bytes(issued.certificate)
    (home / "key.pem").touch(0o600)
    (home / "key.pem").write_bytes(issued.key)


def _everywhere(placement: Placement) -> str:
    """Return where the SuperLink listens: on loopback for the coordinator's own tools, and where parties dial."""
    return LOOPBACK.coordinator if placement.coordinator == LOOPBACK.coordinator else "0.0.0.0"  # noqa: S104


def _user(number: int) -> int | None:
    """Return the user that a SuperNode runs as, or None if this process cannot give it one."""
    return FIRST_USER + number if can_change_user() else None
