"""Consents that a bank has forged, borrowed, worn out or kept after they were revoked: no node and no coordinator
takes one."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.consent import (
    Consent,
    ConsentDemand,
    ConsentIssuer,
    Issuers,
    Purpose,
    issue_consent,
    issue_slip,
    issuer_of_card,
    parse_issuer,
    verify_consent,
    verify_slip,
)
from protocols.errors import PolicyDenied

NOW = 1_700_000_000
BANK, CARD, ENTERPRISE = "bank", "c" * 64, "91999999MA0DEM013K"
SERVICE = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
P256 = generate_private_key(SECP256R1())
ISSUERS = Issuers(
    [issuer_of_card(make_card(SERVICE, PartyRole.CONSENT_SERVICE)), ConsentIssuer("p256", P256.public_key())]
)
CONSENT = Consent(
    subject=ENTERPRISE,
    bank=BANK,
    bank_card=CARD,
    purposes=(Purpose.ASSESSMENT,),
    domains=("tax", "social"),
    uses=3,
    issued=NOW,
    not_before=NOW,
    expires=NOW + 1000,
    token_id="0123456789abcdef",  # noqa: S106
)
DEMAND = ConsentDemand(ENTERPRISE, BANK, CARD, Purpose.ASSESSMENT, "tax")
TOKEN = issue_consent(CONSENT, SERVICE.party, SERVICE.signing)
SLIP = issue_slip(CONSENT, SERVICE.party, SERVICE.signing)


def code_of(token: str, now: int = NOW + 1, demand: ConsentDemand = DEMAND) -> str:
    """With which code a tax node refuses the token, or "" if it accepts it."""
    try:
        verify_consent(token, ISSUERS, demand, now)
    except PolicyDenied as refusal:
        return refusal.code
    return ""


def slip_code(slip: str, now: int = NOW + 1, bank: str = BANK, card: str = CARD) -> str:
    """With which code the coordinator refuses the slip, or "" if it accepts it."""
    try:
        verify_slip(slip, ISSUERS, bank, card, Purpose.ASSESSMENT, now)
    except PolicyDenied as refusal:
        return refusal.code
    return ""


JUDGES: dict[str, tuple[str, Callable[[str], str]]] = {"token": (TOKEN, code_of), "slip": (SLIP, slip_code)}
both = pytest.mark.parametrize(("good", "judge"), JUDGES.values(), ids=JUDGES)


def claims(token: str) -> dict[str, object]:
    return jwt.decode(token, options={"verify_signature": False})


def header(token: str) -> dict[str, object]:
    return jwt.get_unverified_header(token)


def signed(body: dict[str, object], like: str) -> str:
    """What the service itself would sign, had it been talked into these claims."""
    payload = json.dumps(body).encode()
    return jwt.api_jws.encode(payload, SERVICE.signing, algorithm="EdDSA", headers={"typ": header(like)["typ"]})


def by_hand(head: dict[str, object], body: dict[str, object], signature: bytes = b"") -> str:
    parts = [json.dumps(head).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


# ---- forged


@both
def test_an_honest_one_is_accepted(good: str, judge: Callable[[str], str]) -> None:
    assert judge(good) == ""


@both
def test_algorithm_none_is_refused(good: str, judge: Callable[[str], str]) -> None:
    for name in ("none", "None", "NONE", ""):
        assert judge(by_hand(header(good) | {"alg": name}, claims(good))) == "CONSENT_INVALID"


@both
def test_hs256_with_the_public_key_as_secret_is_refused(good: str, judge: Callable[[str], str]) -> None:
    public = SERVICE.signing.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    for secret in (public.public_bytes_raw(), pem, pem.strip()):
        signing_input = by_hand(header(good) | {"alg": "HS256"}, claims(good)).rsplit(".", 1)[0]
        signature = base64.urlsafe_b64encode(mac.sign(signing_input.encode(), secret)).rstrip(b"=").decode()
        assert judge(f"{signing_input}.{signature}") == "CONSENT_INVALID"


@both
def test_the_key_decides_the_algorithm_not_the_token(good: str, judge: Callable[[str], str]) -> None:
    """An ES256 signature in the name of a service whose key is Ed25519, and the other way round."""
    typ = {"typ": header(good)["typ"]}
    assert judge(jwt.encode(claims(good), P256, algorithm="ES256", headers=typ)) == "CONSENT_INVALID"
    body = claims(good) | {"iss": "p256"}
    assert judge(jwt.encode(body, SERVICE.signing, algorithm="EdDSA", headers=typ)) == "CONSENT_INVALID"
    assert judge(jwt.encode(body, P256, algorithm="ES256", headers=typ)) == ""


@both
def test_a_key_that_the_token_brings_along_is_not_used(good: str, judge: Callable[[str], str]) -> None:
    stranger = PartyKeys.generate(PartyId("consents"), secrets.token_bytes)
    jwk = jwt.algorithms.OKPAlgorithm.to_jwk(stranger.signing.public_key(), as_dict=True)
    headers = {"typ": header(good)["typ"], "jwk": jwk, "kid": "consents"}
    assert judge(jwt.encode(claims(good), stranger.signing, algorithm="EdDSA", headers=headers)) == "CONSENT_INVALID"


@both
def test_an_issuer_that_is_not_accredited_is_refused(good: str, judge: Callable[[str], str]) -> None:
    assert judge(signed(claims(good) | {"iss": "other"}, good)) == "CONSENT_INVALID"
    assert judge(signed(claims(good) | {"iss": ["consents"]}, good)) == "CONSENT_INVALID"


@both
def test_one_character_changed_is_refused(good: str, judge: Callable[[str], str]) -> None:
    signature = good.rindex(".")
    for place in (*range(0, signature, 7), signature + 1, signature + 40):
        if good[place] != ".":
            changed = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
            assert judge(changed) == "CONSENT_INVALID"


def test_a_slip_is_no_consent_and_a_consent_no_slip() -> None:
    assert code_of(SLIP) == "CONSENT_INVALID"
    assert slip_code(TOKEN) == "CONSENT_INVALID"
    assert code_of(signed(claims(TOKEN), SLIP)) == "CONSENT_INVALID"


# ---- for something else


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("bank", "other-bank", "CONSENT_SCOPE"),
        ("bank_card", "d" * 64, "CONSENT_KEY"),
        ("subject", "91999999MADAEEB980", "CONSENT_SCOPE"),
        ("purposes", (Purpose.TRAINING,), "CONSENT_SCOPE"),
        ("purposes", (), "CONSENT_SCOPE"),
        ("domains", ("social",), "CONSENT_SCOPE"),
        ("domains", (), "CONSENT_SCOPE"),
        ("expires", NOW + 1, "CONSENT_EXPIRED"),
        ("not_before", NOW + 2, "CONSENT_NOT_YET_VALID"),
    ],
    ids=str,
)
def test_a_consent_for_something_else_is_refused(field: str, value: object, code: str) -> None:
    consent = replace(CONSENT, **{field: value})
    assert code_of(issue_consent(consent, SERVICE.party, SERVICE.signing)) == code
    expected = "" if field in ("subject", "domains") else code  # which a slip does not say
    assert slip_code(issue_slip(consent, SERVICE.party, SERVICE.signing)) == expected


def test_a_consent_is_no_use_to_another_bank_nor_under_another_key() -> None:
    assert code_of(TOKEN, demand=replace(DEMAND, bank="other")) == "CONSENT_SCOPE"
    assert code_of(TOKEN, demand=replace(DEMAND, bank_card="d" * 64)) == "CONSENT_KEY"
    assert slip_code(SLIP, bank="other") == "CONSENT_SCOPE"
    assert slip_code(SLIP, card="d" * 64) == "CONSENT_KEY"


def test_a_consent_holds_from_its_first_second_to_before_its_last() -> None:
    assert [code_of(TOKEN, now) for now in (NOW - 1, NOW, NOW + 999, NOW + 1000)] == [
        "CONSENT_NOT_YET_VALID",
        "",
        "",
        "CONSENT_EXPIRED",
    ]


def test_no_consent_is_refused() -> None:
    assert code_of("") == slip_code("") == "CONSENT_MISSING"


# ---- signed, and not what it should be


@both
def test_a_claim_left_out_is_refused(good: str, judge: Callable[[str], str]) -> None:
    for missing in claims(good):
        body = {name: value for name, value in claims(good).items() if name != missing}
        assert judge(signed(body, good)) == "CONSENT_INVALID", missing


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", [BANK, "other"]),
        ("aud", [BANK]),
        ("cnf", CARD),
        ("cnf", {"jwk": CARD}),
        ("cnf", {"kid": [CARD]}),
        ("sub", [ENTERPRISE]),
        ("domains", "tax"),
        ("domains", ["tax", 1]),
        ("domains", {"tax": 1}),
        ("purposes", "assessment"),
        ("purposes", ["marketing"]),
        ("uses", 0),
        ("uses", -1),
        ("uses", True),
        ("uses", "many"),
        ("uses", 1e400),
        ("exp", 1e400),
        ("exp", "soon"),
        ("exp", None),
        ("exp", 1 << 60),
        ("nbf", [0]),
        ("nbf", float("nan")),
        ("nbf", -5),
        ("jti", "short"),
        ("jti", 1 << 200),
    ],
    ids=str,
)
def test_a_claim_of_another_type_is_refused_even_under_a_good_signature(claim: str, value: object) -> None:
    assert code_of(signed(claims(TOKEN) | {claim: value}, TOKEN)) == "CONSENT_INVALID"


@pytest.mark.parametrize("handle", ["", "A" * 42, "A" * 44, "!" * 43, "A" * 42 + "B", None, 7], ids=str)
def test_a_handle_that_is_none_is_refused(handle: object) -> None:
    assert slip_code(signed(claims(SLIP) | {"handle": handle}, SLIP)) == "CONSENT_INVALID"


# ---- what the coordinator sees


def test_a_slip_names_no_enterprise_and_no_domain_and_its_handle_cannot_be_guessed_from_one() -> None:
    body = base64.urlsafe_b64decode(SLIP.split(".")[1] + "==")
    shown = json.loads(body)
    assert set(shown) == {"iss", "aud", "cnf", "purposes", "nbf", "exp", "handle"}
    assert ENTERPRISE.encode() not in body
    assert CONSENT.token_id.encode() not in body
    other = issue_slip(replace(CONSENT, subject="91999999MADAEEB980"), SERVICE.party, SERVICE.signing)
    assert claims(other) == shown  # two enterprises, one slip: it says nothing of either


# ---- keys


def test_only_ed25519_and_p256_keys_are_accredited() -> None:
    pem = generate_private_key(SECP384R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="P-256"):
        parse_issuer("large", pem)
    with pytest.raises(ValueError, match="PEM"):
        parse_issuer("none", b"no key")
    with pytest.raises(ValueError, match="one name"):
        Issuers([ConsentIssuer("p256", P256.public_key()), ConsentIssuer("p256", P256.public_key())])
