"""A wrong configuration is told by file and key; logs and health say what they may, to whom they may."""

from __future__ import annotations

import http.client
import json
import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.cli.main import app
from federation.local.services import Ports, equip
from federation.process.asking import ask_http
from federation.process.http import check_http, serve_health
from federation.process.logs import JsonFormatter
from federation.process.settings import read_settings
from federation.relay.settings import CoordinatorSettings
from nodes.data_node.settings import NodeSettings
from protocols.errors import ConfigurationError, VerificationFailed

WRONG = {
    "domain: tax\n": "coordinator",
    "domain: tax\ncoordinator: {address: nowhere}\n": "coordinator.address",
    "domain: 7\ncoordinator: {address: a:1}\n": "domain",
    "domain: tax\ncoordinator: {address: a:1, beat: 3}\n": "beat",
    "domain: tax\ncoordinator: {address: a:1, heartbeat_seconds: -1}\n": "heartbeat_seconds",
    "domain: [\n": "line 2",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_settings_are_named_by_file_and_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        read_settings(path, NodeSettings)
    assert str(path) in str(error.value)
    assert WRONG[text] in str(error.value)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("", encoding="utf-8")
    assert read_settings(tmp_path / "c.yaml", CoordinatorSettings) == CoordinatorSettings()


def test_run_says_what_is_wrong_in_one_line_and_exits_with_2(federation_folder: Path) -> None:
    equip(federation_folder, Ports())
    runner = CliRunner()
    for role, party in (("coordinator", "coordinator"), ("node", "tax"), ("bank", "bank")):
        home = federation_folder / party
        assert runner.invoke(app, [role, "run", str(home), "--check"]).exit_code == 0
        (home / f"{role}.yaml").write_text("nonsense: 1\n", encoding="utf-8")
        refused = runner.invoke(app, [role, "run", str(home), "--check", "--json"])
        assert refused.exit_code == 2
        assert "nonsense" in json.loads(refused.stdout)["error"]["text"]
    (federation_folder / "tax" / "tls" / "key.pem").unlink()
    equip(federation_folder, Ports())
    (federation_folder / "tax" / "tls" / "key.pem").unlink()
    assert "key.pem" in runner.invoke(app, ["node", "run", str(federation_folder / "tax"), "--json"]).stdout


@pytest.mark.parametrize("address", ["0.0.0.0:9000", "192.0.2.1:80", "localhost:80", "9000", "127.0.0.1:99999"])
def test_health_is_served_on_loopback_alone(address: str) -> None:
    with pytest.raises(ConfigurationError):
        check_http(address)


def test_health_readiness_and_metrics_over_a_socket_of_the_owner(tmp_path: Path) -> None:
    ready = False
    with serve_health("unix:h.sock", tmp_path, lambda: ready):
        assert (tmp_path / "h.sock").stat().st_mode & 0o077 == 0
        assert ask_http("unix:h.sock", tmp_path, "/health")[0] == http.client.OK
        assert ask_http("unix:h.sock", tmp_path, "/ready")[0] == http.client.SERVICE_UNAVAILABLE
        ready = True
        assert ask_http("unix:h.sock", tmp_path, "/ready")[0] == http.client.OK
        assert "process_cpu_seconds_total" in ask_http("unix:h.sock", tmp_path, "/metrics")[1]
        assert ask_http("unix:h.sock", tmp_path, "/etc/passwd")[0] == http.client.NOT_FOUND


def test_a_log_line_says_of_a_foreign_error_its_class_alone() -> None:
    def line(error: Exception) -> dict[str, object]:
        record = logging.makeLogRecord({"msg": "it failed", "party": "tax", "exc_info": (type(error), error, None)})
        return dict(json.loads(JsonFormatter().format(record)))

    foreign = line(ValueError("91350100M000100Y43 scored 700"))
    assert (foreign["event"], foreign["party"], foreign["error"]) == ("it failed", "tax", "ValueError")
    assert "91350100M000100Y43" not in json.dumps(foreign)
    assert line(VerificationFailed("two of four", code="X"))["code"] == "X"
