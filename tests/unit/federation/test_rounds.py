"""Rounds go on until nobody has anything more to say, end at the first party that fails, and count what passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
from flwr.app import Message

from federation.coordinator import Coordinator
from federation.grid import EmbeddedGrid
from federation.rounds import Mailroom, addresses, exchange
from federation.traffic import RoundEvent, Routed, Traffic
from nodes.flower_relay import make_client_app
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyId
from protocols.errors import MalformedMessage, PeerRefused, TransportError, VerificationFailed

BANK, TAX = PartyId("bank"), PartyId("tax")


def envelope(sender: str, receiver: str, message: str, size: int = 1) -> Envelope:
    return Envelope(bytes(32), sender, receiver, message, False, b"x" * size, bytes(64))


class Relay(Coordinator):
    """A coordinator that sends each envelope to whom it is addressed, and keeps the order."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    def route(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Routed:
        self.passed += [sent.message for sent in envelopes]
        return [(PartyId(sent.receiver), sent) for sent in envelopes if sent.receiver != "nobody"]


def grid_of(bank: Callable[[bytes], bytes], tax: Callable[[bytes], bytes]) -> EmbeddedGrid:
    return EmbeddedGrid({1: make_client_app(bank), 2: make_client_app(tax)}, {1: BANK, 2: TAX})


OPENING = pack_parcel((envelope("bank", "tax", "Query", 100), envelope("bank", "nobody", "RunSpec")))


def asking_bank(data: bytes) -> bytes:
    """Has said all in its opening."""
    assert open_parcel(data)
    return pack_parcel(())


def answering_tax(data: bytes) -> bytes:
    return pack_parcel(tuple(envelope("tax", "bank", "ScoreShare", 50) for _ in open_parcel(data)))


def test_rounds_end_when_nobody_has_more_to_say() -> None:
    relay, traffic, events = Relay(), Traffic(), list[RoundEvent]()
    Mailroom(relay, BANK, OPENING, traffic, events.append).run(grid_of(asking_bank, answering_tax))
    assert relay.passed == ["Query", "RunSpec", "ScoreShare"]
    assert traffic.rounds == len(events) == 2
    assert [event.phase for event in events] == ["assessment", "assessment"]
    assert [event.parties for event in events] == [(TAX,), (BANK,)]
    assert traffic.messages_received == {BANK: 1, TAX: 1}
    assert traffic.kinds_received == {BANK: {"ScoreShare"}, TAX: {"Query"}}
    assert len(OPENING) + sum(event.bytes for event in events) == traffic.total_bytes
    assert traffic.bytes_received[TAX] == len(pack_parcel((envelope("bank", "tax", "Query", 100),)))


def test_a_refusal_ends_the_run_with_the_partys_code() -> None:
    grid = grid_of(asking_bank, lambda data: pack_refusal("CONSENT_EXPIRED"))
    with pytest.raises(PeerRefused) as refusal:
        Mailroom(Relay(), BANK, OPENING, Traffic()).run(grid)
    assert refusal.value.code == "CONSENT_EXPIRED"
    assert str(refusal.value) == "tax refused: CONSENT_EXPIRED (round 1, assessment)"


@pytest.mark.parametrize("reply", [b"", b"\xc1\xff", pack_parcel(())[:-1]])
def test_a_reply_that_is_no_parcel_ends_the_run(reply: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"^the answer of tax: .* \(round 1, assessment\)$"):
        Mailroom(Relay(), BANK, OPENING, Traffic()).run(grid_of(asking_bank, lambda data: reply))


def test_a_party_that_fails_or_is_not_there_ends_the_run() -> None:
    def fail(data: bytes) -> bytes:
        raise RuntimeError("boom")

    with pytest.raises(TransportError, match=r"^tax did not answer \(round 1, assessment\)$"):
        Mailroom(Relay(), BANK, OPENING, Traffic()).run(grid_of(asking_bank, fail))
    alone = EmbeddedGrid({1: make_client_app(asking_bank)}, {1: BANK})
    with pytest.raises(TransportError, match=r"^tax is not connected \(round 1, assessment\)$"):
        Mailroom(Relay(), BANK, OPENING, Traffic()).run(alone)


@pytest.mark.parametrize("broken", [None, b"\xc1"])
def test_what_the_others_say_in_a_broken_round_is_logged_and_goes_no_further(broken: bytes | None) -> None:
    def breaking(data: bytes) -> bytes:
        if broken is None:
            raise RuntimeError("boom")
        return broken

    relay, heard = Relay(), list[bytes]()

    def listening(data: bytes) -> bytes:
        heard.append(data)
        return pack_parcel(())

    apps = {1: make_client_app(listening), 2: make_client_app(breaking), 3: make_client_app(answering_tax)}
    grid = EmbeddedGrid(apps, {1: BANK, 2: PartyId("social"), 3: TAX})
    opening = pack_parcel((envelope("bank", "social", "Query"), envelope("bank", "tax", "Query")))
    with pytest.raises((TransportError, MalformedMessage), match=r"social.* \(round 1, assessment\)$"):
        Mailroom(relay, BANK, opening, Traffic()).run(grid)
    assert relay.passed == ["Query", "Query", "ScoreShare"]
    assert heard == []


def test_what_the_coordinator_refuses_goes_no_further() -> None:
    class Refusing(Relay):
        def route(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Routed:
            raise VerificationFailed("no")

    heard: list[bytes] = []

    def listening(data: bytes) -> bytes:
        heard.append(data)
        return pack_parcel(())

    with pytest.raises(VerificationFailed, match=r"^the answer of bank: no \(opening\)$"):
        Mailroom(Refusing(), BANK, OPENING, Traffic()).run(grid_of(asking_bank, listening))
    assert heard == []


def test_an_exchange_says_who_gave_no_answer() -> None:
    def fail(data: bytes) -> bytes:
        raise RuntimeError("boom")

    grid = grid_of(lambda data: b"re: " + data, fail)
    nodes = addresses(grid)
    assert nodes == {BANK: 1, TAX: 2}
    assert exchange(grid, nodes, {BANK: b"a", TAX: b"b"}, "1") == {BANK: b"re: a", TAX: None}


def test_a_grid_that_fails_is_a_transport_error_without_its_text() -> None:
    class Failing(EmbeddedGrid):
        def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
            assert timeout == 7
            raise RuntimeError("what it carried")

    grid = Failing({1: make_client_app(answering_tax)}, {1: TAX})
    with pytest.raises(TransportError, match=r"tax: RuntimeError$"):
        Mailroom(Relay(), BANK, OPENING, Traffic(), timeout=7).run(grid)
