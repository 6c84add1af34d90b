"""Ledgers in use move forward to the tables of today, whole or not at all, and never back."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from nodes.ledger import Database, open_bank_ledger, open_node_ledger
from nodes.ledger.location import Location, connect, ledger_location, ledgers_below
from nodes.ledger.reading import read_ledger
from nodes.ledger.schema import MIGRATIONS, Migration, migrate, schema_version
from nodes.policy import Quota
from protocols.errors import ConfigurationError

PASSWORD = "hunter2"  # noqa: S105


@pytest.fixture
def database(location: Location) -> Database:
    return Database(connect(location))


def test_a_ledger_of_the_first_days_keeps_its_records(location: Location) -> None:
    with contextlib.closing(Database(connect(location))) as database:
        for statement in MIGRATIONS[0].statements:  # as it was before versions were counted
            database.create(statement)
        database.write("INSERT INTO witness VALUES (?, ?, ?)", "log", 3, b"note")
        database.write("INSERT INTO part VALUES (?, ?, ?, ?)", b"h", b"m", b"t", b"b")
    with contextlib.closing(open_node_ledger(location)) as ledger:
        assert ledger.witness.note("log") == b"note"
        assert ledger.parts.find(b"h") is not None
    with contextlib.closing(Database(connect(location))) as database:
        assert schema_version(database) == len(MIGRATIONS)


def test_answers_given_before_they_were_counted_are_counted(location: Location) -> None:
    before = next(number for number, step in enumerate(MIGRATIONS) if "counted" in step.name)
    with contextlib.closing(Database(connect(location))) as database:
        migrate(database, MIGRATIONS[:before])
        columns = "query, transcript, bank, subject, day, decision, at, response"
        answer = f"INSERT INTO answer ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        for number, (subject, day, decision) in enumerate(
            [("e1", 3, "RELEASE"), ("e2", 3, "RELEASE"), ("e2", 4, "RELEASE"), ("e3", 3, "DENY"), ("", 3, "RELEASE")]
        ):
            database.write(answer, bytes([number]), b"t", "bank", subject, day, decision, 0, b"r")
        for position, code in enumerate(["", "", "QUOTA"]):
            database.write("INSERT INTO batch_entry VALUES (?,?,?,?,?,?)", b"\4", position, "bank", 3, "e", code)
    with contextlib.closing(open_node_ledger(location)) as ledger:
        assert [10 - ledger.quotas.left("bank", day, Quota(per_day=10)) for day in (3, 4, 5)] == [4, 1, 0]


def test_a_ledger_is_moved_forward_once(database: Database) -> None:
    migrate(database)
    migrate(database)
    later = (*MIGRATIONS, Migration("one more", ("CREATE TABLE extra (name TEXT PRIMARY KEY)",)))
    migrate(database, later)
    assert schema_version(database) == len(later)
    assert [name for (name,) in database.rows("SELECT name FROM schema_version ORDER BY version")] == [
        step.name for step in later
    ]
    database.close()


def test_a_ledger_newer_than_the_software_is_refused(location: Location, database: Database) -> None:
    migrate(database, (*MIGRATIONS, Migration("from tomorrow", ())))
    database.close()
    with pytest.raises(ConfigurationError) as refusal:
        open_bank_ledger(location)
    assert refusal.value.code == "LEDGER_TOO_NEW"


def test_a_step_that_fails_leaves_no_trace(database: Database) -> None:
    migrate(database)
    broken = Migration("broken", ("CREATE TABLE half (name TEXT PRIMARY KEY)", "CREATE TABLE half (name TEXT)"))
    with pytest.raises(database.error):
        migrate(database, (*MIGRATIONS, broken))
    assert schema_version(database) == len(MIGRATIONS)
    with pytest.raises(database.error):
        database.rows("SELECT * FROM half")
    database.close()


def test_a_reader_cannot_write(location: Location) -> None:
    open_node_ledger(location).close()
    with contextlib.closing(Database(connect(location, read_only=True))) as database, pytest.raises(database.error):
        database.write("DELETE FROM answer")


def test_a_database_that_is_no_ledger_is_not_read_as_one(location: Location) -> None:
    connect(location).close()
    with pytest.raises(ConfigurationError) as refusal, read_ledger(location):
        pass
    assert refusal.value.code == "BAD_LEDGER"


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError) as refusal:
        open_node_ledger(path)
    assert refusal.value.code == "BAD_LEDGER"
    assert path.name in str(refusal.value)


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        open_node_ledger(f"postgresql://node:{PASSWORD}@127.0.0.1:1/ledger?password={PASSWORD}")
    assert refusal.value.code == "BAD_LEDGER"
    assert "127.0.0.1:1/ledger" in str(refusal.value)
    shown: BaseException | None = refusal.value
    while shown is not None:
        assert PASSWORD not in str(shown)
        shown = shown.__cause__


def test_a_folder_says_where_its_ledger_lives(tmp_path: Path) -> None:
    for party in ("tax", "social", "cards"):
        (tmp_path / party).mkdir()
    (tmp_path / "tax" / "ledger.sqlite").touch()
    (tmp_path / "social" / "ledger.url").write_text("postgresql://node@server/ledger\n", encoding="utf-8")
    assert ledgers_below(tmp_path) == {
        "social": "postgresql://node@server/ledger",
        "tax": tmp_path / "tax" / "ledger.sqlite",
    }
    assert ledger_location(tmp_path / "cards") == tmp_path / "cards" / "ledger.sqlite"
    for text in (f"mysql://node:{PASSWORD}@server/ledger", "", "postgresql://a postgresql://b"):
        (tmp_path / "tax" / "ledger.url").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError) as refusal:
            ledger_location(tmp_path / "tax")
        assert refusal.value.code == "BAD_LEDGER"
        assert PASSWORD not in str(refusal.value)
