"""What the bank's own systems ask of the federation: one port, however it is reached.

`BankService` is implemented over a federation in one process (`federation.local`) and over the bank node's gRPC stream.
REST API, batches and monitors know the port alone.

An answer is an answer, also when it is a denial: it comes back as an `AssessmentResult` with a stable code. What raises
is what gave no answer at all, and can be asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile
from protocols.consent import Purpose


@dataclass(frozen=True, slots=True)
class Applicant:
    """An enterprise and its consent, as the bank received it; `consent` is "" if it has none."""

    enterprise: str = field(repr=False)
    consent: str = field(repr=False)


class BankService(Protocol):
    """The federation, as one bank's systems see it. Safe to call from several tasks of one event loop."""

    def check_enterprise(self, enterprise: str) -> None:
        """Return if `enterprise` is an identifier that the federation could know. No I/O.

        Raises: ConfigurationError, code INVALID_USCC or INVALID_ID; the text never shows the identifier.
        """

    def model(self) -> ModelFile:
        """Return the model that answers now, as the bank signed it. No I/O beyond the bank's own disk.

        Raises: ConfigurationError, code NO_MODEL; VerificationFailed.
        """

    async def assess(self, enterprise: str, consent: str, purpose: Purpose, objection: bytes = b"") -> AssessmentResult:
        """Ask all nodes about one enterprise, once; `objection` is the one after which it is asked again.

        Reveals: to the bank, what an `AssessmentResult` reveals; to each node, that the bank asks about the enterprise.
        Raises: ConfigurationError for a wrong identifier or without a model; TransportError, PeerRefused or
        VerificationFailed if there is no answer.
        """

    async def assess_batch(self, applicants: Sequence[Applicant], purpose: Purpose) -> list[AssessmentResult]:
        """Ask all nodes about many enterprises and return the results in the order of `applicants`.

        A denial concerns one enterprise, never its neighbours. The caller chooses how many go together, up to
        `MAX_BATCH`, and records what comes back before it asks for more.
        Raises: as `assess`; then no result of this call is known, and all of it can be asked again.
        """

    async def ready(self) -> None:
        """Return if an assessment could be answered now. Raises: CreditFederationError with the reason's code."""


MAX_BATCH = 256
"""How many enterprises one call of `assess_batch` takes."""
