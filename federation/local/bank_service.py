"""A bank's service over a federation in one process, for trying out and for tests of the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from federation.local.federation import LocalFederation
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile
from nodes.bank.service import MAX_BATCH, Applicant
from protocols.channel.identity import PartyId
from protocols.consent import QUESTIONS, Purpose
from protocols.errors import PolicyDenied

_T = TypeVar("_T")


class LocalBankService:
    """Serves one bank from a `LocalFederation`, one question at a time: its parties share a thread.

    Where `lend_consents` is set, an applicant without a consent gets one from the federation's consent service, which
    stands for all enterprises but those that have withheld theirs. For trying out only.
    """

    def __init__(
        self, federation: LocalFederation, bank: PartyId | None = None, *, lend_consents: bool = False
    ) -> None:
        """Serve `bank`, or the federation's first."""
        self._federation, self._bank, self._lend_consents = federation, bank, lend_consents
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="federation")

    def check_enterprise(self, enterprise: str) -> None:
        """Return if `enterprise` could be known. Raises: ConfigurationError."""
        self._federation.check_identifier(enterprise)

    def model(self) -> ModelFile:
        """Return the bank's model as it signed it. Raises: ConfigurationError, code NO_MODEL; VerificationFailed."""
        return self._federation.model(self._bank)

    async def assess(self, enterprise: str, consent: str, purpose: Purpose, objection: bytes = b"") -> AssessmentResult:
        """Ask all nodes about one enterprise. Raises: as the port says."""
        (result,) = await self._assess([Applicant(enterprise, consent)], purpose, objection)
        return result

    async def assess_batch(self, applicants: Sequence[Applicant], purpose: Purpose) -> list[AssessmentResult]:
        """Ask all nodes about many enterprises. Raises: as the port says; ValueError for more than `MAX_BATCH`."""
        if len(applicants) > MAX_BATCH:
            raise ValueError(f"{len(applicants)} applicants where at most {MAX_BATCH} go together")
        return await self._assess(applicants, purpose, b"")

    async def _assess(
        self, applicants: Sequence[Applicant], purpose: Purpose, objection: bytes
    ) -> list[AssessmentResult]:
        if purpose not in QUESTIONS:
            raise PolicyDenied(f"no model serves the purpose {purpose}", code="PURPOSE_DENIED")
        asked = self._with_consents(applicants)
        return await self._call(lambda: self._federation.assess_with(asked, self._bank, objection, purpose))

    async def ready(self) -> None:
        """Return if there is a model. Raises: ConfigurationError, code NO_MODEL; VerificationFailed."""
        await self._call(self.model)

    def close(self) -> None:
        """Let the question that is being answered end, and take no more."""
        self._thread.shutdown()

    def _with_consents(self, applicants: Sequence[Applicant]) -> list[tuple[str, str]]:
        return [(a.enterprise, a.consent or self._lent(a.enterprise)) for a in applicants]

    def _lent(self, enterprise: str) -> str:
        return self._federation.consent_of(enterprise, self._bank) if self._lend_consents else ""

    async def _call(self, function: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)
