"""The relay's gRPC server: admits a stream by its client certificate, carries its frames, ends it in time."""

from __future__ import annotations

import asyncio
import datetime
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, cast

import grpc.aio
from prometheus_client import Counter

from federation.relay.admission import Admission
from federation.relay.authority import read_party
from federation.relay.desk import RelayDesk
from federation.relay.rosters import RosterRounds
from federation.relay.settings import CoordinatorSettings
from federation.relay.switchboard import REPLACED, Switchboard
from federation.relay.upkeep import UpkeepDesk
from protocols.channel.identity import PartyId
from protocols.channel.pins import SUSPENDED
from protocols.errors import ConfigurationError, TransportError, VerificationFailed
from protocols.stream import (
    ROSTER_HEADER,
    SERVICE_METHOD,
    SERVICE_NAME,
    TRAINING_METHOD,
    UPKEEP_METHOD,
    VERSION_KEY,
    StreamEnd,
    carry,
)

logger = logging.getLogger(__name__)

REFUSED = Counter("credfed_streams_refused_total", "Streams that were refused before they began, by code.", ["code"])
_SLACK: Final = 4096
_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")
Context = grpc.aio.ServicerContext[bytes, bytes]
Train = Callable[[PartyId, bytes], Awaitable[bytes]]


class RelayServer:
    """Admits the parties that are pinned, each under its own certificate, for no longer than that is valid."""

    def __init__(
        self,
        home: Path,
        settings: CoordinatorSettings,
        admission: Admission,
        switchboard: Switchboard,
        desk: RelayDesk,
        rosters: RosterRounds,
        upkeep: UpkeepDesk,
        train: Train,
    ) -> None:
        self._home, self._settings, self._admission = home, settings, admission
        self._switchboard, self._desk = switchboard, desk
        self._rosters, self._upkeep, self._train = rosters, upkeep, train

    async def start(self) -> grpc.aio.Server:
        """Listen. Raises: ConfigurationError if a file of `tls` is missing or the address is taken."""
        size = self._settings.stream.frame_bytes + _SLACK
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
                ("grpc.max_concurrent_streams", 4),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", round(1000 * self._settings.stream.silence_seconds)),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            ]
        )
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._connect)
        asked: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._keep_up)
        trained: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._hand_in)
        methods = {SERVICE_METHOD: method, UPKEEP_METHOD: asked, TRAINING_METHOD: trained}
        service = grpc.method_handlers_generic_handler(SERVICE_NAME, methods)
        server.add_generic_rpc_handlers((service,))
        address = self._settings.listen
        try:
            server.add_secure_port(address, server_credentials(self._home, self._settings))
        except RuntimeError as error:
            raise ConfigurationError(f"listen: {address} cannot be listened on", code="BAD_ADDRESS") from error
        await server.start()
        return server

    async def _connect(self, _: object, context: Context) -> None:
        party, expires = await self._admit(context)
        await self._hold(party, expires, context)

    async def _keep_up(self, parcel: bytes, context: Context) -> bytes:
        party, _ = await self._admit(context)
        return await self._upkeep.serve(party, parcel)

    async def _hand_in(self, data: bytes, context: Context) -> bytes:
        party, _ = await self._admit(context)
        return await self._train(party, data)

    async def _admit(self, context: Context) -> tuple[PartyId, datetime.datetime]:
        """Return who has dialled, and when its certificate ends; end the call of anybody else."""
        try:
            certificate = _certificate(context)
            party, expires = read_party(certificate)
            self._admission.check(party, certificate)
        except VerificationFailed as error:
            REFUSED.labels(error.code).inc()
            logger.warning("stream refused", extra={"code": error.code, "peer": context.peer()})
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.code)
        return party, expires

    async def _hold(self, party: PartyId, expires: datetime.datetime, context: Context) -> None:
        """Carry a party's frames until its stream ends or its certificate expires."""
        bounds = self._settings.stream
        end = StreamEnd(bounds.limits)
        greeting = self._rosters.greet(party, end, _roster(context))
        await asyncio.sleep(0)  # the roster, if there is a newer one, is the first that waits to be sent
        self._switchboard.connect(party, end)
        self._switchboard.describe(party, expires, _version(context))
        logger.info("stream up", extra={"party": party})
        loop = asyncio.get_running_loop()
        left = (expires - datetime.datetime.now(datetime.UTC)).total_seconds()
        expiry = loop.call_later(max(left, 0), end.close, "CERTIFICATE_EXPIRED")
        code = "SHUTTING_DOWN"
        try:
            code = await carry(end, _Call(context), lambda parcel: self._desk.serve(party, parcel), bounds.timing)
        finally:
            expiry.cancel()
            if greeting is not None:
                greeting.cancel()
            self._switchboard.disconnect(party, end, code)
            logger.info("stream ended", extra={"party": party, "code": code})
        if code in (REPLACED, SUSPENDED):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, code)


class _Call:
    """A server's call as a wire: whatever gRPC says of a peer that is gone is one error."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self) -> object:
        try:
            return await self._context.read()
        except Exception as error:  # of what a broken call raises, gRPC makes no public class
            raise TransportError("the call is over", code="STREAM_ENDED") from error

    async def write(self, message: bytes) -> None:
        try:
            await self._context.write(message)
        except Exception as error:
            raise TransportError("the call is over", code="STREAM_ENDED") from error


def _version(context: Context) -> str:
    """Return the version that the peer says it runs, "" if it says none or something else."""
    said = _said(context, VERSION_KEY)
    return said if _VERSION.fullmatch(said) else ""


def _roster(context: Context) -> int:
    """Return the sequence of the roster that a party says it has, 0 if it says none."""
    said = _said(context, ROSTER_HEADER)
    return int(said) if said.isdecimal() and len(said) < 17 else 0


def _said(context: Context, key: str) -> str:
    value = {str(name): value for name, value in context.invocation_metadata() or ()}.get(key, "")
    return value if isinstance(value, str) and value.isascii() else ""


def _certificate(context: Context) -> bytes:
    found = list(context.auth_context().get("x509_pem_cert", ()))
    if len(found) != 1:
        raise VerificationFailed("the peer has shown no certificate", code="NO_CERTIFICATE")
    return bytes(found[0])


def server_credentials(home: Path, settings: CoordinatorSettings) -> grpc.ServerCredentials:
    """Return credentials that ask every client for a certificate, and read our own anew when it is renewed.

    Raises: ConfigurationError.
    """
    read = _Files(home, settings)
    initial = grpc.ssl_server_certificate_configuration(*read.current())
    fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], read.renewed)  # None is "no change"
    return grpc.dynamic_ssl_server_credentials(initial, fetch, require_client_authentication=True)


class _Files:
    """The PEM files, and whether they have changed since they were last read."""

    def __init__(self, home: Path, settings: CoordinatorSettings) -> None:
        tls = settings.tls
        self._paths = [home / name for name in (tls.key, tls.certificate, tls.authority)]
        self._seen: list[bytes] = []

    def current(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Return key and certificate, and the authority. Raises: ConfigurationError."""
        self._seen = [_read(path) for path in self._paths]
        key, certificate, authority = self._seen
        return [(key, certificate)], authority

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return a new configuration if a file has changed; a broken file leaves the old one in use."""
        before = self._seen
        try:
            pairs, authority = self.current()
            return None if self._seen == before else grpc.ssl_server_certificate_configuration(pairs, authority)
        except ConfigurationError as error:
            self._seen = before
            logger.error("certificate files cannot be read", extra={"code": error.code})
            return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="MISSING_KEY") from error
