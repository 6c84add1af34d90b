"""Applies an owner's repairs: events to the raw records before its SQL reads them, values to the features after it.

An event that was repaired (信用修复) leaves the records, or has the right values in their place, so that no feature is
computed from it; a value that was corrected takes the place of the computed one. A table of raw records may also say
so itself: rows whose column `repaired_at` is not empty are never read.

A repair whose event or enterprise is not there any more changes nothing: the source has moved on. One that is about to
be made (number 0) must find exactly what it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import duckdb
import numpy as np

from nodes.features.table import Column, FeatureTable
from nodes.ledger.repairs import Change, Repair, RepairKind
from protocols.errors import ConfigurationError

REPAIRED_AT: Final = "repaired_at"
CODE: Final = "BAD_REPAIR"


def amend_events(connection: duckdb.DuckDBPyConnection, id_column: str, repairs: Sequence[Repair]) -> None:
    """Change the tables of raw records as the repairs of events say. Raises: ConfigurationError, code BAD_REPAIR."""
    events = [repair for repair in repairs if repair.kind is RepairKind.EVENT]
    for table in sorted({repair.place for repair in events}):
        types = _types(connection, table)
        for repair in (one for one in events if one.place == table):
            _amend(connection, id_column, types, repair)


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Make a table of a view, so that it can be changed, and return the types of its columns."""
    name = _name(table)
    try:
        connection.execute(f"CREATE TABLE {_name('repaired ' + table)} AS SELECT * FROM {name}")  # noqa: S608
    except duckdb.CatalogException as error:
        raise ConfigurationError(f"a repair names the table {table!r}, and there is none", code=CODE) from error
    connection.execute(f"DROP VIEW {name}")
    connection.execute(f"ALTER TABLE {_name('repaired ' + table)} RENAME TO {name}")
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {name}").fetchall()}


def _amend(connection: duckdb.DuckDBPyConnection, id_column: str, types: Mapping[str, str], repair: Repair) -> None:
    named = {id_column: repair.subject, **repair.event}
    for column in (*named, *(repair.change or {})):
        if column not in types:
            raise ConfigurationError(f"{repair.place} has no column {column!r}", code=CODE)
    table, where = _name(repair.place), " AND ".join(_equals(types, column, value) for column, value in named.items())
    wanted = [value for value in named.values() if value is not None]
    if not repair.number:
        (count,) = _one(connection, f"SELECT count(*) FROM {table} WHERE {where}", wanted)  # noqa: S608
        if count != 1:
            raise ConfigurationError(f"{count} events of {repair.place} are so named, not 1", code=CODE)
        _check_values(connection, types, repair.change or {})
    if repair.change is None:
        connection.execute(f"DELETE FROM {table} WHERE {where}", wanted)  # noqa: S608
        return
    new = ", ".join(f"{_name(column)} = TRY_CAST(? AS {types[column]})" for column in repair.change)
    connection.execute(f"UPDATE {table} SET {new} WHERE {where}", [*repair.change.values(), *wanted])  # noqa: S608


def _check_values(connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], change: Change) -> None:
    for column, value in change.items():
        (found,) = _one(connection, f"SELECT TRY_CAST(? AS {types[column]})", [value])
        if value is not None and found is None:
            raise ConfigurationError(f"{column}: the new value is no {types[column]}", code=CODE)


def _equals(types: Mapping[str, str], column: str, value: str | None) -> str:
    return f"{_name(column)} IS NULL" if value is None else f"{_name(column)} = TRY_CAST(? AS {types[column]})"


def _one(connection: duckdb.DuckDBPyConnection, statement: str, values: Sequence[str | None]) -> tuple[object, ...]:
    (row,) = connection.execute(statement, list(values)).fetchall()
    return tuple(row)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def correct_values(table: FeatureTable, repairs: Sequence[Repair]) -> FeatureTable:
    """Return the features with every corrected value in its place. Raises: ConfigurationError, code BAD_REPAIR."""
    values = [repair for repair in repairs if repair.kind is RepairKind.VALUE]
    if not values:
        return table
    row_of = {identifier: row for row, identifier in enumerate(table.ids)}
    columns = {name: column.copy() for name, column in table.columns.items()}
    for repair in values:
        row, column = row_of.get(repair.subject), columns.get(repair.place)
        if not repair.number and (row is None or column is None):
            raise ConfigurationError(
                f"{'this enterprise' if row is None else repair.place}: not among the features", code=CODE
            )
        if row is not None and column is not None:
            column[row] = _value(repair, column)
    return FeatureTable(table.ids, columns, table.special, table.as_of)


def _value(repair: Repair, column: Column) -> float | str | None:
    value = (repair.change or {}).get(repair.place)
    if column.dtype != np.float64:
        return value
    if value is None:
        return float("nan")
    try:
        return float(value)
    except ValueError as error:
        raise ConfigurationError(f"{repair.place}: a number is due", code=CODE) from error
