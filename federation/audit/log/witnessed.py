"""The last witnessed checkpoint, in a small file beside the log: what the log must still contain when it starts.

It guards against restoring an old copy of the database alone. A copy of both files rolled back together is caught by
the witnesses, each of which keeps its own record.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from federation.audit.errors import NOT_A_LOG, RECORD_MISSING, damaged
from protocols.errors import ConfigurationError, CreditFederationError
from protocols.transparency.checkpoints import Checkpoint, LogKeys, verify_checkpoint

SUFFIX: Final = ".witnessed"


def record_path(log: Path) -> Path:
    """Return where the record of the log file `log` stands."""
    return log.with_suffix(SUFFIX)


def read_record_note(log: Path) -> bytes | None:
    """Return the note beside the log as it stands, None if there is none. Raises: ConfigurationError."""
    try:
        return record_path(log).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"the record {record_path(log)} cannot be read", code=NOT_A_LOG) from error


def read_record(log: Path, keys: LogKeys) -> Checkpoint | None:
    """Return the witnessed checkpoint beside the log, None if there is no file.

    Raises: VerificationFailed if the file is not a checkpoint that a quorum cosigned, ConfigurationError if it cannot
    be read.
    """
    note = read_record_note(log)
    if note is None:
        return None
    try:
        return verify_checkpoint(note, keys.log, keys.witnesses, keys.quorum).checkpoint
    except CreditFederationError as error:
        raise damaged(f"the witnessed record beside it does not verify: {error}", RECORD_MISSING) from None


def write_record(log: Path, note: bytes) -> None:
    """Replace the record, durably and at once: a reader finds the old one or the new one, whole. Raises: OSError."""
    target = record_path(log)
    draft = target.with_suffix(SUFFIX + ".new")
    with draft.open("wb") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
