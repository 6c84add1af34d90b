"""Lists of revocations: fresh or none, newer or none, and only what their issuer has signed."""

from __future__ import annotations

import secrets

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.consent import (
    LIST_SECONDS,
    ConsentIssuer,
    Issuers,
    RevocationList,
    RevocationView,
    consent_handle,
    issuer_of_card,
    sign_revocations,
    verify_revocations,
)
from protocols.errors import PolicyDenied

NOW = 1_700_000_000
SERVICE = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
OTHER = generate_private_key(SECP256R1())
ISSUER = issuer_of_card(make_card(SERVICE, PartyRole.CONSENT_SERVICE))
ISSUERS = Issuers([ISSUER, ConsentIssuer("other", OTHER.public_key())])
HANDLE = consent_handle("consents", "0123456789abcdef")
KNOWN = consent_handle("consents", "fedcba9876543210")


def a_list(sequence: int = 5, issued: int = NOW, seconds: int = LIST_SECONDS, *revoked: bytes) -> RevocationList:
    return RevocationList("consents", sequence, issued, issued + seconds, frozenset(revoked))


def signed(revocations: RevocationList) -> str:
    return sign_revocations(revocations, SERVICE.signing)


def code_of(view: RevocationView, now: int, handle: bytes = HANDLE, issuer: str = "consents") -> str:
    try:
        view.check(issuer, handle, now)
    except PolicyDenied as refusal:
        return refusal.code
    return ""


def take_code(view: RevocationView, token: str) -> str:
    try:
        view.take(token)
    except PolicyDenied as refusal:
        return refusal.code
    return ""


def test_a_list_says_what_its_issuer_signed() -> None:
    revocations = a_list(5, NOW, 60, HANDLE, KNOWN)
    assert verify_revocations(signed(revocations), ISSUER) == revocations
    assert HANDLE.hex() not in repr(revocations)


def test_without_a_list_nothing_stands() -> None:
    assert code_of(RevocationView(ISSUERS), NOW) == "CONSENT_LIST_STALE"


def test_a_list_holds_for_a_minute_and_then_everything_is_denied() -> None:
    view = RevocationView(ISSUERS)
    view.take(signed(a_list()))
    moments = (NOW - 11, NOW - 10, NOW, NOW + 59, NOW + 60)
    assert [code_of(view, now) for now in moments] == ["CONSENT_LIST_STALE", "", "", "", "CONSENT_LIST_STALE"]
    assert code_of(view, NOW, issuer="other") == "CONSENT_LIST_STALE"


def test_a_revoked_consent_is_denied_from_the_next_list_on() -> None:
    view = RevocationView(ISSUERS)
    view.take(signed(a_list(5)))
    assert code_of(view, NOW) == ""
    view.take(signed(a_list(6, NOW + 1, 60, HANDLE)))
    assert code_of(view, NOW + 1) == "CONSENT_REVOKED"
    assert code_of(view, NOW + 1, KNOWN) == ""


def test_an_older_list_is_refused_however_well_signed() -> None:
    view = RevocationView(ISSUERS)
    old, new = signed(a_list(5)), signed(a_list(6, NOW, 60, HANDLE))
    view.take(new)
    for replayed in (old, signed(a_list(6)), signed(a_list(4, NOW + 30))):
        assert take_code(view, replayed) == "CONSENT_LIST_ROLLBACK"
    assert code_of(view, NOW) == "CONSENT_REVOKED"
    assert view.take(new) is None


def test_what_was_accepted_before_a_restart_still_counts() -> None:
    view = RevocationView(ISSUERS, [a_list(6, NOW, 60, HANDLE)])
    assert code_of(view, NOW) == "CONSENT_REVOKED"
    assert take_code(view, signed(a_list(5))) == "CONSENT_LIST_ROLLBACK"


def test_one_issuer_cannot_speak_for_another() -> None:
    forged = sign_revocations(a_list(9), OTHER)
    assert take_code(RevocationView(ISSUERS), forged) == "CONSENT_LIST_INVALID"
    stranger = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
    assert take_code(RevocationView(ISSUERS), sign_revocations(a_list(9), stranger.signing)) == "CONSENT_LIST_INVALID"
    view = RevocationView(ISSUERS)
    other = RevocationList("other", 1, NOW, NOW + 60, frozenset())
    view.take(sign_revocations(other, OTHER))
    assert code_of(view, NOW) == "CONSENT_LIST_STALE"


@pytest.mark.parametrize("seconds", [0, LIST_SECONDS + 1, 86_400])
def test_a_list_that_holds_for_longer_than_a_minute_is_refused(seconds: int) -> None:
    assert take_code(RevocationView(ISSUERS), signed(a_list(5, NOW, seconds))) == "CONSENT_LIST_INVALID"


@pytest.mark.parametrize("changes", [{"revoked": "all"}, {"revoked": ["AA"]}, {"seq": -1}, {"iat": 1.5}, {"exp": None}])
def test_claims_that_are_none_of_a_list_are_refused(changes: dict[str, object]) -> None:
    body = jwt.decode(signed(a_list()), options={"verify_signature": False}) | changes
    token = jwt.encode(body, SERVICE.signing, algorithm="EdDSA", headers={"typ": "consent-revocations+jwt"})
    assert take_code(RevocationView(ISSUERS), token) == "CONSENT_LIST_INVALID"
    plain = jwt.encode(jwt.decode(signed(a_list()), options={"verify_signature": False}), SERVICE.signing, "EdDSA")
    assert take_code(RevocationView(ISSUERS), plain) == "CONSENT_LIST_INVALID"


@pytest.mark.parametrize("text", ["", "a.b.c", "~", "\x00", "ä" * 100])
def test_any_other_text_is_refused(text: str) -> None:
    assert take_code(RevocationView(ISSUERS), text) == "CONSENT_LIST_INVALID"
