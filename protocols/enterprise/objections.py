"""What an enterprise may object to, how a node may decide, and by when: codes alone, so that the log can state them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

OBJECTION_DAYS: Final = 20
"""Calendar days in which a node decides an objection, from the time of its leaf in the log."""

DAY_SECONDS: Final = 86_400
OBJECTION_SECONDS: Final = OBJECTION_DAYS * DAY_SECONDS


class Ground(StrEnum):
    """What an enterprise says is wrong."""

    RECORD_WRONG = "RECORD_WRONG"
    RECORD_OUTDATED = "RECORD_OUTDATED"
    RECORD_NOT_MINE = "RECORD_NOT_MINE"
    EVENT_REPAIRED = "EVENT_REPAIRED"
    QUERY_NOT_AUTHORISED = "QUERY_NOT_AUTHORISED"
    RESULT_DISPUTED = "RESULT_DISPUTED"


class Verdict(StrEnum):
    """How a node decided.

    `CORRECTED`: its records were put right, or an event that was repaired has left its features. `UPHELD`: the
    objection is right, and there was nothing in its records to put right. `REJECTED`: they stand. `INADMISSIBLE`:
    whoever objected has not shown to be the enterprise; the node decides this by itself, at once.
    """

    CORRECTED = "CORRECTED"
    UPHELD = "UPHELD"
    REJECTED = "REJECTED"
    INADMISSIBLE = "INADMISSIBLE"


class Reason(StrEnum):
    """Why a node decided as it did."""

    RECORD_CORRECTED = "RECORD_CORRECTED"
    EVENT_REPAIRED = "EVENT_REPAIRED"
    RECORD_CONFIRMED = "RECORD_CONFIRMED"
    NO_SUCH_RECORD = "NO_SUCH_RECORD"
    NOT_OUR_RECORD = "NOT_OUR_RECORD"
    CONSENT_ON_RECORD = "CONSENT_ON_RECORD"
    NO_CONSENT_ON_RECORD = "NO_CONSENT_ON_RECORD"
    REFERRED_TO_AUDITOR = "REFERRED_TO_AUDITOR"
    NOT_SUBSTANTIATED = "NOT_SUBSTANTIATED"
