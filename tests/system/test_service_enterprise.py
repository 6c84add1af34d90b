"""An enterprise and a federation of processes: its record over HTTP, nodes that are away, a coordinator killed."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.cli.main import app
from federation.enterprise.desk import MAX_REQUEST_BYTES
from federation.enterprise.http import PATH
from federation.local.processes import free_ports
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.stream_service import StreamBankService
from nodes.ledger import ledger_location, open_node_ledger
from protocols.channel.envelope import open_parcel
from protocols.consent import Purpose
from protocols.errors import PeerRefused
from tests.conftest import TrainedFederation
from tests.small_federation import codes
from tests.system.service_federation import ServiceFederation, prepare, up

pytestmark = pytest.mark.slow

MINE = codes()[30]
PATIENCE = 120.0


@pytest.fixture(scope="module")
def door() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def federation(
    trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory, door: int
) -> Iterator[ServiceFederation]:
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("rights") / "federation"))
    options = {"enterprises": {"listen": f"127.0.0.1:{door}"}, "objection_seconds": 0.5, "witness_seconds": 0.5}
    with up(prepare(folder, **options)) as running:
        yield running


@pytest.fixture(scope="module")
def me(federation: ServiceFederation, tmp_path_factory: pytest.TempPathFactory, door: int) -> Path:
    home = tmp_path_factory.mktemp("enterprise") / "me"
    where = ("--federation", federation.folder, "--coordinator", f"http://127.0.0.1:{door}")
    told("enterprise", "create", home, MINE, *where)
    vouched = told("consent", "vouch", federation.folder / "consent_service", MINE, home / "enterprise.card")
    (home / "credential.jwt").write_text(vouched["credential"])
    return home


def told(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def until(found: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < limit, "it never came about"
        time.sleep(0.1)


def assess(federation: ServiceFederation, objection: str = "") -> AssessmentResult:
    async def ask() -> AssessmentResult:
        async with federation.bank() as bank:
            return await answered(bank)

    async def answered(bank: StreamBankService) -> AssessmentResult:
        consent = federation.consent(MINE)
        return await bank.assess(MINE, consent, Purpose.ASSESSMENT, bytes.fromhex(objection))

    return asyncio.run(ask())


def test_the_record_is_fetched_over_http_and_names_a_node_that_is_away(federation: ServiceFederation, me: Path) -> None:
    asked = assess(federation)
    until(lambda: bool(told("enterprise", "record", me)["queries"]))
    record = told("enterprise", "record", me)
    assert record["ok"]
    assert asked.request in {query["reference"] for query in record["queries"]}
    federation.nodes["housing"].stop()
    try:
        record = told("enterprise", "record", me, code=1)
        assert [(one["code"], one["party"]) for one in record["findings"]] == [("NO_ANSWER", "housing")]
    finally:
        federation.nodes["housing"].start()
        federation.nodes["housing"].wait_until_ready()


def test_an_objection_outlives_an_absent_node_and_a_killed_coordinator(federation: ServiceFederation, me: Path) -> None:
    federation.nodes["social"].stop()
    filed = told("enterprise", "object", me, "--ground", "RECORD_WRONG", "--node", "tax")
    identifier = bytes.fromhex(filed["objection"])
    federation.coordinator.kill()
    federation.nodes["social"].start()
    federation.coordinator.start()
    for process in (federation.coordinator, *federation.nodes.values()):
        process.wait_until_ready()

    def held_by(node: str) -> bool:
        ledger = open_node_ledger(ledger_location(federation.folder / node))
        try:
            return ledger.objections.find(identifier) is not None
        finally:
            ledger.close()

    for node in federation.nodes:
        until(lambda node=node: held_by(node))
    assert assess(federation).objection_pending

    home = federation.folder / "tax"
    told("node", "repair", "value", home, MINE, "sales", "7040000", "--objection", filed["objection"])
    told("node", "objections", "decide", home, filed["objection"], "CORRECTED", "--reason", "RECORD_CORRECTED")
    until(lambda: not assess(federation).objection_pending)
    again = assess(federation, filed["objection"])
    record = told("enterprise", "record", me)
    (mine,) = record["objections"]
    assert (mine["waiting"], mine["decisions"]) == ([], {"tax": "CORRECTED, RECORD_CORRECTED"})
    assert mine["reassessments"] == [again.request]


def test_a_repair_is_in_force_at_a_node_that_runs(federation: ServiceFederation) -> None:
    home = federation.folder / "tax"
    scores = []
    for sales in ("6900000", "7100000"):
        told("node", "repair", "value", home, MINE, "sales", sales)
        scores.append(assess(federation).score)
    assert scores[0] != scores[1]


REQUESTS = {
    404: ("POST", "/v1/other", b"", "application/octet-stream"),
    405: ("GET", PATH, b"", "application/octet-stream"),
    415: ("POST", PATH, b"{}", "application/json"),
    413: ("POST", PATH, bytes(MAX_REQUEST_BYTES + 1), "application/octet-stream"),
}


def post(door: int, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", door, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": kind})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize("status", REQUESTS)
def test_what_is_no_request_gets_a_status_and_nothing_else(
    federation: ServiceFederation, door: int, status: int
) -> None:
    assert post(door, *REQUESTS[status]) == (status, b"")


@pytest.mark.parametrize("body", [b"", b"\x00" * 100, b"\x93" * 65_536])
def test_bytes_that_are_no_parcel_are_refused_by_code(federation: ServiceFederation, door: int, body: bytes) -> None:
    status, answer = post(door, "POST", PATH, body, "application/octet-stream")
    assert status == 200
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(answer)
    assert refusal.value.code in ("MALFORMED_MESSAGE", "UNEXPECTED_MESSAGE")
