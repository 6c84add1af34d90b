"""A receiver of webhooks that answers slowly, or never, keeps its own events waiting and nobody else's."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import closing, suppress
from pathlib import Path

import pytest

from nodes.bank.store import monitors
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.store.monitors import Event, Monitor, MonitorStatus
from nodes.bank.watching import webhooks
from nodes.bank.watching.webhooks import Deliverer, open_signer
from tests.small_federation import NOW, codes
from tests.webhook_receiver import receiving


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin an answer that never ends: a header line now and then, so that no read ever times out."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n")
    with suppress(ConnectionError):
        for number in itertools.count():
            writer.write(f"x-{number}: 1\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.05)


def watched(database: Database, webhook: str, number: int) -> None:
    """One monitor, with one event that is due."""
    monitor = Monitor(f"mon_{number}", NOW, codes()[number], "", "", 30, webhook, MonitorStatus.ACTIVE, NOW + 99)
    event = Event(f"evt_{number}", number, NOW, "monitor.grade_fell", b"{}", next_at=NOW)
    database.do(lambda c: (monitors.add(c, monitor), monitors.add_event(c, event)))


def test_a_receiver_that_drips_its_answer_holds_up_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 1.0)

    async def deliver(database: Database, address: str) -> int:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        dripping = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for number, webhook in enumerate((dripping, address, dripping), 1):
            watched(database, webhook, number)
        deliverer = Deliverer(database, open_signer(tmp_path), lambda: NOW, lambda address: None)
        async with asyncio.timeout(60):
            tried = await deliverer.deliver_due()
        server.close()
        return tried

    with closing(Database(tmp_path / DATABASE_FILE)) as database, receiving() as receiver:
        assert asyncio.run(deliver(database, f"{receiver.address}/hook")) == 3
        receiver.wait(1)
        told = [database.do(lambda c, n=n: monitors.events_of(c, n, 99, 1))[0] for n in (1, 2, 3)]  # type: ignore[misc]
    assert [event.delivered for event in told] == [None, NOW, None]
    assert [event.attempts for event in told] == [1, 1, 1]
