"""A coordinator's SuperLink, kept running from the coordinator's own directory.

    DIR/superlink/   authority.pem, certificate.pem, key.pem (0600), state.sqlite; home/: how DIR's own tools reach it

Which SuperNode is whose, each party has said in the roster under its own signature; the running coordinator tells the
SuperLink (`federation.relay.supernodes`), and of each change within seconds.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.flower.engine import environment, write_connection
from federation.relay.authority import LOCALHOST, PARTY_DAYS, Issued, issue
from protocols.channel.identity import PartyId
from protocols.enrolment.certificates import renewal_due

SUPERLINK: Final = "superlink"
LOOPBACK: Final = "127.0.0.1"
STOP_SECONDS: Final = 20.0
_STEP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Engine:
    """Where a SuperLink listens, by which names others dial it, and the folder that is its own."""

    folder: Path
    host: str
    port: int
    names: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """What starts it: state in SQLite, TLS, only registered SuperNodes."""
        return superlink_command(self.folder, self.host, self.port)

    @property
    def home(self) -> Path:
        """How the coordinator's own tools reach it."""
        return self.folder / "home"


def superlink_command(folder: Path, host: str, port: int) -> tuple[str, ...]:
    """Return the command of a SuperLink that has `folder` to itself."""
    return (
        *(sys.executable, "-m", "federation.flower.superlink"),
        *("--ssl-certfile", str(folder / "certificate.pem"), "--ssl-keyfile", str(folder / "key.pem")),
        *("--ssl-ca-certfile", str(folder / "authority.pem"), "--database", str(folder / "state.sqlite")),
        *("--enable-supernode-auth", "--isolation", "subprocess", "--disable-runtime-dependency-installation"),
        *("--host", host, "--port", str(port)),
    )


def equip_engine(engine: Engine, authority: Issued, party: PartyId) -> None:
    """Write a fresh certificate, and how to reach the SuperLink. Raises: OSError."""
    engine.folder.mkdir(mode=0o700, exist_ok=True)
    names = sorted({LOOPBACK, *engine.names} - {LOCALHOST})
    issued = issue(authority, party, datetime.datetime.now(datetime.UTC), PARTY_DAYS, LOCALHOST, names)
    (engine.folder / "authority.pem").write_bytes(authority.certificate)
    (engine.folder / "certificate.pem").write_bytes(issued.certificate)
    (engine.folder / "key.pem").touch(0o600)
    (engine.folder / "key.pem").write_bytes(issued.key)
    write_connection(engine.home, f"{LOCALHOST}:{engine.port}", (engine.folder / "authority.pem").resolve())


class SuperLinkKeeper:
    """Keeps a SuperLink running, under a fresh certificate."""

    def __init__(self, engine: Engine, authority: Issued, party: PartyId) -> None:
        self._engine, self._authority, self._party = engine, authority, party
        self._stopping = False

    def stop(self) -> None:
        """Let `keep` return."""
        self._stopping = True

    def keep(self) -> int:
        """Run it until stopped; return its exit code if it ends by itself. Raises: OSError."""
        while not self._stopping:
            equip_engine(self._engine, self._authority, self._party)
            process = subprocess.Popen(  # noqa: S603
                self._engine.command, env=environment(self._engine.home), cwd=self._engine.folder
            )
            try:
                self._watch(process)
            finally:
                process.terminate()
                _await_end(process)
            if not self._stopping and not self._due():
                return process.returncode
        return 0

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the process has ended, is to be stopped, or needs another certificate."""
        while not self._stopping and process.poll() is None and not self._due():
            time.sleep(_STEP_SECONDS)

    def _due(self) -> bool:
        certificate = (self._engine.folder / "certificate.pem").read_bytes()
        return renewal_due(certificate, datetime.datetime.now(datetime.UTC))


def register_command(keys: Sequence[str]) -> tuple[str, ...]:
    """Return what tells a SuperLink keys: NAME=FILE each."""
    return (sys.executable, "-m", "federation.flower.registering", *keys)


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
