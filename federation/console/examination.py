"""The whole log verified, reconciled with the parties' records and held against the rules, beside the requests.

It reads every leaf, which takes a minute for a million, so it runs in a thread of its own: when the console starts,
when it is asked for, and from time to time while the log grows. Pages say of which state of the log it speaks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread
from typing import Final

from federation.audit.alarms import Alarm, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.reconciliation.reconcile import Reconciliation, reconcile
from federation.audit.verify import LogReport
from federation.console.sources import Sources
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)
AGAIN_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found. Units: `ended` seconds since 1970, `took` seconds. `error` is a code if it could not be finished.

    Alarms and reconciliation are None where the log did not verify: they would rest on nothing.
    """

    ended: int
    took: float
    report: LogReport | None = None
    fits: Reconciliation | None = None
    alarms: tuple[Alarm, ...] | None = None
    error: str = ""

    @property
    def size(self) -> int:
        """How many leaves were examined."""
        return 0 if self.report is None else self.report.leaves

    def discrepancies(self, query: str) -> tuple[str, ...] | None:
        """Return the codes of what did not fit of one query, None if nothing was reconciled."""
        if self.fits is None:
            return None
        return tuple(sorted({one.code for one in self.fits.discrepancies if one.query == query}))


class Examiner:
    """Keeps the newest examination; any thread may ask."""

    def __init__(self, sources: Sources, clock: Callable[[], int]) -> None:
        self._sources, self._clock = sources, clock
        self._lock, self._wanted, self._ending = Lock(), Event(), Event()
        self._latest: Examination | None = None
        self._busy = False
        self._thread: Thread | None = None

    @property
    def latest(self) -> Examination | None:
        """The newest one that ended."""
        with self._lock:
            return self._latest

    @property
    def busy(self) -> bool:
        """Whether one is under way or about to begin."""
        return self._busy or self._wanted.is_set()

    def ask(self) -> None:
        """Have the log examined soon."""
        self._wanted.set()

    def start(self) -> None:
        """Examine now, and again while the log grows, until `stop`."""
        self._wanted.set()
        self._thread = Thread(target=self._keep, name="examiner", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin no further examination."""
        self._ending.set()
        self._wanted.set()

    def _keep(self) -> None:
        while not self._ending.is_set():
            asked = self._wanted.wait(AGAIN_SECONDS)
            if self._ending.is_set():
                return
            if asked or self._grown():
                self._busy = True
                self._wanted.clear()
                try:
                    self.examine()
                finally:
                    self._busy = False

    def _grown(self) -> bool:
        try:
            with self._sources.open_log() as log:
                return self.latest is None or log.size != self.latest.size
        except CreditFederationError:
            return True

    def examine(self) -> Examination:
        """Examine once, here and now; never raises."""
        began = time.monotonic()
        found = Examination(0, 0.0)
        try:
            report = self._sources.judge()
            found = replace(found, report=report)
            if report.ok:
                fits, alarms = self._hold()
                found = replace(found, fits=fits, alarms=alarms)
        except CreditFederationError as error:
            found = replace(found, error=error.code)
        except Exception as error:
            logger.error("examination failed", extra={"error": type(error).__name__}, exc_info=error)
            found = replace(found, error="INTERNAL_ERROR")
        found = replace(found, ended=self._clock(), took=time.monotonic() - began)
        with self._lock:
            self._latest = found
        return found

    def _hold(self) -> tuple[Reconciliation, tuple[Alarm, ...]]:
        with self._sources.open_log() as log, self._sources.records() as records:
            fits = reconcile(log.leaves(), records)
            with facts(log.leaves()) as work:
                return fits, tuple(watch(work, self._sources.rules(), Period(self._clock() * 1000), fits.discrepancies))
