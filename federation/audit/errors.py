"""The stable codes by which the audit log says what is wrong with it, and the errors that carry them."""

from __future__ import annotations

from typing import Final

from protocols.errors import VerificationFailed

NOT_A_LOG: Final = "LOG_UNREADABLE"
LOCKED: Final = "LOG_IN_USE"
NOT_WRITABLE: Final = "LOG_NOT_WRITABLE"
KEYS_MISSING: Final = "LOG_KEYS"
DAMAGED: Final = "LOG_DAMAGED"
HEAD_MISMATCH: Final = "LOG_HEAD"
BEHIND_WITNESSES: Final = "LOG_ROLLED_BACK"
FORKED: Final = "LOG_FORKED"
RECORD_MISSING: Final = "LOG_WITNESSED_RECORD"
NOT_COVERED: Final = "LEAF_NOT_WITNESSED"
NOT_WITNESSED: Final = "LOG_NOT_WITNESSED"
CHECKPOINT_INVALID: Final = "CHECKPOINT_INVALID"
ROOT_MISMATCH: Final = "ROOT_MISMATCH"
NODE_ALTERED: Final = "NODE_ALTERED"
LEAF_MISSING: Final = "LEAF_MISSING"
LEAF_MALFORMED: Final = "LEAF_MALFORMED"
LEAF_ALTERED: Final = "LEAF_ALTERED"
LEAF_NOT_SIGNED: Final = "LEAF_NOT_SIGNED"
EXPORT_ALTERED: Final = "EXPORT_ALTERED"
EXPORT_NOT_MADE: Final = "OUT_NOT_EMPTY"


def damaged(text: str, code: str) -> VerificationFailed:
    """Return the error for a log file that contradicts itself, its signatures or its witnesses."""
    return VerificationFailed(f"audit log: {text}", code=code)
