"""A coordinator's enrolment service in this process, behind its own TLS, and parties with quick keys that ask it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from federation.audit import AuditLog, read_log_signer
from federation.audit.log.keys import add_succession, read_successions
from federation.enrolment.inviting import approve, invite
from federation.enrolment.registrar import Registrar, RegistrarSite
from federation.enrolment.registry import Invitation, Registry
from federation.enrolment.service import EnrolmentService
from federation.local.coordinator_home import found_coordinator
from federation.local.layout import COORDINATOR, witness_name
from federation.local.processes import free_ports
from federation.relay.authority import Issued
from nodes.data_node.settings import NODE_FILE
from nodes.enrolment.founding import found_party
from nodes.enrolment.joining import Joining, open_joining
from nodes.enrolment.settings_text import node_settings_text
from nodes.keystore import read_cards, read_keys, write_roster
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.pins import Pins
from protocols.channel.succession import Lineage
from protocols.enrolment.roster import RosterEntry
from protocols.enrolment.token import Token, parse_token
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from tests.small_federation import KEY_BITS, quick_keys

HOURS = 3600


@dataclass
class Office:
    """A coordinator that takes parties in; `leaves` is what it has logged."""

    home: Path
    registry: Registry
    registrar: Registrar
    service: EnrolmentService
    pins: Pins = field(repr=False)
    address: str
    now: list[int]
    log: AuditLog = field(repr=False)
    leaves: list[tuple[str, dict[str, str | int]]] = field(default_factory=list, repr=False)

    def invite(self, party: str, role: PartyRole = PartyRole.DATA_NODE) -> Token:
        """Invite a party for an hour."""
        invitation = Invitation(PartyId(party), role, party)
        return parse_token(invite(self.home, self.pins, invitation, self.now[0] + HOURS))

    def approve(self, party: str, digits: str) -> None:
        """Approve what was asked, and let the coordinator act on it."""
        approve(self.home, self.pins.cards[COORDINATOR], party, digits)
        self.registrar.reconcile()


def make_office(home: Path) -> Office:
    """Found a coordinator and what serves enrolment, not listening."""
    found_coordinator(home, "127.0.0.1:7443", "127.0.0.1:0", "", KEY_BITS, "test/log")
    pins, now = read_cards(home / "cards"), [int(time.time())]
    log = AuditLog(home / "log.sqlite", read_log_signer(home))
    leaves: list[tuple[str, dict[str, str | int]]] = []

    def record(actor: str, values: dict[str, str | int]) -> None:
        log.append([Leaf(kind=LeafKind.KEY, timestamp_ms=0, actor=actor, attributes=attributes(values))])
        leaves.append((actor, values))

    registry = Registry(home)
    site = RegistrarSite(
        registry=registry,
        pins=pins,
        keys=read_keys(home),
        authority=Issued((home / "tls/authority.pem").read_bytes(), (home / "tls/authority.key").read_bytes()),
        record=record,
        keep=lambda signed: write_roster(home / "cards", signed),
        log=log.keys.log.vkey(),
        key_bits=KEY_BITS,
        certificate_seconds=30 * 86_400,
        clock=lambda: now[0],
        successions=lambda: read_successions(home),
        succeed=partial(add_succession, home),
    )
    registrar = Registrar(site, None, {COORDINATOR: RosterEntry(Lineage(pins.cards[COORDINATOR]))})
    tls = home / "tls" / "enrolment.pem", home / "tls" / "enrolment.key"
    service = EnrolmentService(tls, registry, registrar, lambda: pins.cards[COORDINATOR], 7443, lambda: now[0])
    return Office(home, registry, registrar, service, pins, f"127.0.0.1:{free_ports(1)[0]}", now, log, leaves)


@contextmanager
def listening(office: Office) -> Iterator[None]:
    """Serve in a thread for the time of the block."""
    loop, up = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        async with office.service.serving(office.address):
            up.set()
            await asyncio.Event().wait()

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    task = loop.create_task(serve())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(60)
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def make_party(home: Path, party: str, first_key: int = 0) -> Joining:
    """Found a data node with quick keys; `first_key` makes its Paillier key another than other parties'."""
    with quick_keys(first_key):
        found_party(home, PartyId(party), PartyRole.DATA_NODE, KEY_BITS, witness_name(PartyId(party)))
    text = node_settings_text(party, party, "data", witness_name(PartyId(party)))
    (home / NODE_FILE).write_text(text, encoding="utf-8")
    return open_joining(home, NODE_FILE, witness_name(PartyId(party)))
