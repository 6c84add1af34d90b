"""A trained federation as processes: coordinator and data nodes of their own, the bank in the test's process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import yaml

from federation.local.consents import ConsentService
from federation.local.layout import BANK, CONSENT_SERVICE, read_federation
from federation.local.processes import PartyProcess, coordinator_process, free_ports, node_process, running
from federation.local.services import Ports, equip
from federation.process.settings import read_settings
from nodes.bank.model.file import ModelFile, read_model_file
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.site import BankSite
from nodes.bank.stream_service import StreamBankService
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId, PartyRole
from tests.small_federation import NODES

UP_SECONDS = 20.0


@dataclass
class ServiceFederation:
    """The processes, and what a bank needs to ask them."""

    folder: Path
    relay: str
    coordinator: PartyProcess
    nodes: dict[str, PartyProcess]
    consents: ConsentService
    ids: tuple[str, ...] = field(repr=False)

    @asynccontextmanager
    async def bank(self, **changes: object) -> AsyncIterator[StreamBankService]:
        """The bank's service, connected; `changes` to its settings."""
        home = self.folder / BANK
        settings = msgspec.structs.replace(read_settings(home / BANK_FILE, BankSettings), **changes)
        with ExitStack() as files:
            site = files.enter_context(open_bank_site(home, settings))
            service = StreamBankService(home, settings, site, bank_model(home, site))
            runner = asyncio.create_task(service.run())
            try:
                async with asyncio.timeout(UP_SECONDS):
                    while not service.up:
                        await asyncio.sleep(0.02)
                yield service
            finally:
                runner.cancel()
                with suppress(asyncio.CancelledError):
                    await runner

    def consent(self, enterprise: str) -> str:
        """A consent that holds now."""
        return self.consents.of_enterprise(enterprise, BANK)


def bank_model(home: Path, site: BankSite) -> ModelFile:
    """The model that the bank signed."""
    bank = PartyId(site.keys.party)
    return read_model_file(home / "model.json", site.pins.card(bank, PartyRole.BANK), site.pins.lineage(bank)[1:])


def change_settings(path: Path, **changes: object) -> None:
    """Overwrite top-level keys of a party's configuration."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(document | changes), encoding="utf-8")


def prepare(folder: Path, **coordinator: object) -> ServiceFederation:
    """Equip a trained federation's folder to run on free ports, with changes to the coordinator's settings."""
    relay, http = free_ports(2)
    equip(folder, Ports(relay, http, 0))
    change_settings(folder / "coordinator" / "coordinator.yaml", **coordinator)
    domains = read_federation(folder).domains
    nodes = {node: node_process(folder, PartyId(node)) for node in NODES}
    pins = read_cards(folder / "cards")
    consents = ConsentService(folder / CONSENT_SERVICE, domains, pins, lambda: int(time.time()))
    with open_bank_site(folder / BANK, read_settings(folder / BANK / BANK_FILE, BankSettings)) as site:
        ids = site.table.ids
    return ServiceFederation(folder, f"127.0.0.1:{relay}", coordinator_process(folder), nodes, consents, tuple(ids))


@contextmanager
def up(federation: ServiceFederation) -> Iterator[ServiceFederation]:
    """Run all its processes."""
    with federation.consents.publishing(), running([federation.coordinator, *federation.nodes.values()]):
        yield federation
