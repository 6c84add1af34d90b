"""Reads a table file as columns of text, exactly as written, and says where it is damaged: file and row.

Rows are counted from 1, the header of a CSV file not included. CSV is UTF-8 with or without a byte order mark, quoted
as RFC 4180 says; fields are parted by commas, or by semicolons or tabs if the header holds no comma. Nothing is guessed
from the rows: a guess that goes wrong on one odd row would misread all others.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from protocols.errors import ConfigurationError

Text = NDArray[np.object_]
"""One column: str, or None where the file holds no value."""

_DAMAGED = (OSError, EOFError, zlib.error, UnicodeError)


def read_columns(path: Path) -> dict[str, Text]:
    """Return the columns of a .csv, .csv.gz or .parquet file by name, in the order of the file.

    Raises: ConfigurationError, codes UNREADABLE_FILE, RAGGED_ROW, DUPLICATE_COLUMN.
    """
    return _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)


def _read_csv(path: Path) -> dict[str, Text]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = next((mark for mark in ",;\t" if mark in first), ",")
            file.seek(0)
            rows = [row for row in csv.reader(file, delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise ConfigurationError(f"{path}: cannot be read as CSV: {error}", code="UNREADABLE_FILE") from error
    except _DAMAGED as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeError) else type(error).__name__
        raise ConfigurationError(f"{path}: cannot be read: {reason}", code="UNREADABLE_FILE") from error
    if not rows:
        raise ConfigurationError(f"{path}: the file is empty", code="EMPTY_NODE")
    return _columns(path, rows[0], rows[1:])


def _columns(path: Path, header: list[str], rows: list[list[str]]) -> dict[str, Text]:
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ConfigurationError(
                f"{path}: row {number}: {len(row)} fields, where the header names {len(header)} columns",
                code="RAGGED_ROW",
            )
    for name in header:
        if header.count(name) > 1:
            raise ConfigurationError(f"{path}: column {name!r} occurs twice", code="DUPLICATE_COLUMN")
    table = np.array(rows, dtype=object).reshape(len(rows), len(header))
    return {name: table[:, index] for index, name in enumerate(header)}


def _read_parquet(path: Path) -> dict[str, Text]:
    with duckdb.connect() as connection:
        try:
            connection.execute("SET threads = 1")
            arrays = connection.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)]).fetchnumpy()
        except duckdb.Error as error:
            raise ConfigurationError(f"{path}: cannot be read as Parquet", code="UNREADABLE_FILE") from error
    return {name: _nullable(values) for name, values in arrays.items()}


def _nullable(values: NDArray[np.generic]) -> Text:
    filled = np.array(np.ma.getdata(values), dtype=object)
    filled[np.ma.getmaskarray(values)] = None
    return filled
