"""Reads one party's table, checks it, and says exactly where it is wrong: file, column, row.

Rows are counted from 1, the header of a CSV file not included.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from nodes.features import FeatureTable, compute_features
from nodes.sources.dataset import BANK_DOMAIN, DatasetDescription
from protocols import uscc
from protocols.errors import ConfigurationError

MISSING_TOKENS: Final = frozenset({"", "na", "n/a", "nan", "null", "none"})
Column = NDArray[np.float64] | NDArray[np.object_]


def read_node_source(description: DatasetDescription, domain: str) -> FeatureTable:
    """Return a data node's features, computed from its own file or folder alone.

    Raises: ConfigurationError with a stable code and a text that names file, column and row.
    """
    path = description.source(domain)
    if path.is_dir():
        return _selected(path, compute_features(domain, path), description.domains[domain])
    raw = _Raw(path)
    if description.label_column in raw.columns:
        raise ConfigurationError(
            f"{path}: column {description.label_column!r} is the label, which only the bank may hold",
            code="LABEL_IN_DATA_NODE",
        )
    return raw.table(description.id_column, description.domains[domain])


def read_bank_source(description: DatasetDescription) -> tuple[FeatureTable, NDArray[np.int64]]:
    """Return the bank's own features and the outcomes (0 good, 1 defaulted), in the file's row order.

    Raises: ConfigurationError as above.
    """
    path, features = description.source(BANK_DOMAIN), description.domains.get(BANK_DOMAIN, ())
    label = description.label_column
    if path.is_dir():
        table = _selected(path, compute_features(BANK_DOMAIN, path), (*features, label))
    else:
        table = _Raw(path).table(description.id_column, (*features, label))
    outcomes = _outcomes(path, label, table.columns[label])
    own = {name: column for name, column in table.columns.items() if name != label}
    return FeatureTable(table.ids, own), outcomes


def require_usccs(path: Path, ids: list[str]) -> bool:
    """Return whether a party's ids are unified social credit codes; if most are, all must be.

    Raises: ConfigurationError, code INVALID_USCC, naming the first row whose code does not check.
    """
    valid = [uscc.is_valid(identifier) for identifier in ids]
    if 2 * sum(valid) <= len(valid):
        return False
    if not all(valid):
        row = valid.index(False)
        raise ConfigurationError(f"{path}: row {row + 1}: not a valid unified social credit code", code="INVALID_USCC")
    return True


class _Raw:
    """A file as text columns; what is missing is None."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = _read_text(path)

    def table(self, id_column: str, names: tuple[str, ...]) -> FeatureTable:
        for name in (id_column, *names):
            if name not in self.columns:
                raise ConfigurationError(f"{self.path}: column {name!r} is missing", code="MISSING_COLUMN")
        ids = self._ids(id_column)
        return FeatureTable(ids, {name: _typed(self.columns[name]) for name in names})

    def _ids(self, name: str) -> list[str]:
        values = self.columns[name]
        if not len(values):
            raise ConfigurationError(f"{self.path}: no rows", code="EMPTY_NODE")
        first_row: dict[str, int] = {}
        for row, value in enumerate(values.tolist(), start=1):
            identifier = "" if value is None else str(value).strip()
            if not identifier or len(identifier) > 128:
                raise ConfigurationError(
                    f"{self.path}: column {name!r}, row {row}: the id is empty or too long", code="INVALID_ID"
                )
            if identifier in first_row:
                raise ConfigurationError(
                    f"{self.path}: column {name!r}, row {row}: the id of row {first_row[identifier]} again",
                    code="DUPLICATE_ID",
                )
            first_row[identifier] = row
        return list(first_row)


def _read_text(path: Path) -> dict[str, NDArray[np.object_]]:
    source = (
        "read_parquet(?)" if path.suffix == ".parquet" else "read_csv(?, all_varchar=true, header=true, sample_size=-1)"
    )
    with duckdb.connect() as connection:
        try:
            connection.execute("SET threads = 1")
            relation = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {source}", [str(path)])  # noqa: S608
            arrays = relation.fetchnumpy()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0][:200] if isinstance(error, duckdb.InvalidInputException) else ""
            raise ConfigurationError(
                f"{path}: cannot be read as {path.suffix.removeprefix('.')} {reason}".rstrip(), code="UNREADABLE_FILE"
            ) from error
    return {name: _nullable(values) for name, values in arrays.items()}


def _nullable(values: NDArray[np.generic]) -> NDArray[np.object_]:
    filled = np.array(np.ma.getdata(values), dtype=object)
    filled[np.ma.getmaskarray(values)] = None
    missing = [value is None or str(value).strip().lower() in MISSING_TOKENS for value in filled.tolist()]
    filled[np.array(missing, dtype=bool)] = None
    return filled


def _typed(values: NDArray[np.object_]) -> Column:
    """Return floats if every value that is there is a number, else the texts."""
    try:
        return np.array([np.nan if value is None else float(value) for value in values.tolist()], dtype=np.float64)
    except ValueError:
        return np.array([None if v is None else str(v).strip() for v in values.tolist()], dtype=object)


def _outcomes(path: Path, label: str, column: Column) -> NDArray[np.int64]:
    values = column.tolist()
    for row, value in enumerate(values, start=1):
        if value not in (0.0, 1.0):
            raise ConfigurationError(f"{path}: column {label!r}, row {row}: not 0 or 1", code="LABEL_NOT_BINARY")
    outcomes = np.array(values, dtype=np.int64)
    if outcomes.min() == outcomes.max():
        raise ConfigurationError(f"{path}: column {label!r}: all outcomes are alike", code="LABEL_NOT_BINARY")
    return outcomes


def _selected(path: Path, table: FeatureTable, names: tuple[str, ...]) -> FeatureTable:
    for name in names:
        if name not in table.columns:
            raise ConfigurationError(f"{path}: column {name!r} is missing", code="MISSING_COLUMN")
    if not table.ids:
        raise ConfigurationError(f"{path}: no rows", code="EMPTY_NODE")
    return FeatureTable(table.ids, {name: table.columns[name] for name in names})
