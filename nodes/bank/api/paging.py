"""Pages of a list, the latest first, by an opaque cursor that stays valid while the list grows."""

from __future__ import annotations

import base64
from typing import Annotated, Final

from fastapi import Query

from nodes.bank.api.problems import Problem

BEGINNING: Final = (1 << 63) - 1
_MARK: Final = b"n"

Cursor = Annotated[str, Query(description="`next` of the page before; none for the first page.", max_length=64)]
Limit = Annotated[int, Query(description="How many items at most.", ge=1, le=200)]


def cursor_of(number: int) -> str:
    """Return the cursor of the page behind an item."""
    return base64.urlsafe_b64encode(_MARK + str(number).encode()).decode().rstrip("=")


def number_of(cursor: str, start: int = BEGINNING) -> int:
    """Return the number behind which a page begins; `start` for no cursor. Raises: Problem, 422 BAD_CURSOR."""
    if not cursor:
        return start
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError as error:
        raise _bad() from error
    digits = raw.removeprefix(_MARK)
    if not raw.startswith(_MARK) or not digits.isdigit() or len(digits) > 19 or int(digits) > BEGINNING:
        raise _bad()
    return int(digits)


def _bad() -> Problem:
    return Problem(422, "BAD_CURSOR", "the cursor is not one that this list has given")
