"""What the processes of a federation that is up take of the machine: memory and processor time, on Linux."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from federation.local.deployed.status import read_status
from protocols.errors import ConfigurationError

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Weight:
    """Units: bytes, each shared page divided among those who share it; seconds, those of ended children included."""

    processes: int
    memory: int
    cpu_seconds: float


def weigh(folder: Path) -> Weight:
    """Return what all processes of a folder's federation take now, with whatever they have started.

    Raises: ConfigurationError, code NOT_UP.
    """
    status = read_status(folder)
    if status is None:
        raise ConfigurationError(f"{folder} is not up", code="NOT_UP")
    sessions = {status.supervisor, *(process.pid for process in status.processes if process.pid)}
    processes = memory = ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[3]) not in sessions:
                continue
            processes += 1
            ticks += sum(map(int, fields[11:15]))
            memory += _memory(entry)
    return Weight(processes, memory, ticks / _TICKS)


def _memory(entry: Path) -> int:
    """Return a process's proportional share of memory. Raises: OSError."""
    for line in (entry / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])
    return 0
