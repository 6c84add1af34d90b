"""The bank's port over a federation in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.local.bank_service import LocalBankService
from federation.local.federation import LocalFederation
from nodes.bank.service import MAX_BATCH, Applicant, BankService
from protocols.consent import Purpose
from protocols.errors import ConfigurationError, PolicyDenied
from tests.small_federation import NOW, codes


@pytest.fixture
def federation(federation_folder: Path) -> Iterator[LocalFederation]:
    with LocalFederation(federation_folder, clock=lambda: NOW) as parties:
        yield parties


def test_an_applicant_with_consent_has_a_score_and_its_neighbour_without_is_denied(federation: LocalFederation) -> None:
    service: BankService = LocalBankService(federation)
    first, second = codes(2)
    applicants = [Applicant(first, federation.consent_of(first)), Applicant(second, "")]
    scored, denied = asyncio.run(service.assess_batch(applicants, Purpose.ASSESSMENT))
    assert (scored.enterprise, scored.status) == (first, "ok")
    assert (denied.enterprise, denied.status, denied.code) == (second, "denied", "CONSENT_MISSING")


def test_one_task_after_the_other_is_served_when_many_ask_at_once(federation: LocalFederation) -> None:
    service = LocalBankService(federation, lend_consents=True)

    async def ask() -> list[str]:
        asked = (service.assess(code, "", Purpose.ASSESSMENT) for code in codes(3))
        return [result.enterprise for result in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == codes(3)


def test_what_cannot_be_asked_is_refused_before_anybody_is_asked(federation: LocalFederation) -> None:
    service = LocalBankService(federation)
    with pytest.raises(ConfigurationError) as wrong:
        service.check_enterprise("91999999MANLAYN440")
    assert wrong.value.code == "INVALID_USCC"
    with pytest.raises(PolicyDenied):
        asyncio.run(service.assess(codes(1)[0], "", Purpose.TRAINING))
    with pytest.raises(ValueError, match="at most"):
        asyncio.run(service.assess_batch([Applicant("x", "")] * (MAX_BATCH + 1), Purpose.ASSESSMENT))
