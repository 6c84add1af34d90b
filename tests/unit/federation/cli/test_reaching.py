"""What an enterprise has pinned follows the federation's roster, and nothing that does not lead back to it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from federation.cli.enterprise.reaching import pinned_by
from nodes.keystore import read_cards, write_roster
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.succession import Lineage, endorse
from protocols.enrolment.roster import Roster, RosterEntry, sign_roster
from protocols.errors import VerificationFailed

CENTRE, TAX = PartyId("coordinator"), PartyId("tax")
LATER = 1 << 39


def drawn(party: PartyId, role: PartyRole) -> tuple[PartyKeys, PartyCard]:
    keys = PartyKeys.generate(party, secrets.token_bytes)
    return keys, make_card(keys, role)


def publish(folder: Path, sequence: int, signer: PartyKeys, *lineages: Lineage) -> Path:
    """Write what a federation of these parties publishes."""
    roster = Roster(sequence, 1_000, "log", tuple(RosterEntry(lineage) for lineage in lineages))
    write_roster(folder / "cards", sign_roster(roster, signer))
    return folder


def test_an_enterprise_follows_a_roster_that_leads_back_to_its_own_and_keeps_it(tmp_path: Path) -> None:
    ours, card = drawn(CENTRE, PartyRole.COORDINATOR)
    keys, old = drawn(TAX, PartyRole.DATA_NODE)
    _, new = drawn(TAX, PartyRole.DATA_NODE)
    home = publish(tmp_path / "home", 1, ours, Lineage(card), Lineage(old))
    replaced = Lineage(new, (endorse(keys, old, new, LATER),))
    federation = publish(tmp_path / "federation", 2, ours, Lineage(card), replaced)

    assert pinned_by(home, None).lineage(TAX) == (old,)
    assert pinned_by(home, federation).lineage(TAX) == (new, old)
    assert read_cards(home / "cards").lineage(TAX) == (new, old)  # kept, for when no folder is named
    assert pinned_by(home, federation).sequence == 2


def test_a_roster_of_another_coordinator_or_with_a_key_that_no_pinned_one_has_named_is_refused(tmp_path: Path) -> None:
    ours, card = drawn(CENTRE, PartyRole.COORDINATOR)
    theirs, another = drawn(CENTRE, PartyRole.COORDINATOR)
    _, tax = drawn(TAX, PartyRole.DATA_NODE)
    _, stranger = drawn(TAX, PartyRole.DATA_NODE)
    home = publish(tmp_path / "home", 1, ours, Lineage(card), Lineage(tax))
    for name, signer, centre, office in (("a", theirs, another, tax), ("b", ours, card, stranger)):
        federation = publish(tmp_path / name, 2, signer, Lineage(centre), Lineage(office))
        with pytest.raises(VerificationFailed) as refusal:
            pinned_by(home, federation)
        assert refusal.value.code == "KEY_CHANGED"
        assert read_cards(home / "cards").lineage(TAX) == (tax,)
