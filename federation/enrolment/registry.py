"""The coordinator's own record of invitations, applications, suspensions and certificates: one SQLite file.

Operators' commands write what they have decided, the running coordinator makes it so. Nothing secret is in it: of a
token it keeps the hash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode, encode
from protocols.enrolment.messages import Application
from protocols.errors import ConfigurationError, PolicyDenied

REGISTRY_FILE: Final = "registry.sqlite"
PENDING: Final = "pending"
APPROVED: Final = "approved"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS invitation (
    secret BLOB PRIMARY KEY, party TEXT NOT NULL, role TEXT NOT NULL, domain TEXT NOT NULL, expires INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS application (
    party TEXT PRIMARY KEY, domain TEXT NOT NULL, content BLOB NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS suspension (party TEXT PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS certificate (
    key BLOB NOT NULL, party TEXT NOT NULL, issued INTEGER NOT NULL, expires INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (key, issued));
CREATE INDEX IF NOT EXISTS certificate_by_party ON certificate (party, issued);
"""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who may ask to be enrolled, as what; `domain` is what a data node describes."""

    party: PartyId
    role: PartyRole
    domain: str


@dataclass(frozen=True, slots=True)
class Applicant:
    """A party that has asked; `state` is pending or approved, by an operator. Units: `at` in POSIX seconds."""

    party: PartyId
    domain: str
    application: Application
    at: int
    state: str


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate that was issued: the digest of its key, its time, and the PEM."""

    key: bytes
    issued: int
    expires: int
    content: bytes


class Registry:
    """Safe to use from several processes and threads: every call is a transaction of its own."""

    def __init__(self, home: Path) -> None:
        """Open or create the registry of a coordinator's directory. Raises: ConfigurationError, code NOT_WRITABLE."""
        self._path = home / REGISTRY_FILE
        with self._transaction() as connection:
            connection.executescript(_TABLES)
        self._path.chmod(0o600)

    # ---- invitations

    def invite(self, secret: bytes, invitation: Invitation, expires: int) -> None:
        """Keep an invitation under the hash of its secret; earlier ones of the party that were not used end."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM invitation WHERE party = ? AND used = 0", (invitation.party,))
            connection.execute(
                "INSERT INTO invitation (secret, party, role, domain, expires) VALUES (?, ?, ?, ?, ?)",
                (secret, invitation.party, invitation.role.value, invitation.domain, expires),
            )

    def invitation(self, secret: bytes, now: int) -> Invitation:
        """Return the invitation that a secret's hash opens.

        Raises: PolicyDenied, codes TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED.
        """
        rows = self._rows("SELECT party, role, domain, expires, used FROM invitation WHERE secret = ?", (secret,))
        if not rows:
            raise PolicyDenied("no invitation has this token", code="TOKEN_UNKNOWN")
        party, role, domain, expires, used = rows[0]
        if used:
            raise PolicyDenied(f"the invitation of {party} was used", code="TOKEN_USED")
        if now >= expires:
            raise PolicyDenied(f"the invitation of {party} has expired", code="TOKEN_EXPIRED")
        return Invitation(PartyId(party), PartyRole(role), domain)

    def invited(self, now: int) -> list[tuple[Invitation, int]]:
        """Return the invitations that can still be used, and until when."""
        rows = self._rows("SELECT party, role, domain, expires FROM invitation WHERE used = 0 AND expires > ?", (now,))
        return [(Invitation(PartyId(party), PartyRole(role), domain), expires) for party, role, domain, expires in rows]

    # ---- applications

    def apply(self, secret: bytes, invitation: Invitation, application: Application, now: int) -> None:
        """Use up an invitation, and keep what was asked with it, as one. Raises: PolicyDenied, code TOKEN_USED."""
        with self._transaction() as connection:
            done = connection.execute("UPDATE invitation SET used = 1 WHERE secret = ? AND used = 0", (secret,))
            if done.rowcount != 1:
                raise PolicyDenied(f"the invitation of {invitation.party} was used", code="TOKEN_USED")
            connection.execute(
                "INSERT OR REPLACE INTO application VALUES (?, ?, ?, ?, ?)",
                (invitation.party, invitation.domain, encode(application), now, PENDING),
            )

    def applicant(self, party: str) -> Applicant | None:
        """Return what a party has asked for, None if nothing."""
        return next((found for found in self.applicants() if found.party == party), None)

    def applicants(self) -> list[Applicant]:
        """Return everybody who has asked, by name."""
        rows = self._rows("SELECT party, domain, content, at, state FROM application ORDER BY party", ())
        return [
            Applicant(PartyId(p), domain, decode(raw, Application), at, state) for p, domain, raw, at, state in rows
        ]

    def approve(self, applicant: Applicant) -> None:
        """Let an application be granted, if it is still this one. Raises: ConfigurationError, code NO_APPLICATION."""
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE application SET state = ? WHERE party = ? AND content = ?",
                (APPROVED, applicant.party, encode(applicant.application)),
            )
            if done.rowcount != 1:
                raise ConfigurationError(f"{applicant.party} has asked anew", code="NO_APPLICATION")

    def reject(self, party: str) -> bool:
        """Forget an application that was not approved; tell whether there was one."""
        with self._transaction() as connection:
            done = connection.execute("DELETE FROM application WHERE party = ? AND state = ?", (party, PENDING))
            return done.rowcount == 1

    # ---- suspensions

    def suspended(self) -> frozenset[PartyId]:
        """Return who is to take no part for now."""
        return frozenset(PartyId(party) for (party,) in self._rows("SELECT party FROM suspension", ()))

    def suspend(self, party: str, now: int) -> None:
        """Let a party take no part until it is lifted."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO suspension VALUES (?, ?)", (party, now))

    def lift(self, party: str) -> None:
        """End a suspension."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM suspension WHERE party = ?", (party,))

    # ---- certificates

    def certified(self, party: str, record: CertificateRecord) -> None:
        """Keep a certificate that was issued."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO certificate VALUES (?, ?, ?, ?, ?)",
                (record.key, party, record.issued, record.expires, record.content),
            )

    def certificates(self, party: str) -> list[CertificateRecord]:
        """Return the certificates of a party, newest first."""
        rows = self._rows(
            "SELECT key, issued, expires, content FROM certificate WHERE party = ? ORDER BY issued DESC, rowid DESC",
            (party,),
        )
        return [CertificateRecord(key, issued, expires, content) for key, issued, expires, content in rows]

    # ---- the file

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple]:  # type: ignore[type-arg]
        with self._transaction() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.Error as error:
            raise ConfigurationError(f"{self._path}: {error}", code="NOT_WRITABLE") from error
