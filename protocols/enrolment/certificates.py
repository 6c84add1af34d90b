"""Signing requests: a party's TLS key, in its own hands, and the word of that key that it asks for a certificate.

ECDSA P-256. The request names the party in the URI by which its certificate will; whoever grants it takes the key from
it and nothing else.
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from protocols.channel.identity import PartyId
from protocols.errors import MalformedMessage, VerificationFailed

PARTY_URI: Final = "urn:credit-federation:party:"
MAX_REQUEST_BYTES: Final = 4096
BACKDATED: Final = datetime.timedelta(minutes=5)
"""How far behind the issuer's clock a party's may be: a certificate begins that much before it is issued."""


def draw_tls_key() -> bytes:
    """Return a new private key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signing_request(party: PartyId, key: bytes) -> bytes:
    """Return the request of a party for a certificate of its `key` (PEM), DER. Raises: ValueError for another key."""
    private = load_pem_private_key(key, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party)])
    )
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(PARTY_URI + party)])
    return builder.add_extension(names, critical=False).sign(private, SHA256()).public_bytes(Encoding.DER)


def requested_key(request: bytes, party: PartyId) -> ec.EllipticCurvePublicKey:
    """Return the key that a request is about, which has signed it.

    Raises: MalformedMessage; VerificationFailed, codes CSR_KEY (not its own signature, or no P-256 key) and CSR_NAME
    (another party than `party`).
    """
    if len(request) > MAX_REQUEST_BYTES:
        raise MalformedMessage(f"a signing request of {len(request)} bytes")
    try:
        parsed = x509.load_der_x509_csr(request)
        key, signed = parsed.public_key(), parsed.is_signature_valid
        common = [str(name.value) for name in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        names = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.ExtensionNotFound) as error:
        raise MalformedMessage(f"{len(request)} bytes are no signing request of a party") from error
    if not signed or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise VerificationFailed("the signing request is not signed by a P-256 key of its own", code="CSR_KEY")
    if names != [x509.UniformResourceIdentifier(PARTY_URI + party)] or common != [party]:
        raise VerificationFailed(f"the signing request names another party than {party}", code="CSR_NAME")
    return key


def check_certificate(certificate: bytes, authority: bytes, key: bytes, party: PartyId) -> None:
    """Return if an authority's certificate (both PEM) is for a party's private key (PEM), and names that party.

    `authority` may be several, one after another. Raises: MalformedMessage; VerificationFailed, code WRONG_CERTIFICATE.
    """
    try:
        parsed, issuers = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificates(authority)
        names = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        issuer = next((known for known in issuers if known.subject == parsed.issuer), None)
        if issuer is None:
            raise InvalidSignature
        parsed.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        raise MalformedMessage(f"{len(certificate)} bytes are no certificate of a party") from error
    except InvalidSignature as error:
        raise VerificationFailed("the certificate is not the authority's", code="WRONG_CERTIFICATE") from error
    if x509.UniformResourceIdentifier(PARTY_URI + party) not in names or not certifies(certificate, key):
        raise VerificationFailed(f"the certificate is not for {party} and its key", code="WRONG_CERTIFICATE")


def check_authority(present: bytes, following: bytes) -> None:
    """Return if the authorities that streams are to rest on have one with the present ones in common (PEM).

    Raises: MalformedMessage; VerificationFailed, code WRONG_CERTIFICATE.
    """
    try:
        known, offered = x509.load_pem_x509_certificates(present), x509.load_pem_x509_certificates(following)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedMessage(f"{len(following)} bytes are no authority") from error
    if not set(known) & set(offered):
        raise VerificationFailed("another authority than the one that is pinned", code="WRONG_CERTIFICATE")


def certifies(certificate: bytes, key: bytes) -> bool:
    """Tell whether a certificate is for a private key, both PEM. Raises: MalformedMessage; ValueError for no key."""
    private = load_pem_private_key(key, None)
    return isinstance(private, ec.EllipticCurvePrivateKey) and public_key_digest(certificate) == key_digest(
        private.public_key()
    )


def renewal_due(certificate: bytes, now: datetime.datetime) -> bool:
    """Tell whether two thirds of a certificate's life (PEM) are over. Raises: MalformedMessage."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise MalformedMessage(f"{len(certificate)} bytes are no certificate") from error
    begins, ends = parsed.not_valid_before_utc + BACKDATED, parsed.not_valid_after_utc
    return now >= begins + (ends - begins) * 2 / 3


def public_key_digest(certificate: bytes) -> bytes:
    """Return the SHA-256 of a certificate's public key; PEM or DER. Raises: MalformedMessage."""
    try:
        pem = certificate.startswith(b"-----")
        parsed = x509.load_pem_x509_certificate(certificate) if pem else x509.load_der_x509_certificate(certificate)
        return key_digest(parsed.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedMessage(f"{len(certificate)} bytes are no certificate") from error


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the SHA-256 of a public key's canonical encoding."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
