"""Consent tokens: what is issued is what is verified, and any string is accepted or denied, never an error."""

from __future__ import annotations

import base64
import json
import secrets

import jwt
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.consent import Consent, Purpose, cohort_subject, issue_consent, verify_consent
from protocols.errors import PolicyDenied

SERVICE = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
CARD = make_card(SERVICE, PartyRole.CONSENT_SERVICE)
TOKEN = issue_consent(Consent("e", "bank", Purpose.TRAINING, ("tax",), 100, 200, "1"), SERVICE)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def accepted(token: str, now: int = 150) -> bool:
    try:
        verify_consent(token, CARD, subject="e", bank="bank", purpose=Purpose.TRAINING, domain="tax", now=now)
    except PolicyDenied:
        return False
    return True


@given(st.integers(0, 300))
def test_it_holds_from_its_first_second_to_before_its_last(now: int) -> None:
    assert accepted(TOKEN, now) == (100 <= now < 200)


@given(
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20),
    st.sampled_from(Purpose),
    st.lists(st.text(max_size=10), min_size=1, max_size=4),
    st.integers(0, 1 << 40),
)
def test_what_is_issued_is_what_is_verified(
    subject: str, bank: str, purpose: Purpose, domains: list[str], start: int
) -> None:
    consent = Consent(subject, bank, purpose, tuple(domains), start, start + 10, "id")
    token = issue_consent(consent, SERVICE)
    found = verify_consent(token, CARD, subject=subject, bank=bank, purpose=purpose, domain=domains[0], now=start)
    assert found == consent


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_denied(token: str) -> None:
    assert not accepted(token)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk"]), json_values))
def test_any_header_is_denied(header: dict[str, object]) -> None:
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    assert not accepted(encoded + TOKEN[TOKEN.index(".") :]) or header == jwt.get_unverified_header(TOKEN)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "purpose", "domains", "nbf", "exp", "jti"]), json_values))
def test_any_signed_claims_are_accepted_or_denied(changes: dict[str, object]) -> None:
    claims = jwt.decode(TOKEN, options={"verify_signature": False}) | changes
    payload = json.dumps(claims).encode()
    accepted(jwt.api_jws.encode(payload, SERVICE.signing, algorithm="EdDSA"))


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_a_cohort_has_a_name_of_its_own(one: list[str], other: list[str]) -> None:
    assert (cohort_subject(one) == cohort_subject(other)) == (one == other)
