"""An auditor's card in the coordinator's folder becomes a leaf and part of the roster; nothing else that lies there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from federation.enrolment.auditors import AUDITORS_FOLDER, auditor_cards
from federation.enrolment.registrar import Registrar, RegistrarSite
from federation.enrolment.registry import Registry
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.channel.succession import Lineage
from protocols.channel.wire import encode
from protocols.enrolment.roster import RosterEntry, pin_first
from protocols.transparency.notes import VerifierKey

COORDINATOR = PartyId("coordinator")
Leaves = list[tuple[str, str, str]]
LOG = VerifierKey("coordinator.test/log", bytes(range(32))).vkey()


def card(name: str, role: PartyRole) -> PartyCard:
    return make_card(PartyKeys.generate(PartyId(name), secrets.token_bytes), role)


def registrar_of(
    home: Path, keys: PartyKeys, auditors: Callable[[], Sequence[PartyCard]], recorded: Leaves
) -> Registrar:
    """A registrar that so far knows the coordinator alone."""
    ours = make_card(keys, PartyRole.COORDINATOR)
    site = RegistrarSite(
        registry=Registry(home),
        pins=Pins([ours]),
        keys=keys,
        authority=None,
        record=lambda actor, values: recorded.append((actor, str(values["role"]), str(values["step"]))),
        keep=lambda signed: None,
        log=LOG,
        key_bits=2048,
        certificate_seconds=1.0,
        clock=lambda: 1_700_000_000,
        auditors=auditors,
    )
    return Registrar(site, None, {COORDINATOR: RosterEntry(Lineage(ours))})


def test_auditors_and_nobody_else_are_let_in_by_a_card_in_the_folder(tmp_path: Path) -> None:
    keys = PartyKeys.generate(COORDINATOR, secrets.token_bytes)
    recorded: Leaves = []
    registrar = registrar_of(tmp_path, keys, lambda: auditor_cards(tmp_path), recorded)
    assert registrar.reconcile() == []
    folder = tmp_path / AUDITORS_FOLDER
    folder.mkdir()
    chen = card("chen", PartyRole.AUDITOR)
    cards = {
        "chen": encode(chen),
        "bank": encode(card("bank", PartyRole.BANK)),
        "broken": encode(chen)[:-1],
        "empty": b"",
        "coordinator": encode(card("coordinator", PartyRole.AUDITOR)),
    }
    for name, data in cards.items():
        (folder / f"{name}.card").write_bytes(data)
    assert registrar.reconcile() == ["chen"]
    assert registrar.reconcile() == []
    assert recorded == [("chen", "auditor", "enrolled")]
    pinned = pin_first(registrar.roster).cards
    assert set(pinned) == {"coordinator", "chen"}
    assert pinned[PartyId("chen")] == chen
    assert pinned[COORDINATOR].role is PartyRole.COORDINATOR


def test_an_auditor_with_another_partys_key_is_not_let_in(tmp_path: Path) -> None:
    keys = PartyKeys.generate(COORDINATOR, secrets.token_bytes)
    stolen = make_card(PartyKeys.from_bytes(PartyId("mallory"), keys.to_bytes()), PartyRole.AUDITOR)
    recorded: Leaves = []
    registrar = registrar_of(tmp_path, keys, lambda: [stolen], recorded)
    assert registrar.reconcile() == recorded == []
    assert set(registrar.entries) == {"coordinator"}
