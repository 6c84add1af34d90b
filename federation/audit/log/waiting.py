"""Leaves on their way into the log: whoever commits takes those of all callers that wait, as one group."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from protocols.transparency.log_proofs import Receipt

_MAX_GROUP: Final = 4096


@dataclass(slots=True)
class Pending:
    """One caller's encoded leaves and their bodies, and what became of them."""

    leaves: list[tuple[bytes, bytes]] = field(repr=False)
    receipts: tuple[Receipt, ...] = ()
    done: bool = False
    error: BaseException | None = field(default=None, repr=False)


class Waiting:
    """Callers in the order in which they came. For any number of threads."""

    def __init__(self) -> None:
        self._queue: deque[Pending] = deque()
        self._lock = Lock()

    def put(self, pending: Pending) -> None:
        """Let a caller wait for the next group that has room."""
        with self._lock:
            self._queue.append(pending)

    def next_group(self) -> list[Pending]:
        """Take those who have waited longest, as many as one commit may hold, and one at least if anybody waits."""
        group: list[Pending] = []
        leaves = 0
        with self._lock:
            while self._queue and (not group or leaves + len(self._queue[0].leaves) <= _MAX_GROUP):
                group.append(self._queue.popleft())
                leaves += len(group[-1].leaves)
        return group
