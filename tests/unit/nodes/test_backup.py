"""A backup comes back whole or not at all, says nothing without its passphrase, and an old ledger is known as old."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from federation.audit import AuditLog, read_log_keys, read_log_signer
from federation.cli.main import app
from federation.local.layout import COORDINATOR
from nodes.backup import sealed_stream
from nodes.backup.archive import DUMP, read_backup, write_backup
from nodes.backup.freshness import recorded_size
from nodes.backup.restoring import restore
from nodes.backup.sealed_stream import CHUNK, SealedReader, SealedWriter
from nodes.data_node.stop_switch import StopSwitch
from nodes.keystore import read_keys
from nodes.ledger import ledger_location, open_node_ledger
from nodes.ledger.schema import MIGRATIONS
from protocols.errors import ConfigurationError, VerificationFailed
from tests.postgres_server import PostgresServer
from tests.small_federation import NOW

PASSPHRASE = b"correct horse battery staple"
SALT = bytes(16)
needs_pg_dump = pytest.mark.skipif(
    shutil.which("pg_dump") is None, reason="PostgreSQL's pg_dump is not installed on this machine"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch passphrases little: it is slow on purpose."""
    monkeypatch.setattr(sealed_stream.SealedWriter.__init__, "__defaults__", (10,))


def sealed(content: bytes) -> bytes:
    file = io.BytesIO()
    with SealedWriter(file, PASSPHRASE, SALT) as writer:
        writer.write(content)
    return file.getvalue()


def opened(data: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    return SealedReader(io.BytesIO(data), passphrase).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 17])
def test_what_is_sealed_opens_whole(size: int) -> None:
    content = os.urandom(size)
    assert opened(sealed(content)) == content
    reader = SealedReader(io.BytesIO(sealed(content)), PASSPHRASE)
    parts = iter(lambda: reader.read(70_001), b"")
    assert b"".join(parts) == content


TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "cut within": lambda data: data[:-1],
    "cut after a chunk": lambda data: data[: len(sealed_stream.MAGIC) + 17 + CHUNK + 16],
    "a bit turned": lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
    "more at the end": lambda data: data + b"x",
    "chunks exchanged": lambda data: (
        data[:44]
        + data[44 + CHUNK + 16 : 44 + 2 * (CHUNK + 16)]
        + data[44 : 44 + CHUNK + 16]
        + data[44 + 2 * (CHUNK + 16) :]
    ),
    "another salt": lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
    "costs without end": lambda data: data[:27] + bytes([40]) + data[28:],
    "another file": lambda data: b"PK" + data[2:],
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("change", TAMPERED)
def test_a_backup_that_was_changed_does_not_open(change: str) -> None:
    data = sealed(os.urandom(2 * CHUNK + 100))
    assert len(sealed_stream.MAGIC) + 17 == 44
    with pytest.raises(VerificationFailed) as caught:
        opened(TAMPERED[change](data))
    assert caught.value.code == "BACKUP_DAMAGED"


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(VerificationFailed):
        opened(sealed(b"secret"), b"correct horse battery stapler")


def test_a_directory_comes_back_as_it_was(federation_folder: Path, tmp_path: Path) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    (home / "health.sock").write_text("", encoding="ascii")
    ledger = open_node_ledger(ledger_location(home))  # at work meanwhile
    with ledger.group():
        pass
    manifest = write_backup(home, file, PASSPHRASE, NOW)
    ledger.close()
    assert file.stat().st_mode & 0o777 == 0o600
    for secret in ("party.key", "paillier.pem", "ledger.sqlite"):
        assert (home / secret).read_bytes()[:64] not in file.read_bytes()
    copy = tmp_path / "restored"
    assert read_backup(file, PASSPHRASE, copy) == manifest
    assert read_keys(copy).to_bytes() == read_keys(home).to_bytes()
    for name in manifest.files:
        assert (copy / name).stat().st_mode & 0o777 == (home / name).stat().st_mode & 0o777
    assert rows(copy / "ledger.sqlite") == rows(home / "ledger.sqlite")
    assert not (copy / "health.sock").exists()
    with pytest.raises(ConfigurationError):
        write_backup(home, file, PASSPHRASE, NOW)  # never over another


def rows(ledger: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(ledger)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [row for table in sorted(tables) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608


def test_a_ledger_older_than_the_one_in_place_is_refused_unless_that_is_accepted(
    federation_folder: Path, tmp_path: Path
) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    write_backup(home, file, PASSPHRASE, NOW)
    before = recorded_size(home)
    assert before > 0
    forget(home, before)
    older = tmp_path / "older.backup"
    write_backup(home, older, PASSPHRASE, NOW - 1)
    restore(file, home, PASSPHRASE, None, False, NOW)
    assert recorded_size(home) == before
    with pytest.raises(VerificationFailed) as caught:
        restore(older, home, PASSPHRASE, None, False, NOW + 1)
    assert caught.value.code == "LEDGER_OLDER"
    assert recorded_size(home) == before
    assert not list(federation_folder.glob(".*restoring"))
    restored = restore(older, home, PASSPHRASE, None, True, NOW + 2)
    assert restored.standing is not None
    assert restored.standing.recorded < restored.standing.proven == before
    assert recorded_size(federation_folder / f"tax.before-{NOW + 2}") == before


def forget(home: Path, size: int) -> None:
    """Make a ledger as it was before it cosigned anything."""
    with closing(sqlite3.connect(home / "ledger.sqlite")) as connection:
        connection.execute("DELETE FROM witness WHERE size = ?", (size,))
        connection.commit()


def test_nothing_is_put_back_under_a_process_that_runs(federation_folder: Path, tmp_path: Path) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    write_backup(home, file, PASSPHRASE, NOW)
    before = rows(home / "ledger.sqlite")
    ledger = open_node_ledger(ledger_location(home))
    try:
        with pytest.raises(ConfigurationError) as caught:
            restore(file, home, PASSPHRASE, None, True, NOW)
        assert caught.value.code == "STILL_RUNNING"
        assert rows(home / "ledger.sqlite") == before
        assert not list(home.parent.glob("*.before-*"))
        with ledger.group():  # what runs was not disturbed
            pass
    finally:
        ledger.close()
    restore(file, home, PASSPHRASE, None, True, NOW)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_backup_that_finds_no_room_is_an_error_and_leaves_no_half_of_itself(
    federation_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    for target in (tmp_path / "nowhere" / "tax.backup", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            write_backup(home, target, PASSPHRASE, NOW)
        assert caught.value.code == "NOT_WRITABLE"

    def full(_: int) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError) as caught:
        write_backup(home, file, PASSPHRASE, NOW)
    assert caught.value.code == "NOT_WRITABLE"
    assert not file.exists()


def test_a_new_machine_needs_no_folder_made_before(federation_folder: Path, tmp_path: Path) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    write_backup(home, file, PASSPHRASE, NOW)
    restore(file, tmp_path / "var" / "lib" / "tax", PASSPHRASE, None, False, NOW)
    assert read_keys(tmp_path / "var" / "lib" / "tax").to_bytes() == read_keys(home).to_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as caught:
        restore(file, tmp_path / "file" / "tax", PASSPHRASE, None, False, NOW)
    assert caught.value.code == "NOT_WRITABLE"


def test_the_logs_own_checkpoint_shows_that_a_ledger_is_older(federation_folder: Path, tmp_path: Path) -> None:
    home, file, note = federation_folder / "tax", tmp_path / "tax.backup", witnessed(federation_folder)
    size = recorded_size(home)
    forget(home, size)
    write_backup(home, file, PASSPHRASE, NOW)
    shutil.rmtree(home)  # the disk is gone, and with it what the ledger knew
    with pytest.raises(VerificationFailed) as caught:
        restore(file, home, PASSPHRASE, note, False, NOW)
    assert caught.value.code == "LEDGER_OLDER"
    assert not home.exists()
    with pytest.raises(VerificationFailed):  # a note that the log has not signed says nothing
        restore(file, home, PASSPHRASE, note.replace(b"\n%d\n" % size, b"\n1\n"), False, NOW)
    restore(file, home, PASSPHRASE, None, False, NOW)


def witnessed(folder: Path) -> bytes:
    home = folder / COORDINATOR
    with AuditLog(home / "log.sqlite", read_log_signer(home), read_log_keys(home).witnesses):
        return (home / "log.witnessed").read_bytes()


def test_a_restored_node_releases_nothing_until_its_owner_says_so(federation_folder: Path, tmp_path: Path) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    (home / "node.yaml").write_text("domain: tax\n", encoding="utf-8")
    write_backup(home, file, PASSPHRASE, NOW)
    assert StopSwitch(home).reason() is None
    assert restore(file, home, PASSPHRASE, None, False, NOW).stopped
    assert "restored" in str(StopSwitch(home).reason())


def test_a_backup_of_newer_software_is_refused(
    federation_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, file = federation_folder / "tax", tmp_path / "tax.backup"
    monkeypatch.setattr("nodes.backup.archive.MIGRATIONS", (*MIGRATIONS, MIGRATIONS[-1]))
    write_backup(home, file, PASSPHRASE, NOW)
    before = sorted(path.name for path in home.iterdir())
    with pytest.raises(ConfigurationError) as caught:
        restore(file, home, PASSPHRASE, None, False, NOW)
    assert caught.value.code == "LEDGER_TOO_NEW"
    assert sorted(path.name for path in home.iterdir()) == before


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no session to end: here one never does."""
    monkeypatch.setattr("nodes.backup.restoring.CLOSING_SECONDS", 0.0)


@needs_pg_dump
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("user", ["tester", "plain"])
def test_no_ledger_in_postgresql_goes_back_under_a_node_that_runs(
    federation_folder: Path, tmp_path: Path, postgres: PostgresServer, user: str
) -> None:
    home, file, url = federation_folder / "tax", tmp_path / "tax.backup", postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:  # a node's user sees little of others' sessions
        connection.execute("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute("GRANT ALL ON SCHEMA public TO plain")
    (home / "ledger.url").write_text(url.replace("tester", user), encoding="utf-8")
    ledger = open_node_ledger(url)
    ledger.witness.keep_note("a log", None, 5, b"a note")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    write_backup(home, file, PASSPHRASE, NOW)
    ledger.witness.keep_note("a log", b"a note", 6, b"a later note")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError) as caught:
        restore(file, home, PASSPHRASE, None, True, NOW)
    assert caught.value.code == "STILL_RUNNING"
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert not list(tmp_path.rglob("*.before-*"))
    assert ledger.witness.note("a log") == b"a later note"
    with pytest.raises(ConfigurationError):  # nor by way of another directory
        restore(file, federation_folder / "elsewhere", PASSPHRASE, None, True, NOW)
    ledger.close()


@pytest.mark.usefixtures("impatient")
def test_a_directory_whose_ledger_another_database_has_is_not_replaced_while_its_node_runs(
    federation_folder: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    home, file, url = federation_folder / "tax", tmp_path / "tax.backup", postgres.new_database()
    write_backup(home, file, PASSPHRASE, NOW)
    (home / "ledger.url").write_text(url, encoding="utf-8")  # it moved there after the backup
    ledger = open_node_ledger(url)
    with pytest.raises(ConfigurationError) as caught:
        restore(file, home, PASSPHRASE, None, True, NOW)
    assert caught.value.code == "STILL_RUNNING"
    ledger.close()
    (home / "ledger.url").write_text("postgresql://nobody@127.0.0.1:1/gone", encoding="utf-8")
    restore(file, home, PASSPHRASE, None, True, NOW)
    assert not (home / "ledger.url").exists()


@needs_pg_dump
def test_a_database_that_cannot_take_the_ledger_is_known_before_anything_is_replaced(
    federation_folder: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    home, file, url = federation_folder / "tax", tmp_path / "tax.backup", postgres.new_database()
    (home / "ledger.url").write_text(url, encoding="utf-8")
    (home / "ledger.sqlite").unlink()
    open_node_ledger(url).close()
    write_backup(home, file, PASSPHRASE, NOW)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        # the owner has a new server
        connection.execute(f"DROP DATABASE {conninfo_to_dict(url)['dbname']} WITH (FORCE)")
    before = sorted(path.name for path in home.iterdir())
    with pytest.raises(ConfigurationError) as caught:
        restore(file, home, PASSPHRASE, None, True, NOW)
    assert caught.value.code == "BAD_LEDGER"
    assert sorted(path.name for path in home.iterdir()) == before
    assert [path.name for path in federation_folder.glob("*tax*")] == ["tax"]


@needs_pg_dump
def test_a_ledger_in_postgresql_is_dumped_and_comes_back(
    federation_folder: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    home, file, url = federation_folder / "tax", tmp_path / "tax.backup", postgres.new_database()
    (home / "ledger.url").write_text(url, encoding="utf-8")
    ledger = open_node_ledger(url)
    ledger.witness.keep_note("a log", None, 5, b"a note")
    assert DUMP in write_backup(home, file, PASSPHRASE, NOW).files
    ledger.witness.keep_note("a log", b"a note", 6, b"a later note")
    ledger.close()
    restore(file, home, PASSPHRASE, None, True, NOW)
    ledger = open_node_ledger(url)
    assert ledger.witness.note("a log") == b"a note"
    ledger.close()
    assert not (home / DUMP).exists()


@needs_pg_dump
def test_a_session_that_is_about_to_end_is_waited_for(
    federation_folder: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    home, file, url = federation_folder / "tax", tmp_path / "tax.backup", postgres.new_database()
    (home / "ledger.sqlite").unlink()
    (home / "ledger.url").write_text(url, encoding="utf-8")
    ledger = open_node_ledger(url)
    write_backup(home, file, PASSPHRASE, NOW)
    ending = threading.Timer(0.5, ledger.close)
    ending.start()
    restore(file, home, PASSPHRASE, None, True, NOW)
    ending.join()
    assert list(tmp_path.rglob("*.before-*"))


@needs_pg_dump
def test_an_older_ledger_in_postgresql_is_refused_unless_that_is_accepted(
    federation_folder: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    home, url = federation_folder / "tax", postgres.new_database()
    size, note, origin = recorded_size(home), *the_note(home / "ledger.sqlite")
    (home / "ledger.sqlite").unlink()
    (home / "ledger.url").write_text(url, encoding="utf-8")
    ledger = open_node_ledger(url)
    older, newer = tmp_path / "older.backup", tmp_path / "newer.backup"
    assert write_backup(home, older, PASSPHRASE, NOW).cosigned == 0
    ledger.witness.keep_note(origin, None, size, note)
    ledger.close()
    assert write_backup(home, newer, PASSPHRASE, NOW).cosigned == size
    with pytest.raises(VerificationFailed) as by_the_ledger_in_place:
        restore(older, home, PASSPHRASE, None, False, NOW)
    assert recorded_size(home) == size
    shutil.rmtree(home)
    with pytest.raises(VerificationFailed) as by_the_logs_own_checkpoint:
        restore(older, home, PASSPHRASE, witnessed(federation_folder), False, NOW)
    assert {by_the_ledger_in_place.value.code, by_the_logs_own_checkpoint.value.code} == {"LEDGER_OLDER"}
    restore(newer, home, PASSPHRASE, witnessed(federation_folder), False, NOW)
    restore(older, home, PASSPHRASE, None, True, NOW + 1)
    assert recorded_size(home) == 0


def the_note(ledger: Path) -> tuple[bytes, str]:
    """The checkpoint that a ledger says its party has cosigned, and of which log."""
    with closing(sqlite3.connect(ledger)) as connection:
        note, origin = connection.execute("SELECT note, origin FROM witness").fetchone()
    return note, origin


def test_the_commands_say_what_they_did(federation_folder: Path, tmp_path: Path) -> None:
    words, file, home = tmp_path / "words", tmp_path / "tax.backup", federation_folder / "tax"
    words.write_bytes(b"short\n")
    run = CliRunner().invoke
    weak = run(app, ["backup", str(home), str(file), "--passphrase-file", str(words)])
    assert weak.exit_code == 2
    words.write_bytes(PASSPHRASE + b"\n")
    made = run(app, ["backup", str(home), str(file), "--passphrase-file", str(words)])
    assert made.exit_code == 0, made.output
    assert "tax: " in made.output
    shutil.rmtree(home)
    back = run(app, ["restore", str(file), str(home), "--passphrase-file", str(words), "--json"])
    assert back.exit_code == 0, back.output
    assert (home / "party.key").exists()
