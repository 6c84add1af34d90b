"""What every resource of the console has at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request

from federation.audit.reading.log_view import LogView
from federation.console.accounts import Accounts, Session
from federation.console.brake import Brake
from federation.console.examination import Examiner
from federation.console.index import Index
from federation.console.monthly_reports import MonthlyReports
from federation.console.objection_book import ObjectionBook
from federation.console.sources import Look, SealedBody, Sources
from protocols.errors import CreditFederationError


class LookNotRecorded(Exception):
    """A look could not be recorded, so what was asked for is not shown."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Console:
    """The console's own state. `clock` returns seconds since 1970."""

    sources: Sources
    index: Index
    accounts: Accounts
    brake: Brake
    examiner: Examiner
    reports: MonthlyReports
    objections: ObjectionBook
    clock: Callable[[], int]

    @contextmanager
    def reading(self) -> Iterator[LogView]:
        """Yield the log as it is now, the index brought up to it. Raises: CreditFederationError."""
        with self.sources.open_log() as log:
            self.index.follow(log)
            yield log

    def look(self, session: Session, page: str, leaves: Sequence[int], **selection: str) -> None:
        """Record that an auditor is about to see these entries, asked for by `selection`. Raises: LookNotRecorded."""
        if not leaves:
            return
        asked = {name: value for name, value in selection.items() if value}
        shown = leaves if isinstance(leaves, range) else tuple(sorted(set(leaves)))
        try:
            self.sources.looks.record(Look(session.name, page, shown, asked, session.keys))
        except CreditFederationError as error:
            raise LookNotRecorded(error.code) from error

    def open_body(self, session: Session, leaf: int) -> SealedBody:
        """Record that an auditor opens a body, and return it, sealed to the auditor. Raises: LookNotRecorded."""
        try:
            return self.sources.looks.open_body(Look(session.name, "body", (leaf,), {"leaf": str(leaf)}, session.keys))
        except CreditFederationError as error:
            raise LookNotRecorded(error.code) from error


def console_of(request: Request) -> Console:
    """Return the console that a request is for."""
    console: Console = request.app.state.console
    return console
