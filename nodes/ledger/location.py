"""Where a party's ledger lives: a SQLite file in its folder, or the PostgreSQL database that `ledger.url` names."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from nodes.ledger.database import Backend
from nodes.ledger.sqlite import SqliteBackend, SqliteReadOnly
from protocols.errors import ConfigurationError

FILE: Final = "ledger.sqlite"
URL_FILE: Final = "ledger.url"
BAD_LEDGER: Final = "BAD_LEDGER"
_OTHERS: Final = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename IS NOT NULL AND pid <> pg_backend_pid()"""
"""The server's own workers, which clean up behind others, have no user."""
SCHEMES: Final = ("postgresql://", "postgres://")

Location = Path | str
"""A SQLite file, or a PostgreSQL URL."""


def ledger_location(folder: Path) -> Location:
    """Return where the ledger of the party in `folder` lives.

    Raises: ConfigurationError, code BAD_LEDGER, if `ledger.url` holds anything but one PostgreSQL URL.
    """
    path = folder / URL_FILE
    if not path.exists():
        return folder / FILE
    try:
        url = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read", code=BAD_LEDGER) from error
    if not url.startswith(SCHEMES) or len(url.split()) != 1:
        raise ConfigurationError(f"{path}: not one PostgreSQL URL (postgresql://…)", code=BAD_LEDGER)
    return url


def ledgers_below(directory: Path) -> dict[str, Location]:
    """Return where the ledger of every party with a folder in `directory` lives, by the folder's name."""
    files = [path for name in (FILE, URL_FILE) for path in directory.glob(f"*/{name}")]
    return {folder.name: ledger_location(folder) for folder in sorted({path.parent for path in files})}


def name_of(location: Location) -> str:
    """Return what an error may call a ledger: a URL without user, password and options."""
    if isinstance(location, Path):
        return str(location)
    return f"postgresql://{location.partition('://')[2].rpartition('@')[2].partition('?')[0]}"


def others_at(url: str) -> int:
    """Return how many other clients have a PostgreSQL database open. Raises: as `connect`; a count needs no rights."""
    with closing(connect(url, read_only=True)) as backend:
        (row,) = backend.execute(_OTHERS, ())
    return int(row[0])


def connect(location: Location, *, read_only: bool = False) -> Backend:
    """Open a connection. Raises: ConfigurationError, code BAD_LEDGER or MISSING_EXTRA; no text quotes a password."""
    if isinstance(location, Path):
        backend: type[SqliteBackend] = SqliteReadOnly if read_only else SqliteBackend
        try:
            return backend(location)
        except backend.error as error:
            raise ConfigurationError(f"{location}: cannot be opened as a ledger: {error}", code=BAD_LEDGER) from error
    try:
        from nodes.ledger.postgres import PostgresBackend
    except ImportError as error:
        text = f"{name_of(location)}: a ledger in PostgreSQL needs the extra `postgres` (psycopg)"
        raise ConfigurationError(text, code="MISSING_EXTRA") from error
    try:
        return PostgresBackend(location, read_only)
    except PostgresBackend.error as error:
        text = f"{name_of(location)}: cannot be reached as a ledger ({type(error).__name__})"
        raise ConfigurationError(text, code=BAD_LEDGER) from None
