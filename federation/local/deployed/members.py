"""Who makes up a running federation: its processes in the order in which they start, and when each is ready."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from federation.local.deployed.flower import (
    SUPERLINK,
    Command,
    flower_parties,
    register_supernodes,
    runtime_socket,
    superlink,
    supernode,
)
from federation.local.deployed.supervisor import Member
from federation.local.layout import BANK, MODEL_FILE
from federation.local.processes import PartyProcess, bank_process, coordinator_process, node_process
from federation.local.services import Ports


def members(folder: Path, ports: Ports) -> list[Member]:
    """Return all processes of a folder's federation. Raises: ConfigurationError for settings that are wrong."""
    parties = flower_parties(folder)
    registration = _Registration(folder, ports.superlink)
    started = [Member(superlink(folder, ports.superlink), registration.done)]
    started.append(_party(coordinator_process(folder)))
    for party in parties:
        if party != BANK:
            started.append(_party(node_process(folder, party)))
    model = folder / BANK / MODEL_FILE
    started.append(_party(bank_process(folder, BANK), model.exists))
    for party in parties:
        command = supernode(folder, party, ports.superlink)
        started.append(Member(command, _answers(runtime_socket(folder, party)), registration.done))
    return started


def _party(process: PartyProcess, may_start: Callable[[], bool] = lambda: True) -> Member:
    command = Command(process.home.name, process.command, dict(os.environ), process.home)
    return Member(command, process.is_ready, may_start)


class _Registration:
    """Registers the SuperNodes' keys once the SuperLink listens, in a thread, until it has taken all."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._listening = folder, _listens(port)
        self._done = threading.Event()
        self._busy = threading.Lock()

    def done(self) -> bool:
        """Tell whether all keys are registered; begin to register if it is time."""
        if not self._done.is_set() and self._listening() and self._busy.acquire(blocking=False):
            threading.Thread(target=self._register, name=f"{SUPERLINK}-keys", daemon=True).start()
        return self._done.is_set()

    def _register(self) -> None:
        try:
            register_supernodes(self._folder)
            self._done.set()
        except (OSError, subprocess.CalledProcessError):
            pass  # it is not yet what it will be, or has just ended: tried again
        finally:
            self._busy.release()


def _listens(port: int) -> Callable[[], bool]:
    def connects() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            return False
        return True

    return connects


def _answers(path: Path) -> Callable[[], bool]:
    def connects() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    return connects
