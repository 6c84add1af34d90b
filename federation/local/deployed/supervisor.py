"""Starts all processes of a federation on this machine, keeps them running, and stops them together.

Every line that a process writes goes into one log, after its name. A process that ends by itself is started again,
later each time. The bank's questions can be answered only once it has a model: its process starts when that is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Final

import msgspec

from federation.local.deployed.flower import Command
from protocols.errors import ConfigurationError
from protocols.paillier.cores import available_cores

RUN: Final = "run"
STATUS_FILE: Final = "status.json"
LOG_FILE: Final = "federation.log"
STOP_SECONDS: Final = 20.0
FOUNDATION: Final = 2
"""How many of a federation's processes, the first to start, are dialled by the others: SuperLink and coordinator."""
READY_SECONDS: Final = 60.0
PROCESS_SECONDS: Final = 20.0
"""What each process adds to the time that all may take to be ready: ten times what an idle core takes."""
_STEP_SECONDS: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_RUNS_WELL_SECONDS: Final = 20.0
"""A process that has lived so long is started again without much of a pause."""
_TURN_SECONDS: Final = 60.0
"""For how long a process that is not ready keeps others from starting."""


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
        return ProcessStatus(name, state, pid, self.restarts, place, _born(pid))


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
                self._stopping.wait(_STEP_SECONDS)

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
        partial.write_bytes(msgspec.json.encode(Status(os.getpid(), ready, processes, _born(os.getpid()))))
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


def read_status(folder: Path) -> Status | None:
    """Return how the processes of a folder stand, or None if nothing watches over it."""
    status = _last_status(folder)
    return status if status is not None and _lives(status.supervisor, status.born) else None


def end_orphans(folder: Path) -> bool:
    """End what a supervisor that was killed has left behind; tell whether there was anything."""
    status = _last_status(folder)
    if status is None or _lives(status.supervisor, status.born):
        return False
    orphans = [process for process in status.processes if process.pid and _lives(process.pid, process.born)]
    for orphan in reversed(orphans):
        end_group(orphan.pid, partial(_await_end, orphan.pid))
    (folder / RUN / STATUS_FILE).unlink(missing_ok=True)
    return bool(orphans)


def _last_status(folder: Path) -> Status | None:
    try:
        return msgspec.json.decode((folder / RUN / STATUS_FILE).read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _lives(process: int, born: int) -> bool:
    """Tell whether the process of this id that was started at `born` still lives."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return _born(process) == born


def _born(process: int) -> int:
    """Return when a process was started, in ticks since the machine was; 0 if it has ended, or the system is mute."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if fields[0] == b"Z" else int(fields[19])
    except (OSError, IndexError):
        return 0


def _await_end(process: int, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while Path(f"/proc/{process}").exists():
        if time.monotonic() > limit:
            raise subprocess.TimeoutExpired(str(process), seconds)
        time.sleep(_STEP_SECONDS)


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
        time.sleep(_STEP_SECONDS)
    missing = "its supervisor" if seen is None else ", ".join(p.name for p in seen.processes if p.state != "ready")
    raise ConfigurationError(f"not ready: {missing}; see {folder / RUN / LOG_FILE}", code="NOT_READY")


def stop_supervisor(folder: Path) -> bool:
    """Stop everything in a folder; tell whether anything ran."""
    status = read_status(folder)
    if status is None:
        return False
    os.kill(status.supervisor, signal.SIGTERM)
    limit = time.monotonic() + 4 * STOP_SECONDS + PROCESS_SECONDS * len(status.processes)
    while _lives(status.supervisor, status.born) and time.monotonic() < limit:  # it tidies up after its processes
        time.sleep(_STEP_SECONDS)
    return True
