"""Makes the parties of a folder ready to run as processes of their own: certificates and a configuration for each.

    OUT/coordinator/   coordinator.yaml; tls/: authority.pem, authority.key (0600), certificate.pem, key.pem (0600)
    OUT/<bank>/        bank.yaml; tls/: authority.pem, certificate.pem, key.pem (0600)
    OUT/<domain>/      node.yaml; tls/ as the bank's

Here one hand makes everybody's keys, as `create_federation` does: for one machine, tests and benchmarks.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import yaml

from federation.local.layout import CONSENT_SERVICE, COORDINATOR, party_of, read_federation, witness_name
from federation.relay.authority import PARTY_DAYS, Issued, create_authority, issue
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings, EnterpriseOptions
from nodes.bank.settings import BANK_FILE, ApiOptions, BankSettings
from nodes.consent_sources import REVOCATIONS_FILE
from nodes.data_node.settings import NODE_FILE, NodeSettings
from nodes.stream.settings import SERVER_NAME, StreamSettings
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError

LIST_FILE: Final = f"../{CONSENT_SERVICE}/{REVOCATIONS_FILE}"
DESK_SOCKET: Final = "desk.sock"
SUPERLINK_HOME: Final = "../flower/superlink/home"
AGENT_SOCKET: Final = "flower/{}/agent.sock"
_AUTHORITY_KEY: Final = "authority.key"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes of one machine listen, all on loopback. Data nodes listen nowhere; 0 means not at all.

    Several banks use ports one after the other. Without a `superlink` nothing is trained over Flower. `host` is the
    address of relay and SuperLink: another one than loopback's where parties have networks of their own.
    """

    relay: int = 7443
    coordinator_http: int = 9443
    bank_http: int = 9444
    superlink: int = 0
    bank_api: int = 0
    enterprises: int = 0
    console: int = 0
    host: str = "127.0.0.1"


def equip(folder: Path, ports: Ports) -> None:
    """Write every party's certificate and configuration; configurations that exist are written anew.

    Raises: ConfigurationError if there is no federation in the folder.
    """
    file = read_federation(folder)
    now = datetime.datetime.now(datetime.UTC)
    authority = _authority(folder, now)
    nodes, banks = file.node_parties, file.bank_parties
    stream = StreamSettings(address=f"{ports.host}:{ports.relay}")
    for party in (COORDINATOR, *banks, *nodes):
        server = SERVER_NAME if party == COORDINATOR else ""
        write_certificate(folder / party / "tls", issue(authority, party, now, PARTY_DAYS, server), authority)
    coordinator = CoordinatorSettings(
        listen=f"{ports.host}:{ports.relay}",
        http=_loopback(ports.coordinator_http),
        key_bits=file.key_bits,
        witnesses={party: witness_name(party) for party in (*nodes, *banks)},
        revocations=LIST_FILE,
        desk=DESK_SOCKET if ports.superlink else "",
        flower=SUPERLINK_HOME if ports.superlink else "",
        enterprises=EnterpriseOptions(_loopback(ports.enterprises)),
    )
    data = _data_from(folder, file.data)
    _write(folder / COORDINATOR / COORDINATOR_FILE, coordinator)
    for number, (party, name) in enumerate(banks.items()):
        http = _loopback(ports.bank_http + number if ports.bank_http else 0)
        api = ApiOptions(listen=_loopback(ports.bank_api + number if ports.bank_api else 0))
        witness = witness_name(party)
        bank = BankSettings(
            coordinator=stream,
            bank=name,
            data=data,
            uscc=file.uscc,
            witness=witness,
            http=http,
            api=api,
            door=_door(party, ports),
        )
        _write(folder / party / BANK_FILE, bank)
    for name, domain in file.nodes.items():
        party = party_of(name)
        node = NodeSettings(
            domain=domain,
            office=name if name != domain else "",
            coordinator=stream,
            data=data,
            witness=witness_name(party),
            revocations=LIST_FILE,
            door=_door(party, ports),
        )
        _write(folder / party / NODE_FILE, node)


def write_certificate(folder: Path, issued: Issued, authority: Issued) -> None:
    """Write a party's certificate and key, and the authority that it trusts. Raises: OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authority.pem").write_bytes(authority.certificate)
    (folder / "certificate.pem").write_bytes(issued.certificate)
    _write_private(folder / "key.pem", issued.key)


def read_authority(folder: Path) -> Issued:
    """Return the authority that the coordinator keeps. Raises: ConfigurationError."""
    tls = folder / COORDINATOR / "tls"
    try:
        return Issued((tls / "authority.pem").read_bytes(), (tls / _AUTHORITY_KEY).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{tls}: no authority there", code="MISSING_KEY") from error


def _authority(folder: Path, now: datetime.datetime) -> Issued:
    tls = folder / COORDINATOR / "tls"
    if (tls / _AUTHORITY_KEY).exists():
        return read_authority(folder)
    tls.mkdir(mode=0o700)
    authority = create_authority(now)
    (tls / "authority.pem").write_bytes(authority.certificate)
    _write_private(tls / _AUTHORITY_KEY, authority.key)
    return authority


def _data_from(folder: Path, data: str) -> str:
    """Return the data's folder as seen from a party's own."""
    return data if Path(data).is_absolute() else str(Path("..") / data)


def _door(party: PartyId, ports: Ports) -> str:
    """Return where a party's agent takes what its SuperNode relays, seen from the party's own directory."""
    return str(Path("..") / AGENT_SOCKET.format(party)) if ports.superlink else ""


def _loopback(port: int) -> str:
    return f"127.0.0.1:{port}" if port else ""


def _write(path: Path, settings: msgspec.Struct) -> None:
    text = yaml.safe_dump(msgspec.to_builtins(settings), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
