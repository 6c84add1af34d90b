"""Who may enter the console, and in which role. Passwords are kept as scrypt hashes, tokens as SHA-256.

An account is made with a one-time token and has no password until its owner has used that to choose one; or it is an
auditor's who has a signing key here: its password is the key's passphrase, and a session holds it, in memory alone, to
sign each look. The key that opens bodies never comes here.
Whether a name, a password or a token was wrong is not told, and all of them cost the same work.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Lock, Semaphore
from typing import Final

from federation.audit.views.auditor_keys import CONSOLE_FILE, console_key, read_console_key
from protocols.channel.identity import PartyKeys
from protocols.errors import ConfigurationError

ACCOUNTS_FILE: Final = "accounts.sqlite"
SETUP_SECONDS: Final = 24 * 3600
IDLE_SECONDS: Final = 30 * 60
SESSION_SECONDS: Final = 12 * 3600
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_SALT_BYTES: Final = 16
_COST: Final = 1 << 16
_STRETCHING: Final = Semaphore(2)
"""How many passwords are stretched at once: visitors must not fill the machine's memory."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY COLLATE NOCASE, role TEXT NOT NULL, salt BLOB, password BLOB, setup BLOB, setup_until INTEGER,
    keyed INTEGER NOT NULL DEFAULT 0, made INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS session (
    token BLOB PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE REFERENCES account ON DELETE CASCADE, csrf TEXT NOT NULL,
    began INTEGER NOT NULL, seen INTEGER NOT NULL);
"""


class Role(StrEnum):
    """An operator keeps the federation running and sees no entries; an auditor sees entries and operates nothing."""

    OPERATOR = "operator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Account:
    """An account without its secrets. Units: `made` and `setup_until` seconds since 1970; the latter None if set up."""

    name: str
    role: Role
    made: int
    ready: bool
    setup_until: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """Who is behind a request. `csrf` stands in every form of its pages; `keys` sign its looks, if it has any."""

    name: str
    role: Role
    csrf: str = field(repr=False)
    keys: PartyKeys | None = field(default=None, repr=False)


class Accounts:
    """The accounts and sessions in one file, readable by its owner alone; any thread may use it."""

    def __init__(self, folder: Path) -> None:
        """Open or make `accounts.sqlite`. Raises: ConfigurationError."""
        path, self._folder = folder / ACCOUNTS_FILE, folder
        self._lock = Lock()
        self._keys: dict[bytes, PartyKeys] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(0o600)
            self._work = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._work.execute("PRAGMA journal_mode=WAL")
            self._work.execute("PRAGMA foreign_keys=ON")
            self._work.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"{path}: cannot be opened for writing", code="BAD_DATABASE") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._work.close()

    # ---- what `credfed console` does

    def add(self, name: str, role: Role, now: int) -> str:
        """Make an account and return its set-up token, which nobody can show again. Raises: ConfigurationError."""
        if not _NAME.fullmatch(name):
            text = f"{name!r}: a name has 2 to 32 letters a-z, digits or . _ -, and begins with a letter"
            raise ConfigurationError(text, code="BAD_OPTION")
        token, until = secrets.token_urlsafe(24), now + SETUP_SECONDS
        statement = "INSERT OR IGNORE INTO account (name, role, setup, setup_until, made) VALUES (?, ?, ?, ?, ?)"
        with self._transaction() as work:
            if work.execute(statement, (name, role.value, _digest(token), until, now)).rowcount != 1:
                raise ConfigurationError(f"there is an account {name} already", code="ACCOUNT_EXISTS")
        return token

    def add_auditor(self, folder: Path, now: int) -> str:
        """Make an account for an auditor, under its own name, which is returned; its `console.key` is copied.

        `folder` is the auditor's folder, or that file. What opens bodies stays with the auditor.
        Raises: ConfigurationError if there is no such key, or the name has an account.
        """
        name, key = console_key(folder)
        statement = "INSERT OR IGNORE INTO account (name, role, keyed, made) VALUES (?, ?, 1, ?)"
        with self._transaction() as work:
            if work.execute(statement, (name, Role.AUDITOR.value, now)).rowcount != 1:
                raise ConfigurationError(f"there is an account {name} already", code="ACCOUNT_EXISTS")
            self._key_folder(name).mkdir(mode=0o700, parents=True, exist_ok=True)
            copy = self._key_folder(name) / CONSOLE_FILE
            copy.unlink(missing_ok=True)
            copy.touch(0o600)
            copy.write_bytes(key)
        return name

    def _key_folder(self, name: str) -> Path:
        return self._folder / "auditors" / name

    def reset(self, name: str, now: int) -> str:
        """Take an account's password and sessions away and return a new set-up token. Raises: ConfigurationError."""
        token = secrets.token_urlsafe(24)
        statement = (
            "UPDATE account SET salt = NULL, password = NULL, setup = ?, setup_until = ? WHERE name = ? AND NOT keyed"
        )
        with self._transaction() as work:
            if work.execute(statement, (_digest(token), now + SETUP_SECONDS, name)).rowcount != 1:
                raise ConfigurationError(f"there is no account {name} with a password", code="NO_SUCH_ACCOUNT")
            work.execute("DELETE FROM session WHERE name = ?", (name,))
        return token

    def remove(self, name: str) -> None:
        """Remove an account and end its sessions. Raises: ConfigurationError if there is none."""
        with self._transaction() as work:
            if work.execute("DELETE FROM account WHERE name = ?", (name,)).rowcount != 1:
                raise ConfigurationError(f"there is no account {name}", code="NO_SUCH_ACCOUNT")
        (self._key_folder(name) / CONSOLE_FILE).unlink(missing_ok=True)

    def every(self) -> list[Account]:
        """Return all accounts by name."""
        query = "SELECT name, role, made, keyed OR password IS NOT NULL, setup_until FROM account ORDER BY name"
        with self._lock:
            return [Account(n, Role(r), m, bool(p), None if p else u) for n, r, m, p, u in self._work.execute(query)]

    # ---- what visitors do

    def set_up(self, name: str, token: str, password: str, now: int) -> bool:
        """Give an account its first password, if this is its token and it is in time; a token works once."""
        salt = secrets.token_bytes(_SALT_BYTES)
        hashed = _stretch(password, salt)
        statement = (
            "UPDATE account SET salt = ?, password = ?, setup = NULL, setup_until = NULL"
            " WHERE name = ? AND setup = ? AND setup_until > ?"
        )
        with self._transaction() as work:
            return work.execute(statement, (salt, hashed, name, _digest(token), now)).rowcount == 1

    def log_in(self, name: str, password: str, now: int) -> str | None:
        """Return a new session's token if name and password belong together, else None, after the same work."""
        with self._lock:
            query = "SELECT name, salt, password, keyed FROM account WHERE name = ?"
            spelt, salt, hashed, keyed = self._work.execute(query, (name,)).fetchone() or (name, None, None, 0)
        keys = self._unlock(spelt, password) if keyed else None
        if keyed and keys is None:
            return None
        if not keyed and not hmac.compare_digest(_stretch(password, salt or bytes(_SALT_BYTES)), hashed or b""):
            return None
        token = secrets.token_urlsafe(32)
        if keys is not None:
            self._keys[_digest(token)] = keys
        with self._transaction() as work:
            work.execute(
                "DELETE FROM session WHERE seen <= ? OR began <= ?", (now - IDLE_SECONDS, now - SESSION_SECONDS)
            )
            work.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?)",
                (_digest(token), spelt, secrets.token_urlsafe(24), now, now),
            )
        return token

    def _unlock(self, name: str, passphrase: str) -> PartyKeys | None:
        try:
            with _STRETCHING:
                keys = read_console_key(self._key_folder(name) / CONSOLE_FILE, passphrase)
        except ConfigurationError as error:
            if error.code != "PASSPHRASE":
                _stretch(passphrase, bytes(_SALT_BYTES))  # a missing file takes as long as a wrong passphrase
            return None
        return keys if keys.party == name else None

    def session(self, token: str, now: int) -> Session | None:
        """Return whose session this is, unless it has ended, was idle too long, is too old, or its keys are gone."""
        query = """SELECT s.name, a.role, s.csrf, s.seen, a.keyed FROM session s JOIN account a USING (name)
            WHERE s.token = ? AND s.seen > ? AND s.began > ?"""
        digest = _digest(token)
        with self._lock:
            row = self._work.execute(query, (digest, now - IDLE_SECONDS, now - SESSION_SECONDS)).fetchone()
            keys = self._keys.get(digest)
            if row is None or (row[4] and keys is None):
                self._keys.pop(digest, None)
                return None
            if now > row[3]:
                self._work.execute("UPDATE session SET seen = ? WHERE token = ?", (now, digest))
        return Session(row[0], Role(row[1]), row[2], keys)

    def log_out(self, token: str) -> None:
        """End a session, here and wherever else its token is held."""
        self._keys.pop(_digest(token), None)
        with self._transaction() as work:
            work.execute("DELETE FROM session WHERE token = ?", (_digest(token),))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._work.execute("BEGIN IMMEDIATE")
            try:
                yield self._work
                self._work.execute("COMMIT")
            except BaseException:
                self._work.execute("ROLLBACK")
                raise


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _stretch(password: str, salt: bytes) -> bytes:
    """Return the scrypt hash: 64 MiB and about a quarter of a second for each guess, as for an auditor's key."""
    with _STRETCHING:
        return hashlib.scrypt(
            password.encode("utf-8", "replace"), salt=salt, n=_COST, r=8, p=1, maxmem=1 << 27, dklen=32
        )
