"""A real MariaDB server of the tests' own, which speaks MySQL's protocol: on a Unix socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

STARTUP_SECONDS = 60.0


@contextmanager
def mariadb_server() -> Iterator[str]:
    """Yield the socket of a running server with an empty database `records`; skips where MariaDB is not installed."""
    install, server = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
    if install is None or server is None:
        pytest.skip("MariaDB (mariadb-install-db, mariadbd) is not installed on this machine")
    home = Path(tempfile.mkdtemp(prefix="my-"))
    user = pwd.getpwuid(os.geteuid()).pw_name
    socket = str(home / "socket")
    try:
        common = ["--no-defaults", f"--datadir={home / 'data'}", f"--user={user}"]
        with (home / "log").open("ab") as log:
            made = [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(made, stdout=log, stderr=log, check=True, timeout=STARTUP_SECONDS)
            command = [server, *common, f"--socket={socket}", "--skip-networking", f"--pid-file={home / 'pid'}"]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(socket, process)
            yield socket
        finally:
            process.kill()  # nothing in it is to be kept
            process.wait(STARTUP_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(socket: str, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            with pymysql.connect(unix_socket=socket, user="root", autocommit=True) as connection:
                connection.cursor().execute("CREATE DATABASE IF NOT EXISTS records")
            return
        except pymysql.err.OperationalError:
            if process.poll() is not None or time.monotonic() > limit:
                raise
            time.sleep(0.1)
