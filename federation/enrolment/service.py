"""The port at which invited parties ask to be enrolled: TLS under a key of its own, whose fingerprint the token holds.

Nobody who asks is trusted: a request without a good token costs a hash and a look into a table. All is bounded: how
many connections at once, handshakes too, how long one may take, how long a message may be, and how often one address
may be refused.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final

from prometheus_client import Counter

from federation.enrolment.registrar import Registrar
from federation.enrolment.registry import Registry
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.pins import SUSPENDED
from protocols.channel.wire import decode, encode
from protocols.enrolment import messages as m
from protocols.enrolment.certificates import public_key_digest
from protocols.enrolment.framing import HEADER_BYTES, frame, framed_size
from protocols.enrolment.token import secret_digest
from protocols.errors import (
    ConfigurationError,
    CreditFederationError,
    MalformedMessage,
    PolicyDenied,
    VerificationFailed,
)

logger = logging.getLogger(__name__)

CONNECTIONS: Final = 32
SECONDS: Final = 30.0
REFUSALS: Final = 10
REFUSED_SECONDS: Final = 60.0
_KNOWN_ADDRESSES: Final = 4096
_ACCEPT_AGAIN_SECONDS: Final = 0.1

ANSWERED = Counter("credfed_enrolments_total", "Answers of the enrolment service, by kind or code.", ["code"])


class EnrolmentService:
    """Answers requests and polls. What it grants is the registrar's; what it may grant, an operator has decided."""

    def __init__(
        self,
        tls: tuple[Path, Path],
        registry: Registry,
        registrar: Registrar,
        card: Callable[[], PartyCard],
        relay_port: int,
        clock: Callable[[], int],
    ) -> None:
        """`tls` are certificate and key; `card` is the coordinator's own, as it is now. Raises: ConfigurationError."""
        self._context = _server_context(*tls)
        self._key = public_key_digest(tls[0].read_bytes())
        self._registry, self._registrar, self._card = registry, registrar, card
        self._relay_port, self._clock = relay_port, clock
        self._attending: set[asyncio.Task[None]] = set()
        self._refused = _Refusals()

    @asynccontextmanager
    async def serving(self, address: str) -> AsyncIterator[None]:
        """Listen while the block runs. Raises: ConfigurationError, code BAD_ADDRESS."""
        listener = _listener(address)
        accepting = asyncio.create_task(self._accept(listener))
        try:
            yield
        finally:
            for task in (accepting, *self._attending):
                task.cancel()
            await asyncio.gather(accepting, *self._attending, return_exceptions=True)
            listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        """Let connections in, as many as may be: before a handshake, which costs more than to be turned away."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError:  # the peer has gone already, or this process has no file left to open
                await asyncio.sleep(_ACCEPT_AGAIN_SECONDS)
                continue
            address = str(peer[0])
            if len(self._attending) >= CONNECTIONS or self._refused.too_many(address):
                ANSWERED.labels("TOO_MANY_REQUESTS").inc()
                connection.close()
                continue
            task = asyncio.create_task(self._attend(connection, address))
            self._attending.add(task)
            task.add_done_callback(self._attending.discard)

    async def _attend(self, connection: socket.socket, address: str) -> None:
        """Speak TLS from the first byte on: none is read before."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(SECONDS):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, connection, ssl=self._context, ssl_handshake_timeout=SECONDS
                )
                with closing(asyncio.StreamWriter(transport, protocol, reader, loop)) as writer:
                    await self._converse(reader, writer, address)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        """Challenge, hear one request, answer it."""
        nonce = secrets.token_bytes(32)
        writer.write(frame(encode(m.Challenge(nonce, self._card()))))
        await writer.drain()
        answer: m.Answered
        try:
            size = framed_size(await reader.readexactly(HEADER_BYTES), m.MAX_ENROLMENT_BYTES)
            asked = await reader.readexactly(size)
            answer = await asyncio.to_thread(self.answer, asked, nonce)
            ANSWERED.labels(type(answer).__name__).inc()
        except CreditFederationError as error:
            self._refused.note(address)
            ANSWERED.labels("REFUSED").inc()
            logger.warning("enrolment refused", extra={"code": error.code, "peer": address})
            answer = m.Refused(error.code)
        except Exception as error:
            logger.error("enrolment failed", extra={"error": type(error).__name__}, exc_info=error)
            answer = m.Refused("INTERNAL_ERROR")
        writer.write(frame(encode(answer)))
        await writer.drain()

    def answer(self, data: bytes, nonce: bytes) -> m.Answered:
        """Return the answer to one request or poll. Raises: CreditFederationError with the code of its refusal."""
        try:
            return self._applied(decode(data, m.EnrolmentRequest), nonce)
        except MalformedMessage:
            return self._asked(decode(data, m.EnrolmentPoll), nonce)

    def _applied(self, request: m.EnrolmentRequest, nonce: bytes) -> m.Answered:
        secret, application = secret_digest(request.secret), request.application
        invitation = self._registry.invitation(secret, self._clock())
        m.verify_request(request, nonce, self._key, invitation.party, invitation.role)
        self._registrar.check_applicant(invitation.party, application.card, application.keys.supernode)
        self._registry.apply(secret, invitation, application, self._clock())
        logger.info("a party asks to be enrolled", extra={"party": invitation.party})
        return m.Pending()

    def _asked(self, poll: m.EnrolmentPoll, nonce: bytes) -> m.Answered:
        entry = self._registrar.entries.get(PartyId(poll.party))
        if entry is None:
            applicant = self._registry.applicant(poll.party)
            if applicant is None:
                raise PolicyDenied("no application is known, or it was rejected", code="NO_APPLICATION")
            m.verify_poll(poll, (applicant.application.card,), nonce, self._key)
            return m.Pending()
        m.verify_poll(poll, (entry.lineage.card, *entry.lineage.accepted(self._clock())), nonce, self._key)
        if entry.suspended:
            raise VerificationFailed(f"{entry.party} is suspended", code=SUSPENDED)
        grant = self._registrar.granted(entry.party, poll.csr)
        return m.Granted(grant.certificate, grant.authority, self._registrar.roster, self._relay_port)


class _Refusals:
    """How often each address was refused of late; the oldest addresses are forgotten first."""

    def __init__(self) -> None:
        self._of: dict[str, deque[float]] = {}

    def note(self, address: str) -> None:
        times = self._of.pop(address, deque(maxlen=REFUSALS))
        times.append(time.monotonic())
        self._of[address] = times
        while len(self._of) > _KNOWN_ADDRESSES:
            del self._of[next(iter(self._of))]

    def too_many(self, address: str) -> bool:
        times = self._of.get(address)
        return times is not None and len(times) == REFUSALS and time.monotonic() - times[0] < REFUSED_SECONDS


def _listener(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise ConfigurationError(f"enrolment: {address} cannot be listened on", code="BAD_ADDRESS") from error
    listener.setblocking(False)
    return listener


def _server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{certificate}: cannot be read, or not with {key.name}", code="MISSING_KEY"
        ) from error
    return context
