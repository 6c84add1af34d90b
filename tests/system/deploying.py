"""A federation's folder as separate processes on loopback, for the time of a block."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from federation.flower.engine import environment, tool
from federation.local.consents import ConsentService
from federation.local.deployed.flower import FLOWER, LOOPBACK, SUPERLINK, equip_flower
from federation.local.deployed.members import members
from federation.local.deployed.namespaces import Placement
from federation.local.deployed.status import read_status
from federation.local.deployed.supervisor import Supervisor
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR, read_federation
from federation.local.processes import free_ports
from federation.local.services import Ports, equip
from federation.process.settings import read_settings
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.site import BankSite
from nodes.clock import system_clock
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId
from tests.system.service_federation import change_settings

UP_SECONDS = 600


@contextmanager
def passable_folder(name: str) -> Iterator[Path]:
    """Yield a folder that other users may pass through, as pytest's own may not be; it is removed at the end."""
    outer = Path("/tmp") / f"credfed-{name}-{os.getpid()}"  # noqa: S108
    outer.mkdir(mode=0o711)
    try:
        yield outer
    finally:
        shutil.rmtree(outer)


@contextmanager
def deployed_federation(folder: Path, *, api: bool = False) -> Iterator[Path]:
    """Run all processes of a folder's federation; the bank's wait for its model, with a REST API if `api`."""
    relay, http, bank, superlink, rest = free_ports(5)
    ports = Ports(relay, http, 0 if len(read_federation(folder).banks) > 1 else bank, superlink)
    equip(folder, ports)
    if api:
        change_settings(folder / BANK / BANK_FILE, api={"listen": f"127.0.0.1:{rest}"})
    equip_flower(folder, ports.superlink)
    supervisor = Supervisor(folder, members(folder, ports))
    keeping = threading.Thread(target=supervisor.keep)
    cards = read_cards(folder / "cards")
    consents = ConsentService(folder / CONSENT_SERVICE, read_federation(folder).domains, cards, system_clock)
    with consents.publishing():
        keeping.start()
        try:
            limit = time.monotonic() + UP_SECONDS
            while (status := read_status(folder)) is None or not status.ready:
                assert time.monotonic() < limit, (folder / "run" / "federation.log").read_text()[-3000:]
                time.sleep(0.5)
            yield folder
        finally:
            supervisor.stop()
            keeping.join()


@contextmanager
def open_banks(folder: Path) -> Iterator[dict[PartyId, BankSite]]:
    """Yield the sites of all banks of a folder, the lead first."""
    with ExitStack() as opened:
        yield {
            bank: opened.enter_context(
                open_bank_site(folder / bank, read_settings(folder / bank / BANK_FILE, BankSettings))
            )
            for bank in read_federation(folder).bank_parties
        }


def run_tool(folder: Path, *arguments: str, placement: Placement = LOOPBACK) -> str:
    """Run one `flwr` command of the coordinator's, in its place, and return its output.

    Raises: subprocess.CalledProcessError if it fails.
    """
    home = folder / FLOWER / SUPERLINK / "home"
    command = placement.command(COORDINATOR, tool(*arguments))
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=True)
    return done.stdout
