"""Every error a federation can raise, under one root.

    CreditFederationError
    ├── MalformedMessage      bytes from a peer that are not what they must be
    ├── UnexpectedMessage     a well-formed message at the wrong moment, or from the wrong party
    ├── VerificationFailed    a signature, proof, hash or range that does not hold
    ├── PolicyDenied          a data owner's policy, or a missing consent, says no
    ├── BudgetExceeded        a leak or quota budget is spent
    ├── ConfigurationError    a file, directory or option that its own operator must correct
    ├── PeerRefused           another party has refused, with its code
    └── TransportError        a peer that cannot be reached or did not answer
        └── NotSent           what has never left this process: nobody can have heard it

Each carries a stable `code` that programs may switch on, and a text for people. Texts carry identifiers and
sizes, never values. Bytes from a peer raise nothing outside this tree; misuse by our own code raises built-ins.
"""

from __future__ import annotations


class CreditFederationError(Exception):
    """The root: `code` is stable across releases, the text is not."""

    default_code = "FEDERATION_ERROR"

    def __init__(self, text: str, *, code: str | None = None) -> None:
        super().__init__(text)
        self.code = code or self.default_code


class MalformedMessage(CreditFederationError):
    """Bytes from a peer that do not decode to what they must be."""

    default_code = "MALFORMED_MESSAGE"


class UnexpectedMessage(CreditFederationError):
    """A well-formed message that its receiver does not await."""

    default_code = "UNEXPECTED_MESSAGE"


class VerificationFailed(CreditFederationError):
    """A signature, proof, hash or range check that does not hold."""

    default_code = "VERIFICATION_FAILED"


class PolicyDenied(CreditFederationError):
    """A data owner's policy, or the lack of a consent, forbids it."""

    default_code = "NODE_DENIED"


class BudgetExceeded(CreditFederationError):
    """A leak budget or quota is spent."""

    default_code = "QUOTA"


class ConfigurationError(CreditFederationError):
    """Something the operator of this party must correct."""

    default_code = "CONFIGURATION"


class PeerRefused(CreditFederationError):
    """Another party refused; the code is that party's."""

    default_code = "PEER_REFUSED"


class TransportError(CreditFederationError):
    """A peer that cannot be reached, or did not answer in time."""

    default_code = "TRANSPORT"


class NotSent(TransportError):
    """Something that has never left this process, whatever the reason: nobody can have heard it."""
