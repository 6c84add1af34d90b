"""Puts a party's directory back from a backup, whole or not at all, and lets a data node begin stopped.

What a node released after the backup was made is not in its ledger any more. A question is good for an hour at most, so
once a restored node has been stopped for that long, none that it has forgotten can be asked again; quotas of that day,
uses of consents and what banks had spent since the backup are forgotten. So the owner resumes it, not this program.
"""

from __future__ import annotations

import datetime
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodes.backup.archive import DUMP, Manifest, read_backup, restore_postgres
from nodes.backup.freshness import Standing, cosigned_size, recorded_size
from nodes.data_node.stop_switch import StopSwitch
from nodes.keystore import LOG_KEY_FILE
from nodes.ledger.location import FILE, URL_FILE, ledger_location, others_at
from nodes.ledger.schema import MIGRATIONS
from protocols.errors import ConfigurationError, CreditFederationError

NODE_FILE = "node.yaml"
CLOSING_SECONDS: Final = 10.0
"""How long a server may take to let go of a session that was closed."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: the backup's manifest, how the ledger stands to the log, and whether the node begins stopped."""

    manifest: Manifest
    standing: Standing | None
    stopped: bool


def restore(source: Path, home: Path, passphrase: bytes, note: bytes | None, accept_older: bool, now: int) -> Restored:
    """Restore a backup to `home`, whose earlier content, if any, is kept beside it.

    `note` is a checkpoint of the log from elsewhere; what the party in `home` had cosigned counts too. Raises:
    VerificationFailed, codes BACKUP_DAMAGED, and LEDGER_OLDER unless that is accepted; ConfigurationError, codes
    LEDGER_TOO_NEW for a backup of newer software, and STILL_RUNNING. `home` is then as it was.
    """
    draft = _room_for_draft(home)
    try:
        manifest = read_backup(source, passphrase, draft)
        if manifest.schema > len(MIGRATIONS):
            text = f"a backup at schema {manifest.schema}; this software knows {len(MIGRATIONS)}"
            raise ConfigurationError(text, code="LEDGER_TOO_NEW")
        standing = _standing(draft, home, note, manifest) if _has_ledger(draft) else None
        if standing is not None and not accept_older:
            standing.require_fresh()
        stopped = (draft / NODE_FILE).exists()
        if stopped:
            made = datetime.datetime.fromtimestamp(manifest.made, datetime.UTC).isoformat()
            StopSwitch(draft).stop(f"restored from a backup made {made}; resume after an hour, if this is the newest")
        _require_alone(home, draft)
        _require_still(home)
        _put(draft, home, now)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    restore_postgres(home)
    return Restored(manifest, standing, stopped)


def _room_for_draft(home: Path) -> Path:
    """Return a place beside `home` where nothing is; on a new machine its folder may not be there yet."""
    draft = home.with_name(f".{home.name}.restoring")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{home}: {error.strerror}", code="NOT_WRITABLE") from error
    shutil.rmtree(draft, ignore_errors=True)
    return draft


def _has_ledger(home: Path) -> bool:
    return (home / LOG_KEY_FILE).exists() and any((home / name).exists() for name in (FILE, URL_FILE))


def _standing(draft: Path, home: Path, note: bytes | None, manifest: Manifest) -> Standing:
    """Return how far the restored ledger reaches, and how far all that is known of its party does."""
    proven = 0 if note is None else cosigned_size(draft, note)
    if _has_ledger(home):
        with suppress(CreditFederationError):  # it may be broken: that may be why it is replaced
            proven = max(proven, recorded_size(home))
    return Standing(manifest.cosigned if (draft / DUMP).exists() else recorded_size(draft), proven)


def _require_still(home: Path) -> None:
    """Return if no process has a ledger or log of the directory open: it would go on writing to what was moved away.

    SQLite leaves its write-ahead log for one connection that is alone. Raises: ConfigurationError, code STILL_RUNNING.
    """
    for path in sorted(home.rglob("*.sqlite")):
        try:
            with closing(sqlite3.connect(path, timeout=0)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:  # a file that is damaged may be why it is replaced
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                text = f"{path}: a process has it open: stop what runs from {home} first"
                raise ConfigurationError(text, code="STILL_RUNNING") from error


def _require_alone(home: Path, draft: Path) -> None:
    """Return if nobody has a ledger in PostgreSQL open: the directory's, or the one into which the draft's dump goes.

    A process that has would go on by a ledger that went back under its feet. A session that was closed, this process's
    own among them, is with the server a moment longer: it is waited for. Raises: ConfigurationError, codes
    STILL_RUNNING, and BAD_LEDGER for a database that could not take the dump.
    """
    limit = time.monotonic() + CLOSING_SECONDS
    while _any_open(home, draft):
        if time.monotonic() > limit:
            text = f"{home / URL_FILE}: a process has the database open: stop what runs from {home} first"
            raise ConfigurationError(text, code="STILL_RUNNING")
        time.sleep(0.1)


def _any_open(home: Path, draft: Path) -> bool:
    others = _others(draft)
    with suppress(ConfigurationError):  # the directory's own may be gone: that may be why it is replaced
        others += _others(home)
    return others > 0


def _others(folder: Path) -> int:
    return others_at(str(ledger_location(folder))) if (folder / URL_FILE).exists() else 0


def _put(draft: Path, home: Path, now: int) -> None:
    """Let the draft take the directory's place; what was there is kept. Raises: ConfigurationError."""
    try:
        if home.exists():
            home.rename(home.with_name(f"{home.name}.before-{now}"))
        draft.rename(home)
    except OSError as error:
        raise ConfigurationError(f"{home}: {error.strerror}", code="NOT_WRITABLE") from error
