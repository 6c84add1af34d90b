"""The public keys of a log as two text files of vkey lines, `log.pub` and `witnesses.txt`, in the coordinator's folder.

They are the verifier's trust: an auditor takes them from the parties, not from the log's own machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from federation.audit.errors import KEYS_MISSING
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.notes import VerifierKey, parse_vkey

LOG_KEY_FILE: Final = "log.pub"
WITNESS_FILE: Final = "witnesses.txt"


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
