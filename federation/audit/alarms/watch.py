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
from msgspec.structs import replace

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
from federation.audit.alarms.words import Said, Saying, Unit, english
from federation.audit.reading.records import utc
from federation.audit.reconciliation.discrepancy import Discrepancy

SECOND_MS: Final = 1000
_NONE_MAY_FAIL: Final = Said(saying=Saying.NONE_MAY_FAIL)
_UNFINISHED: Final = frozenset({"RELEASE_MISSING", "RESULT_MISSING", "ACK_MISSING"})


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold that was reached: the rule, whom it concerns, what was seen, and between which leaves.

    `about` is a consent or an enterprise's tag, where the rule is about one. Leaves and times are None where the log
    has nothing: what a party has on record and the log has not. `said` are threshold and what was seen, in values, of
    which each language makes its own words; `threshold` and `seen` are the English ones.
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
    said: tuple[Said, Said] | None = None


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
        self,
        rule: str,
        events: str,
        counted: Said,
        parameters: dict[str, int | str],
    ) -> Iterator[Alarm]:
        """Yield an alarm for each episode in which the weight in a window reaches the number that is `counted`."""
        window_ms, threshold = counted.window_ms, counted.number
        found = episodes(self.work, events, window_ms, lambda s: s.weight >= threshold, lambda s: s.weight, parameters)
        for episode in found:
            if episode.last_ms >= self.since_ms:
                yield _alarm(rule, episode, counted, replace(counted, number=episode.worst.weight))

    def share(
        self,
        rule: str,
        events: str,
        least: Said,
        parameters: dict[str, int | str],
    ) -> Iterator[Alarm]:
        """Yield an alarm for each episode in which the `least` share of a weight, or more, is flagged."""
        share, weight, window_ms = least.share, least.of, least.window_ms

        def reached(found: Sum) -> bool:
            return found.weight >= weight and found.share >= share

        for episode in episodes(self.work, events, window_ms, reached, lambda s: s.share, parameters):
            if episode.last_ms >= self.since_ms:
                worst = episode.worst
                seen = replace(least, saying=Saying.SHARE_SEEN, number=worst.flagged, of=worst.weight)
                yield _alarm(rule, episode, least, seen)


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
        yield from watcher.count("bulk", ASKED, _counted(Unit.ENTERPRISES, bulk.per_hour, HOUR_MS), {})
        yield from watcher.count("bulk", ASKED, _counted(Unit.ENTERPRISES, bulk.per_day, DAY_MS), {})
    if hours := rules.off_hours:
        local: dict[str, int | str] = {"opens": hours.opens, "closes": hours.closes, "weekends": hours.weekends}
        local["offset"] = hours.utc_offset_minutes * 60 * SECOND_MS
        yield from watcher.count("off_hours", OFF_HOURS, _counted(Unit.OFF_HOURS, hours.enterprises, DAY_MS), local)
    if runs := rules.sequential:
        limits = {"gap": runs.gap_seconds * SECOND_MS, "queries": runs.queries}
        for bank, first, last, since, until, queries in watcher.work.execute(RUNS, limits):
            if until >= watcher.since_ms:
                episode = Episode(bank, first, last, since, until, Sum(queries, 0))
                pace = Said(saying=Saying.PACE, number=runs.queries, of=runs.gap_seconds)
                yield _alarm("sequential", episode, pace, replace(pace, number=queries))


def _consents(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    denials, reuse = rules.consent_denials, rules.consent_reuse
    for code, threshold in sorted(denials.per_day.items()) if denials else ():
        counted = replace(_counted(Unit.DENIED_BY_CODE, threshold, DAY_MS), detail=code)
        yield from watcher.count("consent_denials", DENIED_BY_CODE, counted, {"code": code})
    if reuse:
        counted = _counted(Unit.BY_CONSENT, reuse.queries, reuse.days * DAY_MS)
        yield from watcher.count("consent_reuse", BY_CONSENT, counted, {})


def _requeries(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if again := rules.requery:
        yield from watcher.count("requery", BY_TAG, _counted(Unit.BY_TAG, again.queries, again.days * DAY_MS), {})


def _crowds(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if many := rules.many_banks:
        yield from watcher.count("many_banks", CROWDED, _counted(Unit.CROWDED, many.enterprises, DAY_MS), {})


def _denials(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if rate := rules.denial_rate:
        least = _share(Unit.DENIED, rate.share, rate.enterprises, rate.hours)
        yield from watcher.share("denial_rate", DENIED, least, {})


def _slow(watcher: _Watcher, rules: AlarmRules) -> Iterator[Alarm]:
    if slow := rules.slow_node:
        least = replace(_share(Unit.LATE, slow.share, slow.answers, slow.hours), detail=str(slow.seconds))
        parameters: dict[str, int | str] = {"slow": slow.seconds * SECOND_MS}
        yield from watcher.share("slow_node", LATE, least, parameters)


def _silent(watcher: _Watcher, rules: AlarmRules, period: Period) -> Iterator[Alarm]:
    if silent := rules.silent_node:
        least = _share(Unit.UNANSWERED, silent.share, silent.queries, silent.hours)
        parameters: dict[str, int | str] = {"due": period.due(silent.wait_seconds)}
        yield from watcher.share("silent_node", UNANSWERED, least, parameters)


def _unacknowledged(watcher: _Watcher, rules: AlarmRules, period: Period) -> Iterator[Alarm]:
    if silent := rules.unacknowledged:
        least = _share(Unit.UNACKNOWLEDGED, silent.share, silent.queries, silent.hours)
        parameters: dict[str, int | str] = {"due": period.due(silent.wait_seconds)}
        yield from watcher.share("unacknowledged", UNACKNOWLEDGED, least, parameters)


def _overdue(watcher: _Watcher, rules: AlarmRules, period: Period) -> Iterator[Alarm]:
    if not (overdue := rules.objection_overdue):
        return
    limits = {"limit": overdue.days * DAY_MS, "end": period.due(0), "since": watcher.since_ms}
    for node, objection, leaf, at, decided_leaf, decided in watcher.work.execute(OVERDUE, limits):
        days = ((period.due(0) if decided is None else decided) - at) // DAY_MS
        late = Said(saying=Saying.UNDECIDED if decided is None else Saying.DECIDED, number=days)
        limit = Said(saying=Saying.DECIDE, number=overdue.days)
        yield Alarm(
            rule="objection_overdue",
            party=node,
            about=f"objection {objection.lower()}",
            threshold=english(limit),
            seen=english(late),
            said=(limit, late),
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
        seen = Said(saying=Saying.DISCREPANCY, detail=one.code, text=one.text)
        yield Alarm(
            rule="reconciliation",
            party=one.party,
            about=f"{'run' if one.code.startswith('TRAIN_STEP') else 'query'} {one.query}",
            threshold=english(_NONE_MAY_FAIL),
            seen=english(seen),
            said=(_NONE_MAY_FAIL, seen),
            first_leaf=first,
            last_leaf=last,
            first_time=None if first is None else utc(since),
            last_time=None if first is None else utc(until),
        )


def _alarm(rule: str, episode: Episode, threshold: Said, seen: Said) -> Alarm:
    party, _, about = episode.party.partition(" ")
    return Alarm(
        rule=rule,
        party=party,
        about=about,
        threshold=english(threshold),
        seen=english(seen),
        first_leaf=episode.first_leaf,
        last_leaf=episode.last_leaf,
        first_time=utc(episode.first_ms),
        last_time=utc(episode.last_ms),
        said=(threshold, seen),
    )


def _counted(unit: Unit, number: int, window_ms: int) -> Said:
    return Said(saying=Saying.COUNT, unit=unit, number=number, window_ms=window_ms)


def _share(unit: Unit, share: float, of: int, hours: int) -> Said:
    return Said(saying=Saying.SHARE, unit=unit, share=share, of=of, window_ms=hours * HOUR_MS)
