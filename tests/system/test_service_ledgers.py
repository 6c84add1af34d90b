"""A bank has on record what it has asked, and nothing that never left: too large for a frame, or nobody there."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from federation.audit.reading.log_view import StoredLog
from federation.audit.reconciliation.reconcile import reconcile
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.local.layout import BANK
from federation.process.settings import read_settings
from nodes.bank.service import Applicant
from nodes.bank.settings import BANK_FILE, BankSettings
from protocols.consent import Purpose
from protocols.errors import NotSent
from tests.conftest import TrainedFederation
from tests.system.service_federation import ServiceFederation, prepare, up

pytestmark = pytest.mark.slow
SMALLEST_FRAME = 1 << 16
MANY = 120


@pytest.fixture
def federation(trained: TrainedFederation, tmp_path: Path) -> ServiceFederation:
    return prepare(Path(shutil.copytree(trained.folder, tmp_path / "federation")))


def unlogged(folder: Path) -> list[tuple[str, str]]:
    """What does not fit between the log and the parties' own records."""
    with closing(StoredLog(folder)) as log, open_ledgers(folder) as readers:
        found = reconcile(log.leaves(), {party: own_entries(reader) for party, reader in readers.items()})
    return [(wrong.party, wrong.code) for wrong in found.discrepancies]


def test_a_batch_split_over_several_frames_leaves_no_unlogged_question(federation: ServiceFederation) -> None:
    stream = read_settings(federation.folder / BANK / BANK_FILE, BankSettings).coordinator
    small = msgspec.structs.replace(stream, frame_bytes=SMALLEST_FRAME)
    told: list[str] = []

    async def ask() -> None:
        async with federation.bank(coordinator=small) as bank:
            applicants = [Applicant(e, federation.consent(e)) for e in federation.ids[:MANY]]
            withdraw = bank._agent.withdraw
            bank._agent.withdraw = lambda transcript: (told.append("withdrawn"), withdraw(transcript))[1]  # type: ignore[method-assign]
            results = await bank.assess_batch(applicants, Purpose.ASSESSMENT)
            assert [result.status for result in results] == ["ok"] * MANY

    with up(federation):
        asyncio.run(ask())
    assert told  # it was indeed too much for one frame
    assert unlogged(federation.folder) == []


def test_a_question_that_finds_no_coordinator_is_on_no_record(federation: ServiceFederation) -> None:
    async def ask() -> None:
        async with federation.bank(query_seconds=1.0) as bank:
            await asyncio.to_thread(federation.coordinator.stop)
            async with asyncio.timeout(60):
                while bank.up:
                    await asyncio.sleep(0.05)
            with pytest.raises(NotSent) as refusal:
                await bank.assess(federation.ids[0], federation.consent(federation.ids[0]))
            assert refusal.value.code == "TIMEOUT"

    with up(federation):
        asyncio.run(ask())
    assert unlogged(federation.folder) == []
