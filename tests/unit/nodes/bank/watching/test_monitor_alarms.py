"""What is worth telling about an enterprise that is watched, and when it is watched no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from nodes.bank.asking.results import AssessmentResult, ThemeResult
from nodes.bank.report.facts import ModelFacts
from nodes.bank.service import Applicant
from nodes.bank.store import monitors
from nodes.bank.store.database import Database
from nodes.bank.store.monitors import Monitor, MonitorStatus, Standing
from nodes.bank.watching.alarms import Alarm, findings, standing_of
from nodes.bank.watching.schedule import CONSENT_LOST, SECONDS_PER_DAY, MonitorRunner
from nodes.bank.watching.webhooks import FIRST_WAIT, LONGEST_WAIT, wait_after
from protocols.consent import Purpose

BEFORE = Standing(0.01, 692, "A", ("growth",))


@pytest.mark.parametrize(
    ("now", "alarms"),
    [
        (Standing(0.0199, 651, "BBB", ("growth",)), []),
        (Standing(0.02, 651, "BBB", ()), [Alarm.PD_DOUBLED]),
        (Standing(0.019, 651, "BB", ()), [Alarm.GRADE_FELL]),
        (Standing(0.3, 500, "CC", ()), [Alarm.GRADE_FELL, Alarm.PD_DOUBLED]),
        (Standing(0.005, 730, "AA", ()), []),
        (Standing(0.01, 692, "A", ("growth", "payment_discipline", "tax_compliance")), [Alarm.HARD_EVENT] * 2),
        (Standing(0.01, 692, "A", ("operations",)), []),
    ],
)
def test_only_what_got_worse_enough_is_told(now: Standing, alarms: list[Alarm]) -> None:
    assert [finding.alarm for finding in findings(BEFORE, now)] == alarms


def test_a_hard_theme_that_was_worst_before_is_not_told_again() -> None:
    worst = Standing(0.01, 692, "A", ("debt_burden",))
    assert findings(worst, worst) == []


def test_a_result_without_a_score_is_no_standing() -> None:
    assert standing_of(AssessmentResult(request="r", enterprise="e", status="denied")) is None
    scored = AssessmentResult(
        request="r", enterprise="e", status="ok", pd=0.1, score=550, grade="B", themes=(ThemeResult("debt_burden", 3),)
    )
    assert standing_of(scored) == Standing(0.1, 550, "B", ("debt_burden",))


def test_waits_grow_to_hours_and_are_spread() -> None:
    for attempts in range(12):
        usual = min(LONGEST_WAIT, FIRST_WAIT * 3**attempts)
        waits = {wait_after(attempts) for _ in range(200)}
        assert 0.79 * usual <= min(waits) < max(waits) <= 1.21 * usual


class Denying:
    """A federation whose nodes refuse everything with one code."""

    def __init__(self, code: str) -> None:
        self._code = code

    async def assess_batch(self, applicants: Sequence[Applicant], purpose: Purpose) -> list[AssessmentResult]:
        return [
            AssessmentResult(
                request="r",
                enterprise=applicant.enterprise,
                status="denied",
                code=self._code,
                denied_by={"tax": self._code},
            )
            for applicant in applicants
        ]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "bank.sqlite")) as opened:
        yield opened


@pytest.mark.parametrize("code", [*sorted(CONSENT_LOST), "QUOTA", "CONSENT_LIST_STALE", "NODE_STOPPED"])
def test_a_refusal_that_may_pass_is_tried_again_tomorrow_and_a_lost_consent_ends_it(
    database: Database, code: str
) -> None:
    monitor = Monitor("mon_1", 0, "e", "token", "", 30, "https://bank.example/", MonitorStatus.ACTIVE, 0)
    database.do(lambda c: monitors.add(c, monitor))
    facts = ModelFacts("", "scorecard", "", "", None, 4)
    runner = MonitorRunner(Denying(code), database, lambda: 1000, lambda model: facts)  # type: ignore[arg-type]
    assert asyncio.run(runner.score_due()) == 1
    after = database.do(lambda c: monitors.find(c, "mon_1"))
    assert after is not None
    assert after.status is (MonitorStatus.SUSPENDED if code in CONSENT_LOST else MonitorStatus.ACTIVE)
    assert after.next_at == 1000 + SECONDS_PER_DAY
    told = database.do(lambda c: monitors.due_events(c, 1000, 10))
    assert len(told) == (code in CONSENT_LOST)
