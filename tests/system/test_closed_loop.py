"""Outcomes that are reported to the bank's REST API are the labels of its next training run, however it trains."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from federation.cli.training.job import Job
from federation.cli.training.results import build_results
from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from nodes.bank.store.api_keys import Scope
from nodes.bank.training.reported import ReportedCounts
from nodes.bank.training.split import split_rows
from nodes.sources import read_description
from protocols.uscc import synthetic
from tests.bank_api import served
from tests.conftest import TrainedFederation
from tests.small_federation import KEY_BITS, MINIMUM_BIN, NOW, PLAN, ROWS, quick_keys

NEW = [synthetic(ROWS + 1 + number) for number in range(3)]
"""Borrowers whom the bank's file does not know."""


def outcome(enterprise: str, days: int, loan: str = "LN-1") -> dict[str, object]:
    said = {"loan": loan, "drawn_on": "2022-03-01", "observed_on": "2023-03-05", "days_past_due": days}
    return {"enterprise": enterprise} | said


def report(folder: Path, *said: dict[str, object]) -> None:
    """Report outcomes as the bank's systems do, over HTTP."""
    with served(folder) as api, api.client(Scope.REPORT_OUTCOMES) as client:
        assert client.post("/v1/outcomes", json={"outcomes": said}).status_code == 201


@pytest.fixture
def reported(trained: TrainedFederation, tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder whose bank was told of six loans, and of one of them wrongly at first; three enterprises of its file."""
    folder = Path(shutil.copytree(trained.folder, tmp_path / "federation"))
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        ids, before = federation.bank_table.ids, federation.outcomes
    good, other, bad = (ids[int(np.flatnonzero(before == value)[at])] for value, at in ((0, 0), (0, 1), (1, 0)))
    report(folder, outcome(good, 120), outcome(bad, 95), outcome(other, 60), *map(outcome, NEW, (0, 200, 45)))
    report(folder, outcome(bad, 3) | {"correction": True})
    return folder, [good, bad, other]


COUNTS = ReportedCounts("2023-11-15", reported=5, changed=2, added=2, left_out=1, open=0)


def check_rows(federation: LocalFederation, known: list[str]) -> None:
    """Hold the rows that train, and their labels, against what was reported."""
    split = split_rows(federation.outcomes, 0.3, 0)
    rows = {federation.bank_table.ids[row]: int(federation.outcomes[row]) for row in split.order().tolist()}
    good, bad, other = known
    assert (rows[good], rows[bad], rows[NEW[0]], rows[NEW[1]]) == (1, 0, 0, 1)
    assert not {other, NEW[2]} & set(rows)


@pytest.mark.slow
def test_the_next_run_counts_what_was_reported(reported: tuple[Path, list[str]]) -> None:
    folder, known = reported
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        check_rows(federation, known)
        training = federation.train(split_rows(federation.outcomes, 0.3, 0), PLAN, MINIMUM_BIN)
        assert federation.assess([known[2]])[0].status == "ok"
    results = build_results("small", training, KEY_BITS, PLAN, None)
    assert results.reported == COUNTS
    assert results.rows_train + results.rows_test == ROWS - 1 + 2
    assert int(training.data.bad.sum()) == sum(1 for value in federation.outcomes.tolist() if value == 1)


@pytest.mark.slow
def test_training_anew_from_files_keeps_the_banks_api_and_what_was_reported_to_it(
    reported: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, known = reported
    description = read_description(folder / "data")
    new = tmp_path / "new"
    with quick_keys():
        job = Job(description, 0.3, 0, KEY_BITS, PLAN, MINIMUM_BIN, "small", cores=1, earlier=folder)
        job._found(new)
    with LocalFederation(new, clock=lambda: NOW) as federation:
        check_rows(federation, known)
        assert federation.labelled[federation.lead].counts == COUNTS
    assert (new / BANK / "webhook.key").read_bytes() == (folder / BANK / "webhook.key").read_bytes()
    with served(new) as api, api.client() as client:
        listed = client.get("/v1/outcomes").json()["items"]
    assert {item["enterprise"] for item in listed} == {*known, *NEW}
