"""Brings a folder's federation up: configures every party's processes, and starts what keeps them running."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from federation.local.deployed.flower import LOOPBACK, equip_flower, flower_parties, runtime_socket
from federation.local.deployed.members import namespaces_of
from federation.local.deployed.namespaces import Placement, remove
from federation.local.deployed.status import Status
from federation.local.deployed.steering import await_ready, end_orphans, start_supervisor
from federation.local.services import Ports, equip
from protocols.errors import ConfigurationError

LONGEST_SOCKET: Final = 107
"""How many bytes a system takes as the path of a Unix socket."""

PORTS: Final = 40
"""How many ports from a federation's first one on are its own."""


def prepare(folder: Path, port: int, namespaces: bool = False) -> tuple[Ports, Placement]:
    """Configure every party for this machine, with ports from `port` on; what an earlier start left behind is ended.

    Raises: ConfigurationError, code PATH_TOO_LONG among them.
    """
    _require_room_for_sockets(folder)
    end_orphans(folder)
    remove(folder)
    if namespaces:
        namespaces_of(folder).make()
    placement = namespaces_of(folder) if namespaces else LOOPBACK
    ports = Ports(
        relay=port,
        superlink=port + 1,
        coordinator_http=port + 2,
        enterprises=port + 5,
        bank_http=port + 10,
        bank_api=port + 20,
        console=0 if namespaces else port + 30,
        host=placement.coordinator,
    )
    equip(folder, ports)
    equip_flower(folder, ports.superlink, placement)
    return ports, placement


def _require_room_for_sockets(folder: Path) -> None:
    paths = [runtime_socket(folder.resolve(), party) for party in flower_parties(folder)]
    longest = max(len(os.fsencode(path)) for path in paths)
    if longest > LONGEST_SOCKET:
        text = f"{folder}: the path is {longest - LONGEST_SOCKET} bytes too long for the sockets of its processes"
        raise ConfigurationError(text, code="PATH_TOO_LONG")


def bring_up(folder: Path, port: int, namespaces: bool, on_change: Callable[[Status], None]) -> Status:
    """Start all processes, watched over apart from this one, and return once they are ready.

    Raises: ConfigurationError, code NOT_READY among them.
    """
    prepare(folder, port, namespaces)
    watcher = start_supervisor(folder.resolve(), port, namespaces)
    return await_ready(folder, watcher, on_change)
