"""Asks a process how it is: the other end of `http`, over loopback or a Unix socket."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from pathlib import Path

from protocols.errors import ConfigurationError


def ask_http(address: str, home: Path, path: str) -> tuple[int, str]:
    """Return what a process's health server answers. Raises: OSError; ConfigurationError if it has none."""
    if not address:
        raise ConfigurationError(f"{home}: http is empty, so nobody can ask how it is", code="BAD_SETTINGS")
    unix = address.startswith("unix:")
    client = _UnixConnection(home / address[5:]) if unix else http.client.HTTPConnection(address, timeout=5)
    with closing(client):
        client.request("GET", path)
        response = client.getresponse()
        return response.status, response.read().decode()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
