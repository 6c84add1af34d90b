"""A certificate is for the key and the party that asked, and is renewed at two thirds of its life."""

from __future__ import annotations

import datetime

import pytest

from federation.relay.authority import certify, create_authority, issue
from protocols.channel.identity import PartyId
from protocols.enrolment.certificates import (
    check_certificate,
    draw_tls_key,
    public_key_digest,
    renewal_due,
    requested_key,
    signing_request,
)
from protocols.enrolment.comparison import comparison, same_digits
from protocols.errors import CreditFederationError, MalformedMessage, VerificationFailed

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TAX = PartyId("tax")
AUTHORITY = create_authority(NOW)


def test_what_is_asked_for_is_granted_and_checked() -> None:
    key = draw_tls_key()
    certificate = certify(AUTHORITY, requested_key(signing_request(TAX, key), TAX), TAX, NOW)
    check_certificate(certificate, AUTHORITY.certificate, key, TAX)
    for wrong in (
        (certificate, create_authority(NOW).certificate, key, TAX),
        (certificate, AUTHORITY.certificate, draw_tls_key(), TAX),
        (certificate, AUTHORITY.certificate, key, PartyId("bank")),
    ):
        with pytest.raises(VerificationFailed) as refusal:
            check_certificate(*wrong)
        assert refusal.value.code == "WRONG_CERTIFICATE"


@pytest.mark.parametrize(("day", "due"), [(0, False), (19.9, False), (20.1, True), (31, True)])
def test_a_certificate_is_due_at_two_thirds_of_its_life(day: float, due: bool) -> None:
    certificate = issue(AUTHORITY, TAX, NOW, 30).certificate
    assert renewal_due(certificate, NOW + datetime.timedelta(days=day)) is due


def test_a_damaged_signing_request_is_refused() -> None:
    request = signing_request(TAX, draw_tls_key())
    for place in range(0, len(request), 7):
        damaged = request[:place] + bytes([request[place] ^ 1]) + request[place + 1 :]
        with pytest.raises(CreditFederationError):
            requested_key(damaged, TAX)
    for junk in (b"", b"junk", request[:-1], request * 20):
        with pytest.raises(MalformedMessage):
            requested_key(junk, TAX)
    with pytest.raises(MalformedMessage):
        public_key_digest(b"junk")


def test_digits_to_compare_are_thirty_and_forgive_what_stands_between() -> None:
    digits = comparison(b"a", b"b")
    assert [len(group) for group in digits.split()] == [5] * 6
    assert comparison(b"ab", b"") != digits != comparison(b"a", b"b", b"")
    assert same_digits(digits, digits.replace(" ", "-"))
    assert not same_digits(digits, digits[:-1])
    assert not same_digits("", "")
