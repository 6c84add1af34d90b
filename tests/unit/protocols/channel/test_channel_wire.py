"""Canonical bytes: every value has one spelling, and nothing but MalformedMessage comes out of any bytes."""

from __future__ import annotations

import struct
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.envelope import Parcel, open_parcel, pack_parcel, pack_refusal
from protocols.channel.wire import MAX_MESSAGE_BYTES, Message, decode, digest, encode
from protocols.errors import CreditFederationError, MalformedMessage
from protocols.scorecard import messages as m
from tests.protocol.fuzzing import MESSAGES, any_message, damaged, every_message, message_of

EVERY_MESSAGE = [
    pytest.param(kind, id=kind.__name__, marks=[] if kind in MESSAGES else [pytest.mark.slow])
    for kind in every_message()
]


@pytest.mark.parametrize("kind", EVERY_MESSAGE)
@settings(max_examples=12)
@given(data=st.data())
def test_every_message_comes_back_from_its_bytes_and_from_no_others(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(message_of(kind))
    raw = encode(message)
    assert decode(raw, kind) == message
    changed = data.draw(damaged(raw))
    try:
        other = decode(changed, kind)
    except MalformedMessage:
        return
    assert encode(other) == changed
    assert (other == message) == (changed == raw)


@pytest.mark.parametrize("kind", EVERY_MESSAGE)
@settings(max_examples=12)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_malformed_message(kind: type[Message], data: bytes) -> None:
    with suppress(MalformedMessage):
        assert isinstance(decode(data, kind), kind)


@settings(max_examples=60)
@given(any_message(), st.sampled_from(MESSAGES))
def test_no_message_decodes_as_another_class(message: Message, kind: type[Message]) -> None:
    if type(message) is not kind:
        with pytest.raises(MalformedMessage):
            decode(encode(message), kind)


COLUMN = m.ColumnCount("bank", 5)


@pytest.mark.parametrize(
    "data",
    [
        encode(COLUMN) + b"\0",
        encode(COLUMN)[:-1],
        encode(COLUMN)[:-1] + b"\xcc\x05",  # 5 in two bytes
        encode(COLUMN)[:-1] + b"\xcb" + struct.pack(">d", 5.0),
        encode(COLUMN)[:-1] + b"\xa15",
        encode(COLUMN)[:-1] + b"\xc3",
        msgspec.msgpack.encode({"party": "bank", "kind": "ColumnCount", "columns": 5}),  # another order
        msgspec.msgpack.encode({"kind": "ColumnCount", "party": "bank", "columns": 5, "more": 1}),
        msgspec.msgpack.encode({"kind": "ColumnCount", "party": "bank"}),
        msgspec.msgpack.encode({"kind": "ColumnCount", "party": "bank\n", "columns": 5}),
        msgspec.msgpack.encode({"kind": "ColumnCount", "party": "", "columns": 5}),
        msgspec.msgpack.encode({"kind": "ColumnCount", "party": "bank", "columns": 1 << 17}),
    ],
)
def test_other_spellings_of_a_message_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(data, m.ColumnCount)


@pytest.mark.parametrize("count", [1 << 24, (1 << 32) - 1])
def test_a_header_that_promises_billions_costs_nothing(count: int) -> None:
    raw = encode(m.Cohort(("a",), ""))
    place = raw.index(b"\xa3ids") + 4
    with pytest.raises(MalformedMessage):
        decode(raw[:place] + b"\xdd" + struct.pack(">I", count) + raw[place + 1 :], m.Cohort)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        decode(b"\x91" * 100_000 + b"\x90", m.Cohort)


def test_a_message_above_the_limit_is_not_even_read() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return MAX_MESSAGE_BYTES + 1

    with pytest.raises(MalformedMessage):
        decode(Long(encode(COLUMN)), m.ColumnCount)


def test_a_digest_is_of_the_class_as_well_as_of_the_value() -> None:
    assert digest(m.MaskedTotals(0, b"a")) != digest(m.CombinedTotals(0, b"a"))
    assert len(digest(COLUMN)) == 32


@given(st.binary(max_size=300))
def test_open_parcel_raises_only_our_errors(data: bytes) -> None:
    with suppress(CreditFederationError):
        open_parcel(data)


def test_a_refusal_carries_its_code_and_nothing_else() -> None:
    assert open_parcel(pack_parcel(())) == ()
    with pytest.raises(CreditFederationError) as caught:
        open_parcel(pack_refusal("QUOTA"))
    assert caught.value.code == "QUOTA"
    with pytest.raises(MalformedMessage):
        open_parcel(encode(Parcel(refusal="not a code\n")))
