"""What the log's reads and writes need of a database: rows, streams in one snapshot, and one durable transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from federation.audit.errors import NOT_A_LOG
from federation.audit.storage.location import LogLocation
from protocols.errors import ConfigurationError

Value = int | bytes
Row = tuple[Any, ...]
"""Values as the database has them; every reader checks each one that it uses."""


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows for a table that has none with these keys yet."""

    table: str
    columns: tuple[str, ...]
    rows: Iterable[Sequence[Value]]


class LogSession(Protocol):
    """One connection to a log's database; queries have `?` for every value. One thread at a time."""

    error: type[Exception]

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        """Return all rows of a query."""
        ...

    def snapshot(self) -> None:
        """Let all streams from now on see one state of the log."""
        ...

    def stream(self, query: str) -> Iterator[Row]:
        """Yield the rows of a query, few in memory at a time; after `snapshot`, several at once."""
        ...

    def transact(self, new: Sequence[NewRows], statement: str, values: Sequence[Value]) -> None:
        """Store rows and run one more statement, all or nothing, durable when it returns."""
        ...

    def purge(self) -> None:
        """Let nothing that was replaced or deleted be left in the database's files."""
        ...

    def close(self) -> None:
        """Let go of the connection; may be called twice."""
        ...


def connect(location: LogLocation, *, write: bool = False) -> LogSession:
    """Return a session of a log; one that writes makes the log if there is none, and is the only one that may.

    Raises: ConfigurationError, codes LOG_UNREADABLE, LOG_IN_USE, MISSING_EXTRA; no text quotes a password.
    """
    if not location.url:
        from federation.audit.storage.sqlite import SqliteReading, SqliteWriting

        return SqliteWriting(location.path) if write else SqliteReading(location.path)
    try:
        from federation.audit.storage.postgres import PostgresReading, PostgresWriting
    except ImportError as error:
        raise ConfigurationError(
            f"{location}: a log in PostgreSQL needs the extra `postgres` (psycopg)", code="MISSING_EXTRA"
        ) from error
    try:
        return PostgresWriting(location) if write else PostgresReading(location)
    except PostgresReading.error as error:
        reason = type(error).__name__
        raise ConfigurationError(f"the audit log {location} cannot be reached ({reason})", code=NOT_A_LOG) from None
