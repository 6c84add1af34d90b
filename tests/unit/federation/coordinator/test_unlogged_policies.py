"""A node that releases under a policy which the coordinator never logged is found by reconciliation, offline too."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.audit.export.reading import ExportedLog
from federation.audit.export.writing import export_log
from federation.audit.reading.log_view import LogView, StoredLog
from federation.audit.reconciliation.reconcile import reconcile
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.coordinator.policies import PolicyBook
from federation.local.federation import LocalFederation
from tests.conftest import TrainedFederation
from tests.small_federation import NOW


@pytest.fixture
def hiding(federation_folder: Path, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A federation whose coordinator passes an answer of tax on, and hides that tax has another policy now."""
    policy = federation_folder / "tax" / "policy.yaml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("name: admitted banks may assess", "name: another rule"), encoding="utf-8")
    monkeypatch.setattr(PolicyBook, "note", lambda *_: None)
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        assert federation.assess(trained.ids[:1])[0].status == "ok"
    return federation_folder


def found(log: LogView, ledgers: Path) -> set[tuple[str, str]]:
    """What does not fit, by code and party."""
    with closing(log), open_ledgers(ledgers) as readers:
        fits = reconcile(log.leaves(), {party: own_entries(reader) for party, reader in readers.items()})
    return {(one.code, one.party) for one in fits.discrepancies}


@pytest.mark.parametrize("offline", [False, True])
def test_an_answer_under_a_policy_that_was_never_logged_is_found(hiding: Path, tmp_path: Path, offline: bool) -> None:
    if offline:
        export_log(hiding, tmp_path / "export", verify_directory(hiding))
    log = ExportedLog(tmp_path / "export") if offline else StoredLog(hiding)
    assert found(log, hiding) == {("POLICY_MISSING", "tax"), ("POLICY_NOT_LOGGED", "tax")}


def test_the_same_federation_fits_while_its_coordinator_hides_nothing(
    federation_folder: Path, trained: TrainedFederation
) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        assert federation.assess(trained.ids[:1])[0].status == "ok"
    assert found(StoredLog(federation_folder), federation_folder) == set()
