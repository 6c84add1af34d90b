"""The supervisor starts a few processes at a time, ends all of them, and says how they stand."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from federation.local.deployed.flower import Command
from federation.local.deployed.status import read_status
from federation.local.deployed.supervisor import Member, Supervisor
from protocols.paillier.cores import available_cores

SECONDS = 120


def sleeping(folder: Path, number: int, ready: threading.Event) -> Member:
    """A process that does nothing, and is ready once the event says so."""
    return Member(Command(f"p{number}", ("sleep", "600"), dict(os.environ), folder), ready.is_set)


def started(folder: Path) -> list[int]:
    """The ids of all processes that run."""
    status = read_status(folder)
    return [] if status is None else [process.pid for process in status.processes if process.pid]


def await_started(folder: Path, count: int) -> list[int]:
    """Return once so many run."""
    limit = time.monotonic() + SECONDS
    while len(found := started(folder)) < count:
        assert time.monotonic() < limit, found
        time.sleep(0.1)
    return found


def test_many_processes_start_a_few_at_a_time_and_all_end(tmp_path: Path) -> None:
    at_once, ready = 4 * available_cores(), threading.Event()
    supervisor = Supervisor(tmp_path, [sleeping(tmp_path, n, ready) for n in range(2 * at_once)])
    keeping = threading.Thread(target=supervisor.keep)
    keeping.start()
    try:
        assert len(await_started(tmp_path, at_once)) == at_once
        time.sleep(1)  # a few looks later there are no more, for none of them is ready
        assert len(started(tmp_path)) == at_once
        ready.set()
        running = await_started(tmp_path, 2 * at_once)
    finally:
        supervisor.stop()
        keeping.join(SECONDS)
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
    assert read_status(tmp_path) is None
