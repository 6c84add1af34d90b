"""One assessment between honest parties yields exactly the sum of the parts, once, and for the whole node set."""

from __future__ import annotations

import itertools

from protocols.assessment.layout import Coverage
from protocols.assessment.messages import Denial, Outcome
from protocols.channel.identity import PartyId
from protocols.scorecard.messages import FeaturePoints
from protocols.scorecard.themes import BAND_POINTS

from .assessing import BINS, NODES, PARTS, POLICY, AssessmentNetwork, points
from .network import BANK


def test_the_bank_opens_the_sum_of_all_parts_for_every_enterprise() -> None:
    network = AssessmentNetwork()
    choices = [itertools.product(*(range(len(f.points)) for f in PARTS[node])) for node in NODES]
    for combination in itertools.islice(itertools.product(*map(list, choices)), 0, None, 11):
        bins = dict(zip(NODES, combination, strict=True))
        bank = network.ask(network.query(), bins)
        assert bank.opened is not None
        assert bank.opened.total == sum(points(node, bins) for node in NODES)
        assert bank.opened.themes == (sum(_band(node, bins) for node in NODES),)
        assert bank.opened.coverage == (Coverage.OK,) * 4


def _band(node: PartyId, bins: dict[PartyId, tuple[int, ...]]) -> int:
    def lost(feature: FeaturePoints, code: int) -> int:
        return max(feature.points) - feature.points[code] if feature.theme == 0 else 0

    total = sum(lost(f, c) for f, c in zip(PARTS[node], bins[node], strict=True))
    return sum(total >= limit for limit in BAND_POINTS)


def test_the_coordinator_learns_how_the_query_ended_and_nothing_else() -> None:
    network = AssessmentNetwork()
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    produced = [reply for envelope in network.answers(query).values() for reply in relay.receive(envelope)]
    for envelope in network.answers(query).values():
        bank.receive(envelope)
    assert bank.opened is None  # other encryptions of the same shares: the product is not of these
    assert relay.combined
    assert len(produced) == 1
    (acknowledgement,) = bank.receive(produced[0])
    relay.receive(acknowledgement)
    assert relay.outcome is Outcome.REJECTED


def test_one_denial_closes_the_query_without_a_score_and_is_acknowledged_once() -> None:
    network = AssessmentNetwork()
    query = network.query()
    bank, relay = network.bank(query), network.relay(query)
    answers = network.answers(query)
    refusal = Denial("CONSENT_EXPIRED", POLICY)
    answers[NODES[1]] = network.channel(NODES[1], query).wrap(BANK, refusal, sealed=False)
    sent = []
    for envelope in answers.values():
        assert relay.receive(envelope) == []
        sent += bank.receive(envelope)
    assert bank.opened is None
    assert bank.denials == relay.denials == {NODES[1]: "CONSENT_EXPIRED"}
    assert len(sent) == 1
    assert bank.receive(network.product(query, bytes(4))) == []
    relay.receive(sent[0])
    assert relay.outcome is Outcome.DENIED


def test_bins_are_the_ones_that_the_tests_assume() -> None:
    assert [points(node, BINS) for node in NODES] == [150, 60, 320, 35]
