"""The private key at rest: PEM text around AES-256-GCM under a key that scrypt derives from a password.

The body is `version | log2 N | salt (16) | nonce (12) | AES-GCM(p | q)`; everything before the ciphertext is
authenticated with it.
"""

from __future__ import annotations

import base64
import binascii
import textwrap

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from protocols.errors import ConfigurationError
from protocols.paillier.keys import MINIMUM_BITS, PrivateKey, PublicKey
from protocols.paillier.sampling import Randomness

_BEGIN = "-----BEGIN CREDIT FEDERATION ENCRYPTED PAILLIER KEY-----"
_END = "-----END CREDIT FEDERATION ENCRYPTED PAILLIER KEY-----"
_VERSION = 1
_LOG2_COST = 16  # 64 MiB and about a quarter of a second
_MAX_LOG2_COST = 18  # 256 MiB: a damaged file must not exhaust the machine
_SALT, _NONCE, _TAG = 16, 12, 16
_HEADER = 2 + _SALT + _NONCE


def seal_key(key: PrivateKey, password: bytes, randomness: Randomness) -> bytes:
    """Return the PEM text of `key`. Raises: ValueError for an empty password."""
    if not password:
        raise ValueError("a key file needs a password")
    header = bytes([_VERSION, _LOG2_COST]) + randomness(_SALT) + randomness(_NONCE)
    if len(header) != _HEADER:
        raise ValueError("the source of randomness returned too few bytes")
    half = key.public_key.bits // 16
    secret = int(key.p).to_bytes(half, "big") + int(key.q).to_bytes(half, "big")
    body = header + _cipher(header, password).encrypt(header[-_NONCE:], secret, header)
    lines = textwrap.wrap(base64.b64encode(body).decode("ascii"), 64)
    return "\n".join([_BEGIN, *lines, _END, ""]).encode("ascii")


def open_key(data: bytes, password: bytes) -> PrivateKey:
    """Return the key in `data`. Raises: ConfigurationError for a wrong password or a damaged file."""
    body = _body(data)
    header, sealed = body[:_HEADER], body[_HEADER:]
    half = (len(sealed) - _TAG) // 2
    if header[0] != _VERSION or not 10 <= header[1] <= _MAX_LOG2_COST or len(sealed) != 2 * half + _TAG:
        raise ConfigurationError("not a key file of this version", code="KEY_FILE")
    try:
        secret = _cipher(header, password).decrypt(header[-_NONCE:], sealed, header)
    except InvalidTag:
        raise ConfigurationError("the key file is damaged or the password is wrong", code="KEY_FILE") from None
    p, q = (int.from_bytes(part, "big") for part in (secret[:half], secret[half:]))
    try:
        return PrivateKey(PublicKey(p * q, half * 16), p, q)
    except ValueError:
        raise ConfigurationError("the key file does not hold a Paillier key", code="KEY_FILE") from None


def _body(data: bytes) -> bytes:
    try:
        lines = data.decode("ascii").split()
        text = " ".join(lines)
        if not (text.startswith(_BEGIN) and text.endswith(_END)):
            raise ValueError
        body = base64.b64decode(text[len(_BEGIN) : -len(_END)].replace(" ", ""), validate=True)
    except (UnicodeDecodeError, ValueError, binascii.Error):
        raise ConfigurationError("not a Paillier key file", code="KEY_FILE") from None
    if len(body) < _HEADER + _TAG + MINIMUM_BITS // 8:
        raise ConfigurationError("the key file is cut short", code="KEY_FILE")
    return body


def _cipher(header: bytes, password: bytes) -> AESGCM:
    derived = Scrypt(salt=header[2 : 2 + _SALT], length=32, n=1 << header[1], r=8, p=1).derive(password)
    return AESGCM(derived)
