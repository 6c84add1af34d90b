"""A bank's process that asks without end, for tests that kill it: `python -m tests.system.bank_driver FOLDER ANSWERS`.

Each score is written to ANSWERS as its query id and receipt, on disk before the next question.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from federation.local.consents import ConsentService
from federation.local.layout import BANK, CONSENT_SERVICE, read_federation
from federation.process.settings import read_settings
from nodes.bank.model.file import read_model_file
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.stream_service import StreamBankService
from nodes.keystore import read_cards
from protocols.channel.identity import PartyRole
from protocols.errors import CreditFederationError

AT_ONCE = 6


async def ask_without_end(folder: Path, answers: Path) -> None:
    """Ask about random enterprises until killed."""
    home, pins = folder / BANK, read_cards(folder / "cards")
    consents = ConsentService(folder / CONSENT_SERVICE, read_federation(folder).domains, pins, lambda: int(time.time()))
    settings = read_settings(home / BANK_FILE, BankSettings)
    with open_bank_site(home, settings) as site, answers.open("a", encoding="ascii") as file:
        model = read_model_file(home / settings.model, site.pins.card(BANK, PartyRole.BANK))
        service = StreamBankService(home, settings, site, model)

        async def ask() -> None:
            while True:
                enterprise = random.choice(site.table.ids)
                try:
                    result = await service.assess(enterprise, consents.of_enterprise(enterprise, BANK))
                except CreditFederationError:
                    await asyncio.sleep(0.1)
                    continue
                if result.status == "ok":
                    file.write(f"{result.request} {result.receipt}\n")
                    file.flush()
                    os.fsync(file.fileno())

        await asyncio.gather(service.run(), *(ask() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(ask_without_end(Path(sys.argv[1]), Path(sys.argv[2])))
