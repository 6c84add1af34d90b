"""One thing that does not fit between a log and the records it is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """What is wrong with one query, or one run by its transcript.

    `party` is who is concerned, empty if the whole query is.
    """

    query: str
    code: str
    party: str
    text: str
