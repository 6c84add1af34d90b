"""Takes an enterprise's parcels to the coordinator over HTTPS; plain HTTP never leaves this machine."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from nodes.enterprise.fetching import Reach
from protocols.errors import ConfigurationError, TransportError

PATH: Final = "/v1/enterprise"
MEDIA_TYPE: Final = "application/octet-stream"
ANSWER_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 1 << 27


@contextmanager
def over_https(address: str, authority: Path | None) -> Iterator[Reach]:
    """Yield what reaches the coordinator at a URL; `authority` is a PEM file to trust in place of the system's.

    Raises: ConfigurationError, code BAD_ADDRESS.
    """
    url = httpx.URL(address)
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise ConfigurationError(f"{address}: an https:// address, or http:// on this machine", code="BAD_ADDRESS")
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{authority}: no certificate authority", code="BAD_ADDRESS") from error
    with httpx.Client(verify=context, timeout=ANSWER_SECONDS, follow_redirects=False) as client:

        def reach(parcel: bytes) -> bytes:
            return _post(client, url.copy_with(path=PATH), parcel)

        yield reach


def _post(client: httpx.Client, url: httpx.URL, parcel: bytes) -> bytes:
    received = bytearray()
    try:
        with client.stream("POST", url, content=parcel, headers={"Content-Type": MEDIA_TYPE}) as reply:
            if reply.status_code != httpx.codes.OK:
                raise TransportError(f"the coordinator answered {reply.status_code}", code="COORDINATOR_UNAVAILABLE")
            for chunk in reply.iter_bytes():
                received += chunk
                if len(received) > MAX_ANSWER_BYTES:
                    raise TransportError("the answer has no end", code="COORDINATOR_UNAVAILABLE")
    except httpx.HTTPError as error:
        text = f"the coordinator is not reached ({type(error).__name__})"
        raise TransportError(text, code="COORDINATOR_UNAVAILABLE") from error
    return bytes(received)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
