"""Serves HTTP inside a process that decides itself when to end: by cancelling, never by the server's own signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


class WebServer(uvicorn.Server):
    """A server that leaves signals to its process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal: who runs the server cancels it."""
        yield

    async def serve_until_cancelled(self, listener: socket.socket) -> None:
        """Serve on a socket that listens; once cancelled, answer first what has begun."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            self.should_exit = True
            await serving


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an IP address of either family. Raises: OSError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)
