"""Messages between a log and its witnesses: one encoding each, and nothing but the error tree for hostile bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.channel.wire import Message, decode, encode
from protocols.errors import CreditFederationError, MalformedMessage
from protocols.transparency import SplitView
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal, SplitViewProof
from protocols.transparency.notes import MAX_NOTE_BYTES
from protocols.transparency.witness import MAX_PROOF_LINES, MAX_REQUEST_BYTES

VIEW = SplitView(b"first", b"second", bytes(32), (b"1" * 32, b"2" * 32))
MESSAGES: list[Message] = [
    CheckpointOffer(b"old 3\n\nnote"),
    CheckpointCosignature(b"line"),
    CheckpointRefusal("LOG_ROLLED_BACK", b"note"),
    CheckpointRefusal("LOG_FORKED", b"note", SplitViewProof.of(VIEW)),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_decode_to_themselves(message: Message) -> None:
    assert decode(encode(message), type(message)) == message


def test_evidence_survives_the_way() -> None:
    assert SplitViewProof.of(VIEW).evidence() == VIEW


def test_offers_of_different_requests_have_different_transcripts() -> None:
    assert CheckpointOffer(b"a").transcript() != CheckpointOffer(b"b").transcript()
    assert len(CheckpointOffer(b"a").transcript()) == 32


@pytest.mark.parametrize(
    "message",
    [
        CheckpointOffer(bytes(MAX_REQUEST_BYTES + 1)),
        CheckpointCosignature(bytes(1025)),
        CheckpointRefusal("", b""),
        CheckpointRefusal("lower case", b""),
        CheckpointRefusal("CODE\n", b""),
        CheckpointRefusal("CODE", bytes(MAX_NOTE_BYTES + 1)),
        CheckpointRefusal("CODE", b"", SplitViewProof(b"", b"", bytes(31), ())),
        CheckpointRefusal("CODE", b"", SplitViewProof(b"", b"", bytes(32), (bytes(32),) * (MAX_PROOF_LINES + 1))),
    ],
)
def test_fields_out_of_range_do_not_decode(message: Message) -> None:
    with pytest.raises(MalformedMessage):
        decode(encode(message), type(message))


@given(st.binary(max_size=200), st.sampled_from([type(message) for message in MESSAGES]))
def test_hostile_bytes_raise_nothing_else(data: bytes, kind: type[Message]) -> None:
    with suppress(CreditFederationError):
        decode(data, kind)
