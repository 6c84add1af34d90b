"""Coordinator and data nodes as processes over mutual TLS: what the bank gets, and what it gets when one is missing."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.local.federation import LocalFederation
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.service import Applicant
from nodes.bank.stream_service import StreamBankService
from protocols.consent import Purpose
from protocols.errors import PeerRefused, TransportError
from tests.conftest import TrainedFederation
from tests.system.service_federation import ServiceFederation, prepare, up

pytestmark = pytest.mark.slow


async def code_of(service: StreamBankService, federation: ServiceFederation) -> str:
    """Ask about some enterprise; return the code of the result, or of the error, "" if there is a score."""
    enterprise = federation.ids[secrets.randbelow(len(federation.ids) // 2)]
    try:
        return (await service.assess(enterprise, federation.consent(enterprise))).code
    except (TransportError, PeerRefused) as error:
        return error.code


async def assess_until(service: StreamBankService, federation: ServiceFederation, code: str, seconds: float) -> None:
    """Ask until the answer has this code."""
    started = time.monotonic()
    while (found := await code_of(service, federation)) != code:
        assert time.monotonic() - started < seconds, found
        await asyncio.sleep(0.2)


Told = tuple[object, ...]


def told(result: AssessmentResult) -> Told:
    """What a result says, apart from when it was asked."""
    return (
        result.enterprise, result.status, result.code, result.pd, result.score, result.grade, result.themes,
        result.coverage, result.denied_by,
    )  # fmt: skip


def test_an_assessment_over_processes_equals_the_embedded_one(
    services: ServiceFederation, trained: TrainedFederation, tmp_path: Path
) -> None:
    enterprises = services.ids[:12]

    denied = services.ids[12]

    async def ask() -> tuple[list[Told], list[Told]]:
        async with services.bank() as bank:
            await assess_until(bank, services, "", 60)
            one_by_one = await asyncio.gather(*(bank.assess(e, services.consent(e)) for e in enterprises))
            applicants = [*(Applicant(e, services.consent(e)) for e in enterprises), Applicant(denied, "")]
            together = await bank.assess_batch(applicants, Purpose.ASSESSMENT)
            return [told(result) for result in one_by_one], [told(result) for result in together]

    embedded = Path(shutil.copytree(trained.folder, tmp_path / "embedded"))
    with LocalFederation(embedded) as federation:
        expected = [told(result) for result in federation.assess(enterprises)]
    one_by_one, together = asyncio.run(ask())
    assert one_by_one == expected
    assert together[:12] == expected
    assert together[12][1:3] == ("denied", "CONSENT_MISSING")


def test_a_killed_node_is_named_unavailable_and_serves_again_once_it_is_back(services: ServiceFederation) -> None:
    async def ask() -> None:
        async with services.bank() as bank:
            await assess_until(bank, services, "", 10)
            services.nodes["tax"].kill()
            await assess_until(bank, services, "NODE_UNAVAILABLE", 10)
            services.nodes["tax"].start()
            await assess_until(bank, services, "", 30)

    asyncio.run(ask())


def test_a_node_that_hangs_costs_its_time_limit_and_no_score(services: ServiceFederation) -> None:
    async def ask() -> float:
        async with services.bank() as bank:
            await assess_until(bank, services, "", 20)
            os.kill(services.nodes["tax"].pid, signal.SIGSTOP)
            started = time.monotonic()
            code = await code_of(bank, services)
            taken = time.monotonic() - started
            os.kill(services.nodes["tax"].pid, signal.SIGCONT)
            assert code == "NODE_UNAVAILABLE"
            await assess_until(bank, services, "", 20)
            return taken

    assert 2.9 < asyncio.run(ask()) < 9


def test_a_restarted_coordinator_is_found_again_by_everybody(services: ServiceFederation) -> None:
    async def ask() -> None:
        async with services.bank(query_seconds=2.0) as bank:
            await assess_until(bank, services, "", 20)
            services.coordinator.kill()
            assert await code_of(bank, services) in {"TIMEOUT", "COORDINATOR_UNAVAILABLE"}
            services.coordinator.start()
            services.coordinator.wait_until_ready()
            await assess_until(bank, services, "", 30)

    asyncio.run(ask())


def test_processes_stop_when_told_and_leave_a_log_that_verifies_and_was_witnessed(
    trained: TrainedFederation, tmp_path: Path
) -> None:
    federation = prepare(Path(shutil.copytree(trained.folder, tmp_path / "federation")), witness_seconds=0.3)

    async def ask() -> None:
        async with federation.bank() as bank:
            await assess_until(bank, federation, "", 20)
            await asyncio.sleep(1.5)

    with up(federation):
        asyncio.run(ask())
        assert [federation.coordinator.stop(), *(node.stop() for node in federation.nodes.values())] == [0] * 5
    report = verify_directory(federation.folder)
    assert report.ok
    assert federation.coordinator.home.joinpath("service.log").read_text(encoding="utf-8").count("log witnessed")


def test_a_caller_that_goes_away_leaves_no_question_open(services: ServiceFederation) -> None:
    async def ask() -> None:
        async with services.bank() as bank:
            await assess_until(bank, services, "", 60)
            asking = [asyncio.create_task(bank.assess(e, services.consent(e))) for e in services.ids[20:32]]
            for number, task in enumerate(asking):
                await asyncio.sleep(0.004 * number)
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            await assess_until(bank, services, "", 60)
            async with asyncio.timeout(60):
                while bank._agent._questions._queries:
                    await asyncio.sleep(0.1)

    asyncio.run(ask())
