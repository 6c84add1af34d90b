"""Reads one party's table, checks it, and says exactly where it is wrong: file, column, row.

Rows are counted from 1, the header of a CSV file not included.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.features import DEFAULT_AS_OF, FeatureTable, compute_features
from nodes.features.owned import FEATURES_FILE
from nodes.features.repairs import correct_values
from nodes.ledger.repairs import Repair, RepairKind
from nodes.sources.dataset import BANK_DOMAIN, DatasetDescription
from nodes.sources.files import Text, read_columns
from nodes.sources.records import Records
from nodes.sources.views import read_views
from protocols import uscc
from protocols.errors import ConfigurationError

MISSING_TOKENS: Final = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?", "-", "--"})
MAX_ID: Final = 128
Column = NDArray[np.float64] | NDArray[np.object_]


def read_node_source(description: DatasetDescription, node: str, repairs: Sequence[Repair] = ()) -> FeatureTable:
    """Return a data node's features, computed from its own file or folder alone, with what was put right.

    Which values are codes, its `features.yaml` and `domains.json` say; the latter counts more.
    Raises: ConfigurationError with a stable code and a text that names file, column and row.
    """
    table = correct_values(_node_table(description, node, repairs), repairs)
    return replace(table, special={**table.special, **description.special_of(description.nodes[node])})


def _node_table(description: DatasetDescription, node: str, repairs: Sequence[Repair]) -> FeatureTable:
    path, columns = description.source(node), description.node_columns(node)
    if (path / FEATURES_FILE).exists():
        file, records = read_views(path, repairs)
        as_of = file.as_of or records.newest or datetime.datetime.now(datetime.UTC).date()
        special = {feature.name: tuple(sorted(feature.special)) for feature in file.features if feature.special}
        kept = {name: codes for name, codes in special.items() if name in columns}
        return replace(_checked(path, records, columns), special=kept, as_of=as_of)
    if path.is_dir():
        table = compute_features(description.nodes[node], path, repairs=repairs)
        return replace(_selected(path, table, columns), as_of=DEFAULT_AS_OF)
    if any(repair.kind is RepairKind.EVENT for repair in repairs):
        raise ConfigurationError(f"{path}: a table of features has no events; correct a value", code="BAD_REPAIR")
    raw = _Raw(path)
    if description.label_column in raw.columns:
        raise ConfigurationError(
            f"{path}: column {description.label_column!r} is the label, which only the bank may hold",
            code="LABEL_IN_DATA_NODE",
        )
    return replace(raw.table(description.id_column, columns), as_of=_as_of(description, path))


def read_raw(description: DatasetDescription, domain: str) -> Records:
    """Return a data node's rows as a file or folder gives them, ids unchecked. Raises: ConfigurationError."""
    path, names = description.source(domain), description.node_columns(domain)
    if path.is_dir():
        table = _selected(path, compute_features(description.nodes[domain], path), names)
        return Records(list(table.ids), dict(table.columns), DEFAULT_AS_OF)
    raw = _Raw(path)
    raw.require(description.id_column, names)
    ids = [None if value is None else str(value).strip() for value in raw.columns[description.id_column].tolist()]
    columns = {name: _typed(_without_missing(raw.columns[name])) for name in names}
    return Records(ids, columns, _as_of(description, path))


def read_bank_source(description: DatasetDescription, bank: str = "") -> tuple[FeatureTable, NDArray[np.int64]]:
    """Return a bank's own features and the outcomes (0 good, 1 defaulted), in the file's row order; first bank's if "".

    Raises: ConfigurationError as above.
    """
    name = bank or description.banks[0]
    path, features = description.source(name), description.bank_columns(name)
    label = description.label_column
    if path.is_dir():
        table, as_of = _selected(path, compute_features(BANK_DOMAIN, path), (*features, label)), DEFAULT_AS_OF
    else:
        table, as_of = _Raw(path).table(description.id_column, (*features, label)), _as_of(description, path)
    outcomes = _outcomes(path, label, table.columns[label])
    own = {name: column for name, column in table.columns.items() if name != label}
    domain = name if name in description.domains else BANK_DOMAIN
    return FeatureTable(table.ids, own, description.special_of(domain), as_of), outcomes


def is_identifier(text: str) -> bool:
    """Return whether a text can name an enterprise: 1 to 128 printable characters."""
    return 0 < len(text) <= MAX_ID and text.isprintable()


def uses_usccs(ids: list[str]) -> bool:
    """Return whether enterprises go by unified social credit codes: whether most of these ids are valid ones."""
    return 2 * sum(map(uscc.is_valid, ids)) > len(ids)


def require_usccs(description: DatasetDescription, domain: str, ids: list[str]) -> None:
    """Return if every id of a party is a valid unified social credit code.

    Raises: ConfigurationError, code INVALID_USCC, naming the first row whose code does not check.
    """
    for row, identifier in enumerate(ids, start=1):
        if not uscc.is_valid(identifier):
            raise ConfigurationError(
                f"{description.source(domain)}: column {description.id_column!r}, row {row}: "
                "not a valid unified social credit code",
                code="INVALID_USCC",
            )


class _Raw:
    """A file as text columns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = read_columns(path)

    def require(self, id_column: str, names: tuple[str, ...]) -> None:
        for name in (id_column, *names):
            if name not in self.columns:
                raise ConfigurationError(f"{self.path}: column {name!r} is missing", code="MISSING_COLUMN")

    def table(self, id_column: str, names: tuple[str, ...]) -> FeatureTable:
        self.require(id_column, names)
        ids = self._ids(id_column)
        return FeatureTable(ids, {name: _typed(_without_missing(self.columns[name])) for name in names})

    def _ids(self, name: str) -> list[str]:
        values = self.columns[name]
        if not len(values):
            raise ConfigurationError(f"{self.path}: no rows", code="EMPTY_NODE")
        first_row: dict[str, int] = {}
        for row, value in enumerate(values.tolist(), start=1):
            identifier = "" if value is None else str(value).strip()
            if not is_identifier(identifier):
                raise ConfigurationError(
                    f"{self.path}: column {name!r}, row {row}: the id is empty, too long, or not printable text",
                    code="INVALID_ID",
                )
            if identifier in first_row:
                raise ConfigurationError(
                    f"{self.path}: column {name!r}, row {row}: the id of row {first_row[identifier]} again",
                    code="DUPLICATE_ID",
                )
            first_row[identifier] = row
        return list(first_row)


def _without_missing(values: Text) -> Text:
    """Return the column with None for every spelling of a missing value."""
    missing = [value is None or str(value).strip().lower() in MISSING_TOKENS for value in values.tolist()]
    values = values.copy()
    values[np.array(missing, dtype=bool)] = None
    return values


def _typed(values: Text) -> Column:
    """Return floats if every value that is there is a number, else the texts."""
    try:
        return np.array(
            [np.nan if value is None else read_number(value) for value in values.tolist()], dtype=np.float64
        )
    except ValueError:
        return np.array([None if v is None else str(v).strip() for v in values.tolist()], dtype=object)


def read_number(text: str) -> float:
    """Return the number that a text spells. Raises: ValueError; also for Python's own `1_000`, which is a category."""
    if "_" in text:
        raise ValueError("digits parted by underscores")
    return float(text)


def _outcomes(path: Path, label: str, column: Column) -> NDArray[np.int64]:
    outcomes = np.array([_outcome(value) for value in column.tolist()], dtype=np.int64)
    if outcomes.min() < 0:
        row = int(np.argmin(outcomes)) + 1
        raise ConfigurationError(f"{path}: column {label!r}, row {row}: not 0 or 1", code="LABEL_NOT_BINARY")
    if outcomes.min() == outcomes.max():
        raise ConfigurationError(f"{path}: column {label!r}: all outcomes are alike", code="LABEL_NOT_BINARY")
    return outcomes


def _outcome(value: object) -> int:
    """Return 0 or 1, or -1 for anything else; a truth value of a Parquet file counts as one of them."""
    text = {"true": "1", "false": "0"}.get(str(value), str(value))
    try:
        number = float(text)
    except ValueError:
        return -1
    return int(number) if number in (0.0, 1.0) else -1


def _as_of(description: DatasetDescription, file: Path) -> datetime.date:
    """Return the day that is declared; else when the file was written (UTC), the best that it says of its freshness."""
    return description.as_of or datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).date()


def _checked(path: Path, records: Records, names: tuple[str, ...]) -> FeatureTable:
    """Return the rows that views gave, if each has an id of its own. Raises: ConfigurationError, naming the row."""
    first_row: dict[str, int] = {}
    for row, identifier in enumerate(records.ids, start=1):
        if identifier is None or not is_identifier(identifier):
            raise ConfigurationError(
                f"{path}: row {row} of the view 'features': the id is empty, too long, or not printable text",
                code="INVALID_ID",
            )
        if identifier in first_row:
            raise ConfigurationError(
                f"{path}: row {row} of the view 'features': the id of row {first_row[identifier]} again",
                code="DUPLICATE_ID",
            )
        first_row[identifier] = row
    return _selected(path, FeatureTable(list(first_row), records.columns), names)


def _selected(path: Path, table: FeatureTable, names: tuple[str, ...]) -> FeatureTable:
    for name in names:
        if name not in table.columns:
            raise ConfigurationError(f"{path}: column {name!r} is missing", code="MISSING_COLUMN")
    if not table.ids:
        raise ConfigurationError(f"{path}: no rows", code="EMPTY_NODE")
    return FeatureTable(table.ids, {name: table.columns[name] for name in names})
