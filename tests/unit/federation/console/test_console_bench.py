"""The measurement of the console asks for pages that are there, over a log that verifies and holds what it should."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.audit.reading.log_view import StoredLog
from federation.audit.reconciliation.reconcile import reconcile
from federation.console.bench import make_log, measure
from protocols.transparency import LeafKind


def test_every_page_is_asked_for_over_a_log_in_the_proportions_of_a_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.console.accounts._COST", 1 << 8)
    monkeypatch.setattr("federation.console.bench.REPEATS", 1)
    make_log(tmp_path, 1400)
    assert verify_directory(tmp_path).ok
    with closing(StoredLog(tmp_path)) as log:
        kinds = {one.commitment().kind for one in log.leaves()}
        faults = {one.code for one in reconcile(log.leaves(), {}).discrepancies}
    assert {LeafKind.REQUEST, LeafKind.RELEASE, LeafKind.DENY, LeafKind.ACK, LeafKind.OBJECTION} < kinds
    assert faults <= {"RELEASE_MISSING", "RESULT_MISSING", "ACK_MISSING"}  # of the one query at the log's end
    found = measure(1400, tmp_path)
    assert found.leaves == 1400
    assert {page.page.split("?")[0].split("/")[1] for page in found.pages} == {
        *("overview", "timeline", "entries", "queries", "alarms", "objections", "reports", "witnesses", "health")
    }
    assert all(page.size > 500 for page in found.pages)
