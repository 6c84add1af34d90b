"""The daily audit, in a process of its own: verify the log, hold it against the rules, reconcile what it can alone.

    python -m federation.audit.reports.daily HOME       prints one JSON document, a `DailyAudit`

The coordinator starts it once a day (`federation/relay/daily.py`) at a low priority, so that reading millions of leaves
never holds up an answer. What the parties have on record is theirs: `credfed audit reconcile` holds it against the log
where their ledgers are at hand.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from federation.audit.alarms.facts import facts
from federation.audit.alarms.rules import AlarmRules
from federation.audit.alarms.watch import Alarm, Period, watch
from federation.audit.log.keys import read_log_keys
from federation.audit.reading.log_view import StoredLog
from federation.audit.reconciliation.reconcile import reconcile
from federation.audit.storage.location import log_location
from federation.audit.verify import verify_log
from federation.process.settings import read_settings
from protocols.errors import CreditFederationError

ALARMS_FILE: Final = "alarms.yaml"
LOOK_BACK_MS: Final = 2 * 86_400_000
"""Alarms that were over before are yesterday's: each is told on two days at least, and not for ever."""

_NICENESS: Final = 10


class DailyAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What one audit found. `failure` is why the log does not verify or could not be audited, "" if it does."""

    at: int
    seconds: float
    leaves: int
    queries: int
    failure: str
    alarms: tuple[Alarm, ...]

    @property
    def ok(self) -> bool:
        """Whether the log verifies and there is no alarm."""
        return not self.failure and not self.alarms


def audit(home: Path, now_ms: int) -> DailyAudit:
    """Return what an audit of the log in the coordinator's folder finds now. Units: milliseconds since 1970."""
    began, alarms, queries, leaves = time.monotonic(), tuple[Alarm, ...](), 0, 0
    try:
        report = verify_log(log_location(home), read_log_keys(home))
        leaves = report.leaves
        failure = "" if report.failure is None else f"{report.failure.code} at leaf {report.failure.leaf}"
        if not failure:
            alarms, queries = _alarms(home, now_ms)
    except CreditFederationError as error:
        failure = error.code
    seconds = time.monotonic() - began
    return DailyAudit(
        at=now_ms // 1000, seconds=seconds, leaves=leaves, queries=queries, failure=failure, alarms=alarms
    )


def _alarms(home: Path, now_ms: int) -> tuple[tuple[Alarm, ...], int]:
    own = home / ALARMS_FILE
    rules = read_settings(own, AlarmRules) if own.exists() else AlarmRules()
    with closing(StoredLog(home.parent, home)) as log:
        fits = reconcile(log.leaves(), {})
        with facts(log.leaves()) as work:
            found = watch(work, rules, Period(now_ms, max(0, now_ms - LOOK_BACK_MS)), fits.discrepancies)
    return tuple(found), fits.queries


if __name__ == "__main__":
    os.nice(_NICENESS)
    sys.stdout.buffer.write(msgspec.json.encode(audit(Path(sys.argv[1]), time.time_ns() // 1_000_000)) + b"\n")
