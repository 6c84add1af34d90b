"""Brings a folder's federation up: configures every party's processes, and starts what keeps them running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from federation.local.deployed.flower import LOOPBACK, equip_flower
from federation.local.deployed.members import namespaces_of
from federation.local.deployed.namespaces import Placement, remove
from federation.local.deployed.supervisor import Status, await_ready, end_orphans, start_supervisor
from federation.local.services import Ports, equip

PORTS: Final = 40
"""How many ports from a federation's first one on are its own."""


def prepare(folder: Path, port: int, namespaces: bool = False) -> tuple[Ports, Placement]:
    """Configure every party for this machine, with ports from `port` on; what an earlier start left behind is ended.

    Raises: ConfigurationError.
    """
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


def bring_up(folder: Path, port: int, namespaces: bool, on_change: Callable[[Status], None]) -> Status:
    """Start all processes, watched over apart from this one, and return once they are ready.

    Raises: ConfigurationError, code NOT_READY among them.
    """
    prepare(folder, port, namespaces)
    watcher = start_supervisor(folder.resolve(), port, namespaces)
    return await_ready(folder, watcher, on_change)
