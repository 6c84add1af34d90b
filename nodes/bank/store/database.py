"""The bank's database: what a call has returned survives a crash, and no call leaves half of its work.

SQLite in WAL mode with full synchronisation, used by one thread. A function that a repository module offers takes the
connection first; several of them in one `call` are one transaction.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from nodes.bank.store import api_keys, assessments, batches, monitors, outcomes, replays
from protocols.errors import ConfigurationError

DATABASE_FILE = "bank-api.sqlite"
_SCHEMAS = (api_keys, replays, assessments, batches, outcomes, monitors)
_T = TypeVar("_T")


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as of one moment, also one that is in use, for its owner alone.

    Raises: ConfigurationError, code BAD_DATABASE.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        uri = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.backup(writing)
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"{source}: cannot be read as the bank's database", code="BAD_DATABASE") from error


class Database:
    """One SQLite file, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises: ConfigurationError, code BAD_DATABASE."""
        try:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA foreign_keys=ON")
            for module in _SCHEMAS:
                self._connection.executescript(module.SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"{path}: cannot be opened as the bank's database", code="BAD_DATABASE") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bank-database")

    async def call(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do `work` as one transaction and return what it returns; on an error nothing of it remains."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do as `call`, and wait for it: for commands, which have no event loop."""
        return self._thread.submit(self._do, work).result()

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            found = work(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return found

    def close(self) -> None:
        """Finish what was begun, and close the file."""
        self._thread.shutdown()
        self._connection.close()
