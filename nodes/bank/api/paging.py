"""Pages of a list, by a cursor that stays valid while the list grows."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

BEGINNING: Final = (1 << 63) - 1

Cursor = Annotated[
    str,
    Query(pattern=r"^([0-9]{1,18})?$", description="`next` of the page before; empty for the first page."),
]
Limit = Annotated[int, Query(description="How many items at most.", ge=1, le=200)]


def cursor_of(number: int) -> str:
    """Return the cursor of the page behind an item."""
    return str(number)


def number_of(cursor: str, start: int = BEGINNING) -> int:
    """Return the number behind which a page begins; `start` for no cursor."""
    return int(cursor) if cursor else start
