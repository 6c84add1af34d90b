"""What happened in one month, from the log's leaves: volumes, denials and why, latencies, models, witnesses, alarms.

Days and months are UTC, as the log's times are. Reveals: to whoever reads it, counts by bank, node and day, and the
alarms; no enterprise, and no result of an assessment, since the log has none.
"""

from __future__ import annotations

import datetime
import sqlite3
from typing import Final

import msgspec

from federation.audit.alarms.watch import Alarm
from federation.audit.reading.log_view import LogView
from federation.audit.reports.coverage import Coverage, coverage
from protocols.errors import ConfigurationError
from protocols.transparency.checkpoints import verify_cosignatures
from protocols.transparency.notes import parse_note

WHOLE_QUERY: Final = "whole query"
"""The name under which the time from REQUEST to RESULT stands beside the nodes' own."""


class Month(msgspec.Struct, frozen=True):
    """A calendar month, UTC. Units: milliseconds since 1970, `until_ms` excluded."""

    name: str
    days: int
    since_ms: int
    until_ms: int


class DayVolume(msgspec.Struct, frozen=True):
    """What one bank asked on one day of the month, counted from 1."""

    bank: str
    day: int
    queries: int
    enterprises: int


class BankVolume(msgspec.Struct, frozen=True):
    """What one bank asked; `denied` are enterprises, of a batch the most that one node denied."""

    bank: str
    queries: int
    batches: int
    enterprises: int
    denied: int
    acknowledged: int


class DenialCount(msgspec.Struct, frozen=True):
    """How many queries one party denied with one code."""

    code: str
    by: str
    queries: int


class Latency(msgspec.Struct, frozen=True):
    """Times of a node's answers to single questions, by nearest rank. Units: milliseconds."""

    party: str
    answers: int
    p50: int
    p90: int
    p99: int
    longest: int


class ModelUse(msgspec.Struct, frozen=True):
    """How one bank used one model."""

    model: str
    bank: str
    queries: int
    enterprises: int


class WitnessState(msgspec.Struct, frozen=True):
    """Whether a witness stands behind the newest witnessed checkpoint; `cosigned` is ISO 8601, empty if not."""

    name: str
    cosigned: str


class MonthlyReport(msgspec.Struct, frozen=True, kw_only=True):
    """One month of one log, which verified when this was written."""

    month: Month
    origin: str
    generated: str
    leaves: int
    root: str
    checkpoints: int
    cosignatures: int
    witnessed_size: int
    quorum: int
    days: tuple[DayVolume, ...]
    banks: tuple[BankVolume, ...]
    denials: tuple[DenialCount, ...]
    latencies: tuple[Latency, ...]
    models: tuple[ModelUse, ...]
    coverage: Coverage
    witnesses: tuple[WitnessState, ...]
    alarms: tuple[Alarm, ...]


def read_month(text: str) -> Month:
    """Return the month that "2026-11" names. Raises: ConfigurationError, code BAD_OPTION."""
    try:
        first = datetime.datetime.strptime(text, "%Y-%m").replace(tzinfo=datetime.UTC)
        after = (first + datetime.timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"--month {text!r} is not a month like 2026-11", code="BAD_OPTION") from None
    since, until = (round(moment.timestamp() * 1000) for moment in (first, after))
    return Month(f"{first:%Y-%m}", (after - first).days, since, until)


_DAYS: Final = """
SELECT bank, (at - :since) / 86400000 + 1 AS day, count(*), sum(enterprises) FROM question
WHERE at >= :since AND at < :until GROUP BY bank, day ORDER BY day, bank"""

_BANKS: Final = """
SELECT bank, count(*), sum(batch), sum(enterprises), sum(denied), sum(EXISTS (SELECT 1 FROM ack WHERE asked = q.leaf))
FROM counted q WHERE at >= :since AND at < :until GROUP BY bank ORDER BY sum(enterprises) DESC, bank"""

_DENIALS: Final = """
SELECT ifnull(code, 'NO_CODE'), node, count(DISTINCT ifnull(asked, -leaf)) AS queries FROM answer
WHERE at >= :since AND at < :until AND NOT released GROUP BY 1, 2 ORDER BY queries DESC, 1, 2"""

_LATENCIES: Final = """
WITH took AS (
    SELECT r.party, max(0, r.at - q.at) AS took FROM (
        SELECT asked, node AS party, at FROM answer UNION ALL SELECT asked, :whole, at FROM result) r
    JOIN question q ON q.leaf = r.asked WHERE NOT q.batch AND q.at >= :since AND q.at < :until),
ranked AS (
    SELECT party, took, row_number() OVER (PARTITION BY party ORDER BY took) - 1 AS before,
        count(*) OVER (PARTITION BY party) AS answers FROM took)
SELECT party, answers,
    max(took) FILTER (WHERE before * 100 < 50 * answers), max(took) FILTER (WHERE before * 100 < 90 * answers),
    max(took) FILTER (WHERE before * 100 < 99 * answers), max(took)
FROM ranked GROUP BY party ORDER BY party = :whole DESC, party"""

_MODELS: Final = """
SELECT ifnull(model, ''), bank, count(*), sum(enterprises) FROM question
WHERE at >= :since AND at < :until GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2"""


class Activity(msgspec.Struct, frozen=True):
    """The counts of one month."""

    days: tuple[DayVolume, ...]
    banks: tuple[BankVolume, ...]
    denials: tuple[DenialCount, ...]
    latencies: tuple[Latency, ...]
    models: tuple[ModelUse, ...]
    coverage: Coverage


def activity(work: sqlite3.Connection, month: Month) -> Activity:
    """Return a month's counts from the `facts` of a log."""
    bounds = {"since": month.since_ms, "until": month.until_ms, "whole": WHOLE_QUERY}
    return Activity(
        tuple(DayVolume(*row) for row in work.execute(_DAYS, bounds)),
        tuple(BankVolume(*row) for row in work.execute(_BANKS, bounds)),
        tuple(DenialCount(*row) for row in work.execute(_DENIALS, bounds)),
        tuple(Latency(*row) for row in work.execute(_LATENCIES, bounds)),
        tuple(ModelUse(*row) for row in work.execute(_MODELS, bounds)),
        coverage(work, month.since_ms, month.until_ms),
    )


def witness_states(log: LogView) -> tuple[WitnessState, ...]:
    """Return every known witness, with when it cosigned the newest witnessed checkpoint."""
    signed: dict[str, int] = {}
    if log.witnessed_size:
        note = parse_note(log.prove(log.witnessed_size - 1).note)
        signed = {one.witness: one.timestamp for one in verify_cosignatures(note, log.keys.witnesses)}
    return tuple(
        WitnessState(key.name, _utc(signed[key.name]) if key.name in signed else "") for key in log.keys.witnesses
    )


def _utc(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat().replace("+00:00", "Z")
