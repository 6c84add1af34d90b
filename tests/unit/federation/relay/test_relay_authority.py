"""Whose a certificate is: exactly one party's, or nobody's."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509

from federation.relay.authority import create_authority, issue, read_party
from protocols.channel.identity import PartyId
from protocols.errors import VerificationFailed

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_a_certificate_names_its_party_and_its_end() -> None:
    issued = issue(create_authority(NOW), PartyId("tax"), NOW, 30)
    party, expires = read_party(issued.certificate)
    assert party == "tax"
    assert expires == NOW + datetime.timedelta(days=30)
    assert "key" not in repr(issued)


def test_a_party_s_certificate_signs_no_other() -> None:
    parsed = x509.load_pem_x509_certificate(issue(create_authority(NOW), PartyId("tax"), NOW).certificate)
    assert parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert parsed.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


@pytest.mark.parametrize("certificate", [b"", b"nonsense", create_authority(NOW).certificate])
def test_what_names_no_party_is_nobody_s(certificate: bytes) -> None:
    with pytest.raises(VerificationFailed) as refusal:
        read_party(certificate)
    assert refusal.value.code == "NOT_A_PARTY"


def test_a_server_may_go_by_several_names_and_addresses() -> None:
    now = datetime.datetime.now(datetime.UTC)
    issued = issue(create_authority(now), PartyId("coordinator"), now, 30, "localhost", ["127.0.0.1", "credit.example"])
    parsed = x509.load_pem_x509_certificate(issued.certificate)
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "credit.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
