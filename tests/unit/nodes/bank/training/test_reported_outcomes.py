"""Reported outcomes are labels: above 90 days a default, 30 to 90 nothing, below good once a year has passed."""

from __future__ import annotations

import datetime
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nodes.bank.store import outcomes
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.store.outcomes import Label, Outcome
from nodes.bank.training.reported import TRAINS_NOTHING, ReportedCounts, reported_labels, with_reported
from nodes.bank.training.split import split_rows
from nodes.features import FeatureTable
from protocols.errors import ConfigurationError
from tests.small_federation import NOW

DRAWN = datetime.date(2022, 3, 1)
YEAR_LATER = datetime.date(2023, 3, 5)
TODAY = outcomes.latest_day(NOW)


def report(home: Path, *said: Outcome) -> None:
    with closing(Database(home / DATABASE_FILE)) as database:
        for outcome in said:
            database.do(lambda c, outcome=outcome: outcomes.record(c, outcome, NOW))  # type: ignore[misc]


def loan(enterprise: str, days: int, observed: datetime.date = YEAR_LATER) -> Outcome:
    return Outcome(enterprise, f"loan of {enterprise}", DRAWN, observed, days)


def test_days_past_due_become_labels(tmp_path: Path) -> None:
    report(tmp_path, loan("a", 91), loan("b", 90), loan("c", 30), loan("d", 29), loan("e", 0, DRAWN))
    assert reported_labels(tmp_path, TODAY) == {
        "a": Label.DEFAULT,
        "b": Label.INDETERMINATE,
        "c": Label.INDETERMINATE,
        "d": Label.GOOD,
        "e": Label.OPEN,
    }


def test_what_was_reported_goes_before_the_file_and_an_open_loan_changes_nothing() -> None:
    table = FeatureTable(["a", "b", "c", "d", "e"], {"x": np.arange(5.0), "y": np.array(list("vwxyz"), dtype=object)})
    labels = {
        "a": Label.DEFAULT,
        "b": Label.INDETERMINATE,
        "c": Label.GOOD,
        "d": Label.OPEN,
        "new and good": Label.GOOD,
        "new and bad": Label.DEFAULT,
        "new, neither": Label.INDETERMINATE,
        "new and open": Label.OPEN,
    }
    found = with_reported(table, np.array([0, 1, 1, 1, 0]), labels, TODAY)
    assert found.outcomes.tolist() == [1, TRAINS_NOTHING, 0, 1, 0, 1, 0]
    assert found.table.ids == ["a", "b", "c", "d", "e", "new and bad", "new and good"]
    assert found.table.columns["x"].tolist()[:5] == list(range(5))
    assert np.isnan(found.table.columns["x"].tolist()[5:]).all()
    assert found.table.columns["y"].tolist() == [*"vwxyz", None, None]
    assert found.counts == ReportedCounts(TODAY.isoformat(), reported=5, changed=2, added=2, left_out=1, open=2)


def test_without_reports_the_file_is_as_it_was() -> None:
    table = FeatureTable(["a", "b"], {"x": np.zeros(2)})
    found = with_reported(table, np.array([0, 1]), {}, TODAY)
    assert found.table is table
    assert found.outcomes.tolist() == [0, 1]
    assert found.counts == ReportedCounts(TODAY.isoformat(), 0, 0, 0, 0, 0)


def test_indeterminate_rows_are_in_neither_half_of_a_split() -> None:
    known = np.array([0, 1, TRAINS_NOTHING] * 40)
    split = split_rows(known, 0.3, 0)
    assert sorted(split.order().tolist()) == np.flatnonzero(known >= 0).tolist()


def test_a_bank_that_never_ran_its_api_has_reported_nothing_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert reported_labels(tmp_path, TODAY) == {}
    (tmp_path / DATABASE_FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError) as refusal:
        reported_labels(tmp_path, TODAY)
    assert refusal.value.code == "BAD_DATABASE"
