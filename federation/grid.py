"""Flower in one process: a `Grid` whose client apps are called directly, and all that we need of flwr's insides.

Every message still becomes protobuf bytes and back, both ways, so that nothing passes here which the deployed engine
would refuse, and so that no object of one party reaches another.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

PARCEL = "parcel"
WHOLE_BYTES = 1 << 20
"""A parcel up to this size is one of Flower's objects; of a larger one, an array, Flower makes pieces."""

Observer = Callable[[int, bool, bytes], None]


def parcel_message(parcel: bytes, node_id: int, group: str) -> Message:
    """Return the query message that carries a parcel to a node."""
    if len(parcel) <= WHOLE_BYTES:
        content = RecordDict({PARCEL: ConfigRecord({PARCEL: parcel})})
    else:
        content = RecordDict({PARCEL: ArrayRecord({PARCEL: Array(np.frombuffer(parcel, dtype=np.uint8))})})
    return Message(content, node_id, MessageType.QUERY, group_id=group)


def reply_parcel(message: Message) -> bytes | None:
    """Return the parcel of a reply, or None if it carries none: an error, or records that are not what they must be."""
    if message.has_error():
        return None
    try:
        record = message.content[PARCEL]
        value = record[PARCEL].numpy() if isinstance(record, ArrayRecord) else record[PARCEL]
        octets = value.tobytes() if isinstance(value, np.ndarray) and value.dtype == np.uint8 else value
    except Exception:  # a peer's bytes decide what a record raises
        return None
    return octets if isinstance(octets, bytes) else None


class EmbeddedGrid(Grid):
    """Calls each node's `ClientApp` in this process, in the order of the messages.

    `observer` sees, for each message, the node id, whether it goes to the node, and its serialised bytes.
    """

    def __init__(
        self, apps: Mapping[int, ClientApp], names: Mapping[int, str], observer: Observer | None = None
    ) -> None:
        self._apps, self._names, self._observer = dict(apps), dict(names), observer
        self._run = Run.create_empty(1)
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = self._run.run_id, 1, SUPERLINK_NODE_ID
        self._contexts = {
            node: Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={}) for node in apps
        }
        self._replies: dict[str, bytes] = {}

    def set_run(self, run: Run) -> None:
        """Take the run that a `ServerApp` executes in."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run of this grid."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message; kept because the interface asks for it."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of all nodes."""
        return list(self._apps)

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Return id and registered name of all nodes."""
        return [NodeInfo(node_id=node, name=self._names[node]) for node in self._apps]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver messages at once; their replies wait to be pulled."""
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies to these messages that have not been pulled yet."""
        found = [self._replies.pop(message_id) for message_id in message_ids if message_id in self._replies]
        return [_deserialise(data) for data in found]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Deliver messages and return all replies; no reply here is later than its message."""
        return self.pull_messages(self.push_messages(messages))

    def hand_in(self, node: int, parcel: bytes) -> None:
        """Show the observer a parcel that a party hands in unasked, as the message that would carry it."""
        message = parcel_message(parcel, node, "opening")
        message.metadata.__dict__["_message_id"] = str(uuid.uuid4())
        self._observe(node, False, _serialise(message))

    def _deliver(self, message: Message) -> str:
        message_id = str(uuid.uuid4())
        message.metadata.__dict__["_message_id"] = message_id
        node = message.metadata.dst_node_id
        if node not in self._apps:
            raise ValueError(f"there is no node {node}")
        data = _serialise(message)
        self._observe(node, True, data)
        reply = self._call(node, _deserialise(data))
        reply.metadata.__dict__["_message_id"] = str(uuid.uuid4())
        answer = _serialise(reply)
        self._observe(node, False, answer)
        self._replies[message_id] = answer
        return message_id

    def _call(self, node: int, message: Message) -> Message:
        """Return the app's reply; an exception of the app becomes an error reply, as in a deployed federation."""
        try:
            return self._apps[node](message, self._contexts[node])
        except Exception as error:
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, type(error).__name__), reply_to=message)

    def _observe(self, node: int, inbound: bool, data: bytes) -> None:
        if self._observer is not None:
            self._observer(node, inbound, data)


def _serialise(message: Message) -> bytes:
    return bytes(message_to_proto(message).SerializeToString())


def _deserialise(data: bytes) -> Message:
    return message_from_proto(ProtoMessage.FromString(data))
