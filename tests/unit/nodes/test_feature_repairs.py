"""What an owner puts right: repaired events are in no feature, corrected values stand in place of computed ones."""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import numpy as np
import pytest

from nodes.features import FeatureTable, compute_features
from nodes.features.repairs import correct_values
from nodes.ledger import Repair, RepairKind
from protocols.errors import ConfigurationError
from protocols.uscc import synthetic

MINE, THEIRS = synthetic(1), synthetic(2)


def bills(folder: Path, extra: str = "") -> None:
    """Two customers with twelve bills each: mine of May and June were paid late, theirs of May."""
    duckdb.sql(
        f"""COPY (
        SELECT uscc, month, 100.0 AS kwh, 50.0 AS amount, month + INTERVAL 35 DAY AS issued_on,
            CAST(month + INTERVAL 45 DAY AS DATE) AS due_on,
            CAST(month + INTERVAL (CASE WHEN month = DATE '2023-05-01'
                OR (uscc = '{MINE}' AND month = DATE '2023-06-01') THEN 65 ELSE 40 END) DAY AS DATE) AS paid_on,
            0 AS shutdown_days{extra}
        FROM (VALUES ('{MINE}'), ('{THEIRS}')) AS firm(uscc),
            (SELECT CAST(range AS DATE) AS month FROM range(DATE '2022-12-01', DATE '2023-12-01', INTERVAL 1 MONTH))
        ) TO '{folder}/bills.parquet' (FORMAT parquet)"""  # noqa: S608
    )


def event(change: dict[str, str | None] | None, number: int = 1, **named: str) -> Repair:
    return Repair(RepairKind.EVENT, MINE, "bills", named or {"month": "2023-05-01"}, change, 0, number=number)


def value(feature: str, new: str | None, subject: str = MINE, number: int = 1) -> Repair:
    return Repair(RepairKind.VALUE, subject, feature, {}, {feature: new}, 0, number=number)


def computed(folder: Path, *repairs: Repair) -> dict[str, dict[str, float]]:
    table = compute_features("electricity", folder, repairs=repairs)
    return {code: {name: column[row] for name, column in table.columns.items()} for row, code in enumerate(table.ids)}


def test_an_event_that_is_put_right_changes_what_it_counted_in_and_nothing_else(tmp_path: Path) -> None:
    bills(tmp_path)
    before, after = computed(tmp_path), computed(tmp_path, event({"paid_on": "2023-06-10"}))
    assert (before[MINE]["late_payment_count"], after[MINE]["late_payment_count"]) == (2, 1)
    assert before[MINE]["kwh_12m"] == after[MINE]["kwh_12m"]
    assert repr(before[THEIRS]) == repr(after[THEIRS])


def test_an_event_that_leaves_is_in_no_feature(tmp_path: Path) -> None:
    bills(tmp_path)
    after = computed(tmp_path, event(None), event(None, month="2023-06-01"))
    assert after[MINE]["late_payment_count"] == 0
    assert after[MINE]["kwh_12m"] == 1000
    assert computed(tmp_path)[THEIRS]["late_payment_count"] == after[THEIRS]["late_payment_count"] == 1


def test_events_that_the_owners_own_records_call_repaired_are_in_no_feature(tmp_path: Path) -> None:
    bills(
        tmp_path, f", CASE WHEN uscc = '{MINE}' AND month = DATE '2023-05-01' THEN DATE '2026-01-01' END AS repaired_at"
    )
    assert computed(tmp_path)[MINE]["late_payment_count"] == 1
    assert computed(tmp_path)[THEIRS]["late_payment_count"] == 1


def test_an_event_that_is_gone_from_the_records_changes_nothing(tmp_path: Path) -> None:
    bills(tmp_path)
    assert repr(computed(tmp_path, event(None, month="2019-05-01"))) == repr(computed(tmp_path))


WRONG = {
    "no such table": Repair(RepairKind.EVENT, MINE, "invoices", {"month": "2023-05-01"}, None, 0),
    "no such column": event(None, 0, day="2023-05-01"),
    "no such event": event(None, 0, month="2019-05-01"),
    "no such date": event({"paid_on": "soon"}, 0),
    "no column to set": event({"paid": "2023-06-10"}, 0),
    "more than one event": event(None, 0, kwh="100"),
    "quotes in a name": Repair(RepairKind.EVENT, MINE, 'bills"; DROP TABLE x; --', {"month": "1"}, None, 0),
    "quotes in a column": event(None, 0, **{'month" = month OR "month': "2023-05-01"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_repair_that_does_not_find_what_it_names_is_refused(tmp_path: Path, case: str) -> None:
    bills(tmp_path)
    with pytest.raises(ConfigurationError) as refusal:
        computed(tmp_path, WRONG[case])
    assert refusal.value.code == "BAD_REPAIR"
    assert MINE not in str(refusal.value)


TABLE = FeatureTable(
    [MINE, THEIRS], {"late": np.array([3.0, 4.0]), "grade": np.array(["C", None], dtype=object)}, {"late": (9.0,)}
)


def test_a_corrected_value_stands_in_the_place_of_the_computed_one() -> None:
    found = correct_values(TABLE, [value("late", "0"), value("grade", "A", THEIRS), value("late", None, THEIRS)])
    assert found.columns["late"][0] == 0.0
    assert math.isnan(found.columns["late"][1])
    assert found.columns["grade"].tolist() == ["C", "A"]
    assert found.special == TABLE.special
    assert TABLE.columns["late"].tolist() == [3.0, 4.0]


def test_the_later_of_two_corrections_counts() -> None:
    assert correct_values(TABLE, [value("late", "1"), value("late", "2", number=2)]).columns["late"][0] == 2.0


@pytest.mark.parametrize(
    "wrong", [value("late", "many", number=0), value("early", "1", number=0), value("late", "1", "nobody", 0)]
)
def test_a_correction_of_nothing_that_is_there_is_refused(wrong: Repair) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        correct_values(TABLE, [wrong])
    assert refusal.value.code == "BAD_REPAIR"


def test_a_correction_of_an_enterprise_that_has_gone_changes_nothing() -> None:
    assert correct_values(TABLE, [value("late", "1", "nobody")]).columns["late"].tolist() == [3.0, 4.0]
