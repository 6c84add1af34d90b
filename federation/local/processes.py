"""The parties of a folder as processes of their own on this machine: started, awaited, stopped, and killed by tests."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from federation.local.layout import COORDINATOR
from federation.process.asking import ask_http
from federation.process.settings import read_settings
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.data_node.settings import NODE_FILE, NodeSettings
from protocols.channel.identity import PartyId
from protocols.errors import TransportError

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
LOG_FILE: Final = "service.log"


class PartyProcess:
    """One party's process; its log is `service.log` in its directory."""

    def __init__(self, home: Path, role: str, http: str) -> None:
        self.home, self.http, self._role = home, http, role
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id. Raises: ValueError if it was not started."""
        if self._process is None:
            raise ValueError(f"{self.home.name} was not started")
        return self._process.pid

    @property
    def command(self) -> tuple[str, ...]:
        """What starts it."""
        return (sys.executable, "-m", "federation.cli", self._role, "run", str(self.home))

    def start(self) -> None:
        """Start it, in place of one that has ended; it is ready later."""
        with (self.home / LOG_FILE).open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: S603

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return once it says that it can work. Raises: TransportError, code NOT_READY, if it ends or takes longer."""
        limit = time.monotonic() + seconds
        while not self.is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > limit:
                raise TransportError(f"{self.home.name} is not ready: see {self.home / LOG_FILE}", code="NOT_READY")
            time.sleep(0.05)

    def metrics(self) -> str:
        """Return its metrics. Raises: OSError."""
        return ask_http(self.http, self.home, "/metrics")[1]

    def is_ready(self) -> bool:
        """Tell whether it says that it can work."""
        try:
            return ask_http(self.http, self.home, "/ready")[0] == http.client.OK
        except OSError:
            return False

    def stop(self) -> int:
        """End it gracefully; return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, wherever it stands."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def coordinator_process(folder: Path) -> PartyProcess:
    """Return the coordinator's process, not started. Raises: ConfigurationError."""
    home = folder / COORDINATOR
    settings = read_settings(home / COORDINATOR_FILE, CoordinatorSettings)
    return PartyProcess(home, "coordinator", settings.http)


def node_process(folder: Path, node: PartyId) -> PartyProcess:
    """Return a data node's process, not started. Raises: ConfigurationError."""
    home = folder / node
    return PartyProcess(home, "node", read_settings(home / NODE_FILE, NodeSettings).http)


def bank_process(folder: Path, bank: PartyId) -> PartyProcess:
    """Return a bank's process, not started. Raises: ConfigurationError."""
    home = folder / bank
    return PartyProcess(home, "bank", read_settings(home / BANK_FILE, BankSettings).http)


@contextmanager
def running(processes: Sequence[PartyProcess]) -> Iterator[None]:
    """Start processes, the first before all others, and stop them at the end. Raises: TransportError, NOT_READY."""
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait_until_ready()
        yield
    finally:
        for process in reversed(processes):
            process.stop()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return [int(found.getsockname()[1]) for found in sockets]
    finally:
        for found in sockets:
            found.close()
