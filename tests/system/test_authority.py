"""The certificate authority is replaced while questions are asked: none fails, none is answered otherwise."""

from __future__ import annotations

import asyncio
import datetime
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from federation.audit import verify_directory
from federation.local.layout import BANK, COORDINATOR
from federation.local.services import read_authority
from federation.relay.authority import Issued, issue
from nodes.bank.stream_service import StreamBankService
from protocols.channel.identity import PartyId
from tests.conftest import TrainedFederation
from tests.small_federation import NODES
from tests.system.raw_stream import Shown
from tests.system.service_federation import ServiceFederation, prepare, up
from tests.system.test_hostile_streams import end_of
from tests.system.test_rotation import run_cli
from tests.system.test_services import Told, assess_until, told

pytestmark = pytest.mark.slow

DEADLINE = 900.0
ASKED = 6
STEPS = ("next", "switch", "drop")


@pytest.fixture(scope="module")
def changing(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFederation]:
    """A federation of processes whose authority may be replaced."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("authority") / "federation"))
    with up(prepare(folder, node_seconds=20.0, witness_seconds=1.0)) as federation:
        yield federation


async def answer(bank: StreamBankService, federation: ServiceFederation, enterprise: str) -> Told:
    return told(await bank.assess(enterprise, federation.consent(enterprise)))


async def ask_throughout(
    bank: StreamBankService, federation: ServiceFederation, right: dict[str, Told], done: Callable[[], bool]
) -> int:
    """Ask about one enterprise after the other until something is done; return how many answers there were."""
    answers = 0
    while not done():
        for enterprise, expected in right.items():
            assert await answer(bank, federation, enterprise) == expected
            answers += 1
    return answers


async def replace_authority(federation: ServiceFederation) -> None:
    """Take all three steps, as the operators would: each party renews its certificate before the next one."""
    home = str(federation.folder / COORDINATOR)
    for step in STEPS:
        if step != STEPS[0]:
            for party in (BANK, *NODES):
                rotate = ("party", "rotate", "--home", str(federation.folder / party), "--key", "tls", "--wait", "300")
                assert (await run_cli(*rotate))["state"] == "rotated"
        found = await run_cli("coordinator", "authority", step, "--home", home)
        assert found["step"] == {"next": "next", "switch": "switched", "drop": "none"}[step]


async def ask_while_it_is_replaced(federation: ServiceFederation) -> int:
    """Return how many questions were answered before, while and after the authority was replaced."""
    async with federation.bank(query_seconds=60.0) as bank, asyncio.timeout(DEADLINE):
        await assess_until(bank, federation, "", DEADLINE)
        right = {enterprise: await answer(bank, federation, enterprise) for enterprise in federation.ids[:ASKED]}
        assert {result[1] for result in right.values()} == {"ok"}
        replacing = asyncio.create_task(replace_authority(federation))
        answers = await ask_throughout(bank, federation, right, replacing.done)
        await replacing
        ends = iter((False, True))
        return answers + await ask_throughout(bank, federation, right, lambda: next(ends))


def old_certificate(authority: Issued, party: str) -> Shown:
    return Shown(issue(authority, PartyId(party), datetime.datetime.now(datetime.UTC), 1))


def test_the_authority_is_replaced_under_load_and_the_old_one_then_vouches_for_nobody(
    changing: ServiceFederation,
) -> None:
    old = read_authority(changing.folder)
    assert asyncio.run(ask_while_it_is_replaced(changing)) > 2 * ASKED
    new = read_authority(changing.folder)
    assert new.certificate != old.certificate
    authority = load_pem_x509_certificate(new.certificate)
    for party in (BANK, *NODES):
        tls = changing.folder / party / "tls"
        load_pem_x509_certificate((tls / "certificate.pem").read_bytes()).verify_directly_issued_by(authority)
        assert authority in load_pem_x509_certificates((tls / "authority.pem").read_bytes())
    assert end_of(changing, old_certificate(old, "tax")) == "UNAVAILABLE"
    changing.coordinator.stop()
    assert verify_directory(changing.folder).ok
