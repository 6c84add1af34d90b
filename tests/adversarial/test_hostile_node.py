"""A data node that lies, meddles or forges. It can lie within its own range; everything else is noticed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest

from protocols.assessment.messages import Denial
from protocols.assessment.relay import RelayQuery
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, OwnerEncryptor
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import encrypt_for_owner, histogram_packing
from protocols.scorecard.products import open_products
from tests.protocol.assessing import BINS, NODES, POLICY, AssessmentNetwork, points
from tests.protocol.network import BANK, COORDINATOR, Network, economy_network, paillier_key, small_network
from tests.protocol.replays import fresh, tape

TAX, SOCIAL = PartyId("tax"), PartyId("social")
M = TypeVar("M", bound=Message)


def tell_the_bank(kind: type[M], sender: PartyId, change: Callable[[M], M]) -> None:
    """Play an honest run to a fresh bank, up to its manifest; one node replaces its messages of one kind."""
    network, bank = tape().network, fresh(BANK)
    lies = 0
    for envelope in tape().to(BANK):
        if envelope.message == kind.__name__ and envelope.sender == sender:
            lie = change(network.channel(BANK).unwrap(envelope, kind))
            bank.receive(network.channel(sender).wrap(BANK, lie, sealed=envelope.sealed))
            lies += 1
        elif envelope.message != "ManifestSignature":
            bank.receive(envelope)
    assert lies


def test_without_a_lie_the_tape_plays_to_its_end() -> None:
    for kind in (m.BinHistograms, m.LocalGram, m.MaskShare, m.MaskedTotals, m.GradientShare):
        tell_the_bank(kind, TAX, lambda honest: honest)


def tape_network() -> Network:
    """A fresh run over the strongly related data of the tape: every step of the protocol happens."""
    return economy_network({"bank": 1, "social": 2, "tax": 1}, strength=2.0, rows=450, training_rows=400)


# ---- histograms


def with_bads(network: Network, bads: list[int]) -> bytes:
    """A histogram vector with counts of the node's own making."""
    key = network.public[BANK]
    slot = histogram_packing(network.spec.training_rows, key.bits).slot_bits
    packed = sum(bad << (slot * place) for place, bad in enumerate(bads)) % key.n
    return encrypt_for_owner(key, [packed], secrets.token_bytes).to_bytes()


def test_the_honest_run_of_these_tests_ends_with_a_model() -> None:
    network = tape_network()
    network.run()
    assert network.bank.result is not None


@pytest.mark.parametrize("lie", ["more than the bin holds", "one too many", "one too few", "negative"])
def test_a_histogram_that_contradicts_the_bank_is_refused(lie: str) -> None:
    def change(honest: m.BinHistograms) -> m.BinHistograms:
        counts, total = honest.features[0].counts, network.data.everyone.bad
        change = {"more than the bin holds": counts[0] + 1, "one too many": 1, "one too few": -1, "negative": -total}
        bads = [total // 2 + change[lie], total - total // 2] + [0] * (len(counts) - 2)
        return m.BinHistograms(honest.features[:1], with_bads(network, bads))

    network = tape().network
    with pytest.raises((VerificationFailed, MalformedMessage)):
        tell_the_bank(m.BinHistograms, TAX, change)


@pytest.mark.parametrize("lie", ["a name twice", "rows missing", "rows twice", "a cell more"])
def test_a_histogram_of_another_shape_is_refused(lie: str) -> None:
    def change(honest: m.BinHistograms) -> m.BinHistograms:
        first = honest.features[0]
        shapes = {
            "a name twice": (first, first),
            "rows missing": (msgspec.structs.replace(first, counts=(0, *first.counts[1:])),),
            "rows twice": (msgspec.structs.replace(first, counts=first.counts * 2),),
            "a cell more": (msgspec.structs.replace(first, counts=(*first.counts, 0)),),
        }
        vector = honest.vector if lie != "a cell more" else honest.vector * 2
        return msgspec.structs.replace(honest, features=shapes[lie], vector=vector)

    with pytest.raises(MalformedMessage):
        tell_the_bank(m.BinHistograms, TAX, change)


# ---- the Gram matrix


@pytest.mark.parametrize(
    "change",
    [lambda e: e + 1, lambda e: -e, lambda e: 0, lambda e: 1 << 45],
    ids=["one more", "negated", "nothing", "huge"],
)
def test_a_gram_block_that_contradicts_the_histograms_is_refused(change: object) -> None:
    def lie(honest: m.LocalGram) -> m.LocalGram:
        return m.LocalGram((change(honest.entries[0]), *honest.entries[1:]))  # type: ignore[operator]

    with pytest.raises((VerificationFailed, MalformedMessage)):
        tell_the_bank(m.LocalGram, SOCIAL, lie)


def test_a_cross_entry_larger_than_its_columns_is_refused() -> None:
    def lie(honest: m.LocalGram) -> m.LocalGram:
        return m.LocalGram((honest.entries[0], honest.entries[0] + honest.entries[2], honest.entries[2]))

    with pytest.raises(VerificationFailed) as caught:
        tell_the_bank(m.LocalGram, SOCIAL, lie)
    assert caught.value.code == "WRONG_GRAM"


@pytest.mark.parametrize("kind", [m.MaskShare, m.ProductShare])
@pytest.mark.parametrize("lie", ["longer", "shorter", "fewer", "more", "noise"])
def test_a_share_of_products_that_does_not_fit_is_refused(kind: type[Message], lie: str) -> None:
    def change(honest: m.MaskShare | m.ProductShare) -> Message:
        first, *rest = honest.low_bits
        changed = {
            "longer": (b"\0" + first, *rest),
            "shorter": (first[1:], *rest),
            "fewer": tuple(rest),
            "more": (first, first, *rest),
            "noise": tuple(secrets.token_bytes(len(bits)) for bits in honest.low_bits),
        }
        return msgspec.structs.replace(honest, low_bits=changed[lie])

    with pytest.raises((MalformedMessage, VerificationFailed)):
        tell_the_bank(kind, TAX if kind is m.MaskShare else SOCIAL, change)


def test_masked_products_show_their_owner_noise() -> None:
    """The owner decrypts, and learns nothing: what it reads is uniform over all that lies above the slots too."""
    network, taped = tape().network, tape().plain
    (message,) = [msg for sender, receiver, msg in taped if isinstance(msg, m.MaskedProducts) and receiver == SOCIAL]
    values = set()
    for _ in range(3):
        node = fresh(TAX)
        for envelope in tape().to(TAX):
            if envelope.message in ("EncryptedLabels", "Cohort", "WoeTables", "EncryptedColumns"):
                for reply in node.receive(envelope):
                    if reply.message == "MaskedProducts" and reply.receiver == SOCIAL:
                        seen = network.channel(SOCIAL).unwrap(reply, m.MaskedProducts)
                        values.add(open_products(seen.vector, 2, 1, 400, network.paillier[SOCIAL], secrets.token_bytes))
    assert len(values) == 3
    assert len(message.vector) == network.public[SOCIAL].ciphertext_bytes


@pytest.mark.parametrize("kind", [m.BinHistograms, m.MaskedProducts, m.MaskedTotals, m.GradientShare])
@pytest.mark.parametrize("number", ["zero", "multiple of p"])
def test_a_number_that_is_no_ciphertext_is_refused(kind: type[Message], number: str) -> None:
    def change(honest: Message) -> Message:
        key = paillier_key(0)
        width = key.public_key.ciphertext_bytes
        value = {"zero": 0, "multiple of p": int(key.p) * 99}[number]
        return msgspec.structs.replace(honest, vector=value.to_bytes(width) + honest.vector[width:])

    with pytest.raises(VerificationFailed):
        tell_the_bank(kind, TAX, change)


@pytest.mark.parametrize("kind", [m.BinHistograms, m.MaskedProducts, m.MaskedTotals, m.GradientShare])
@pytest.mark.parametrize("count", [0, 2])
def test_a_wrong_number_of_ciphertexts_is_refused(kind: type[Message], count: int) -> None:
    with pytest.raises(MalformedMessage):
        tell_the_bank(kind, TAX, lambda honest: msgspec.structs.replace(honest, vector=honest.vector * count))


# ---- meddling with others


def test_columns_of_a_node_that_announced_none_are_refused() -> None:
    network = small_network()
    network.open_run("tax")
    network.tell("tax", network.woe("tax", (None, tuple(range(9)))))
    with pytest.raises(UnexpectedMessage):
        network.tell("tax", m.EncryptedColumns(b""), sender=SOCIAL, everyone=True)
    with pytest.raises(UnexpectedMessage):  # nor from one that comes later in the order, nor from itself
        network.tell("social", m.EncryptedColumns(b""), sender=TAX, everyone=True)


def test_products_that_nobody_asked_for_are_not_decrypted() -> None:
    """A node's key is no oracle: it opens what evaluators of its columns owe it, once each."""
    network = small_network()
    network.open_run("social")
    vector = OwnerEncryptor(network.paillier[SOCIAL], secrets.token_bytes).encrypt([7]).to_bytes()
    with pytest.raises(UnexpectedMessage):
        network.tell("social", m.MaskedProducts(vector), sender=TAX)
    network.tell("social", network.woe("social", (tuple(range(9)), None)))
    for sender in (TAX, PartyId("fund"), BANK):  # tax has no columns; fund comes before; the bank never does
        with pytest.raises(UnexpectedMessage):
            network.tell("social", m.MaskedProducts(vector), sender=sender)
    assert not [step for step, _ in network.sites[SOCIAL].releases if step.startswith("ProductShare")]


def test_a_node_cannot_play_the_bank_or_end_the_run() -> None:
    network = small_network()
    with pytest.raises(UnexpectedMessage):
        network.tell("tax", network.labels, sender=SOCIAL, everyone=True)
    with pytest.raises(UnexpectedMessage):
        network.tell("tax", m.PointTables(0, m.Rows.ALL, (), bytes(32)), sender=SOCIAL)
    finished = network.channel(TAX).wrap(COORDINATOR, m.RunFinished(bytes(32)), sealed=False)
    with pytest.raises(UnexpectedMessage):
        network.relay.receive(finished)
    assert network.relay.finished is None


def test_shares_of_strangers_do_not_count_towards_a_release() -> None:
    network = small_network()
    share = m.MaskedTotals(0, b"")
    for sender in (BANK, COORDINATOR):
        with pytest.raises(UnexpectedMessage):
            network.relay.receive(network.channel(sender).wrap(BANK, share, sealed=False))
    for sender in (TAX, SOCIAL, PartyId("fund")):
        assert network.relay.receive(network.channel(sender).wrap(BANK, share, sealed=False)) == []
    with pytest.raises(UnexpectedMessage):
        network.relay.receive(network.channel(TAX).wrap(BANK, share, sealed=False))


def test_a_release_once_combined_is_not_combined_again() -> None:
    network = tape_network()
    network.run()
    again = [envelope for envelope in replayed(network) if envelope.message == "MaskedTotals"]
    for envelope in again:
        with pytest.raises(UnexpectedMessage):
            network.relay.receive(envelope)


def replayed(network: Network) -> list[Envelope]:
    return [msgspec.msgpack.decode(data, type=Envelope) for _, data in network.transcript]


def test_a_forged_manifest_signature_is_refused_and_the_true_one_still_counts() -> None:
    network = tape_network()
    lies = iter([True])

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.message != "ManifestSignature" or not next(lies, False):
            return [envelope]
        honest = network.channel(BANK).unwrap(envelope, m.ManifestSignature)
        false = m.ManifestSignature(honest.manifest, bytes(64))
        with pytest.raises(VerificationFailed):
            network.bank.receive(network.channel(PartyId(envelope.sender)).wrap(BANK, false))
        return [envelope]

    network.on_path = on_path
    network.run()
    assert network.bank.result is not None


# ---- assessments


@pytest.fixture(scope="module")
def asking() -> AssessmentNetwork:
    return AssessmentNetwork()


def test_shares_of_strangers_do_not_count_towards_an_answer(asking: AssessmentNetwork) -> None:
    query = asking.query()
    bank, relay = asking.bank(query), asking.relay(query)
    answers = asking.answers(query)
    stranger = asking.channel(COORDINATOR, query).wrap(BANK, asking.share(NODES[3], query), sealed=False)
    for envelope in [answers[node] for node in NODES[:3]]:
        relay.receive(envelope)
        bank.receive(envelope)
    with pytest.raises(UnexpectedMessage):
        relay.receive(stranger)
    with pytest.raises(UnexpectedMessage):
        bank.receive(stranger)
    assert not relay.combined
    assert bank.opened is None


def test_a_node_answers_once_either_way(asking: AssessmentNetwork) -> None:
    query = asking.query()
    denial = asking.channel(NODES[0], query).wrap(BANK, Denial("QUOTA", POLICY), sealed=False)
    share = asking.answers(query)[NODES[0]]
    for first, second in ((denial, share), (share, denial)):
        for party in (asking.bank(query), asking.relay(query)):
            party.receive(first)
            with pytest.raises(UnexpectedMessage):
                party.receive(second)


@pytest.mark.parametrize("what", ["nothing", "two", "zero", "n", "n^2", "multiple of p"])
def test_a_share_that_is_no_ciphertext_yields_no_score(asking: AssessmentNetwork, what: str) -> None:
    key, query = asking.bank_key, asking.query()
    n, width = key.public_key.n, key.public_key.ciphertext_bytes
    answers = asking.answers(query)
    honest = asking.share(NODES[0], query)
    numbers = {"zero": 0, "n": n, "n^2": n * n, "multiple of p": int(key.p) * 7}
    vector = numbers[what].to_bytes(width) if what in numbers else honest.ciphertext * {"nothing": 0, "two": 2}[what]
    false = msgspec.structs.replace(honest, ciphertext=vector)
    answers[NODES[0]] = asking.channel(NODES[0], query).wrap(BANK, false, sealed=False)
    bank, relay = asking.bank(query), asking.relay(query)
    assert relay_fails(relay, answers)
    for envelope in answers.values():
        bank.receive(envelope)
    bank.receive(asking.product(query, honest.ciphertext))
    assert bank.opened is None
    assert isinstance(bank.failure, MalformedMessage | VerificationFailed)


def relay_fails(relay: RelayQuery, answers: dict[PartyId, Envelope]) -> bool:
    try:
        for envelope in answers.values():
            relay.receive(envelope)
    except CreditFederationError:
        return True
    return False


def test_two_equal_shares_of_two_ciphertexts_each_yield_no_score(asking: AssessmentNetwork) -> None:
    """All nodes conspire to answer with two ciphertexts: the bank opens one sum or none."""
    query = asking.query()
    bank, relay = asking.bank(query), asking.relay(query)
    products = []
    for node in NODES:
        share = asking.share(node, query)
        double = msgspec.structs.replace(share, ciphertext=share.ciphertext * 2)
        envelope = asking.channel(node, query).wrap(BANK, double, sealed=False)
        products += relay.receive(envelope)
        bank.receive(envelope)
    for product in products:
        bank.receive(product)
    assert bank.opened is None
    assert bank.failure is not None
    assert bank.failure.code == "WRONG_PRODUCT"


def test_a_lie_beyond_the_models_range_is_noticed_and_one_within_is_not(asking: AssessmentNetwork) -> None:
    """What is not protected, and the README says so: a node decides on its own part of the score."""
    for extra, noticed in ((asking.manifest.maximum_total, True), (100, False)):
        query = asking.query()
        bank, relay = asking.bank(query), asking.relay(query)
        answers = asking.answers(query)
        public = asking.bank_key.public_key
        share = asking.share(NODES[0], query)
        lie = CiphertextVector.from_bytes(public, share.ciphertext).add_plain([extra]).to_bytes()
        false = msgspec.structs.replace(share, ciphertext=lie)
        answers[NODES[0]] = asking.channel(NODES[0], query).wrap(BANK, false, sealed=False)
        for envelope in answers.values():
            bank.receive(envelope)
            for product in relay.receive(envelope):
                bank.receive(product)
        assert (bank.opened is None) == noticed
        if bank.opened:
            assert bank.opened.total == sum(points(node, BINS) for node in NODES) + extra
