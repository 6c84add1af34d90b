"""A log's keys in the coordinator's folder: `log.pub` and `witnesses.txt`, public, as vkey lines; `log.key`, secret.

The public ones are the verifier's trust: an auditor takes them from the parties, not from the log's own machine. The
secret one signs checkpoints and nothing else; it is not the key with which the coordinator signs messages.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from federation.audit.errors import KEYS_MISSING
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.notes import NoteSigner, VerifierKey, parse_vkey

LOG_KEY_FILE: Final = "log.pub"
WITNESS_FILE: Final = "witnesses.txt"
SIGNER_FILE: Final = "log.key"


def create_log_signer(directory: Path, origin: str) -> NoteSigner:
    """Draw the log's signing key and write it for the owner alone. Raises: OSError if there is one already."""
    signer = NoteSigner(origin, Ed25519PrivateKey.generate())
    descriptor = os.open(directory / SIGNER_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return signer


def read_log_signer(directory: Path) -> NoteSigner:
    """Return the log's signing key under the name that `log.pub` gives it. Raises: ConfigurationError."""
    path = directory / SIGNER_FILE
    public = read_log_keys(directory).log
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(f"{path}: missing, or not an unencrypted PEM key", code=KEYS_MISSING) from None
    if not isinstance(key, Ed25519PrivateKey) or key.public_key().public_bytes_raw() != public.key:
        raise ConfigurationError(f"{path}: not the secret key of {LOG_KEY_FILE}", code=KEYS_MISSING)
    return NoteSigner(public.name, key)


def read_log_keys(directory: Path, quorum: int | None = None) -> LogKeys:
    """Return the keys in `directory`; an empty `witnesses.txt` means that there are none.

    Blank lines and lines beginning with `#` are passed over. Raises: ConfigurationError naming file and line.
    """
    logs = _read_vkeys(directory / LOG_KEY_FILE)
    if len(logs) != 1:
        raise ConfigurationError(f"{directory / LOG_KEY_FILE}: {len(logs)} keys where one is due", code=KEYS_MISSING)
    witnesses = _read_vkeys(directory / WITNESS_FILE)
    try:
        return LogKeys(logs[0], tuple(witnesses), quorum)
    except ValueError as error:
        raise ConfigurationError(f"{directory}: {error}", code=KEYS_MISSING) from None


def write_log_keys(directory: Path, keys: LogKeys) -> None:
    """Write both files, as `read_log_keys` reads them. Raises: OSError."""
    (directory / LOG_KEY_FILE).write_text(f"{keys.log.vkey()}\n", encoding="utf-8")
    (directory / WITNESS_FILE).write_text("".join(f"{w.vkey()}\n" for w in keys.witnesses), encoding="utf-8")


def _read_vkeys(path: Path) -> list[VerifierKey]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{path}: missing or not readable as text", code=KEYS_MISSING) from None
    keys = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(parse_vkey(line.strip()))
        except MalformedMessage as error:
            raise ConfigurationError(f"{path}, line {number}: {error}", code=KEYS_MISSING) from None
    return keys
