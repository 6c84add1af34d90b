"""The console served on a port of loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from federation.console.app import create_app
from federation.console.context import Console
from federation.console.serving import ConsoleAddress, ConsoleServer
from federation.local.processes import free_ports

SECONDS = 120.0


@contextmanager
def served(console: Console) -> Iterator[str]:
    """Serve a console; yield its address."""
    (port,) = free_ports(1)
    address = ConsoleAddress("127.0.0.1", port)
    server = ConsoleServer(create_app(console, address.hosts), address)
    loop = asyncio.new_event_loop()
    serving = loop.create_task(server.run())

    def keep() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        limit = time.monotonic() + SECONDS
        while not server.ready and thread.is_alive() and time.monotonic() < limit:
            time.sleep(0.05)
        assert server.ready
        yield address.url
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(SECONDS)
        loop.close()
