"""A log's keys in the coordinator's folder: `log.pub` and `witnesses.txt`, public, as vkey lines; `log.key`, secret.

`successions.txt` holds the words by which keys were replaced, one a line: they need no trust, each carries its own.
The public ones are the verifier's trust: an auditor takes them from the parties, not from the log's own machine. The
secret one signs checkpoints and nothing else; it is not the key with which the coordinator signs messages.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
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
from protocols.channel.wire import decode, encode
from protocols.errors import ConfigurationError, MalformedMessage, VerificationFailed
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.lines import decode_base64, encode_base64
from protocols.transparency.notes import NoteSigner, VerifierKey, parse_vkey
from protocols.transparency.succession import KeySuccession, follow

LOG_KEY_FILE: Final = "log.pub"
WITNESS_FILE: Final = "witnesses.txt"
SIGNER_FILE: Final = "log.key"
NEXT_SIGNER_FILE: Final = "log.key.next"
SUCCESSION_FILE: Final = "successions.txt"


def create_log_signer(directory: Path, origin: str) -> NoteSigner:
    """Draw the log's signing key and write it for the owner alone. Raises: OSError if there is one already."""
    signer = NoteSigner(origin, Ed25519PrivateKey.generate())
    descriptor = os.open(directory / SIGNER_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_pem(signer.key))
    return signer


def draw_next_signer(directory: Path) -> None:
    """Draw the log's next signing key, for the running coordinator to take over.

    Raises: ConfigurationError, code ROTATION_PENDING, if there is one; OSError.
    """
    path = directory / NEXT_SIGNER_FILE
    if path.exists():
        raise ConfigurationError(f"{path}: a rotation is under way", code="ROTATION_PENDING")
    replace_durably(path, _pem(Ed25519PrivateKey.generate()), 0o600)


def read_next_signer(directory: Path) -> Ed25519PrivateKey | None:
    """Return the log's next signing key, None if none was drawn. Raises: ConfigurationError."""
    path = directory / NEXT_SIGNER_FILE
    return _read_private(path) if path.exists() else None


def read_log_signer(directory: Path) -> NoteSigner:
    """Return the key that signs this log, under its name; a rotation that was cut short is finished.

    Raises: ConfigurationError, OSError.
    """
    following = read_next_signer(directory)
    if following is not None and _took_over(directory, following):
        finish_succession(directory, following)
    public, key = _present(directory), _read_private(directory / SIGNER_FILE)
    if key.public_key().public_bytes_raw() != public.key:
        raise ConfigurationError(f"{directory / SIGNER_FILE}: not the secret key of {LOG_KEY_FILE}", code=KEYS_MISSING)
    return signer_of(directory, public.name, key)


def signer_of(directory: Path, name: str, key: Ed25519PrivateKey) -> NoteSigner:
    """Return a key as the log's signer, with the keys that it has replaced. Raises: ConfigurationError."""
    public = NoteSigner(name, key).verifier
    before = tuple(known for known in read_successions(directory) if known.earlier != public.key)
    return NoteSigner(name, key, follow(public, before).earlier)


def finish_succession(directory: Path, following: Ed25519PrivateKey) -> None:
    """Put the log's next key in the place of the present one; may be done twice. Raises: OSError."""
    public = NoteSigner(_present(directory).name, following).verifier
    replace_durably(directory / LOG_KEY_FILE, f"{public.vkey()}\n".encode())
    with suppress(FileNotFoundError):
        (directory / NEXT_SIGNER_FILE).replace(directory / SIGNER_FILE)


def read_log_keys(directory: Path, quorum: int | None = None, also: Sequence[KeySuccession] = ()) -> LogKeys:
    """Return the keys in `directory`; an empty `witnesses.txt` means that there are none.

    Each is followed to the newest that its successors have named, by the successions there and `also` those given.
    Blank lines and lines beginning with `#` are passed over. Raises: ConfigurationError naming file and line.
    """
    successions = (*read_successions(directory), *also)
    log = _present(directory)
    witnesses = _read_vkeys(directory / WITNESS_FILE)
    try:
        return LogKeys(follow(log, successions), tuple(follow(key, successions) for key in witnesses), quorum)
    except (ValueError, VerificationFailed) as error:
        raise ConfigurationError(f"{directory}: {error}", code=KEYS_MISSING) from None


def write_log_keys(directory: Path, keys: LogKeys) -> None:
    """Write both files, as `read_log_keys` reads them. Raises: OSError."""
    replace_durably(directory / LOG_KEY_FILE, f"{keys.log.vkey()}\n".encode())
    write_witnesses(directory, keys)


def write_witnesses(directory: Path, keys: LogKeys) -> None:
    """Write down whom a log counts on. Raises: OSError."""
    replace_durably(directory / WITNESS_FILE, "".join(f"{w.vkey()}\n" for w in keys.witnesses).encode())


def read_successions(directory: Path) -> tuple[KeySuccession, ...]:
    """Return the words by which keys of this log and its witnesses were replaced. Raises: ConfigurationError."""
    path = directory / SUCCESSION_FILE
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return tuple(decode(decode_base64(line, "a succession"), KeySuccession) for line in lines)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, MalformedMessage):
        raise ConfigurationError(f"{path}: not readable as successions of keys", code=KEYS_MISSING) from None


def succession_lines(successions: Sequence[KeySuccession]) -> bytes:
    """Return the content of `successions.txt`."""
    return "".join(f"{encode_base64(encode(succession))}\n" for succession in successions).encode()


def add_succession(directory: Path, succession: KeySuccession) -> None:
    """Write a succession down, durably, in the place of an earlier one of the same keys. Raises: OSError."""
    pair = succession.earlier, succession.later
    others = [known for known in read_successions(directory) if (known.earlier, known.later) != pair]
    replace_durably(directory / SUCCESSION_FILE, succession_lines([*others, succession]))


def replace_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a file in the place of another, whole: a reader finds the one or the other. Raises: OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _present(directory: Path) -> VerifierKey:
    """Return the one key of `log.pub`, as it stands there. Raises: ConfigurationError."""
    logs = _read_vkeys(directory / LOG_KEY_FILE)
    if len(logs) != 1:
        raise ConfigurationError(f"{directory / LOG_KEY_FILE}: {len(logs)} keys where one is due", code=KEYS_MISSING)
    return logs[0]


def _took_over(directory: Path, following: Ed25519PrivateKey) -> bool:
    """Tell whether the next key has said since when it signs: from then on the present one must not."""
    public = following.public_key().public_bytes_raw()
    return any(known.later == public and not known.open for known in read_successions(directory))


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(f"{path}: missing, or not an unencrypted PEM key", code=KEYS_MISSING) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key", code=KEYS_MISSING)
    return key


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


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
