"""Every rule, held against the log: which threshold was reached, by whom, and between which leaves.

What cannot be seen here: a bank keys its subject tags by itself, so only a node sees one enterprise asked about by
several banks, and says so; the consents of a batch are not in the log; which nodes were asked is not in the
log but by their answers under the same model. All times are the coordinator's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from federation.audit.alarms.events import (
    ASKED,
    BY_CONSENT,
    BY_TAG,
    CROWDED,
    DENIED,
    DENIED_BY_CODE,
    LATE,
    OFF_HOURS,
    OVERDUE,
    PLACE,
    RUNS,
    UNACKNOWLEDGED,
    UNANSWERED,
)
from federation.audit.alarms.rules import AlarmRules
from federation.audit.alarms.windows import DAY_MS, HOUR_MS, Episode, Sum, episodes
from federation.audit.reconcile import Discrepancy
from federation.audit.records import utc

SECOND_MS: Final = 1000
_UNFINISHED: Final = frozenset({"RELEASE_MISSING", "RESULT_MISSING", "ACK_MISSING"})


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold that was reached: the rule, whom it concerns, what was seen, and between which leaves.

    `about` is a consent or an enterprise's tag, where the rule is about one. Leaves and times are None where the log
    has nothing: what a party has on record and the log has not.
    """

    rule: str
    party: str
    about: str = ""
    threshold: str
    seen: str
    first_leaf: int | None
    last_leaf: int | None
    first_time: str | None
    last_time: str | None


@dataclass(frozen=True, slots=True)
class Period:
    """Which alarms are asked for: not over before `since_ms`, seen in leaves before `until_ms`; `now_ms` is today."""

    now_ms: int
    since_ms: int = 0
    until_ms: int | None = None

    def due(self, wait_seconds: int) -> int:
        """Return up to when a question must have been asked to be given up by the end of the period."""
        end = self.now_ms if self.until_ms is None else min(self.now_ms, self.until_ms)
        return end - wait_seconds * SECOND_MS


@dataclass(frozen=True, slots=True)
class _Watcher:
    """The facts and the period that every rule reads."""

    work: sqlite3.Connection
    since_ms: int

    def count(
        self, rule: str, events: str, window_ms: int, threshold: int, unit: str, parameters: dict[str, int | str]
    ) -> Iterator[Alarm]:
        """Yield an alarm for each episode in which the weight in a window reaches `threshold`."""
        span = _span(window_ms)
        found = episodes(self.work, events, window_ms, lambda s: s.weight >= threshold, lambda s: s.weight, parameters)
        for episode in found:
            if episode.last_ms >= self.since_ms:
                yield _alarm(rule, episode, f"{threshold} {unit} in {span}", f"{episode.worst.weight} {unit} in {span}")

    def share(
        self,
        rule: str,
        events: str,
        window_ms: int,
        least: tuple[float, int],
        unit: str,
        parameters: dict[str, int | str],
    ) -> Iterator[Alarm]:
        """Yield an alarm for each episode in which a share of the weight is flagged; `least` is share and weight."""
        share, weight = least

        def reached(found: Sum) -> bool:
            return found.weight >= weight and found.share >= share

        for episode in episodes(self.work, events, window_ms, reached, lambda s: s.share, parameters):
            if episode.last_ms >= self.since_ms:
                threshold = f"{100 * share:g}% of {weight} or more {unit} in {_span(window_ms)}"
                seen = f"{episode.worst.flagged} of {episode.worst.weight} {unit}"
                yield _alarm(rule, episode, threshold, seen)


def watch(
    work: sqlite3.Connection, rules: AlarmRules, period: Period, discrepancies: Sequence[Discrepancy] = ()
) -> list[Alarm]:
    """Return every alarm of the period, by its first leaf; `work` holds the log's `facts` up to the period's end.

    `discrepancies` are what reconciliation found; those of questions that may yet be answered are left out.
    """
    watcher = _Watcher(work, period.since_ms)
    found = [
        *_scraping(watcher, rules),
        *_consents(watcher, rules),
        *_requeries(watcher, rules),
        *_crowds(watcher, rules),
        *_denials(watcher, rules),
        *_slow(watcher, rules),
        *_silent(watcher, rules, period),
        *_unacknowledged(watcher, rules, period),
        *_overdue(watcher, rules, period),
    ]
    if rules.reconciliation:
        wait = rules.unacknowledged.wait_seconds if rules.unacknowledged else 0
        found += _reconciliation(work, period, period.due(wait), discrepancies)
    return sorted(found, key=lambda alarm: (-1 if alarm.first_leaf is None else alarm.first_leaf, alarm.rule))


def _scraping(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if bulk := rules.bulk:
        yield from watcher.count("bulk", ASKED, HOUR_MS, bulk.per_hour, "enterprises", {})
        yield from watcher.count("bulk", ASKED, DAY_MS, bulk.per_day, "enterprises", {})
    if hours := rules.off_hours:
        local: dict[str, int | str] = {"opens": hours.opens, "closes": hours.closes, "weekends": hours.weekends}
        local["offset"] = hours.utc_offset_minutes * 60 * SECOND_MS
        unit = "enterprises out of hours"
        yield from watcher.count("off_hours", OFF_HOURS, DAY_MS, hours.enterprises, unit, local)
    if runs := rules.sequential:
        limits = {"gap": runs.gap_seconds * SECOND_MS, "queries": runs.queries}
        for bank, first, last, since, until, queries in watcher.work.execute(RUNS, limits):
            if until >= watcher.since_ms:
                pace = f"at most {runs.gap_seconds} s apart"
                episode = Episode(bank, first, last, since, until, Sum(queries, 0))
                yield _alarm("sequential", episode, f"{runs.queries} queries {pace}", f"{queries} queries {pace}")


def _consents(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    denials, reuse = rules.consent_denials, rules.consent_reuse
    for code, threshold in sorted(denials.per_day.items()) if denials else ():
        unit = f"queries denied {code}"
        yield from watcher.count("consent_denials", DENIED_BY_CODE, DAY_MS, threshold, unit, {"code": code})
    if reuse:
        unit = "queries under one consent"
        yield from watcher.count("consent_reuse", BY_CONSENT, reuse.days * DAY_MS, reuse.queries, unit, {})


def _requeries(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if again := rules.requery:
        unit = "queries about one enterprise"
        yield from watcher.count("requery", BY_TAG, again.days * DAY_MS, again.queries, unit, {})


def _crowds(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if many := rules.many_banks:
        unit = "enterprises that many banks ask about"
        yield from watcher.count("many_banks", CROWDED, DAY_MS, many.enterprises, unit, {})


def _denials(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if rate := rules.denial_rate:
        least = rate.share, rate.enterprises
        yield from watcher.share("denial_rate", DENIED, rate.hours * HOUR_MS, least, "enterprises denied", {})


def _slow(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if slow := rules.slow_node:
        least, unit = (slow.share, slow.answers), f"answers after {slow.seconds} s or more"
        parameters: dict[str, int | str] = {"slow": slow.seconds * SECOND_MS}
        yield from watcher.share("slow_node", LATE, slow.hours * HOUR_MS, least, unit, parameters)


def _silent(watcher: _Watcher, rules: AlarmRules, period: Period) -> Iterator[Alarm]:
    if silent := rules.silent_node:
        least, unit = (silent.share, silent.queries), "queries not answered"
        parameters: dict[str, int | str] = {"due": period.due(silent.wait_seconds)}
        yield from watcher.share("silent_node", UNANSWERED, silent.hours * HOUR_MS, least, unit, parameters)


def _unacknowledged(watcher: _Watcher, rules: AlarmRules, period: Period) -> Iterator[Alarm]:
    if silent := rules.unacknowledged:
        least, unit = (silent.share, silent.queries), "queries not acknowledged"
        parameters: dict[str, int | str] = {"due": period.due(silent.wait_seconds)}
        yield from watcher.share("unacknowledged", UNACKNOWLEDGED, silent.hours * HOUR_MS, least, unit, parameters)


def _overdue(watcher: _Watcher, rules: AlarmRules, period: Period) -> Iterator[Alarm]:
    if not (overdue := rules.objection_overdue):
        return
    limits = {"limit": overdue.days * DAY_MS, "end": period.due(0), "since": watcher.since_ms}
    for node, objection, leaf, at, decided_leaf, decided in watcher.work.execute(OVERDUE, limits):
        days = ((period.due(0) if decided is None else decided) - at) // DAY_MS
        yield Alarm(
            rule="objection_overdue",
            party=node,
            about=f"objection {objection.lower()}",
            threshold=f"decided in {overdue.days} d",
            seen=f"not decided after {days} d" if decided is None else f"decided after {days} d",
            first_leaf=leaf,
            last_leaf=leaf if decided_leaf is None else decided_leaf,
            first_time=utc(at),
            last_time=utc(at if decided is None else decided),
        )


def _reconciliation(
    work: sqlite3.Connection, period: Period, due_ms: int, discrepancies: Sequence[Discrepancy]
) -> Iterator[Alarm]:
    """Yield one alarm for each query that does not fit, in the period or unknown to the log."""
    for one in discrepancies:
        first, last, since, until = work.execute(PLACE, {"query": bytes.fromhex(one.query)}).fetchone()
        if first is None and not one.code.endswith("_NOT_LOGGED"):
            continue  # all its leaves are after the period
        if first is not None and (until < period.since_ms or (one.code in _UNFINISHED and since > due_ms)):
            continue
        yield Alarm(
            rule="reconciliation",
            party=one.party,
            about=f"{'run' if one.code.startswith('TRAIN_STEP') else 'query'} {one.query}",
            threshold="none may fail",
            seen=f"{one.code}: {one.text}",
            first_leaf=first,
            last_leaf=last,
            first_time=None if first is None else utc(since),
            last_time=None if first is None else utc(until),
        )


def _alarm(rule: str, episode: Episode, threshold: str, seen: str) -> Alarm:
    party, _, about = episode.party.partition(" ")
    return Alarm(
        rule=rule,
        party=party,
        about=about,
        threshold=threshold,
        seen=seen,
        first_leaf=episode.first_leaf,
        last_leaf=episode.last_leaf,
        first_time=utc(episode.first_ms),
        last_time=utc(episode.last_ms),
    )


def _span(window_ms: int) -> str:
    if window_ms % DAY_MS:
        return f"{window_ms // HOUR_MS} h"
    return f"{window_ms // DAY_MS} d"
