"""The coordinator against everyone: it relays, and it can withhold; it cannot read, add, swap, or stand in for a node.

Where it is stronger with an accomplice, the tests give it the bank's private key.
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import kstest

from protocols.assessment.layout import layout_bits
from protocols.assessment.manifest import verify_manifest
from protocols.assessment.messages import Outcome, ScoreShare
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import digest
from protocols.errors import UnexpectedMessage, VerificationFailed
from protocols.masks import zero_sum_masks
from protocols.paillier import CiphertextVector, Encryptor, decrypt
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import total_packing
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.releases import combine
from protocols.scorecard.rows import totals
from tests.protocol.assessing import BINS, NODES, AssessmentNetwork, points
from tests.protocol.network import BANK, COORDINATOR, Network, small_network

SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(NODES, size)]


@pytest.fixture(scope="module")
def network() -> AssessmentNetwork:
    return AssessmentNetwork()


def share_bytes(network: AssessmentNetwork, answers: dict[PartyId, Envelope], node: PartyId) -> bytes:
    """What the coordinator reads in an answer that it relays."""
    return msgspec.msgpack.decode(answers[node].body, type=ScoreShare).ciphertext


def assert_uniform(fractions: list[float]) -> None:
    """Fail if a sample is not plausibly uniform on [0, 1); a fair one fails once in a million runs."""
    assert kstest(fractions, "uniform").pvalue > 1e-6


# ---- reading what it relays, with the bank's key


def test_one_share_or_any_proper_subset_of_an_answer_opens_to_noise(network: AssessmentNetwork) -> None:
    n = network.bank_key.public_key.n
    honest_width = layout_bits(network.manifest)
    seen: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for _ in range(25):
        answers = network.answers(network.query())
        for subset in SUBSETS:
            value = network.open_product([share_bytes(network, answers, node) for node in subset])
            assert value != sum(points(node) for node in subset)
            assert value >> honest_width  # an honest sum is below; noise lies there once in 2^600
            seen[len(subset)].append(value / n)
        whole = network.open_product([share_bytes(network, answers, node) for node in NODES])
        assert whole & 0xFFFFF == sum(map(points, NODES))
    for fractions in seen.values():
        assert_uniform(fractions)


def test_without_masks_one_share_opens_to_one_partial_score(
    network: AssessmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocols.assessment.node.zero_sum_masks", lambda *_: [0])
    answers = network.answers(network.query())
    for node in NODES:
        assert network.open_product([share_bytes(network, answers, node)]) & 0xFFFFF == points(node)


def released_totals(network: Network) -> tuple[dict[PartyId, bytes], dict[PartyId, np.ndarray]]:
    """Run the training; return each node's first release as relayed, and the partial totals inside."""
    shares: dict[PartyId, bytes] = {}
    partial: dict[PartyId, np.ndarray] = {}

    def watch(envelope: Envelope) -> list[Envelope]:
        sender, receiver = PartyId(envelope.sender), PartyId(envelope.receiver)
        if envelope.message == "MaskedTotals" and sender not in shares:
            shares[sender] = msgspec.msgpack.decode(envelope.body, type=m.MaskedTotals).vector
        if envelope.message == "PointTables" and receiver not in partial:
            tables = network.channel(receiver).unwrap(envelope, m.PointTables)
            points = [feature.points for feature in tables.features]
            partial[receiver] = totals(network.sites[receiver].rows, network.spec.rows, points)
        return [envelope]

    network.on_path = watch
    network.run()
    return shares, partial


def test_any_proper_subset_of_released_totals_opens_to_noise() -> None:
    network = small_network(refinements=0, rows=900, training_rows=700)
    shares, partial = released_totals(network)
    key = network.paillier[BANK]
    packing = total_packing(key.public_key.bits)
    honest_width = packing.slot_bits * packing.slots
    for size in (1, 2, 3):
        fractions = []
        for subset in itertools.combinations(shares, size):
            product = combine([shares[node] for node in subset], key.public_key)
            plain = decrypt(key, CiphertextVector.from_bytes(key.public_key, product))
            truth = packing.pack(sum(partial[node] for node in subset).tolist())
            assert all(a != b and a >> honest_width for a, b in zip(plain, truth, strict=True))
            fractions += [value / key.public_key.n for value in plain]
        assert_uniform(fractions)
    product = combine(list(shares.values()), key.public_key)
    plain = decrypt(key, CiphertextVector.from_bytes(key.public_key, product))
    assert plain == packing.pack(sum(partial.values()).tolist())


# ---- node sets


def test_three_of_four_nodes_yield_no_score(network: AssessmentNetwork) -> None:
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = list(network.answers(query).values())[:3]
    assert [reply for envelope in answers for reply in relay.receive(envelope)] == []
    assert [reply for envelope in answers for reply in bank.receive(envelope)] == []
    assert bank.opened is None
    assert not relay.combined


def test_a_product_of_three_shares_does_not_pass_for_four(network: AssessmentNetwork) -> None:
    query = network.query()
    bank = network.bank(query)
    answers = network.answers(query)
    for node in NODES[:3]:
        bank.receive(answers[node])
    shares = [share_bytes(network, answers, node) for node in NODES[:3]]
    assert bank.receive(network.product(query, combine(shares, network.bank_key.public_key))) == []
    assert bank.opened is None


def test_a_share_repeated_does_not_stand_for_a_missing_one(network: AssessmentNetwork) -> None:
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = list(network.answers(query).values())[:3]
    for envelope in answers:
        bank.receive(envelope)
        relay.receive(envelope)
    for party in (bank, relay):
        with pytest.raises(UnexpectedMessage):
            party.receive(answers[0])
    assert bank.opened is None
    assert not relay.combined


# ---- tampering with the answer


def opened_with(network: AssessmentNetwork, add: int) -> tuple[Outcome | None, int | None, str]:
    """Add Enc(`add`) to the product of an otherwise honest query."""
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = network.answers(query)
    for envelope in answers.values():
        bank.receive(envelope)
        relay.receive(envelope)
    public = network.bank_key.public_key
    shares = [share_bytes(network, answers, node) for node in NODES]
    product = CiphertextVector.from_bytes(public, combine(shares, public))
    tampered = product + Encryptor(public, secrets.token_bytes).encrypt([add])
    (acknowledgement,) = bank.receive(network.product(query, tampered.to_bytes()))
    relay.receive(acknowledgement)
    code = bank.failure.code if bank.failure else ""
    return relay.outcome, bank.opened.total if bank.opened else None, code


def test_adding_fifty_points_to_the_product_is_noticed(network: AssessmentNetwork) -> None:
    assert opened_with(network, 50) == (Outcome.REJECTED, None, "WRONG_PRODUCT")


def test_without_comparing_the_product_fifty_points_are_added(
    network: AssessmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bank that trusts the coordinator's product: `product_of` returns whatever that was."""
    claimed: list[bytes] = []
    wrap = network.product
    monkeypatch.setattr(network, "product", lambda query, c: (claimed.append(c), wrap(query, c))[1])
    monkeypatch.setattr(
        "protocols.assessment.opening.product_of", lambda shares, key: CiphertextVector.from_bytes(key, claimed[-1])
    )
    assert opened_with(network, 50) == (Outcome.ACCEPTED, sum(map(points, NODES)) + 50, "")


def test_the_product_replaced_by_one_of_its_own_making(network: AssessmentNetwork) -> None:
    query = network.query()
    bank = network.bank(query)
    for envelope in network.answers(query).values():
        bank.receive(envelope)
    public = network.bank_key.public_key
    bank.receive(network.product(query, Encryptor(public, secrets.token_bytes).encrypt([600]).to_bytes()))
    assert bank.opened is None
    assert bank.failure is not None
    assert bank.failure.code == "WRONG_PRODUCT"


def test_a_second_product_is_refused(network: AssessmentNetwork) -> None:
    query = network.query()
    bank = network.bank(query)
    bank.receive(network.product(query, bytes(8)))
    with pytest.raises(UnexpectedMessage):
        bank.receive(network.product(query, bytes(8)))


SAFE, RISKY = BINS, dict(zip(NODES, [(0,), (0,), (1, 0), (0, 1)], strict=True))


def swapped_answers(network: AssessmentNetwork) -> int | None:
    """Deliver the whole answer about another enterprise in place of the one asked for."""
    query, other = network.query(), network.query()
    bank, relay = network.bank(query), network.relay(query)
    replies = []
    for envelope in network.answers(other, "e2", SAFE).values():
        replies += relay.receive(envelope)
        bank.receive(envelope)
    for reply in replies:
        bank.receive(reply)
    return bank.opened.total if bank.opened else None


def test_swapping_the_answers_of_two_queries_is_refused(network: AssessmentNetwork) -> None:
    with pytest.raises(UnexpectedMessage):
        swapped_answers(network)


def test_without_the_transcript_a_swapped_answer_is_believed(
    network: AssessmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "verify", lambda self, envelope: None)
    assert swapped_answers(network) == sum(points(node, SAFE) for node in NODES)
    assert sum(points(node, SAFE) for node in NODES) != sum(points(node, RISKY) for node in NODES)


def test_one_share_of_another_query_opens_to_nothing_even_if_believed(
    network: AssessmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "verify", lambda self, envelope: None)
    query = network.query()
    answers = network.answers(query) | {NODES[0]: network.answers(network.query())[NODES[0]]}
    bank, relay = network.bank(query), network.relay(query)
    for envelope in answers.values():
        bank.receive(envelope)
        for product in relay.receive(envelope):
            bank.receive(product)
    assert bank.opened is None
    assert bank.failure is not None
    assert bank.failure.code == "RESULT_OUT_OF_RANGE"


# ---- substituted keys


def cards_with_stolen_masks(network: AssessmentNetwork) -> tuple[PartyKeys, dict[PartyId, PartyCard]]:
    """The other nodes' cards as the coordinator would like one node to hold them: with a mask key of its own."""
    thief = PartyKeys.generate(COORDINATOR, secrets.token_bytes)
    cards = dict(network.cards)
    for node in NODES[1:]:
        cards[node] = make_card(replace(network.keys[node], mask=thief.mask), PartyRole.DATA_NODE)
    return thief, cards


def test_a_substituted_mask_key_is_another_card_and_no_node_signs_for_it(network: AssessmentNetwork) -> None:
    _, cards = cards_with_stolen_masks(network)
    verify_manifest(network.signed, network.cards)
    with pytest.raises(VerificationFailed):
        verify_manifest(network.signed, cards)


def test_with_a_substituted_mask_key_the_coordinator_and_the_bank_read_one_node(network: AssessmentNetwork) -> None:
    """Why cards are pinned: this is what a node that believed the coordinator's cards would give away."""
    thief, cards = cards_with_stolen_masks(network)
    believer = AssessmentNetwork.__new__(AssessmentNetwork)
    believer.__dict__.update(network.__dict__ | {"cards": cards})
    query = network.query()
    value = network.open_product([believer.share(NODES[0], query).ciphertext])
    n, told = network.bank_key.public_key.n, query.transcript() + b"subject/e1"
    peer = {NODES[0]: network.cards[NODES[0]].mask_key}
    masks = [zero_sum_masks(node, thief.mask, peer, told, 1, n)[0] for node in NODES[1:]]
    assert (value + sum(masks)) % n & 0xFFFFF == points(NODES[0])


def test_a_run_that_names_a_substituted_card_is_not_joined() -> None:
    network = small_network()
    stranger = PartyKeys.generate(PartyId("tax"), secrets.token_bytes)
    card = make_card(stranger, PartyRole.DATA_NODE)
    nodes = tuple(
        msgspec.structs.replace(n, card=card.fingerprint()) if n.party == "tax" else n for n in network.spec.nodes
    )
    spec = msgspec.structs.replace(network.spec, nodes=nodes)
    node = PartyId("social")
    channel = Channel(network.keys[node], network.cards, spec.transcript())
    with pytest.raises(VerificationFailed):
        NodeTraining(spec, channel, network.paillier[node], network.public, network.sites[node], secrets.token_bytes)


# ---- envelopes


def test_an_envelope_of_another_run_is_refused() -> None:
    first, second = small_network(), small_network()
    second.keys, second.cards = first.keys, first.cards  # the same parties, a second run
    channel = second.channel(PartyId("tax"))
    with pytest.raises(UnexpectedMessage):
        channel.unwrap(first.channel(BANK).wrap(PartyId("tax"), m.Cohort(("a",), "")), m.Cohort)


def test_an_envelope_re_addressed_or_relabelled_no_longer_verifies() -> None:
    network = small_network()
    tax, social = PartyId("tax"), PartyId("social")
    envelope = network.channel(BANK).wrap(tax, m.Cohort(("a",), ""))
    for change in ({"receiver": social}, {"receiver": "_everyone"}, {"sender": social}):
        moved = msgspec.structs.replace(envelope, **change)
        reader = social if moved.receiver != tax else tax
        with pytest.raises(VerificationFailed):
            network.channel(reader).unwrap(moved, m.Cohort)
    renamed = msgspec.structs.replace(envelope, message="BinHistograms")
    with pytest.raises(VerificationFailed):
        network.channel(tax).unwrap(renamed, m.BinHistograms)


def test_a_sealed_message_relayed_to_another_node_does_not_open() -> None:
    network = small_network()
    tax, social = PartyId("tax"), PartyId("social")
    envelope = network.channel(BANK).wrap(tax, m.Cohort(("91999999MA0DEM013K",), ""))
    assert b"91999999MA0DEM013K" not in envelope.body
    with pytest.raises(UnexpectedMessage):
        network.channel(social).unwrap(envelope, m.Cohort)
    thief = Channel(replace(network.keys[social], party=tax), network.cards, network.spec.transcript())
    with pytest.raises(VerificationFailed):
        thief.unwrap(envelope, m.Cohort)


def test_the_open_flag_cannot_be_flipped() -> None:
    network = small_network()
    tax = PartyId("tax")
    for sealed in (True, False):
        envelope = network.channel(BANK).wrap(tax, m.Cohort(("a",), ""), sealed=sealed)
        flipped = msgspec.structs.replace(envelope, sealed=not sealed)
        with pytest.raises(VerificationFailed):
            network.channel(tax).unwrap(flipped, m.Cohort)


# ---- totals of a training run


def tampering(network: Network, kind: str, change: list[str]) -> None:
    """Drop, double or replace envelopes of one kind, as `change` says for each in turn."""
    plan = iter(change)

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.message != kind:
            return [envelope]
        return {"drop": [], "double": [envelope, envelope], "pass": [envelope]}[next(plan, "pass")]

    network.on_path = on_path


def test_a_withheld_share_of_totals_leaves_the_run_without_a_model() -> None:
    network = small_network()
    tampering(network, "MaskedTotals", ["drop"])
    network.run()
    assert network.bank.result is None
    assert network.bank._collection is not None
    assert not network.bank._collection.complete


def test_a_repeated_share_of_totals_is_refused() -> None:
    network = small_network()
    tampering(network, "MaskedTotals", ["double"])
    with pytest.raises(UnexpectedMessage):
        network.run()


def test_two_products_of_one_release_are_refused() -> None:
    network = small_network()
    tampering(network, "CombinedTotals", ["double"])
    with pytest.raises(UnexpectedMessage):
        network.run()


@pytest.mark.parametrize("add", [1, 50, 1 << 40])
def test_a_product_of_totals_with_something_added_is_refused(add: int) -> None:
    network = small_network()

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.message != "CombinedTotals":
            return [envelope]
        message = msgspec.msgpack.decode(envelope.body, type=m.CombinedTotals)
        vector = CiphertextVector.from_bytes(network.public[BANK], message.vector)
        extra = Encryptor(network.public[BANK], secrets.token_bytes).encrypt([add] + [0] * (len(vector) - 1))
        forged = m.CombinedTotals(message.release, (vector + extra).to_bytes())
        return [network.channel(COORDINATOR).wrap(BANK, forged, sealed=False)]

    network.on_path = on_path
    with pytest.raises(VerificationFailed):
        network.run()
    assert network.bank.result is None


def test_the_coordinator_cannot_speak_for_the_bank_or_a_node() -> None:
    network = small_network()
    network.open_run("tax")
    with pytest.raises(UnexpectedMessage):
        network.tell("tax", m.WoeTables((), (), ()), sender=COORDINATOR)
    share = network.channel(COORDINATOR).wrap(BANK, m.MaskedTotals(0, b""), sealed=False)
    with pytest.raises(UnexpectedMessage):
        network.bank.receive(share)


def test_labels_of_another_vector_than_the_committed_one_are_refused() -> None:
    network = small_network()
    other = m.EncryptedLabels(network.labels.vector[::-1])
    assert digest(other) != network.spec.labels
    with pytest.raises(VerificationFailed):
        network.tell("tax", other, everyone=True)
