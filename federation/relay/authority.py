"""The federation's certificate authority: issues a certificate to each party, and says whose a certificate is.

A certificate says which party a stream is: nothing else rests on it. What a party may do rests on its card, and what it
says on the signature of its envelopes, so whoever steals the authority's key can connect in a party's name, and sign
nothing.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.channel.identity import PartyId
from protocols.enrolment.certificates import BACKDATED, PARTY_URI
from protocols.errors import VerificationFailed

LOCALHOST: Final = "localhost"
SERVER_NAME: Final = "coordinator.credit-federation.internal"
AUTHORITY_DAYS: Final = 3650
PARTY_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its secret key, both PEM; an authority's has others beside it that are trusted too."""

    certificate: bytes
    key: bytes = field(repr=False)


def create_authority(now: datetime.datetime) -> Issued:
    """Return a new authority's self-signed certificate and key (ECDSA P-256). No two have the same name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"credit-federation authority {token_hex(8)}")
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    usage = _usage(signs_certificates=True)
    builder = _builder(name, name, key.public_key(), now, datetime.timedelta(days=AUTHORITY_DAYS))
    builder = builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
    return Issued(builder.sign(key, SHA256()).public_bytes(Encoding.PEM), _pem(key))


def create_server_key(now: datetime.datetime) -> Issued:
    """Return a key with a certificate of its own, for a server that is known by its key's fingerprint alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("credit-federation enrolment")
    builder = _builder(name, name, key.public_key(), now, datetime.timedelta(days=AUTHORITY_DAYS))
    return Issued(builder.sign(key, SHA256()).public_bytes(Encoding.PEM), _pem(key))


def issue(
    authority: Issued,
    party: PartyId,
    now: datetime.datetime,
    days: float = PARTY_DAYS,
    server_name: str = "",
    addresses: Sequence[str] = (),
) -> Issued:
    """Return a certificate that says which party its holder is; with `server_name`, also which server.

    `addresses` are further names and addresses by which the server goes. Raises: ValueError if the authority's key is
    none.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certify(authority, key.public_key(), party, now, days, server_name, addresses)
    return Issued(certificate, _pem(key))


def certify(
    authority: Issued,
    public_key: ec.EllipticCurvePublicKey,
    party: PartyId,
    now: datetime.datetime,
    days: float = PARTY_DAYS,
    server_name: str = "",
    addresses: Sequence[str] = (),
) -> bytes:
    """Return the certificate of a key that its party keeps to itself, PEM."""
    signer = load_pem_private_key(authority.key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not on an elliptic curve")
    issuer = own_certificate(authority).subject
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(PARTY_URI + party)]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if server_name:
        names.append(x509.DNSName(server_name))
        names += [_alternative(address) for address in addresses]
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = _builder(_name(party), issuer, public_key, now, datetime.timedelta(days=days))
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    return builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def own_certificate(authority: Issued) -> x509.Certificate:
    """Return the certificate, of those that are trusted, to which the authority's key belongs. Raises: ValueError."""
    signer = load_pem_private_key(authority.key, None).public_key()
    for certificate in x509.load_pem_x509_certificates(authority.certificate):
        if certificate.public_key() == signer:
            return certificate
    raise ValueError("no certificate belongs to the authority's key")


def read_party(certificate: bytes) -> tuple[PartyId, datetime.datetime]:
    """Return whose a certificate is and when it expires; that the authority issued it was verified by TLS.

    Raises: VerificationFailed, code NOT_A_PARTY, unless it names exactly one party.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise VerificationFailed("the certificate names no party", code="NOT_A_PARTY") from error
    parties = [uri.removeprefix(PARTY_URI) for uri in uris if uri.startswith(PARTY_URI)]
    if len(parties) != 1:
        raise VerificationFailed(f"the certificate names {len(parties)} parties", code="NOT_A_PARTY")
    return PartyId(parties[0]), parsed.not_valid_after_utc


def expiry(certificate: bytes) -> datetime.datetime:
    """Return when a certificate (PEM) of our own ends."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
