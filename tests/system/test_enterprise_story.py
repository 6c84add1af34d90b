"""An enterprise's whole way, by the commands that its people, the office and the bank type: on raw records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import Result
from typer.testing import CliRunner

from federation.cli.main import app
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK
from nodes.economy import generate, write
from nodes.features import compute_features
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.scorecard.model import TrainingPlan
from tests.small_federation import KEY_BITS, MINIMUM_BIN, default_split, quick_keys

pytestmark = pytest.mark.slow

OFFICE = "electricity"
WORDS = "The bill of that month was paid on the day; the bank's slip is with us."


def credfed(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(*arguments: object, code: int = 0) -> Any:
    result = credfed(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def late_payer(folder: Path) -> tuple[str, str, str]:
    """An enterprise with exactly one late payment in the last twelve months: code, month, and when it was due."""
    table = compute_features(OFFICE, folder)
    late = {code for code, count in zip(table.ids, table.columns["late_payment_count"], strict=True) if count == 1}
    rows = duckdb.sql(
        "SELECT uscc, CAST(month AS VARCHAR), CAST(due_on AS VARCHAR) FROM read_parquet($bills) "
        "WHERE paid_on > due_on AND date_diff('month', month, DATE '2023-12-31') BETWEEN 1 AND 12 ORDER BY uscc",
        params={"bills": str(folder / "bills.parquet")},
    ).fetchall()
    return next(row for row in rows if row[0] in late)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story") / "federation"
    folder.mkdir()
    write(generate(enterprises=500, seed=3), folder / "data")
    policy = usual_policy((BANK,), training=TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS))
    with quick_keys():
        create_federation(folder, read_description(folder / "data"), KEY_BITS, policy)
        with LocalFederation(folder) as parties:
            parties.train(default_split(parties), TrainingPlan(), MINIMUM_BIN)
    return folder


def test_ask_object_repair_and_ask_again(federation: Path, tmp_path: Path) -> None:
    code, month, due = late_payer(federation / "data" / f"node_{OFFICE}")
    (before,) = told("assess", code, "--federation", federation)
    assert before["objection_pending"] is False

    # the enterprise: a key, the consent service's word for it, its record
    me = tmp_path / "me"
    told("enterprise", "create", me, code, "--federation", federation)
    vouched = told("consent", "vouch", federation / "consent_service", code, me / "enterprise.card")
    (me / "credential.jwt").write_text(vouched["credential"])
    record = told("enterprise", "record", me, "--federation", federation)
    assert record["ok"]
    (asked,) = [query for query in record["queries"] if query["kind"] == "assessment"]
    assert (asked["bank"], asked["outcome"]) == ("bank", "ACCEPTED")
    assert asked["reference"] == before["request"]
    assert asked["nodes"] == dict.fromkeys(["electricity", "housing_fund", "social", "tax"], "RELEASE")

    # it objects: about this query, to this office
    (tmp_path / "why.txt").write_text(WORDS)
    filed = told(
        *("enterprise", "object", me, "--ground", "RECORD_WRONG", "--entry", asked["reference"][:12]),
        *("--node", OFFICE, "--text", tmp_path / "why.txt", "--federation", federation),
    )
    objection = filed["objection"]
    assert filed["nodes"] == [OFFICE]

    # the bank sees the mark, in the result and in both reports; the auditor sees the clock; only the office sees words
    (marked,) = told("assess", code, "--federation", federation, "--report", tmp_path / "reports", "--language", "en")
    assert marked["objection_pending"] is True
    assert (marked["pd"], marked["coverage"]) == (before["pd"], before["coverage"])
    assert "An objection is pending" in (tmp_path / "reports" / f"{code}-en.html").read_text()
    (open_one,) = told("audit", "objections", federation)["objections"]
    assert (open_one["state"], open_one["days_left"], open_one["node"]) == ("pending", 20, OFFICE)
    assert open_one["entry"] == asked["reference"]
    (listed,) = told("node", "objections", "list", federation / OFFICE)
    assert (listed["text"], listed["enterprise"], listed["days_left"]) == (WORDS, code, 20)
    assert told("node", "objections", "list", federation / "tax") == []

    # the office may not say that it corrected anything before it has
    home = federation / OFFICE
    decision = ("node", "objections", "decide", home, objection[:8], "CORRECTED", "--reason", "RECORD_CORRECTED")
    assert told(*decision, code=2)["error"]["code"] == "NOT_CORRECTED"
    event = ("node", "repair", "event", home, code, "bills", "--where", f"month={month}")
    repaired = told(*event, "--set", f"paid_on={due}", "--objection", objection[:8])
    changed = {one["feature"]: (one["before"], one["after"]) for one in repaired["changed"]}
    assert changed["late_payment_count"] == (1.0, 0.0)
    assert set(changed) <= {"late_payment_count", "late_days_max"}
    assert told(*decision)["corrections"] == 1
    assert told(*decision, code=2)["error"]["code"] == "DECIDED"

    # the bank asks again, after this objection: no mark, another answer, and the log says why it was asked
    (again,) = told("assess", code, "--federation", federation, "--objection", objection)
    assert again["objection_pending"] is False
    assert again["pd"] <= before["pd"]
    record = told("enterprise", "record", me, "--federation", federation)
    assert record["ok"]
    (mine,) = record["objections"]
    assert (mine["objection"], mine["waiting"], mine["days_left"]) == (objection, [], None)
    assert mine["decisions"] == {OFFICE: "CORRECTED, RECORD_CORRECTED"}
    assert mine["reassessments"] == [again["request"]]
    assert len(mine["leaves"]) == 2
    (last,) = [query for query in record["queries"] if query["reference"] == again["request"]]
    assert {(one["party"], one["decision"]) for one in last["statements"]} == {
        *(("bank", "ASKED"), ("bank", "ACCEPTED")),
        *((office, "RELEASE") for office in ("electricity", "housing_fund", "social", "tax")),
    }
    assert {(one["node"], one["what"]) for one in record["repairs"]} == {(OFFICE, f"bills month {month}")}
    assert [q["objection"] for q in record["queries"] if q["reference"] == again["request"]] == [objection]

    # and the log holds together
    (closed,) = told("audit", "objections", federation)["objections"]
    assert closed["state"] == "corrected"
    assert len(closed["reassessed"]) == 1
    assert told("audit", "verify", federation)["ok"]
    assert told("audit", "reconcile", federation)["ok"]
    assert credfed("enterprise", "record", me, "--federation", federation).exit_code == 0


def test_a_question_after_an_objection_that_is_not_the_enterprises_is_denied(federation: Path) -> None:
    code, *_ = late_payer(federation / "data" / f"node_{OFFICE}")
    (denied,) = told("assess", code, "--federation", federation, "--objection", "ab" * 16, code=1)
    assert denied["code"] == "OBJECTION_UNKNOWN"


def test_bad_input_gets_one_line_and_exit_code_two(federation: Path, tmp_path: Path) -> None:
    assert told("enterprise", "record", tmp_path, code=2)["error"]["code"] == "NOT_AN_ENTERPRISE"
    me = tmp_path / "me"
    told("enterprise", "create", me, "91350100M000100Y43", "--federation", federation)
    assert told("enterprise", "create", me, "91350100M000100Y43", "--federation", federation, code=2)
    assert told("enterprise", "record", me, "--federation", federation, code=2)["error"]["code"] == "NO_CREDENTIAL"
    home = federation / OFFICE
    repairs = {
        ("event", home, "91350100M000100Y43", "bills", "--where", "month=2023-05-01"): "BAD_REPAIR",
        ("event", home, "91350100M000100Y43", "nothing", "--where", "month=2023-05-01"): "BAD_REPAIR",
        ("value", home, "91350100M000100Y43", "late_days_max", "0"): "BAD_REPAIR",
        ("withdraw", home, 99): "UNKNOWN_REPAIR",
    }
    for arguments, refusal in repairs.items():
        assert told("node", "repair", *arguments, code=2)["error"]["code"] == refusal
