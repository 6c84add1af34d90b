"""A socket on a party's own machine, at which another process of that machine brings requests as bytes.

One frame each way: eight bytes of length, then the bytes. Who may connect is the file system's decision: the socket
lies in a folder that only its party and the one peer can enter.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)
LENGTH_BYTES: Final = 8
MAX_FRAME: Final = 1 << 30
MAX_CONNECTIONS: Final = 4
Serve = Callable[[bytes], Awaitable[bytes]]


@asynccontextmanager
async def door(path: Path, serve: Serve) -> AsyncIterator[None]:
    """Answer frames at `path` while the block runs, one at a time for each connection; `serve` never raises.

    Raises: OSError if there can be no socket at `path`.
    """
    path.unlink(missing_ok=True)
    slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with slots:
            with suppress(OSError, asyncio.IncompleteReadError):
                await _attend(reader, writer, serve)
        writer.close()

    server = await asyncio.start_unix_server(attend, path)
    path.chmod(0o666)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serve: Serve) -> None:
    while header := await reader.read(LENGTH_BYTES):
        if len(header) < LENGTH_BYTES:
            header += await reader.readexactly(LENGTH_BYTES - len(header))
        size = int.from_bytes(header)
        if size > MAX_FRAME:
            logger.warning("a frame at the door is too long", extra={"bytes": size})
            return
        reply = await serve(await reader.readexactly(size))
        writer.write(len(reply).to_bytes(LENGTH_BYTES) + reply)
        await writer.drain()


def ask_socket(path: Path, request: bytes) -> bytes:
    """Return the reply to one frame. Raises: OSError if nobody serves the socket, or it closes early."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(len(request).to_bytes(LENGTH_BYTES) + request)
        return _exactly(connection, int.from_bytes(_exactly(connection, LENGTH_BYTES)))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        received = connection.recv(min(size - len(data), 1 << 20))
        if not received:
            raise ConnectionError(f"the socket closed after {len(data)} of {size} bytes")
        data += received
    return bytes(data)
