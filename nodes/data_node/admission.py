"""Whose questions a data node takes, and about whom: the bank's card, the owner's rules, the enterprise's consent."""

from __future__ import annotations

from nodes.data_node.site import NodeSite
from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Query, Subject
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.consent import Consent, Purpose, verify_consent
from protocols.errors import VerificationFailed


def check_asker(site: NodeSite, envelope: Envelope, query: Query | BatchQuery) -> None:
    """Return if an open question is its bank's own, under its pinned card. Raises: VerificationFailed."""
    site.channel(query.transcript()).unwrap(envelope, type(query))
    bank = site.pins.card(PartyId(query.bank), PartyRole.BANK)
    if envelope.sender != query.bank or bank.fingerprint() != query.bank_card:
        raise VerificationFailed("the query is not its bank's, under its pinned card")


def admit_subject(site: NodeSite, bank: str, subject: Subject) -> Consent:
    """Return the consent by which `bank` may be answered about an enterprise. Raises: PolicyDenied, with its code."""
    site.policy.check_bank(bank, Purpose.ASSESSMENT)
    return verify_consent(
        subject.consent,
        site.pins.only(PartyRole.CONSENT_SERVICE),
        subject=subject.enterprise,
        bank=bank,
        purpose=Purpose.ASSESSMENT,
        domain=site.domain,
        now=site.clock(),
    )
