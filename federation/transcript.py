"""Transcripts: every Flower message of a run in one file, as it passed, for the wire auditor to read.

    magic     16 bytes, with the version of the format
    record    4 bytes of length, big-endian, then that many bytes of MessagePack: first a `TranscriptHeader`, then an
              `Exchange` for each message in the order of its passing, last a `TranscriptEnd` with their number

Written and read one record at a time. A file that is cut short, padded or otherwise not this raises MalformedMessage.
A transcript holds what crossed the wire and public cards: no secret, but everything that a party received.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec
import numpy as np
from flwr.proto.message_pb2 import Message as ProtoMessage
from google.protobuf.message import DecodeError
from numpy.lib import format as npy

from federation.grid import PARCEL
from protocols.channel.identity import PartyCard, PartyId, PartyName
from protocols.channel.wire import MAX_MESSAGE_BYTES, Message, encode
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.wire_audit import Observation

MAGIC: Final = b"credfed-wire\0\0\0\x01"
SUFFIX: Final = ".transcript"
_LENGTH_BYTES: Final = 4


class TranscriptHeader(Message, frozen=True):
    """Who took part: the public cards, as all parties have pinned them."""

    cards: tuple[PartyCard, ...]


class Exchange(Message, frozen=True):
    """One Flower message: towards `party` if `inbound`, else from it; its serialised bytes, all of them."""

    party: PartyName
    inbound: bool
    data: bytes


class TranscriptEnd(Message, frozen=True):
    """How many exchanges there were: a transcript without it is not whole."""

    exchanges: int


Record = TranscriptHeader | Exchange | TranscriptEnd
R = TypeVar("R", bound=Message)
_decoder: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)


class TranscriptRecorder:
    """Writes what an `EmbeddedGrid` lets its observer see.

    A federation may exchange messages while it is still being put together; they wait in memory for `begin`.
    Raises: OSError if the file cannot be written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._names: Mapping[int, str] | None = None
        self._early: list[tuple[int, bool, bytes]] = []
        self._exchanges = 0

    def begin(self, cards: Iterable[PartyCard], names: Mapping[int, str]) -> None:
        """Write the header, and what has passed before. `names` tells which party each Flower node id is."""
        self._names = dict(names)
        self._file.write(MAGIC)
        self._write(TranscriptHeader(tuple(cards)))
        early, self._early = self._early, []
        for node, inbound, data in early:
            self.observe(node, inbound, data)

    def observe(self, node: int, inbound: bool, data: bytes) -> None:
        """Write one message; fits the grid's `Observer`."""
        if self._names is None:
            self._early.append((node, inbound, data))
            return
        self._write(Exchange(self._names[node], inbound, data))
        self._exchanges += 1

    def finish(self) -> None:
        """Write the closing record. Raises: RuntimeError if nothing has begun."""
        if self._names is None:
            raise RuntimeError("a transcript begins with its cards")
        self._write(TranscriptEnd(self._exchanges))

    def _write(self, record: Record) -> None:
        data = encode(record)
        self._file.write(len(data).to_bytes(_LENGTH_BYTES))
        self._file.write(data)


@contextmanager
def recording(path: Path) -> Iterator[TranscriptRecorder]:
    """Yield a recorder whose file appears under `path` when it is whole; after an error there is none.

    Raises: ConfigurationError, code OUT_NOT_WRITABLE.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        file = partial.open("wb")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
    try:
        with file:
            recorder = TranscriptRecorder(file)
            yield recorder
            recorder.finish()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class Transcript:
    """A transcript being read: `cards` at once, the observations one by one."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Read magic and header. Raises: MalformedMessage."""
        self._file, self._left = file, size
        if self._take(len(MAGIC)) != MAGIC:
            raise MalformedMessage("not a transcript, or one of another version")
        self.cards = _of_kind(self._record(), TranscriptHeader).cards

    def observations(self) -> Iterator[Observation]:
        """Yield what passed, in order. Raises: MalformedMessage, also if the closing record is missing or wrong."""
        exchanges = 0
        record = self._record()
        while not isinstance(record, TranscriptEnd):
            exchange = _of_kind(record, Exchange)
            yield Observation(PartyId(exchange.party), exchange.inbound, exchange.data, parcel_in(exchange.data))
            exchanges += 1
            record = self._record()
        if record.exchanges != exchanges or self._left:
            raise MalformedMessage(f"a transcript of {exchanges} exchanges closes as one of {record.exchanges}")

    def _record(self) -> Record:
        length = int.from_bytes(self._take(_LENGTH_BYTES))
        if length > MAX_MESSAGE_BYTES:
            raise MalformedMessage(f"a record of {length} bytes is longer than any message")
        data = self._take(length)
        try:
            return _decoder.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise MalformedMessage(f"a record of {length} bytes is not part of a transcript") from error

    def _take(self, count: int) -> bytes:
        """Return the next bytes; a length that the file cannot hold never allocates."""
        if count > self._left:
            raise MalformedMessage(f"the transcript ends {count - self._left} bytes too early")
        data = self._file.read(count)
        if len(data) != count:
            raise MalformedMessage("the transcript shrinks while it is read")
        self._left -= count
        return data


@contextmanager
def open_transcript(path: Path) -> Iterator[Transcript]:
    """Yield the transcript in a file. Raises: ConfigurationError, code NO_TRANSCRIPT; MalformedMessage."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="NO_TRANSCRIPT") from error
    with file:
        yield Transcript(file, os.fstat(file.fileno()).st_size)


def parcel_in(data: bytes) -> bytes | None:
    """Return the parcel of serialised Flower bytes, or None if they do not carry exactly one and nothing else.

    Reads the protobuf itself, which the deployed engine would hand to its own, more lenient, classes.
    """
    try:
        message = ProtoMessage.FromString(data)
    except DecodeError:
        return None
    items = message.content.items
    if message.HasField("error") or len(items) != 1 or items[0].key != PARCEL:
        return None
    kind = items[0].WhichOneof("value")
    found = items[0].array_record.items if kind == "array_record" else items[0].config_record.items
    if len(found) != 1 or found[0].key != PARCEL:
        return None
    if kind == "array_record":
        return _octets(found[0].value.data)
    value = items[0].config_record.items[0].value
    return value.bytes if value.WhichOneof("value") == "bytes" else None


def _octets(data: bytes) -> bytes | None:
    """Return the bytes of a serialised one-dimensional array of bytes, or None if it is anything else."""
    file = io.BytesIO(data)
    try:
        if npy.read_magic(file) != (1, 0):
            return None
        shape, _, dtype = npy.read_array_header_1_0(file)
    except ValueError:
        return None
    octets = file.read()
    return octets if dtype == np.uint8 and shape == (len(octets),) else None


def _of_kind(record: Record, kind: type[R]) -> R:
    if not isinstance(record, kind):
        raise MalformedMessage(f"{type(record).__name__} where {kind.__name__} is due")
    return record
