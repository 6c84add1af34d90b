"""Reported outcomes are labels: above 90 days a default, 30 to 90 nothing, below good once a year has passed."""

from __future__ import annotations

import datetime
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from federation.local import BANK, LocalFederation, split_rows
from nodes.bank.reported import TRAINS_NOTHING, reported_labels, with_reported
from nodes.bank.store import outcomes
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.store.outcomes import Label, Outcome
from nodes.features import FeatureTable
from protocols.errors import ConfigurationError
from tests.conftest import TrainedFederation
from tests.small_federation import MINIMUM_BIN, NOW, PLAN

DRAWN = datetime.date(2024, 3, 1)
YEAR_LATER = datetime.date(2025, 3, 5)


def report(home: Path, *said: Outcome) -> None:
    with closing(Database(home / DATABASE_FILE)) as database:
        for outcome in said:
            database.do(lambda c, outcome=outcome: outcomes.record(c, outcome, NOW))  # type: ignore[misc]


def loan(enterprise: str, days: int, observed: datetime.date = YEAR_LATER) -> Outcome:
    return Outcome(enterprise, f"loan of {enterprise}", DRAWN, observed, days)


def test_days_past_due_become_labels(tmp_path: Path) -> None:
    report(tmp_path, loan("a", 91), loan("b", 90), loan("c", 30), loan("d", 29), loan("e", 0, DRAWN))
    assert reported_labels(tmp_path) == {
        "a": Label.DEFAULT,
        "b": Label.INDETERMINATE,
        "c": Label.INDETERMINATE,
        "d": Label.GOOD,
        "e": Label.OPEN,
    }


def test_what_was_reported_goes_before_the_file_and_an_open_loan_changes_nothing() -> None:
    table = FeatureTable(["a", "b", "c", "d", "e"], {"x": np.zeros(5)})
    labels = {"a": Label.DEFAULT, "b": Label.INDETERMINATE, "c": Label.GOOD, "d": Label.OPEN, "unknown": Label.GOOD}
    found = with_reported(table, np.array([0, 1, 1, 1, 0]), labels)
    assert found.tolist() == [1, TRAINS_NOTHING, 0, 1, 0]


def test_indeterminate_rows_are_in_neither_half_of_a_split() -> None:
    known = np.array([0, 1, TRAINS_NOTHING] * 40)
    split = split_rows(known, 0.3, 0)
    assert sorted(split.order().tolist()) == np.flatnonzero(known >= 0).tolist()


def test_a_bank_that_never_ran_its_api_has_reported_nothing_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert reported_labels(tmp_path) == {}
    (tmp_path / DATABASE_FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError) as refusal:
        reported_labels(tmp_path)
    assert refusal.value.code == "BAD_DATABASE"


@pytest.mark.slow
def test_a_bank_trains_again_on_what_was_reported(trained: TrainedFederation, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "federation"))
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        ids, before = federation.bank_tables[BANK].ids, federation.outcomes
    good, bad = (ids[int(np.flatnonzero(before == value)[0])] for value in (0, 1))
    left_out = ids[int(np.flatnonzero(before == 0)[1])]
    report(folder / BANK, loan(good, 120), loan(bad, 0), loan(left_out, 60))
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        split = split_rows(federation.outcomes, 0.3, 0)
        training = federation.train(split, PLAN, MINIMUM_BIN)
        rows = {ids[int(row)]: int(federation.outcomes[int(row)]) for row in split.order()}
        assert (rows[good], rows[bad]) == (1, 0)
        assert left_out not in rows
        assert training.model.model
        assert federation.assess([left_out])[0].status == "ok"
