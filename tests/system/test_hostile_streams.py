"""Whoever dials the coordinator without the right to, or dials and misbehaves: what it gets, and what others get."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc.aio
import pytest

from federation.local.layout import BANK
from federation.local.services import write_certificate
from federation.process.settings import read_settings
from federation.relay.authority import create_authority, issue
from nodes.bank.agent import BankAgent
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.stream import Connection
from nodes.stream.settings import SERVER_NAME, StreamSettings
from protocols.channel.envelope import Parcel, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode
from tests.system.raw_stream import Call, Shown, dial, ended_with, of_party, read_frame, reply, requests, resident_mib
from tests.system.service_federation import ServiceFederation, bank_model
from tests.system.test_services import assess_until

pytestmark = pytest.mark.slow

OVERHEAD_MIB = 60.0


def on_stream(federation: ServiceFederation, shown: Shown, use: Callable[[Call], Awaitable[None]]) -> None:
    async def run() -> None:
        async with dial(federation.folder, federation.relay, shown) as call, asyncio.timeout(300):
            await use(call)

    asyncio.run(run())


def end_of(federation: ServiceFederation, shown: Shown) -> str:
    """How a stream ends that only listens."""
    found: list[str] = []

    async def listen(call: Call) -> None:
        found.append(await ended_with(call))

    on_stream(federation, shown, listen)
    return found[0]


def settle(federation: ServiceFederation) -> None:
    """Return once everybody answers: a node whose stream was taken from it dials again, without haste."""

    async def ask_again() -> None:
        async with federation.bank() as bank:
            await assess_until(bank, federation, "", 60)

    asyncio.run(ask_again())


# ---- who may dial


def test_without_a_certificate_nothing_is_heard(services: ServiceFederation) -> None:
    assert end_of(services, Shown(None)) == "UNAVAILABLE"


def test_a_certificate_of_another_authority_is_nobodys(services: ServiceFederation) -> None:
    now = datetime.datetime.now(datetime.UTC)
    assert end_of(services, Shown(issue(create_authority(now), PartyId("tax"), now))) == "UNAVAILABLE"


def test_an_expired_certificate_gets_nothing(services: ServiceFederation) -> None:
    assert end_of(services, of_party(services.folder, "tax", 30, datetime.timedelta(days=31))) == "UNAVAILABLE"


@pytest.mark.parametrize("name", ["stranger", "consent_service", "coordinator"])
def test_a_certificate_of_no_data_node_and_no_bank_gets_nothing(services: ServiceFederation, name: str) -> None:
    assert end_of(services, of_party(services.folder, name)) == "NOT_A_PARTY"


def test_a_stream_ends_with_its_certificate(services: ServiceFederation) -> None:
    seconds = 4.0
    assert end_of(services, of_party(services.folder, "bank", seconds / 86_400)) == "CERTIFICATE_EXPIRED"


def test_a_party_s_certificate_does_not_make_it_the_coordinator(services: ServiceFederation, tmp_path: Path) -> None:
    """A node, or whoever stole its certificate, listens in the coordinator's place: nobody talks to it."""
    heard: list[bytes] = []

    async def listen(_: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        heard.append(await context.read())

    async def run() -> None:
        stolen = of_party(services.folder, "electricity").issued
        authority = (services.folder / "tax" / "tls" / "authority.pem").read_bytes()
        assert stolen is not None
        server = grpc.aio.server()
        method = grpc.stream_stream_rpc_method_handler(listen)
        service = grpc.method_handlers_generic_handler("creditfederation.stream.v1.Relay", {"Connect": method})
        server.add_generic_rpc_handlers((service,))
        chain = grpc.ssl_server_credentials([(stolen.key, stolen.certificate)], authority, True)
        port = server.add_secure_port("127.0.0.1:0", chain)
        await server.start()
        settings = StreamSettings(address=f"127.0.0.1:{port}", retry_seconds=0.1)
        connection = Connection(services.folder / "tax", settings, lambda parcel: asyncio.sleep(0, parcel))
        dialling = asyncio.create_task(connection.run())
        await asyncio.sleep(1.5)
        assert not connection.up
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        await server.stop(0)

    asyncio.run(run())
    assert heard == []
    assert SERVER_NAME not in str(tmp_path)


# ---- what a party may say


def a_question(federation: ServiceFederation) -> bytes:
    """What the bank would send about one enterprise."""
    home = federation.folder / BANK
    with open_bank_site(home, read_settings(home / BANK_FILE, BankSettings)) as site:
        enterprise = federation.ids[0]
        return BankAgent(site).pose(enterprise, federation.consent(enterprise), bank_model(home, site))[1]


async def ask(call: Call, parcel: bytes, number: int = 1) -> Parcel:
    await call.write(requests([parcel], number))
    return await reply_to(call, number)


async def reply_to(call: Call, number: int) -> Parcel:
    """The reply to a request; what the coordinator itself asks meanwhile is passed over."""
    while True:
        for exchange in (await read_frame(call)).delivery.exchanges:
            if exchange.reply and exchange.number == number:
                return decode(exchange.parcel, Parcel)


async def question_asked(call: Call) -> int:
    """The number of the next request that carries a bank's question."""
    while True:
        for exchange in (await read_frame(call)).delivery.exchanges:
            if not exchange.reply and any(e.message == "Query" for e in open_parcel(exchange.parcel)):
                return int(exchange.number)


def test_another_party_s_certificate_does_not_ask_the_bank_s_question(services: ServiceFederation) -> None:
    """The question is the bank's own, signed and all; the stream is a data node's."""
    question = a_question(services)

    async def use(call: Call) -> None:
        answer = await ask(call, question)
        assert (answer.refusal, answer.envelopes) == ("UNEXPECTED_MESSAGE", ())

    on_stream(services, of_party(services.folder, "housing"), use)


def test_a_question_asked_twice_is_answered_with_the_same_bytes(services: ServiceFederation) -> None:
    """The bank's stream repeats a question at once, and after the coordinator has forgotten it."""
    settle(services)
    question = a_question(services)
    seen: list[dict[str, bytes]] = []

    async def use(call: Call) -> None:
        first = await ask(call, question, 1)
        assert first.refusal == ""
        seen.append({e.sender: e.body for e in first.envelopes if e.message == "ScoreShare"})
        again = await ask(call, question, 2)
        assert (again.refusal, again.envelopes) == ("VERIFICATION_FAILED", ())

    on_stream(services, of_party(services.folder, "bank"), use)
    services.coordinator.stop()
    services.coordinator.start()  # it has forgotten the question; the nodes' ledgers have not
    services.coordinator.wait_until_ready()

    async def repeat(call: Call) -> None:
        answer = await ask(call, question)
        seen.append({e.sender: e.body for e in answer.envelopes if e.message == "ScoreShare"})

    settle(services)
    on_stream(services, of_party(services.folder, "bank"), repeat)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert len(seen[0]) == 4


def test_a_reply_that_nobody_asked_for_ends_the_stream(services: ServiceFederation) -> None:
    async def use(call: Call) -> None:
        await call.write(reply(7, pack_parcel(())))
        assert await ended_with(call) == "UNEXPECTED_MESSAGE"

    on_stream(services, of_party(services.folder, "bank"), use)


@pytest.mark.parametrize("junk", [b"\xff" * 40, b"\x0a\x03\x0a\x01\xff", bytes(range(3, 253)) * 2])
def test_bytes_that_are_no_frame_end_the_stream(services: ServiceFederation, junk: bytes) -> None:
    async def use(call: Call) -> None:
        await call.write(junk)
        assert await ended_with(call) == "MALFORMED_MESSAGE"

    on_stream(services, of_party(services.folder, "bank"), use)


def test_a_parcel_that_is_none_is_refused_and_the_stream_goes_on(services: ServiceFederation) -> None:
    async def use(call: Call) -> None:
        for number, junk in enumerate((b"", b"\xff" * 100, pack_refusal("NONSENSE")), start=1):
            answer = await ask(call, junk, number)
            assert answer.refusal in {"MALFORMED_MESSAGE", "NONSENSE"}

    on_stream(services, of_party(services.folder, "bank"), use)


# ---- how much it may say


def test_a_message_of_5_mb_ends_its_stream_and_no_other(services: ServiceFederation) -> None:
    async def run() -> None:
        async with services.bank() as bank:
            await assess_until(bank, services, "", 60)
            before = resident_mib(services.coordinator.pid)
            # the data node's certificate is shown, so that the bank's own stream is not replaced
            async with dial(services.folder, services.relay, of_party(services.folder, "housing")) as call:
                await call.write(requests([bytes(5_000_000)]))
                assert await ended_with(call) in {"RESOURCE_EXHAUSTED", "STREAM_ENDED"}
            assert resident_mib(services.coordinator.pid) - before < OVERHEAD_MIB
            await assess_until(bank, services, "", 60)

    asyncio.run(run())


def test_a_flood_of_requests_keeps_memory_bounded(services: ServiceFederation) -> None:
    """A node's certificate sends requests as fast as the wire takes them, and reads what comes back."""
    before = resident_mib(services.coordinator.pid)
    highest = [before]

    async def use(call: Call) -> None:
        reading = asyncio.create_task(ended_with(call))
        frame_parcels = [bytes(1000)] * 100
        for number in range(300):
            await call.write(requests(frame_parcels, 1 + 100 * number))
            highest.append(resident_mib(services.coordinator.pid))
        reading.cancel()

    on_stream(services, of_party(services.folder, "housing"), use)
    assert max(highest) - before < OVERHEAD_MIB

    settle(services)


def test_more_requests_in_one_frame_than_a_frame_may_hold_end_the_stream(services: ServiceFederation) -> None:
    async def use(call: Call) -> None:
        await call.write(requests([b""] * 10_000))
        assert await ended_with(call) == "MALFORMED_MESSAGE"

    on_stream(services, of_party(services.folder, "housing"), use)


def cut_offs(federation: ServiceFederation) -> int:
    """How many streams the coordinator has ended because their reader was slow."""
    log = (federation.coordinator.home / "service.log").read_text(encoding="utf-8")
    return log.count('"TOO_SLOW"') + log.count('"STREAM_FULL"')


def test_a_reader_that_never_reads_is_cut_off(services: ServiceFederation) -> None:
    """It asks and asks, and takes no answer: what waits for it is bounded, and it is cut off in time."""
    before = resident_mib(services.coordinator.pid)
    cut_off = cut_offs(services)

    async def flood(call: Call) -> None:
        for number in range(100_000):
            await call.write(requests([b""] * 100, 1 + 100 * number))

    async def use(call: Call) -> None:
        flooding = asyncio.create_task(flood(call))
        while cut_offs(services) == cut_off:
            await asyncio.sleep(0.2)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)

    on_stream(services, of_party(services.folder, "housing"), use)
    assert resident_mib(services.coordinator.pid) - before < OVERHEAD_MIB


# ---- one stream a party


def test_a_second_stream_takes_the_first_one_s_place(services: ServiceFederation) -> None:
    async def run() -> None:
        shown = of_party(services.folder, "bank")
        async with dial(services.folder, services.relay, shown) as first:
            listening = asyncio.create_task(ended_with(first))
            await asyncio.sleep(0.3)
            async with dial(services.folder, services.relay, shown) as second:
                assert (await ask(second, b"")).refusal == "MALFORMED_MESSAGE"
                async with asyncio.timeout(60):
                    assert await listening == "REPLACED"

    asyncio.run(run())


def test_a_node_that_answers_in_another_s_name_is_not_believed(services: ServiceFederation) -> None:
    """Whoever holds the housing fund's certificate answers the bank's question with the tax office's own share."""
    settle(services)
    question, another = a_question(services), a_question(services)
    shares: list[bytes] = []

    async def run() -> None:
        async with dial(services.folder, services.relay, of_party(services.folder, "bank")) as bank:
            first = await ask(bank, question)
            shares.append(pack_parcel(tuple(e for e in first.envelopes if e.sender == "tax")))
        async with (
            dial(services.folder, services.relay, of_party(services.folder, "housing")) as impostor,
            dial(services.folder, services.relay, of_party(services.folder, "bank")) as bank,
        ):
            await bank.write(requests([another]))
            await impostor.write(reply(await question_asked(impostor), shares[0]))
            assert await reply_to(bank, 1) == Parcel(refusal="VERIFICATION_FAILED")

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_renewed_certificate_is_used_by_the_next_stream(services: ServiceFederation) -> None:
    """The coordinator reads its files again: an impostor's are not taken from then on, the new one's are."""
    from federation.local.services import read_authority

    home = services.coordinator.home
    authority = read_authority(services.folder)
    renewed = issue(authority, PartyId("coordinator"), datetime.datetime.now(datetime.UTC), 1, SERVER_NAME)
    write_certificate(home / "tls", renewed, authority)
    before = (home / "service.log").stat().st_size
    assert end_of(services, of_party(services.folder, "stranger")) == "NOT_A_PARTY"
    limit = time.monotonic() + 60
    while b'"NOT_A_PARTY"' not in (home / "service.log").read_bytes()[before:]:
        assert time.monotonic() < limit, "the impostor's end is not in the coordinator's log"
        time.sleep(0.1)
