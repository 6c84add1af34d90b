"""Each domain's SQL against a few hand-written records, with every value worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import pytest

from nodes.features import FeatureTable, compute_features

NAN = math.nan


def write_table(folder: Path, name: str, sql: str) -> None:
    folder.mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{folder / name}.parquet' (FORMAT parquet)")


def row_of(table: FeatureTable, code: str) -> dict[str, float | str | None]:
    at = table.ids.index(code)
    return {name: column[at] for name, column in table.columns.items()}


def check(table: FeatureTable, code: str, expected: dict[str, float | str | None]) -> None:
    row = row_of(table, code)
    for name, value in expected.items():
        if isinstance(value, float | int):
            assert row[name] == pytest.approx(value, nan_ok=True), name
        else:
            assert row[name] == value, name


MONTHS = """
    SELECT m::DATE AS month, (m + INTERVAL 1 MONTH)::DATE AS next,
           date_diff('month', m::DATE, DATE '2023-12-31') AS age
    FROM range(TIMESTAMP '2021-11-01', TIMESTAMP '2024-03-01', INTERVAL 1 MONTH) AS r(m)
"""


@pytest.fixture
def tax(tmp_path: Path) -> FeatureTable:
    declaration = """
        SELECT '{code}' AS uscc, month AS period, {sales} AS sales, {due} AS tax_due, next + 14 AS due_on,
               {filed} AS filed_on, {paid} AS paid_on, {invoices} AS invoice_count, {void} AS invoice_void_count,
               {share} AS top5_buyer_share
        FROM (SELECT *, next + 14 AS due_day FROM months) WHERE {which}
    """
    steady = declaration.format(
        code="STEADY",
        sales="CASE WHEN age <= 0 THEN 9999 WHEN age > 12 THEN 100 WHEN age <= 6 THEN 300 ELSE 100 END::DOUBLE",
        due="30.0",
        filed="CASE WHEN age = 1 THEN DATE '2023-12-20' ELSE due_day - 5 END",
        # the June 2023 tax is paid after the as-of date, that of January 2022 was paid ten days late
        paid="CASE age WHEN 6 THEN DATE '2024-02-01' WHEN 23 THEN due_day + 10 ELSE due_day - 5 END",
        invoices="10",
        void="(age BETWEEN 1 AND 6)::INTEGER",
        share="CASE WHEN age <= 6 THEN 0.8 ELSE 0.5 END",
        which="true",
    )
    nothing = {"due": "0.0", "filed": "due_day", "paid": "due_day", "invoices": "0", "void": "0", "share": "NULL"}
    idle = declaration.format(code="IDLE", sales="0.0", which="age <= 3", **nothing)
    begun = declaration.format(
        code="BEGUN", sales="CASE WHEN age > 12 THEN 0.0 ELSE 50.0 END", which="true", **(nothing | {"share": "0.4"})
    )
    silent = declaration.format(
        code="SILENT", sales="70.0", which="age = 2", **(nothing | {"filed": "NULL::DATE", "due": "5.0"})
    )
    tardy = declaration.format(
        code="TARDY",
        sales="70.0",
        which="true",
        **(nothing | {"filed": "due_day + CASE WHEN age = 1 THEN 30 ELSE 0 END"}),
    )
    union = " UNION ALL ".join([steady, idle, begun, silent, tardy])
    write_table(tmp_path, "vat_declarations", f"WITH months AS ({MONTHS}) {union}")
    write_table(
        tmp_path,
        "credit_grades",
        """SELECT * FROM (VALUES ('STEADY', 2021, 'B', DATE '2022-04-25'), ('STEADY', 2022, 'A', DATE '2023-04-25'),
           ('STEADY', 2023, 'D', DATE '2024-04-25'), ('GRADED', 2022, 'M', DATE '2023-04-25'),
           ('TARDY', 2023, 'A', DATE '2024-04-25')) AS t(uscc, year, grade, published_on)""",
    )
    return compute_features("tax", tmp_path)


def test_tax_of_a_steady_enterprise(tax: FeatureTable) -> None:
    expected = {
        "vat_sales_12m": 6 * 300 + 6 * 100,
        "vat_sales_yoy": 2400 / 1200 - 1,
        "vat_sales_cv": 100 / 200,
        "zero_filing_periods": 0,
        "late_filing_count": 1,
        "tax_arrears_amount": 30.0,
        "arrears_days_max": 169,  # 15 July to 31 December 2023
        "tax_credit_grade": "A",
        "invoice_void_ratio": 6 / 120,
        "top5_buyer_share": (0.8 * 1800 + 0.5 * 600) / 2400,
    }
    assert list(tax.columns) == list(expected)
    check(tax, "STEADY", expected)


def test_tax_without_sales_divides_by_nothing(tax: FeatureTable) -> None:
    ratios = ["vat_sales_yoy", "vat_sales_cv", "invoice_void_ratio", "top5_buyer_share"]
    check(
        tax,
        "IDLE",
        {"vat_sales_12m": 0, "zero_filing_periods": 3, "tax_credit_grade": None} | dict.fromkeys(ratios, NAN),
    )


def test_tax_growth_from_nothing_is_unknown(tax: FeatureTable) -> None:
    check(tax, "BEGUN", {"vat_sales_12m": 600, "vat_sales_yoy": NAN, "vat_sales_cv": 0, "top5_buyer_share": 0.4})


def test_tax_never_filed_is_late_and_not_known(tax: FeatureTable) -> None:
    check(
        tax,
        "SILENT",
        {
            "vat_sales_12m": NAN,
            "late_filing_count": 1,
            "zero_filing_periods": 0,
            "tax_arrears_amount": 0,
            "arrears_days_max": 0,
        },
    )


def test_tax_filed_after_the_as_of_date_is_late_and_not_known(tax: FeatureTable) -> None:
    check(
        tax, "TARDY", {"vat_sales_12m": 11 * 70, "vat_sales_yoy": NAN, "late_filing_count": 1, "tax_credit_grade": None}
    )


def test_tax_of_an_enterprise_with_a_grade_alone(tax: FeatureTable) -> None:
    row = row_of(tax, "GRADED")
    assert row.pop("tax_credit_grade") == "M"
    assert all(isinstance(value, float) and math.isnan(value) for value in row.values())


@pytest.fixture
def social(tmp_path: Path) -> FeatureTable:
    write_table(
        tmp_path,
        "employers",
        """SELECT * FROM (VALUES ('STEADY', DATE '2015-06-10'), ('YOUNG', DATE '2023-09-02'),
           ('EMPTY', DATE '2023-01-01'), ('PAPER', DATE '2023-12-01'), ('FUTURE', DATE '2024-01-01'))
           AS t(uscc, registered_on)""",
    )
    contribution = """
        SELECT '{code}' AS uscc, month, {heads} AS headcount, 1 AS joiners, {left} AS leavers,
               {base} AS contribution_base, {due} AS due, 0.0 AS paid, month + 24 AS due_on, {paid} AS paid_on
        FROM months WHERE {which}
    """
    steady = contribution.format(
        code="STEADY",
        heads="CASE WHEN age < 0 THEN 999 WHEN age = 0 THEN 12 WHEN age = 12 THEN 16 ELSE 10 END",
        left="CASE WHEN age BETWEEN 0 AND 3 THEN 2 ELSE 0 END",
        base="CASE WHEN age = 0 THEN 6000.0 ELSE 5000.0 END",
        due="100.0",
        # month 5 was paid on the 31st day, month 4 on the 30th, 3 in January; 0 is six days overdue
        paid="""CASE age WHEN 5 THEN month + 24 + 31 WHEN 4 THEN month + 24 + 30 WHEN 3 THEN DATE '2024-01-05'
                WHEN 0 THEN NULL ELSE month + 20 END::DATE""",
        which="true",
    )
    young = contribution.format(
        code="YOUNG", heads="2", left="0", base="4000.0", due="10.0", paid="month + 24", which="age <= 3"
    )
    empty = contribution.format(code="EMPTY", heads="0", left="0", base="NULL", due="0.0", paid="NULL", which="true")
    union = " UNION ALL ".join([steady, young, empty])
    write_table(tmp_path, "contributions", f"WITH months AS ({MONTHS}) {union}")
    return compute_features("social", tmp_path)


def test_social_of_a_steady_employer(social: FeatureTable) -> None:
    expected = {
        "insured_headcount": 12,
        "headcount_change_6m": 12 / 10 - 1,
        "headcount_change_12m": 12 / 16 - 1,
        "contribution_arrears_months": 2,
        "contribution_base_mean": (12 * 6000 + 110 * 5000) / 122,
        "turnover_12m": 8 / (122 / 12),
        "insured_months": 102,
    }
    assert list(social.columns) == list(expected)
    check(social, "STEADY", expected)


def test_social_of_a_young_employer_has_no_change(social: FeatureTable) -> None:
    changes = {"headcount_change_6m": NAN, "headcount_change_12m": NAN}
    check(social, "YOUNG", {"insured_headcount": 2, "turnover_12m": 0, "insured_months": 3} | changes)


def test_social_without_staff_divides_by_nothing(social: FeatureTable) -> None:
    unknown = ["headcount_change_6m", "headcount_change_12m", "contribution_base_mean", "turnover_12m"]
    check(social, "EMPTY", {"insured_headcount": 0, "contribution_arrears_months": 0} | dict.fromkeys(unknown, NAN))


def test_social_of_a_registered_employer_without_contributions(social: FeatureTable) -> None:
    row = row_of(social, "PAPER")
    assert row.pop("insured_months") == 0
    assert all(isinstance(value, float) and math.isnan(value) for value in row.values())
    assert "FUTURE" not in social.ids


@pytest.fixture
def housing_fund(tmp_path: Path) -> FeatureTable:
    deposit = """
        SELECT '{code}' AS uscc, month, {people} AS contributors, {rate} AS deposit_rate, 100.0 AS due, 100.0 AS paid,
               month + 19 AS due_on, {paid} AS paid_on FROM months WHERE {which}
    """
    steady = deposit.format(
        code="STEADY",
        people="CASE WHEN age < 0 THEN 99 WHEN age = 12 THEN 8 ELSE 10 END",
        rate="CASE WHEN age < 0 THEN 0.05 WHEN age = 0 THEN 0.08 ELSE 0.12 END",
        # ten deposits: one 20 days late, the others early; months 0 and 7 not made by the as-of date
        paid="""CASE age WHEN 0 THEN DATE '2024-01-02' WHEN 7 THEN NULL WHEN 2 THEN month + 39
                ELSE month + 10 END::DATE""",
        which="true",
    )
    unpaid = deposit.format(code="UNPAID", people="0", rate="0.05", paid="NULL::DATE", which="age BETWEEN 0 AND 12")
    lapsed = deposit.format(code="LAPSED", people="4", rate="0.07", paid="month + 19", which="age >= 2")
    union = " UNION ALL ".join([steady, unpaid, lapsed])
    write_table(tmp_path, "deposits", f"WITH months AS ({MONTHS}) {union}")
    return compute_features("housing_fund", tmp_path)


def test_housing_fund(housing_fund: FeatureTable) -> None:
    expected = {
        "contributors": 10,
        "contributor_change_12m": 10 / 8 - 1,
        "deposit_rate": 0.08,
        "missed_months": 2,
        "late_days_mean": 20 / 10,
    }
    assert list(housing_fund.columns) == list(expected)
    check(housing_fund, "STEADY", expected)


def test_housing_fund_never_paid_has_no_lateness(housing_fund: FeatureTable) -> None:
    unknown = {"contributor_change_12m": NAN, "late_days_mean": NAN}
    check(housing_fund, "UNPAID", {"contributors": 0, "missed_months": 12} | unknown)


def test_housing_fund_that_lapsed_keeps_its_latest_rate(housing_fund: FeatureTable) -> None:
    check(
        housing_fund,
        "LAPSED",
        {"contributors": NAN, "contributor_change_12m": NAN, "deposit_rate": 0.07, "missed_months": 0},
    )


@pytest.fixture
def electricity(tmp_path: Path) -> FeatureTable:
    bill = """
        SELECT '{code}' AS uscc, month, {kwh} AS kwh, 1.0 AS amount, next + 4 AS issued_on, next + 24 AS due_on,
               {paid} AS paid_on, {shut} AS shutdown_days FROM months WHERE {which}
    """
    steady = bill.format(
        code="STEADY",
        kwh="""CASE WHEN age <= 0 THEN 9999 WHEN age <= 6 THEN 100 + 10 * (6 - age) WHEN age <= 12 THEN 125
               ELSE 100 END::DOUBLE""",
        # month 2 is overdue by six days on the as-of date, month 4 was paid three days late
        paid="CASE age WHEN 2 THEN NULL WHEN 4 THEN next + 27 ELSE next + 20 END::DATE",
        shut="CASE WHEN age <= 12 THEN 2 ELSE 9 END",
        which="true",
    )
    dark = bill.format(code="DARK", kwh="0.0", paid="next + 24", shut="30", which="true")
    young = bill.format(code="YOUNG", kwh="50.0", paid="NULL::DATE", shut="0", which="age <= 2")
    union = " UNION ALL ".join([steady, dark, young])
    write_table(tmp_path, "bills", f"WITH months AS ({MONTHS}) {union}")
    return compute_features("electricity", tmp_path)


def test_electricity(electricity: FeatureTable) -> None:
    deviation = math.sqrt(2 * (25**2 + 15**2 + 5**2) / 12)  # 100..150 and six times 125, around a mean of 125
    expected = {
        "kwh_12m": 1500,
        "kwh_yoy": 1500 / 1200 - 1,
        "kwh_trend_6m": 10 / 125,
        "kwh_cv": deviation / 125,
        "shutdown_days": 24,
        "late_payment_count": 2,
        "late_days_max": 36,  # the bill of October fell due on 25 November
    }
    assert list(electricity.columns) == list(expected)
    check(electricity, "STEADY", expected)


def test_electricity_of_a_dark_meter_divides_by_nothing(electricity: FeatureTable) -> None:
    unknown = dict.fromkeys(["kwh_yoy", "kwh_trend_6m", "kwh_cv"], NAN)
    check(
        electricity, "DARK", {"kwh_12m": 0, "shutdown_days": 360, "late_payment_count": 0, "late_days_max": 0} | unknown
    )


def test_electricity_of_a_young_customer_has_no_trend(electricity: FeatureTable) -> None:
    check(electricity, "YOUNG", {"kwh_12m": 100, "kwh_yoy": NAN, "kwh_trend_6m": NAN, "kwh_cv": 0, "late_days_max": 36})


@pytest.fixture
def bank(tmp_path: Path) -> FeatureTable:
    outcomes = {"GOOD": 29, "WOBBLE": 30, "NINETY": 90, "BAD": 91, "SECOND": 0, "THIN": 0, "LINELESS": 0}
    loans = [f"('{code}', {at}, DATE '2024-01-{at + 1:02d}', 1e6)" for at, code in enumerate(outcomes, start=1)]
    # an older loan that went bad, a second one that went bad, one of eight months, and one of three that is bad already
    loans += ["('GOOD', 50, DATE '2022-05-01', 1e6)", "('SECOND', 51, DATE '2024-02-01', 1e6)"]
    loans += ["('RECENT', 52, DATE '2024-05-01', 1e6)", "('EARLY', 53, DATE '2024-01-09', 1e6)"]
    columns = "t(uscc, loan_id, drawn_on, principal)"
    write_table(tmp_path, "loans", f"FROM (VALUES {', '.join(loans)}) AS {columns}")
    spans = [(code, at, 12, worst) for at, (code, worst) in enumerate(outcomes.items(), start=1)]
    spans += [("GOOD", 50, 12, 300), ("SECOND", 51, 12, 300), ("RECENT", 52, 8, 0), ("EARLY", 53, 3, 95)]
    months = " UNION ALL ".join(
        f"SELECT '{code}' AS uscc, {loan} AS loan_id, m AS month_on_book, DATE '2024-02-01' AS observed_on, "  # noqa: S608
        f"CASE WHEN m = {last} THEN {worst} ELSE 0 END AS days_past_due FROM range(1, {last + 1}) AS r(m)"
        for code, loan, last, worst in spans
    )
    late = "SELECT 'GOOD', 1, 13, DATE '2025-02-01', 200"
    write_table(tmp_path, "loan_months", f"{months} UNION ALL {late}")
    write_table(
        tmp_path,
        "accounts",
        """SELECT * FROM (VALUES ('GOOD', DATE '2020-03-05'), ('GOOD', DATE '2019-12-20'), ('THIN', DATE '2023-11-10'),
           ('LINELESS', DATE '2024-01-01'), ('STRANGER', DATE '2010-01-01')) AS t(uscc, opened_on)""",
    )
    account = """
        SELECT '{code}' AS uscc, month, {inflow} AS inflow, {outflow} AS outflow, {bounced} AS bounced,
               {limit} AS credit_limit, {drawn} AS drawn, {dpd} AS days_past_due FROM months WHERE {which}
    """
    good = account.format(
        code="GOOD",
        inflow="CASE WHEN age < 0 THEN 9999 WHEN age < 12 THEN 120 ELSE 100 END::DOUBLE",
        outflow="CASE WHEN age = 0 THEN 30 ELSE 90 END::DOUBLE",
        bounced="CASE WHEN age IN (0, 11) THEN 2 WHEN age IN (12, -1) THEN 7 ELSE 0 END",
        limit="1000.0",
        drawn="CASE age WHEN 0 THEN 100 WHEN 1 THEN 200 WHEN 2 THEN 600 ELSE 1000 END::DOUBLE",
        dpd="CASE age WHEN 23 THEN 17 WHEN 24 THEN 80 WHEN -1 THEN 99 ELSE 0 END",
        which="true",
    )
    thin = account.format(
        code="THIN",
        inflow="5.0",
        outflow="0.0",
        bounced="0",
        limit="NULL::DOUBLE",
        drawn="NULL::DOUBLE",
        dpd="0",
        which="age <= 1",
    )
    zero = account.format(
        code="LINELESS", inflow="0.0", outflow="0.0", bounced="0", limit="0.0", drawn="0.0", dpd="0", which="true"
    )
    union = " UNION ALL ".join([good, thin, zero])
    write_table(tmp_path, "account_months", f"WITH months AS ({MONTHS}) {union}")
    return compute_features("bank", tmp_path)


def test_bank_features(bank: FeatureTable) -> None:
    expected = {
        "max_dpd_24m": 17,
        "utilisation": 0.3,
        "net_inflow_3m_mean": (90 + 30 + 30) / 3,
        "inflow_yoy": 1440 / 1200 - 1,
        "bounced_count": 4,
        "relationship_months": 48,
        "default_12m": 0,
    }
    assert list(bank.columns) == list(expected)
    check(bank, "GOOD", expected)


def test_bank_labels_leave_out_what_is_indeterminate_or_too_young(bank: FeatureTable) -> None:
    labels = {code: row_of(bank, code)["default_12m"] for code in bank.ids}
    assert labels == {"GOOD": 0, "BAD": 1, "SECOND": 0, "THIN": 0, "LINELESS": 0, "EARLY": 1}


def test_bank_with_short_history_or_no_line_leaves_unknown_what_is_unknown(bank: FeatureTable) -> None:
    unknown = {"utilisation": NAN, "inflow_yoy": NAN}
    check(bank, "THIN", {"net_inflow_3m_mean": NAN, "bounced_count": 0, "relationship_months": 1} | unknown)
    check(bank, "LINELESS", {"net_inflow_3m_mean": 0, "relationship_months": NAN} | unknown)


def test_bank_without_accounts_has_the_label_alone(bank: FeatureTable) -> None:
    row = row_of(bank, "BAD")
    assert row.pop("default_12m") == 1
    assert all(isinstance(value, float) and math.isnan(value) for value in row.values())
