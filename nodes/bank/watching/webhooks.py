"""Webhooks: events signed with Ed25519 and a time, sent to allowed hosts alone, again and again until they are taken.

Standard Webhooks, asymmetric: `webhook-signature: v1a,<base64>` over `<webhook-id>.<webhook-timestamp>.<body>`. The
receiver refuses a time that is far from its own, and an id that it has seen.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from nodes.bank.store import monitors
from nodes.bank.store.database import Database
from nodes.bank.store.monitors import Event
from protocols.errors import ConfigurationError

KEY_FILE: Final = "webhook.key"
TIMEOUT_SECONDS: Final = 10.0
FIRST_WAIT: Final = 10
LONGEST_WAIT: Final = 6 * 3600
MAX_ATTEMPTS: Final = 12
AT_ONCE: Final = 20


class WebhookRefused(ValueError):
    """An address that no event may be sent to."""


def check_webhook(address: str, hosts: frozenset[str], *, loopback: bool) -> None:
    """Return if events may be sent to `address`: HTTPS at an allowed host; or HTTP at this machine, if `loopback`.

    Raises: WebhookRefused.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise WebhookRefused("the webhook is not an address") from error
    if parts.username is not None or parts.password is not None or parts.fragment or not host:
        raise WebhookRefused("the webhook is an address without credentials and fragment")
    if loopback and _is_loopback(host):
        return
    if parts.scheme != "https" or host not in hosts:
        raise WebhookRefused("the webhook's host is not one that the bank's operator has allowed over HTTPS")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class WebhookSigner:
    """The key that events are signed with, of its own: a party's other keys sign no webhook."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def public_key(self) -> str:
        """Return the public key in the form of Standard Webhooks."""
        return f"whpk_{base64.b64encode(self._key.public_key().public_bytes_raw()).decode()}"

    def headers(self, event: Event, at: int) -> dict[str, str]:
        """Return the headers that an event travels under when it is sent at a time."""
        signed = f"{event.id}.{at}.".encode() + event.body
        return {
            "content-type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1a,{base64.b64encode(self._key.sign(signed)).decode()}",
        }


def open_signer(folder: Path) -> WebhookSigner:
    """Return the signer of a bank's folder, its key made the first time.

    Raises: ConfigurationError, code MISSING_KEY.
    """
    path = folder / KEY_FILE
    try:
        with suppress(FileExistsError):
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: not an unencrypted PEM key", code="MISSING_KEY") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: not an Ed25519 key", code="MISSING_KEY")
    return WebhookSigner(key)


class Deliverer:
    """Sends events that are due; what is not taken is sent again, ever more rarely."""

    def __init__(
        self,
        database: Database,
        signer: WebhookSigner,
        clock: Callable[[], int],
        allowed: Callable[[str], None],
    ) -> None:
        """`allowed` raises WebhookRefused for an address that the operator does not allow, or not any more."""
        self._database, self._signer, self._clock, self._allowed = database, signer, clock, allowed

    async def deliver_due(self) -> int:
        """Try every event that is due once, and return how many were tried."""
        now = self._clock()
        due = await self._database.call(lambda c: monitors.due_events(c, now, AT_ONCE))
        if due:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
                taken = await asyncio.gather(*(self._send(client, event, webhook) for event, webhook in due))
            for (event, _), success in zip(due, taken, strict=True):
                await self._record(event, success)
        return len(due)

    async def _send(self, client: httpx.AsyncClient, event: Event, webhook: str) -> bool:
        """Send one event; say whether it was taken in time, however slowly it is answered. No answer's body is read."""
        try:
            self._allowed(webhook)
            headers = self._signer.headers(event, self._clock())
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                client.stream("POST", webhook, content=event.body, headers=headers) as response,
            ):
                return response.is_success
        except (httpx.HTTPError, httpx.InvalidURL, WebhookRefused, TimeoutError):
            return False

    async def _record(self, event: Event, taken: bool) -> None:
        now = self._clock()
        again = None if taken or event.attempts + 1 >= MAX_ATTEMPTS else now + wait_after(event.attempts)
        delivered = now if taken else None
        await self._database.call(lambda c: monitors.record_attempt(c, event, again, delivered))


def wait_after(attempts: int) -> int:
    """Return how long to wait after a failed attempt, when `attempts` failed before it: longer and longer, spread.

    Units: seconds.
    """
    longest: int = min(LONGEST_WAIT, FIRST_WAIT * 3**attempts)
    return max(1, round(longest * random.uniform(0.8, 1.2)))  # noqa: S311  spreads load, hides nothing
