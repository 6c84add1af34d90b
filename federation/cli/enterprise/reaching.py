"""How an enterprise's commands reach the coordinator: over HTTPS, or a federation's folder on this machine."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from federation.audit import read_log_keys
from federation.audit.log.keys import read_successions
from federation.local.deployed.enterprises import desk_of
from federation.local.deployed.flower import LOOPBACK
from federation.local.deployed.members import placement_of
from federation.local.deployed.status import read_status
from federation.local.federation import LocalFederation
from federation.local.layout import COORDINATOR
from nodes.enterprise.fetching import EnterpriseClient, Reach
from nodes.enterprise.home import AUTHORITY_FILE, read_facts, read_identity
from nodes.enterprise.https import over_https
from nodes.keystore import read_cards, read_roster, write_roster
from protocols.channel.pins import Pins
from protocols.enrolment.roster import pin_next
from protocols.enterprise.asking import Trust
from protocols.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Reached:
    """An enterprise's client that reaches the coordinator."""

    client: EnterpriseClient
    trust: Trust
    clock: Callable[[], int]


@contextmanager
def reached(home: Path, federation: Path | None) -> Iterator[Reached]:
    """Yield the client of the enterprise in `home`: to `federation`, or to the coordinator that it has noted.

    Raises: ConfigurationError, code NO_COORDINATOR if there is neither; as the client for what it then does.
    """
    newer = () if federation is None else read_successions(federation / COORDINATOR)
    identity = read_identity(home)
    trust = Trust(pinned_by(home, federation), read_log_keys(home, also=newer))
    address = read_facts(home).coordinator
    if federation is None and not address:
        raise ConfigurationError(f"{home}: no coordinator is noted; name a --federation", code="NO_COORDINATOR")

    def client(reach: Reach) -> Reached:
        return Reached(EnterpriseClient(identity, trust, reach, _now, secrets.token_bytes), trust, _now)

    if federation is not None and read_status(federation) is None:
        with LocalFederation(federation) as parties:
            yield client(parties.serve_enterprise)
        return
    authority = home / AUTHORITY_FILE
    url = address if federation is None else desk_of(federation)
    place = LOOPBACK if federation is None else placement_of(federation)
    with place.inside(COORDINATOR), over_https(url, authority if authority.exists() else None) as reach:
        yield client(reach)


def pinned_by(home: Path, federation: Path | None) -> Pins:
    """Return what the enterprise in `home` has pinned, brought up to the federation's roster, if it follows from that.

    Raises: ConfigurationError; VerificationFailed for a roster that another coordinator signed, or with other keys.
    """
    pins = read_cards(home / "cards")
    newest = None if federation is None else read_roster(federation / "cards")
    if newest is not None and newest.roster.sequence > pins.sequence:
        pin_next(pins, newest)
        write_roster(home / "cards", newest)
    return pins


def _now() -> int:
    return int(time.time())
