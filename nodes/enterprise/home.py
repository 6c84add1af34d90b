"""An enterprise's own folder.

enterprise.json    its code, and where the coordinator listens for enterprises
enterprise.key     its secret key (0600)
enterprise.card    its public card, which the consent service vouches for
credential.jwt     the consent service's word
cards/, log.pub, witnesses.txt    what it has pinned of the federation; authority.pem for TLS
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.channel.identity import PartyCard
from protocols.channel.wire import decode, encode
from protocols.consent import split_consent
from protocols.enterprise.asking import Identity
from protocols.enterprise.credential import draw_keys, make_enterprise_card, restore_keys
from protocols.enterprise.messages import ObjectionFiled
from protocols.errors import ConfigurationError, MalformedMessage

FACTS_FILE: Final = "enterprise.json"
KEY_FILE: Final = "enterprise.key"
CARD_FILE: Final = "enterprise.card"
CREDENTIAL_FILE: Final = "credential.jwt"
FILED_FILE: Final = "filed.jsonl"
RECORD_KEYS_FILE: Final = "record.keys"
AUTHORITY_FILE: Final = "authority.pem"
CODE: Final = "NOT_AN_ENTERPRISE"


class EnterpriseFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `enterprise.json` says; `coordinator` is a URL, "" if the federation is a folder on this machine."""

    enterprise: str
    coordinator: str = ""


class FiledReceipt(msgspec.Struct, frozen=True):
    """The receipt of one objection, kept for good: its leaf, when (seconds since 1970), and the log's signed note."""

    objection: str
    leaf: int
    at: int
    note: str


def keep_receipt(home: Path, filed: ObjectionFiled) -> None:
    """Keep the receipt of an objection. Raises: ConfigurationError."""
    receipt = FiledReceipt(filed.objection.hex(), filed.leaf, filed.at, filed.note.decode())
    try:
        with (home / FILED_FILE).open("ab") as file:
            file.write(msgspec.json.encode(receipt) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"{home / FILED_FILE}: {error.strerror}", code="OUT_NOT_WRITABLE") from error


def read_receipts(home: Path) -> dict[bytes, int]:
    """Return when each objection was logged that there is a receipt of. Raises: ConfigurationError."""
    path = home / FILED_FILE
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
        receipts = [msgspec.json.decode(line, type=FiledReceipt) for line in lines]
        return {bytes.fromhex(receipt.objection): receipt.at for receipt in receipts}
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise ConfigurationError(f"{path}: not receipts of objections", code=CODE) from error


def create_home(home: Path, facts: EnterpriseFacts) -> PartyCard:
    """Draw an enterprise's key, write it for its owner alone, and return the card. Raises: ConfigurationError."""
    keys = draw_keys(secrets.token_bytes)
    card = make_enterprise_card(keys)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(home / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(keys.to_bytes())
        (home / CARD_FILE).write_bytes(encode(card))
        (home / FACTS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(facts)) + b"\n")
    except FileExistsError as error:
        raise ConfigurationError(f"{home}: holds a key already", code="KEY_EXISTS") from error
    except OSError as error:
        raise ConfigurationError(f"{home}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
    return card


def read_facts(home: Path) -> EnterpriseFacts:
    """Return what `enterprise.json` says. Raises: ConfigurationError, code NOT_AN_ENTERPRISE."""
    try:
        return msgspec.json.decode((home / FACTS_FILE).read_bytes(), type=EnterpriseFacts)
    except OSError as error:
        raise ConfigurationError(f"{home}: no {FACTS_FILE} there", code=CODE) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{home / FACTS_FILE}: {error}", code=CODE) from error


def read_card(path: Path) -> PartyCard:
    """Return the card in a file, unverified. Raises: ConfigurationError, code NOT_AN_ENTERPRISE."""
    try:
        return decode(path.read_bytes(), PartyCard)
    except (OSError, MalformedMessage) as error:
        raise ConfigurationError(f"{path}: no enterprise's card", code=CODE) from error


def read_identity(home: Path) -> Identity:
    """Return the enterprise with its key and credential.

    Raises: ConfigurationError, codes NOT_AN_ENTERPRISE, NO_CREDENTIAL.
    """
    facts, card = read_facts(home), read_card(home / CARD_FILE)
    try:
        keys = restore_keys((home / KEY_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{home / KEY_FILE}: missing, or no enterprise's key", code=CODE) from error
    try:
        token, slip = split_consent((home / CREDENTIAL_FILE).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"{home / CREDENTIAL_FILE}: missing; the consent service issues it for {CARD_FILE}", code="NO_CREDENTIAL"
        ) from error
    earlier = read_record_keys(home / RECORD_KEYS_FILE)
    if card.verify_key != keys.signing.public_key().public_bytes_raw():
        raise ConfigurationError(f"{home}: the card is not that of the key", code=CODE)
    return Identity(facts.enterprise, keys, card, token, slip, earlier)


def write_record_key(path: Path, key: X25519PrivateKey) -> None:
    """Add a key with which an enterprise reads what was sealed to it. Raises: ConfigurationError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{key.private_bytes_raw().hex()}\n")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="OUT_NOT_WRITABLE") from error


def read_record_keys(path: Path) -> tuple[X25519PrivateKey, ...]:
    """Return the keys in a file, none if there is no file. Raises: ConfigurationError, code NOT_AN_ENTERPRISE."""
    try:
        lines = path.read_text(encoding="ascii").split() if path.exists() else []
        return tuple(X25519PrivateKey.from_private_bytes(bytes.fromhex(line)) for line in lines)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: not keys of 32 bytes, one a line", code=CODE) from error
