"""Every table of a ledger, as the steps by which ledgers in use have come to have them.

A step, once released, is never changed: a new table or column is a new step at the end. Types: BLOB, TEXT, BIGINT.
Steps go forward only; a ledger that is newer than the code is refused, for the code would not keep its promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nodes.ledger.database import Database
from protocols.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a version of the schema to the next."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS: Final = (
    Migration(
        "the tables of the first ledgers, which had no version",
        (
            """CREATE TABLE IF NOT EXISTS run (
                transcript BLOB PRIMARY KEY, bank TEXT NOT NULL, row_totals BIGINT NOT NULL)""",
            """CREATE TABLE IF NOT EXISTS cohort (
                transcript BLOB PRIMARY KEY, bank TEXT NOT NULL, names BLOB NOT NULL)""",
            """CREATE TABLE IF NOT EXISTS release (
                transcript BLOB NOT NULL REFERENCES run, step TEXT NOT NULL, leak TEXT NOT NULL, at BIGINT NOT NULL,
                PRIMARY KEY (transcript, step))""",
            """CREATE TABLE IF NOT EXISTS answer (
                query BLOB PRIMARY KEY, transcript BLOB NOT NULL, bank TEXT NOT NULL, subject TEXT NOT NULL,
                day BIGINT NOT NULL, decision TEXT NOT NULL, at BIGINT NOT NULL, response BLOB NOT NULL)""",
            "CREATE INDEX IF NOT EXISTS answer_by_day ON answer (bank, day)",
            """CREATE TABLE IF NOT EXISTS node_set_lock (
                bank TEXT NOT NULL, subject TEXT NOT NULL, day BIGINT NOT NULL, nodes BLOB NOT NULL,
                PRIMARY KEY (bank, subject, day))""",
            """CREATE TABLE IF NOT EXISTS part (
                model BLOB PRIMARY KEY, manifest BLOB NOT NULL, tables BLOB NOT NULL, binnings BLOB NOT NULL)""",
            """CREATE TABLE IF NOT EXISTS witness (
                origin TEXT PRIMARY KEY, size BIGINT NOT NULL, note BLOB NOT NULL)""",
            """CREATE TABLE IF NOT EXISTS split_view (
                origin TEXT PRIMARY KEY, at BIGINT NOT NULL, evidence BLOB NOT NULL)""",
            """CREATE TABLE IF NOT EXISTS question (
                query BLOB PRIMARY KEY, at BIGINT NOT NULL, request BLOB NOT NULL, acknowledgement BLOB,
                receipt BLOB)""",
        ),
    ),
    Migration(
        "yearly budgets",
        (
            """CREATE TABLE IF NOT EXISTS spending (
                transcript BLOB NOT NULL, step TEXT NOT NULL, budget TEXT NOT NULL, bank TEXT NOT NULL,
                year BIGINT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (transcript, step, budget))""",
            "CREATE INDEX IF NOT EXISTS spending_by_year ON spending (bank, year, budget)",
        ),
    ),
    Migration(
        "batches",
        (
            """CREATE TABLE IF NOT EXISTS batch_entry (
                query BLOB NOT NULL REFERENCES answer, position BIGINT NOT NULL, bank TEXT NOT NULL,
                day BIGINT NOT NULL, subject TEXT NOT NULL, code TEXT NOT NULL, PRIMARY KEY (query, position))""",
            "CREATE INDEX IF NOT EXISTS batch_entry_by_day ON batch_entry (bank, day, code)",
        ),
    ),
    Migration(
        "what decided an answer, and how often an enterprise was asked about",
        (
            "ALTER TABLE answer ADD COLUMN model BLOB",
            "ALTER TABLE answer ADD COLUMN rule TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE answer ADD COLUMN code TEXT NOT NULL DEFAULT ''",
            "DROP INDEX answer_by_day",
            "CREATE INDEX answer_by_day ON answer (bank, day, decision, subject)",
            "DROP INDEX batch_entry_by_day",
            "CREATE INDEX batch_entry_by_day ON batch_entry (bank, day, code, subject)",
        ),
    ),
    Migration(
        "uses of consents, and lists of revocations",
        (
            """CREATE TABLE consent_use (
                issuer TEXT NOT NULL, token TEXT NOT NULL, question BLOB NOT NULL, at BIGINT NOT NULL,
                PRIMARY KEY (issuer, token, question))""",
            """CREATE TABLE revocation_list (
                issuer TEXT PRIMARY KEY, sequence BIGINT NOT NULL, revocations TEXT NOT NULL)""",
        ),
    ),
    Migration(
        "what decided a training release",
        (
            "ALTER TABLE release ADD COLUMN rule TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE release ADD COLUMN policy BLOB",
        ),
    ),
    Migration(
        "each day's answers to a bank, counted",
        (
            """CREATE TABLE quota_use (
                bank TEXT NOT NULL, day BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (bank, day))""",
            """INSERT INTO quota_use (bank, day, used) SELECT bank, day, count(*) FROM (
                SELECT bank, day FROM answer WHERE decision = 'RELEASE' AND subject <> ''
                UNION ALL SELECT bank, day FROM batch_entry WHERE code = '') AS released GROUP BY bank, day""",
        ),
    ),
    Migration(
        "an enterprise's own record, its objections, and what was put right",
        (
            "CREATE INDEX answer_by_subject ON answer (subject, at)",
            "CREATE INDEX batch_entry_by_subject ON batch_entry (subject)",
            """CREATE TABLE objection (
                id BLOB PRIMARY KEY, transcript BLOB NOT NULL, subject TEXT NOT NULL, ground TEXT NOT NULL,
                entry BLOB NOT NULL, filed BIGINT NOT NULL, text TEXT NOT NULL)""",
            "CREATE INDEX objection_by_subject ON objection (subject)",
            """CREATE TABLE objection_node (
                objection BLOB NOT NULL REFERENCES objection, node TEXT NOT NULL, PRIMARY KEY (objection, node))""",
            """CREATE TABLE objection_decision (
                objection BLOB NOT NULL, node TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
                corrections BIGINT NOT NULL, at BIGINT NOT NULL, envelope BLOB NOT NULL, confirmed BIGINT NOT NULL,
                PRIMARY KEY (objection, node))""",
            """CREATE TABLE repair (
                number BIGINT PRIMARY KEY, at BIGINT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
                place TEXT NOT NULL, event TEXT NOT NULL, change TEXT NOT NULL, objection BLOB NOT NULL,
                withdrawn BIGINT NOT NULL)""",
            "CREATE INDEX repair_by_subject ON repair (subject)",
        ),
    ),
    Migration(
        "what was sent in training, to be held against the log",
        (
            """CREATE TABLE training_message (
                message BLOB PRIMARY KEY, transcript BLOB NOT NULL, step TEXT NOT NULL, at BIGINT NOT NULL)""",
        ),
    ),
    Migration(
        "which consents the log is known to have",
        ("CREATE TABLE consent_shown (handle BLOB PRIMARY KEY)",),
    ),
)


def migrate(database: Database, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring a ledger to the last step, all of the way or none of it.

    Raises: ConfigurationError, code LEDGER_TOO_NEW, if it has taken steps that this code does not know.
    """
    with database.transaction():
        database.create("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL)")
        version = schema_version(database)
        if version > len(migrations):
            raise ConfigurationError(
                f"the ledger is at version {version}, newer than the {len(migrations)} that this software knows",
                code="LEDGER_TOO_NEW",
            )
        for number, migration in enumerate(migrations[version:], start=version + 1):
            for statement in migration.statements:
                database.create(statement)
            database.write("INSERT INTO schema_version VALUES (?, ?)", number, migration.name)


def schema_version(database: Database) -> int:
    """Return the number of steps that a ledger has taken."""
    rows = database.rows("SELECT version FROM schema_version")
    return max((version for (version,) in rows), default=0)
