"""The consent service, which stands for the enterprises of a federation in one process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from federation.local.layout import CONSENT_SERVICE
from nodes.keystore import read_keys
from protocols.channel.identity import PartyId
from protocols.consent import Consent, Purpose, issue_consent

CONSENT_SECONDS: Final = 86_400
WITHHELD_FILE: Final = "withheld.txt"


class ConsentService:
    """Issues the consents of all enterprises but those that have withheld theirs."""

    def __init__(self, folder: Path, domains: tuple[str, ...], clock: Callable[[], int]) -> None:
        self._withheld, self._domains, self._clock = folder / CONSENT_SERVICE / WITHHELD_FILE, domains, clock
        self._keys = read_keys(folder / CONSENT_SERVICE)

    def withhold(self, enterprise: str) -> None:
        """Let an enterprise refuse: no consent is issued for it any more."""
        with self._withheld.open("a", encoding="utf-8") as file:
            file.write(f"{enterprise}\n")

    def of_enterprise(self, enterprise: str, bank: PartyId) -> str:
        """Return an enterprise's consent to be assessed by a bank, or "" if it has withheld it."""
        withheld = self._withheld.read_text(encoding="utf-8").split("\n")
        return "" if enterprise in withheld else self.issue(enterprise, Purpose.ASSESSMENT, bank)

    def issue(self, subject: str, purpose: Purpose, bank: PartyId) -> str:
        """Return a consent for a bank, good for a day."""
        now = self._clock()
        token_id = secrets.token_hex(16)
        consent = Consent(subject, bank, purpose, self._domains, now, now + CONSENT_SECONDS, token_id)
        return issue_consent(consent, self._keys)
