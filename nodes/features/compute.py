"""Runs an owner's feature SQL over that owner's own Parquet files, in a DuckDB that can read nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from nodes.features.catalogue import LABEL, load_catalogue
from nodes.features.repairs import REPAIRED_AT, amend_events
from nodes.features.table import Column, FeatureTable
from nodes.ledger.repairs import Repair
from protocols.errors import ConfigurationError

DEFAULT_AS_OF: Final = datetime.date(2023, 12, 31)
ID_COLUMN: Final = "uscc"


def feature_sql(domain: str) -> str:
    """Give the SQL that this package ships for a domain. Raises: ValueError if it ships none."""
    if domain not in domains():
        raise ValueError(f"no features are defined for domain {domain!r}")
    return resources.files("nodes.features").joinpath(f"{domain}.sql").read_text(encoding="utf-8")


def domains() -> tuple[str, ...]:
    """List the domains of the catalogue, in its order."""
    return tuple(dict.fromkeys(feature.domain for feature in load_catalogue()))


def compute_features(
    domain: str,
    folder: Path,
    as_of: datetime.date = DEFAULT_AS_OF,
    sql: str | None = None,
    repairs: Sequence[Repair] = (),
) -> FeatureTable:
    """Compute one domain's features from the raw Parquet files in `folder`, from what was known at the as-of date.

    Each file is visible to the SQL under its own name. Columns come in catalogue order, then the bank's label. An owner
    whose tables differ gives its own `sql`, which must yield the same columns; by default it is `feature_sql(domain)`.
    Events that `repairs` name are put right first.
    Raises: ValueError for an unknown domain or an as-of date that does not end a month; ConfigurationError if a file
    or column is missing, or a code is missing or repeated in the result.
    """
    if (as_of + datetime.timedelta(days=1)).day != 1:
        raise ValueError("the as-of date must be the last day of a month")
    query = feature_sql(domain) if sql is None else sql
    names = [feature.name for feature in load_catalogue() if feature.domain == domain]
    if domain == "bank":
        names.append(LABEL)
    with open_folder(folder, ID_COLUMN, repairs) as connection:
        connection.execute(f"SET VARIABLE as_of = DATE '{as_of.isoformat()}'")
        try:
            arrays = connection.execute(query).fetchnumpy()
        except duckdb.Error as error:
            raise ConfigurationError(_explain(domain, folder, error), code="FEATURE_SQL") from error
    return _table(domain, folder, names, arrays)


@contextmanager
def open_folder(folder: Path, id_column: str, repairs: Sequence[Repair] = ()) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB in memory whose views are the folder's Parquet files and which may read that folder alone.

    Rows that were repaired are not in them: those with `repaired_at`, and the events that `repairs` name.
    Raises: ConfigurationError, codes NO_RECORDS, UNREADABLE_FILE, BAD_REPAIR.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise ConfigurationError(f"{folder} holds no Parquet file", code="NO_RECORDS")
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    with connection:
        connection.execute(f"SET allowed_directories = [{_quoted(f'{folder.resolve()}/')}]")
        connection.execute("SET enable_external_access = false")
        for file in files:
            view = '"' + file.stem.replace('"', '""') + '"'
            source = _quoted(str(file.resolve()))
            try:
                columns = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({source})").fetchall()  # noqa: S608
                standing = f" WHERE {REPAIRED_AT} IS NULL" if REPAIRED_AT in [row[0] for row in columns] else ""
                connection.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet({source}){standing}")  # noqa: S608
            except duckdb.Error as error:
                raise ConfigurationError(f"{file} cannot be read as Parquet", code="UNREADABLE_FILE") from error
        amend_events(connection, id_column, repairs)
        connection.execute("SET threads = 1")  # sums of floats then come out the same on every run
        connection.execute("SET lock_configuration = true")
        yield connection


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _explain(domain: str, folder: Path, error: duckdb.Error) -> str:
    """Say which table or column is missing; DuckDB's first line names it and, for these kinds, quotes no value."""
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return f"{folder}: the {domain} features cannot be computed: {str(error).splitlines()[0]}"
    return f"{folder}: the {domain} features cannot be computed ({type(error).__name__})"


def _table(domain: str, folder: Path, names: list[str], arrays: dict[str, NDArray[np.generic]]) -> FeatureTable:
    missing = [name for name in [ID_COLUMN, *names] if name not in arrays]
    if missing:
        raise ConfigurationError(f"{folder}: the {domain} SQL lacks column {missing[0]}", code="FEATURE_SQL")
    ids = _categories(arrays[ID_COLUMN]).tolist()
    if None in ids or len(set(ids)) != len(ids):
        raise ConfigurationError(f"{folder}: the {domain} records lack or repeat a {ID_COLUMN}", code="DUPLICATE_ID")
    return FeatureTable(ids=ids, columns={name: _column(arrays[name]) for name in names})


def _column(values: NDArray[np.generic]) -> Column:
    if values.dtype.kind in "OUS":
        return _categories(values)
    return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan), dtype=np.float64)


def _categories(values: NDArray[np.generic]) -> NDArray[np.object_]:
    filled = np.array(np.ma.getdata(values), dtype=object)
    filled[np.ma.getmaskarray(values)] = None  # np.ma.filled(None) would fill with a placeholder instead
    return filled
