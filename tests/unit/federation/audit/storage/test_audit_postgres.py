"""What a log in PostgreSQL promises beyond what every log does: one writer, its own tables, a lost server survived."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
from audit_site import KEYS, SIGNER, Site, make_leaves

from federation.audit import AuditLog, verify_directory, write_log_keys
from federation.audit.storage.location import LogLocation, log_location
from federation.audit.storage.postgres import MIGRATIONS
from federation.process.settings import read_settings
from federation.relay.settings import CoordinatorSettings
from protocols.errors import ConfigurationError
from tests.log_places import hand
from tests.postgres_server import PostgresServer


@pytest.fixture
def place(postgres: PostgresServer, tmp_path: Path) -> Site:
    (tmp_path / "coordinator").mkdir()
    url = postgres.new_database()
    (tmp_path / "coordinator" / "coordinator.yaml").write_text(f"log: {url}\n", encoding="utf-8")
    write_log_keys(tmp_path / "coordinator", KEYS)
    return Site(log_location(tmp_path / "coordinator"))


def test_the_coordinators_setting_says_where_the_log_is(place: Site) -> None:
    settings = read_settings(place.path.parent / "coordinator.yaml", CoordinatorSettings)
    assert place.location == LogLocation(place.path, settings.log)
    with place.open() as log:
        log.append(make_leaves(0, 3))
        place.witness(log)
    assert not place.path.exists()
    assert verify_directory(place.directory).leaves == 3


def test_a_lost_server_is_told_to_the_callers_and_the_log_goes_on_where_it_was(
    place: Site, postgres: PostgresServer
) -> None:
    with place.open() as log:
        log.append(make_leaves(0, 3))
        postgres.break_connections()
        with pytest.raises(ConfigurationError) as error:
            log.append(make_leaves(3, 5))
        assert error.value.code == "LOG_NOT_WRITABLE"
        assert log.size == 3  # the reader's connection was lost as well, and is made anew
        assert [receipt.index for receipt in log.append(make_leaves(3, 5))] == [3, 4]
        place.witness(log)
    assert verify_directory(place.directory).ok


def test_a_second_coordinator_on_another_machine_cannot_write(place: Site, tmp_path: Path) -> None:
    """It has no lock file in common with the first: the database itself admits one writer."""
    other = LogLocation(tmp_path / "log.sqlite", place.location.url)
    with place.open() as log:
        log.append(make_leaves(0, 2))
        with pytest.raises(ConfigurationError) as error:
            AuditLog(other, SIGNER)
        assert error.value.code == "LOG_IN_USE"
        log.append(make_leaves(2, 3))
    with AuditLog(other, SIGNER) as log:
        assert log.size == 3


def test_a_writer_that_lost_its_lock_overwrites_nothing(place: Site, postgres: PostgresServer, tmp_path: Path) -> None:
    """Its connection was cut, another coordinator took over: what it still appends is refused or comes after."""
    other = LogLocation(tmp_path / "log.sqlite", place.location.url)
    with place.open() as first:
        first.append(make_leaves(0, 2))
        postgres.break_connections()
        with AuditLog(other, SIGNER) as second:
            second.append(make_leaves(2, 4))
            for _ in range(2):
                with pytest.raises(ConfigurationError):
                    first.append(make_leaves(9, 10))
            assert [entry.leaf for entry in second.entries()] == make_leaves(0, 4)
        assert [receipt.index for receipt in first.append(make_leaves(4, 5))] == [4]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE leaves ADD COLUMN hidden BIGINT",
        "CREATE TABLE more () INHERITS (leaves)",
        "CREATE RULE hide AS ON DELETE TO leaves DO INSTEAD NOTHING",
        "ALTER TABLE leaves ENABLE ROW LEVEL SECURITY",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER t BEFORE INSERT ON leaves FOR EACH ROW EXECUTE FUNCTION f()",
        "DROP TABLE nodes",
        "DROP TABLE log_schema",
    ],
)
def test_tables_that_could_show_one_reader_what_another_does_not_see_are_no_log(place: Site, change: str) -> None:
    place.open().close()
    with psycopg.connect(place.location.url) as attacker:
        attacker.execute(change.encode())
    with pytest.raises(ConfigurationError):
        verify_directory(place.directory)


def test_an_empty_database_is_no_log_to_read(place: Site) -> None:
    with pytest.raises(ConfigurationError, match="layout"):
        verify_directory(place.directory)


def test_a_log_of_a_newer_version_is_left_alone(place: Site) -> None:
    place.open().close()
    with hand(place.location) as newer:
        newer.execute("INSERT INTO log_schema VALUES (?)", (len(MIGRATIONS) + 1,))
    for attempt in (place.open, lambda: verify_directory(place.directory)):
        with pytest.raises(ConfigurationError) as error:
            attempt()
        assert error.value.code == "LOG_TOO_NEW"


def test_two_that_begin_at_once_make_one_log(place: Site, tmp_path: Path) -> None:
    outcomes: list[str] = []

    def begin(number: int) -> None:
        try:
            with AuditLog(LogLocation(tmp_path / f"{number}.sqlite", place.location.url), SIGNER) as log:
                log.append(make_leaves(0, 1))
            outcomes.append("ok")
        except ConfigurationError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"ok", "LOG_IN_USE"}
    assert "ok" in outcomes


def test_no_error_quotes_the_password(tmp_path: Path) -> None:
    location = LogLocation(tmp_path / "log.sqlite", "postgresql://me:secret@127.0.0.1:1/log?connect_timeout=1")
    with pytest.raises(ConfigurationError) as error:
        AuditLog(location, SIGNER)
    assert "127.0.0.1:1/log" in str(error.value)
    assert "secret" not in str(error.value)
    assert "secret" not in repr(location)


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://a b", "file.db"])
def test_a_place_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    (tmp_path / "coordinator.yaml").write_text(f'log: "{url}"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError):
        log_location(tmp_path)
