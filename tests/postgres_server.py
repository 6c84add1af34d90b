"""A real PostgreSQL server of the tests' own: started once a process, one fresh database for every test that asks."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

STARTUP_SECONDS = 60


class PostgresServer:
    """A running server that listens on a Unix socket alone."""

    def __init__(self, socket: Path, control: Callable[..., None]) -> None:
        """`control` runs pg_ctl with what it is given."""
        self._socket, self._made, self._control = socket, 0, control

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://tester@/{database}?host={self._socket}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def restart(self) -> None:
        """End the server at once, as a power cut would, and start it again."""
        self._control("-m", "immediate", "-w", "stop")
        self._control("-w", "start")

    def break_connections(self) -> None:
        """End every connection to the tests' databases, as a restart of the server would."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'"
            connection.execute(query)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server for the time of the block; skips the test that needs it where PostgreSQL is not installed."""
    initdb, pg_ctl = shutil.which("initdb"), shutil.which("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL (initdb, pg_ctl) is not installed on this machine")
    home = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
    data = home / "data"
    try:
        user = _owner(home)
        options = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off"
        _run([initdb, "-D", str(data), "-U", "tester", "-A", "trust", "--no-instructions", "--no-sync"], user, home)

        def control(*arguments: str) -> None:
            _run([pg_ctl, "-D", str(data), "-o", options, "-l", str(home / "log"), *arguments], user, home)

        control("-w", "start")
        try:
            yield PostgresServer(home, control)
        finally:
            control("-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _owner(home: Path) -> str | None:
    """Give the folder to the user that must run the server: not root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("root may not run PostgreSQL, and there is no user postgres")
    os.chown(home, account.pw_uid, account.pw_gid)
    return "postgres"


def _run(command: list[str], user: str | None, home: Path) -> None:
    with (home / "commands").open("ab") as output:
        subprocess.run(command, user=user, cwd=home, stdout=output, stderr=output, check=True, timeout=STARTUP_SECONDS)
