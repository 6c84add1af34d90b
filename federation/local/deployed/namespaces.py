"""Where the processes of a federation run: all on this machine's loopback, or each party in a network of its own.

A party's network namespace has one interface, on a bridge that all parties share; the bridge lies in a namespace of its
own too, so that the machine's own addresses and routes are not touched, and nothing of it is reached from there. What a
party's processes serve on loopback, no other party reaches; a data node listens nowhere.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError

UNAVAILABLE: Final = "NAMESPACES_UNAVAILABLE"
TOOLS: Final = ("ip", "nsenter")
_MOUNTED: Final = Path("/run/netns")
_BRIDGE: Final = "hub"
_NETWORK: Final = "10.0.0"
_MOST: Final = 250
_CLONE_NEWNET: Final = 0x40000000
_LISTENING: Final = "0A"
_END_SECONDS: Final = 10.0


class Placement(Protocol):
    """Where parties' processes run."""

    @property
    def coordinator(self) -> str:
        """The address at which the others reach the coordinator."""

    def command(self, party: PartyId, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return what starts a process of a party in its place."""

    def inside(self, party: PartyId) -> AbstractContextManager[None]:
        """Let what this thread connects meanwhile come from the party's place."""

    def name(self, party: PartyId) -> str:
        """Return the name of a party's place; "" if it shares everybody's."""


class Loopback:
    """All processes share the machine's loopback."""

    @property
    def coordinator(self) -> str:
        """The machine's own loopback."""
        return "127.0.0.1"

    def command(self, party: PartyId, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the command as it is."""
        return tuple(arguments)

    def inside(self, party: PartyId) -> AbstractContextManager[None]:
        """Change nothing."""
        return nullcontext()

    def name(self, party: PartyId) -> str:
        """Return nothing: there is no place of the party's own."""
        return ""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A network namespace for each of `parties`, the first being the coordinator's; their names follow the folder's."""

    folder: Path
    parties: tuple[PartyId, ...]

    @property
    def coordinator(self) -> str:
        """The coordinator's address on the shared bridge."""
        return self.address(self.parties[0])

    def address(self, party: PartyId) -> str:
        """Return a party's address on the shared bridge."""
        return f"{_NETWORK}.{self.parties.index(party) + 1}"

    def name(self, party: PartyId) -> str:
        """Return the name of a party's namespace, as `ip netns` lists it."""
        return f"{_prefix(self.folder)}{party}"

    def command(self, party: PartyId, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return what starts a process in the party's namespace."""
        return ("nsenter", f"--net={_MOUNTED / self.name(party)}", "--", *arguments)

    @contextmanager
    def inside(self, party: PartyId) -> Iterator[None]:
        """Move this thread into the party's namespace, and back. Raises: OSError."""
        with Path("/proc/thread-self/ns/net").open("rb") as here, (_MOUNTED / self.name(party)).open("rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def make(self) -> None:
        """Make all namespaces and their bridge; what is left of earlier ones goes first.

        Raises: ConfigurationError, code NAMESPACES_UNAVAILABLE, where this machine or user cannot.
        """
        if os.geteuid() != 0 or not all(shutil.which(tool) for tool in TOOLS):
            raise ConfigurationError(
                "network namespaces need root, and `ip` (iproute2) and `nsenter`", code=UNAVAILABLE
            )
        if len(self.parties) > _MOST:
            raise ConfigurationError(f"{len(self.parties)} namespaces; {_MOST} are the most", code=UNAVAILABLE)
        remove(self.folder)
        hub = _prefix(self.folder) + _BRIDGE
        try:
            _ip("netns", "add", hub)
            _ip("-n", hub, "link", "add", _BRIDGE, "type", "bridge")
            _ip("-n", hub, "link", "set", _BRIDGE, "up")
            for number, party in enumerate(self.parties):
                self._join(hub, number, party)
        except subprocess.CalledProcessError as error:
            remove(self.folder)
            reason = str(error.stderr).strip()
            raise ConfigurationError(f"this system gives no network namespaces: {reason}", code=UNAVAILABLE) from error

    def _join(self, hub: str, number: int, party: PartyId) -> None:
        """Make a party's namespace, with one interface whose other end is on the bridge."""
        name, port = self.name(party), f"party{number}"
        _ip("netns", "add", name)
        _ip("link", "add", port, "netns", hub, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", hub, "link", "set", port, "master", _BRIDGE, "up")
        _ip("-n", name, "addr", "add", f"{self.address(party)}/24", "dev", "eth0")
        for interface in ("lo", "eth0"):
            _ip("-n", name, "link", "set", interface, "up")

    def cut(self, party: PartyId, off: bool) -> None:
        """Take a party's line down, or up again."""
        port = f"party{self.parties.index(party)}"
        _ip("-n", _prefix(self.folder) + _BRIDGE, "link", "set", port, "down" if off else "up")


def remove(folder: Path) -> bool:
    """End whatever still runs in a folder's namespaces, and remove them; tell whether there were any."""
    found = names(folder)
    for name in found:
        try:
            _end(name)
            _ip("netns", "del", name)
        except subprocess.CalledProcessError:
            if (_MOUNTED / name).exists():  # nobody else has removed it meanwhile, as its supervisor does
                raise
    return bool(found)


def names(folder: Path) -> list[str]:
    """Return the namespaces that a folder's federation has now."""
    return sorted(path.name for path in _MOUNTED.glob(f"{_prefix(folder)}*")) if _MOUNTED.exists() else []


def listening(process: int) -> tuple[str, ...]:
    """Return the TCP addresses on which anybody in a process's network namespace listens, as `ss -ltn` would."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{process}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        fields = [line.split() for line in lines]
        found |= {_readable(field[1]) for field in fields if field[3] == _LISTENING}
    return tuple(sorted(found))


def _readable(address: str) -> str:
    """Return host:port of the kernel's spelling: hexadecimal, each word of the host in this machine's byte order."""
    host, _, port = address.partition(":")
    words = [int(host[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(host), 8)]
    octets = ".".join(map(str, words[-1]))
    everywhere = not any(b"".join(words))
    return f"{'*' if everywhere else octets}:{int(port, 16)}"


def _end(name: str) -> None:
    """Kill all processes in a namespace, and return once they are gone."""
    limit = time.monotonic() + _END_SECONDS
    while (found := _ip("netns", "pids", name).split()) and time.monotonic() < limit:
        for pid in found:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _prefix(folder: Path) -> str:
    return f"credfed-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}-"


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
