"""What is worth telling about an enterprise that is watched, measured against when something was last told."""

from __future__ import annotations

import datetime
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.store import monitors
from nodes.bank.store.monitors import Event, Monitor, Standing
from protocols.credit.scale import Grade

GRADE_STEPS: Final = 2
PD_FACTOR: Final = 2.0
WORST: Final = 3
HARD_THEMES: Final = frozenset({"payment_discipline", "tax_compliance", "debt_burden"})
_GRADES: Final = [grade.value for grade in Grade]


class Alarm(StrEnum):
    """The types of an event."""

    GRADE_FELL = "monitor.grade_fell"
    PD_DOUBLED = "monitor.pd_doubled"
    HARD_EVENT = "monitor.hard_event"
    SUSPENDED = "monitor.suspended"


class EventBody(msgspec.Struct, frozen=True):
    """What a webhook carries: no identifier of the enterprise, only the bank's own marks, and the reason."""

    id: str
    type: str
    created: str
    monitor: str
    reference: str
    reason: str
    assessment: str | None = None
    before: Standing | None = None
    now: Standing | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is worth telling."""

    alarm: Alarm
    reason: str


def standing_of(result: AssessmentResult) -> Standing | None:
    """Return how an enterprise stands by a result; None without a score."""
    if result.pd is None or result.score is None or result.grade is None:
        return None
    worst = tuple(sorted(theme.theme for theme in result.themes if theme.severity >= WORST))
    return Standing(result.pd, result.score, result.grade, worst)


def findings(before: Standing, now: Standing) -> list[Finding]:
    """Return what has got worse: the grade by two or more, the PD to twice or more, a hard theme to its worst band."""
    found = []
    fell = _GRADES.index(now.grade) - _GRADES.index(before.grade)
    if fell >= GRADE_STEPS:
        found.append(Finding(Alarm.GRADE_FELL, f"{before.grade} to {now.grade}"))
    if now.pd >= PD_FACTOR * before.pd:
        found.append(Finding(Alarm.PD_DOUBLED, f"{before.pd:.4f} to {now.pd:.4f}"))
    new = sorted((set(now.worst_themes) - set(before.worst_themes)) & HARD_THEMES)
    return found + [Finding(Alarm.HARD_EVENT, theme) for theme in new]


def event(
    monitor: Monitor,
    finding: Finding,
    at: int,
    *,
    assessment: str | None = None,
    now: Standing | None = None,
) -> Event:
    """Return a finding as an event to be delivered at once.

    Reveals: to the webhook's host, how an enterprise stands that only the bank's own marks name.
    """
    identifier = monitors.new_id("evt")
    body = EventBody(
        identifier,
        finding.alarm.value,
        datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(),
        monitor.id,
        monitor.reference,
        finding.reason,
        assessment,
        monitor.standing,
        now,
    )
    return Event(identifier, monitor.number, at, finding.alarm.value, msgspec.json.encode(body), next_at=at)


def report_default(connection: sqlite3.Connection, enterprise: str, now: int) -> None:
    """Record a hard event for every active monitor of an enterprise that has defaulted at this bank."""
    for monitor in monitors.watching(connection, enterprise):
        monitors.add_event(connection, event(monitor, Finding(Alarm.HARD_EVENT, "default_reported"), now))
