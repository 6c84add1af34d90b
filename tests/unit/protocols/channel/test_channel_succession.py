"""A pinned card is replaced by none but the one that it has named, and both are accepted for the overlap alone."""

from __future__ import annotations

import secrets
from dataclasses import replace

import msgspec
import pytest

from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.channel.succession import Lineage, Succession, endorse, verify_lineage
from protocols.errors import VerificationFailed
from protocols.scorecard import messages as m

A, B = PartyId("a"), PartyId("b")
RUN, NOW, UNTIL = bytes(32), 1_000, 2_000


def drawn(party: PartyId, role: PartyRole = PartyRole.DATA_NODE) -> tuple[PartyKeys, PartyCard]:
    keys = PartyKeys.generate(party, secrets.token_bytes)
    return keys, make_card(keys, role)


FIRST, FIRST_CARD = drawn(A)
NEXT, NEXT_CARD = drawn(A)
LAST, LAST_CARD = drawn(A)
OTHER, OTHER_CARD = drawn(B)
LINEAGE = Lineage(NEXT_CARD, (endorse(FIRST, FIRST_CARD, NEXT_CARD, UNTIL),))


def pinned() -> Pins:
    return Pins([FIRST_CARD, OTHER_CARD])


def test_both_cards_sign_and_open_while_they_overlap() -> None:
    pins = pinned()
    pins.take([LINEAGE, Lineage(OTHER_CARD)])
    reader = Channel(OTHER, pins.cards, RUN, pins.signers)
    for keys in (FIRST, NEXT):
        envelope = Channel(keys, pins.cards, RUN).wrap(B, m.ColumnCount("a", 1))
        assert reader.unwrap(envelope, m.ColumnCount).columns == 1
    to_next = Channel(OTHER, {A: NEXT_CARD, B: OTHER_CARD}, RUN).wrap(A, m.ColumnCount("b", 2))
    to_first = Channel(OTHER, {A: FIRST_CARD, B: OTHER_CARD}, RUN).wrap(A, m.ColumnCount("b", 2))
    owner = Channel(replace(NEXT, earlier=(FIRST,)), pins.cards, RUN, pins.signers)
    assert [owner.unwrap(envelope, m.ColumnCount).columns for envelope in (to_next, to_first)] == [2, 2]


def test_a_replaced_key_signs_nothing_after_the_overlap() -> None:
    pins = pinned()
    pins.take([LINEAGE, Lineage(OTHER_CARD)])
    envelope = Channel(FIRST, pins.cards, RUN).wrap(B, m.ColumnCount("a", 1))
    channel = Channel(OTHER, pins.cards, RUN, pins.signers)
    pins.settle(UNTIL - 1)
    channel.verify(envelope)
    pins.settle(UNTIL)
    with pytest.raises(VerificationFailed):
        channel.verify(envelope)
    with pytest.raises(VerificationFailed) as refusal:
        pins.accepted(A, FIRST_CARD.fingerprint())
    assert refusal.value.code == "CARD_UNKNOWN"
    assert pins.named({A: FIRST_CARD.fingerprint()}) == {A: FIRST_CARD}


@pytest.mark.parametrize(
    "lineage",
    [
        Lineage(NEXT_CARD),
        Lineage(NEXT_CARD, (endorse(NEXT, FIRST_CARD, NEXT_CARD, UNTIL),)),
        Lineage(NEXT_CARD, (endorse(FIRST, FIRST_CARD, LAST_CARD, UNTIL),)),
        Lineage(NEXT_CARD, (msgspec.structs.replace(LINEAGE.earlier[0], until=UNTIL + 1),)),
        Lineage(LAST_CARD, (endorse(NEXT, NEXT_CARD, LAST_CARD, UNTIL),)),
        Lineage(NEXT_CARD, (Succession(OTHER_CARD, UNTIL, LINEAGE.earlier[0].endorsement),)),
    ],
    ids=["no word", "the next one's own word", "word for another", "a longer overlap", "a link missing", "another's"],
)
def test_a_pinned_card_is_replaced_by_none_that_it_has_not_named(lineage: Lineage) -> None:
    pins = pinned()
    with pytest.raises(VerificationFailed):
        pins.take([lineage, Lineage(OTHER_CARD)])
    assert pins.cards == {A: FIRST_CARD, B: OTHER_CARD}


def test_a_party_keeps_its_role_and_its_name() -> None:
    bank = make_card(NEXT, PartyRole.BANK)
    with pytest.raises(VerificationFailed) as refusal:
        verify_lineage(Lineage(bank, (endorse(FIRST, FIRST_CARD, bank, UNTIL),)))
    assert refusal.value.code == "KEY_CHANGED"


def test_a_lineage_of_many_cards_leads_back_to_the_first_and_never_forward() -> None:
    links = (endorse(NEXT, NEXT_CARD, LAST_CARD, UNTIL), *LINEAGE.earlier)
    pins = pinned()
    pins.take([Lineage(LAST_CARD, links), Lineage(OTHER_CARD)])
    assert pins.lineage(A) == (LAST_CARD, NEXT_CARD, FIRST_CARD)
    with pytest.raises(VerificationFailed):
        pins.take([LINEAGE, Lineage(OTHER_CARD)])


def test_a_suspended_party_has_no_card_to_act_under() -> None:
    pins = pinned()
    pins.take([Lineage(FIRST_CARD), Lineage(OTHER_CARD)], {A})
    with pytest.raises(VerificationFailed) as refusal:
        pins.card(A, PartyRole.DATA_NODE)
    assert refusal.value.code == "PARTY_SUSPENDED"
    pins.take([Lineage(FIRST_CARD), Lineage(OTHER_CARD)])
    assert pins.card(A, PartyRole.DATA_NODE) == FIRST_CARD
