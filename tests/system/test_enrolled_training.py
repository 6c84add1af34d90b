"""A bank that came in by enrolment trains: six processes from five directories that share nothing but the wire.

What operators carry by hand is handed over as they would: a token, thirty digits, the consent service's public key,
the roster that it reads cards from, one consent, and the list of revocations.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from federation.audit import verify_directory
from federation.local.processes import START_SECONDS, free_ports
from federation.process.asking import ask_http
from federation.process.settings import read_settings
from nodes.bank.model.file import read_model_file
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.stream_service import StreamBankService
from nodes.data_node.settings import NODE_FILE
from nodes.keystore import read_cards
from protocols.assessment.manifest import verify_manifest
from protocols.channel.identity import PartyId, PartyRole
from protocols.errors import CreditFederationError
from tests.small_federation import write_dataset, write_description
from tests.system.deploying import passable_folder

pytestmark = pytest.mark.slow

BANK, NODES = PartyId("icbc"), ("social", "tax")
DOMAINS = {"bank": ["utilisation"], "tax": ["sales", "等级"], "social": ["staff"]}
DEADLINE = 900
USERS = {"icbc": 61_101, "social": 61_102, "tax": 61_103}


def credfed(*arguments: str, code: int = 0) -> str:
    """Run a command in a process of its own; return what it prints."""
    command = [sys.executable, "-m", "federation.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@dataclass
class Sites:
    """Where each party lives: a folder of its own, with its own records; `processes` are what runs."""

    root: Path
    relay: int
    enrolment: int
    superlink: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def home(self, party: str) -> Path:
        """A party's directory, on a machine that would be its own."""
        return self.root / f"machine_{party}" / party

    def start(self, *arguments: str) -> None:
        """Start a command that runs until it is ended."""
        log = (self.root / "log").open("ab")
        command = [sys.executable, "-m", "federation.cli", *arguments]
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        log.close()

    def end(self) -> None:
        """End all of it."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def await_ready(home: Path, http: str) -> None:
    """Return once a process says that it can work."""
    limit = time.monotonic() + 3 * START_SECONDS
    while True:
        try:
            if ask_http(http, home, "/ready")[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < limit, (home.parents[1] / "log").read_text()[-4000:]
        time.sleep(0.5)


def deal_data(sites: Sites) -> None:
    """Give each party the description and its own file, and nothing of the others'."""
    whole = sites.root / "whole"
    write_dataset(whole)
    write_description(whole, DOMAINS)
    for party, name in ((BANK, "bank"), *((node, node) for node in NODES)):
        folder = sites.home(party).parent / "records"
        folder.mkdir(parents=True)
        shutil.copyfile(whole / "domains.json", folder / "domains.json")
        shutil.copyfile(whole / f"node_{name}.csv", folder / f"node_{name}.csv")
    shutil.rmtree(whole)


def found_all(sites: Sites, http: int) -> None:
    """Every party makes its own directory by its own command."""
    home, bits = str(sites.home("coordinator")), ("--key-bits", "2048")
    listen = ("--listen", f"127.0.0.1:{sites.relay}", "--enrolment", f"127.0.0.1:{sites.enrolment}")
    credfed("coordinator", "init", home, *listen, "--http", f"127.0.0.1:{http}", *bits)
    credfed("consent", "init", str(sites.home("consents")))
    data = ("--data", "../records")
    for node in NODES:
        rules = ("--domain", node, "--bank", BANK, "--minimum-nodes", "2")
        credfed("node", "init", str(sites.home(node)), *rules, *data, *bits)
    credfed("bank", "init", str(sites.home(BANK)), "--name", BANK, *data, *bits)
    settings = sites.home(BANK) / BANK_FILE
    settings.write_text(settings.read_text().replace(f"bank: '{BANK}'", "bank: bank"))
    for party in ("coordinator", *NODES):
        issuers = sites.home(party) / "issuers"
        issuers.mkdir()
        shutil.copy(sites.home("consents") / "consent_service.pem", issuers)


def ask_until_heard(*arguments: str) -> dict[str, str]:
    """Ask to be enrolled, and ask again while the coordinator takes too long on a machine that is busy."""
    command, limit = [sys.executable, "-m", "federation.cli", *arguments], time.monotonic() + DEADLINE
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        found: dict[str, str] = json.loads(done.stdout)
        if done.returncode == 0:
            return found
        assert "COORDINATOR_UNAVAILABLE" in done.stdout, done.stdout + done.stderr
        assert time.monotonic() < limit


def enrol(sites: Sites, party: str, role: str) -> None:
    """Invite, ask, compare, approve; as two operators do."""
    home = str(sites.home("coordinator"))
    token = json.loads(credfed("coordinator", "invite", party, "--role", role, "--home", home, "--json"))["token"]
    kind, address = (role, "enrol", str(sites.home(party))), f"127.0.0.1:{sites.enrolment}"
    asked = ask_until_heard(*kind, "--coordinator", address, "--token", token, "--wait", "0", "--json")
    credfed("party", "approve", party, "--home", home, "--fingerprint", asked["fingerprint"], "--json")
    assert json.loads(credfed(*kind, "--wait", str(DEADLINE), "--json"))["enrolled"] is True


@contextmanager
def revocations(sites: Sites) -> Iterator[None]:
    """The consent service publishes its list to where the coordinator reads it."""
    to = sites.home("coordinator") / "revocations.jwt"
    cards = str(sites.home(BANK) / "cards")
    sites.start("consent", "publish", str(sites.home("consents")), "--cards", cards, "--to", str(to), "--every", "5")
    limit = time.monotonic() + START_SECONDS
    while not to.exists():
        assert time.monotonic() < limit
        time.sleep(0.2)
    yield


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """A federation enrolled by commands, all of its processes up, nothing trained."""
    relay, enrolment, http, superlink = free_ports(4)
    with passable_folder("enrolled") as root, ExitStack() as ending:
        made = Sites(root, relay, enrolment, superlink)
        ending.callback(made.end)
        deal_data(made)
        found_all(made, http)
        made.start("coordinator", "run", str(made.home("coordinator")))
        await_ready(made.home("coordinator"), f"127.0.0.1:{http}")
        made.start("coordinator", "superlink", str(made.home("coordinator")), "--port", str(superlink))
        for party, role in ((BANK, "bank"), *((node, "node") for node in NODES)):
            enrol(made, party, role)
        ending.enter_context(revocations(made))
        at = f"127.0.0.1:{superlink}"
        for node in NODES:
            made.start("node", "run", str(made.home(node)))
            made.start("node", "supernode", str(made.home(node)), "--superlink", at, "--user", str(USERS[node]))
        made.start("bank", "supernode", str(made.home(BANK)), "--superlink", at, "--user", str(USERS[BANK]))
        for node in NODES:
            await_ready(made.home(node), "unix:health.sock")
        yield made


def consent(sites: Sites, subject: str, *options: str) -> str:
    """The consent service's word on a subject, for the bank and every domain of the roster that the bank has pinned."""
    terms = ("--bank", BANK, "--cards", str(sites.home(BANK) / "cards"))
    return credfed("consent", "issue", str(sites.home("consents")), subject, *options, *terms).strip()


def train(sites: Sites, *options: str, code: int = 0) -> str:
    """Train from the bank's own directory."""
    terms = ("--min-bin", "50", "--json")
    return credfed("train", "--federation", str(sites.home(BANK)), *terms, *options, code=code)


def test_an_enrolled_bank_trains_from_its_own_directory_and_asks(sites: Sites, tmp_path: Path) -> None:
    refused = json.loads(train(sites, code=2))["error"]
    assert refused["code"] == "CONSENT_NEEDED"
    said = refused["text"].split("SERVICE ")[1].split()
    assert said[said.index("--domain") :] == [*(f"--domain {' --domain '.join(NODES)}".split()), *said[-2:]]
    given = credfed("consent", "issue", str(sites.home("consents")), *said).strip()
    (tmp_path / "consent").write_text(given)
    results = json.loads(train(sites, "--consent", str(tmp_path / "consent")))
    home = sites.home(BANK)
    assert results["rounds"] == 8
    assert set(results["bytes_sent"]) == {BANK, *NODES}
    assert results["auc"] > results["auc_bank_only"]
    pins = read_cards(home / "cards")
    model = read_model_file(home / "model.json", pins.card(BANK, PartyRole.BANK), ())
    assert model.model == results["model_hash"]
    assert (home / "model_card.html").exists()
    signed = model.signed_manifest()
    verify_manifest(signed, pins.named({PartyId(node.party): node.card for node in signed.manifest.nodes}))
    assert {node.party for node in signed.manifest.nodes} == set(NODES)
    known = sites.home("coordinator").parent.parent / f"machine_{BANK}" / "records" / "node_bank.csv"
    enterprise = known.read_text().splitlines()[1].split(",")[0]
    asyncio.run(ask(sites, enterprise, consent(sites, enterprise)))


async def ask(sites: Sites, enterprise: str, text: str) -> None:
    """Ask about one enterprise until it is answered, from the bank's directory."""
    home = sites.home(BANK)
    settings = msgspec.structs.replace(read_settings(home / BANK_FILE, BankSettings), query_seconds=30.0)
    with open_bank_site(home, settings) as site:
        model = read_model_file(home / "model.json", site.pins.card(BANK, PartyRole.BANK), ())
        service = StreamBankService(home, settings, site, model)
        runner = asyncio.create_task(service.run())
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    try:
                        result = await service.assess(enterprise, text)
                    except CreditFederationError:
                        await asyncio.sleep(0.5)
                        continue
                    if result.status == "ok":
                        return
                    await asyncio.sleep(0.5)
        finally:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)


def test_a_run_without_the_consent_for_its_cohort_leaves_no_model(sites: Sites, tmp_path: Path) -> None:
    before = (sites.home(BANK) / "model.json").read_bytes()
    (tmp_path / "consent").write_text(consent(sites, "another-cohort", "--purpose", "training"))
    refused = json.loads(train(sites, "--consent", str(tmp_path / "consent"), "--seed", "1", code=1))["error"]
    assert refused["code"].startswith("CONSENT_")
    assert (sites.home(BANK) / "model.json").read_bytes() == before


def test_the_log_holds_the_run_and_verifies(sites: Sites) -> None:
    coordinator = sites.home("coordinator")
    assert (coordinator / "log.sqlite").exists()
    limit = time.monotonic() + DEADLINE
    while not verify_directory(coordinator.parent).ok:  # its witnesses are asked from time to time
        assert time.monotonic() < limit, verify_directory(coordinator.parent)
        time.sleep(1)
    assert not list(coordinator.rglob("node_*"))
    assert (sites.home("tax") / NODE_FILE).exists()
