"""A bank that asks what it may not: of two enterprises at once, out of time, of another node set."""

from __future__ import annotations

import msgspec
import pytest

from protocols.assessment.messages import Query
from protocols.assessment.node import check_part, check_query
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.paillier import PublicKey
from tests.protocol.assessing import BINS, LIFETIME, NODES, NOW, PARTS, AssessmentNetwork, points
from tests.protocol.network import paillier_key

ENTERPRISE = "91999999MA0DEM013K"


@pytest.fixture(scope="module")
def network() -> AssessmentNetwork:
    return AssessmentNetwork()


# ---- one question, two faces

ABSENT = {node: (0,) * len(PARTS[node]) for node in NODES}


def total_of_two_faces(network: AssessmentNetwork, to_the_others: str) -> int | CreditFederationError | None:
    """Ask one node about a customer, and all others about a firm whose points the bank knows."""
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = network.answers(query, to_the_others, ABSENT)
    answers[NODES[0]] = network.answers(query, "customer", BINS)[NODES[0]]
    for envelope in answers.values():
        bank.receive(envelope)
        for product in relay.receive(envelope):
            bank.receive(product)
    return bank.opened.total if bank.opened else bank.failure


def test_nodes_asked_about_different_enterprises_give_no_answer(network: AssessmentNetwork) -> None:
    failure = total_of_two_faces(network, "firm of which all is known")
    assert isinstance(failure, VerificationFailed)
    assert failure.code == "RESULT_OUT_OF_RANGE"


def test_without_the_enterprise_in_the_masks_two_faces_show_one_nodes_score(network: AssessmentNetwork) -> None:
    """What every node would answer if it masked without saying of whom it speaks: all name the same enterprise."""
    known = sum(points(node, ABSENT) for node in NODES[1:])
    total = total_of_two_faces(network, "customer")
    assert isinstance(total, int)
    assert total - known == points(NODES[0], BINS)


# ---- the query


def ask_with(network: AssessmentNetwork, now: int = NOW + 1, **changes: object) -> None:
    check_query(msgspec.structs.replace(network.query(), **changes), network.manifest, now)


def test_the_honest_query_is_answered_from_a_minute_before_to_a_minute_after(network: AssessmentNetwork) -> None:
    for now in (NOW - 60, NOW, NOW + LIFETIME, NOW + LIFETIME + 59):
        ask_with(network, now)


@pytest.mark.parametrize("now", [0, NOW - 61, NOW + LIFETIME + 60, 1 << 40])
def test_an_expired_or_premature_query_is_refused(network: AssessmentNetwork, now: int) -> None:
    with pytest.raises(VerificationFailed) as caught:
        ask_with(network, now)
    assert caught.value.code == "QUERY_EXPIRED"


@pytest.mark.parametrize(("issued", "expires"), [(NOW, NOW + 3601), (NOW, NOW - 120), (0, NOW + 10)])
def test_a_query_that_would_hold_for_more_than_an_hour_is_refused(
    network: AssessmentNetwork, issued: int, expires: int
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        ask_with(network, issued=issued, expires=expires)
    assert caught.value.code == "QUERY_EXPIRED"


@pytest.mark.parametrize(
    "nodes", [NODES[:3], NODES[:1], (*NODES, "extra"), NODES[::-1], (*NODES[:3], "other")], ids=str
)
def test_a_query_that_names_another_node_set_is_refused(network: AssessmentNetwork, nodes: tuple[str, ...]) -> None:
    with pytest.raises(VerificationFailed) as caught:
        ask_with(network, nodes=nodes)
    assert caught.value.code == "WRONG_NODE_SET"


def test_different_node_sets_told_to_different_nodes_are_different_queries(network: AssessmentNetwork) -> None:
    """Each set has a transcript of its own, and so masks of its own: shares of two sets never open together."""
    query = network.query()
    smaller = msgspec.structs.replace(query, nodes=NODES[:3])
    answers = network.answers(query)
    shares = [network.share(node, smaller if node == NODES[0] else query).ciphertext for node in answers]
    assert network.open_product(shares) >> 100


def test_another_purpose_model_or_bank_is_refused(network: AssessmentNetwork) -> None:
    for changes, code in (
        ({"purpose": "marketing"}, "PURPOSE_DENIED"),
        ({"model": bytes(32)}, "WRONG_MODEL"),
        ({"bank": "other-bank"}, "WRONG_MODEL"),
    ):
        with pytest.raises(CreditFederationError) as caught:
            ask_with(network, **changes)
        assert caught.value.code == code


@pytest.mark.parametrize("field", list(Query.__struct_fields__))
def test_every_field_of_a_query_is_bound_by_its_transcript(network: AssessmentNetwork, field: str) -> None:
    query = network.query()
    value = getattr(query, field)
    other = value + 1 if isinstance(value, int) else value[:-1] + (b"x" if isinstance(value, bytes) else value[:0])
    other = other or "a slip"
    assert msgspec.structs.replace(query, **{field: other}).transcript() != query.transcript()


def test_a_sum_too_wide_for_the_banks_key_is_not_signed_for(network: AssessmentNetwork) -> None:
    entry = network.manifest.nodes[0]
    entries = tuple(msgspec.structs.replace(entry, domain=f"domain {number}") for number in range(370))
    wide = msgspec.structs.replace(network.manifest, nodes=entries)
    part = PARTS[NODES[0]]
    check_part(network.manifest, part, network.bank_key.public_key)
    with pytest.raises(VerificationFailed):
        check_part(wide, part, PublicKey(paillier_key(0).public_key.n, 768))
