"""What a supervisor says of its processes, and whether that still holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

RUN: Final = "run"
STATUS_FILE: Final = "status.json"
LOG_FILE: Final = "federation.log"


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process, as its supervisor sees it: `state` is waiting, starting, ready or ended; `restarts` so far.

    `place` is the network namespace in which it runs; "" if all share the machine's. `born` tells it from a later
    process of the same id.
    """

    name: str
    state: str
    pid: int = 0
    restarts: int = 0
    place: str = ""
    born: int = 0


class Status(msgspec.Struct, frozen=True):
    """All processes. `supervisor` is the id of the process that watches them, `ready` that all that can run do."""

    supervisor: int
    ready: bool
    processes: tuple[ProcessStatus, ...]
    born: int = 0


def read_status(folder: Path) -> Status | None:
    """Return how the processes of a folder stand, or None if nothing watches over it."""
    status = last_status(folder)
    return status if status is not None and lives(status.supervisor, status.born) else None


def last_status(folder: Path) -> Status | None:
    """Return what a supervisor of a folder has said last, whether it lives or not."""
    try:
        return msgspec.json.decode((folder / RUN / STATUS_FILE).read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def lives(process: int, born: int) -> bool:
    """Tell whether the process of this id that was started at `born` still lives."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return ticks_of(process) == born


def ticks_of(process: int) -> int:
    """Return when a process was started, in ticks since the machine was; 0 if it has ended, or the system is mute."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if fields[0] == b"Z" else int(fields[19])
    except (OSError, IndexError):
        return 0
