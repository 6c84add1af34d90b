"""Scores monitored enterprises when their time has come, and records what is worth telling, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.report.facts import ModelFacts
from nodes.bank.service import Applicant, BankService
from nodes.bank.store import assessments, monitors
from nodes.bank.store.assessments import Assessment, Source
from nodes.bank.store.database import Database
from nodes.bank.store.monitors import Monitor, MonitorStatus
from nodes.bank.watching.alarms import Alarm, Finding, event, findings, standing_of
from protocols.consent import Purpose
from protocols.errors import CreditFederationError

CHUNK: Final = 256
RETRY_SECONDS: Final = 600
SECONDS_PER_DAY: Final = 86_400
CONSENT_LOST: Final = frozenset(
    {
        "CONSENT_MISSING",
        "CONSENT_INVALID",
        "CONSENT_EXPIRED",
        "CONSENT_REVOKED",
        "CONSENT_OVERUSED",
        "CONSENT_SCOPE",
        "CONSENT_KEY",
        "CONSENT_MISMATCH",
        "CONSENT_TOO_BROAD",
    }
)
"""Refusals that only a new consent ends. Any other, such as a quota or a stopped node, may pass by tomorrow."""


class MonitorRunner:
    """Scores what is due."""

    def __init__(
        self, service: BankService, database: Database, clock: Callable[[], int], facts: Callable[[str], ModelFacts]
    ) -> None:
        """`facts` says of a model's hash what the model says of itself."""
        self._service, self._database, self._clock, self._facts = service, database, clock, facts

    async def score_due(self) -> int:
        """Score one chunk of what is due, and return how many; without an answer they are tried again in minutes.

        Each enterprise is asked about once at a time: a second monitor of it has its turn in the next chunk.
        """
        now = self._clock()
        found = await self._database.call(lambda c: monitors.due(c, now, CHUNK))
        due = list({monitor.enterprise: monitor for monitor in reversed(found)}.values())
        if not due:
            return 0
        applicants = [Applicant(monitor.enterprise, monitor.consent) for monitor in due]
        try:
            results = await self._service.assess_batch(applicants, Purpose.MONITORING)
        except CreditFederationError:
            await self._database.call(lambda c: _postpone(c, due, now + RETRY_SECONDS))
            return 0
        await self._database.call(lambda c: self._record(c, due, results))
        return len(due)

    def _record(
        self, connection: sqlite3.Connection, due: Sequence[Monitor], results: Sequence[AssessmentResult]
    ) -> None:
        for monitor, result in zip(due, results, strict=True):
            self._record_one(connection, monitor, result)

    def _record_one(self, connection: sqlite3.Connection, monitor: Monitor, result: AssessmentResult) -> None:
        now, identifier = self._clock(), assessments.new_id()
        facts = self._facts(result.model)
        purpose = Purpose.MONITORING.value
        made = Assessment(identifier, now, Source.MONITOR, purpose, monitor.reference, result, facts)
        assessments.add(connection, made)
        standing, status, found = standing_of(result), MonitorStatus.ACTIVE, list[Finding]()
        if standing is not None and monitor.standing is not None:
            found = findings(monitor.standing, standing)
        lost = sorted(CONSENT_LOST & {result.code, *result.denied_by.values()})
        if result.status == "denied" and lost:
            status, found = MonitorStatus.SUSPENDED, [Finding(Alarm.SUSPENDED, lost[0])]
        for finding in found:
            monitors.add_event(connection, event(monitor, finding, now, assessment=identifier, now=standing))
        told = standing if found or monitor.standing is None else monitor.standing
        next_at = now + (1 if standing is None else monitor.every_days) * SECONDS_PER_DAY
        monitors.update(connection, monitor, status, next_at, told or monitor.standing, identifier)


def _postpone(connection: sqlite3.Connection, due: Sequence[Monitor], next_at: int) -> None:
    for monitor in due:
        monitors.postpone(connection, monitor, next_at)
