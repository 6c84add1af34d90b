"""Nodes that read no list themselves hear of revocations over their streams, and without any they answer nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from federation.local.processes import running
from nodes.bank.stream_service import StreamBankService
from protocols.consent import LIST_SECONDS, Purpose, split_consent, unverified_claims
from tests.small_federation import NODES
from tests.system.service_federation import ServiceFederation, change_settings, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def federation(federation_folder: Path) -> ServiceFederation:
    made = prepare(federation_folder)
    for node in NODES:
        change_settings(federation_folder / node / "node.yaml", revocations="none.jwt")
    return made


async def ask_until(service: StreamBankService, enterprise: str, consent: str, code: str) -> float:
    """Ask until the answer has this code; return how long it took."""
    started = time.monotonic()
    while (found := (await service.assess(enterprise, consent, Purpose.ASSESSMENT)).code) != code:
        assert time.monotonic() - started < LIST_SECONDS, found
        await asyncio.sleep(0.2)
    return time.monotonic() - started


def test_lists_reach_nodes_over_their_streams_and_a_revocation_is_in_force_within_a_minute(
    federation: ServiceFederation,
) -> None:
    enterprise = federation.ids[0]
    revoked, other = federation.consent(enterprise), federation.consent(enterprise)
    (federation.folder / "consent_service" / "revocations.jwt").unlink(missing_ok=True)

    async def ask() -> None:
        async with federation.bank() as bank:
            assert (await bank.assess(enterprise, revoked, Purpose.ASSESSMENT)).code == "CONSENT_LIST_STALE"
            with federation.consents.publishing():
                await ask_until(bank, enterprise, revoked, "")
                token_id = unverified_claims(split_consent(revoked)[0])["jti"]
                federation.consents.revoke(str(token_id))
                await ask_until(bank, enterprise, revoked, "CONSENT_REVOKED")
                assert (await bank.assess(enterprise, other, Purpose.ASSESSMENT)).code == ""

    with running([federation.coordinator, *federation.nodes.values()]):
        asyncio.run(ask())
