"""A party's secrets on its own disk: one file of keys, readable by the owner alone.

`party.key` holds the signing, sealing and mask keys; `paillier.pem` the Paillier key, encrypted under a passphrase that
`party.key` also holds. Keys that were replaced are in `earlier/`, for as long as others may use them. Public cards of
all parties are in `cards/`: in the roster that the coordinator has signed, or, before there is one, as single cards. A
witness of the coordinator's log has a key for cosignatures alone, `witness.key`, and pins the log's public key in
`log.pub`.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.pins import Pins, paillier_proof
from protocols.channel.wire import decode, encode
from protocols.enrolment.roster import SignedRoster, pin_first
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.paillier import PrivateKey
from protocols.transparency.checkpoints import CosignatureSigner
from protocols.transparency.notes import SignatureType, VerifierKey, parse_vkey

KEY_FILE = "party.key"
PAILLIER_FILE = "paillier.pem"
WITNESS_FILE = "witness.key"
LOG_KEY_FILE = "log.pub"
ROSTER_FILE = "roster"
EARLIER = "earlier"


class _Secrets(msgspec.Struct, frozen=True):
    """The content of `party.key`. Never printed: its representation shows the party alone.

    `lasting` is a secret that outlives the keys: what keys of records derive from. Empty: the keys themselves.
    """

    party: str
    keys: bytes
    passphrase: bytes
    lasting: bytes = b""

    def __repr__(self) -> str:
        return f"_Secrets(party={self.party!r})"


def create_party(folder: Path, party: PartyId, role: PartyRole, key_bits: int | None) -> PartyCard:
    """Draw a party's keys, write them for the owner alone, and return its public card.

    `key_bits` is the Paillier key's length, None for a party without one. Raises: OSError.
    """
    folder.mkdir(parents=True, mode=0o700)
    keys = PartyKeys.generate(party, secrets.token_bytes)
    passphrase = secrets.token_bytes(32)
    kept = _Secrets(party, keys.to_bytes(), passphrase, secrets.token_bytes(32))
    write_private(folder / KEY_FILE, msgspec.msgpack.encode(kept))
    if key_bits is None:
        return make_card(keys, role)
    paillier = PrivateKey.generate(key_bits, secrets.token_bytes)
    write_private(folder / PAILLIER_FILE, paillier.to_pem(passphrase, secrets.token_bytes))
    proof = paillier_proof(party, paillier, secrets.token_bytes)
    return make_card(keys, role, paillier.public_key.to_bytes(), proof)


def read_keys(folder: Path) -> PartyKeys:
    """Return a party's signing, sealing and mask keys, and those that they replaced. Raises: ConfigurationError."""
    present = _keys_of(folder)
    return replace(present, earlier=tuple(_keys_of(path.parent) for path in _earlier(folder, KEY_FILE)))


def write_successor(folder: Path, into: Path, keys: PartyKeys) -> None:
    """Write a party's next keys for the owner alone; what is not a key of the card stays as in `folder`.

    Raises: OSError, ConfigurationError.
    """
    kept = _read_secrets(folder)
    following = _Secrets(kept.party, keys.to_bytes(), kept.passphrase, kept.lasting or kept.keys)
    write_private(into / KEY_FILE, msgspec.msgpack.encode(following))


def write_paillier(folder: Path, into: Path, key: PrivateKey) -> None:
    """Write a party's next Paillier key, under the passphrase of `folder`. Raises: OSError, ConfigurationError."""
    write_private(into / PAILLIER_FILE, key.to_pem(_read_secrets(folder).passphrase, secrets.token_bytes))


def read_lasting(folder: Path) -> bytes:
    """Return the secret from which keys of lasting records derive. Raises: ConfigurationError."""
    kept = _read_secrets(folder)
    return kept.lasting or kept.keys


def read_earlier_paillier(folder: Path) -> tuple[PrivateKey, ...]:
    """Return the Paillier keys that were replaced and may still be used. Raises: ConfigurationError."""
    passphrase = _read_secrets(folder).passphrase
    return tuple(PrivateKey.from_pem(path.read_bytes(), passphrase) for path in _earlier(folder, PAILLIER_FILE))


def read_paillier(folder: Path) -> PrivateKey:
    """Return a party's Paillier key. Raises: ConfigurationError, VerificationFailed."""
    path = folder / PAILLIER_FILE
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_KEY") from error
    return PrivateKey.from_pem(pem, _read_secrets(folder).passphrase)


def create_witness(folder: Path, name: str, log_key: VerifierKey) -> VerifierKey:
    """Draw a key for cosignatures alone, pin the log's key beside it, and return the witness's public key.

    Raises: OSError.
    """
    verifier = create_witness_key(folder, name)
    (folder / LOG_KEY_FILE).write_text(f"{log_key.vkey()}\n", encoding="utf-8")
    return verifier


def create_witness_key(folder: Path, name: str) -> VerifierKey:
    """Draw a key for cosignatures alone, and return the witness's public key. Raises: OSError."""
    signer = CosignatureSigner(name, draw_cosigner())
    write_private(folder / WITNESS_FILE, cosigner_pem(signer.key))
    return signer.verifier


def draw_cosigner() -> Ed25519PrivateKey:
    """Return a new key for cosignatures."""
    return Ed25519PrivateKey.generate()


def cosigner_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a key for cosignatures as `witness.key` holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_cosigner(folder: Path, name: str, file: str = WITNESS_FILE) -> CosignatureSigner:
    """Return the key with which this party cosigns under `name`. Raises: ConfigurationError."""
    path = folder / file
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_KEY") from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: not an unencrypted PEM key", code="MISSING_KEY") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key", code="MISSING_KEY")
    return CosignatureSigner(name, key)


def read_log_key(folder: Path) -> VerifierKey:
    """Return the log key that this party has pinned. Raises: ConfigurationError."""
    path = folder / LOG_KEY_FILE
    try:
        key = parse_vkey(path.read_text(encoding="utf-8").removesuffix("\n"))
    except (OSError, UnicodeError, MalformedMessage) as error:
        raise ConfigurationError(f"{path}: missing, or not one vkey line", code="MISSING_KEY") from error
    if key.type is not SignatureType.NOTE:
        raise ConfigurationError(f"{path}: the key of a witness, not of a log", code="MISSING_KEY")
    return key


def write_cards(folder: Path, cards: list[PartyCard]) -> None:
    """Write the public cards that every party pins."""
    folder.mkdir(parents=True, exist_ok=True)
    for card in cards:
        (folder / f"{card.party}.card").write_bytes(encode(card))


def read_cards(folder: Path) -> Pins:
    """Return the pinned cards of a federation, of its roster if there is one.

    Raises: ConfigurationError, VerificationFailed.
    """
    signed = read_roster(folder)
    if signed is not None:
        pins = pin_first(signed)
        pins.settle(int(time.time()))
        return pins
    paths = sorted(folder.glob("*.card"))
    if not paths:
        raise ConfigurationError(f"{folder}: no party cards", code="MISSING_KEY")
    try:
        return Pins(decode(path.read_bytes(), PartyCard) for path in paths)
    except MalformedMessage as error:
        raise ConfigurationError(f"{folder}: {error}", code="MALFORMED_CARD") from error


def read_roster(folder: Path) -> SignedRoster | None:
    """Return the roster in a folder of cards, None if there is none. Raises: ConfigurationError."""
    path = folder / ROSTER_FILE
    try:
        return decode(path.read_bytes(), SignedRoster)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="MISSING_KEY") from error
    except MalformedMessage as error:
        raise ConfigurationError(f"{path}: {error}", code="MALFORMED_CARD") from error


def write_roster(folder: Path, signed: SignedRoster) -> None:
    """Put a roster in the place of an older one, whole: a reader finds the one or the other. Raises: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    known = read_roster(folder)
    if known is None or known.roster.sequence < signed.roster.sequence:
        replace_file(folder / ROSTER_FILE, encode(signed), 0o644)


def _keys_of(folder: Path) -> PartyKeys:
    stored = _read_secrets(folder)
    try:
        return PartyKeys.from_bytes(PartyId(stored.party), stored.keys)
    except ValueError as error:
        raise ConfigurationError(f"{folder / KEY_FILE}: not a party's key file", code="MISSING_KEY") from error


def _earlier(folder: Path, name: str) -> list[Path]:
    """Return the files of this name that were replaced, newest first."""
    return sorted((folder / EARLIER).glob(f"*/{name}"), reverse=True)


def _read_secrets(folder: Path) -> _Secrets:
    path = folder / KEY_FILE
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=_Secrets)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_KEY") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: not a party's key file", code="MISSING_KEY") from error


def write_private(path: Path, data: bytes) -> None:
    """Write a secret for the owner alone. Raises: OSError, also if there is such a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` in the place of a file, durably: a reader finds the old one or the new one whole. Raises: OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    partial.unlink(missing_ok=True)
    try:
        write_private(partial, data)
        partial.chmod(mode)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
