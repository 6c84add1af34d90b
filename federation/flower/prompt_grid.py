"""Flower's deployed grid without its longest wait: replies are asked for soon, where its own method waits 3 s a time.

It also tells the engine's time from the parties': each reply says how long its party worked on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Final

from flwr.app import Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_utils import pull_objects
from flwr.supercore.run import Run
from flwr.superlink.grid import http_grid

SOONEST_SECONDS: Final = 0.1
LATEST_SECONDS: Final = 2.0
SHARE: Final = 16
AGAIN_SECONDS: Final = 0.05
AGAIN_LIMIT_SECONDS: Final = 1.0
TOOK: Final = "took"
"""What says in a reply for how many seconds its party worked: beside the parcel, or in a record of this name."""


def ask_again_soon() -> None:
    """Let Flower's own grid ask again soon for parts of a reply that are still on their way; its first wait is 1 s."""
    soon = partial(pull_objects, initial_backoff=AGAIN_SECONDS, backoff_cap=AGAIN_LIMIT_SECONDS)
    setattr(http_grid, "pull_objects", soon)  # noqa: B010


class PromptGrid(Grid):
    """Hands everything to another grid, but looks for replies after a sixteenth of the time waited so far.

    `carrying_seconds` is what exchanges have taken beyond the longest work of a party in each.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.carrying_seconds = 0.0

    def set_run(self, run: Run) -> None:
        """Take the run that a `ServerApp` executes in."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """The run of this grid."""
        return self._grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message; kept because the interface asks for it."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of all nodes."""
        return self._grid.get_node_ids()

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Return id and registered name of all nodes."""
        return self._grid.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Hand in messages for their nodes; return their ids."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies to these messages that are there."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Return the replies to messages, as soon as all are there or `timeout` seconds have passed."""
        waiting, started = set(self._grid.push_messages(messages)), time.monotonic()
        found: list[Message] = []
        while waiting:
            asked = time.monotonic()
            replies = list(self._grid.pull_messages(sorted(waiting)))
            found += replies
            waiting -= {reply.metadata.reply_to_message_id for reply in replies}
            now = time.monotonic()
            if not waiting or (timeout is not None and now - started > timeout):
                break
            pause = min(max((now - started) / SHARE, SOONEST_SECONDS), LATEST_SECONDS)
            time.sleep(max(pause - (now - asked), 0.0))  # a SuperLink that holds questions has paused for us
        took = time.monotonic() - started
        self.carrying_seconds += took - min(took, max(map(_work, found), default=0.0))
        return found


def _work(reply: Message) -> float:
    """Return for how many seconds a party says that it worked on its reply; 0 if it says nothing that could be."""
    try:
        records = reply.content.config_records.values()
        seconds = next(record[TOOK] for record in records if TOOK in record)
    except Exception:  # a peer's bytes decide what a record raises
        return 0.0
    return seconds if isinstance(seconds, float) and 0 <= seconds < float("inf") else 0.0
