"""Where a data node holds consents against its rules, the lists of revocations, and its own count of uses."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress

from nodes.data_node.site import NodeSite
from nodes.policy import Rule
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyRole
from protocols.channel.wire import decode
from protocols.consent import (
    Consent,
    ConsentDemand,
    RevocationList,
    RevocationView,
    check_time,
    consent_handle,
    unverified_name,
    verify_consent,
    verify_revocations,
)
from protocols.consent.messages import RevocationNotice
from protocols.errors import PolicyDenied, VerificationFailed

logger = logging.getLogger(__name__)


class ConsentDesk:
    """One node's check of consents; what it has accepted of revocations outlives it."""

    def __init__(self, site: NodeSite) -> None:
        self._site = site
        self._view = RevocationView(site.consents.issuers, _kept_lists(site))

    def admit(self, token: str, demand: ConsentDemand, rule: Rule, question: bytes) -> Consent:
        """Return the consent by which a question may be answered; `use` counts it once it is.

        Raises: PolicyDenied with a CONSENT_ code of its own for each way to fail.
        """
        site, now = self._site, self._site.clock()
        consent = verify_consent(token, site.consents.issuers, demand, now)
        rule.consent.check(consent)
        self._hear()
        self._view.check(consent.issuer, consent_handle(consent.issuer, consent.token_id), now)
        site.ledger.consents.check_use(consent.issuer, consent.token_id, question, consent.uses)
        return consent

    def check_standing(self, issuer: str, token_id: str) -> None:
        """Return if what an issuer signed under this id is not revoked. Raises: PolicyDenied, as `RevocationView`."""
        self._hear()
        self._view.check(issuer, consent_handle(issuer, token_id), self._site.clock())

    def check_still(self, consents: Iterable[Consent]) -> None:
        """Return if consents that were admitted a moment ago still hold: not expired, not revoked, by a fresh list.

        Raises: PolicyDenied, CONSENT_EXPIRED, or as `RevocationView`.
        """
        now = self._site.clock()
        self._hear()
        for consent in consents:
            check_time(consent.not_before, consent.expires, now)
            self._view.check(consent.issuer, consent_handle(consent.issuer, consent.token_id), now)

    def check_slip(self, slip: str, consent: Consent) -> None:
        """Return if the slip that the coordinator has verified names this consent.

        Its signature and times are the coordinator's to verify: what a node answers by is the consent itself, whose
        revocation it checks too. Raises: PolicyDenied, CONSENT_MISMATCH.
        """
        issuer, handle = unverified_name(slip)
        if issuer != consent.issuer:
            raise PolicyDenied("the slip is another issuer's", code="CONSENT_MISMATCH")
        self.check_handle(handle, consent)

    def check_handle(self, handle: bytes, consent: Consent) -> None:
        """Return if the coordinator has seen the consent under its handle. Raises: PolicyDenied, CONSENT_MISMATCH."""
        if handle != consent_handle(consent.issuer, consent.token_id):
            raise PolicyDenied("the slip is another consent's", code="CONSENT_MISMATCH")

    def use(self, consent: Consent, question: bytes) -> None:
        """Count one use, in the transaction of the release. Raises: PolicyDenied, code CONSENT_OVERUSED."""
        records, now = self._site.ledger.consents, self._site.clock()
        records.use(consent.issuer, consent.token_id, question, consent.uses, now)

    def receive(self, envelope: Envelope) -> None:
        """Take a list that the coordinator has passed on.

        Raises: MalformedMessage, VerificationFailed; PolicyDenied, CONSENT_LIST_INVALID or CONSENT_LIST_ROLLBACK.
        """
        notice = decode(envelope.body, RevocationNotice)
        self._site.channel(notice.transcript()).unwrap(envelope, RevocationNotice)
        if envelope.sender != self._site.pins.only(PartyRole.COORDINATOR).party:
            raise VerificationFailed("a list is passed on by another party than the coordinator")
        self._take(notice.revocations)

    def _hear(self) -> None:
        """Take the list that lies at hand; one that is not good leaves what was known, which soon is too old."""
        latest = self._site.consents.latest()
        if latest:
            try:
                self._take(latest)
            except PolicyDenied as error:
                logger.warning("%s: the list of revocations at hand: %s", self._site.keys.party, error.code)

    def _take(self, token: str) -> None:
        found = self._view.take(token)
        if found is not None:
            self._site.ledger.consents.keep_list(found.issuer, found.sequence, token)


def _kept_lists(site: NodeSite) -> list[RevocationList]:
    """Return the lists that the node had accepted, of issuers that it still accepts."""
    found = []
    for token in site.ledger.consents.lists().values():
        with suppress(PolicyDenied):
            found.append(verify_revocations(token, site.consents.issuers.of(token)))
    return found
