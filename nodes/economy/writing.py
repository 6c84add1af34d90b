"""Lays an economy out on disk as its owners would hold it: one folder each, raw Parquet, and `domains.json`."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from nodes.economy.economy import Economy
from nodes.economy.panels import Table
from nodes.features.catalogue import LABEL, load_catalogue


def write(economy: Economy, directory: Path) -> None:
    """Write `directory`/node_<domain>/<table>.parquet for every owner, keyed by `uscc`, and `domains.json` last.

    Rows are sorted by code and date, so a file's order tells nothing. Files of these names are replaced. The latent
    population is not written.
    """
    for domain, tables in economy.records.items():
        folder = directory / f"node_{domain}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            _write_table(economy.population.codes, table, folder / f"{name}.parquet")
    (directory / "domains.json").write_text(json.dumps(describe(), indent=2) + "\n", encoding="utf-8")


def describe() -> dict[str, str | dict[str, list[str]]]:
    """Give the contents of `domains.json`: the key, the label, and each domain's features in catalogue order.

    The folders hold raw records; the columns named here are what each owner's SQL makes of them.
    """
    domains: dict[str, list[str]] = {}
    for feature in load_catalogue():
        domains.setdefault(feature.domain, []).append(feature.name)
    return {"id": "uscc", "label": LABEL, "domains": domains}


def _write_table(codes: NDArray[np.object_], table: Table, path: Path) -> None:
    columns = {name: _for_duckdb(values) for name, values in table.columns.items() if name != "enterprise"}
    columns["uscc"] = codes[table.columns["enterprise"].astype(np.int64)]
    chosen = ", ".join(_expression(name, values) for name, values in table.columns.items() if name != "enterprise")
    dates = [name for name, values in table.columns.items() if values.dtype.kind == "M"]
    order = ", ".join(["uscc", *dates[:1]])
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("rows", columns)
        query = f"SELECT uscc, {chosen} FROM rows ORDER BY {order}"  # noqa: S608 - our own column names
        target = str(path).replace("'", "''")
        connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _for_duckdb(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values.astype("datetime64[s]") if values.dtype.kind == "M" else values


def _expression(name: str, values: NDArray[np.generic]) -> str:
    """Name a column in SQL: dates as DATE, and NaN, which DuckDB tells apart from NULL, as NULL."""
    if values.dtype.kind == "M":
        return f"{name}::DATE AS {name}"
    if values.dtype.kind == "f":
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}"
    return name
