"""Kills a process of a test at one exact point of its work, with signal 9: nothing of this is in the program itself.

    python -m tests.system.failpoints POINT MODULE ARGUMENTS…

runs the module as `python -m` would, with one function wrapped; the first time the point is reached is the end.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from federation.audit.log.audit_log import AuditLog
from federation.local.processes import PartyProcess
from nodes.data_node.batches import Batches
from nodes.ledger.sqlite import SqliteBackend
from protocols.stream import StreamEnd
from protocols.transparency.leaves import Leaf, LeafKind


def die() -> None:
    """End this process where it stands."""
    os.kill(os.getpid(), signal.SIGKILL)


def around(owner: type, name: str, before: Callable[..., None], after: Callable[..., None]) -> None:
    """Have a method run between two others, which are given its arguments."""
    method: Callable[..., Any] = getattr(owner, name)

    def wrapped(*values: object, **named: object) -> object:
        before(*values)
        result = method(*values, **named)
        after(*values)
        return result

    setattr(owner, name, wrapped)


def nothing(*_: object) -> None:
    """Go on."""


def at_commit(statement: str, *, after: bool = False, sending: str = "") -> None:
    """Die when a ledger commits what a statement wrote: before, after, or when a stream's method is to send it."""
    written: list[str] = []

    def note(_: object, executed: str, *__: object) -> None:
        if executed.startswith(statement):
            written.append(executed)
        elif executed == "COMMIT" and written and not (after or sending):
            die()

    def end(_: object, executed: str, *__: object) -> None:
        if executed == "COMMIT" and written and after:
            die()
        if executed == "COMMIT" and written:
            written.append("COMMIT")

    around(SqliteBackend, "execute", note, end)
    if sending:
        around(StreamEnd, sending, lambda *_: die() if "COMMIT" in written else None, nothing)


def at_leaf(kind: LeafKind, *, after: bool = False) -> None:
    """Die when the log appends a leaf of a kind: before it is durable, or after, when nothing has been sent."""

    def check(_: AuditLog, leaves: Sequence[Leaf]) -> None:
        if any(leaf.kind is kind for leaf in leaves):
            die()

    around(AuditLog, "append", nothing if after else check, check if after else nothing)


NOWHERE = "nowhere"
POINTS: dict[str, Callable[[], None]] = {
    NOWHERE: lambda: None,
    "node before commit": lambda: at_commit("INSERT INTO answer"),
    "node after commit": lambda: at_commit("INSERT INTO answer", after=True),
    "node between commit and send": lambda: at_commit("INSERT INTO answer", sending="reply"),
    "node mid-batch": lambda: around(Batches, "_answer", lambda *_: die(), nothing),
    "node before a batch's commit": lambda: at_commit("INSERT INTO batch_entry"),
    "node between a batch's commit and send": lambda: at_commit("INSERT INTO batch_entry", sending="reply"),
    "coordinator before a request's commit": lambda: at_leaf(LeafKind.REQUEST),
    "coordinator between a request's commit and send": lambda: at_leaf(LeafKind.REQUEST, after=True),
    "coordinator before a result's commit": lambda: at_leaf(LeafKind.RESULT),
    "coordinator between a result's commit and send": lambda: at_leaf(LeafKind.RESULT, after=True),
    "coordinator before an end's commit": lambda: at_leaf(LeafKind.ACK),
    "bank before a question's commit": lambda: at_commit("INSERT INTO question"),
    "bank between a question's commit and send": lambda: at_commit("INSERT INTO question", sending="request"),
    "bank before an end's commit": lambda: at_commit("UPDATE question"),
    "bank between an end's commit and send": lambda: at_commit("UPDATE question", sending="request"),
}
"""Every point by name."""


def command_of(point: str, module: str, *arguments: str) -> tuple[str, ...]:
    """Return what starts a module that dies at a point."""
    return (sys.executable, "-m", "tests.system.failpoints", point, module, *arguments)


class DoomedProcess(PartyProcess):
    """A party's process that dies at a point."""

    def __init__(self, home: Path, role: str, http: str, point: str) -> None:
        super().__init__(home, role, http)
        self._point = point

    @property
    def command(self) -> tuple[str, ...]:
        _, _, module, *arguments = super().command
        return command_of(self._point, module, *arguments)

    @property
    def dead(self) -> bool:
        """Whether it has reached the point."""
        return self._process is not None and self._process.poll() == -signal.SIGKILL


if __name__ == "__main__":
    _, chosen, program, *rest = sys.argv
    POINTS[chosen]()
    sys.argv = [program, *rest]
    runpy.run_module(program, run_name="__main__")
