"""Who is suspended gets nothing until it is lifted; certificates are renewed by themselves while questions go on."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.local.layout import BANK, COORDINATOR
from federation.local.services import read_authority, write_certificate
from federation.relay.authority import SERVER_NAME, issue
from nodes.keystore import read_roster
from protocols.channel.identity import PartyId
from tests.conftest import TrainedFederation
from tests.system.raw_stream import of_party
from tests.system.service_federation import ServiceFederation, change_settings, prepare, up
from tests.system.test_hostile_streams import end_of
from tests.system.test_rotation import ask_throughout, run_cli
from tests.system.test_services import assess_until, code_of

pytestmark = pytest.mark.slow

LIFE_SECONDS = 60
DEADLINE = 180.0


@pytest.fixture(scope="module")
def members(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFederation]:
    """A federation of processes whose coordinator issues certificates for a minute."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("members") / "federation"))
    federation = prepare(folder, node_seconds=20.0, witness_seconds=1.0, certificate_seconds=LIFE_SECONDS)
    for node in federation.nodes:
        path = folder / node / "node.yaml"
        change_settings(path, coordinator={"address": federation.relay, "retry_limit_seconds": 2.0})
    with up(federation):
        yield federation


def suspend(federation: ServiceFederation, party: str, *more: str) -> str:
    home = str(federation.folder / COORDINATOR)
    return asyncio.run(run_cli("party", "suspend", party, "--home", home, *more))["state"]


def test_a_suspended_node_is_cut_off_and_questions_say_so(members: ServiceFederation) -> None:
    async def ask(code: str) -> None:
        async with members.bank() as bank:
            await assess_until(bank, members, code, DEADLINE)

    asyncio.run(ask(""))
    assert suspend(members, "tax") == "suspended"
    asyncio.run(ask("PARTY_SUSPENDED"))
    assert end_of(members, of_party(members.folder, "tax")) == "PARTY_SUSPENDED"
    log = (members.coordinator.home / "service.log").read_text(encoding="utf-8")
    assert '"party":"tax","code":"PARTY_SUSPENDED"' in log
    signed = read_roster(members.folder / "cards")
    assert signed is not None
    assert [entry.party for entry in signed.roster.entries if entry.suspended] == ["tax"]
    assert suspend(members, "tax", "--lift") == "lifted"
    asyncio.run(ask(""))


def test_a_suspended_bank_asks_nothing(members: ServiceFederation) -> None:
    async def ask() -> None:
        async with members.bank() as bank:
            await assess_until(bank, members, "", DEADLINE)
            home = str(members.folder / COORDINATOR)
            assert (await run_cli("party", "suspend", BANK, "--home", home))["state"] == "suspended"
            await assess_until(bank, members, "PARTY_SUSPENDED", DEADLINE)
            assert (await run_cli("party", "suspend", BANK, "--lift", "--home", home))["state"] == "lifted"
            await assess_until(bank, members, "", DEADLINE)

    asyncio.run(ask())


def test_certificates_are_renewed_by_themselves_and_no_question_fails(members: ServiceFederation) -> None:
    """The node's and the bank's over their streams, the coordinator's from its own authority; each a minute long."""
    authority, now = read_authority(members.folder), datetime.datetime.now(datetime.UTC)
    members.nodes["tax"].stop()
    for party, server in (("tax", ""), (BANK, ""), (COORDINATOR, SERVER_NAME)):
        issued = issue(authority, PartyId(party), now, LIFE_SECONDS / 86_400, server)
        write_certificate(members.folder / party / "tls", issued, authority)
    members.nodes["tax"].start()
    files = [members.folder / party / "tls" / "certificate.pem" for party in ("tax", BANK, COORDINATOR)]
    before = [path.read_bytes() for path in files]
    started = time.monotonic()

    def renewed() -> bool:
        changed = all(path.read_bytes() != old for path, old in zip(files, before, strict=True))
        return changed and time.monotonic() - started > LIFE_SECONDS + 5  # the first ones are over by now

    async def ask() -> list[str]:
        async with members.bank(query_seconds=40.0) as bank:
            await assess_until(bank, members, "", LIFE_SECONDS / 2)
            codes = await ask_throughout(bank, members, renewed)
            return [*codes, await code_of(bank, members)]

    codes = asyncio.run(ask())
    assert len(codes) > 10
    assert set(codes) == {""}
    log = (members.coordinator.home / "service.log").read_text(encoding="utf-8")
    assert "CERTIFICATE_EXPIRED" not in log
