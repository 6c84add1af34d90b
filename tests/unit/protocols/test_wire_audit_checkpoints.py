"""Checkpoints and cosignatures belong to no run; whatever else hides under their transcript does not pass as one."""

from __future__ import annotations

from protocols.channel.identity import PartyId
from protocols.transparency.messages import CheckpointOffer
from protocols.wire_audit.findings import Code, FindingLog, Seen
from protocols.wire_audit.releases import ReleaseBook

OFFER = CheckpointOffer(b"old 0\n\nnote")


def codes(*kinds: str, offered: bool = True) -> tuple[list[Code], int]:
    log = FindingLog()
    book = ReleaseBook(log, {})
    seen = Seen("coordinator", "CheckpointOffer", 0, [PartyId("tax")])
    if offered:
        book.enter(OFFER.transcript(), "CheckpointOffer", seen, OFFER, "tax")
    for kind in kinds:
        book.enter(OFFER.transcript(), kind, seen, None, "tax")
    accounts = book.close()
    return [finding.code for finding in log.findings()], len(accounts)


def test_an_offer_and_its_answers_are_no_run() -> None:
    assert codes("CheckpointCosignature", "CheckpointRefusal") == ([], 0)


def test_an_answer_without_an_offer_is_seen() -> None:
    assert codes("CheckpointCosignature", offered=False) == ([Code.RUN_UNKNOWN], 1)


def test_another_message_under_an_offer_is_seen() -> None:
    assert codes("Cohort") == ([Code.RUN_UNKNOWN], 1)
    assert Code.RELEASE_OVER_PLAN in codes("CombinedTotals")[0]
