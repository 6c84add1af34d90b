"""The months' reports, made one after the other beside the requests, each kept as its figures in the console's folder.

A report rests on the newest examination: it counts exactly the entries that were verified then. So of a month that is
over it needs to be made once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final

import msgspec

from federation.audit.reports.compose import compose
from federation.audit.reports.month import MonthlyReport, read_month
from federation.audit.verify import LogReport
from federation.console.examination import Examination
from federation.console.sources import Sources
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)
REPORTS_FOLDER: Final = "reports"
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Making:
    """How a report that was asked for stands: under way, or why it could not be made."""

    busy: bool
    code: str = ""


class MonthlyReports:
    """Makes reports and keeps them; any thread may ask."""

    def __init__(self, sources: Sources, examined: Callable[[], Examination | None]) -> None:
        self._sources, self._examined = sources, examined
        self._folder = sources.home / REPORTS_FOLDER
        self._lock, self._wanted = Lock(), SimpleQueue[str | None]()
        self._asked: dict[str, Making] = {}

    def start(self) -> None:
        """Make what is asked for, until `stop`."""
        Thread(target=self._keep, name="reports", daemon=True).start()

    def stop(self) -> None:
        """Begin no further report."""
        self._wanted.put(None)

    def verified(self) -> LogReport | None:
        """Return what a report would rest on: the newest examination, if the log verified in it."""
        found = self._examined()
        return found.report if found is not None and found.report is not None and found.report.ok else None

    def ask(self, month: str) -> None:
        """Have a month's report made, or made anew. Raises: ConfigurationError for what is no month."""
        read_month(month)
        with self._lock:
            if not self._asked.get(month, Making(busy=False)).busy:
                self._asked[month] = Making(busy=True)
                self._wanted.put(month)

    def making(self, month: str) -> Making | None:
        """Return how the newest wish for this month's report stands, None if there is none or it was made."""
        with self._lock:
            return self._asked.get(month)

    def get(self, month: str) -> MonthlyReport | None:
        """Return a month's report, None if it was not made or its file is none."""
        if not _MONTH.fullmatch(month):
            return None
        try:
            return msgspec.json.decode((self._folder / f"{month}.json").read_bytes(), type=MonthlyReport)
        except (OSError, msgspec.DecodeError, UnicodeError):
            return None

    def _keep(self) -> None:
        while (month := self._wanted.get()) is not None:
            try:
                self.make(month)
                code = ""
            except CreditFederationError as error:
                code = error.code
            except Exception as error:
                logger.error("a report failed", extra={"error": type(error).__name__}, exc_info=error)
                code = "INTERNAL_ERROR"
            with self._lock:
                if code:
                    self._asked[month] = Making(busy=False, code=code)
                else:
                    self._asked.pop(month, None)

    def make(self, month: str) -> None:
        """Make a month's report here and now, if the log has verified; else nothing. Raises: CreditFederationError."""
        verified = self.verified()
        if verified is None:
            return
        with self._sources.open_log() as log, self._sources.records() as records:
            made = compose(read_month(month), verified, log, records, self._sources.rules())
        self._folder.mkdir(mode=0o700, exist_ok=True)
        partial = self._folder / f"{month}.partial"
        partial.write_bytes(msgspec.json.encode(made))
        partial.replace(self._folder / f"{month}.json")
