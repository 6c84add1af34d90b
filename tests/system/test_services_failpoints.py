"""`kill -9` at every point of an answer's way: before a commit, after it, before it is sent, mid-batch.

Whatever the point: no answer leaves without its row, no question gets two answers, quotas are right, work goes on.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from federation.local.layout import BANK
from federation.process.settings import read_settings
from nodes.bank.service import Applicant
from nodes.bank.stream_service import StreamBankService
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.opening import open_node_site
from nodes.data_node.settings import NODE_FILE, NodeSettings
from nodes.ledger import ledger_location
from nodes.ledger.reading import read_database
from protocols.channel.envelope import EVERYONE, open_parcel, pack_parcel
from protocols.channel.wire import encode
from protocols.consent import Purpose
from protocols.errors import CreditFederationError
from tests.conftest import TrainedFederation
from tests.small_federation import NODES, answers_in
from tests.system.failpoints import NOWHERE, POINTS, DoomedProcess, command_of
from tests.system.judging import judge
from tests.system.service_federation import ServiceFederation, prepare, up

pytestmark = pytest.mark.slow

SECONDS = 90.0
TOGETHER = 8
VICTIM = NODES[1]


class AskingBank:
    """A bank that keeps what it sent and what it got."""

    def __init__(self, federation: ServiceFederation, service: StreamBankService) -> None:
        self._federation, self._service = federation, service
        self.scores: list[tuple[str, int]] = []
        self.sent: list[bytes] = []
        request = service._connection.request

        async def noted(parcel: bytes, *, patient: bool = False) -> bytes:
            self.sent.append(parcel)
            return await request(parcel, patient=patient)

        service._connection.request = noted  # type: ignore[method-assign]

    async def ask(self, *, together: bool) -> bool:
        """Ask once, about one enterprise or several; say whether an answer came."""
        ids = self._federation.ids[: TOGETHER if together else 1]
        applicants = [Applicant(id_, self._federation.consent(id_)) for id_ in ids]
        try:
            if together:
                results = await self._service.assess_batch(applicants, Purpose.ASSESSMENT)
            else:
                results = [await self._service.assess(applicants[0].enterprise, applicants[0].consent)]
        except CreditFederationError:
            return False
        assert {result.status for result in results} == {"ok"}
        receipts = {(result.request.partition("-")[0], result.receipt) for result in results}
        self.scores += [(request, receipt) for request, receipt in receipts if receipt is not None]
        return True

    async def ask_until_dead(self, doomed: DoomedProcess, *, together: bool) -> None:
        """Ask until a process has reached its point."""
        limit = time.monotonic() + SECONDS
        while not doomed.dead:
            assert time.monotonic() < limit
            await self.ask(together=together)
            await asyncio.sleep(1)  # each question that a node is missing from counts at the others

    async def ask_until_answered(self, *, together: bool) -> None:
        """Ask until an answer comes."""
        limit = time.monotonic() + SECONDS
        while not await self.ask(together=together):
            assert time.monotonic() < limit
            await asyncio.sleep(1)  # each question that a node is missing from counts at the others


@pytest.mark.parametrize("party", ["node", "coordinator"])
def test_killed_at_each_point_of_an_answers_way(trained: TrainedFederation, tmp_path: Path, party: str) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "federation"))
    federation = prepare(folder, node_seconds=3.0, witness_seconds=0.5)
    bank = asyncio.run(kill_at_each_point(federation, party))
    judge(folder, bank.scores)
    check_repeated_questions(folder, bank.sent)


async def kill_at_each_point(federation: ServiceFederation, party: str) -> AskingBank:
    victim = federation.coordinator if party == "coordinator" else federation.nodes[VICTIM]
    with up(federation):
        async with federation.bank() as service:
            bank = AskingBank(federation, service)
            for point in (point for point in POINTS if point.startswith(party)):
                together = "batch" in point
                await asyncio.to_thread(victim.stop)
                doomed = DoomedProcess(victim.home, party, victim.http, point)
                try:
                    doomed.start()
                    await asyncio.to_thread(doomed.wait_until_ready)
                    await bank.ask_until_dead(doomed, together=together)
                finally:
                    doomed.kill()
                victim.start()
                await asyncio.to_thread(victim.wait_until_ready)
                await bank.ask_until_answered(together=together)
    return bank


def check_repeated_questions(folder: Path, sent: list[bytes]) -> None:
    """Ask the victim every question again, as it was asked: what it has answered, it answers with the same bytes."""
    home = folder / VICTIM
    with read_database(ledger_location(home)) as database:
        rows = database.rows("SELECT transcript, response FROM answer WHERE decision = 'RELEASE' AND subject <> ''")
        given = dict(rows)
    assert given
    answered = set()
    with open_node_site(home, read_settings(home / NODE_FILE, NodeSettings)) as site:
        agent = DataNodeAgent(site)
        for parcel in sent:
            asked = [envelope for envelope in open_parcel(parcel) if envelope.receiver in (EVERYONE, VICTIM)]
            if [one.message for one in asked] == ["Query", "Subject"] and asked[0].transcript in given:
                (reply,) = answers_in(agent.handle(pack_parcel(tuple(asked))))
                assert encode(reply) == given[asked[0].transcript]
                answered.add(reply.transcript)
    assert answered == given.keys()


BANK_POINTS = [point for point in POINTS if point.startswith("bank")]


@pytest.mark.parametrize("point", BANK_POINTS)
def test_a_bank_killed_at_each_point_of_a_question(trained: TrainedFederation, tmp_path: Path, point: str) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "federation"))
    answers, driver = tmp_path / "answers", ("tests.system.bank_driver", str(folder), str(tmp_path / "answers"))
    with up(prepare(folder, witness_seconds=0.5)), (folder / BANK / "service.log").open("ab") as log:
        doomed = subprocess.Popen(command_of(point, *driver), stdout=log, stderr=log)
        try:
            assert doomed.wait(SECONDS) == -9
        finally:
            doomed.kill()
        before = len(scores(answers))
        asking = subprocess.Popen(command_of(NOWHERE, *driver), stdout=log, stderr=log)
        try:
            limit = time.monotonic() + SECONDS
            while len(scores(answers)) < before + 3:
                assert time.monotonic() < limit
                time.sleep(0.1)
        finally:
            asking.kill()
            asking.wait()
    judge(folder, scores(answers))


def scores(path: Path) -> list[tuple[str, int]]:
    """The whole lines that a bank's process has written."""
    lines = path.read_text(encoding="ascii").split("\n")[:-1] if path.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]
