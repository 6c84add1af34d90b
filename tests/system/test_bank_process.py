"""`credfed bank run` with its REST API, over a federation of processes; killed, it goes on where it was."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from federation.local.layout import BANK
from federation.local.processes import PartyProcess, free_ports
from nodes.bank.store import api_keys
from nodes.bank.store.api_keys import Scope
from nodes.bank.store.database import DATABASE_FILE, Database
from tests.conftest import TrainedFederation
from tests.system.service_federation import ServiceFederation, change_settings, prepare, up

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class BankProcess:
    """The bank's process, and a client of its API."""

    process: PartyProcess
    client: httpx.Client
    federation: ServiceFederation

    def restart_after_kill(self) -> None:
        """Kill it where it stands, and start it again."""
        self.process.kill()
        self.process.start()
        self.process.wait_until_ready()


@pytest.fixture(scope="module")
def bank(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankProcess]:
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("bank") / "federation"))
    health, api = (f"127.0.0.1:{port}" for port in free_ports(2))
    with up(prepare(folder, witness_seconds=0.5)) as federation:
        home = folder / BANK
        change_settings(home / "bank.yaml", http=health, api={"listen": api})
        with closing(Database(home / DATABASE_FILE)) as database:
            scopes, now = frozenset(Scope), int(time.time())
            _, token = database.do(lambda c: api_keys.create(c, "test", scopes, now, None))
        process = PartyProcess(home, "bank", health)
        process.start()
        process.wait_until_ready()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://{api}", headers=headers, timeout=60) as client:
            yield BankProcess(process, client, federation)
        assert process.stop() == 0


def test_an_assessment_and_its_report_come_over_processes(bank: BankProcess) -> None:
    enterprise = bank.federation.ids[0]
    body = {"enterprise": enterprise, "consent": bank.federation.consent(enterprise)}
    made = bank.client.post("/v1/assessments", json=body)
    assert (made.status_code, made.json()["status"]) == (201, "ok")
    assert bank.client.get(f"{made.headers['location']}.pdf").content.startswith(b"%PDF-")
    assert bank.client.get("/healthz").json() == {"status": "ok", "code": ""}
    assert bank.client.post("/v1/assessments", json={"enterprise": enterprise}).json()["code"] == "CONSENT_MISSING"


@pytest.mark.parametrize("kill_at", ["accepted", "first chunk"])
def test_a_bank_that_is_killed_mid_batch_goes_on_and_answers_each_row_once(bank: BankProcess, kill_at: str) -> None:
    ids = bank.federation.ids
    lines = ["enterprise,consent", *(f"{one},{bank.federation.consent(one)}" for one in ids)]
    headers = {"Content-Type": "text/csv", "Idempotency-Key": f"killed at {kill_at}".replace(" ", "-")}
    sent = bank.client.post("/v1/batches", content="\n".join(lines), headers=headers)
    assert sent.status_code == 202, sent.text
    where = sent.headers["location"]
    while kill_at == "first chunk" and not bank.client.get(where).json()["answered"]:
        time.sleep(0.01)
    bank.restart_after_kill()
    assert bank.client.post("/v1/batches", content="\n".join(lines), headers=headers).content == sent.content
    limit = time.monotonic() + 60
    while (batch := bank.client.get(where).json())["status"] != "done":
        assert time.monotonic() < limit, batch
        time.sleep(0.1)
    assert (batch["rows"], batch["ok"]) == (len(ids), len(ids))
    results = [
        httpx.Response(200, content=line).json() for line in bank.client.get(f"{where}/results.jsonl").iter_lines()
    ]
    assert [row["enterprise"] for row in results] == list(ids)
    with closing(Database(bank.process.home / DATABASE_FILE)) as database:
        query = (
            "SELECT assessment, count(*) FROM batch_row JOIN batch ON number = batch WHERE id = ? GROUP BY assessment"
        )
        identifier = where.rsplit("/", 1)[1]
        linked = Counter(dict(database.do(lambda c: c.execute(query, (identifier,)).fetchall())))
        kept = database.do(lambda c: c.execute("SELECT count(*) FROM assessment WHERE source = 'batch'").fetchone()[0])
        rows = database.do(lambda c: c.execute("SELECT count(*) FROM batch_row").fetchone()[0])
    assert set(linked.values()) == {1}
    assert kept == rows  # no answer is without its row


def test_no_code_of_an_enterprise_is_in_the_process_log(bank: BankProcess) -> None:
    log = (bank.process.home / "service.log").read_text(encoding="utf-8")
    assert "stream up" in log
    assert not [one for one in bank.federation.ids if one in log]
    assert "cfk_" not in log
