"""Whoever sits on the wire: sees bytes, drops, repeats, reorders and flips them. It holds no key at all."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, decode, encode
from protocols.errors import CreditFederationError
from protocols.scorecard import messages as m
from tests.protocol.assessing import BINS, NODES, AssessmentNetwork, points
from tests.protocol.network import BANK, COORDINATOR, economy_network
from tests.protocol.replays import KINDS, fresh, tape

TAX = PartyId("tax")


def envelope_of(kind: type[Message]) -> Envelope:
    return next(envelope for envelope in tape().envelopes if envelope.message == kind.__name__)


@pytest.mark.parametrize("kind", [m.Cohort, m.BinHistograms, m.MaskedTotals, m.PointTables], ids=lambda k: k.__name__)
def test_no_bit_of_an_envelope_can_be_flipped(kind: type[Message]) -> None:
    envelope = envelope_of(kind)
    data, network = encode(envelope), tape().network
    reader = network.channel(PartyId(envelope.receiver))
    assert reader.unwrap(decode(data, Envelope), kind) is not None
    places = random.Random(1).sample(range(len(data)), min(len(data), 400))
    for place in places:
        flipped = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        with pytest.raises(CreditFederationError):
            reader.unwrap(decode(flipped, Envelope), kind)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_parcel_cut_or_joined_raises_only_our_errors(data: st.DataObject) -> None:
    whole = pack_parcel(tape().envelopes[:3])
    cut = data.draw(st.integers(0, len(whole)))
    with suppress(CreditFederationError):
        open_parcel(whole[:cut] + data.draw(st.sampled_from([b"", whole, whole[cut:]])))


def test_everything_delivered_twice_changes_nothing() -> None:
    network = economy_network({"bank": 1, "social": 2, "tax": 1}, strength=2.0, rows=450, training_rows=400)
    refused = Counter[str]()

    queue: list[Envelope] = []
    network.on_path = lambda envelope: (queue.append(envelope), [envelope])[1]
    network.run()
    assert network.bank.result is not None
    before = network.bank.result
    for envelope in queue:
        for party in [BANK] if envelope.sender == COORDINATOR else network.relay.audience(envelope):
            if envelope.message in ("RunSpec", "RunFinished"):
                continue
            role = network.bank if party == BANK else network.nodes[party]
            with pytest.raises(CreditFederationError):
                role.receive(decode(encode(envelope), Envelope))
            refused[envelope.message] += 1
    assert len(refused) > 12
    assert network.bank.result is before
    for site in network.sites.values():
        assert Counter(site.releases).most_common(1)[0][1] == 1


@pytest.mark.parametrize("seed", range(3))
def test_messages_out_of_order_are_refused_or_wait_and_never_mislead(seed: int) -> None:
    """A node fed its own messages in any order sends no more than it does in the right one."""
    node, order = fresh(TAX), tape().to(TAX)
    random.Random(seed).shuffle(order)
    sent: list[str] = []
    for envelope in order:
        with suppress(CreditFederationError):
            sent += [reply.message for reply in node.receive(envelope)]
    honest = Counter(envelope.message for envelope in tape().envelopes if envelope.sender == TAX)
    assert not Counter(sent) - honest


def test_the_wire_shows_parties_kinds_and_sizes_and_no_plaintext() -> None:
    network = tape().network
    ids = network.cohorts()[TAX].ids
    cohort = [msgspec.msgpack.encode(ids[start : start + 3])[1:] for start in range(0, len(ids), 3)]
    points = [message.salt for _, _, message in tape().plain if isinstance(message, m.PointTables)]
    points += [
        msgspec.msgpack.encode(feature.points)
        for _, _, message in tape().plain
        if isinstance(message, m.PointTables)
        for feature in message.features
    ]
    opened = [encode(message) for _, _, message in tape().plain]
    assert all(any(canary in data for data in opened) for canary in (*cohort, *points))
    for envelope in tape().envelopes:
        data = encode(envelope)
        assert envelope.message in KINDS
        assert not any(canary in data for canary in (*cohort, *points))


OPEN_KINDS = {
    "RunSpec",
    "EncryptedLabels",
    "EncryptedColumns",
    "MaskedTotals",
    "CombinedTotals",
    "EncryptedResiduals",
    "Manifest",
    "ManifestSignature",
    "SignedManifest",
    "RunFinished",
}


def test_only_public_facts_and_ciphertexts_travel_open() -> None:
    assert {envelope.message for envelope in tape().envelopes if not envelope.sealed} == OPEN_KINDS


def test_no_ciphertext_appears_twice_or_unobfuscated() -> None:
    """Every ciphertext on the wire is fresh, and none is 1 + m·n, which anyone could read."""
    network = tape().network
    seen: list[bytes] = []
    for sender, receiver, message in tape().plain:
        vector = getattr(message, "vector", b"")
        owner = {"EncryptedColumns": sender, "MaskedProducts": receiver}.get(type(message).__name__, BANK)
        key = network.public[owner]
        width = key.ciphertext_bytes
        parts = [vector[i : i + width] for i in range(0, len(vector), width)]
        assert all(int.from_bytes(part) % key.n != 1 for part in parts)
        seen += [] if isinstance(message, m.CombinedTotals) else parts
    assert len(seen) > 1000
    assert len(set(seen)) == len(seen)


def test_an_assessment_delivered_twice_and_out_of_order_opens_once() -> None:
    network = AssessmentNetwork()
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = list(network.answers(query).values())
    random.Random(3).shuffle(answers)
    products = [reply for envelope in answers for reply in relay.receive(envelope)]
    acknowledged = []
    for envelope in [*products, *answers, *products, *answers]:
        with suppress(CreditFederationError):
            acknowledged += bank.receive(decode(encode(envelope), Envelope))
    assert bank.opened is not None
    assert bank.opened.total == sum(points(node, BINS) for node in NODES)
    assert len(acknowledged) == 1
    relay.receive(acknowledged[0])
    with pytest.raises(CreditFederationError):
        relay.receive(acknowledged[0])


def test_an_answer_replayed_to_a_later_query_is_refused() -> None:
    network = AssessmentNetwork()
    recorded, query = network.answers(network.query()), network.query()
    bank, relay = network.bank(query), network.relay(query)
    for envelope in recorded.values():
        for party in (bank, relay):
            with pytest.raises(CreditFederationError):
                party.receive(envelope)
    rewritten = msgspec.structs.replace(recorded[NODES[0]], transcript=query.transcript())
    with pytest.raises(CreditFederationError):
        bank.receive(rewritten)


def test_residuals_replayed_at_a_later_release_do_not_take_its_place() -> None:
    """Or the coordinator could have a gradient computed at the wrong candidate, and once more after the last."""
    node, order = fresh(TAX), tape().to(TAX)
    residuals = next(envelope for envelope in order if envelope.message == "EncryptedResiduals")
    sent = []
    for envelope in order:
        sent += node.receive(envelope)
        if envelope.message == "PointTables" and any(reply.message == "GradientShare" for reply in sent):
            with pytest.raises(CreditFederationError):
                node.receive(residuals)
    assert sum(reply.message == "GradientShare" for reply in sent) == 1
