"""A federation of separate processes, trained over Flower's SuperLink, for as long as a test lasts."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.local.consents import ConsentService
from federation.local.deployed.flower import equip_flower
from federation.local.deployed.members import members
from federation.local.deployed.status import LOG_FILE, RUN, read_status
from federation.local.deployed.supervisor import Supervisor
from federation.local.layout import CONSENT_SERVICE, read_federation
from federation.local.processes import free_ports
from federation.local.services import Ports, equip
from nodes.clock import system_clock
from nodes.keystore import read_cards
from nodes.policy import NodePolicy
from tests.small_federation import POLICY, make_federation, quick_keys

UP_SECONDS = 300


@contextmanager
def deployed_federation(name: str, policy: NodePolicy = POLICY) -> Iterator[Path]:
    """Yield the folder of an untrained federation that is up, one that other users may pass through."""
    outer = Path("/tmp") / f"credfed-{name}-{os.getpid()}"  # noqa: S108 - pytest's own folders are closed to others
    outer.mkdir(mode=0o711)
    try:
        with quick_keys():
            folder = make_federation(outer / "federation", policy)
        relay, http, bank, superlink, *_ = free_ports(4)
        ports = Ports(relay, http, bank, superlink)
        equip(folder, ports)
        equip_flower(folder, ports.superlink)
        cards = read_cards(folder / "cards")
        consents = ConsentService(folder / CONSENT_SERVICE, read_federation(folder).domains, cards, system_clock)
        supervisor = Supervisor(folder, members(folder, ports))
        keeping = threading.Thread(target=supervisor.keep)
        with consents.publishing():
            keeping.start()
            try:
                await_ready(folder)
                yield folder
            finally:
                supervisor.stop()
                keeping.join()
    finally:
        shutil.rmtree(outer)


def await_ready(folder: Path) -> None:
    """Return once all processes of a folder are ready, but for a bank's that has no model yet."""
    limit = time.monotonic() + UP_SECONDS
    while (status := read_status(folder)) is None or not status.ready:
        assert time.monotonic() < limit, (folder / RUN / LOG_FILE).read_text(encoding="utf-8", errors="replace")[-4000:]
        time.sleep(0.5)
