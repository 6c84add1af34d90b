"""An honest run on tape, and hostile messages to splice into it: every signature good, every value chosen."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache

import msgspec
from hypothesis import strategies as st

from protocols.channel.envelope import EVERYONE, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, decode, encode
from protocols.errors import CreditFederationError
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.relay import RelayTraining

from .fuzzing import MESSAGES, any_message, message_of
from .network import BANK, COORDINATOR, Network, economy_network

KINDS = {kind.__name__: kind for kind in MESSAGES}


@dataclass(frozen=True)
class Tape:
    """All envelopes of one honest run, in order, with the parties that they were delivered to."""

    network: Network
    envelopes: tuple[Envelope, ...]
    plain: tuple[tuple[PartyId, PartyId, Message], ...]

    def to(self, party: PartyId) -> list[Envelope]:
        """What reached a party, in order."""
        network = self.network
        skipped = ("RunSpec",) if party in network.nodes else ()
        received: list[Envelope] = []
        for envelope in self.envelopes:
            audience = [BANK] if envelope.sender == COORDINATOR else network.relay.audience(envelope)
            if (party in audience or party == COORDINATOR != envelope.sender) and envelope.message not in skipped:
                received.append(envelope)
        return received


@cache
def tape() -> Tape:
    """Run four parties once over small, strongly related data, so that every step of the protocol happens."""
    network = economy_network({"bank": 1, "social": 2, "tax": 1}, strength=2.0, rows=450, training_rows=400)
    seen: list[Envelope] = []
    network.on_path = lambda envelope: (seen.append(envelope), [envelope])[1]
    network.run()
    assert network.bank.result is not None
    return Tape(network, tuple(seen), tuple(_read(network, envelope) for envelope in seen))


def _read(network: Network, envelope: Envelope) -> tuple[PartyId, PartyId, Message]:
    receiver = BANK if envelope.receiver == EVERYONE else PartyId(envelope.receiver)
    message = network.channel(receiver).unwrap(envelope, KINDS[envelope.message])
    return PartyId(envelope.sender), PartyId(envelope.receiver), message


def fresh(role: PartyId) -> BankTraining | NodeTraining | RelayTraining:
    """The same party before the run began."""
    network = tape().network
    channel = network.channel(role)
    if role == COORDINATOR:
        return RelayTraining(network.spec, channel, network.public[BANK])
    key = network.paillier[role]
    if role == BANK:
        data, plan = network.data, network.plan_of_bank
        return BankTraining(network.spec, channel, key, network.public, data, plan, secrets.token_bytes)
    site = network.sites[role]
    return NodeTraining(network.spec, channel, key, network.public, site, secrets.token_bytes)


@st.composite
def hostile_envelope(draw: st.DrawFn, role: PartyId) -> Envelope:
    """A well-signed envelope for `role`: an honest message with one field changed, or any message at all."""
    network = tape().network
    honest = [entry for entry in tape().plain if entry[1] in (role, EVERYONE)]
    sender, receiver, message = draw(st.sampled_from(honest))
    if draw(st.booleans()):
        message = draw(_changed(message))
    elif draw(st.booleans()):
        message = draw(any_message())
        sender = draw(st.sampled_from(sorted(network.keys)))
    receiver = draw(st.sampled_from([receiver, role, EVERYONE]))
    return network.channel(sender).wrap(receiver, message, sealed=draw(st.booleans()))


def _changed(message: Message) -> st.SearchStrategy[Message]:
    """The same message with one field of another's making; ciphertexts cut, doubled, turned, or all alike."""
    other = message_of(type(message))

    def swap(donor: Message, name: str, cut: int) -> Message:
        value = getattr(donor, name)
        mine = getattr(message, name)
        if isinstance(mine, bytes | tuple) and cut:
            value = [mine[: len(mine) // 2], mine * 2, mine[::-1], mine[:1] * len(mine), mine[1:]][cut - 1]
        return _valid(msgspec.structs.replace(message, **{name: value}), message)

    return st.builds(swap, other, st.sampled_from(message.__struct_fields__ or ("kind",)), st.integers(0, 5))


def _valid(changed: Message, otherwise: Message) -> Message:
    """Return the changed message if its bytes decode: the others are the decoder's own tests."""
    try:
        return decode(encode(changed), type(changed))
    except CreditFederationError:
        return otherwise
