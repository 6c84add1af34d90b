"""A credential binds one key to one enterprise, for a time, by an issuer that is pinned; anything else is refused."""

from __future__ import annotations

import secrets

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.channel.identity import PartyCard, PartyId, PartyRole, make_card
from protocols.consent import ConsentIssuer, Issuers, split_consent
from protocols.enterprise.credential import (
    Credential,
    check_card,
    draw_keys,
    issue_credential,
    make_enterprise_card,
    pseudonym,
    restore_keys,
    verify_credential,
    verify_key_slip,
)
from protocols.errors import PolicyDenied, VerificationFailed
from protocols.uscc import synthetic

NOW = 1_700_000_000
ISSUER = Ed25519PrivateKey.from_private_bytes(b"I" * 32)
ISSUERS = Issuers([ConsentIssuer("consent_service", ISSUER.public_key())])
KEYS = draw_keys(secrets.token_bytes)
CARD = make_enterprise_card(KEYS)
CODE = synthetic(7)


def credential(card: PartyCard = CARD, key: Ed25519PrivateKey = ISSUER, subject: str = CODE) -> tuple[str, str]:
    content = Credential(subject, card.fingerprint(), NOW, NOW + 100, "an id of sixteen and more")
    return split_consent(issue_credential(content, "consent_service", key))


def test_a_credential_and_its_slip_verify_for_the_key_that_they_name() -> None:
    token, slip = credential()
    assert verify_credential(token, ISSUERS, CODE, CARD.fingerprint(), NOW).subject == CODE
    assert verify_key_slip(slip, ISSUERS, CARD.fingerprint(), NOW).issuer == "consent_service"


def test_the_slip_names_no_enterprise() -> None:
    first, second = credential()[1], credential(subject=synthetic(8))[1]
    assert first == second  # but for the key, the time and the handle it says nothing


OTHER = make_enterprise_card(draw_keys(secrets.token_bytes))
REFUSED = {
    "CREDENTIAL_KEY": lambda t: verify_credential(t, ISSUERS, CODE, OTHER.fingerprint(), NOW),
    "CREDENTIAL_SUBJECT": lambda t: verify_credential(t, ISSUERS, synthetic(8), CARD.fingerprint(), NOW),
    "CREDENTIAL_EXPIRED": lambda t: verify_credential(t, ISSUERS, CODE, CARD.fingerprint(), NOW + 100),
    "CREDENTIAL_INVALID slip": lambda t: verify_key_slip(t, ISSUERS, CARD.fingerprint(), NOW),
    "CREDENTIAL_INVALID issuer": lambda t: verify_credential(t, Issuers([]), CODE, CARD.fingerprint(), NOW),
    "CREDENTIAL_INVALID text": lambda t: verify_credential(t[:-9], ISSUERS, CODE, CARD.fingerprint(), NOW),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_credential_for_anything_else_is_refused(case: str) -> None:
    with pytest.raises(PolicyDenied) as refusal:
        REFUSED[case](credential()[0])
    assert refusal.value.code == case.split()[0]


def test_a_credential_that_somebody_else_has_signed_is_refused() -> None:
    token, slip = credential(key=Ed25519PrivateKey.generate())
    for verify in (
        lambda: verify_credential(token, ISSUERS, CODE, CARD.fingerprint(), NOW),
        lambda: verify_key_slip(slip, ISSUERS, CARD.fingerprint(), NOW),
    ):
        with pytest.raises(PolicyDenied) as refusal:
            verify()
        assert refusal.value.code == "CREDENTIAL_INVALID"


def test_keys_come_back_from_their_bytes_under_the_same_pseudonym() -> None:
    again = restore_keys(KEYS.to_bytes())
    assert again.party == KEYS.party == pseudonym(CARD.verify_key)
    assert CODE not in KEYS.party
    with pytest.raises(ValueError, match="96 bytes"):
        restore_keys(b"short")


def test_a_card_is_an_enterprises_own_and_takes_nobodys_name() -> None:
    assert check_card(CARD, {}) == CARD.party
    bank = make_card(KEYS, PartyRole.BANK)
    with pytest.raises(VerificationFailed):
        check_card(bank, {})
    with pytest.raises(VerificationFailed):
        check_card(CARD, {PartyId(CARD.party): bank})
    renamed = msgspec.structs.replace(KEYS and CARD, party="tax")
    with pytest.raises(VerificationFailed):
        check_card(renamed, {})


def test_a_card_under_a_name_that_its_key_does_not_give_is_refused_even_if_signed() -> None:
    named = type(KEYS)(PartyId("tax"), KEYS.signing, KEYS.sealing, KEYS.mask)
    with pytest.raises(VerificationFailed):
        check_card(make_enterprise_card(named), {})
