"""Training over Flower's deployed engine, and what a hostile app bundle gets of the parties whose SuperNodes run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from federation.audit import verify_directory
from federation.local.deployed.flower import (
    RUNTIME_SOCKET,
    flower_parties,
    supernode,
)
from federation.local.deployed.status import read_status
from federation.local.deployed.training import DeployedBanks
from federation.local.layout import BANK, read_federation
from federation.process.settings import read_settings
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.store import api_keys
from nodes.bank.store.api_keys import Scope
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.clock import system_clock
from protocols.channel.envelope import pack_parcel
from protocols.channel.identity import PartyId
from protocols.uscc import synthetic
from tests.conftest import TrainedFederation
from tests.small_federation import MINIMUM_BIN, NODES, PLAN, ROWS, make_federation, quick_keys
from tests.system.deploying import UP_SECONDS, deployed_federation, open_banks, passable_folder, run_tool

pytestmark = pytest.mark.slow
BUNDLE = Path(__file__).parent / "hostile_bundle"
NEW = synthetic(ROWS + 1)
"""A borrower whom the bank's file does not know."""


@pytest.fixture(scope="module")
def deployed() -> Iterator[Path]:
    """A federation of separate processes, untrained."""
    with passable_folder("deployed") as outer:
        with quick_keys():
            folder = make_federation(outer / "federation")
        with deployed_federation(folder, api=True):
            yield folder


def test_a_deployed_run_gives_the_embedded_runs_model(deployed: Path, trained: TrainedFederation) -> None:
    rounds = []
    with open_banks(deployed) as sites:
        run = DeployedBanks(deployed, sites, 0.3, 0)
        training = run.train(PLAN, MINIMUM_BIN, "deployed", rounds.append)
    embedded = trained.training
    assert training.scorecard.totals.tolist() == embedded.scorecard.totals.tolist()
    assert training.scorecard.calibration == embedded.scorecard.calibration
    assert training.model.own_points == embedded.model.own_points
    assert training.leaks == embedded.leaks
    assert len(rounds) == training.traffic.rounds == embedded.traffic.rounds
    assert set(training.traffic.bytes_sent) == {BANK, *NODES}
    assert read_federation(deployed).model == training.model.model
    assert verify_directory(deployed).ok
    assert 0 < training.traffic.engine_seconds["carrying"] < sum(training.traffic.seconds.values())


def reported(address: str, token: str, said: list[dict[str, object]]) -> dict[str, object]:
    """Report outcomes to the bank's process, which starts once there is a model; return what it says."""
    limit = time.monotonic() + UP_SECONDS
    while True:
        try:
            headers = {"Authorization": f"Bearer {token}"}
            told = httpx.post(f"http://{address}/v1/outcomes", json={"outcomes": said}, headers=headers, timeout=60)
            found: dict[str, object] = told.json()
        except httpx.TransportError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)
        else:
            return found


def test_a_deployed_run_trains_on_what_was_reported_to_the_banks_api(deployed: Path) -> None:
    with open_banks(deployed) as sites:
        good = sites[BANK].table.ids[int(sites[BANK].outcomes.argmin())]
        if not read_federation(deployed).model:
            DeployedBanks(deployed, sites, 0.3, 0).train(PLAN, MINIMUM_BIN, "deployed")
    with closing(Database(deployed / BANK / DATABASE_FILE)) as database:
        _, token = database.do(lambda c: api_keys.create(c, "loans", frozenset(Scope), system_clock(), None))
    loan: dict[str, object] = {"loan": "LN-1", "drawn_on": "2024-03-01", "observed_on": "2025-03-05"}
    said = [loan | {"enterprise": good, "days_past_due": 91}, loan | {"enterprise": NEW, "days_past_due": 0}]
    settings = read_settings(deployed / BANK / BANK_FILE, BankSettings)
    told = reported(settings.api.listen, token, said)
    assert told == {"recorded": 2, "known": 0, "labels": {"default": 1, "good": 1}}
    with open_banks(deployed) as sites:
        training = DeployedBanks(deployed, sites, 0.3, 0).train(PLAN, MINIMUM_BIN, "deployed")
    counted = training.reported
    assert (counted.reported, counted.changed, counted.added, counted.left_out) == (2, 1, 1, 0)
    assert len(training.data.bad) == ROWS + 1
    assert read_federation(deployed).model == training.model.model


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss (iproute2) is not installed on this machine")
def test_a_supernode_listens_on_no_port(deployed: Path) -> None:
    status = read_status(deployed)
    assert status is not None
    groups = {process.pid: process.name for process in status.processes if process.name.startswith("supernode")}
    assert len(groups) == len(flower_parties(deployed))
    listed = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    listening = {int(pid) for pid in re.findall(r"pid=(\d+)", listed)}
    assert listening, "ss has not said whose sockets these are"
    assert not [groups[os.getpgid(pid)] for pid in listening if os.getpgid(pid) in groups]


def test_a_hostile_bundle_gets_nothing_of_a_node(deployed: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give each SuperNode a user of its own")
    files = ["ledger.sqlite", "party.key", "paillier.pem", "policy.yaml", "node.yaml", "tls/key.pem"]
    targets = [str(deployed / node / name) for node in NODES for name in files]
    targets += [str(deployed / "data" / f"node_{party}.csv") for party in (*NODES, BANK)]
    targets += [str(deployed / party / name) for party in ("bank", "coordinator") for name in ("party.key", "log.key")]
    readable = [target for target in targets if Path(target).exists()]
    assert len(readable) > 25
    booty = deployed / "coordinator" / "booty.json"
    configuration = f"booty='{booty}' targets='{json.dumps(readable)}' parcel='{pack_parcel(()).hex()}'"
    run_tool(deployed, "run", str(BUNDLE), "--run-config", configuration)
    limit = time.monotonic() + 150
    while not booty.exists():
        assert time.monotonic() < limit
        time.sleep(0.5)
    brought = json.loads(booty.read_text())
    assert set(brought) >= set(NODES)
    users = {brought[node]["user"] for node in NODES}
    assert 0 not in users
    assert len(users) == len(NODES)
    for node in NODES:
        found = brought[node]
        assert not [target for target, data in found["files"].items() if data]
        assert not found["environments"]
        assert not {name for name in found["own"] if "KEY" in name or "PASS" in name or "TOKEN" in name}
        keys = [str(deployed / "flower" / other / "supernode.key") for other in flower_parties(deployed)]
        assert not [key for key in keys if key in found["files"]]
        assert found["reply"] == pack_parcel(()).decode("latin-1")


def test_a_supernode_with_an_unregistered_key_is_not_admitted(deployed: Path, tmp_path: Path) -> None:
    stranger = deployed / "flower" / "tax"
    key = tmp_path / "stranger.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-f", str(key)], check=True)
    command = supernode(deployed, PartyId("tax"), int(_port_of(deployed)))
    changes = {str(stranger / "supernode.key"): str(key), str(stranger / RUNTIME_SOCKET): str(tmp_path / "s")}
    arguments = [changes.get(part, part) for part in command.arguments]
    arguments = arguments[arguments.index("nodes.flower_node") - 2 :]
    environment = dict(command.environment) | {"HOME": str(tmp_path), "FLWR_HOME": str(tmp_path)}
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(arguments, env=environment, stdout=file, stderr=file)
    try:
        limit = time.monotonic() + 90
        while "403 Forbidden" not in output.read_text(encoding="utf-8"):
            assert time.monotonic() < limit, output.read_text(encoding="utf-8")
            time.sleep(0.5)
    finally:
        process.kill()
        process.wait()
    listed = json.loads(run_tool(deployed, "supernode", "list"))
    assert len(listed["nodes"]) == len(flower_parties(deployed))


def _port_of(folder: Path) -> str:
    text = (folder / "flower" / "superlink" / "home" / "config.toml").read_text()
    return text.split("localhost:")[1].split('"')[0]
