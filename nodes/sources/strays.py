"""Columns that say more as numbers than as the texts they are read as, because some value of theirs is no number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from nodes.sources.records import Column
from nodes.sources.tables import read_number

_DATE: Final = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(\D.*)?")


def stray_texts(columns: Mapping[str, Column]) -> Iterator[str]:
    """Yield a line for each column of texts of which half or more are numbers, or dates.

    Units: rows from 1, in the columns' order, which is their file's. The text quotes no value.
    """
    for name, column in columns.items():
        if column.dtype != object:
            continue
        present = [(row, str(value)) for row, value in enumerate(column.tolist(), start=1) if value is not None]
        strays = [row for row, text in present if not _is_number(text)]
        if strays and 2 * len(strays) <= len(present):
            told = f"{len(strays):,} of its {len(present):,} values, the first in row {strays[0]}, are no numbers"
            yield f"{name}: {told}: it is read as text"
        elif 2 * sum(_DATE.fullmatch(text) is not None for _, text in present) > len(present):
            yield f"{name}: dates are read as text: a number of days or months tells more"


def _is_number(text: str) -> bool:
    try:
        read_number(text)
    except ValueError:
        return False
    return True
