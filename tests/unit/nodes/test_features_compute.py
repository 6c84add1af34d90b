"""Running the SQL: what an owner's query can see, what it refuses, and that catalogue, SQL and files agree."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from nodes.economy import generate, write
from nodes.features import FeatureTable, compute_features, load_catalogue
from nodes.features.catalogue import LABEL, Theme, parse_catalogue
from nodes.features.compute import domains, feature_sql
from protocols.errors import ConfigurationError

AS_OF = "DATE '2023-12-31'"


@pytest.fixture(scope="module")
def economy_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("economy")
    write(generate(300, seed=5), directory)
    return directory


def test_catalogue_sql_and_domains_file_agree(economy_directory: Path) -> None:
    index = json.loads((economy_directory / "domains.json").read_text(encoding="utf-8"))
    assert index["id"] == "uscc"
    assert index["label"] == LABEL
    assert list(index["domains"]) == ["tax", "social", "housing_fund", "electricity", "bank"] == list(domains())
    for domain, names in index["domains"].items():
        table = compute_features(domain, economy_directory / f"node_{domain}")
        assert list(table.columns) == names + ([LABEL] if domain == "bank" else [])
        for feature in load_catalogue():
            if feature.domain == domain:
                kind = np.dtype(object) if feature.is_categorical else np.dtype(np.float64)
                assert table.columns[feature.name].dtype == kind, feature.name


@pytest.mark.parametrize("domain", domains())
def test_sql_computes_nothing_beyond_the_catalogue(domain: str, economy_directory: Path) -> None:
    with duckdb.connect() as connection:
        for file in (economy_directory / f"node_{domain}").iterdir():
            connection.execute(f"CREATE VIEW {file.stem} AS FROM '{file}'")
        connection.execute(f"SET VARIABLE as_of = {AS_OF}")
        columns = [column[0] for column in connection.execute(feature_sql(domain)).description]
    names = [feature.name for feature in load_catalogue() if feature.domain == domain]
    assert columns == ["uscc", *names, *([LABEL] if domain == "bank" else [])]


def test_catalogue_entries_are_bilingual_and_every_theme_is_used() -> None:
    catalogue = load_catalogue()
    assert len({feature.name for feature in catalogue}) == len(catalogue) == 35
    assert {feature.theme for feature in catalogue} == set(Theme)
    for feature in catalogue:
        assert any("\u4e00" <= character <= "\u9fff" for character in feature.name_zh), feature.name
        assert any("\u4e00" <= character <= "\u9fff" for character in feature.definition_zh), feature.name
        assert feature.definition.isascii(), feature.name


def entry(**changes: object) -> str:
    fields: dict[str, object] = {
        "name": "a",
        "domain": "tax",
        "name_zh": "甲",
        "definition": "a",
        "definition_zh": "甲",
        "unit": "yuan",
        "grade": 3,
        "refresh": "monthly",
        "owner": "o",
        "legal_basis": "b",
        "theme": "growth",
        "sign": 1,
        "purposes": ["training"],
    }
    return json.dumps(fields | changes)


def test_parse_catalogue_reads_a_well_formed_entry() -> None:
    (feature,) = parse_catalogue(f"[{entry()}]")
    assert (feature.name, feature.theme, feature.is_categorical) == ("a", Theme.GROWTH, False)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        f"[{entry()}, {entry()}]",
        f"[{entry(extra=1)}]",
        f"[{entry(sign=2)}]",
        f"[{entry(grade=0)}]",
        f"[{entry(theme='luck')}]",
        f"[{entry(unit='miles')}]",
        f"[{entry(purposes=[])}]",
        f"[{entry(name='')}]",
    ],
)
def test_parse_catalogue_refuses_what_is_incomplete(text: str) -> None:
    with pytest.raises(ValueError, match=r"catalogue|is not a valid"):
        parse_catalogue(text)


def cut_at_the_as_of_date(source: Path, target: Path) -> None:
    """Copy raw records as they stood on the as-of date: later rows gone, later events not yet happened."""
    target.mkdir()
    for file in source.iterdir():
        with duckdb.connect() as connection:
            kept = connection.execute(f"DESCRIBE FROM '{file}'").fetchall()
            columns = [f"{name}" for name, *_ in kept]
            dated = [name for name, kind, *_ in kept if kind == "DATE" and name not in ("month", "period")]
            changes = ", ".join(
                f"CASE WHEN {name} <= {AS_OF} THEN {name} END AS {name}"
                for name in dated
                if name.endswith(("filed_on", "paid_on"))
            )
            if "sales" in columns:  # what is on a declaration becomes known when it is filed
                known = [
                    name
                    for name in columns
                    if name in ("sales", "tax_due", "invoice_count", "invoice_void_count", "top5_buyer_share")
                ]
                changes += "".join(f", CASE WHEN filed_on <= {AS_OF} THEN {name} END AS {name}" for name in known)
            select = f"SELECT * REPLACE ({changes})" if changes else "SELECT *"
            starts = [
                name
                for name in ("month", "period", "issued_on", "published_on", "opened_on", "registered_on")
                if name in columns
            ]
            where = " AND ".join(f"{name} <= {AS_OF}" for name in starts)
            if file.stem in ("loans", "loan_months"):  # the outcome, not a feature
                where = "true"
            connection.execute(f"COPY ({select} FROM '{file}' WHERE {where}) TO '{target / file.name}'")


@pytest.mark.parametrize("domain", domains())
def test_features_use_nothing_that_happened_after_the_as_of_date(
    domain: str, economy_directory: Path, tmp_path: Path
) -> None:
    folder = economy_directory / f"node_{domain}"
    cut_at_the_as_of_date(folder, tmp_path / "cut")
    whole, cut = compute_features(domain, folder), compute_features(domain, tmp_path / "cut")
    assert whole.ids == cut.ids
    for name, column in whole.columns.items():
        np.testing.assert_array_equal(column, cut.columns[name], err_msg=name)


def test_an_earlier_as_of_date_gives_other_features(economy_directory: Path) -> None:
    folder = economy_directory / "node_electricity"
    now, before = (
        compute_features("electricity", folder),
        compute_features("electricity", folder, datetime.date(2023, 6, 30)),
    )
    assert len(before) <= len(now)
    assert np.isnan(before.columns["kwh_yoy"]).all()  # no twenty-four months on record by then
    assert not np.isnan(now.columns["kwh_yoy"]).all()


def test_the_as_of_date_must_end_a_month(economy_directory: Path) -> None:
    with pytest.raises(ValueError, match="last day of a month"):
        compute_features("tax", economy_directory / "node_tax", datetime.date(2023, 12, 30))


def test_an_unknown_domain_is_our_own_misuse(economy_directory: Path) -> None:
    with pytest.raises(ValueError, match="no features are defined"):
        compute_features("customs", economy_directory / "node_tax")


def test_a_query_cannot_leave_its_folder(economy_directory: Path) -> None:
    other = economy_directory / "node_bank" / "loans.parquet"
    for sql in (f"FROM read_parquet('{other}')", f"COPY (SELECT 1) TO '{other}'", "SET enable_external_access = true"):
        with pytest.raises(ConfigurationError) as caught:
            compute_features("tax", economy_directory / "node_tax", sql=sql)
        assert caught.value.code == "FEATURE_SQL"


def test_an_empty_folder_and_a_missing_table_are_named(economy_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no Parquet file"):
        compute_features("tax", tmp_path)
    with pytest.raises(ConfigurationError, match="loans"):
        compute_features("bank", economy_directory / "node_tax")


def test_an_owner_may_bring_its_own_sql_for_the_same_columns(economy_directory: Path) -> None:
    folder = economy_directory / "node_housing_fund"
    shipped = compute_features("housing_fund", folder)
    own = feature_sql("housing_fund").replace("month_age = 12", "month_age = 11")
    edited = compute_features("housing_fund", folder, sql=own)
    assert edited.ids == shipped.ids
    assert edited.columns["contributors"].tolist() == shipped.columns["contributors"].tolist()
    assert edited.columns["contributor_change_12m"].tolist() != shipped.columns["contributor_change_12m"].tolist()
    with pytest.raises(ConfigurationError, match="lacks column contributors"):
        compute_features("housing_fund", folder, sql="SELECT DISTINCT uscc FROM deposits")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'A' AS uscc, 1 AS kwh) TO '{tmp_path / 'bills.parquet'}'")
    with pytest.raises(ConfigurationError, match=r"issued_on|month"):
        compute_features("electricity", tmp_path)


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "bills.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(ConfigurationError, match=r"bills\.parquet cannot be read") as caught:
        compute_features("electricity", tmp_path)
    assert caught.value.code == "UNREADABLE_FILE"


def test_a_repeated_code_is_refused_without_showing_it(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        for name, sql in {
            "employers": "SELECT 'TWICE' AS uscc, DATE '2020-01-01' AS registered_on FROM range(2)",
            "contributions": """SELECT 'TWICE' AS uscc, DATE '2023-12-01' AS month, 1 AS headcount, 0 AS joiners,
                0 AS leavers, 1.0 AS contribution_base, 1.0 AS due, 1.0 AS paid, DATE '2023-12-25' AS due_on,
                DATE '2023-12-25' AS paid_on""",
        }.items():
            connection.execute(f"COPY ({sql}) TO '{tmp_path / name}.parquet' (FORMAT parquet)")
    with pytest.raises(ConfigurationError, match="lack or repeat") as caught:
        compute_features("social", tmp_path)
    assert caught.value.code == "DUPLICATE_ID"
    assert "TWICE" not in str(caught.value)


def test_a_feature_table_refuses_columns_of_another_length() -> None:
    with pytest.raises(ValueError, match="one value per id"):
        FeatureTable(ids=["a"], columns={"x": np.zeros(2)})
