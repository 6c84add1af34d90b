"""The embedded grid: every message becomes bytes and back, each way; no app breaks it or sees another's objects."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_from_proto
from flwr.proto.message_pb2 import Message as ProtoMessage

from federation.grid import EmbeddedGrid, parcel_message, reply_parcel
from nodes.flower_relay import make_client_app

TAX, SOCIAL = 1001, 1002
NAMES = {TAX: "tax", SOCIAL: "social"}


def echo(mark: bytes) -> ClientApp:
    return make_client_app(lambda data: mark + data)


@pytest.fixture
def grid() -> EmbeddedGrid:
    return EmbeddedGrid({TAX: echo(b"tax "), SOCIAL: echo(b"social ")}, NAMES)


def test_nodes_are_known_by_id_and_registered_name(grid: EmbeddedGrid) -> None:
    assert list(grid.get_node_ids()) == [TAX, SOCIAL]
    assert {node.node_id: node.name for node in grid.get_nodes()} == NAMES


def test_replies_belong_to_their_messages(grid: EmbeddedGrid) -> None:
    messages = [parcel_message(str(i).encode(), node, "1") for i, node in enumerate((TAX, SOCIAL, TAX))]
    replies = {r.metadata.reply_to_message_id: r for r in grid.send_and_receive(messages)}
    assert [reply_parcel(replies[m.metadata.message_id]) for m in messages] == [b"tax 0", b"social 1", b"tax 2"]
    assert [replies[m.metadata.message_id].metadata.src_node_id for m in messages] == [TAX, SOCIAL, TAX]


def test_a_reply_is_pulled_once(grid: EmbeddedGrid) -> None:
    (message_id,) = grid.push_messages([parcel_message(b"x", TAX, "1")])
    assert len(list(grid.pull_messages([message_id, "unknown"]))) == 1
    assert list(grid.pull_messages([message_id])) == []


def test_an_unknown_node_is_our_own_mistake(grid: EmbeddedGrid) -> None:
    with pytest.raises(ValueError, match="1003"):
        grid.send_and_receive([parcel_message(b"x", 1003, "1")])


def test_no_object_passes_but_its_bytes() -> None:
    kept: list[Message] = []
    app = ClientApp()

    @app.query()
    def keep(message: Message, context: Context) -> Message:
        kept.append(message)
        reply = Message(RecordDict({"parcel": message.content.config_records["parcel"]}), reply_to=message)
        kept.append(reply)
        return reply

    sent = parcel_message(b"same bytes", TAX, "1")
    (reply,) = EmbeddedGrid({TAX: app}, NAMES).send_and_receive([sent])
    assert reply_parcel(reply) == b"same bytes"
    assert sent.content is not kept[0].content
    assert reply is not kept[1]
    assert reply.content is not kept[1].content
    assert kept[0].content.config_records["parcel"] is not sent.content.config_records["parcel"]


def test_the_observer_sees_what_crosses_and_only_that() -> None:
    seen: list[tuple[int, bool, bytes]] = []
    grid = EmbeddedGrid({TAX: echo(b"re: ")}, NAMES, lambda *message: seen.append(message))
    (reply,) = grid.send_and_receive([parcel_message(b"question", TAX, "7")])
    assert [(node, inbound) for node, inbound, _ in seen] == [(TAX, True), (TAX, False)]
    decoded = [message_from_proto(ProtoMessage.FromString(data)) for _, _, data in seen]
    assert [reply_parcel(message) for message in decoded] == [b"question", b"re: question"]
    assert decoded[0].metadata.group_id == "7"
    assert decoded[1].metadata.message_id == reply.metadata.message_id


def test_an_app_that_raises_becomes_an_error_reply_without_its_text() -> None:
    app = ClientApp()

    @app.query()
    def fail(message: Message, context: Context) -> Message:
        raise KeyError("91350100M000100Y43")

    seen: list[bytes] = []
    grid = EmbeddedGrid({TAX: app}, NAMES, lambda node, inbound, data: seen.append(data))
    (reply,) = grid.send_and_receive([parcel_message(b"x", TAX, "1")])
    assert reply.has_error()
    assert reply.error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert reply_parcel(reply) is None
    assert b"91350100M000100Y43" not in b"".join(seen)


def test_what_the_deployed_engine_would_refuse_is_refused_here(grid: EmbeddedGrid) -> None:
    content = RecordDict({"config": ConfigRecord({"too large": 1 << 64})})
    with pytest.raises(ValueError, match="out of range"):
        grid.send_and_receive([Message(content, TAX, MessageType.QUERY, group_id="1")])


def test_a_node_keeps_its_own_context() -> None:
    app = ClientApp()

    @app.query()
    def count(message: Message, context: Context) -> Message:
        before = context.state.config_records.get("seen", ConfigRecord({"n": 0}))["n"]
        assert isinstance(before, int)
        context.state["seen"] = ConfigRecord({"n": before + 1})
        parcel = Array(np.frombuffer(bytes([before]), dtype=np.uint8))
        return Message(RecordDict({"parcel": ArrayRecord({"parcel": parcel})}), reply_to=message)

    grid = EmbeddedGrid({TAX: app, SOCIAL: app}, NAMES)
    counts = [
        reply_parcel(reply)
        for node in (TAX, TAX, SOCIAL)
        for reply in grid.send_and_receive([parcel_message(b"", node, "1")])
    ]
    assert counts == [b"\x00", b"\x01", b"\x00"]
