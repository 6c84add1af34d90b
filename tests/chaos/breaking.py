"""A federation of separate processes in networks of their own, and the ways in which a test breaks it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from federation.local.consents import ConsentService
from federation.local.deployed.flower import equip_flower
from federation.local.deployed.members import members, namespaces_of
from federation.local.deployed.namespaces import Namespaces, remove
from federation.local.deployed.status import LOG_FILE, RUN, ProcessStatus, read_status
from federation.local.deployed.supervisor import Member, Supervisor
from federation.local.layout import BANK, CONSENT_SERVICE, read_federation
from federation.local.services import Ports, equip
from nodes.clock import system_clock
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId

READY_SECONDS = 300.0
LOG = Path("build") / "chaos.log"
PORTS = Ports(relay=7440, superlink=7441, coordinator_http=7442, bank_http=7450, bank_api=7460)
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)  # ETHTOOL_STXCSUM, STSO, SGSO, SGRO: frames must be whole when they are copied
_SIOCETHTOOL = 0x8946


class Breakable:
    """The processes of a folder's federation, each in its party's namespace, and what can be done to them."""

    def __init__(self, folder: Path, namespaces: Namespaces) -> None:
        self.folder, self.namespaces = folder, namespaces
        placed = members(folder, replace(PORTS, host=namespaces.coordinator), namespaces)
        self._environments: dict[str, dict[str, str]] = {}
        self._supervisor = Supervisor(folder, [self._changeable(member) for member in placed])
        self._thread = threading.Thread(target=self._supervisor.keep)

    def _changeable(self, member: Member) -> Member:
        """Let the environment with which a process starts be changed later."""
        environment = dict(member.command.environment)
        self._environments[member.command.name] = environment
        return replace(member, command=replace(member.command, environment=environment))

    def start(self) -> None:
        """Start all processes, and return once they are ready."""
        self._thread.start()
        self.await_ready()

    def stop(self) -> None:
        """End all processes."""
        self._supervisor.stop()
        self._thread.join()
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text(self.log(), encoding="utf-8")

    def status(self, name: str) -> ProcessStatus:
        """Return how a process stands."""
        found = read_status(self.folder)
        assert found is not None
        return next(process for process in found.processes if process.name == name)

    def await_ready(self) -> None:
        """Return once all processes are ready, but for a bank that has no model yet."""
        limit = time.monotonic() + READY_SECONDS
        while (found := read_status(self.folder)) is None or not all(map(_is_up, found.processes)):
            assert time.monotonic() < limit, self.log()[-4000:]
            time.sleep(0.2)

    def log(self) -> str:
        """Return all that the processes have written."""
        return (self.folder / RUN / LOG_FILE).read_text(encoding="utf-8", errors="replace")

    def kill(self, name: str) -> None:
        """Kill a process and whatever it has started, wherever they stand; its supervisor starts it again."""
        os.killpg(self.status(name).pid, signal.SIGKILL)

    @contextmanager
    def cut(self, party: PartyId) -> Iterator[None]:
        """Take a party's line away."""
        self.namespaces.cut(party, off=True)
        try:
            yield
        finally:
            self.namespaces.cut(party, off=False)

    @contextmanager
    def lossy(self, party: PartyId, milliseconds: int, percent: int) -> Iterator[None]:
        """Let each frame from and to a party take so much longer, and lose so many of them."""
        for each in self.namespaces.parties:
            with self.namespaces.inside(each):
                no_offload("eth0")
        hub = self.namespaces.name(PartyId("hub"))
        port = f"party{self.namespaces.parties.index(party)}"

        def link(*arguments: str) -> None:
            subprocess.run(["ip", "-n", hub, "link", *arguments], check=True)

        link("add", "loss0", "type", "veth", "peer", "name", "loss1")
        link("set", "loss1", "master", "hub", "up")
        link("set", "loss0", "up")
        link("set", port, "nomaster")
        script = str(Path(__file__).with_name("lossy_link.py"))
        arguments = [sys.executable, script, port, "loss0", str(milliseconds), str(percent)]
        carrier = subprocess.Popen(["nsenter", f"--net=/run/netns/{hub}", "--", *arguments])
        try:
            yield
            assert carrier.poll() is None, "the lossy link has ended"
        finally:
            carrier.kill()
            carrier.wait()
            link("set", port, "master", "hub")
            link("del", "loss0")

    @contextmanager
    def full_disk(self, party: PartyId) -> Iterator[None]:
        """Leave no byte free where a party's own folder lies: a small disk of its own, as `small_disks` makes it."""
        filler = self.folder / party / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                for block in (1 << 20, 1 << 12, 1):
                    try:
                        while file.write(bytes(block)) == block:
                            pass
                    except OSError:
                        continue
            yield
        finally:
            filler.unlink()

    @contextmanager
    def movable_clock(self, name: str, library: str) -> Iterator[Path]:
        """Start one process anew with a clock that follows a file, which holds `+0`, or `+10m` to be ahead."""
        said = self.folder / RUN / f"{name}.clock"
        said.write_text("+0\n", encoding="ascii")
        added = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(said), "FAKETIME_NO_CACHE": "1"}
        added |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        environment = self._environments[name]
        environment |= added
        self._restart(name)
        try:
            yield said
        finally:
            for key in added:
                del environment[key]
            self._restart(name)

    def _restart(self, name: str) -> None:
        before = self.status(name).restarts
        self.kill(name)
        limit = time.monotonic() + READY_SECONDS
        while self.status(name).restarts == before or self.status(name).state != "ready":
            assert time.monotonic() < limit, self.log()[-4000:]
            time.sleep(0.1)


def _is_up(process: ProcessStatus) -> bool:
    return process.state == "ready" or (process.name == BANK and process.state == "waiting")


def no_offload(interface: str) -> None:
    """Have this thread's network interface make whole frames with true checksums."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(control, _SIOCETHTOOL, request)


@contextmanager
def small_disks(folder: Path, parties: tuple[PartyId, ...]) -> Iterator[None]:
    """Give each party's folder a small disk of its own while the block runs."""
    with ExitStack() as mounted:
        for party in parties:
            home = folder / party
            aside = home.with_name(f"{party}.aside")
            home.rename(aside)
            home.mkdir(mode=0o700)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=0700", "tmpfs", str(home)], check=True)
            mounted.callback(subprocess.run, ["umount", "-l", str(home)], check=True)
            shutil.copytree(aside, home, dirs_exist_ok=True)
            shutil.rmtree(aside)
        yield


@contextmanager
def breakable(folder: Path) -> Iterator[Breakable]:
    """A founded federation, up in namespaces; equipped, with its list of revoked consents kept fresh."""
    namespaces = namespaces_of(folder)
    namespaces.make()
    ports = replace(PORTS, host=namespaces.coordinator)
    equip(folder, ports)
    equip_flower(folder, ports.superlink, namespaces)
    pins = read_cards(folder / "cards")
    consents = ConsentService(folder / CONSENT_SERVICE, read_federation(folder).domains, pins, system_clock)
    try:
        with consents.publishing():
            federation = Breakable(folder, namespaces)
            try:
                federation.start()
                yield federation
            finally:
                federation.stop()
    finally:
        remove(folder)
