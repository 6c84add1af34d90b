"""A batch gives each enterprise what one assessment would; whom a node denies stays closed, and so does a lie."""

from __future__ import annotations

import secrets

import pytest

from protocols.assessment.batch.messages import BatchOpening, BatchShares, BatchSlips, CombinedBatch
from protocols.assessment.batch.packing import answers_per_plaintext, pack_answers, unpack_answers
from protocols.assessment.messages import Denial, Outcome
from protocols.channel.envelope import EVERYONE
from protocols.channel.wire import encode
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, Encryptor, decrypt
from protocols.scorecard.releases import combine

from .assessing import NODES, POLICY, AssessmentNetwork
from .batching import BatchNetwork, total
from .network import BANK, COORDINATOR


@pytest.fixture(scope="module")
def network() -> AssessmentNetwork:
    return AssessmentNetwork()


@pytest.mark.parametrize("count", [1, 2, 37])
def test_every_enterprise_of_a_batch_gets_its_own_sum(network: AssessmentNetwork, count: int) -> None:
    made = BatchNetwork(count, network)
    bank = made.run()
    assert {row: opened.total for row, opened in bank.opened.items()} == {row: total(row) for row in range(count)}
    assert made.relay.outcome is Outcome.ACCEPTED
    assert not bank.refused


def test_answers_share_ciphertexts(network: AssessmentNetwork) -> None:
    slots = answers_per_plaintext(network.manifest, network.bank_key.public_key.bits)
    assert slots > 5
    made = BatchNetwork(2 * slots, network)
    made.run()
    width = network.bank_key.public_key.ciphertext_bytes
    opening = BatchOpening(tuple(range(2 * slots)))
    assert len(made.shares(NODES[0], opening).vector) == 2 * width


def test_whom_any_node_denies_is_not_opened_and_the_others_are(network: AssessmentNetwork) -> None:
    made = BatchNetwork(9, network)
    bank = made.run({NODES[1]: {0: "CONSENT_EXPIRED"}, NODES[3]: {0: "QUOTA", 4: "CONSENT_MISSING"}})
    assert bank.refused == {0: {NODES[1]: "CONSENT_EXPIRED", NODES[3]: "QUOTA"}, 4: {NODES[3]: "CONSENT_MISSING"}}
    assert {row: opened.total for row, opened in bank.opened.items()} == {
        row: total(row) for row in (1, 2, 3, 5, 6, 7, 8)
    }
    assert made.relay.denied == {NODES[0]: 0, NODES[1]: 1, NODES[2]: 0, NODES[3]: 2}


def test_a_batch_of_which_nobody_is_admitted_ends_without_a_ciphertext(network: AssessmentNetwork) -> None:
    made = BatchNetwork(2, network)
    bank = made.run({NODES[0]: {0: "QUOTA"}, NODES[2]: {1: "QUOTA"}})
    assert bank.closed
    assert bank.opened == {}
    assert made.relay.outcome is Outcome.DENIED


@pytest.mark.parametrize("phase", ["at once", "after it had admitted"])
def test_one_node_can_deny_the_whole_batch(network: AssessmentNetwork, phase: str) -> None:
    made = BatchNetwork(3, network)
    denial = made.channel(NODES[2]).wrap(BANK, Denial("QUOTA", POLICY), sealed=False)
    sent = []
    if phase == "at once":
        sent += made.pass_on(denial)
        for node in NODES[:2] + NODES[3:]:
            sent += made.pass_on(made.channel(node).wrap(BANK, made.decisions(node, {}), sealed=False))
    else:
        opening = made.decide({})
        sent += made.pass_on(denial)
        for node in NODES[:2] + NODES[3:]:
            sent += made.pass_on(made.channel(node).wrap(BANK, made.shares(node, opening), sealed=False))
    (acknowledgement,) = sent
    made.relay.receive(acknowledgement)
    assert made.relay.outcome is Outcome.DENIED
    assert made.bank.denials == made.relay.denials == {NODES[2]: "QUOTA"}
    assert made.bank.closed
    assert not made.bank.opened


def test_a_node_that_was_told_another_enterprise_spoils_the_sum(network: AssessmentNetwork) -> None:
    made = BatchNetwork(3, network)
    opening = made.decide({})
    other = (made.names[0], "another", made.names[2])
    sent = []
    for node in NODES:
        told = other if node == NODES[0] else None
        sent += made.pass_on(made.channel(node).wrap(BANK, made.shares(node, opening, told), sealed=False))
    made.relay.receive(sent[-1])
    assert made.relay.outcome is Outcome.REJECTED
    assert made.bank.failure is not None
    assert made.bank.failure.code == "RESULT_OUT_OF_RANGE"
    assert not made.bank.opened


def test_different_openings_told_to_different_nodes_open_nothing(network: AssessmentNetwork) -> None:
    made = BatchNetwork(2, network)
    alone, both = BatchOpening((0,)), BatchOpening((0, 1))
    shares = [made.shares(node, alone if node == NODES[0] else both).vector for node in NODES]
    public = network.bank_key.public_key
    (plain,) = decrypt(network.bank_key, CiphertextVector.from_bytes(public, combine(shares, public)))
    assert plain.bit_length() > public.bits - 64
    with pytest.raises(VerificationFailed, match="do not cancel"):
        unpack_answers([plain], 1, network.manifest, public.bits)


def test_every_proper_subset_of_shares_decrypts_to_noise(network: AssessmentNetwork) -> None:
    made = BatchNetwork(4, network)
    opening = BatchOpening((0, 1, 2, 3))
    public = network.bank_key.public_key
    shares = [made.shares(node, opening).vector for node in NODES]
    for left_out in range(len(NODES)):
        subset = shares[:left_out] + shares[left_out + 1 :]
        (plain,) = decrypt(network.bank_key, CiphertextVector.from_bytes(public, combine(subset, public)))
        assert plain.bit_length() > public.bits - 64


def test_a_coordinator_that_adds_points_is_found_out(network: AssessmentNetwork) -> None:
    made = BatchNetwork(2, network)
    opening = made.decide({})
    shares = {node: made.shares(node, opening) for node in NODES}
    for node in NODES:
        made.bank.receive(made.channel(node).wrap(BANK, shares[node], sealed=False))
    public = network.bank_key.public_key
    product = CiphertextVector.from_bytes(public, combine([share.vector for share in shares.values()], public))
    raised = product + Encryptor(public, secrets.token_bytes).encrypt([50])
    forged = made.channel(COORDINATOR).wrap(BANK, CombinedBatch(raised.to_bytes()), sealed=False)
    made.bank.receive(forged)
    assert made.bank.failure is not None
    assert made.bank.failure.code == "WRONG_PRODUCT"
    assert not made.bank.opened


def test_shares_before_the_opening_twice_or_of_strangers_are_refused(network: AssessmentNetwork) -> None:
    made = BatchNetwork(2, network)
    opening = BatchOpening((0, 1))
    early = made.channel(NODES[0]).wrap(BANK, made.shares(NODES[0], opening), sealed=False)
    for role in (made.relay, made.bank):
        with pytest.raises(UnexpectedMessage):
            role.receive(early)
    made.decide({})
    made.pass_on(early)
    for role in (made.relay, made.bank):
        with pytest.raises(UnexpectedMessage):
            role.receive(early)
        with pytest.raises(CreditFederationError):
            role.receive(made.channel(COORDINATOR).wrap(BANK, BatchShares(b"", POLICY), sealed=False))


def test_whose_slip_the_coordinator_refuses_is_not_opened_whatever_the_bank_asks(network: AssessmentNetwork) -> None:
    made = BatchNetwork(3, network)
    made.show({1: "CONSENT_REVOKED"})
    assert made.decide({}).accepted == (0, 2)
    assert made.bank.refused == {1: {COORDINATOR: "CONSENT_REVOKED"}}
    cheating = BatchNetwork(3, network)
    cheating.show({1: "CONSENT_REVOKED"})
    opening = cheating.channel(BANK).wrap(EVERYONE, BatchOpening((0, 1, 2)))
    with pytest.raises(VerificationFailed) as refusal:
        cheating.relay.receive(opening)
    assert refusal.value.code == "NOT_ADMITTED"


def test_no_batch_is_opened_before_its_slips_are_shown_and_they_are_shown_once(network: AssessmentNetwork) -> None:
    made = BatchNetwork(2, network)
    opening = made.channel(BANK).wrap(EVERYONE, BatchOpening((0, 1)))
    with pytest.raises(UnexpectedMessage):
        made.relay.receive(opening)
    made.show()
    for slips in (("", ""), ("",)):
        with pytest.raises(UnexpectedMessage):
            made.relay.receive(made.channel(BANK).wrap(COORDINATOR, BatchSlips(slips), sealed=False))


def test_decisions_of_another_length_or_given_twice_are_refused(network: AssessmentNetwork) -> None:
    made = BatchNetwork(3, network)
    short = BatchNetwork(2, network).decisions(NODES[0], {})
    envelope = made.channel(NODES[0]).wrap(BANK, short, sealed=False)
    for role in (made.relay, made.bank):
        with pytest.raises(MalformedMessage):
            role.receive(envelope)
    whole = made.channel(NODES[0]).wrap(BANK, made.decisions(NODES[0], {}), sealed=False)
    made.pass_on(whole)
    for role in (made.relay, made.bank):
        with pytest.raises(UnexpectedMessage):
            role.receive(whole)


def test_the_relay_routes_a_batch_among_its_parties_only(network: AssessmentNetwork) -> None:
    made = BatchNetwork(1, network)
    query, slips, *subjects = made.bank.start()
    assert made.relay.audience(slips) == []
    assert made.relay.audience(query) == list(NODES)
    assert [made.relay.audience(subject) for subject in subjects] == [[node] for node in NODES]
    stranger = made.channel(NODES[0]).wrap(NODES[1], Denial("NO", POLICY))
    with pytest.raises(UnexpectedMessage):
        made.relay.audience(stranger)


def test_an_answer_too_wide_for_its_slot_is_not_packed(network: AssessmentNetwork) -> None:
    with pytest.raises(ValueError, match="slot"):
        pack_answers([1 << 200], network.manifest, 512)


def test_no_enterprise_is_readable_in_what_the_coordinator_relays(network: AssessmentNetwork) -> None:
    made = BatchNetwork(3, network)
    relayed = b"".join(encode(envelope) for envelope in made.bank.start())
    assert not [name for name in made.names if name.encode() in relayed]
