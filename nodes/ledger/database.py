"""Transactions over SQLite or PostgreSQL, with the same promises on both.

The outermost `transaction` is durable once it has ended, and not before: what is committed inside it becomes durable
together, with one wait for the disk (*group commit*). An inner one is a savepoint, so that one refused answer leaves
the others of its group standing. Writers take turns, and no reader sees what is not durable.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Protocol

Value = str | bytes | int | None
Row = tuple[Any, ...]
"""Values of a ledger's own row; every caller knows their types from the schema."""


class DuplicateRecord(ValueError):
    """A row with this key exists: the caller has not asked first."""


class Backend(Protocol):
    """One open connection in autocommit mode; statements have `?` for every value."""

    error: type[Exception]
    integrity_error: type[Exception]
    begin: tuple[str, ...]
    atomic_statements: bool
    """Whether a statement that fails undoes itself alone, and the transaction around it goes on."""

    def execute(self, statement: str, values: Sequence[Value]) -> list[Row]:
        """Run one statement and return its rows, none if it gives none."""

    def create(self, statement: str) -> None:
        """Run one statement that defines a table or index; its types are those of the schema."""

    def revive(self) -> None:
        """Connect again if the connection was lost; called only between transactions."""

    def close(self) -> None:
        """Release the connection."""


class Database:
    """One connection that the threads of a process share, one transaction at a time."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.RLock()
        self._depth = 0

    @property
    def error(self) -> type[Exception]:
        """Return the class of every error that the backend raises."""
        return self._backend.error

    def close(self) -> None:
        """Close the connection; everything committed is already on disk."""
        with self._lock:
            self._backend.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run writes that commit whole or not at all: durable at the end if outermost, else with the outermost.

        Raises: the backend's error if it cannot commit; nothing is then recorded.
        """
        with self._lock:
            depth = self._depth
            begin, commit, abort = self._statements(depth)
            if depth == 0:
                self._backend.revive()
            for statement in begin:
                self._backend.execute(statement, ())
            self._depth = depth + 1
            try:
                yield
                self._backend.execute(commit, ())
            except BaseException:
                with suppress(self._backend.error):  # a connection that is lost has rolled back by itself
                    for statement in abort:
                        self._backend.execute(statement, ())
                raise
            finally:
                self._depth = depth

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Run writes as part of the transaction that is open, undone with it alone; in one of their own if none is.

        Raises: as `transaction`.
        """
        with self._lock, nullcontext() if self._depth else self.transaction():
            yield

    def _statements(self, depth: int) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
        """Return how a transaction at this depth begins, commits and is undone."""
        if depth == 0:
            return self._backend.begin, "COMMIT", ("ROLLBACK",)
        name = f"level_{depth}"
        return (f"SAVEPOINT {name}",), f"RELEASE {name}", (f"ROLLBACK TO {name}", f"RELEASE {name}")

    def write(self, statement: str, *values: Value) -> None:
        """Run one statement, durable when it returns unless a transaction is open. Raises: DuplicateRecord."""
        with self._lock, nullcontext() if self._depth and self._backend.atomic_statements else self.transaction():
            try:
                self._backend.execute(statement, values)
            except self._backend.integrity_error as error:
                raise DuplicateRecord("a record with this key exists") from error

    def create(self, statement: str) -> None:
        """Define a table or an index. Shapes: types BLOB, TEXT and BIGINT, as both backends understand them."""
        self._backend.create(statement)

    def rows(self, statement: str, *values: Value) -> list[Row]:
        """Return all rows of a query."""
        with self._lock:
            if self._depth == 0:
                self._backend.revive()
            return self._backend.execute(statement, values)

    def row(self, statement: str, *values: Value) -> Row | None:
        """Return the first row of a query, or None."""
        return next(iter(self.rows(statement, *values)), None)
