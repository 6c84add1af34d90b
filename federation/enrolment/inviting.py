"""What the coordinator's operator does about parties: invite, compare and approve, reject, suspend and lift.

Each is a line in the registry; the running coordinator makes it so within a second, or when it next starts.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from federation.enrolment.registry import PENDING, Applicant, Invitation, Registry
from protocols.channel.identity import PartyCard, PartyId, PartyRole
from protocols.channel.pins import Pins
from protocols.enrolment.certificates import public_key_digest
from protocols.enrolment.comparison import same_digits
from protocols.enrolment.token import draw_token
from protocols.errors import ConfigurationError, VerificationFailed

ENROLMENT_CERTIFICATE = "tls/enrolment.pem"


def invite(home: Path, pins: Pins, invitation: Invitation, expires: int) -> str:
    """Return the token of a new invitation. Raises: ConfigurationError, codes BAD_NAME, NAME_TAKEN, NO_ENROLMENT."""
    if invitation.party in pins.cards:
        raise ConfigurationError(f"{invitation.party} is a party already", code="NAME_TAKEN")
    try:
        server = public_key_digest((home / ENROLMENT_CERTIFICATE).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{home / ENROLMENT_CERTIFICATE}: {error.strerror}", code="NO_ENROLMENT") from error
    token = draw_token(invitation.party, server, secrets.token_bytes)
    Registry(home).invite(token.digest(), invitation, expires)
    return token.spell()


def approve(home: Path, coordinator: PartyCard, party: str, digits: str) -> Applicant:
    """Approve an application whose digits are those that the operator was told.

    Raises: ConfigurationError, code NO_APPLICATION; VerificationFailed, code FINGERPRINT_MISMATCH.
    """
    registry = Registry(home)
    applicant = registry.applicant(party)
    if applicant is None or applicant.state != PENDING:
        raise ConfigurationError(f"no application of {party} waits to be approved", code="NO_APPLICATION")
    if not same_digits(applicant.application.fingerprint(coordinator), digits):
        raise VerificationFailed(
            f"these are not the digits of what {party} has asked for: somebody may stand in the middle; do not approve",
            code="FINGERPRINT_MISMATCH",
        )
    registry.approve(applicant)
    return applicant


def reject(home: Path, party: str) -> None:
    """Forget an application. Raises: ConfigurationError, code NO_APPLICATION."""
    if not Registry(home).reject(party):
        raise ConfigurationError(f"no application of {party} waits to be approved", code="NO_APPLICATION")


def suspend(home: Path, pins: Pins, party: str, now: int, lift: bool) -> None:
    """Suspend a party, or lift its suspension. Raises: ConfigurationError, code UNKNOWN_PARTY."""
    card = pins.cards.get(PartyId(party))
    if card is None or card.role is PartyRole.COORDINATOR:
        raise ConfigurationError(f"{party} is no bank, data node or service of this federation", code="UNKNOWN_PARTY")
    registry = Registry(home)
    if lift:
        registry.lift(party)
    else:
        registry.suspend(party, now)
