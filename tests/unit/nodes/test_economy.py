"""The synthetic economy: the same for a seed, sized and covered as stated, and kept apart by owner."""

from __future__ import annotations

import itertools
from pathlib import Path

import duckdb
import numpy as np
import pytest

from nodes.economy import AS_OF, Economy, generate, write
from nodes.economy.population import COVERAGE, DEFAULT, DOMAINS, INDETERMINATE, NO_LOAN
from nodes.economy.timeline import HISTORY_MONTHS, MONTH_STARTS, RECORDS_END, spring_festival_share
from nodes.features import compute_features
from protocols import uscc

ENTERPRISES = 3000
TABLES = {
    "tax": {"vat_declarations", "credit_grades"},
    "social": {"employers", "contributions"},
    "housing_fund": {"deposits"},
    "electricity": {"bills"},
    "bank": {"accounts", "account_months", "loans", "loan_months"},
}


@pytest.fixture(scope="module")
def economy() -> Economy:
    return generate(ENTERPRISES, seed=11)


@pytest.fixture(scope="module")
def directory(economy: Economy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("economy")
    write(economy, target)
    return target


def covered(economy: Economy, domain: str) -> np.ndarray:
    """Which enterprises have a record; for the bank, an account (its loans are the cohort)."""
    tables = economy.records[domain]
    chosen = tables["accounts"] if domain == "bank" else next(iter(tables.values()))
    return np.isin(np.arange(len(economy.population)), chosen.columns["enterprise"])


def test_the_same_seed_gives_the_same_bytes(economy: Economy) -> None:
    again = generate(ENTERPRISES, seed=11)
    assert again.population.codes.tolist() == economy.population.codes.tolist()
    assert again.population.outcome.tobytes() == economy.population.outcome.tobytes()
    for domain, tables in economy.records.items():
        for name, table in tables.items():
            for column, values in table.columns.items():
                other = again.records[domain][name].columns[column]
                same = (
                    other.tolist() == values.tolist() if values.dtype == object else other.tobytes() == values.tobytes()
                )
                assert same, f"{domain}.{name}.{column}"


def test_another_seed_gives_other_enterprises(economy: Economy) -> None:
    other = generate(ENTERPRISES, seed=12)
    assert len(set(other.population.codes) & set(economy.population.codes)) < 0.01 * ENTERPRISES


def test_the_same_economy_is_written_and_read_the_same(economy: Economy, directory: Path, tmp_path: Path) -> None:
    write(economy, tmp_path)
    for file in directory.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / file.relative_to(directory)).read_bytes(), file.name


@pytest.mark.parametrize(("enterprises", "seed"), [(19, 0), (5_000_001, 0), (100, -1)])
def test_a_size_or_seed_out_of_range_is_refused(enterprises: int, seed: int) -> None:
    with pytest.raises(ValueError, match=r"enterprises must lie|seed must not"):
        generate(enterprises, seed)


def test_the_smallest_economy_still_has_a_default_and_features(tmp_path: Path) -> None:
    write(generate(20, seed=0), tmp_path)
    labels = compute_features("bank", tmp_path / "node_bank").columns["default_12m"]
    assert labels.tolist().count(1.0) == 1
    assert len(labels) == 20


def test_every_code_is_a_valid_distinct_uscc_of_no_region(economy: Economy) -> None:
    codes = economy.population.codes.tolist()
    assert len(set(codes)) == len(codes)
    for code in codes:
        uscc.validate(code)
        assert code[2:8] == uscc.SYNTHETIC_REGION


def test_the_cohort_has_the_stated_size_and_default_rate(economy: Economy, directory: Path) -> None:
    labels = compute_features("bank", directory / "node_bank").columns["default_12m"]
    assert len(labels) == ENTERPRISES
    assert set(labels) == {0.0, 1.0}
    assert 0.03 <= labels.mean() <= 0.06


def test_labels_follow_the_true_outcome_and_leave_out_the_indeterminate(economy: Economy, directory: Path) -> None:
    table = compute_features("bank", directory / "node_bank")
    outcome = dict(zip(economy.population.codes, economy.population.outcome, strict=True))
    assert not {INDETERMINATE, NO_LOAN} & {outcome[code] for code in table.ids}
    assert [float(outcome[code] == DEFAULT) for code in table.ids] == table.columns["default_12m"].tolist()
    loans = economy.records["bank"]["loans"]
    assert len(loans) - ENTERPRISES == np.count_nonzero(economy.population.outcome == INDETERMINATE) > 0


def test_the_cohorts_order_says_nothing_about_the_outcome(directory: Path) -> None:
    labels = compute_features("bank", directory / "node_bank").columns["default_12m"]
    position = np.flatnonzero(labels) / len(labels)
    assert abs(position.mean() - 0.5) < 4 * 0.29 / np.sqrt(len(position))


@pytest.mark.parametrize("domain", DOMAINS)
def test_coverage_is_as_stated(domain: str, economy: Economy) -> None:
    assert covered(economy, domain).mean() == pytest.approx(COVERAGE[domain], abs=0.001)


@pytest.mark.parametrize("domain", DOMAINS)
def test_small_and_weak_enterprises_are_missing_more_often(domain: str, economy: Economy) -> None:
    known, population = covered(economy, domain), economy.population
    assert population.size[known].mean() - population.size[~known].mean() > 0.3
    assert population.solvency[known].mean() > population.solvency[~known].mean()
    cohort = population.outcome != NO_LOAN
    bad = population.outcome == DEFAULT
    assert bad[cohort & ~known].mean() > bad[cohort & known].mean()


def test_offices_hold_enterprises_that_the_bank_does_not_know_and_lack_some_that_it_does(
    economy: Economy, directory: Path
) -> None:
    cohort = set(compute_features("bank", directory / "node_bank").ids)
    for domain in DOMAINS[:-1]:
        held = set(compute_features(domain, directory / f"node_{domain}").ids)
        assert held - cohort, domain
        assert cohort - held, domain


def test_each_folder_holds_its_owners_tables_alone(economy: Economy, directory: Path) -> None:
    folders = {path.name for path in directory.iterdir() if path.is_dir()}
    assert folders == {f"node_{domain}" for domain in DOMAINS}
    columns: dict[str, set[str]] = {}
    for domain, names in TABLES.items():
        folder = directory / f"node_{domain}"
        assert {path.stem for path in folder.iterdir()} == names
        known = set(economy.population.codes[covered(economy, domain)])
        if domain == "bank":
            known |= set(economy.population.codes[economy.population.outcome != NO_LOAN])
        columns[domain] = set()
        for file in folder.iterdir():
            with duckdb.connect() as connection:
                schema = connection.execute(f"DESCRIBE FROM '{file}'").fetchall()
                held = {code for (code,) in connection.read_parquet(str(file)).project("uscc").distinct().fetchall()}
            columns[domain] |= {name for name, *_ in schema}
            assert held <= known, file.name
    shared = {"uscc", "month", "amount", "due", "paid", "due_on", "paid_on"}
    for one, other in itertools.combinations(TABLES, 2):
        assert columns[one] & columns[other] <= shared, (one, other)


def test_no_file_holds_the_latent_truth(directory: Path) -> None:
    with duckdb.connect() as connection:
        for file in directory.rglob("*.parquet"):
            names = {name for name, *_ in connection.execute(f"DESCRIBE FROM '{file}'").fetchall()}
            assert not names & {"solvency", "liquidity", "outcome", "stress", "size", "enterprise"}, file.name


def test_the_spring_festival_falls_where_the_lunar_calendar_has_it() -> None:
    share = dict(zip(MONTH_STARTS.astype("datetime64[M]").astype(str), spring_festival_share(), strict=True))
    assert {month for month, value in share.items() if value > 0} == {"2022-01", "2022-02", "2023-01", "2024-02"}
    assert share["2023-01"] == pytest.approx(15 / 31)
    assert share["2022-01"] * 31 + share["2022-02"] * 28 == pytest.approx(15)


def test_sales_and_power_dip_at_the_spring_festival(directory: Path) -> None:
    for domain, table, column, date in (
        ("tax", "vat_declarations", "sales", "period"),
        ("electricity", "bills", "kwh", "month"),
    ):
        file = directory / f"node_{domain}" / f"{table}.parquet"
        with duckdb.connect() as connection:
            rows = connection.read_parquet(str(file)).aggregate(f"{date}, median({column})").fetchall()
        by_month = {day.strftime("%Y-%m"): value for day, value in rows}
        around = (by_month["2022-12"] + by_month["2023-03"]) / 2
        assert by_month["2023-01"] < 0.85 * around, column
        assert by_month["2023-01"] < by_month["2023-02"], column


def test_defaults_show_after_the_as_of_date_and_not_suddenly_before(economy: Economy, directory: Path) -> None:
    bad = set(economy.population.codes[economy.population.outcome == DEFAULT])
    file = directory / "node_tax" / "vat_declarations.parquet"
    with duckdb.connect() as connection:
        declarations = connection.read_parquet(str(file)).filter("period >= '2023-10-01'")
        rows = declarations.project("uscc, period, sales").fetchall()
    before = np.median([sales for code, period, sales in rows if code in bad and period <= AS_OF])
    after = np.median([sales for code, period, sales in rows if code in bad and period.isoformat() >= "2024-07-01"])
    assert after < 0.6 * before


def test_nothing_is_dated_after_the_records_end(economy: Economy) -> None:
    assert MONTH_STARTS[HISTORY_MONTHS] == np.datetime64(AS_OF) + 1
    for domain, tables in economy.records.items():
        for name, table in tables.items():
            for column in set(table.columns) & {"filed_on", "paid_on"}:
                dates = table.columns[column]
                assert dates[~np.isnat(dates)].max() < RECORDS_END, f"{domain}.{name}.{column}"
