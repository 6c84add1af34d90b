"""The rows of `credfed party list`: who is a party, who asks to be one, who is invited; with the digits to compare."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from federation.enrolment.registry import Registry
from federation.local.layout import COORDINATOR
from protocols.channel.pins import Pins
from protocols.enrolment.comparison import comparison
from protocols.enrolment.roster import SignedRoster


class PartyRow(msgspec.Struct, frozen=True):
    """One party. `digits` stand for its card; for an applicant, for all keys of both sides; `card` in full."""

    party: str
    role: str
    domain: str
    state: str
    digits: str
    card: str = ""


def party_rows(pins: Pins, signed: SignedRoster | None) -> list[PartyRow]:
    """Return all parties as they are pinned."""
    rows = []
    for party, card in sorted(pins.cards.items()):
        entry = None if signed is None else signed.roster.entry(party)
        state = "suspended" if party in pins.suspended else "enrolled"
        name = card.fingerprint()
        domain = "" if entry is None else entry.domain
        rows.append(PartyRow(party, card.role.value, domain, state, comparison(bytes.fromhex(name)), name))
    return rows


def applicant_rows(home: Path, pins: Pins) -> list[PartyRow]:
    """Return who asks to be enrolled at a coordinator."""
    coordinator = pins.cards[COORDINATOR]
    rows = []
    for found in Registry(home).applicants():
        card = found.application.card
        digits = found.application.fingerprint(coordinator)
        rows.append(PartyRow(found.party, card.role.value, found.domain, found.state, digits, card.fingerprint()))
    return rows


def invited_rows(home: Path) -> list[PartyRow]:
    """Return whose invitations can still be used."""
    invited = Registry(home).invited(int(time.time()))
    return [PartyRow(found.party, found.role.value, found.domain, "invited", "") for found, _ in invited]
