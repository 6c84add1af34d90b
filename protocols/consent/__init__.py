"""Consent: the enterprise's word, or that of an accredited service for it, without which no node answers.

issuers      whose word counts, each under one key and one algorithm
tokens       the consent itself: who may use whose data for what, how often, until when; for the nodes' eyes
slips        what the coordinator may see of it: that it exists, for which bank, and under which handle it is revoked
revocation   the signed list of handles that are revoked, and when a list is too old to be believed
"""

from protocols.consent.issuers import ConsentIssuer, Issuers, issuer_of_card, parse_issuer, unverified_claims
from protocols.consent.revocation import (
    LIST_SECONDS,
    RevocationList,
    RevocationView,
    sign_revocations,
    verify_revocations,
)
from protocols.consent.slips import (
    Slip,
    consent_handle,
    issue_slip,
    join_consent,
    split_consent,
    unverified_handle,
    unverified_name,
    verify_slip,
)
from protocols.consent.tokens import (
    QUESTIONS,
    Consent,
    ConsentDemand,
    Purpose,
    check_time,
    cohort_subject,
    issue_consent,
    record_key_of,
    unverified_record_key,
    unverified_subject,
    verify_consent,
)

__all__ = [
    "LIST_SECONDS",
    "QUESTIONS",
    "Consent",
    "ConsentDemand",
    "ConsentIssuer",
    "Issuers",
    "Purpose",
    "RevocationList",
    "RevocationView",
    "Slip",
    "check_time",
    "cohort_subject",
    "consent_handle",
    "issue_consent",
    "issue_slip",
    "issuer_of_card",
    "join_consent",
    "parse_issuer",
    "record_key_of",
    "sign_revocations",
    "split_consent",
    "unverified_claims",
    "unverified_handle",
    "unverified_name",
    "unverified_record_key",
    "unverified_subject",
    "verify_consent",
    "verify_revocations",
    "verify_slip",
]
