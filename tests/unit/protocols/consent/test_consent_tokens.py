"""Consent tokens: what is issued is what is verified, and any string is accepted or denied, never an error."""

from __future__ import annotations

import base64
import json
import secrets

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.consent import (
    Consent,
    ConsentDemand,
    Issuers,
    Purpose,
    cohort_subject,
    consent_handle,
    issue_consent,
    issue_slip,
    issuer_of_card,
    join_consent,
    split_consent,
    verify_consent,
    verify_slip,
)
from protocols.errors import PolicyDenied

SERVICE = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
ISSUERS = Issuers([issuer_of_card(make_card(SERVICE, PartyRole.CONSENT_SERVICE))])
CONSENT = Consent("e", "bank", "card", (Purpose.TRAINING,), ("tax",), 1, 100, 100, 200, "sixteen letters.")
TOKEN = issue_consent(CONSENT, SERVICE.party, SERVICE.signing)
SLIP = issue_slip(CONSENT, SERVICE.party, SERVICE.signing)
DEMAND = ConsentDemand("e", "bank", "card", Purpose.TRAINING, "tax")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
quick = settings(max_examples=100, deadline=None)


def accepted(text: str) -> bool:
    """Whether a node takes the text for a consent, or a coordinator for a slip."""
    taken = 0
    try:
        verify_consent(text, ISSUERS, DEMAND, 150)
        taken += 1
    except PolicyDenied:
        pass
    try:
        verify_slip(text, ISSUERS, "bank", "card", Purpose.TRAINING, 150)
        taken += 1
    except PolicyDenied:
        pass
    return taken > 0


@quick
@given(
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20),
    st.lists(st.sampled_from(Purpose), min_size=1, max_size=2).map(tuple),
    st.lists(st.text(max_size=10), min_size=1, max_size=4),
    st.integers(1, 1 << 30),
    st.integers(0, 1 << 40),
)
def test_what_is_issued_is_what_is_verified(
    subject: str, bank: str, purposes: tuple[Purpose, ...], domains: list[str], uses: int, start: int
) -> None:
    consent = Consent(subject, bank, "card", purposes, tuple(domains), uses, start, start, start + 10, "i" * 16)
    token = issue_consent(consent, SERVICE.party, SERVICE.signing)
    demand = ConsentDemand(subject, bank, "card", purposes[-1], domains[0])
    found = verify_consent(token, ISSUERS, demand, start)
    assert found.issuer == "consents"
    assert found == Consent(
        subject, bank, "card", purposes, tuple(domains), uses, start, start, start + 10, "i" * 16, "consents"
    )
    slip = verify_slip(
        issue_slip(consent, SERVICE.party, SERVICE.signing), ISSUERS, bank, "card", purposes[0], start + 9
    )
    assert slip.handle == consent_handle(found.issuer, found.token_id)


@quick
@given(st.text(max_size=300))
def test_any_text_is_denied(text: str) -> None:
    assert not accepted(text)


@quick
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk"]), json_values))
def test_any_header_is_denied(header: dict[str, object]) -> None:
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    for good in (TOKEN, SLIP):
        assert not accepted(encoded + good[good.index(".") :]) or header == jwt.get_unverified_header(good)


@quick
@given(
    st.sampled_from([TOKEN, SLIP]),
    st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "cnf", "purposes", "domains", "uses", "nbf", "exp", "jti", "handle"]),
        json_values,
    ),
)
def test_any_signed_claims_are_accepted_or_denied(good: str, changes: dict[str, object]) -> None:
    claims = jwt.decode(good, options={"verify_signature": False}) | changes
    headers = {"typ": jwt.get_unverified_header(good)["typ"]}
    accepted(jwt.api_jws.encode(json.dumps(claims).encode(), SERVICE.signing, algorithm="EdDSA", headers=headers))


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_a_cohort_has_a_name_of_its_own(one: list[str], other: list[str]) -> None:
    assert (cohort_subject(one) == cohort_subject(other)) == (one == other)


def test_token_and_slip_travel_as_one_text_and_part_again() -> None:
    assert split_consent(join_consent(TOKEN, SLIP)) == (TOKEN, SLIP)
    assert split_consent(TOKEN) == (TOKEN, "")
    assert split_consent("") == ("", "")


@pytest.mark.parametrize(
    ("issuer", "token"), [("consents", "another id of it"), ("consent", "ssixteen letters."), ("other", "i" * 16)]
)
def test_every_consent_has_a_handle_of_its_own(issuer: str, token: str) -> None:
    assert consent_handle(issuer, token) != consent_handle("consents", "sixteen letters.")


@pytest.mark.parametrize("change", [{"token_id": "short"}, {"uses": 0}, {"not_before": 200}], ids=str)
def test_a_service_issues_nothing_that_no_node_would_take(change: dict[str, int | str]) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="consent"):
        replace(CONSENT, **change)  # type: ignore[arg-type]
