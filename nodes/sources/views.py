"""Runs an owner's views: in its own database, read-only, or over its Parquet files in a DuckDB that reads no others."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from nodes.features.compute import open_folder
from nodes.features.owned import FEATURES_FILE, FeaturesFile, read_features_file
from nodes.ledger.repairs import Repair, RepairKind
from nodes.sources.records import Column, Records, category_column, number_column
from protocols.errors import ConfigurationError

FEATURE_SQL: Final = "FEATURE_SQL"
UNREACHABLE: Final = "SOURCE_UNREACHABLE"
Answer = tuple[list[str], Sequence[Sequence[Any]]]
Query = Callable[[str], Answer]


def read_views(folder: Path, repairs: Sequence[Repair] = ()) -> tuple[FeaturesFile, Records]:
    """Return what the views of `folder/features.yaml` give now, from records whose events are put right.

    Raises: ConfigurationError, codes BAD_FEATURES, FEATURE_SQL, SOURCE_UNREACHABLE, MISSING_EXTRA; no text quotes a
    value or a password.
    """
    path = folder / FEATURES_FILE
    file = read_features_file(path)
    as_of = file.as_of or datetime.datetime.now(datetime.UTC).date()
    if file.source:
        _refuse_events(path, repairs)
        return file, _in_database(path, file, as_of)
    with open_folder(folder, file.id, repairs) as connection:
        connection.execute(f"SET VARIABLE as_of = DATE '{as_of.isoformat()}'")

        def ask(statement: str) -> Answer:
            found = connection.execute(statement.replace(":as_of", "getvariable('as_of')"))
            return [column[0] for column in found.description or []], found.fetchall()

        try:
            return file, _records(path, file, ask)
        except duckdb.Error as error:
            raise _failed(path, error) from error


def _refuse_events(path: Path, repairs: Sequence[Repair]) -> None:
    """Return if no event is to be put right in a database, where the owner's own views leave it out."""
    if any(repair.kind is RepairKind.EVENT for repair in repairs):
        text = f"{path}: events in a database are put right there; the views leave them out"
        raise ConfigurationError(text, code="BAD_REPAIR")


def _in_database(path: Path, file: FeaturesFile, as_of: datetime.date) -> Records:
    try:
        import sqlalchemy
    except ImportError as error:
        extra = file.source.partition("+")[0].replace("postgresql", "postgres")
        text = f"{path}: a database as the source needs the extra `{extra}` (sqlalchemy)"
        raise ConfigurationError(text, code="MISSING_EXTRA") from error
    try:
        url = sqlalchemy.make_url(file.source)
        if file.password_file:
            url = url.set(password=(path.parent / file.password_file).read_text(encoding="utf-8").strip())
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, hide_parameters=True)
    except (OSError, UnicodeError, sqlalchemy.exc.ArgumentError) as error:
        text = f"{path}: its source or password file cannot be used ({type(error).__name__})"
        raise ConfigurationError(text, code=UNREACHABLE) from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{path}: {error.name} is not installed", code="MISSING_EXTRA") from error
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SET TRANSACTION READ ONLY" if _postgres(file) else _MYSQL_READ_ONLY))

            def ask(statement: str) -> Answer:
                bound = {"as_of": as_of} if ":as_of" in statement else {}
                found = connection.execute(sqlalchemy.text(statement), bound)
                return list(found.keys()), [tuple(row) for row in found.fetchall()]

            return _records(path, file, ask)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise _failed(path, error) from None


_MYSQL_READ_ONLY: Final = "START TRANSACTION READ ONLY"


def _postgres(file: FeaturesFile) -> bool:
    return file.source.startswith("postgresql")


def _records(path: Path, file: FeaturesFile, ask: Query) -> Records:
    names, rows = ask(file.statement())
    for name in (file.id, *(feature.name for feature in file.features)):
        if name not in names:
            raise ConfigurationError(f"{path}: the view 'features' has no column {name!r}", code=FEATURE_SQL)
    columns: dict[str, Column] = {}
    for feature in file.features:
        values = [row[names.index(feature.name)] for row in rows]
        try:
            columns[feature.name] = category_column(values) if feature.is_categorical else number_column(values)
        except ValueError as error:
            raise ConfigurationError(f"{path}: feature {feature.name!r}: {error}", code=FEATURE_SQL) from error
    ids = [None if row[names.index(file.id)] is None else str(row[names.index(file.id)]).strip() for row in rows]
    return Records(ids, columns, _newest(path, file, ask))


def _newest(path: Path, file: FeaturesFile, ask: Query) -> datetime.date | None:
    if not file.newest:
        return None
    _, rows = ask(file.newest)
    value = rows[0][0] if rows else None
    if isinstance(value, datetime.datetime):
        return value.date()
    if value is None or isinstance(value, datetime.date):
        return value
    raise ConfigurationError(f"{path}: newest gives a {type(value).__name__}, not a date", code=FEATURE_SQL)


def _failed(path: Path, error: Exception) -> ConfigurationError:
    """Return what went wrong by its kind alone: a database's own text may quote a value, or the URL."""
    kind = type(getattr(error, "orig", None) or error).__name__
    code = UNREACHABLE if kind in ("OperationalError", "InterfaceError", "ConnectionTimeout") else FEATURE_SQL
    return ConfigurationError(f"{path}: its views cannot be computed ({kind})", code=code)
