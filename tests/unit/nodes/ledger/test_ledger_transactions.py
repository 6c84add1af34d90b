"""Group commit: all of a group is durable at its end and none before, and one refusal undoes nothing but itself."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from nodes.ledger import Answer, Database, NodeLedger, open_node_ledger
from nodes.ledger.database import Row, Value
from nodes.ledger.location import Location
from nodes.ledger.reading import read_ledger
from nodes.ledger.schema import migrate
from nodes.ledger.sqlite import SqliteBackend
from nodes.policy import Quota
from protocols.errors import BudgetExceeded, PolicyDenied
from tests.postgres_server import PostgresServer

ANSWER = Answer(bytes(16), bytes(32), "bank", "enterprise", b"n" * 32, bytes(32), 2, "rule", "", b"the bytes")


@pytest.fixture
def ledger(location: Location) -> Iterator[NodeLedger]:
    with contextlib.closing(open_node_ledger(location)) as ledger:
        yield ledger


def answer(number: int, **changes: str | bytes | int) -> Answer:
    fields = {"query": number.to_bytes(16), "transcript": number.to_bytes(32)} | changes
    return dataclasses.replace(ANSWER, **fields)  # type: ignore[arg-type]


def recorded(location: Location) -> int:
    """How many answers another process would find."""
    with read_ledger(location) as reader:
        return sum(1 for _ in reader.answers())


def test_nothing_of_a_group_is_durable_before_its_end(ledger: NodeLedger, location: Location) -> None:
    with ledger.group():
        for number in range(3):
            ledger.answers.release(answer(number), Quota(10))
        assert recorded(location) == 0
    assert recorded(location) == 3


def test_a_refusal_inside_a_group_undoes_itself_alone(ledger: NodeLedger, location: Location) -> None:
    with ledger.group():
        ledger.answers.release(answer(0), Quota(2))
        with pytest.raises(PolicyDenied):
            ledger.answers.release(answer(1, nodes=b"m" * 32), Quota(2))
        ledger.answers.release(answer(2), Quota(2))
        with pytest.raises(BudgetExceeded):
            ledger.answers.release(answer(3), Quota(2))
        ledger.answers.deny(answer(3))
    assert recorded(location) == 3
    assert ledger.answers.find(answer(1).query, answer(1).transcript) is None


def test_an_error_that_leaves_a_group_undoes_all_of_it(ledger: NodeLedger, location: Location) -> None:
    def interrupted() -> None:
        with ledger.group():
            ledger.answers.release(answer(0), Quota(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert recorded(location) == 0
    ledger.answers.release(answer(1), Quota(1))  # the quota was not used up either
    assert recorded(location) == 1


class _Counting(SqliteBackend):
    """A backend that counts how often it waits for the disk."""

    commits = 0

    def execute(self, statement: str, values: Sequence[Value]) -> list[Row]:
        self.commits += statement == "COMMIT"
        return super().execute(statement, values)


def test_a_group_waits_for_the_disk_once(tmp_path: Path) -> None:
    backend = _Counting(tmp_path / "ledger.sqlite")
    assert backend.execute("PRAGMA synchronous", ()) == [(2,)]  # FULL
    assert backend.execute("PRAGMA journal_mode", ()) == [("wal",)]
    ledger = NodeLedger(Database(backend))
    with contextlib.closing(ledger):
        migrate(Database(backend))
        backend.commits = 0
        with ledger.group():
            for number in range(20):
                ledger.answers.release(answer(number), Quota(100))
        assert backend.commits == 1


def test_another_thread_waits_until_the_group_is_durable(ledger: NodeLedger) -> None:
    found: list[bytes | None] = []
    key = ANSWER.query, ANSWER.transcript, ANSWER.subject
    reader = threading.Thread(target=lambda: found.append(ledger.answers.find(*key)))
    with ledger.group():
        ledger.answers.release(ANSWER, Quota(1))
        reader.start()
        reader.join(0.2)
        assert reader.is_alive()
        assert not found  # what might yet be undone is shown to nobody
    reader.join(60)
    assert found == [b"the bytes"]


def test_two_connections_cannot_exceed_a_quota_together(location: Location) -> None:
    outcomes: list[str] = []

    def work(first: int) -> None:
        with contextlib.closing(open_node_ledger(location)) as own:
            for number in range(first, first + 10):
                try:
                    own.answers.release(answer(number), Quota(7))
                    outcomes.append("released")
                except BudgetExceeded:
                    outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["refused"] * 13 + ["released"] * 7


def test_a_ledger_survives_the_loss_of_its_connection(postgres: PostgresServer) -> None:
    location = postgres.new_database()
    with contextlib.closing(open_node_ledger(location)) as ledger:
        with pytest.raises(psycopg.OperationalError):
            _commit_over_a_restart(ledger, postgres)
        assert ledger.answers.find(answer(0).query, answer(0).transcript) is None
        ledger.answers.release(answer(0), Quota(10))
    assert recorded(location) == 1


def _commit_over_a_restart(ledger: NodeLedger, server: PostgresServer) -> None:
    with ledger.group():
        ledger.answers.release(answer(0), Quota(10))
        server.break_connections()
        ledger.answers.release(answer(1), Quota(10))


_PROGRAM = """
import os, signal, sys
from pathlib import Path
from nodes.ledger import Answer, open_node_ledger
from nodes.policy import Quota

where = sys.argv[1]
ledger = open_node_ledger(where if "://" in where else Path(where))
def commit(number):
    answer = Answer(number.to_bytes(16), bytes(32), "bank", "e", bytes(32), bytes(32), 2, "rule", "", b"x")
    ledger.answers.release(answer, Quota(99))
with ledger.group():
    commit(1), commit(2)
with ledger.group():
    commit(3), commit(4)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_keeps_whole_groups_alone(location: Location) -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM, str(location)], timeout=60, check=False)
    assert run.returncode == -signal.SIGKILL
    assert recorded(location) == 2
