"""`credfed audit` on a real federation: what each command says, and its exit codes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from federation.audit import read_log_keys
from federation.audit.alarms import AlarmRules
from federation.cli.main import app
from federation.local.federation import LocalFederation
from federation.local.layout import COORDINATOR
from protocols.transparency import parse_log_proof
from tests.postgres_server import PostgresServer
from tests.small_federation import NODES, NOW, codes


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def answer(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def asked(federation_folder: Path) -> Path:
    """A federation after two queries, the second denied for want of consent."""
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        federation.withhold_consent(codes()[1])
        assert [result.status for result in federation.assess(codes()[:2])] == ["ok", "denied"]
    return federation_folder


def test_verify_says_what_is_witnessed(asked: Path) -> None:
    result = run("verify", asked)
    assert result.exit_code == 0
    assert result.stdout.startswith("ok ")
    report = answer(run("verify", asked, "--json"))
    assert (report["ok"], report["first_bad_leaf"]) == (True, None)
    assert report["witnessed_size"] == report["leaves"]


def test_verify_names_the_first_bad_leaf(asked: Path) -> None:
    with sqlite3.connect(asked / COORDINATOR / "log.sqlite") as log:
        log.execute("UPDATE leaves SET leaf = zeroblob(50) WHERE idx = 7")
    log.close()
    result = run("verify", asked, "--json")
    assert result.exit_code == 1
    assert (answer(result)["first_bad_leaf"], answer(result)["code"]) == (7, "LEAF_MALFORMED")
    for command in (("reconcile", asked), ("export", asked, "--out", asked / "out")):
        broken = run(*command)
        assert broken.exit_code == 1
        assert "BROKEN at leaf 7" in broken.stdout
    assert not (asked / "out").exists()


@pytest.mark.parametrize(
    "command", [("verify",), ("search",), ("show", 0), ("export", "--out", "nowhere"), ("reconcile",), ("alarms",)]
)
def test_nothing_to_read_is_bad_input(tmp_path: Path, command: tuple[object, ...]) -> None:
    name, *rest = command
    result = run(name, tmp_path, *rest, "--json")
    assert result.exit_code == 2
    assert "LOG_UNREADABLE" in result.stdout


def test_verify_notices_a_coordinator_put_back_as_a_whole(asked: Path, tmp_path: Path) -> None:
    old = shutil.copytree(asked / COORDINATOR, tmp_path / "old")
    with LocalFederation(asked, clock=lambda: NOW) as federation:
        federation.assess(codes()[2:3])
    assert run("verify", asked).exit_code == 0
    shutil.rmtree(asked / COORDINATOR)
    shutil.copytree(old, asked / COORDINATOR)
    result = run("verify", asked, "--json")
    assert result.exit_code == 1
    assert answer(result)["code"] == "LEAF_MISSING"


def test_verify_with_the_verifiers_own_keys_and_notes(asked: Path, tmp_path: Path) -> None:
    note = asked / COORDINATOR / "log.witnessed"
    for name in ("log.pub", "witnesses.txt"):
        shutil.copy(asked / COORDINATOR / name, tmp_path)
    assert run("verify", asked, "--keys", tmp_path, "--known", note).exit_code == 0
    assert run("verify", asked, "--known", tmp_path / "missing").exit_code == 2
    stranger = (tmp_path / "log.pub").read_text()
    (tmp_path / "note").write_text(stranger)
    assert run("verify", asked, "--known", tmp_path / "note").exit_code == 1


def test_a_ledger_that_cannot_be_read_says_nothing_of_the_log(asked: Path) -> None:
    (asked / NODES[0] / "ledger.sqlite").write_bytes(b"junk" * 2000)
    assert run("verify", asked).exit_code == 0
    assert run("reconcile", asked).exit_code == 2


def test_search_lists_leaves(asked: Path) -> None:
    found = json.loads(run("search", asked, "--kind", "deny", "--json").stdout)
    assert [leaf["actor"] for leaf in found] == sorted(NODES)
    assert {leaf["attributes"]["code"] for leaf in found} == {"CONSENT_MISSING"}
    assert json.loads(run("search", asked, "--bank", "nobody", "--json").stdout) == []
    text = run("search", asked, "--kind", "REQUEST")
    assert text.exit_code == 0
    assert text.stdout.count("bank asked") == 2
    assert run("search", asked, "--kind", "bogus").exit_code == 2
    assert run("search", asked, "--since", "bogus").exit_code == 2


def test_no_command_tells_an_enterprise(asked: Path, tmp_path: Path) -> None:
    assert run("export", asked, "--out", tmp_path / "out").exit_code == 0
    told = [run("search", asked, "--json").stdout.encode(), run("reconcile", asked, "--json").stdout.encode()]
    told += [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    for code in codes()[:5]:
        assert not any(code.encode() in text for text in told)


def test_show_proves_a_leaf(asked: Path) -> None:
    (leaf,) = json.loads(run("search", asked, "--kind", "RESULT", "--json").stdout)
    result = run("show", asked, leaf["index"])
    assert result.exit_code == 0
    assert "a quorum of witnesses" in result.stdout
    assert answer(run("show", asked, leaf["index"], "--json"))["leaf"] == leaf
    proof = parse_log_proof(run("show", asked, leaf["index"], "--proof").stdout.encode())
    assert proof.index == leaf["index"]
    with sqlite3.connect(asked / COORDINATOR / "log.sqlite") as log:
        (data,) = log.execute("SELECT leaf FROM leaves WHERE idx = ?", (leaf["index"],)).fetchone()
    log.close()
    assert proof.verify(data, read_log_keys(asked / COORDINATOR)).cosignatures
    assert run("show", asked, 10_000).exit_code == 2


def test_show_refuses_a_leaf_that_the_proof_does_not_fit(asked: Path) -> None:
    with sqlite3.connect(asked / COORDINATOR / "log.sqlite") as log:
        log.execute("UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE idx = 3) WHERE idx = 5")
    log.close()
    result = run("show", asked, 5, "--json")
    assert result.exit_code == 1


def test_reconcile_holds_three_sides_against_each_other(asked: Path) -> None:
    found = answer(run("reconcile", asked, "--json"))
    assert (found["ok"], found["queries"], found["discrepancies"]) == (True, 2, [])
    assert found["parties"] == sorted(["bank", *NODES])
    with sqlite3.connect(asked / NODES[0] / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM answer WHERE decision = 'RELEASE'")
    ledger.close()
    with sqlite3.connect(asked / "bank" / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE question SET request = zeroblob(32) WHERE rowid = 1")
    ledger.close()
    result = run("reconcile", asked, "--json")
    assert result.exit_code == 1
    discrepancies = answer(result)["discrepancies"]
    assert isinstance(discrepancies, list)
    assert {(one["code"], one["party"]) for one in discrepancies} == {
        ("RELEASE_NOT_ON_RECORD", NODES[0]),
        ("EVIDENCE_DIFFERS", "bank"),
    }
    assert "RELEASE_NOT_ON_RECORD" in run("reconcile", asked).stdout


def test_an_export_answers_as_the_federation_does(asked: Path, tmp_path: Path) -> None:
    out = tmp_path / "export"
    assert run("export", asked, "--out", out).exit_code == 0
    assert run("export", asked, "--out", out).exit_code == 2
    assert answer(run("verify", out, "--json"))["root"] == answer(run("verify", asked, "--json"))["root"]
    assert run("search", out, "--json").stdout == run("search", asked, "--json").stdout
    assert run("show", out, 5, "--json").stdout == run("show", asked, 5, "--json").stdout
    assert answer(run("reconcile", out, "--ledgers", asked, "--json")) == answer(run("reconcile", asked, "--json"))
    lines = (out / "leaves.jsonl").read_text().splitlines(keepends=True)
    (out / "leaves.jsonl").write_text("".join(lines[:4] + lines[5:]))
    result = run("verify", out, "--json")
    assert result.exit_code == 1
    assert answer(result)["first_bad_leaf"] == 4


def quiet_rules(folder: Path, **on: object) -> Path:
    """A settings file in which every rule is off but those given."""
    path = folder / "rules.yaml"
    names = AlarmRules().__struct_fields__
    path.write_text(json.dumps({name: on.get(name, False if name == "reconciliation" else None) for name in names}))
    return path


def test_alarms_of_a_federation_and_of_its_export_are_the_same(asked: Path, tmp_path: Path) -> None:
    rules = quiet_rules(tmp_path, bulk={"per_hour": 2}, consent_denials={"per_day": {"CONSENT_MISSING": 1}})
    result = run("alarms", asked, "--rules", rules, "--json")
    assert result.exit_code == 1
    alarms = answer(result)["alarms"]
    assert isinstance(alarms, list)
    assert [(one["rule"], one["party"], one["seen"]) for one in alarms] == [
        ("bulk", "bank", "2 enterprises in 1 h"),
        ("consent_denials", "bank", "1 queries denied CONSENT_MISSING in 1 d"),
    ]
    text = run("alarms", asked, "--rules", rules).stdout
    assert "threshold 2 enterprises in 1 h; leaves" in text
    assert run("export", asked, "--out", tmp_path / "out").exit_code == 0
    assert answer(run("alarms", tmp_path / "out", "--rules", rules, "--json")) == answer(result)
    assert run("alarms", asked, "--rules", rules, "--until", "2020-01-01").exit_code == 0
    assert not any(code in result.stdout + text for code in codes()[:5])


def test_what_a_party_has_on_record_and_the_log_has_not_is_an_alarm(asked: Path, tmp_path: Path) -> None:
    rules = quiet_rules(tmp_path, reconciliation=True)
    assert run("alarms", asked, "--rules", rules).exit_code == 0
    with sqlite3.connect(asked / "bank" / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE question SET query = zeroblob(length(query)) WHERE rowid = 1")
    ledger.close()
    result = run("alarms", asked, "--rules", rules, "--json")
    assert result.exit_code == 1
    alarms = answer(result)["alarms"]
    assert isinstance(alarms, list)
    assert {(one["seen"].partition(":")[0], one["first_leaf"] is None) for one in alarms} == {
        ("REQUEST_NOT_LOGGED", True),
        ("ACK_NOT_LOGGED", True),
        ("REQUEST_NOT_ON_RECORD", False),
        ("ACK_NOT_ON_RECORD", False),
    }


def test_alarms_read_the_coordinators_rules_and_refuse_misspelt_ones(asked: Path, tmp_path: Path) -> None:
    shown = run("alarms", asked, "--show-rules")
    assert shown.exit_code == 0
    (asked / COORDINATOR / "alarms.yaml").write_text(shown.stdout)
    assert run("alarms", asked, "--show-rules").stdout == shown.stdout
    (asked / COORDINATOR / "alarms.yaml").write_text("bulk: {per_hour: 2}")
    assert "2 enterprises in 1 h" in run("alarms", asked).stdout
    for wrong in ("bulk: {per_our: 2}", "bulk: {per_hour: 0}", "bulks: {}", "off_hours: {opens: 9, closes: 9}"):
        (asked / COORDINATOR / "alarms.yaml").write_text(wrong)
        refused = run("alarms", asked, "--json")
        assert refused.exit_code == 2
        assert "BAD_SETTINGS" in refused.stdout
    assert run("alarms", asked, "--rules", tmp_path / "missing").exit_code == 2


def test_a_months_report_is_one_page_of_what_the_log_says(asked: Path, tmp_path: Path) -> None:
    page = tmp_path / "month.html"
    result = run("report", asked, "--month", "2023-11", "--out", page, "--json")
    assert result.exit_code == 0
    found = answer(result)
    assert found["banks"] == [
        {"bank": "bank", "queries": 2, "batches": 0, "enterprises": 2, "denied": 1, "acknowledged": 2}
    ]
    assert isinstance(found["witnesses"], list)
    assert {one["name"].rpartition("/")[2] for one in found["witnesses"] if one["cosigned"]} >= set(NODES)
    text = page.read_text()
    assert "CONSENT_MISSING" in text
    assert all((tmp_path / f"month-{language}.pdf").read_bytes().startswith(b"%PDF-") for language in ("en", "zh"))
    assert not any(code in result.stdout + text for code in codes()[:5])
    assert run("export", asked, "--out", tmp_path / "out").exit_code == 0
    again = run("report", tmp_path / "out", "--month", "2023-11", "--out", page, "--json")
    own = ("generated", "checkpoints", "cosignatures")  # an export carries the newest checkpoint alone
    assert {**answer(again), **{name: found[name] for name in own}} == found
    assert run("report", asked, "--month", "2023", "--out", page).exit_code == 2
    assert run("report", asked, "--month", "2023-11", "--out", tmp_path).exit_code == 2


def test_a_log_that_does_not_verify_has_no_alarms_to_offer(asked: Path) -> None:
    with sqlite3.connect(asked / COORDINATOR / "log.sqlite") as log:
        log.execute("UPDATE leaves SET leaf = zeroblob(50) WHERE idx = 7")
    log.close()
    result = run("alarms", asked)
    assert result.exit_code == 1
    assert "BROKEN at leaf 7" in result.stdout
    assert run("report", asked, "--month", "2023-11", "--out", asked / "month.html").exit_code == 1
    assert not (asked / "month.html").exists()


def test_the_benchmark_measures_in_a_process_of_its_own(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "audit", "--leaves", "250", "--folder", str(tmp_path), "--json"])
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert set(figures) == {"leaves", "append_per_s", "proof_ms", "verify_s", "peak_rss_mb"}
    assert figures["leaves"] == 250
    assert 10 < figures["peak_rss_mb"] < 120
    assert list(tmp_path.iterdir()) == []


def test_the_benchmark_compares_a_database_with_a_file_in_one_run(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    asked = ["bench", "audit", "--leaves", "250", "--folder", str(tmp_path), "--database", url]
    result = CliRunner().invoke(app, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["leaves"] == figures["sqlite"]["leaves"] == 250
    assert set(figures["ratio"]) == {"append", "proof", "verify", "memory"}
    assert figures["ratio"]["append"] == pytest.approx(figures["sqlite"]["append_per_s"] / figures["append_per_s"])
    with psycopg.connect(url) as server:
        left = server.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'credfed%'").fetchone()
    assert left == (0,)
    refused = CliRunner().invoke(app, ["bench", "audit", "--leaves", "1", "--database", "mysql://root:secret@db"])
    assert refused.exit_code == 2
    assert "secret" not in refused.output


def test_reconcile_holds_every_message_of_training_against_the_nodes_and_the_banks_own(asked: Path) -> None:
    found = answer(run("reconcile", asked, "--json"))
    assert (found["ok"], found["runs"]) == (True, 1)
    for party, code in (("tax", "TRAIN_STEP_NOT_ON_RECORD"), ("bank", "TRAIN_STEP_NOT_ON_RECORD")):
        with sqlite3.connect(asked / party / "ledger.sqlite") as ledger:
            ((message, transcript, step, at),) = ledger.execute("SELECT * FROM training_message LIMIT 1")
            ledger.execute("DELETE FROM training_message WHERE message = ?", (message,))
        (one,) = answer(run("reconcile", asked, "--json"))["discrepancies"]
        assert (one["query"], one["code"], one["party"]) == (transcript.hex(), code, party)
        with sqlite3.connect(asked / party / "ledger.sqlite") as ledger:
            ledger.execute("INSERT INTO training_message VALUES (?, ?, ?, ?)", (message, transcript, step, at))
            ledger.execute("INSERT INTO training_message VALUES (?, ?, ?, ?)", (bytes(32), transcript, step, at))
        (one,) = answer(run("reconcile", asked, "--json"))["discrepancies"]
        assert (one["code"], one["party"]) == ("TRAIN_STEP_NOT_LOGGED", party)
        with sqlite3.connect(asked / party / "ledger.sqlite") as ledger:
            ledger.execute("DELETE FROM training_message WHERE message = zeroblob(32)")
    alarms = answer(run("alarms", asked, "--json"))["alarms"]
    assert [alarm for alarm in alarms if alarm["rule"] == "reconciliation"] == []


def test_a_run_that_the_log_invents_is_an_alarm(asked: Path) -> None:
    with sqlite3.connect(asked / "social" / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM training_message")
    (alarm,) = [a for a in answer(run("alarms", asked, "--json"))["alarms"] if a["rule"] == "reconciliation"]
    assert alarm["party"] == "social"
    assert alarm["about"].startswith("run ")
    assert "TRAIN_STEP_NOT_ON_RECORD" in alarm["seen"]
    assert alarm["first_leaf"] is not None
