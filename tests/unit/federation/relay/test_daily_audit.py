"""The coordinator audits its own log every day, by itself, and what it finds cannot be overlooked."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY

from federation.audit.reports.daily import DailyAudit, audit
from federation.local.federation import LocalFederation
from federation.process.settings import read_settings
from federation.relay.daily import RESULT_FILE, DailyRounds, seconds_until
from federation.relay.settings import CoordinatorSettings
from protocols.errors import ConfigurationError
from protocols.transparency.leaves import LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import NOW, at_node, stated

LATER_MS = (NOW + 7200) * 1000
DAY_MS = 86_400_000


@pytest.fixture
def home(federation_folder: Path, trained: TrainedFederation) -> Path:
    """A coordinator's folder, one question asked and answered."""
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        federation.assess(trained.ids[:1])
    return federation_folder / "coordinator"


def leave_one_open(home: Path, trained: TrainedFederation) -> None:
    """Let the bank ask a question that nobody answers."""
    node = at_node(home.parent, trained.training.model)
    query = node.query()
    channel = node.bank_channel(query.transcript())
    with LocalFederation(home.parent, clock=lambda: NOW) as federation:
        asked = (stated(channel, query, trained.ids[0], LeafKind.REQUEST), channel.wrap("_everyone", query))
        federation.coordinator.route("bank", asked)


def test_a_log_in_order_is_no_alarm(home: Path) -> None:
    found = audit(home, LATER_MS)
    assert (found.ok, found.failure, found.alarms, found.queries) == (True, "", (), 1)
    assert found.leaves > 7


def test_a_question_without_its_answers_is_a_reconciliation_alarm_for_two_days(
    home: Path, trained: TrainedFederation
) -> None:
    leave_one_open(home, trained)
    rules = {alarm.rule for alarm in audit(home, LATER_MS).alarms}
    assert rules == {"reconciliation"}
    assert {a.rule for a in audit(home, LATER_MS + DAY_MS).alarms} == {"reconciliation"}
    assert audit(home, LATER_MS + 3 * DAY_MS).alarms == ()


def test_a_log_that_was_changed_fails_the_audit(home: Path) -> None:
    with sqlite3.connect(home / "log.sqlite") as attacker:
        attacker.execute("DELETE FROM leaves WHERE idx = 3")
    found = audit(home, LATER_MS)
    assert (found.ok, found.failure) == (False, "LEAF_MISSING at leaf 3")
    (home / "log.pub").unlink()
    assert audit(home, LATER_MS).failure == "LOG_KEYS"


def test_the_rules_are_the_coordinators_own(home: Path, trained: TrainedFederation) -> None:
    leave_one_open(home, trained)
    (home / "alarms.yaml").write_text("reconciliation: false\nbulk: {per_hour: 1}\n", encoding="utf-8")
    assert {alarm.rule for alarm in audit(home, LATER_MS).alarms} == {"bulk"}
    (home / "alarms.yaml").write_text("no_such_rule: 1\n", encoding="utf-8")
    assert audit(home, LATER_MS).failure == "BAD_SETTINGS"


def test_what_it_finds_is_in_the_log_lines_the_metrics_and_a_file(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a process of its own, as the coordinator runs it; the question of 2023 is long over, so a rule is lowered."""
    with sqlite3.connect(home / "log.sqlite") as attacker:
        attacker.execute("UPDATE leaves SET chain = zeroblob(32) WHERE idx = 5")
    with caplog.at_level(logging.INFO, "federation.relay.daily"):
        found = asyncio.run(DailyRounds(home, "").audit())
    assert found is not None
    assert found.failure == "LEAF_ALTERED at leaf 5"
    assert REGISTRY.get_sample_value("credfed_audit_log_ok") == 0
    assert msgspec.json.decode((home / RESULT_FILE).read_bytes(), type=DailyAudit) == found
    (line,) = [record for record in caplog.records if record.getMessage() == "daily audit"]
    assert line.levelno == logging.ERROR


def test_it_runs_at_its_time_every_day(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    audited: list[int] = []
    rounds = DailyRounds(home, "19:30", clock=lambda: datetime(2026, 5, 1, 19, 0, tzinfo=UTC).timestamp())

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    async def count() -> None:
        audited.append(1)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(rounds, "audit", count)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(rounds.run())
    assert (slept, len(audited)) == ([1800.0] * 3, 2)


@pytest.mark.parametrize(
    ("now", "hours"), [((2026, 5, 1, 19, 30), 24), ((2026, 5, 1, 20, 30), 23), ((2026, 12, 31, 23, 30), 20)]
)
def test_the_next_time_is_never_now_and_may_be_tomorrow(now: tuple[int, int, int, int, int], hours: int) -> None:
    assert seconds_until("19:30", datetime(*now, tzinfo=UTC).timestamp()) == hours * 3600


@pytest.mark.parametrize("at", ["24:00", "7:30", "noon", "19:60"])
def test_a_time_that_is_none_is_a_wrong_setting(tmp_path: Path, at: str) -> None:
    (tmp_path / "coordinator.yaml").write_text(f'daily_audit: "{at}"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="daily_audit"):
        read_settings(tmp_path / "coordinator.yaml", CoordinatorSettings)
