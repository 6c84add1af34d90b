"""An owner's features as SQL views: the same rows from Parquet files, PostgreSQL and MariaDB, and a check of them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pymysql
import pytest
import yaml
from typer.testing import CliRunner

from federation.cli.main import app
from nodes.features import FeatureTable
from nodes.features.owned import read_features_file
from nodes.sources import read_description, read_node_source
from nodes.sources.checking import SourceReport, check_source
from protocols.errors import ConfigurationError
from protocols.uscc import synthetic
from tests.postgres_server import PostgresServer
from tests.small_federation import write_description

CODES = sorted(synthetic(number) for number in range(1, 5))
ROWS = [
    (CODES[0], "2026-09-30", 100, 2.5, "A"),
    (CODES[0], "2026-10-31", 300, None, "B"),
    (CODES[1], "2026-08-31", 0, 0.5, None),
    (CODES[2], "2026-10-31", 50, 1.5, "C"),
    (CODES[3], "2026-12-31", 9, 9.0, "D"),  # after the as-of date
]
TODAY = datetime.date(2026, 11, 10)
COMMON = {
    "grade": 3,
    "refresh": "monthly",
    "owner": "tax_office",
    "legal_basis": "the enterprise's authorisation",
    "purposes": ["training", "assessment"],
    "sign": -1,
}
FEATURES = [
    {"name": "sales", "definition": "Sales declared", "unit": "yuan"} | COMMON,
    {"name": "share_late", "definition": "Share late", "unit": "share"} | COMMON,
    {"name": "rating", "definition": "Latest rating", "unit": "grade"} | COMMON,
]
VIEWS = [
    {"name": "filed", "sql": "SELECT * FROM declarations WHERE period <= :as_of"},
    {
        "name": "features",
        "sql": "SELECT uscc, sum(amount) AS sales, avg(late) AS share_late, max(rating) AS rating "
        "FROM filed GROUP BY uscc ORDER BY uscc;",
    },
]
FILE = {
    "id": "uscc",
    "as_of": datetime.date(2026, 10, 31),
    "newest": "SELECT max(period) FROM declarations WHERE period <= '2026-10-31'",
    "views": VIEWS,
    "features": FEATURES,
}
CREATE = (
    "CREATE TABLE declarations (uscc VARCHAR(18), period DATE, amount INTEGER, late NUMERIC(6, 2), rating VARCHAR(1))"
)
INSERT = "INSERT INTO declarations VALUES (%s, %s, %s, %s, %s)"


@contextmanager
def in_postgres(server: PostgresServer) -> Iterator[str]:
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CREATE)
        connection.cursor().executemany(INSERT, ROWS)
    yield url.replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def in_mariadb(socket: str) -> Iterator[str]:
    with pymysql.connect(unix_socket=socket, user="root", autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP DATABASE IF EXISTS records")
        cursor.execute("CREATE DATABASE records")
        cursor.execute("USE records")
        cursor.execute(CREATE)
        cursor.executemany(INSERT, ROWS)
    yield f"mysql+pymysql://root@localhost/records?unix_socket={socket}"


def write(folder: Path, **changes: object) -> Path:
    """Write a data folder whose tax source is views, and return it."""
    source = folder / "node_tax"
    source.mkdir(parents=True, exist_ok=True)
    (source / "features.yaml").write_text(yaml.safe_dump(FILE | changes, allow_unicode=True), encoding="utf-8")
    if not changes.get("source"):
        with duckdb.connect() as connection:
            connection.execute(CREATE)
            connection.executemany(INSERT.replace("%s", "?"), ROWS)
            connection.execute(f"COPY declarations TO '{source / 'declarations.parquet'}' (FORMAT parquet)")
    write_description(folder, {"tax": ["sales", "share_late", "rating"], "bank": []})
    return folder


@pytest.fixture(params=["parquet", "postgres", "mariadb"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Write the data folder, its tables in one of the places where they may be."""
    if request.param == "parquet":
        yield lambda **changes: write(tmp_path, **changes)
        return
    place = in_postgres if request.param == "postgres" else in_mariadb
    with place(request.getfixturevalue(request.param)) as url:
        yield lambda **changes: write(tmp_path, source=url, **changes)


def table(folder: Path) -> FeatureTable:
    return read_node_source(read_description(folder), "tax")


def report(folder: Path, *wanted: str) -> SourceReport:
    return check_source(read_description(folder), "tax", wanted, TODAY)


def test_the_same_views_give_the_same_features_wherever_the_tables_are(data: Callable[..., Path]) -> None:
    found = table(data())
    assert found.ids == CODES[:3]
    assert found.columns["sales"].tolist() == [400.0, 0.0, 50.0]
    assert found.columns["share_late"].tolist() == [2.5, 0.5, 1.5]
    assert found.columns["rating"].tolist() == ["B", None, "C"]
    assert found.columns["sales"].dtype == np.float64


def test_a_view_that_writes_is_refused(data: Callable[..., Path]) -> None:
    folder = data(newest="DELETE FROM declarations")
    with pytest.raises(ConfigurationError):
        table(folder)
    assert table(data()).ids == CODES[:3]


def test_a_wrong_view_is_named_and_no_value_quoted(data: Callable[..., Path]) -> None:
    cases = {
        "no such table": [{"name": "features", "sql": "SELECT * FROM nowhere"}],
        "no such column": [{"name": "features", "sql": "SELECT uscc, amount AS sales FROM declarations"}],
        "a text for a number": [
            {
                "name": "features",
                "sql": "SELECT uscc, rating AS sales, late AS share_late, rating FROM declarations",
            }
        ],
        "no SQL": [{"name": "features", "sql": "SELEC"}],
    }
    for views in cases.values():
        with pytest.raises(ConfigurationError) as refusal:
            table(data(views=views))
        assert refusal.value.code == "FEATURE_SQL"
        assert "features.yaml" in str(refusal.value)
        assert all(code not in str(refusal.value) for code in CODES)


def test_repeated_and_missing_ids_are_refused_and_counted_by_the_check(data: Callable[..., Path]) -> None:
    sql = "SELECT uscc, amount AS sales, 0.5 AS share_late, rating FROM declarations ORDER BY period, uscc"
    folder = data(views=[{"name": "features", "sql": sql}])
    with pytest.raises(ConfigurationError) as refusal:
        table(folder)
    assert refusal.value.code == "DUPLICATE_ID"
    found = report(folder)
    assert (found.rows, found.enterprises, found.repeated_ids) == (5, 4, 1)
    assert "1 rows repeat an id" in found.findings
    assert "share_late has one value alone" in found.findings


def test_the_check_counts_coverage_validity_uniqueness_freshness_and_matches(data: Callable[..., Path]) -> None:
    found = report(data(), CODES[0], CODES[1], "91350100M000100Y43", CODES[3])
    assert (found.rows, found.enterprises, found.repeated_ids, found.valid_ids) == (3, 3, 0, 1.0)
    assert (found.newest, found.age_days) == (datetime.date(2026, 10, 31), 10)
    assert found.match_rate == 0.5
    by_name = {entry.name: entry for entry in found.features}
    assert by_name["rating"].coverage == pytest.approx(2 / 3)
    assert (by_name["share_late"].valid, by_name["sales"].valid) == (pytest.approx(1 / 3), 1.0)
    assert by_name["sales"].distinct == 3
    assert found.findings == ("share_late has values that its unit (share) cannot have",)


def test_old_records_are_a_finding(data: Callable[..., Path]) -> None:
    folder = data(newest="SELECT min(period) FROM declarations")
    assert any("71 days old, more than 45" in finding for finding in report(folder).findings)


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "node_tax").mkdir()
    (tmp_path / "node_tax" / "secret").write_text("hunter2\n", encoding="utf-8")
    for url in ("postgresql+psycopg://node@127.0.0.1:1/records", "mysql+pymysql://node@127.0.0.1:1/records"):
        folder = write(tmp_path, source=url, password_file="secret")  # noqa: S106
        with pytest.raises(ConfigurationError) as refusal:
            table(folder)
        assert refusal.value.code == "SOURCE_UNREACHABLE"
        assert "hunter2" not in str(refusal.value)
        assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"features": [FEATURES[0] | {"grade": 6}]}, "grade"),
        ({"features": [{k: v for k, v in FEATURES[0].items() if k != "legal_basis"}]}, "legal_basis"),
        ({"features": [FEATURES[0], FEATURES[0]]}, "'sales' occurs twice"),
        ({"features": []}, "features"),
        ({"features": [FEATURES[0] | {"special": [-1, -1]}]}, "'sales': special"),
        ({"features": [FEATURES[0] | {"special": [float("nan")]}]}, "'sales': special"),
        ({"features": [FEATURES[2] | {"special": [-1]}]}, "'rating': special"),
        ({"features": [FEATURES[0] | {"special": [*range(17)]}]}, "special"),
        ({"views": VIEWS[:1]}, "the last view is named 'features'"),
        ({"source": "sqlite:///etc/passwd"}, "source"),
        ({"sourec": "x"}, "sourec"),
    ],
    ids=str,
)
def test_a_slip_in_the_file_is_named(tmp_path: Path, changes: dict[str, object], place: str) -> None:
    path = tmp_path / "features.yaml"
    path.write_text(yaml.safe_dump(FILE | changes), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        read_features_file(path)
    assert refusal.value.code == "BAD_FEATURES"
    assert place in str(refusal.value)


def test_codes_that_the_file_declares_are_the_features_own_and_no_wrong_values(tmp_path: Path) -> None:
    """domains.json says otherwise of one of the two, and counts more."""
    declared = [FEATURES[0] | {"special": [300, -9]}, FEATURES[1] | {"special": [2.5, 1.5]}, FEATURES[2]]
    folder = write(tmp_path, features=declared)
    assert table(folder).special == {"sales": (-9.0, 300.0), "share_late": (1.5, 2.5)}
    assert {entry.name: entry.valid for entry in report(folder).features}["share_late"] == 1.0
    description = json.loads((folder / "domains.json").read_text())
    (folder / "domains.json").write_text(json.dumps(description | {"special": {"sales": [0]}}))
    assert table(folder).special == {"sales": (0.0,), "share_late": (1.5, 2.5)}


# ---- the command


def test_node_check_prints_what_the_source_holds(federation_folder: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["node", "check", *map(str, arguments)])
        return result.exit_code, result.stdout

    wanted = tmp_path / "wanted.txt"
    wanted.write_text("\n".join([*CODES, "91350100M000100Y43"]), encoding="utf-8")
    code, text = run(federation_folder / "tax", "--against", wanted)
    assert code == 0
    for expected in ("380 enterprises", "match rate  80.0%", "sales", "等级", "nothing to put right"):
        assert expected in text
    found = json.loads(run(federation_folder / "tax", "--json")[1])
    assert (found["rows"], found["repeated_ids"], found["match_rate"]) == (380, 0, None)
    file = federation_folder / "data" / "node_tax.csv"
    file.write_text(file.read_text(encoding="utf-8") + f"{CODES[0]},1,\n", encoding="utf-8")
    code, text = run(federation_folder / "tax")
    assert code == 1
    assert "1 rows repeat an id" in text
    assert run(federation_folder / "cards")[0] == 2
