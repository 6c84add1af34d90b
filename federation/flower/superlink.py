"""Flower's SuperLink as the coordinator runs it: other machines reach its Fleet API, and nothing else of it.

    python -m federation.flower.superlink <the arguments of flower-superlink>

The SuperLink serves all of its APIs at one port. Whoever reaches its Control API, which knows no users, can submit app
bundles to every SuperNode; so that and the Runtime API answer on loopback alone. Whoever asks for messages is answered
when there may be some. The stock command runs otherwise.
"""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import os
import sys
from base64 import b64decode
from pathlib import Path
from typing import Final

from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER
from flwr.superlink import extensions
from flwr.superlink.cli.flower_superlink import flower_superlink
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from federation.flower.admitted import read_admitted
from federation.flower.holding import HoldsQuestions

FLEET: Final = "/v1/fleet/"
_KEY_HEADER: Final = FLEET_HTTP_PUBLIC_KEY_HEADER.encode()
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


class FleetOnly:
    """Answers requests from other machines only at the Fleet API; whatever else they ask for is not found."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan" or _is_fleet(scope["path"]) or _from_here(scope):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("not found", _NOT_FOUND)(scope, receive, send)


def _is_fleet(path: str) -> bool:
    return path.startswith(FLEET) and ".." not in path


def _from_here(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


class AdmittedOnly:
    """Answers a SuperNode's requests only while the coordinator admits its key; Flower verifies that it is its own."""

    def __init__(self, app: ASGIApp, home: Path) -> None:
        """`home` is where the coordinator writes down whom it admits; before it first does, Flower alone decides."""
        self._app, self._home = app, home

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        fleet = scope["type"] == "http" and scope["path"].startswith(FLEET)
        if fleet and not _is_admitted(dict(scope["headers"]).get(_KEY_HEADER, b""), self._home):
            await PlainTextResponse("not admitted", _FORBIDDEN)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_admitted(header: bytes, home: Path) -> bool:
    admitted = read_admitted(home)
    try:
        return admitted is None or hashlib.sha256(b64decode(header, validate=True)).hexdigest() in admitted
    except binascii.Error:
        return False


def _middleware() -> tuple[Middleware, ...]:
    """Return what Flower puts before its own middleware."""
    home = Path(os.environ["FLWR_HOME"])
    return (Middleware(FleetOnly), Middleware(HoldsQuestions), Middleware(AdmittedOnly, home=home))


if __name__ == "__main__":
    extensions.get_middleware = _middleware
    sys.argv[0] = "flower-superlink"
    flower_superlink()
