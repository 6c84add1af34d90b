"""One end of a stream: replies find their requests; no slow or hostile peer makes it keep more than it may."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import CreditFederationError, MalformedMessage, TransportError, UnexpectedMessage
from protocols.stream import Gatherer, StreamEnd, StreamLimits
from protocols.stream.exchanges import EXCHANGES_PER_FRAME
from protocols.stream.wire import Delivery, Exchange, Frame

SMALL = StreamLimits(frame_bytes=1000, waiting_bytes=3000, open_requests=4)
ROOT = Path(__file__).parents[4]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(limited())


def frame(*exchanges: Exchange) -> bytes:
    return bytes(Frame(delivery=Delivery(exchanges=exchanges)).SerializeToString())


def test_replies_find_their_requests_in_any_order() -> None:
    async def test() -> None:
        asking, serving = StreamEnd(StreamLimits()), StreamEnd(StreamLimits())
        waiting = [asyncio.create_task(asking.request(b"%d" % number)) for number in range(300)]
        await asyncio.sleep(0)
        requests = []
        while len(requests) < 300:
            requests += serving.incoming(await asking.outgoing())
        for request in reversed(requests):
            serving.reply(request.number, b"re " + request.parcel)
        while not all(task.done() for task in waiting):
            asking.incoming(await serving.outgoing())
            await asyncio.sleep(0)
        assert [task.result() for task in waiting] == [b"re %d" % number for number in range(300)]

    run(test)


def test_what_is_patient_goes_with_the_next_frame_and_alone_after_a_moment() -> None:
    async def test() -> None:
        end, outgoing = StreamEnd(StreamLimits(patience=3600)), list[bytes]()
        writing = asyncio.create_task(end.outgoing())
        await asyncio.sleep(0)
        told = asyncio.create_task(end.request(b"told", patient=True))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not writing.done()
        asked = asyncio.create_task(end.request(b"asked"))
        outgoing.append(await writing)
        assert [e.parcel for e in Frame.FromString(outgoing[0]).delivery.exchanges] == [b"told", b"asked"]
        hasty = StreamEnd(StreamLimits(patience=0.01))
        writing = asyncio.create_task(hasty.outgoing())
        await asyncio.sleep(0)
        alone = asyncio.create_task(hasty.request(b"alone", patient=True))
        outgoing.append(await writing)  # although nothing else is ever sent
        assert [e.parcel for e in Frame.FromString(outgoing[1]).delivery.exchanges] == [b"alone"]
        for each in (end, hasty):
            each.close("SHUTTING_DOWN")
        await asyncio.gather(told, asked, alone, return_exceptions=True)

    run(test)


def test_what_waits_for_a_peer_that_reads_nothing_is_bounded() -> None:
    async def test() -> None:
        end = StreamEnd(SMALL)
        tasks = [asyncio.create_task(end.request(bytes(500))) for _ in range(50)]
        await asyncio.sleep(0)
        assert end.waiting_bytes <= SMALL.waiting_bytes
        refused = [task.exception() for task in tasks if task.done()]
        assert {error.code for error in refused if isinstance(error, TransportError)} == {"STREAM_FULL"}
        assert len(refused) >= 44
        with pytest.raises(TransportError) as too_large:
            await end.request(bytes(1001))
        assert too_large.value.code == "PARCEL_TOO_LARGE"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(test)


def test_frames_stay_unread_while_too_many_requests_are_in_progress() -> None:
    async def test() -> None:
        end = StreamEnd(SMALL)
        requests = end.incoming(frame(*(Exchange(number=n, parcel=b"x") for n in range(1, 5))))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await end.room()
        end.reply(requests[0].number, b"")
        async with asyncio.timeout(60):
            await end.room()

    run(test)


def test_a_late_reply_to_a_request_given_up_is_dropped_a_second_one_is_not_forgiven() -> None:
    async def test() -> None:
        end = StreamEnd(SMALL)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await end.request(b"q")
        end.incoming(frame(Exchange(number=1, reply=True, parcel=b"late")))
        with pytest.raises(UnexpectedMessage):
            end.incoming(frame(Exchange(number=1, reply=True, parcel=b"again")))

    run(test)


def test_what_no_honest_peer_sends_is_an_error() -> None:
    async def test() -> None:
        with pytest.raises(UnexpectedMessage):
            StreamEnd(SMALL).incoming(frame(Exchange(number=9, reply=True)))
        with pytest.raises(UnexpectedMessage):
            StreamEnd(SMALL).incoming(frame(Exchange(number=1), Exchange(number=1)))
        with pytest.raises(MalformedMessage):
            StreamEnd(SMALL).incoming(frame(*(Exchange(number=n) for n in range(EXCHANGES_PER_FRAME + 1))))

    run(test)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_the_federation_s_errors(data: bytes) -> None:
    async def test() -> None:
        try:
            StreamEnd(SMALL).incoming(data)
        except CreditFederationError:
            return

    run(test)


@pytest.mark.parametrize(
    ("said", "heard"), [("REPLACED", "REPLACED"), ("A" * 900, "STREAM_ENDED"), ("", "STREAM_ENDED")]
)
def test_a_peer_s_last_word_is_one_of_the_known_codes(said: str, heard: str) -> None:
    """It becomes a metric's label: a peer that invents a new one each time would fill the memory."""

    async def test() -> None:
        closing = StreamEnd(SMALL).close(said)
        with pytest.raises(TransportError) as ended:
            StreamEnd(SMALL).incoming(closing)
        assert ended.value.code == heard

    run(test)


def test_an_end_that_closes_lets_nobody_wait() -> None:
    async def test() -> None:
        end = StreamEnd(SMALL)
        waiting = asyncio.create_task(end.request(b"q"))
        await asyncio.sleep(0)
        end.close("REPLACED")
        for attempt in (waiting, end.outgoing(), end.request(b"q")):
            with pytest.raises(TransportError) as closed:
                await attempt
            assert closed.value.code == "REPLACED"

    run(test)


def test_what_comes_while_work_is_done_is_done_together_and_errors_reach_who_asked() -> None:
    groups: list[int] = []

    def work(items: object) -> list[int | Exception]:
        assert isinstance(items, list)
        groups.append(len(items))
        return [ValueError(str(item)) if item == 7 else item * 2 for item in items]

    async def test() -> None:
        gatherer: Gatherer[int, int] = Gatherer("test", work, limit=8)
        results = await asyncio.gather(*(gatherer.submit(n) for n in range(20)), return_exceptions=True)
        assert [r for r in results if not isinstance(r, Exception)] == [2 * n for n in range(20) if n != 7]
        assert isinstance(results[7], ValueError)
        assert sum(groups) == 20
        assert max(groups) == 8
        gatherer.close()

    run(test)


def test_the_generated_frames_are_those_of_the_proto_file(tmp_path: Path) -> None:
    command = ["-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([sys.executable, *command, "protocols/stream/frame.proto"], cwd=ROOT, check=True)
    for name in ("frame_pb2.py", "frame_pb2.pyi"):
        made = (tmp_path / "protocols" / "stream" / name).read_text(encoding="utf-8")
        assert made == (ROOT / "protocols" / "stream" / name).read_text(encoding="utf-8"), "run `make stubs`"
