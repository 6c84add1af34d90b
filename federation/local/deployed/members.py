"""Who makes up a running federation: its processes in the order in which they start, and when each is ready."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from federation.audit.storage.location import log_location
from federation.local.deployed.flower import (
    LOOPBACK,
    SUPERLINK,
    Command,
    flower_parties,
    register_supernodes,
    runtime_socket,
    superlink,
    supernode,
)
from federation.local.deployed.namespaces import Namespaces, Placement
from federation.local.deployed.status import read_status
from federation.local.deployed.supervisor import Member
from federation.local.layout import CONSOLE, COORDINATOR, MODEL_FILE, read_federation
from federation.local.processes import PartyProcess, bank_process, coordinator_process, node_process
from federation.local.services import Ports
from federation.process.asking import ask_http
from protocols.channel.identity import PartyId

_PROBE_SECONDS: Final = 0.2
_HEALTH_SOCKET: Final = "health.sock"


def members(folder: Path, ports: Ports, placement: Placement = LOOPBACK) -> list[Member]:
    """Return all processes of a folder's federation. Raises: ConfigurationError for settings that are wrong."""
    parties = flower_parties(folder)
    registration = _Registration(folder, ports.superlink, placement)
    place = placement.name(COORDINATOR)
    started = [Member(superlink(folder, ports.superlink, placement), registration.done, place=place)]
    started.append(_party(coordinator_process(folder), placement))
    banks = read_federation(folder).bank_parties
    started += [_party(node_process(folder, party), placement) for party in parties if party not in banks]
    started += [_party(bank_process(folder, b), placement, (folder / b / MODEL_FILE).exists) for b in banks]
    if ports.console:
        started.append(_console(folder, ports.console))
    for party in parties:
        command = supernode(folder, party, ports.superlink, placement)
        answers = _answers(runtime_socket(folder, party))
        started.append(Member(command, answers, registration.done, placement.name(party)))
    return started


def _console(folder: Path, port: int) -> Member:
    """Return the auditors' console, which starts once there is a log."""
    command = (sys.executable, "-m", "federation.cli", "console", "run", str(folder), "--port", str(port))
    arguments = (*command, "--http", f"unix:{_HEALTH_SOCKET}")

    def ready() -> bool:
        try:
            return ask_http(f"unix:{_HEALTH_SOCKET}", folder / CONSOLE, "/ready")[0] == HTTPStatus.OK
        except OSError:
            return False

    location = log_location(folder / COORDINATOR)
    return Member(Command(CONSOLE, arguments, dict(os.environ), folder), ready, lambda: location.exists)


def namespaces_of(folder: Path) -> Namespaces:
    """Return the namespaces in which a folder's federation may run: one a party, the coordinator's first."""
    return Namespaces(folder.resolve(), (COORDINATOR, *flower_parties(folder)))


def placement_of(folder: Path) -> Placement:
    """Return where the processes of a federation that is up run."""
    status = read_status(folder)
    apart = status is not None and any(process.place for process in status.processes)
    return namespaces_of(folder) if apart else LOOPBACK


def _party(process: PartyProcess, placement: Placement, may_start: Callable[[], bool] = lambda: True) -> Member:
    party = PartyId(process.home.name)
    command = Command(party, placement.command(party, process.command), dict(os.environ), process.home)

    def ready() -> bool:
        with placement.inside(party):
            return process.is_ready()

    return Member(command, ready, may_start, placement.name(party))


class _Registration:
    """Registers the SuperNodes' keys once the SuperLink listens, in a thread, until it has taken all."""

    def __init__(self, folder: Path, port: int, placement: Placement) -> None:
        self._folder, self._port, self._placement = folder, port, placement
        self._done = threading.Event()
        self._busy = threading.Lock()

    def done(self) -> bool:
        """Tell whether all keys are registered; begin to register if it is time."""
        if not self._done.is_set() and self._listens() and self._busy.acquire(blocking=False):
            threading.Thread(target=self._register, name=f"{SUPERLINK}-keys", daemon=True).start()
        return self._done.is_set()

    def _register(self) -> None:
        try:
            register_supernodes(self._folder, self._placement)
            self._done.set()
        except (OSError, subprocess.CalledProcessError):
            pass  # it is not yet what it will be, or has just ended: tried again
        finally:
            self._busy.release()

    def _listens(self) -> bool:
        with self._placement.inside(COORDINATOR), socket.socket() as probe:
            probe.settimeout(_PROBE_SECONDS)
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _answers(path: Path) -> Callable[[], bool]:
    def connects() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    return connects
