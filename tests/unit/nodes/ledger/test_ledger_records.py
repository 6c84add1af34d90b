"""What a ledger has committed survives anything, and no answer leaves that it did not commit."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from nodes.budgets import Budget, Charge
from nodes.ledger import Answer, DuplicateRecord, NodeLedger, Release, StoredPart, open_node_ledger
from nodes.ledger.location import Location
from nodes.policy import Quota
from protocols.errors import BudgetExceeded, PolicyDenied, VerificationFailed
from protocols.scorecard.messages import LeakClass

RUN = b"r" * 32
DAY = 86_400
NEW_YEAR = 1_704_067_200  # 2024-01-01T00:00:00Z
ANSWER = Answer(
    query=b"q" * 16,
    transcript=b"t" * 32,
    bank="bank",
    subject="91999999MA0DEM013K",
    nodes=b"n" * 32,
    model=b"m" * 32,
    at=20_000 * DAY,
    rule="admitted banks may assess",
    code="",
    response=bytes(range(256)),
)


def release(step: str, leak: LeakClass, at: int) -> Release:
    return Release(step, leak, at, "admitted banks may train", bytes(32))


def totals(amount: int, per_year: int = 5) -> Charge:
    return Charge(Budget.ROW_TOTALS, amount, per_year)


@pytest.fixture
def ledger(location: Location) -> Iterator[NodeLedger]:
    ledger = open_node_ledger(location)
    yield ledger
    ledger.close()


def another(number: int, **changes: str | bytes | int) -> Answer:
    fields = {"query": number.to_bytes(16), "transcript": number.to_bytes(32)} | changes
    return dataclasses.replace(ANSWER, **fields)  # type: ignore[arg-type]


def test_a_repeated_query_gets_the_same_bytes(ledger: NodeLedger, location: Location) -> None:
    assert ledger.answers.find(ANSWER.query, ANSWER.transcript, ANSWER.subject) is None
    ledger.answers.release(ANSWER, Quota(10))
    assert ledger.answers.find(ANSWER.query, ANSWER.transcript, ANSWER.subject) == ANSWER.response
    ledger.close()
    reopened = open_node_ledger(location)
    assert reopened.answers.find(ANSWER.query, ANSWER.transcript, ANSWER.subject) == ANSWER.response
    reopened.close()


def test_a_query_id_serves_one_set_of_fields(ledger: NodeLedger) -> None:
    ledger.answers.release(ANSWER, Quota(10))
    with pytest.raises(VerificationFailed) as refusal:
        ledger.answers.find(ANSWER.query, b"u" * 32, ANSWER.subject)
    assert refusal.value.code == "QUERY_REUSED"
    with pytest.raises(VerificationFailed) as refusal:
        ledger.answers.find(ANSWER.query, ANSWER.transcript, "somebody else")
    assert refusal.value.code == "QUERY_REUSED"


def test_two_answers_to_one_query_cannot_both_be_recorded(ledger: NodeLedger) -> None:
    ledger.answers.release(ANSWER, Quota(10))
    with pytest.raises(DuplicateRecord):
        ledger.answers.release(dataclasses.replace(ANSWER, response=b"other"), Quota(10))
    assert ledger.answers.find(ANSWER.query, ANSWER.transcript, ANSWER.subject) == ANSWER.response


def test_the_quota_counts_releases_of_one_bank_and_day(ledger: NodeLedger) -> None:
    for number in range(3):
        ledger.answers.release(another(number), Quota(3))
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.answers.release(another(3), Quota(3))
    assert refusal.value.code == "QUOTA"
    assert ledger.answers.find(another(3).query, another(3).transcript) is None
    ledger.answers.deny(another(4))
    ledger.answers.release(another(5, bank="other"), Quota(3))
    ledger.answers.release(another(6, at=20_001 * DAY), Quota(3))


def test_one_enterprise_is_asked_about_only_so_often_a_day(ledger: NodeLedger) -> None:
    quota = Quota(per_subject=2)
    for number in range(2):
        ledger.answers.release(another(number), quota)
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.answers.release(another(2), quota)
    assert refusal.value.code == "SUBJECT_QUOTA"
    ledger.answers.release(another(3, subject="another enterprise"), quota)
    ledger.answers.release(another(4, bank="another bank"), quota)
    ledger.answers.release(another(5, at=20_001 * DAY), quota)


def test_denials_use_up_no_quota(ledger: NodeLedger) -> None:
    for number in range(5):
        ledger.answers.deny(another(number))
    ledger.answers.release(another(5), Quota(1))


def test_one_enterprise_is_asked_of_one_node_set_a_day(ledger: NodeLedger, location: Location) -> None:
    ledger.answers.release(another(0), Quota(10))
    ledger.close()
    ledger = open_node_ledger(location)
    ledger.answers.release(another(1), Quota(10))
    with pytest.raises(PolicyDenied) as refusal:
        ledger.answers.release(another(2, nodes=b"m" * 32), Quota(10))
    assert refusal.value.code == "NODE_SET_LOCKED"
    assert ledger.answers.find(another(2).query, another(2).transcript) is None
    ledger.answers.release(another(3, nodes=b"m" * 32, subject="another enterprise"), Quota(10))
    ledger.answers.release(another(4, nodes=b"m" * 32, bank="another bank"), Quota(10))
    ledger.answers.release(another(5, nodes=b"m" * 32, at=20_001 * DAY), Quota(10))
    ledger.close()


def test_a_refused_answer_leaves_no_lock_behind(ledger: NodeLedger) -> None:
    with pytest.raises(BudgetExceeded):
        ledger.answers.release(another(0), Quota(0))
    ledger.answers.release(another(1, nodes=b"m" * 32), Quota(1))


def test_the_budget_of_totals_survives_reopening(location: Location) -> None:
    for step in range(2):
        ledger = open_node_ledger(location)
        if step == 0:
            ledger.runs.open(RUN, "bank", 2)
        ledger.runs.record_release(RUN, release(f"MaskedTotals/{step}", LeakClass.ROW_TOTALS, 1))
        ledger.close()
    ledger = open_node_ledger(location)
    ledger.runs.record_release(RUN, release("BinHistograms", LeakClass.AGGREGATE, 1))
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.runs.record_release(RUN, release("MaskedTotals/2", LeakClass.ROW_TOTALS, 1))
    assert refusal.value.code == "LEAK_BUDGET"
    assert ledger.runs.leaks(RUN) == {"row_totals": 2, "aggregate": 1}
    ledger.close()


def test_the_years_budget_is_shared_by_all_runs_and_survives_reopening(location: Location) -> None:
    """A dishonest bank that repeats its runs gets no more than the year's totals, whatever each run may open."""
    for number in range(2):
        ledger = open_node_ledger(location)
        run = bytes([number]) * 32
        ledger.spending.require("bank", NEW_YEAR - 1, [totals(2)])
        ledger.runs.open(run, "bank", 2)
        for step in range(2):
            ledger.runs.record_release(
                run, release(f"MaskedTotals/{step}", LeakClass.ROW_TOTALS, NEW_YEAR - 1), [totals(1)]
            )
        ledger.close()
    ledger = open_node_ledger(location)
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.spending.require("bank", NEW_YEAR - 1, [totals(2)])
    assert refusal.value.code == "LEAK_BUDGET"
    ledger.spending.require("another bank", NEW_YEAR - 1, [totals(2)])
    ledger.spending.require("bank", NEW_YEAR, [totals(2)])
    assert ledger.spending.spent("bank", NEW_YEAR - 1)[Budget.ROW_TOTALS] == 4
    assert ledger.spending.spent("bank", NEW_YEAR)[Budget.ROW_TOTALS] == 0
    ledger.close()


def test_a_release_that_the_year_has_no_room_for_is_not_recorded(ledger: NodeLedger) -> None:
    """Two runs were admitted while there was room for either."""
    for run in (RUN, b"s" * 32):
        ledger.runs.open(run, "bank", 3)
    for step in range(3):
        ledger.runs.record_release(RUN, release(f"MaskedTotals/{step}", LeakClass.ROW_TOTALS, NEW_YEAR), [totals(1, 3)])
    with pytest.raises(BudgetExceeded):
        ledger.runs.record_release(b"s" * 32, release("MaskedTotals/0", LeakClass.ROW_TOTALS, NEW_YEAR), [totals(1, 3)])
    assert ledger.runs.leaks(b"s" * 32) == {}
    assert ledger.spending.spent("bank", NEW_YEAR)[Budget.ROW_TOTALS] == 3


def test_a_run_is_opened_once_for_ever(ledger: NodeLedger, location: Location) -> None:
    ledger.runs.open(RUN, "bank", 2)
    ledger.close()
    reopened = open_node_ledger(location)
    with pytest.raises(VerificationFailed) as refusal:
        reopened.runs.open(RUN, "bank", 2)
    assert refusal.value.code == "RUN_REPLAYED"
    reopened.close()


def test_a_step_is_released_once(ledger: NodeLedger) -> None:
    ledger.runs.open(RUN, "bank", 2)
    ledger.runs.record_release(RUN, release("LocalGram", LeakClass.AGGREGATE, 1))
    with pytest.raises(DuplicateRecord):
        ledger.runs.record_release(RUN, release("LocalGram", LeakClass.AGGREGATE, 1))
    assert ledger.runs.leaks(RUN) == {"aggregate": 1}


def test_a_part_once_stored_is_never_replaced(ledger: NodeLedger) -> None:
    first, second = StoredPart(b"m", b"t", b"b"), StoredPart(b"m", b"T", b"B")
    ledger.parts.keep(b"h" * 32, first)
    ledger.parts.keep(b"h" * 32, second)
    assert ledger.parts.find(b"h" * 32) == first
    assert ledger.parts.find(b"g" * 32) is None


def test_neither_enterprise_nor_answer_shows_in_a_representation() -> None:
    assert ANSWER.subject not in repr(ANSWER)
    assert "response" not in repr(ANSWER)
    assert repr(StoredPart(b"m", b"tables", b"bins")) == "StoredPart(manifest=b'm')"


_PROGRAM = """
import os, signal, sys
from pathlib import Path
from nodes.ledger import Answer, open_node_ledger
from nodes.policy import Quota

where = sys.argv[1]
ledger = open_node_ledger(where if "://" in where else Path(where))
answer = Answer(b"q" * 16, b"t" * 32, "bank", "subject", b"n" * 32, b"m" * 32, 2, "rule", "", b"the bytes")
if sys.argv[2] == "after":
    ledger.answers.release(answer, Quota(1))
else:
    with ledger.group():
        ledger.answers.release(answer, Quota(1))
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["after", "within"])
def test_kill_9_between_commit_and_send_loses_nothing_and_releases_nothing(location: Location, moment: str) -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM, str(location), moment], timeout=60, check=False)
    assert run.returncode == -signal.SIGKILL
    ledger = open_node_ledger(location)
    found = ledger.answers.find(b"q" * 16, b"t" * 32, "subject")
    answer = Answer(b"x" * 16, b"y" * 32, "bank", "subject", b"m" * 32, b"m" * 32, 2, "rule", "", b"another")
    if moment == "after":
        assert found == b"the bytes"
        with pytest.raises(BudgetExceeded):
            ledger.answers.release(answer, Quota(1))
    else:
        assert found is None
        ledger.answers.release(answer, Quota(1))
    ledger.close()
