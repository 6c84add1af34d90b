"""One exchange with the enrolment service. Its key must be the one that the token names, or not a byte is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from protocols.channel.wire import Message, decode, encode
from protocols.enrolment import messages as m
from protocols.enrolment.certificates import public_key_digest
from protocols.enrolment.framing import HEADER_BYTES, frame, framed_size
from protocols.errors import ConfigurationError, MalformedMessage, TransportError, VerificationFailed

SECONDS: Final = 30.0
Ask = Callable[[m.Challenge, bytes], Message]
"""Makes what is asked of the challenge and the digest of the server's key."""


def exchange(address: str, server: bytes, ask: Ask) -> tuple[m.Challenge, m.Answered]:
    """Return the service's challenge and its answer to what `ask` makes of it.

    Raises: ConfigurationError for an address that is none; TransportError, code COORDINATOR_UNAVAILABLE;
    VerificationFailed, code WRONG_SERVER, for any other key than that of the token.
    """
    with _connection(address) as connection:
        shown = public_key_digest(connection.getpeercert(binary_form=True) or b"")
        if shown != server:
            raise VerificationFailed(f"{address} shows another key than the token names", code="WRONG_SERVER")
        challenge = decode(_read(connection, m.MAX_ENROLMENT_BYTES), m.Challenge)
        connection.sendall(frame(encode(ask(challenge, shown))))
        return challenge, _answer(_read(connection, m.MAX_ANSWER_BYTES))


@contextmanager
def _connection(address: str) -> Iterator[ssl.SSLSocket]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigurationError(f"{address}: an address is HOST:PORT", code="BAD_ADDRESS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # no name and no authority is believed, but one key: see `exchange`
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, int(port)), SECONDS) as plain,
            context.wrap_socket(plain) as connection,
        ):
            yield connection
    except (OSError, EOFError) as error:
        raise TransportError(
            f"{address} does not answer as an enrolment service", code="COORDINATOR_UNAVAILABLE"
        ) from error


def _read(connection: ssl.SSLSocket, limit: int) -> bytes:
    size = framed_size(_exactly(connection, HEADER_BYTES), limit)
    return _exactly(connection, size)


def _exactly(connection: ssl.SSLSocket, size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = connection.recv(min(missing, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _answer(data: bytes) -> m.Answered:
    kinds: tuple[type[m.Answered], ...] = (m.Pending, m.Granted, m.Refused)
    for kind in kinds:
        try:
            return decode(data, kind)
        except MalformedMessage:
            continue
    raise MalformedMessage(f"{len(data)} bytes are no answer of an enrolment service")
