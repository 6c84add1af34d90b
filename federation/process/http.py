"""Health and metrics over HTTP, on loopback or on a Unix socket, where nobody from outside can ask.

GET /health    200 while the process runs
GET /ready     200 once it can do its work, else 503
GET /metrics   Prometheus
"""

from __future__ import annotations

import ipaddress
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import socket
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from protocols.errors import ConfigurationError

_UNIX: Final = "unix:"
_CODE: Final = "BAD_SETTINGS"


@contextmanager
def serve_health(address: str, home: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Answer while the block runs; an empty address means nowhere.

    Raises: ConfigurationError, code BAD_SETTINGS, for an address that is not on loopback or cannot be listened on.
    """
    if not address:
        yield
        return
    with _open(address, home, _handler(ready)) as server:
        thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def check_http(address: str) -> None:
    """Return if health may be served there: nowhere, a Unix socket, or loopback. Raises: ConfigurationError."""
    if address and not address.startswith(_UNIX):
        _loopback(address)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket, str]:
        """Accept, with a name for the peer, which has none."""
        return self.socket.accept()[0], "unix"


def _open(address: str, home: Path, handler: type[BaseHTTPRequestHandler]) -> socketserver.BaseServer:
    try:
        if not address.startswith(_UNIX):
            return _TcpServer(_loopback(address), handler)
        path = home / address.removeprefix(_UNIX)
        path.unlink(missing_ok=True)
        server = _UnixServer(str(path), handler)
        path.chmod(0o600)
        return server
    except OSError as error:
        raise ConfigurationError(f"http: {address}: {error.strerror or error}", code=_CODE) from error


def _loopback(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    try:
        if ipaddress.ip_address(host).is_loopback and 0 <= int(port) < 1 << 16:
            return host, int(port)
    except ValueError:
        pass
    raise ConfigurationError(f"http: {address} is neither unix:PATH nor a port of loopback", code=_CODE)


def _handler(ready: Callable[[], bool]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._reply(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path in ("/health", "/ready"):
                fine = self.path == "/health" or ready()
                self._reply(200 if fine else 503, b"ok\n" if fine else b"not ready\n", "text/plain")
            else:
                self._reply(404, b"not found\n", "text/plain")

        def log_message(self, format: str, *values: object) -> None:
            """Nothing: who asks for health is not worth a line."""

        def _reply(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
