"""An auditor's own keys: drawn by the auditor, kept under a passphrase, known to the others by a card.

auditor.key      the secret keys, under a key that scrypt derives from the passphrase (0600)
NAME.card        the public card, which every party pins: from then on it seals bodies to this auditor too
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import encode
from protocols.errors import ConfigurationError

AUDITOR_FILE: Final = "auditor.key"
MIN_PASSPHRASE: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FORMAT: Final = "credfed-auditor-key/1"
_LOG2_COST: Final = 16  # 64 MiB and about a quarter of a second
_MAX_LOG2_COST: Final = 18  # 256 MiB: a damaged file must not exhaust the machine


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `auditor.key`; all but `sealed` is authenticated with it."""

    format: str
    auditor: str
    log2_cost: int
    salt: bytes
    nonce: bytes
    sealed: bytes

    def cipher(self, passphrase: str) -> AESGCM:
        cost = 1 << self.log2_cost
        return AESGCM(Scrypt(salt=self.salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode()))

    def header(self) -> bytes:
        return msgspec.msgpack.encode(msgspec.structs.replace(self, sealed=b""))


def create_auditor(folder: Path, name: PartyId, passphrase: str) -> PartyCard:
    """Draw an auditor's keys, write them and the card into `folder`, and return the card.

    Raises: ConfigurationError for a short passphrase, a bad name or a folder that holds an auditor already; OSError.
    """
    if len(passphrase) < MIN_PASSPHRASE:
        raise ConfigurationError(f"a passphrase has at least {MIN_PASSPHRASE} characters", code="PASSPHRASE")
    if not _NAME.fullmatch(name):
        raise ConfigurationError("an auditor's name is letters, digits, dots and dashes, at most 64", code="BAD_NAME")
    keys = PartyKeys.generate(name, secrets.token_bytes)
    draft = _KeyFile(_FORMAT, name, _LOG2_COST, secrets.token_bytes(16), secrets.token_bytes(12), b"")
    sealed = draft.cipher(passphrase).encrypt(draft.nonce, keys.to_bytes(), draft.header())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(folder / AUDITOR_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{folder / AUDITOR_FILE}: there is a key already", code="KEY_EXISTS") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.msgpack.encode(msgspec.structs.replace(draft, sealed=sealed)))
    card = make_card(keys, PartyRole.AUDITOR)
    (folder / f"{name}.card").write_bytes(encode(card))
    return card


def auditor_name(folder: Path) -> PartyId:
    """Return whose keys a folder says it holds, which only the passphrase shows. Raises: ConfigurationError."""
    return PartyId(_read(folder / AUDITOR_FILE if folder.is_dir() else folder).auditor)


def read_auditor(folder: Path, passphrase: str) -> PartyKeys:
    """Return an auditor's keys. Raises: ConfigurationError for a wrong passphrase, or no such file."""
    path = folder / AUDITOR_FILE if folder.is_dir() else folder
    stored = _read(path)
    try:
        secret = stored.cipher(passphrase).decrypt(stored.nonce, stored.sealed, stored.header())
        return PartyKeys.from_bytes(PartyId(stored.auditor), secret)
    except InvalidTag:
        raise ConfigurationError(f"{path}: damaged, or the passphrase is wrong", code="PASSPHRASE") from None
    except ValueError:
        raise ConfigurationError(f"{path}: not an auditor's key file", code="MISSING_KEY") from None


def _read(path: Path) -> _KeyFile:
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=_KeyFile)
        known = stored.format == _FORMAT and _NAME.fullmatch(stored.auditor) is not None
        if not (known and 1 <= stored.log2_cost <= _MAX_LOG2_COST):
            raise ValueError
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_KEY") from error
    except (msgspec.DecodeError, UnicodeError, ValueError):
        raise ConfigurationError(f"{path}: not an auditor's key file", code="MISSING_KEY") from None
    return stored
