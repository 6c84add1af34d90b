"""A federation from empty directories by the commands alone: coordinator, bank, two data nodes; then a question."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from federation.audit import verify_directory
from federation.cli.main import app
from federation.local.consents import ConsentService
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR, FederationFile, write_federation
from federation.local.processes import START_SECONDS, coordinator_process, free_ports, node_process
from nodes.bank.training.split import split_rows
from nodes.keystore import create_party, read_cards, read_keys, write_cards
from protocols.channel.identity import PartyId, PartyRole
from tests.small_federation import PLAN, write_dataset, write_description
from tests.system.service_federation import ServiceFederation
from tests.system.test_services import assess_until

pytestmark = pytest.mark.slow

NODES = ("social", "tax")
DIGITS = re.compile(r"(\d{5} ){5}\d{5}")
DEADLINE = 300


def credfed(*arguments: str) -> str:
    """Run a command to its end; return what it prints."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def make_directories(folder: Path, relay: int, enrolment: int, http: int) -> None:
    """Let every party make its own directory, beside data of its own."""
    write_dataset(folder / "data")
    for domain in ("electricity", "housing"):
        (folder / "data" / f"node_{domain}.csv").unlink()
    write_description(folder / "data", {"bank": ["utilisation"], "tax": ["sales", "等级"], "social": ["staff"]})
    home, bits = str(folder / COORDINATOR), ("--key-bits", "2048")
    listen = ("--listen", f"127.0.0.1:{relay}", "--enrolment", f"127.0.0.1:{enrolment}", "--http", f"127.0.0.1:{http}")
    credfed("coordinator", "init", home, *listen, *bits)
    data = ("--data", "../data")
    for node in NODES:
        rules = ("--domain", node, "--bank", BANK, "--minimum-nodes", "2")
        credfed("node", "init", str(folder / node), *rules, *data, *bits)
    credfed("bank", "init", str(folder / BANK), *data, *bits)


def enrol(folder: Path, party: str, role: str, address: str) -> None:
    """Invite, ask, compare, approve; as two operators do."""
    home = str(folder / COORDINATOR)
    token = json.loads(credfed("coordinator", "invite", party, "--role", role, "--home", home, "--json"))["token"]
    kind = ("bank" if role == "bank" else "node", "enrol", str(folder / party))
    asked = json.loads(credfed(*kind, "--coordinator", address, "--token", token, "--wait", "0", "--json"))
    assert asked["enrolled"] is False
    listed = json.loads(credfed("party", "list", "--home", home, "--json"))["parties"]
    (seen,) = [row for row in listed if row["party"] == party]
    assert (seen["state"], seen["digits"]) == ("pending", asked["fingerprint"])
    assert DIGITS.fullmatch(asked["fingerprint"])
    approved = json.loads(
        credfed("party", "approve", party, "--home", home, "--fingerprint", asked["fingerprint"], "--json")
    )
    assert approved["state"] in ("enrolled", "approved")
    assert json.loads(credfed(*kind, "--wait", str(DEADLINE), "--json"))["enrolled"] is True


def train_embedded(folder: Path) -> ConsentService:
    """Train a model under the keys that were enrolled; a consent service stands for the enterprises."""
    card = create_party(folder / CONSENT_SERVICE, CONSENT_SERVICE, PartyRole.CONSENT_SERVICE, None)
    (folder / CONSENT_SERVICE / "withheld.txt").write_text("", encoding="utf-8")
    cards = [*read_cards(folder / COORDINATOR / "cards").cards.values(), card]
    write_cards(folder / "cards", cards)
    write_federation(folder, FederationFile("data", 2048, NODES, True))
    with LocalFederation(folder) as federation:
        federation.train(split_rows(federation.outcomes, 0.3, 0), PLAN, 50)
    public = read_keys(folder / CONSENT_SERVICE).signing.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for party in (COORDINATOR, *NODES):
        (folder / party / "issuers").mkdir()
        (folder / party / "issuers" / f"{CONSENT_SERVICE}.pem").write_bytes(pem)
    (folder / COORDINATOR / "revocations.jwt").symlink_to(folder / CONSENT_SERVICE / "revocations.jwt")
    return ConsentService(folder / CONSENT_SERVICE, NODES, read_cards(folder / "cards"), lambda: int(time.time()))


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFederation]:
    folder = tmp_path_factory.mktemp("enrolled")
    relay, enrolment, http = free_ports(3)
    make_directories(folder, relay, enrolment, http)
    coordinator = coordinator_process(folder)
    with ExitStack() as stopping:
        stopping.callback(coordinator.stop)
        coordinator.start()
        coordinator.wait_until_ready(2 * START_SECONDS)
        for party, role in ((BANK, "bank"), *((node, "node") for node in NODES)):
            enrol(folder, party, role, f"127.0.0.1:{enrolment}")
        coordinator.stop()
        consents = train_embedded(folder)
        nodes = {node: node_process(folder, PartyId(node)) for node in NODES}
        ids = tuple(line.split(",")[0] for line in (folder / "data" / "node_bank.csv").read_text().splitlines()[1:])
        with consents.publishing():
            for process in (coordinator, *nodes.values()):
                stopping.callback(process.stop)
                process.start()
            for process in (coordinator, *nodes.values()):
                process.wait_until_ready(2 * START_SECONDS)
            yield ServiceFederation(folder, f"127.0.0.1:{relay}", coordinator, nodes, consents, ids)


def test_a_question_is_answered_by_parties_that_enrolled_by_the_commands_alone(enrolled: ServiceFederation) -> None:
    async def ask() -> None:
        async with enrolled.bank(query_seconds=30.0) as bank, asyncio.timeout(DEADLINE):
            while not set(NODES) <= read_cards(enrolled.folder / BANK / "cards").cards.keys():
                await asyncio.sleep(0.1)  # the bank enrolled before them: its first roster comes when it connects
            await assess_until(bank, enrolled, "", DEADLINE)

    asyncio.run(ask())


def test_all_have_pinned_the_same_cards_and_each_shows_the_same_digits(enrolled: ServiceFederation) -> None:
    seen = []
    for party in (COORDINATOR, BANK, *NODES):
        rows = json.loads(credfed("party", "list", "--home", str(enrolled.folder / party), "--json"))["parties"]
        seen.append({row["party"]: row["digits"] for row in rows if row["state"] == "enrolled"})
    assert seen[0].keys() == {COORDINATOR, BANK, *NODES}
    assert all(rows == seen[0] for rows in seen)


def test_no_private_key_is_anywhere_but_with_its_party(enrolled: ServiceFederation) -> None:
    for party in (BANK, *NODES):
        keys = read_keys(enrolled.folder / party)
        raw = [key.private_bytes_raw() for key in (keys.signing, keys.sealing, keys.mask)]
        secret = [*raw, (enrolled.folder / party / "tls" / "key.pem").read_bytes()]
        for other in {COORDINATOR, BANK, *NODES} - {party}:
            for path in (enrolled.folder / other).rglob("*"):
                if path.is_file():
                    held = path.read_bytes()
                    assert not [key for key in secret if key in held], path


def test_enrolled_parties_become_witnesses_and_the_log_verifies(enrolled: ServiceFederation) -> None:
    witnesses = enrolled.folder / COORDINATOR / "witnesses.txt"

    async def cosign() -> None:
        async with enrolled.bank(), asyncio.timeout(DEADLINE):
            while len(witnesses.read_text(encoding="utf-8").splitlines()) < len(NODES) + 1:
                await asyncio.sleep(0.5)

    asyncio.run(cosign())
    enrolled.coordinator.stop()
    assert verify_directory(enrolled.folder).ok
    enrolled.coordinator.start()
    enrolled.coordinator.wait_until_ready(2 * START_SECONDS)
