"""`credfed bank api-key`, `bank labels`, `bank api` and the reports of `credfed assess`, as a person runs them."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from federation.cli.main import app
from federation.local.layout import BANK
from federation.local.processes import free_ports
from nodes.bank.store import outcomes
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.store.outcomes import Outcome
from tests.small_federation import codes

runner = CliRunner()


def run(*arguments: object) -> tuple[int, str]:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_a_key_is_shown_once_kept_as_a_hash_and_revoked_for_good(tmp_path: Path) -> None:
    code, shown = run("bank", "api-key", "create", tmp_path, "--name", "loans", "--scope", "assessments:read", "--json")
    made = json.loads(shown)
    assert code == 0
    assert made["scopes"] == ["assessments:read"]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert made["key"].split("_", 2)[2].encode() not in stored
    assert (tmp_path / DATABASE_FILE).stat().st_mode & 0o777 == 0o600
    assert run("bank", "api-key", "revoke", tmp_path, made["id"])[0] == 0
    _, listed = run("bank", "api-key", "list", tmp_path, "--json")
    assert [(key["name"], key["state"]) for key in json.loads(listed)] == [("loans", "revoked")]
    assert made["key"] not in listed
    assert run("bank", "api-key", "revoke", tmp_path, "0" * 16)[0] == 2


def test_a_key_expires_on_its_day(tmp_path: Path) -> None:
    _, shown = run("bank", "api-key", "create", tmp_path, "--name", "audit", "--days", "30", "--json")
    made = json.loads(shown)
    days = datetime.datetime.fromisoformat(made["expires"]) - datetime.datetime.fromisoformat(made["created"])
    assert (days.days, made["state"]) == (30, "active")


def test_a_folder_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    code, said = run("bank", "api-key", "list", tmp_path / "nowhere")
    assert code == 2
    assert "NOT_A_FOLDER" in said


def test_reported_outcomes_become_the_labels_of_the_next_run(federation_folder: Path, tmp_path: Path) -> None:
    day = datetime.date(2024, 1, 1)
    fresh = codes(401)[400]
    said = [(codes()[0], 120), (codes()[1], 0), (codes()[2], 45), (fresh, 200)]
    with closing(Database(federation_folder / BANK / DATABASE_FILE)) as database:
        for enterprise, days in said:
            reported = Outcome(enterprise, "LN", day, datetime.date(2025, 6, 1), days)
            database.do(lambda c, o=reported: outcomes.record(c, o, 0))
    out = tmp_path / "node_bank.csv"
    code, shown = run("bank", "labels", federation_folder, "--data", federation_folder / "data", "--out", out, "--json")
    assert code == 0
    assert json.loads(shown) | {"changed": None} == {"rows": 400, "changed": None, "added": 1, "left_out": 1}
    with out.open(encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert [rows[codes()[n]]["defaulted"] for n in (0, 1)] == ["1", "0"]
    assert codes()[2] not in rows
    assert (rows[fresh]["defaulted"], rows[fresh]["utilisation"]) == ("1", "")
    with (federation_folder / "data" / "node_bank.csv").open(encoding="utf-8") as file:
        before = {row["id"]: row for row in csv.DictReader(file)}
    assert all(rows[one] == before[one] for one in codes()[3:])
    assert run("bank", "labels", federation_folder, "--data", federation_folder / "data", "--out", out)[0] == 2


def test_assess_writes_reports_in_the_languages_asked_for(federation_folder: Path, tmp_path: Path) -> None:
    asked = ["assess", codes()[0], "--federation", federation_folder, "--report", tmp_path / "out"]
    assert run(*asked, "--language", "zh")[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{codes()[0]}-zh.html", f"{codes()[0]}-zh.pdf"}
    code, said = run(*asked)
    assert code == 0
    assert said.count("report written to") == 4


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_the_api_serves_until_it_is_told_to_stop(federation_folder: Path, number: signal.Signals) -> None:
    (port,) = free_ports(1)
    _, token = run("bank", "api-key", "create", federation_folder, "--name", "try")
    command = [sys.executable, "-m", "federation.cli", "bank", "api", str(federation_folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert b"serving http://127.0.0.1" in process.stdout.readline()
        key = re.findall(r"cfk_\S+", token)[0]
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/assessments",
            json={"enterprise": codes()[0]},
            headers={"Authorization": f"Bearer {key}"},
            timeout=120,
        )
        process.send_signal(number)
        assert process.wait(30) == 0
    assert (answer.status_code, answer.json()["status"]) == (201, "ok")


def test_beyond_this_machine_the_api_wants_a_certificate(federation_folder: Path) -> None:
    code, said = run("bank", "api", federation_folder, "--host", "0.0.0.0")  # noqa: S104  refused
    assert code == 2
    assert "certificate" in said
