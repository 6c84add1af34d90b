"""A receiver of webhooks on a loopback port, which verifies them by the standard alone, with code of its own."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOLERANCE_SECONDS = 300


@dataclass
class Receiver:
    """What was received; `answers` are the statuses that the next requests get, 204 after them."""

    address: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def wait(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.requests) < count:
            assert self.arrived.wait(60), f"{len(self.requests)} of {count} webhooks came"
            self.arrived.clear()


def verified(public_key: str, headers: dict[str, str], body: bytes, now: int) -> dict[str, object] | None:
    """The event of a webhook, if its signature and its time hold; as a receiver does it, from the standard."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    version, _, signature = headers["webhook-signature"].partition(",")
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    if version != "v1a" or abs(now - int(headers["webhook-timestamp"])) > TOLERANCE_SECONDS:
        return None
    try:
        key.verify(base64.b64decode(signature), signed)
    except InvalidSignature:
        return None
    return dict(json.loads(body))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive webhooks until the end of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            if self.path == "/moved":
                self.send_header("location", f"{receiver.address}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
            receiver.arrived.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
