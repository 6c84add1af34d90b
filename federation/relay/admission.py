"""Whose stream is admitted: that of a pinned bank or data node, not suspended, under a certificate still in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from federation.enrolment.registry import Registry
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.pins import SUSPENDED, Pins
from protocols.enrolment.certificates import public_key_digest
from protocols.errors import VerificationFailed

CERTIFICATE_REPLACED: Final = "CERTIFICATE_REPLACED"
_ROLES: Final = (PartyRole.BANK, PartyRole.DATA_NODE)


class Admission:
    """The coordinator's door. That the authority issued a certificate, and that it is in its time, TLS has verified."""

    def __init__(self, pins: Pins, registry: Registry, overlap_seconds: float, clock: Callable[[], int]) -> None:
        """A certificate is refused from `overlap_seconds` after one for another key was issued."""
        self._pins, self._registry, self._overlap, self._clock = pins, registry, overlap_seconds, clock

    def check(self, party: PartyId, certificate: bytes) -> None:
        """Return if this party may connect under this certificate.

        Raises: VerificationFailed, codes NOT_A_PARTY, PARTY_SUSPENDED, CERTIFICATE_REPLACED.
        """
        card = self._pins.cards.get(party)
        if card is None or card.role not in _ROLES:
            raise VerificationFailed(f"{party} is no party of this federation", code="NOT_A_PARTY")
        if party in self._pins.suspended:
            raise VerificationFailed(f"{party} is suspended", code=SUSPENDED)
        key, issued = public_key_digest(certificate), self._registry.certificates(party)
        known = [record for record in issued if record.key == key]
        later = [record for record in issued if known and record.key != key and record.issued >= known[0].issued]
        if later and min(record.issued for record in later) + self._overlap < self._clock():
            raise VerificationFailed(f"the certificate of {party} was replaced", code=CERTIFICATE_REPLACED)
