"""What a data owner can see and stop on its own: `credfed policy`, and `credfed node` without a coordinator."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from federation.cli.main import app
from federation.local.federation import LocalFederation
from federation.local.layout import COORDINATOR
from nodes.policy import POLICY_FILE, read_policy
from tests.conftest import TrainedFederation
from tests.small_federation import NOW, codes

POLICY = """
version: 1
rules:
  - {name: a bank that broke its word, effect: deny, banks: [other], purposes: any}
  - {name: training, effect: allow, banks: any, purposes: [training], training: {minimum_bin: 20}}
  - name: assessments
    effect: allow
    banks: [bank]
    purposes: [assessment]
    quota: {per_day: 20}
    consent: {uses_at_most: 5}
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / POLICY_FILE
    path.write_text(POLICY, encoding="utf-8")
    return path


# ---- policy


def test_check_says_what_is_good_and_names_what_is_not(policy: Path) -> None:
    result = run("policy", "check", policy)
    assert result.exit_code == 0
    assert read_policy(policy).digest().hex() in result.stdout
    assert "any bank of the federation" in result.stdout
    assert "fewer than 50" in result.stdout
    assert answer(run("policy", "check", policy, "--json"))["rules"] == 3
    policy.write_text(POLICY.replace("per_day", "per_week"), encoding="utf-8")
    broken = run("policy", "check", policy)
    assert broken.exit_code == 2
    assert "rules[3].quota" in broken.stderr
    assert len(broken.stderr.splitlines()) == 1


def test_show_prints_every_rule_with_its_defaults(policy: Path) -> None:
    text = run("policy", "show", policy).stdout
    for expected in (
        "a bank that broke its word",
        "deny",
        "20 a day",
        "at most 5 uses",
        "what no rule matches is denied",
    ):
        assert expected in text
    shown = answer(run("policy", "show", policy, "--json"))
    assert shown["hash"] == read_policy(policy).digest().hex()


@pytest.mark.parametrize(
    ("bank", "purpose", "allowed", "rule", "code"),
    [
        ("bank", "assessment", True, "assessments", ""),
        ("bank", "training", True, "training", ""),
        ("other", "training", False, "a bank that broke its word", "NODE_DENIED"),
        ("third", "assessment", False, None, "PURPOSE_DENIED"),
    ],
)
def test_explain_names_the_rule_that_decides(
    policy: Path, bank: str, purpose: str, allowed: bool, rule: str | None, code: str
) -> None:
    asked = ("policy", "explain", policy, "--bank", bank, "--purpose", purpose)
    result = run(*asked, "--json")
    found = answer(result)
    assert (found["allowed"], found["rule"], found["code"]) == (allowed, rule, code)
    assert result.exit_code == (0 if allowed else 1)
    text = run(*asked).stdout
    assert (rule or "no rule allows") in text
    assert ("allowed" if allowed else f"denied, {code}") in text


def test_explain_says_why_the_rules_before_do_not_decide(policy: Path) -> None:
    found = answer(run("policy", "explain", policy, "--bank", "bank", "--purpose", "assessment", "--json"))
    assert found["passed_over"] == [
        {"rule": "a bank that broke its word", "because": "it is not about bank"},
        {"rule": "training", "because": "it is not about assessment"},
    ]


def test_explain_judges_a_consent_as_the_node_would(trained: TrainedFederation, federation_folder: Path) -> None:
    file, service = federation_folder / "tax" / POLICY_FILE, federation_folder / "consent_service"
    asked = ("policy", "explain", file, "--bank", "bank", "--purpose", "assessment", "--json")

    def code(*options: object) -> object:
        text = run("consent", "issue", service, codes()[0], "--bank", "bank", *options).stdout.strip()
        return answer(run(*asked, "--subject-consent", text))["code"]

    assert code() == ""
    assert code("--domain", "social") == "CONSENT_SCOPE"
    assert code("--purpose", "training") == "CONSENT_SCOPE"
    assert code("--days", 400) == "CONSENT_TOO_BROAD"
    stranger = run(*asked, "--subject-consent", "a.b.c")
    assert (stranger.exit_code, answer(stranger)["code"]) == (1, "CONSENT_INVALID")


def test_the_schema_is_a_json_schema() -> None:
    assert "$defs" in answer(run("policy", "schema"))


# ---- the switch


def test_the_switch_works_without_coordinator_federation_or_network(federation_folder: Path) -> None:
    shutil.rmtree(federation_folder / COORDINATOR)
    node = federation_folder / "tax"
    result = run("node", "stop-answering", node, "--reason", "an incident")
    assert result.exit_code == 0
    assert "is stopped: an incident" in result.stdout
    assert (node / "STOP").read_text(encoding="utf-8") == "an incident\n"
    assert answer(run("node", "resume", node, "--json")) == {"stopped": False, "reason": None}
    assert not (node / "STOP").exists()
    assert run("node", "stop-answering", node / "nowhere").exit_code == 2


def test_one_stopped_node_means_no_score_for_anybody(federation_folder: Path, trained: TrainedFederation) -> None:
    run("node", "stop-answering", federation_folder / "social")
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        (result,) = federation.assess([trained.ids[0]])
    assert (result.status, result.denied_by) == ("denied", {"social": "NODE_STOPPED"})


# ---- the owner's log


@pytest.fixture(scope="module")
def asked(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tax node's directory after one answer and one denial, on the day after it took part in a training run."""
    federation_folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("asked") / "federation"))
    with LocalFederation(federation_folder, clock=lambda: NOW + 86_400) as federation:
        federation.withhold_consent(codes()[1])
        assert [result.status for result in federation.assess(codes()[:2])] == ["ok", "denied"]
    shutil.rmtree(federation_folder / COORDINATOR)
    return federation_folder / "tax"


def test_the_owner_sees_what_left_when_for_whom_and_by_which_rule(asked: Path) -> None:
    found = answer(run("node", "log", asked, "--kind", "assessment", "--json"))
    assert found["counts"] == {"DENY": 1, "RELEASE": 1}
    events = found["events"]
    assert isinstance(events, list)
    by_decision = {event["decision"]: event for event in events}
    released, denied = by_decision["RELEASE"], by_decision["DENY"]
    assert (released["subject"], released["rule"], released["code"]) == (codes()[0], "admitted banks may assess", "")
    assert (denied["subject"], denied["rule"], denied["code"]) == (codes()[1], "", "CONSENT_MISSING")
    assert {event["at"] for event in events} == {NOW + 86_400}
    assert all(re.fullmatch("[0-9a-f]{64}", event["model"]) for event in events)
    text = run("node", "log", asked).stdout
    assert "2023-11-15 22:13:20" in text
    assert "1 denied" in text


def test_the_owner_sees_each_step_of_training_and_what_it_revealed(asked: Path) -> None:
    found = answer(run("node", "log", asked, "--kind", "training", "--json"))
    events = found["events"]
    assert isinstance(events, list)
    assert {"BinHistograms"} <= {event["step"].partition("/")[0] for event in events}
    assert {event["leak"] for event in events} <= {"aggregate", "row_totals"}
    assert {(event["bank"], event["rule"]) for event in events} == {("bank", "admitted banks may train")}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--denied",), 1),
        (("--released", "--kind", "assessment"), 1),
        (("--subject", codes()[0]), 1),
        (("--bank", "other"), 0),
        (("--kind", "batch"), 0),
        (("--since", "2023-11-15T22:13:20"), 2),
        (("--since", "2023-11-15T22:13:21"), 0),
        (("--until", "2023-11-15", "--kind", "assessment"), 0),
        (("--limit", 1), 1),
    ],
    ids=str,
)
def test_the_owners_log_can_be_narrowed(asked: Path, options: tuple[object, ...], count: int) -> None:
    events = answer(run("node", "log", asked, *options, "--json"))["events"]
    assert isinstance(events, list)
    assert len(events) == count


def test_a_node_that_has_no_ledger_says_so(tmp_path: Path, asked: Path) -> None:
    for home, code in ((tmp_path / "nowhere", "NOT_A_FOLDER"), (asked.parent / "cards", "BAD_LEDGER")):
        result = run("node", "log", home, "--json")
        assert result.exit_code == 2
        assert answer(result)["error"]["code"] == code  # type: ignore[index]
    home = Path(shutil.copytree(asked, tmp_path / "tax"))
    with sqlite3.connect(home / "ledger.sqlite") as ledger:
        ledger.execute("DROP TABLE batch_entry")
    ledger.close()
    assert run("node", "log", home).exit_code == 2
