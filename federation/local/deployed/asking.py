"""Questions to a federation that is up: asked of the bank's own API, as the bank's systems would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import httpx
import msgspec

from federation.local.consents import ConsentService
from federation.local.deployed.flower import LOOPBACK
from federation.local.deployed.namespaces import Placement
from federation.local.layout import CONSENT_SERVICE, read_federation
from federation.local.models import known_bank
from federation.process.settings import read_settings
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.store import api_keys
from nodes.bank.store.api_keys import Scope
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.clock import system_clock
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError, CreditFederationError, TransportError

KEY_SECONDS: Final = 600
ANSWER_SECONDS: Final = 30.0


def ask_deployed(
    folder: Path,
    enterprises: Sequence[str],
    placement: Placement = LOOPBACK,
    objection: bytes = b"",
    bank: PartyId | None = None,
) -> list[AssessmentResult]:
    """Return a bank's results, or the first's, in order, each with the consent that the folder's service issues.

    `objection` is the one after which they are asked about again.

    Raises: ConfigurationError for an unknown bank, one without an API, or for a code that it does not take;
    TransportError.
    """
    file = read_federation(folder)
    asking = known_bank(folder, file, bank or next(iter(file.bank_parties)))
    home = folder / asking
    settings = read_settings(home / BANK_FILE, BankSettings)
    if not settings.api.listen:
        raise ConfigurationError(f"{home / BANK_FILE}: api.listen is empty", code="NO_API")
    pins = read_cards(folder / "cards")
    consents = ConsentService(folder / CONSENT_SERVICE, file.domains, pins, system_clock)
    headers = {"Authorization": f"Bearer {_key(home)}"}
    address = f"http://{settings.api.listen}"
    try:
        with (
            placement.inside(asking),
            httpx.Client(base_url=address, headers=headers, timeout=ANSWER_SECONDS) as client,
        ):
            return [
                _ask(client, enterprise, consents.of_enterprise(enterprise, asking), objection.hex())
                for enterprise in enterprises
            ]
    except httpx.HTTPError as error:
        raise TransportError("the bank's API does not answer", code="BANK_UNAVAILABLE") from error


def _ask(client: httpx.Client, enterprise: str, consent: str, objection: str) -> AssessmentResult:
    asked = {"enterprise": enterprise, "consent": consent, "objection": objection}
    reply = client.post("/v1/assessments", json=asked)
    body = reply.json()
    if reply.status_code == httpx.codes.CREATED:
        return msgspec.convert(body | {"model": body["model"]["hash"]}, AssessmentResult)
    wrong = reply.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    kind: type[CreditFederationError] = ConfigurationError if wrong else TransportError
    raise kind(str(body.get("detail", "no answer")), code=str(body.get("code", "NO_ANSWER")))


def _key(home: Path) -> str:
    """Return an API key that is good for a few minutes."""
    now = int(time.time())
    with closing(Database(home / DATABASE_FILE)) as database:
        scopes, ends = frozenset({Scope.ASSESS}), now + KEY_SECONDS
        return database.do(lambda connection: api_keys.create(connection, "credfed assess", scopes, now, ends))[1]
