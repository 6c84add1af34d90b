"""What a ledger keeps for enterprises: their entries, their objections until all have decided, what was put right."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import pytest

from nodes.ledger import (
    Answer,
    BatchEntry,
    NodeLedger,
    Repair,
    RepairKind,
    StoredDecision,
    StoredObjection,
    open_node_ledger,
)
from nodes.ledger.location import Location
from nodes.ledger.runs import Release
from nodes.policy import Quota
from protocols.enterprise.objections import Ground, Verdict
from protocols.scorecard.messages import LeakClass

NAMES = [hashlib.sha256(str(n).encode()).digest()[:16] for n in range(50)]
ID, OTHER = b"o" * 16, b"p" * 16


@pytest.fixture
def ledger(location: Location) -> Iterator[NodeLedger]:
    with contextlib.closing(open_node_ledger(location)) as opened:
        yield opened


def answer(number: int, subject: str, at: int, code: str = "") -> Answer:
    query = number.to_bytes(16, "big")
    return Answer(query, query, "bank", subject, b"nodes", b"m" * 32, at, "rule", code, b"response %d" % number)


def test_an_enterprise_finds_its_own_entries_in_the_order_of_time(ledger: NodeLedger) -> None:
    ledger.answers.release(answer(1, "me", 300), Quota())
    ledger.answers.deny(answer(2, "me", 100, "QUOTA"))
    ledger.answers.release(answer(3, "you", 200), Quota())
    entries = [BatchEntry(0, "you", ""), BatchEntry(1, "me", "CONSENT_MISSING")]
    ledger.answers.release_batch(answer(4, "", 200), entries, Quota())
    found = ledger.subjects.entries("me", NAMES[0], 0, 1000, 10)
    told = [(entry.at, entry.kind, entry.decision, entry.code) for entry in found]
    assert told == [
        (100, "assessment", "DENY", "QUOTA"),
        (200, "batch", "DENY", "CONSENT_MISSING"),
        (300, "assessment", "RELEASE", ""),
    ]
    assert found[0].evidence == hashlib.sha256(b"response 2").digest()
    assert [e.at for e in ledger.subjects.entries("me", NAMES[0], 200, 300, 10)] == [200]
    assert len(ledger.subjects.entries("me", NAMES[0], 0, 1000, 2)) == 2
    assert ledger.subjects.entries("nobody", NAMES[0], 0, 1000, 10) == []


@pytest.mark.parametrize("number", [0, 1, 24, 48, 49])
def test_an_enterprise_finds_the_runs_whose_cohort_it_was_in(ledger: NodeLedger, number: int) -> None:
    cohort = NAMES[:number] + NAMES[number + 1 :]
    for transcript, names in ((b"with", NAMES), (b"without", cohort)):
        ledger.runs.open(transcript, "bank", 2)
        ledger.runs.record_cohort(transcript, "bank", b"".join(sorted(names)))
        ledger.runs.record_release(transcript, Release("step", LeakClass.AGGREGATE, 50, "rule", b""))
    found = ledger.subjects.entries("me", NAMES[number], 0, 100, 10)
    assert [(entry.reference, entry.kind) for entry in found] == [(b"with", "training")]


def objection(
    identifier: bytes = ID, subject: str = "me", contested: tuple[str, ...] = ("social", "tax")
) -> StoredObjection:
    return StoredObjection(identifier, b"T" * 32, subject, Ground.RECORD_WRONG, b"", 100, "why", contested)


def decision(node: str = "tax", confirmed: bool = True, envelope: bytes = b"signed") -> StoredDecision:
    return StoredDecision(ID, node, Verdict.REJECTED, "RECORD_CONFIRMED", 0, 200, envelope, confirmed)


def test_an_enterprise_is_marked_until_every_node_concerned_has_decided_and_that_is_logged(ledger: NodeLedger) -> None:
    records = ledger.objections
    records.add(objection())
    records.add(objection(OTHER, "you"))
    records.add(objection())
    assert records.find(ID) == objection()
    assert records.decide(decision("social"))
    assert records.decide(decision("tax", confirmed=False))
    assert (records.waiting(ID), records.pending(["me"])) == (("tax",), [True])
    assert records.unconfirmed("tax") == [decision("tax", confirmed=False)]
    assert not records.decide(decision("tax"))
    assert (records.waiting(ID), records.pending(["me"]), records.unconfirmed("tax")) == ((), [False], [])
    assert records.pending(["me", "you", "nobody"]) == [False, True, False]
    assert [one.id for one in records.contested_by("tax")] == [ID, OTHER]


def test_the_first_decision_stands(ledger: NodeLedger) -> None:
    ledger.objections.add(objection())
    ledger.objections.decide(decision("tax", confirmed=False))
    assert not ledger.objections.decide(decision("tax", envelope=b"another"))
    assert ledger.objections.decision(ID, "tax") == decision("tax", confirmed=False)


def test_repairs_stand_until_they_are_withdrawn_and_each_changes_the_version(ledger: NodeLedger) -> None:
    records, seen = ledger.repairs, {ledger.repairs.version()}
    value = Repair(RepairKind.VALUE, "me", "late", {}, {"late": None}, 5, ID)
    event = Repair(RepairKind.EVENT, "you", "bills", {"month": "2023-05-01"}, None, 6)
    assert (records.add(value), records.add(event)) == (1, 2)
    seen.add(records.version())
    assert [(r.number, r.describe(), r.change) for r in records.standing()] == [
        (1, "late", {"late": None}),
        (2, "bills month 2023-05-01", None),
    ]
    assert (records.count_for(ID), records.count_for(OTHER)) == (1, 0)
    assert records.withdraw(1)
    assert not records.withdraw(1)
    seen.add(records.version())
    assert (len(seen), records.count_for(ID), records.of_subject("me", 9)) == (3, 0, [])
