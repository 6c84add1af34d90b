"""What a ledger has committed survives anything, and no answer leaves that it did not commit."""

from __future__ import annotations

import dataclasses
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.budgets import Budget, Charge
from nodes.ledger import Answer, Ledger, StoredPart
from protocols.errors import BudgetExceeded, ConfigurationError, PolicyDenied, VerificationFailed
from protocols.scorecard.messages import LeakClass

RUN = b"r" * 32
NEW_YEAR = 1_704_067_200  # 2024-01-01T00:00:00Z
ANSWER = Answer(
    query=b"q" * 16,
    transcript=b"t" * 32,
    bank="bank",
    subject="91999999MA0DEM013K",
    nodes=b"n" * 32,
    day=20_000,
    at=1_728_000_000,
    decision="RELEASE",
    response=bytes(range(256)),
)


def totals(amount: int, per_year: int = 5) -> Charge:
    return Charge(Budget.ROW_TOTALS, amount, per_year)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    yield ledger
    ledger.close()


def another(number: int, **changes: str | bytes | int) -> Answer:
    fields = {"query": number.to_bytes(16), "transcript": number.to_bytes(32)} | changes
    return dataclasses.replace(ANSWER, **fields)  # type: ignore[arg-type]


def test_a_repeated_query_gets_the_same_bytes(ledger: Ledger, path: Path) -> None:
    assert ledger.find_answer(ANSWER.query, ANSWER.transcript) is None
    ledger.commit_answer(ANSWER, 10)
    assert ledger.find_answer(ANSWER.query, ANSWER.transcript) == ANSWER.response
    ledger.close()
    reopened = Ledger(path)
    assert reopened.find_answer(ANSWER.query, ANSWER.transcript) == ANSWER.response
    reopened.close()


def test_a_query_id_serves_one_set_of_fields(ledger: Ledger) -> None:
    ledger.commit_answer(ANSWER, 10)
    with pytest.raises(VerificationFailed) as refusal:
        ledger.find_answer(ANSWER.query, b"u" * 32)
    assert refusal.value.code == "QUERY_REUSED"


def test_two_answers_to_one_query_cannot_both_be_recorded(ledger: Ledger) -> None:
    ledger.commit_answer(ANSWER, 10)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.commit_answer(dataclasses.replace(ANSWER, response=b"other"), 10)
    assert ledger.find_answer(ANSWER.query, ANSWER.transcript) == ANSWER.response


def test_the_quota_counts_releases_of_one_bank_and_day(ledger: Ledger) -> None:
    for number in range(3):
        ledger.commit_answer(another(number), 3)
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.commit_answer(another(3), 3)
    assert refusal.value.code == "QUOTA"
    assert ledger.find_answer(another(3).query, another(3).transcript) is None
    ledger.commit_answer(another(4, decision="DENY"), 3)
    ledger.commit_answer(another(5, bank="other"), 3)
    ledger.commit_answer(another(6, day=20_001), 3)


def test_denials_use_up_no_quota(ledger: Ledger) -> None:
    for number in range(5):
        ledger.commit_answer(another(number, decision="DENY"), 1)
    ledger.commit_answer(another(5), 1)


def test_one_enterprise_is_asked_of_one_node_set_a_day(ledger: Ledger, path: Path) -> None:
    ledger.commit_answer(another(0), 10)
    ledger.close()
    ledger = Ledger(path)
    ledger.commit_answer(another(1), 10)
    with pytest.raises(PolicyDenied) as refusal:
        ledger.commit_answer(another(2, nodes=b"m" * 32), 10)
    assert refusal.value.code == "NODE_SET_LOCKED"
    assert ledger.find_answer(another(2).query, another(2).transcript) is None
    ledger.commit_answer(another(3, nodes=b"m" * 32, subject="another enterprise"), 10)
    ledger.commit_answer(another(4, nodes=b"m" * 32, bank="another bank"), 10)
    ledger.commit_answer(another(5, nodes=b"m" * 32, day=20_001), 10)
    ledger.close()


def test_a_refused_answer_leaves_no_lock_behind(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceeded):
        ledger.commit_answer(another(0), 0)
    ledger.commit_answer(another(1, nodes=b"m" * 32), 1)


def test_the_budget_of_totals_survives_reopening(path: Path) -> None:
    for step in range(2):
        ledger = Ledger(path)
        if step == 0:
            ledger.open_run(RUN, "bank", 2)
        ledger.record_release(RUN, f"MaskedTotals/{step}", LeakClass.ROW_TOTALS, 1)
        ledger.close()
    ledger = Ledger(path)
    ledger.record_release(RUN, "BinHistograms", LeakClass.AGGREGATE, 1)
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.record_release(RUN, "MaskedTotals/2", LeakClass.ROW_TOTALS, 1)
    assert refusal.value.code == "LEAK_BUDGET"
    assert ledger.leaks(RUN) == {"row_totals": 2, "aggregate": 1}
    ledger.close()


def test_the_years_budget_is_shared_by_all_runs_and_survives_reopening(path: Path) -> None:
    """A dishonest bank that repeats its runs gets no more than the year's totals, whatever each run may open."""
    for number in range(2):
        ledger = Ledger(path)
        run = bytes([number]) * 32
        ledger.require_budgets("bank", NEW_YEAR - 1, [totals(2)])
        ledger.open_run(run, "bank", 2)
        for step in range(2):
            ledger.record_release(run, f"MaskedTotals/{step}", LeakClass.ROW_TOTALS, NEW_YEAR - 1, [totals(1)])
        ledger.close()
    ledger = Ledger(path)
    with pytest.raises(BudgetExceeded) as refusal:
        ledger.require_budgets("bank", NEW_YEAR - 1, [totals(2)])
    assert refusal.value.code == "LEAK_BUDGET"
    ledger.require_budgets("another bank", NEW_YEAR - 1, [totals(2)])
    ledger.require_budgets("bank", NEW_YEAR, [totals(2)])
    assert ledger.spent("bank", NEW_YEAR - 1)[Budget.ROW_TOTALS] == 4
    assert ledger.spent("bank", NEW_YEAR)[Budget.ROW_TOTALS] == 0
    ledger.close()


def test_a_release_that_the_year_has_no_room_for_is_not_recorded(ledger: Ledger) -> None:
    """Two runs were admitted while there was room for either."""
    for run in (RUN, b"s" * 32):
        ledger.open_run(run, "bank", 3)
    for step in range(3):
        ledger.record_release(RUN, f"MaskedTotals/{step}", LeakClass.ROW_TOTALS, NEW_YEAR, [totals(1, 3)])
    with pytest.raises(BudgetExceeded):
        ledger.record_release(b"s" * 32, "MaskedTotals/0", LeakClass.ROW_TOTALS, NEW_YEAR, [totals(1, 3)])
    assert ledger.leaks(b"s" * 32) == {}
    assert ledger.spent("bank", NEW_YEAR)[Budget.ROW_TOTALS] == 3


def test_a_run_is_opened_once_for_ever(ledger: Ledger, path: Path) -> None:
    ledger.open_run(RUN, "bank", 2)
    ledger.close()
    reopened = Ledger(path)
    with pytest.raises(VerificationFailed) as refusal:
        reopened.open_run(RUN, "bank", 2)
    assert refusal.value.code == "RUN_REPLAYED"
    reopened.close()


def test_a_step_is_released_once(ledger: Ledger) -> None:
    ledger.open_run(RUN, "bank", 2)
    ledger.record_release(RUN, "LocalGram", LeakClass.AGGREGATE, 1)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record_release(RUN, "LocalGram", LeakClass.AGGREGATE, 1)
    assert ledger.leaks(RUN) == {"aggregate": 1}


def test_a_part_once_stored_is_never_replaced(ledger: Ledger) -> None:
    first, second = StoredPart(b"m", b"t", b"b"), StoredPart(b"m", b"T", b"B")
    ledger.keep_part(b"h" * 32, first)
    ledger.keep_part(b"h" * 32, second)
    assert ledger.part(b"h" * 32) == first
    assert ledger.part(b"g" * 32) is None


def test_neither_enterprise_nor_answer_shows_in_a_representation() -> None:
    assert ANSWER.subject not in repr(ANSWER)
    assert "response" not in repr(ANSWER)
    assert repr(StoredPart(b"m", b"tables", b"bins")) == "StoredPart(manifest=b'm')"


def test_a_file_that_is_no_ledger_is_named(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError) as refusal:
        Ledger(path)
    assert refusal.value.code == "BAD_LEDGER"
    assert path.name in str(refusal.value)


_PROGRAM = """
import os, signal, sys
from pathlib import Path
from nodes.budgets import Budget, Charge
from nodes.ledger import Answer, Ledger

ledger = Ledger(Path(sys.argv[1]))
answer = Answer(b"q" * 16, b"t" * 32, "bank", "subject", b"n" * 32, 1, 2, "RELEASE", b"the bytes")
if sys.argv[2] == "after":
    ledger.commit_answer(answer, 1)
else:
    ledger._connection.execute("BEGIN IMMEDIATE")
    ledger._connection.execute("INSERT INTO node_set_lock VALUES ('bank', 'subject', 1, x'00')")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["after", "within"])
def test_kill_9_between_commit_and_send_loses_nothing_and_releases_nothing(path: Path, moment: str) -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM, str(path), moment], timeout=60, check=False)
    assert run.returncode == -signal.SIGKILL
    ledger = Ledger(path)
    found = ledger.find_answer(b"q" * 16, b"t" * 32)
    answer = Answer(b"x" * 16, b"y" * 32, "bank", "subject", b"m" * 32, 1, 2, "RELEASE", b"another")
    if moment == "after":
        assert found == b"the bytes"
        with pytest.raises(BudgetExceeded):
            ledger.commit_answer(answer, 1)
    else:
        assert found is None
        ledger.commit_answer(answer, 1)
    ledger.close()
