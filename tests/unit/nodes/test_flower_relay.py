"""The relay passes bytes both ways and turns whatever else arrives into no parcel, without an exception."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects

from federation.grid import WHOLE_BYTES, EmbeddedGrid, parcel_message, reply_parcel
from nodes import flower_relay
from nodes.flower_relay import PARCEL, make_client_app, parcel_of

NODE = 1001
HUGE = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999,), }".ljust(127) + b"\n"

MALFORMED = {
    "no data": Array("uint8", (0,), "numpy.ndarray", b""),
    "garbage": Array("uint8", (3,), "numpy.ndarray", b"abc"),
    "foreign serialisation": Array("uint8", (3,), "torch.Tensor", b"abc"),
    "header cut": Array("uint8", (3,), "numpy.ndarray", b"\x93NUMPY\x01\x00\xff\xff"),
    "shape of a terabyte": Array("uint8", (3,), "numpy.ndarray", HUGE),
    "floats": Array(np.array([1.5, np.nan])),
    "texts": Array(np.array(["a", "b"])),
    "dates": Array(np.array(["2024-01-01"], dtype="M8[D]")),
}


@pytest.fixture
def grid() -> EmbeddedGrid:
    return EmbeddedGrid({NODE: make_client_app(lambda data: b"heard " + data)}, {NODE: "tax"})


def carrying(record: ArrayRecord | ConfigRecord | None) -> Message:
    return Message(RecordDict({} if record is None else {PARCEL: record}), NODE, MessageType.QUERY, group_id="1")


@pytest.mark.parametrize("size", [256, WHOLE_BYTES, WHOLE_BYTES + 1])
def test_bytes_pass_both_ways(grid: EmbeddedGrid, size: int) -> None:
    sent = (bytes(range(256)) * (size // 256 + 1))[:size]
    (reply,) = grid.send_and_receive([parcel_message(sent, NODE, "1")])
    assert reply_parcel(reply) == b"heard " + sent


def test_a_small_parcel_is_one_object_and_a_large_one_cut() -> None:
    objects = {size: len(get_all_nested_objects(parcel_message(bytes(size), NODE, "1"))) for size in (1, 6 << 20)}
    assert objects == {1: 3, 6 << 20: 6}  # message, content, record; and the array with its pieces
    assert WHOLE_BYTES == flower_relay.WHOLE_BYTES


def test_no_bytes_are_bytes_too(grid: EmbeddedGrid) -> None:
    (reply,) = grid.send_and_receive([parcel_message(b"", NODE, "1")])
    assert reply_parcel(reply) == b"heard "


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_array_is_no_parcel_at_either_end(grid: EmbeddedGrid, case: str) -> None:
    message = carrying(ArrayRecord({PARCEL: MALFORMED[case]}))
    assert parcel_of(message) == b""
    assert reply_parcel(message) is None
    (reply,) = grid.send_and_receive([message])
    assert not reply.has_error()
    assert reply_parcel(reply) == b"heard "


@pytest.mark.parametrize("value", [1, 1.5, True, "text", [b"x"]])
def test_a_record_with_anything_but_bytes_is_no_parcel(value: int | float | str | list[bytes]) -> None:
    assert parcel_of(carrying(ConfigRecord({PARCEL: value}))) == b""
    assert reply_parcel(carrying(ConfigRecord({PARCEL: value}))) is None


@pytest.mark.parametrize("record", [None, ConfigRecord({"a": 1}), ArrayRecord({"other": Array(np.zeros(1, np.uint8))})])
def test_a_message_without_a_parcel_is_empty(grid: EmbeddedGrid, record: ArrayRecord | ConfigRecord | None) -> None:
    assert parcel_of(carrying(record)) == b""
    assert reply_parcel(carrying(record)) is None


@pytest.mark.parametrize("kind", ["train", "evaluate", "query.other"])
def test_a_message_of_another_kind_gets_an_error_without_text(grid: EmbeddedGrid, kind: str) -> None:
    (reply,) = grid.send_and_receive([Message(RecordDict(), NODE, kind, group_id="1")])
    assert reply.has_error()
    assert reply.error.reason == "ValueError"
    assert reply_parcel(reply) is None
