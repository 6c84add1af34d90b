"""How a command starts a supervisor, waits for it, stops it, and ends what a killed one has left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from federation.local.deployed.status import LOG_FILE, RUN, STATUS_FILE, Status, last_status, lives, read_status
from federation.local.deployed.supervisor import STEP_SECONDS, STOP_SECONDS, end_group
from protocols.errors import ConfigurationError

READY_SECONDS: Final = 60.0
PROCESS_SECONDS: Final = 20.0
"""What each process adds to the time that all may take to be ready: ten times what an idle core takes."""


def start_supervisor(folder: Path, port: int, namespaces: bool) -> subprocess.Popen[bytes]:
    """Start the process that watches over a folder's federation, apart from this one, and return it."""
    run = folder / RUN
    run.mkdir(mode=0o700, exist_ok=True)
    options = ("--namespaces",) if namespaces else ()
    with (run / LOG_FILE).open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "federation.cli", "up", str(folder), "--port", str(port), "--foreground", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def await_ready(folder: Path, watcher: subprocess.Popen[bytes], on_change: Callable[[Status], None]) -> Status:
    """Return once all that can run is ready. The more processes there are, the longer it may take.

    Raises: ConfigurationError, code NOT_READY, naming what is not, when time is over or if its watcher has ended.
    """
    started, seen, seconds = time.monotonic(), None, READY_SECONDS
    while time.monotonic() < started + seconds and watcher.poll() is None:
        status = read_status(folder)
        if status is not None:
            seconds = READY_SECONDS + PROCESS_SECONDS * len(status.processes)
        if status is not None and status != seen:
            on_change(status)
            seen = status
        if status is not None and status.ready:
            return status
        time.sleep(STEP_SECONDS)
    missing = "its supervisor" if seen is None else ", ".join(p.name for p in seen.processes if p.state != "ready")
    raise ConfigurationError(f"not ready: {missing}; see {folder / RUN / LOG_FILE}", code="NOT_READY")


def stop_supervisor(folder: Path) -> bool:
    """Stop everything in a folder; tell whether anything ran."""
    status = read_status(folder)
    if status is None:
        return False
    os.kill(status.supervisor, signal.SIGTERM)
    limit = time.monotonic() + 4 * STOP_SECONDS + PROCESS_SECONDS * len(status.processes)
    while lives(status.supervisor, status.born) and time.monotonic() < limit:  # it tidies up after its processes
        time.sleep(STEP_SECONDS)
    return True


def end_orphans(folder: Path) -> bool:
    """End what a supervisor that was killed has left behind; tell whether there was anything."""
    status = last_status(folder)
    if status is None or lives(status.supervisor, status.born):
        return False
    orphans = [process for process in status.processes if process.pid and lives(process.pid, process.born)]
    for orphan in reversed(orphans):
        end_group(orphan.pid, partial(_await_end, orphan.pid))
    (folder / RUN / STATUS_FILE).unlink(missing_ok=True)
    return bool(orphans)


def _await_end(process: int, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while Path(f"/proc/{process}").exists():
        if time.monotonic() > limit:
            raise subprocess.TimeoutExpired(str(process), seconds)
        time.sleep(STEP_SECONDS)
