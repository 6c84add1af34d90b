"""The wire auditor reads a consortium's run, and finds what is sent too often, too openly, or against one's word."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from protocols.channel.envelope import EVERYONE, Envelope, pack_parcel
from protocols.channel.identity import PartyId
from protocols.consortium import messages as c
from protocols.scorecard import messages as m
from protocols.scorecard.model import TrainingPlan
from protocols.wire_audit import Code, Observation, Report, Terms, audit
from tests.protocol.consortium_network import ConsortiumNetwork, pooled_economy

TWO = {"bank_a": (90, 20), "bank_b": (80, 20)}
A, B = map(PartyId, TWO)
TAX = PartyId("tax")


@pytest.fixture(scope="module")
def ran() -> ConsortiumNetwork:
    network = ConsortiumNetwork(pooled_economy(TWO, {"social": 1, "tax": 2}, strength=2.0), TrainingPlan(refinements=1))
    network.run()
    assert network.relay.finished
    return network


def judged(ran: ConsortiumNetwork, more: Sequence[tuple[PartyId, Envelope]] = ()) -> Report:
    """What the auditor says of all that arrived; this network's cards carry no Paillier keys."""
    seen = [*ran.seen, *more]
    parcels = [(party, pack_parcel((envelope,))) for party, envelope in seen]
    return audit(ran.cards.values(), [Observation(at, True, data, data) for at, data in parcels], Terms(0))


def codes(report: Report, message: str = "") -> set[Code]:
    """Codes but for those that follow from the missing keys."""
    keyless = (Code.KEY_INVALID, Code.PRODUCT_WRONG)
    return {f.code for f in report.findings if f.code not in keyless and message in ("", f.message)}


def test_an_honest_run_shows_nothing_and_keeps_to_its_plan(ran: ConsortiumNetwork) -> None:
    report = judged(ran)
    assert codes(report) == set()
    (account,) = report.accounts
    assert (account.opening, account.planned_row_totals) == ("ConsortiumSpec", 4)
    assert account.revealed["row_totals"] == 4


def test_a_bank_that_shows_another_label_vector_is_noticed(ran: ConsortiumNetwork) -> None:
    labels = m.EncryptedLabels(ran._labels[A].vector)
    other = ran.channel(B).wrap(EVERYONE, labels)
    assert Code.LABELS_CHANGED in codes(judged(ran, [(TAX, other)]), "EncryptedLabels")


@pytest.mark.parametrize("kind", [c.HistogramShare, m.LocalGram, m.ProductShare])
def test_a_node_that_releases_more_than_one_share_a_bank_is_noticed(ran: ConsortiumNetwork, kind: type) -> None:
    sent = [e for _, e in ran.seen if e.message == kind.__name__ and e.sender in (TAX, PartyId("social"))]
    again = [ran.channel(PartyId(e.receiver)).unwrap(e, kind) for e in sent]
    more = [
        (PartyId(e.receiver), ran.channel(PartyId(e.sender)).wrap(PartyId(e.receiver), message))
        for _ in range(2)
        for e, message in zip(sent, again, strict=True)
    ]
    assert Code.RELEASE_OVER_PLAN in codes(judged(ran, more), kind.__name__)


def test_a_share_that_travels_open_is_noticed(ran: ConsortiumNetwork) -> None:
    share = c.PoolShare("histograms", (bytes(range(200)),))
    assert Code.UNSEALED in codes(judged(ran, [(B, ran.channel(A).wrap(B, share, sealed=False))]), "PoolShare")


def test_another_release_of_totals_is_noticed(ran: ConsortiumNetwork) -> None:
    totals = next(e for _, e in ran.seen if e.message == "CombinedTotals" and e.receiver == A)
    message = ran.channel(A).unwrap(totals, m.CombinedTotals)
    more = ran.channel(PartyId("coordinator")).wrap(A, m.CombinedTotals(2, message.vector), sealed=False)
    assert Code.RELEASE_OVER_PLAN in codes(judged(ran, [(A, more)]), "CombinedTotals")
