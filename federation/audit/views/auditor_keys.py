"""An auditor's own keys: drawn by the auditor, kept under a passphrase, known to the others by a card.

auditor.key      the secret keys, under a key that scrypt derives from the passphrase (0600)
console.key      the signing key alone, sealed alike (0600): what the console is given to sign looks with; opens no body
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
CONSOLE_FILE: Final = "console.key"
MIN_PASSPHRASE: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FORMAT: Final = "credfed-auditor-key/1"
_SIGNING_FORMAT: Final = "credfed-auditor-signing-key/1"
_LOG2_COST: Final = 16  # 64 MiB and about a quarter of a second
_MAX_LOG2_COST: Final = 18  # 256 MiB: a damaged file must not exhaust the machine


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a key file; all but `sealed`, the last field, is authenticated with it."""

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
    _check_passphrase(passphrase)
    if not _NAME.fullmatch(name):
        raise ConfigurationError("an auditor's name is letters, digits, dots and dashes, at most 64", code="BAD_NAME")
    keys = PartyKeys.generate(name, secrets.token_bytes)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / AUDITOR_FILE, _seal(_FORMAT, name, passphrase, keys.to_bytes()))
    write_console_key(folder, keys, passphrase)
    card = make_card(keys, PartyRole.AUDITOR)
    (folder / f"{name}.card").write_bytes(encode(card))
    return card


def write_console_key(folder: Path, keys: PartyKeys, passphrase: str) -> Path:
    """Write the signing key alone, under a passphrase that may differ, and return where.

    Raises: ConfigurationError for a short passphrase, code PASSPHRASE, or if there is one already, KEY_EXISTS; OSError.
    """
    _check_passphrase(passphrase)
    signing = keys.signing.private_bytes_raw()
    _write(folder / CONSOLE_FILE, _seal(_SIGNING_FORMAT, keys.party, passphrase, signing))
    return folder / CONSOLE_FILE


def console_key(place: Path) -> tuple[PartyId, bytes]:
    """Return whose signing key a file, or a folder's `console.key`, holds, and its bytes, as sealed as they are.

    Raises: ConfigurationError, code MISSING_KEY; BAD_OPTION for a key that could open bodies, which belongs nowhere
    but with its auditor.
    """
    path = place / CONSOLE_FILE if place.is_dir() else place
    stored = _read(path, _FORMAT, _SIGNING_FORMAT)
    if stored.format != _SIGNING_FORMAT:
        text = f"{path}: the console is given {CONSOLE_FILE} alone; the key that opens bodies stays with the auditor"
        raise ConfigurationError(text, code="BAD_OPTION")
    return PartyId(stored.auditor), msgspec.msgpack.encode(stored)


def read_auditor(folder: Path, passphrase: str) -> PartyKeys:
    """Return an auditor's keys. Raises: ConfigurationError for a wrong passphrase, or no such file."""
    path = folder / AUDITOR_FILE if folder.is_dir() else folder
    stored = _read(path, _FORMAT)
    return _restore(path, stored, _open(path, stored, passphrase))


def read_console_key(path: Path, passphrase: str) -> PartyKeys:
    """Return keys that sign as the auditor and open nothing: those that agree on secrets are drawn anew each time.

    Raises: ConfigurationError for a wrong passphrase, or no such file.
    """
    stored = _read(path, _SIGNING_FORMAT)
    return _restore(path, stored, _open(path, stored, passphrase) + secrets.token_bytes(64))


def _seal(kind: str, name: str, passphrase: str, secret: bytes) -> bytes:
    draft = _KeyFile(kind, name, _LOG2_COST, secrets.token_bytes(16), secrets.token_bytes(12), b"")
    sealed = draft.cipher(passphrase).encrypt(draft.nonce, secret, draft.header())
    return msgspec.msgpack.encode(msgspec.structs.replace(draft, sealed=sealed))


def _write(path: Path, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path}: there is a key already", code="KEY_EXISTS") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _open(path: Path, stored: _KeyFile, passphrase: str) -> bytes:
    try:
        return stored.cipher(passphrase).decrypt(stored.nonce, stored.sealed, stored.header())
    except (InvalidTag, UnicodeEncodeError):
        raise ConfigurationError(f"{path}: damaged, or the passphrase is wrong", code="PASSPHRASE") from None


def _restore(path: Path, stored: _KeyFile, secret: bytes) -> PartyKeys:
    try:
        return PartyKeys.from_bytes(PartyId(stored.auditor), secret)
    except ValueError:
        raise ConfigurationError(f"{path}: not an auditor's key file", code="MISSING_KEY") from None


def _check_passphrase(passphrase: str) -> None:
    if len(passphrase) < MIN_PASSPHRASE:
        raise ConfigurationError(f"a passphrase has at least {MIN_PASSPHRASE} characters", code="PASSPHRASE")


def _read(path: Path, *formats: str) -> _KeyFile:
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=_KeyFile)
        known = stored.format in formats and _NAME.fullmatch(stored.auditor) is not None
        if not (known and 1 <= stored.log2_cost <= _MAX_LOG2_COST):
            raise ValueError
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_KEY") from error
    except (msgspec.DecodeError, UnicodeError, ValueError):
        raise ConfigurationError(f"{path}: not an auditor's key file", code="MISSING_KEY") from None
    return stored
