"""Once a day, the coordinator audits its own log: alarms go to its log lines, its metrics and a file for people.

coordinator/daily_audit.json     what the last audit found
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import Gauge

from federation.audit.reports.daily import DailyAudit

logger = logging.getLogger(__name__)

ALARMS = Gauge("credfed_audit_alarms", "Alarms of the last daily audit, by rule.", ["rule"])
AT = Gauge("credfed_audit_timestamp_seconds", "When the last daily audit ended.")
SOUND = Gauge("credfed_audit_log_ok", "1 if the log verified in the last daily audit, 0 if not.")

RESULT_FILE: Final = "daily_audit.json"
_SHOWN: Final = 100
"""How many alarms of one audit are log lines; all are in the file."""


class DailyRounds:
    """Audits at a time of day, UTC, for as long as the coordinator runs."""

    def __init__(self, home: Path, at: str, clock: Callable[[], float] = time.time) -> None:
        """`at` is HH:MM, or empty for never."""
        self._home, self._at, self._clock = home, at, clock

    async def run(self) -> None:
        """Audit every day, for ever."""
        while self._at:
            await asyncio.sleep(seconds_until(self._at, self._clock()))
            await self.audit()
        await asyncio.Event().wait()

    async def audit(self) -> DailyAudit | None:
        """Audit now, in a process of its own; return what it found, None if it could not be run."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "federation.audit.reports.daily", str(self._home)), stdout=asyncio.subprocess.PIPE
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        try:
            found = msgspec.json.decode(output, type=DailyAudit)
        except msgspec.DecodeError:
            logger.error("daily audit failed", extra={"status": process.returncode})
            return None
        self._tell(found, output)
        return found

    def _tell(self, found: DailyAudit, output: bytes) -> None:
        ALARMS.clear()
        for rule, count in Counter(alarm.rule for alarm in found.alarms).items():
            ALARMS.labels(rule).set(count)
        AT.set(found.at + found.seconds)
        SOUND.set(0 if found.failure else 1)
        draft = self._home / f".{RESULT_FILE}"
        draft.write_bytes(output)
        draft.replace(self._home / RESULT_FILE)
        for alarm in found.alarms[:_SHOWN]:
            told = {"rule": alarm.rule, "party": alarm.party, "about": alarm.about, "seen": alarm.seen}
            logger.warning("alarm", extra={**told, "first_leaf": alarm.first_leaf, "last_leaf": alarm.last_leaf})
        extra = {"leaves": found.leaves, "alarms": len(found.alarms), "failure": found.failure}
        logger.log(logging.ERROR if found.failure else logging.INFO, "daily audit", extra=extra)


def seconds_until(at: str, now: float) -> float:
    """Return how long it is from `now` until the next time that it is `at`, HH:MM in UTC."""
    hour, minute = map(int, at.split(":"))
    today = datetime.fromtimestamp(now, UTC)
    due = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return ((due if due > today else due + timedelta(days=1)) - today).total_seconds()
