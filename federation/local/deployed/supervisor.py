"""Starts all processes of a federation on this machine, keeps them running, and stops them together.

Every line that a process writes goes into one log, after its name. A process that ends by itself is started again,
later each time. The bank's questions can be answered only once it has a model: its process starts when that is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import msgspec

from federation.local.deployed.flower import Command
from federation.local.deployed.status import LOG_FILE, RUN, STATUS_FILE, ProcessStatus, Status, ticks_of
from protocols.paillier.cores import available_cores

STOP_SECONDS: Final = 20.0
FOUNDATION: Final = 2
"""How many of a federation's processes, the first to start, are dialled by the others: SuperLink and coordinator."""
STEP_SECONDS: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_RUNS_WELL_SECONDS: Final = 20.0
"""A process that has lived so long is started again without much of a pause."""
_TURN_SECONDS: Final = 60.0
"""For how long a process that is not ready keeps others from starting."""


@dataclass(frozen=True, slots=True)
class Member:
    """A process to keep running: when it may start, and how one sees that it is ready."""

    command: Command
    ready: Callable[[], bool] = lambda: True
    may_start: Callable[[], bool] = lambda: True
    place: str = ""


@dataclass(slots=True)
class _Kept:
    member: Member
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    restarts: int = 0
    failures: int = 0
    started: float = 0.0
    not_before: float = 0.0
    readers: list[threading.Thread] = field(default_factory=list)

    def status(self) -> ProcessStatus:
        """Return how it stands."""
        name, place = self.member.command.name, self.member.place
        if self.process is None:
            state = "waiting" if not self.member.may_start() else "ended"
            return ProcessStatus(name, state, 0, self.restarts, place)
        state, pid = "ready" if self.ready else "starting", self.process.pid
        return ProcessStatus(name, state, pid, self.restarts, place, ticks_of(pid))


class Supervisor:
    """Keeps the members running, in their order, until `stop` is asked for."""

    def __init__(self, folder: Path, members: Sequence[Member]) -> None:
        self._run = folder / RUN
        self._kept = [_Kept(member) for member in members]
        self._at_once = 4 * available_cores()
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let `keep` return."""
        self._stopping.set()

    def keep(self) -> None:
        """Start everything, and keep it running; on `stop` end it in reverse order."""
        self._run.mkdir(mode=0o700, exist_ok=True)
        with (self._run / LOG_FILE).open("ab") as log, ExitStack() as cleaning:
            cleaning.callback((self._run / STATUS_FILE).unlink, missing_ok=True)
            cleaning.callback(self._end_all)
            while not self._stopping.is_set():
                for kept in self._kept:
                    self._look_after(kept, log)
                self._write_status()
                self._stopping.wait(STEP_SECONDS)

    def _look_after(self, kept: _Kept, log: IO[bytes]) -> None:
        """Start it if it may run and does not; note whether it is ready, or has ended."""
        if kept.process is not None and kept.process.poll() is not None:
            kept.failures = 0 if time.monotonic() > kept.started + _RUNS_WELL_SECONDS else kept.failures + 1
            pause = min(0.5 * 2.0**kept.failures, _LONGEST_PAUSE)
            self._say(log, kept.member.command.name, f"ended with code {kept.process.returncode}; again in {pause:g} s")
            kept.process, kept.ready = None, False
            kept.restarts, kept.not_before = kept.restarts + 1, time.monotonic() + pause
        if kept.process is None:
            if kept.member.may_start() and time.monotonic() >= kept.not_before and self._starting < self._at_once:
                self._start(kept, log)
        elif not kept.ready:
            kept.ready = kept.member.ready()

    @property
    def _starting(self) -> int:
        """How many processes are loading: more than a few for each core would only keep one another from it."""
        since = time.monotonic() - _TURN_SECONDS
        return sum(kept.process is not None and not kept.ready and kept.started > since for kept in self._kept)

    def _start(self, kept: _Kept, log: IO[bytes]) -> None:
        command = kept.member.command
        kept.started = time.monotonic()
        kept.process = subprocess.Popen(  # noqa: S603
            command.arguments,
            env=dict(command.environment),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        reader = threading.Thread(target=self._copy, args=(kept.process.stdout, command.name, log), daemon=True)
        reader.start()
        kept.readers = [*(thread for thread in kept.readers if thread.is_alive()), reader]

    def _copy(self, stream: IO[bytes] | None, name: str, log: IO[bytes]) -> None:
        for line in stream or ():
            self._say(log, name, line.decode(errors="replace").rstrip())

    def _say(self, log: IO[bytes], name: str, text: str) -> None:
        with self._lock:
            if not log.closed:
                log.write(f"{name:<24} {text}\n".encode())
                log.flush()

    def _write_status(self) -> None:
        processes = tuple(kept.status() for kept in self._kept)
        ready = all(process.state in ("ready", "waiting") for process in processes)
        partial = self._run / f".{STATUS_FILE}"
        partial.write_bytes(msgspec.json.encode(Status(os.getpid(), ready, processes, ticks_of(os.getpid()))))
        partial.replace(self._run / STATUS_FILE)

    def _end_all(self) -> None:
        """End every process and whatever it has started: all at once, but those last that the others dial."""
        for some in (self._kept[FOUNDATION:], self._kept[:FOUNDATION]):
            running = [kept.process for kept in some if kept.process is not None]
            for process in running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
                end_group(process.pid, process.wait)
        for kept in self._kept:
            for reader in kept.readers:
                reader.join(STOP_SECONDS)


def end_group(group: int, wait: Callable[[float], object]) -> None:
    """End a process and all of its session: asked first, then made to."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        try:
            os.killpg(group, number)
            wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
